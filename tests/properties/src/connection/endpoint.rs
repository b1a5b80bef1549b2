//! One core under test: bytes in, bytes out, events and timers, each step checked.

use bytes::{Buf, BytesMut};
use halfclose::{
    CallId, Cause, CloseReason, Config, Connection, ConnectionError, Event, Misuse, Needed, Recv, Role, Seed,
    Time,
};

use super::credit::Granted;
use super::output::Output;
use super::tables::{self, Halves};

/// A call that the caller knows and that is not over.
pub(super) struct Call {
    pub(super) id: CallId,
    /// How often `recv` returned Pending, less the number of Readables; one Readable may answer several.
    pub(super) wants_read: u32,
    /// How often `send_message` found no more space, less the number of Writables; one Writable may answer several.
    pub(super) wants_write: u32,
    /// Whether response headers were reported.
    pub(super) responded: bool,
    /// Whether a message was sent or received, after which the call type is fixed.
    pub(super) fixed: bool,
    halves: Halves,
}

/// A core, its clock, and what is known about it.
pub(super) struct Endpoint<R: Role> {
    pub(super) core: Connection<R>,
    pub(super) now: Time,
    pub(super) calls: Vec<Call>,
    /// Bytes that the core wrote and the peer has not received yet.
    pub(super) written: Vec<u8>,
    pub(super) closed: Option<CloseReason>,
    is_client: bool,
    input: BytesMut,
    failure: Option<ConnectionError>,
    pub(super) granted: Granted,
    output: Output,
}

impl<R: Role> Endpoint<R> {
    pub(super) fn new(config: Config, is_client: bool) -> Self {
        let output = Output::new(is_client, &config);
        Self {
            core: Connection::new(config, Seed(1), Time::ZERO),
            now: Time::ZERO,
            calls: Vec::new(),
            written: Vec::new(),
            closed: None,
            is_client,
            input: BytesMut::new(),
            failure: None,
            granted: Granted::new(!is_client),
            output,
        }
    }

    /// Feeds bytes, `step` of them at a time.
    pub(super) fn feed(&mut self, bytes: &[u8], step: usize) {
        for piece in bytes.chunks(step.max(1)) {
            self.granted.read(piece);
            self.input.extend_from_slice(piece);
            self.receive();
        }
    }

    fn receive(&mut self) {
        loop {
            let before = self.input.len();
            match self.core.receive(self.now, &mut self.input) {
                Ok(Needed::More) => return self.failed(None),
                Ok(Needed::Closed) => {
                    assert!(self.core.is_closed() && self.input.is_empty());
                    return self.failed(None);
                }
                Ok(Needed::Again) => assert!(self.input.len() < before, "a turn without progress"),
                // A peer that reads the replies may continue to write; reading ends what makes the core wait.
                Ok(Needed::Drain) => assert!(self.flush(usize::MAX) > 0, "drain, and nothing to drain"),
                Ok(needed) => panic!("unknown to this model: {needed:?}"),
                Err(error) => {
                    assert!(self.core.is_closed() && self.input.is_empty());
                    return self.failed(Some(error));
                }
            }
        }
    }

    /// Checks that a core which failed once keeps failing, with the same error.
    fn failed(&mut self, error: Option<ConnectionError>) {
        if let Some(earlier) = &self.failure {
            assert_eq!(error.as_ref(), Some(earlier), "an error that changed or went away");
        }
        self.failure = error;
    }

    /// Reads the core's output, at most `most` bytes at a time. Returns their number.
    pub(super) fn flush(&mut self, most: usize) -> usize {
        let before = self.written.len();
        while let Some(mut out) = self.core.poll_transmit(self.now) {
            let (offered, chunk) = (out.remaining(), out.chunk());
            assert!(!chunk.is_empty() && chunk.len() <= offered, "an empty transmit");
            let count = chunk.len().min(most.max(1));
            self.written.extend_from_slice(&chunk[..count]);
            out.advance(count);
            assert_eq!(out.remaining(), offered - count);
        }
        assert!(!self.core.wants_transmit(), "nothing to transmit, and yet something");
        self.output.read(&self.written[before..], &self.granted);
        self.written.len() - before
    }

    /// Moves the clock to `to`, stopping at every timer on the way.
    pub(super) fn advance(&mut self, to: Time) {
        while let Some((at, kind)) = self.core.poll_timeout().filter(|(at, _)| *at <= to) {
            self.now = self.now.max(at);
            self.core.handle_timeout(self.now);
            let next = self.core.poll_timeout();
            let due = next.filter(|(next, _)| *next <= self.now);
            assert!(due.is_none(), "{kind} at {at:?} leaves {due:?} due");
            self.check_states();
        }
        self.now = self.now.max(to);
    }

