//! The two halves of a caller's work on one call: it sends and it reads, each at its own pace, so that neither waits
//! for the other (two callers that only wrote would block each other by flow control, correctly).

use halfclose::{CallId, Connection, Message, Misuse, Recv, Role, Sent, Time};

use crate::content;
use crate::ledger::{Account, SentMessage};
use crate::program::{Pace, Send, Side};
use crate::wire::{FailedProperty, breach, ensure};

/// Sends a list of messages.
pub(crate) struct Sender {
    list: Vec<Send>,
    index: usize,
    /// When the next message is due; `None` when none is left.
    pub(crate) due: Option<Time>,
    /// Whether the core reported that there is no space.
    blocked: bool,
    pub(crate) done: bool,
}

impl Sender {
    pub(crate) fn new(list: &[Send], now: Time) -> Self {
        let due = Some(list.first().map_or(now, |first| now + first.delay));
        Self { list: list.to_vec(), index: 0, due, blocked: false, done: false }
    }

    pub(crate) fn stop(&mut self) {
        self.due = None;
        self.done = true;
    }

    /// Returns when it has to run next.
    pub(crate) fn wake(&self) -> Option<Time> {
        if self.blocked { None } else { self.due }
    }

    /// Handles `Event::Writable`.
    pub(crate) fn writable(&mut self) -> Result<(), FailedProperty> {
        ensure(self.blocked || self.done, "Writable is told to who waits", || "nobody waited".into())?;
        self.blocked = false;
        Ok(())
    }

    /// Sends what is due. Returns whether the last message has been handed over.
    pub(crate) fn run<R: Role>(
        &mut self,
        core: &mut Connection<R>,
        call: (usize, CallId),
        from: Side,
        compresses: bool,
        account: &mut Account,
        now: Time,
    ) -> Result<bool, FailedProperty> {
        while !self.done && !self.blocked && self.due.is_some_and(|due| due <= now) {
            let Some(&send) = self.list.get(self.index) else {
                self.stop();
                return Ok(true);
            };
            let payload = content::payload(call.0, from, account.sent.len(), send.size);
            let writable = core.is_writable(call.1);
            match core.send_message(call.1, payload, send.compress) {
                Ok(sent) => {
                    ensure(writable, "is_writable tells what send_message does", || "it said no".into())?;
                    let compressed = send.compress && compresses;
                    account.sent.push(SentMessage { size: send.size, compressed });
                    self.index += 1;
                    self.due =
                        Some(now + self.list.get(self.index).map_or_else(Default::default, |it| it.delay));
                    self.blocked = sent == Sent::Full && self.index < self.list.len();
                    if sent == Sent::Full {
                        ensure(!core.is_writable(call.1), "Full means full", || format!("{call:?}"))?;
                    }
                }
                Err(Misuse::NotWritable { queued, limit }) => {
                    ensure(!writable && queued >= limit, "NotWritable means full", || {
                        format!("{queued} {limit}")
                    })?;
                    self.blocked = true;
                }
                Err(Misuse::UnknownCall | Misuse::CallEnded) => self.stop(),
                // Only the plan of a method that carries one message has a second one, which is refused.
                Err(Misuse::SecondMessage) => self.index += 1,
                Err(other) => {
                    return breach("a legal order is taken", format!("{from:?} call {}: {other:?}", call.0));
                }
            }
        }
        Ok(false)
    }
}

/// The result of a read.
pub(crate) enum Found {
    /// Nothing to do before the next wake or event.
    Idle,
    /// The peer's half is complete, or the call is over.
    End(Recv),
}

/// Reads messages.
pub(crate) struct Reader {
    pace: Pace,
    /// When the next batch is due.
    due: Time,
    /// Whether `recv` returned `Pending`.
    waiting: bool,
    pub(crate) done: bool,
}

impl Reader {
    pub(crate) fn new(pace: Pace, now: Time) -> Self {
        Self { pace, due: now + pace.delay, waiting: false, done: false }
    }

    pub(crate) fn wake(&self) -> Option<Time> {
        (!self.waiting && !self.done).then_some(self.due)
    }

    /// Handles `Event::Readable`.
    pub(crate) fn readable(&mut self, now: Time) -> Result<(), FailedProperty> {
        ensure(self.waiting || self.done, "Readable is told to who waits", || "nobody waited".into())?;
        self.waiting = false;
        self.due = self.due.max(now + self.pace.delay);
        Ok(())
    }

    /// Reads what is due, and passes each message to `check`.
    pub(crate) fn run<R: Role>(
        &mut self,
        core: &mut Connection<R>,
        id: CallId,
        now: Time,
        mut check: impl FnMut(Message) -> Result<(), FailedProperty>,
    ) -> Result<Found, FailedProperty> {
        while !self.done && !self.waiting && self.due <= now {
            let mut left = if self.pace.batch == 0 { usize::MAX } else { self.pace.batch.into() };
            while left > 0 {
                left -= 1;
                match core.recv(id) {
                    Ok(Recv::Message(message)) => check(message)?,
                    Ok(Recv::Pending) => {
                        self.waiting = true;
                        break;
                    }
                    Ok(end) => {
                        self.done = true;
                        return Ok(Found::End(end));
                    }
                    Err(misuse) => {
                        return breach("a call is known until its end was told", format!("{misuse:?}"));
                    }
                }
            }
            self.due = now + self.pace.delay.max(std::time::Duration::from_nanos(1));
        }
        Ok(Found::Idle)
    }
}

/// Checks a message against the one that was sent: messages arrive in order, complete and unmodified.
pub(crate) fn check_message(
    call: usize,
    from: Side,
    sent: &Account,
    index: usize,
    message: &Message,
) -> Result<SentMessage, FailedProperty> {
    let property = "messages in order, complete, unmodified";
    let Some(&expected) = sent.sent.get(index) else {
        return breach(property, format!("call {call}: message {index} from {from:?} was never sent"));
    };
    let whole = message.payload == content::payload(call, from, index, expected.size);
    ensure(whole && message.compressed == expected.compressed, property, || {
        format!(
            "call {call}: message {index} from {from:?} has {} bytes, not {expected:?}",
            message.payload.len()
        )
    })?;
    Ok(expected)
}
