//! The client's caller: starts calls, sends, reads, cancels, and notes what it is told.

use std::collections::BTreeMap;

use bytes::Bytes;
use halfclose::grpc::encoding::Encoding;
use halfclose::{CallId, Client, Event, Metadata, Misuse, Outcome, Recv, Request, Time};

use crate::content;
use crate::end::End;
use crate::ledger::Ledger;
use crate::program::{Program, Side};
use crate::task::{Found, Reader, Sender, check_message};
use crate::wire::{Breach, Wire, breach, ensure};

struct Task {
    id: CallId,
    sender: Sender,
    reader: Reader,
    cancel: Option<Time>,
    over: bool,
}

/// The client's caller.
pub(crate) struct ClientCaller {
    tasks: Vec<Option<Task>>,
    not_started: Vec<bool>,
    calls: BTreeMap<CallId, usize>,
}

impl ClientCaller {
    pub(crate) fn new(program: &Program) -> Self {
        let tasks = program.calls.iter().map(|_| None).collect();
        Self { tasks, not_started: vec![true; program.calls.len()], calls: BTreeMap::new() }
    }

    pub(crate) fn wake(&self, program: &Program) -> Option<Time> {
        let starts = (program.calls.iter().zip(&self.not_started)).filter(|(_, waits)| **waits);
        let starts = starts.map(|(call, _)| Time::ZERO + call.start);
        let tasks = self.tasks.iter().flatten().filter(|task| !task.over);
        let tasks = tasks.flat_map(|task| [task.sender.wake(), task.reader.wake(), task.cancel]).flatten();
        starts.chain(tasks).min()
    }

    /// Calls that were started and whose end has not been told.
    pub(crate) fn open(&self) -> impl Iterator<Item = usize> {
        self.tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| task.as_ref().is_some_and(|it| !it.over))
            .map(|(k, _)| k)
    }

    /// Does all that is due.
    pub(crate) fn run(
        &mut self,
        program: &Program,
        end: &mut End<Client>,
        wire: &mut Wire,
        ledgers: &mut [Ledger],
        now: Time,
    ) -> Result<(), Breach> {
        for (k, ledger) in ledgers.iter_mut().enumerate() {
            if self.not_started[k] && Time::ZERO + program.calls[k].start <= now {
                self.not_started[k] = false;
                self.start(k, program, end, ledger, now)?;
            }
            self.run_call(k, program, end, wire, ledger, now)?;
        }
        Ok(())
    }

    fn start(
        &mut self,
        k: usize,
        program: &Program,
        end: &mut End<Client>,
        ledger: &mut Ledger,
        now: Time,
    ) -> Result<(), Breach> {
        let call = &program.calls[k];
        let mut request = Request::new(path(call.path), call.shape);
        request.metadata = content::request_metadata(k, call.metadata);
        request.deadline = call.deadline.map(|deadline| now + deadline);
        request.encoding = compresses(program, k).then_some(Encoding::Gzip);
        ledger.deadline = request.deadline;
        let id = match end.core.start(now, request) {
            Ok(id) => id,
            Err(Misuse::GoingAway | Misuse::Closed) => return Ok(()),
            Err(other) => return breach("a legal order is taken", format!("start of call {k}: {other:?}")),
        };
        ensure(self.calls.insert(id, k).is_none(), "ids are never used again", || format!("{id:?}"))?;
        ledger.started = Some(now);
        self.tasks[k] = Some(Task {
            id,
            sender: Sender::new(&call.requests, now),
            reader: Reader::new(call.read, now),
            cancel: call.cancel.map(|after| now + after),
            over: false,
        });
        Ok(())
    }

    fn run_call(
        &mut self,
        k: usize,
        program: &Program,
        end: &mut End<Client>,
        wire: &mut Wire,
        ledger: &mut Ledger,
        now: Time,
    ) -> Result<(), Breach> {
        let Some(task) = self.tasks[k].as_mut().filter(|task| !task.over) else { return Ok(()) };
        let last = task.sender.run(
            &mut end.core,
            (k, task.id),
            Side::Client,
            compresses(program, k),
            &mut ledger.client,
            now,
        )?;
        if last {
            match end.core.half_close(task.id) {
                Ok(()) => ledger.client.half_closed = true,
                Err(Misuse::CallEnded) => {}
                Err(other) => {
                    return breach("a legal order is taken", format!("half-close of {k}: {other:?}"));
                }
            }
        }
        if program.misuse && task.sender.done {
            probe(end, task.id)?;
        }
        if task.cancel.is_some_and(|at| at <= now) {
            task.cancel = None;
            return cancel(k, program.calls[k].release, task, end, wire, ledger);
        }
        let Ledger { client, server, .. } = ledger;
        let found = task.reader.run(&mut end.core, task.id, now, |message| {
            let sent = check_message(k, Side::Server, server, client.received, &message)?;
            client.received += 1;
            if let Some(stream) = wire.stream_of(k) {
                wire.read(Side::Client, stream, sent.wire_len());
            }
            Ok(())
        })?;
        match found {
            Found::Idle => Ok(()),
            Found::End(Recv::End(outcome)) => over(k, task, end, wire, ledger, outcome),
            Found::End(other) => breach("a client's call ends with an outcome", format!("{other:?}")),
        }
    }

    /// Takes one event.
    pub(crate) fn event(
        &mut self,
        event: &Event,
        end: &End<Client>,
        wire: &Wire,
        program: &Program,
        ledgers: &mut [Ledger],
        now: Time,
    ) -> Result<(), Breach> {
        let (Event::Response(id) | Event::Readable(id) | Event::Writable(id)) = event else {
            return match event {
                Event::PeerSettings | Event::GoAway { .. } | Event::Closed(_) => Ok(()),
                other => breach("events fit the role", format!("client: {other:?}")),
            };
        };
        let property = "nothing after the end of a call";
        let Some(&k) = self.calls.get(id) else { return breach("events name calls", format!("{event:?}")) };
        let Some(task) = self.tasks[k].as_mut() else { return breach(property, format!("{event:?}")) };
        ensure(!task.over, property, || format!("call {k}: {event:?}"))?;
        match event {
            Event::Response(_) => {
                ensure(!ledgers[k].response, "response headers are told once", || format!("call {k}"))?;
                ledgers[k].response = true;
                let expected = content::metadata(k, program.calls[k].answer.headers.unwrap_or(0));
                let met = end.core.response(*id).map(|head| head.metadata.clone());
                ensure(met.as_ref() == Some(&expected), "initial metadata arrives", || {
                    format!("call {k}: {met:?}")
                })
            }
            Event::Readable(_) => {
                let half = wire.stream_of(k).and_then(|stream| wire.half(Side::Client, stream));
                // What comes after a call's end is nobody's.
                let over = ledgers[k].client.cancelled || ledgers[k].deadline.is_some_and(|at| at <= now);
                let head = half.is_some_and(|half| half.head_taken) && !over;
                ensure(
                    ledgers[k].response || !head,
                    "events come in the order in which they happened",
                    || format!("call {k}: Readable before Response"),
                )?;
                task.reader.readable(now)
            }
            _ => task.sender.writable(),
        }
    }
}

