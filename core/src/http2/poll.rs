//! What the caller has to do next: a single answer for events, output, remaining input and sleep.

use super::engine::Engine;
use super::outbox::Transmit;
use super::receive::Needed;
use crate::time::Time;
use crate::types::Event;
use std::time::Duration;

/// How long a closed connection offers its last bytes to a transport that does not accept them.
const LAST_OCTETS: Duration = Duration::from_secs(10);

/// What [`Connection::poll`](crate::Connection::poll) asks its caller to do next. No variant will be added in this
/// major version, so a loop has to handle all of them.
#[derive(Debug)]
pub enum Next<'a> {
    /// Something happened: handle it, with commands to the connection if you like, and poll again.
    Event(Event),
    /// Bytes for the transport: write as many as it accepts, [`advance`](bytes::Buf::advance) by that number, and
    /// poll again. Bytes that the transport does not accept are offered again after the next [`Next::Wait`].
    Transmit(Transmit<'a>),
    /// The input still holds bytes that were read before: call [`receive`](crate::Connection::receive) again. With
    /// many connections on a thread, let the others run first.
    Receive,
    /// Nothing can be done now: wait for the transport or the time.
    Wait(Wait),
    /// The connection is over, and all events and bytes have been delivered: close the transport.
    Close,
}

/// What to wait for; the first of these ends the wait. Then pass received bytes, if any, to the connection and poll.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Wait {
    /// The latest time at which to poll again; `None` if no timer runs.
    pub until: Option<Time>,
    /// Whether to wait for bytes and read them. False only while too many replies wait for the peer to read them, and
    /// after [`receive_eof`](crate::Connection::receive_eof).
    pub may_read: bool,
    /// Whether to wait, too, until the transport accepts more bytes, because it has not accepted all of them.
    pub wants_write: bool,
}

/// The input that the last `receive` left unparsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Left {
    /// Nothing, or an incomplete frame.
    Nothing,
    /// Frames beyond the work limit of one turn.
    Turn,
    /// Frames that `receive` parses only once replies have been written.
    Backlog,
}

/// What [`Engine::poll`] remembers between calls.
pub(super) struct PollState {
    left: Left,
    /// The length of that input, in bytes.
    length: usize,
    /// `outbox.written()` when output was last offered; `None` once the caller has been told to wait.
    offered: Option<u64>,
    /// Whether the transport has ended its receiving direction.
    ended: bool,
    /// When a closed connection gives up on its last bytes.
    give_up: Option<Time>,
}

impl PollState {
    pub(super) const fn new() -> Self {
        Self { left: Left::Nothing, length: 0, offered: None, ended: false, give_up: None }
    }

    /// Returns whether an input of `length` bytes has bytes that the last `receive` has not seen.
    #[inline]
    pub(super) const fn is_new(&self, length: usize) -> bool {
        length != self.length
    }

    /// Records the result of a `receive` and the length of the input that it left.
    #[inline]
    pub(super) fn received(&mut self, needed: Needed, length: usize) {
        self.length = length;
        self.left = match needed {
            Needed::More | Needed::Closed => Left::Nothing,
            Needed::Again => Left::Turn,
            Needed::Drain => Left::Backlog,
        };
    }

    /// Records the end of the transport's receiving direction. Returns whether it was recorded before.
    pub(super) fn end_input(&mut self) -> bool {
        std::mem::replace(&mut self.ended, true)
    }

    /// Returns whether the transport's receiving direction has ended.
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
            // Framing may have ended calls or freed buffer space without producing a byte.
            if self.outbox.is_empty()
                && let Some(event) = self.poll_event()
            {
                return Next::Event(event);
            }
            if self.outbox.may_give() {
                self.turn.offered = Some(self.outbox.written());
                return Next::Transmit(self.outbox.transmit());
            }
        }
        self.rest()
    }

    /// Returns what to wait for, now that there are no events and nothing can be written.
    fn rest(&mut self) -> Next<'_> {
        self.turn.offered = None;
        self.audit();
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
        // Input is still read and dropped: the peer may have to write before it reads.
        Next::Wait(Wait { until: Some(until), may_read: !self.turn.ended, wants_write: true })
    }
}
