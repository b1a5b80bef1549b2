//! The end of the transport: of what it brings, and of both directions.

use super::engine::Engine;
use super::role::RoleKind;
use super::stream::{Side, Stream};
use crate::error::{CloseReason, ConnectionError};
use crate::frame::ErrorCode;
use crate::machine::{LifecycleInput, ServerRecv};
use crate::time::Time;
use crate::types::Cause;

impl Stream {
    /// Returns whether the rest of a server's call needs nothing more from its client: its request is complete, or its
    /// status is only to be written.
    fn is_answerable(&self) -> bool {
        match &self.side {
            Side::Server(call) => call.recv == ServerRecv::Ended || call.status.is_some(),
            Side::Client(_) => false,
        }
    }
}

impl Engine {
    /// The peer has ended its side of the transport. Answers to requests that are complete may still go out: a client
    /// that shuts down its side after its last request waits for them.
    pub(crate) fn receive_eof(&mut self, now: Time) {
        self.advance_clock(now);
        if self.turn.end_input() || self.is_closed() {
            return;
        }
        let grace = self.config.limits.half_close_timeout;
        if self.role == RoleKind::Server && !grace.is_zero() && self.goaway_error.is_none() {
            self.end_unanswerable();
            if !self.has_no_calls() {
                return self.answer_the_rest(self.now + grace);
            }
        }
        self.end_with_transport();
    }

    /// Neither direction of the transport works any more: every call ends now, and what is queued is dropped.
    pub(crate) fn transport_failed(&mut self, now: Time) {
        self.advance_clock(now);
        let _ = self.turn.end_input();
        drop(self.outbox.take());
        if !self.is_closed() {
            self.end_with_transport();
        }
        // Whatever the end of calls wrote.
        drop(self.outbox.take());
    }

    /// Ends the calls that can only go on with more from the client.
    fn end_unanswerable(&mut self) {
        self.cut_short |= self.open_block.is_some();
        let open: Vec<u32> = self.slots.occupied().collect();
        for slot in open {
            let Some(stream) = self.slots.get(slot) else { continue };
            if !stream.wire_done && !stream.is_answerable() {
                self.cut_short = true;
                self.end_server(slot, Cause::Connection, None);
            }
        }
    }

    /// The connection ends with its last answer, or at `until`.
    fn answer_the_rest(&mut self, until: Time) {
        self.clock.input_ended(until);
        self.accept_limit = self.last_remote_id;
        // Whatever of a graceful shutdown was still to be said: a client that has gone altogether answers this with a
        // reset of the transport, which is the only way to hear of that.
        self.write_goaway(self.last_accepted(), ErrorCode::NO_ERROR, b"");
        self.lifecycle(LifecycleInput::Shutdown);
        self.lifecycle(LifecycleInput::Confirmed);
    }

    /// The answers have had their time.
    pub(super) fn end_unanswered(&mut self) {
        self.cut_short = true;
        self.end_with_transport();
    }

    fn end_with_transport(&mut self) {
        let clean = self.has_no_calls() && self.open_block.is_none() && !self.cut_short;
        // A GOAWAY with an error code that came before says more than the end of the transport that followed it.
        let error = self.goaway_error.take().unwrap_or(ConnectionError::Eof);
        let reason = if clean { CloseReason::Graceful } else { CloseReason::Error(error.clone()) };
        self.end_connection(reason, &error);
    }

    /// Why a connection that goes away is over with its last call.
    pub(super) fn reason_of_end(&mut self) -> CloseReason {
        if !self.cut_short {
            return CloseReason::Graceful;
        }
        self.failure = Some(ConnectionError::Eof);
        CloseReason::Error(ConnectionError::Eof)
    }
}
