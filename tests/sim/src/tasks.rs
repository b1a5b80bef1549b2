//! A caller's work: a task for each of its calls.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use halfclose::{CallId, Connection, Event, Misuse, Role, Time};

use crate::end::End;
use crate::ledger::Ledger;
use crate::program::{Pace, Send};
use crate::task::{Found, Reader, Sender, check_message};
use crate::wire::{FailedProperty, Wire, breach, ensure};

/// One call.
pub(crate) struct Task {
    pub(crate) id: CallId,
    pub(crate) sender: Sender,
    pub(crate) reader: Reader,
    cancel: Option<Time>,
    /// Whether its messages may be compressed.
    pub(crate) compresses: bool,
    /// Whether its end was reported.
    pub(crate) over: bool,
}

impl Task {
    pub(crate) fn new(id: CallId, sends: &[Send], read: Pace, cancel: Option<Duration>, now: Time) -> Self {
        let (sender, reader) = (Sender::new(sends, now), Reader::new(read, now));
        Self { id, sender, reader, cancel: cancel.map(|after| now + after), compresses: false, over: false }
    }

    fn wake(&self) -> Option<Time> {
        [self.sender.wake(), self.reader.wake(), self.cancel].into_iter().flatten().min()
    }

    /// Returns whether the call is to be cancelled now; true only once.
    pub(crate) fn cancels(&mut self, now: Time) -> bool {
        self.cancel.take_if(|at| *at <= now).is_some()
    }

    /// Sends what is due. Returns whether the last message has been handed over.
    pub(crate) fn send<R: Role>(
        &mut self,
        k: usize,
        end: &mut End<R>,
        ledger: &mut Ledger,
        now: Time,
    ) -> Result<bool, FailedProperty> {
        let (own, _) = ledger.accounts(end.side);
        self.sender.run(&mut end.core, (k, self.id), end.side, self.compresses, own, now)
    }

    /// Reads what is due, and checks it against what the peer has sent.
    pub(crate) fn read<R: Role>(
        &mut self,
        k: usize,
        end: &mut End<R>,
        wire: &mut Wire,
        ledger: &mut Ledger,
        now: Time,
    ) -> Result<Found, FailedProperty> {
        let side = end.side;
        let (own, peer) = ledger.accounts(side);
        // The server's half-close; the client's own does not affect what it reads.
        let complete = own.half_closed && side == crate::program::Side::Server;
        self.reader.run(&mut end.core, self.id, now, |message| {
            ensure(!complete, "no message after the half-close", || format!("call {k}"))?;
            let sent = check_message(k, side.peer(), peer, own.received, &message)?;
            own.received += 1;
            if let Some(stream) = wire.stream_of(k) {
                wire.read(side, stream, sent.wire_len());
            }
            Ok(())
        })
    }
}

/// All calls of one caller.
pub(crate) struct Tasks {
    tasks: Vec<Option<Task>>,
    numbers: BTreeMap<CallId, usize>,
}

impl Tasks {
    pub(crate) fn new(count: usize) -> Self {
        Self { tasks: (0..count).map(|_| None).collect(), numbers: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, k: usize, task: Task) -> Result<(), FailedProperty> {
        let id = task.id;
        ensure(self.numbers.insert(id, k).is_none(), "ids are never used again", || format!("{id:?}"))?;
        self.tasks[k] = Some(task);
        Ok(())
    }

    /// Returns the task of a call that is not over.
    pub(crate) fn active(&mut self, k: usize) -> Option<&mut Task> {
        self.tasks[k].as_mut().filter(|task| !task.over)
    }

    pub(crate) fn wake(&self) -> Option<Time> {
        self.tasks.iter().flatten().filter(|task| !task.over).filter_map(Task::wake).min()
    }

    /// Returns the calls whose end has not been reported.
    pub(crate) fn open(&self) -> impl Iterator<Item = usize> {
        let open = |task: &Option<Task>| task.as_ref().is_some_and(|it| !it.over);
        self.tasks.iter().enumerate().filter(move |(_, task)| open(task)).map(|(k, _)| k)
    }

    /// Returns the call that an event names, and its task.
    pub(crate) fn named(&mut self, id: CallId, event: &Event) -> Result<(usize, &mut Task), FailedProperty> {
        let Some(&k) = self.numbers.get(&id) else {
            return breach("events name calls", format!("{event:?}"));
        };
        match self.active(k) {
            Some(task) => Ok((k, task)),
            None => breach("nothing after the end of a call", format!("call {k}: {event:?}")),
        }
    }
}

/// Checks that every command refuses a stale id.
pub(crate) fn stale<R: Role>(core: &mut Connection<R>, id: CallId) -> Result<(), FailedProperty> {
    let refused = [
        core.recv(id).map(drop),
        core.cancel(id),
        core.send_message(id, Bytes::new(), false).map(drop),
        core.states(id).map(drop),
    ];
    ensure(refused.iter().all(|it| *it == Err(Misuse::UnknownCall)), "a stale id is refused", || {
        format!("{id:?}: {refused:?}")
    })
}

/// Checks that misuse never changes state: `tries` gives commands, which must be refused as `expected` says.
pub(crate) fn misuse<R: Role, const N: usize>(
    core: &mut Connection<R>,
    id: CallId,
    expected: fn(&Misuse) -> bool,
    tries: impl FnOnce(&mut Connection<R>) -> [Result<(), Misuse>; N],
) -> Result<(), FailedProperty> {
    let before = (core.states(id), core.wants_transmit(), core.poll_timeout());
    let refused = tries(core);
    let after = (core.states(id), core.wants_transmit(), core.poll_timeout());
    let fits = refused.iter().all(|it| it.as_ref().is_err_and(expected));
    ensure(fits && before == after, "misuse never changes state", || {
        format!("{refused:?}: {before:?} -> {after:?}")
    })
}
