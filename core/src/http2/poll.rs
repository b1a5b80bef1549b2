//! What the caller is to do next: one answer for events, bytes, input that is left, and sleep.

use super::engine::Engine;
use super::outbox::Transmit;
use super::receive::Needed;
use crate::time::Time;
use crate::types::Event;
use std::time::Duration;

/// How long a closed connection offers its last bytes to a transport that does not take them.
const LAST_OCTETS: Duration = Duration::from_secs(10);

/// What [`Connection::poll`](crate::Connection::poll) wants done next. There will be no other variants in this version: a loop
/// that leaves one out does not compile.
#[derive(Debug)]
pub enum Next<'a> {
    /// Something happened: act on it, with commands to the connection if you like, and poll again.
    Event(Event),
    /// Bytes for the transport: write what it takes now, [`advance`](bytes::Buf::advance) by that, and poll again. A
    /// transport that takes nothing leaves it as it is: it is offered again after the next [`Next::Wait`].
    Transmit(Transmit<'a>),
    /// Bytes that were read before are left in the input: call [`receive`](crate::Connection::receive) again. With many
    /// connections on a thread, give the others their turn first.
    Receive,
    /// Nothing can be done now: wait for the transport or for time to pass.
    Wait(Wait),
    /// The connection is over, everything is told and everything is written: close the transport.
    Close,
}

/// What to wait for: whichever of these comes first. Then give the connection the bytes that came, if any, and poll.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Wait {
    /// The time at which to poll again at the latest, though nothing came; `None` where no timer runs.
    pub until: Option<Time>,
    /// Whether to wait for bytes and read them. Bytes are left unread only while the replies that the peer has called
    /// for wait for it to read them, and after [`receive_eof`](crate::Connection::receive_eof).
    pub may_read: bool,
    /// Whether bytes are left that the transport did not take: wait until it takes more, too.
    pub wants_write: bool,
}

/// What the last `receive` left of its input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Left {
    /// Nothing that could be parsed before more bytes come.
    Nothing,
    /// What did not fit into its turn.
    Turn,
    /// What may be parsed once replies have been written.
    Backlog,
}

/// How far [`Engine::poll`] has come.
pub(super) struct PollState {
    left: Left,
    /// How long that was, in bytes.
    length: usize,
    /// What had been written when bytes were last offered, since the caller was last told to wait.
    offered: Option<u64>,
    /// The transport brings nothing more.
    ended: bool,
    /// When the last bytes of a closed connection are given up.
    give_up: Option<Time>,
}

impl PollState {
    pub(super) const fn new() -> Self {
        Self { left: Left::Nothing, length: 0, offered: None, ended: false, give_up: None }
    }

    /// Returns whether an input of this length has bytes that the last `receive` did not leave.
    #[inline]
    pub(super) const fn is_new(&self, length: usize) -> bool {
        length != self.length
    }

    /// Notes what a `receive` left, from what it wants, and its length.
    #[inline]
    pub(super) fn received(&mut self, needed: Needed, length: usize) {
        self.length = length;
        self.left = match needed {
            Needed::More | Needed::Closed => Left::Nothing,
            Needed::Again => Left::Turn,
            Needed::Drain => Left::Backlog,
        };
    }

    /// Notes that the transport brings nothing more. Returns whether that was known.
    pub(super) fn end_input(&mut self) -> bool {
        std::mem::replace(&mut self.ended, true)
    }

    /// Returns whether the transport brings nothing more.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }
}

impl Engine {
    pub(crate) fn poll(&mut self, now: Time) -> Next<'_> {
        self.advance_clock(now);
        if self.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
            self.handle_timeout(now);
        }
        if let Some(event) = self.poll_event() {
            return Next::Event(event);
        }
        if self.turn.offered != Some(self.outbox.written()) {
            self.fill(now);
            // What was cut may have ended calls, or made buffer space, without a byte to show for it.
            if self.outbox.is_empty()
                && let Some(event) = self.poll_event()
            {
                return Next::Event(event);
            }
            if !self.outbox.is_empty() {
                self.turn.offered = Some(self.outbox.written());
                return Next::Transmit(self.outbox.transmit());
            }
        }
        self.rest()
    }

    /// Nothing is to be told, and nothing can be written now.
    fn rest(&mut self) -> Next<'_> {
        self.turn.offered = None;
        if self.is_closed() {
            return self.rest_closed();
        }
        let backed_up = self.turn.left == Left::Backlog && self.is_backed_up();
        if self.turn.left != Left::Nothing && !backed_up {
            return Next::Receive;
        }
        let may_read = !backed_up && !self.turn.ended;
        let until = self.poll_timeout().map(|(at, _)| at);
        Next::Wait(Wait { until, may_read, wants_write: !self.outbox.is_empty() })
    }

    #[cold]
    fn rest_closed(&mut self) -> Next<'_> {
        if self.outbox.is_empty() {
            return Next::Close;
        }
        let until = *self.turn.give_up.get_or_insert(self.now + LAST_OCTETS);
        if self.now >= until {
            return Next::Close;
        }
        // What still comes is read and dropped: the peer may have to write before it reads.
        Next::Wait(Wait { until: Some(until), may_read: !self.turn.ended, wants_write: true })
    }
}