fn path(number: u8) -> Bytes {
    format!("/sim.Service{number}/Method").into()
}

/// Whether the client's messages may go compressed.
pub(crate) fn compresses(program: &Program, k: usize) -> bool {
    program.calls[k].encoding && program.tuning[Side::Client.index()].codec
}

fn cancel(
    k: usize,
    release: bool,
    task: &mut Task,
    end: &mut End<Client>,
    wire: &mut Wire,
    ledger: &mut Ledger,
) -> Result<(), Breach> {
    ledger.client.cancelled = true;
    task.sender.stop();
    if let Some(stream) = wire.stream_of(k) {
        wire.abandon(Side::Client, stream);
    }
    if release {
        end.core.release(task.id);
        ledger.released = true;
        task.over = true;
        return stale(end, task.id);
    }
    match end.core.cancel(task.id) {
        Ok(()) => Ok(()),
        Err(other) => breach("a legal order is taken", format!("cancel of call {k}: {other:?}")),
    }
}

fn over(
    k: usize,
    task: &mut Task,
    end: &mut End<Client>,
    wire: &mut Wire,
    ledger: &mut Ledger,
    outcome: Outcome,
) -> Result<(), Breach> {
    ensure(ledger.outcome.is_none(), "exactly one terminal event", || format!("call {k}: {outcome:?}"))?;
    task.over = true;
    ledger.client.ended = true;
    if let Some(stream) = wire.stream_of(k) {
        wire.abandon(Side::Client, stream);
    }
    let trailers: &Metadata = &outcome.trailers;
    if let Some((status, metadata)) = &ledger.finished
        && outcome.status == *status
    {
        ensure(trailers == metadata, "trailing metadata arrives", || format!("call {k}: {trailers:?}"))?;
    }
    ledger.outcome = Some((outcome.status, outcome.cause));
    stale(end, task.id)
}

/// Misuse never changes state: a stale id is refused by everything.
fn stale(end: &mut End<Client>, id: CallId) -> Result<(), Breach> {
    let refused = [
        end.core.recv(id).map(drop),
        end.core.cancel(id),
        end.core.half_close(id),
        end.core.send_message(id, Bytes::new(), false).map(drop),
        end.core.states(id).map(drop),
    ];
    ensure(refused.iter().all(|it| *it == Err(Misuse::UnknownCall)), "a stale id is refused", || {
        format!("{id:?}: {refused:?}")
    })
}

/// Misuse never changes state: a message and a half-close after the half-close.
fn probe(end: &mut End<Client>, id: CallId) -> Result<(), Breach> {
    let before = (end.core.states(id), end.core.wants_transmit(), end.core.poll_timeout());
    let refused =
        [end.core.send_message(id, Bytes::from_static(b"late"), false).map(drop), end.core.half_close(id)];
    let after = (end.core.states(id), end.core.wants_transmit(), end.core.poll_timeout());
    let expected = |it: &Result<(), Misuse>| matches!(it, Err(Misuse::AfterHalfClose | Misuse::CallEnded));
    ensure(refused.iter().all(expected) && before == after, "misuse never changes state", || {
        format!("{refused:?}: {before:?} -> {after:?}")
    })
}