    /// Returns the next event, after a check that it is legal.
    pub(super) fn event(&mut self) -> Option<Event> {
        let event = self.core.poll_event()?;
        assert!(self.closed.is_none(), "{event:?} after Closed");
        match &event {
            Event::Request(id) => {
                assert!(!self.is_client, "a client is asked nothing");
                assert!(self.position(*id).is_none(), "{id:?} was told of twice");
                self.begin(*id);
            }
            Event::Response(id) => {
                let call = self.call(*id).expect("a response for a call that is open");
                assert!(!std::mem::replace(&mut call.responded, true), "two responses for one call");
            }
            Event::Readable(id) => {
                let call = self.call(*id).expect("readable, and not open");
                call.wants_read = call.wants_read.checked_sub(1).expect("readable, and nobody asked");
            }
            Event::Writable(id) => {
                let call = self.call(*id).expect("writable, and not open");
                call.wants_write = call.wants_write.checked_sub(1).expect("writable, and nobody asked");
            }
            Event::Ended(id, cause) => {
                assert!(!self.is_client, "a client takes its end by recv");
                assert_ne!(*cause, Cause::MissingTrailers, "a server's call ends by its own status");
                self.end(*id);
            }
            Event::Closed(reason) => {
                assert!(self.core.is_closed());
                if let (Some(failure), CloseReason::Error(error)) = (&self.failure, reason) {
                    assert_eq!(failure, error);
                }
                self.closed = Some(reason.clone());
            }
            Event::PeerSettings | Event::GoAway { .. } => {}
            event => panic!("unknown to this model: {event:?}"),
        }
        Some(event)
    }

    /// Records that a call begins, by an event or a command.
    pub(super) fn begin(&mut self, id: CallId) {
        let halves = tables::halves(&self.core.states(id).expect("a new call has states"));
        self.calls.push(Call { id, wants_read: 0, wants_write: 0, responded: false, fixed: false, halves });
    }

    /// Records that a call is over: its id is stale from here on for every command.
    pub(super) fn end(&mut self, id: CallId) {
        let index = self.position(id).expect("a call that is open ends, and once");
        self.calls.swap_remove(index);
        assert_eq!(self.core.states(id), Err(Misuse::UnknownCall));
        assert!(matches!(self.core.recv(id), Err(Misuse::UnknownCall)));
        assert_eq!(self.core.cancel(id), Err(Misuse::UnknownCall));
        assert_eq!(self.core.deadline(id), None);
        assert!(!self.core.is_writable(id));
    }

    fn position(&self, id: CallId) -> Option<usize> {
        self.calls.iter().position(|call| call.id == id)
    }

    pub(super) fn call(&mut self, id: CallId) -> Option<&mut Call> {
        self.calls.iter_mut().find(|call| call.id == id)
    }

    /// Returns the open call that a number selects.
    pub(super) fn pick(&self, number: u8) -> Option<CallId> {
        let count = self.calls.len();
        (count > 0).then(|| self.calls[usize::from(number) % count].id)
    }

    /// Returns whether this end starts the calls.
    pub(super) fn is_client(&self) -> bool {
        self.is_client
    }

    /// Receives the next message of a call, or its end.
    pub(super) fn recv(&mut self, id: CallId) -> Recv {
        let taken = self.core.recv(id).expect("an open call can be asked");
        match &taken {
            Recv::Pending => self.call(id).expect("open").wants_read += 1,
            Recv::End(outcome) => {
                assert!(self.is_client);
                assert!(!outcome.status.to_string().is_empty());
                self.end(id);
            }
            Recv::HalfClosed => assert!(!self.is_client, "a client's call has an outcome"),
            Recv::Message(_) => self.call(id).expect("open").fixed = true,
            taken => panic!("unknown to this model: {taken:?}"),
        }
        self.check_states();
        taken
    }

    /// Checks that both halves of every call have moved only along rows of their tables.
    pub(super) fn check_states(&mut self) {
        for call in &mut self.calls {
            let states = self.core.states(call.id).expect("a call that nobody ended is there");
            let halves = tables::halves(&states);
            tables::assert_reachable(call.halves, halves);
            call.halves = halves;
        }
    }

    /// Checks everything that every step must keep true.
    pub(super) fn check(&mut self) {
        self.check_states();
        if self.core.is_closed() {
            assert_eq!(self.core.poll_timeout(), None, "a closed connection waits for nothing");
        }
        if let Some((at, kind)) = self.core.poll_timeout() {
            assert!(at != Time::MAX, "{kind} at the end of time");
        }
    }
}
