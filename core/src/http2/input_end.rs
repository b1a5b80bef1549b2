//! The end of the transport: of its receiving direction, or of both.

use std::borrow::Cow;

use super::engine::Engine;
use super::role::RoleKind;
use super::stream::{Side, Stream};
use crate::error::{CloseReason, ConnectionError};
use crate::frame::ErrorCode;
use crate::machine::{LifecycleInput, ServerRecv};
use crate::time::Time;
use crate::types::Cause;

impl Stream {
    /// Returns whether a server can complete this call without more from the client: the request is complete, or the
    /// status is set already.
    fn is_answerable(&self) -> bool {
        match &self.side {
            Side::Server(call) => call.recv == ServerRecv::Ended || call.status.is_some(),
            Side::Client(_) => false,
        }
    }
}

impl Engine {
    /// Handles the end of the peer's side of the transport. A server still sends the responses to complete requests,
    /// because a client may shut down its side after its last request and wait for them.
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

    /// Handles the loss of both directions of the transport: every call ends now, and queued output is dropped.
    pub(crate) fn transport_failed(&mut self, now: Time, why: Option<Cow<'static, str>>) {
        self.advance_clock(now);
        let _ = self.turn.end_input();
        drop(self.outbox.take());
        if !self.is_closed() {
            match why {
                // A GOAWAY with an error code that came before says more, as below.
                Some(why) => {
                    let error = self.goaway_error.take().unwrap_or(ConnectionError::Transport(why));
                    self.end_connection(CloseReason::Error(error.clone()), &error);
                }
                None => self.end_with_transport(),
            }
        }
        // Drop what ending the calls has written.
        drop(self.outbox.take());
    }

    /// Ends the calls that need more from the client to complete.
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

    /// Lets the connection end with its last response, or at `until`.
    fn answer_the_rest(&mut self, until: Time) {
        self.clock.input_ended(until);
        self.accept_limit = self.last_remote_id;
        // Completes a graceful shutdown in one step. A client whose process is gone answers the GOAWAY with a reset
        // of the transport, and that reset is the only way to detect it.
        self.write_goaway(self.last_accepted(), ErrorCode::NO_ERROR, b"");
        self.lifecycle(LifecycleInput::Shutdown);
        self.lifecycle(LifecycleInput::Confirmed);
    }

    /// Ends the calls whose responses took too long.
    pub(super) fn end_unanswered(&mut self) {
        self.cut_short = true;
        self.end_with_transport();
    }

    fn end_with_transport(&mut self) {
        let clean = self.has_no_calls() && self.open_block.is_none() && !self.cut_short;
        // An earlier GOAWAY with an error code explains more than the end of the transport that followed it.
        let error = self.goaway_error.take().unwrap_or(ConnectionError::Eof);
        let reason = if clean { CloseReason::Graceful } else { CloseReason::Error(error.clone()) };
        self.end_connection(reason, &error);
    }

    /// Returns why a draining connection is over, now that its last call has ended.
    pub(super) fn reason_of_end(&mut self) -> CloseReason {
        if !self.cut_short {
            return CloseReason::Graceful;
        }
        self.failure = Some(ConnectionError::Eof);
        CloseReason::Error(ConnectionError::Eof)
    }
}
