//! Every way in which a call or the connection ends. All of them share a few functions that retire the stream id,
//! drop what is queued and release what is held, so that no path can forget one of these.

use std::sync::Arc;
use std::time::Duration;

use super::engine::{Engine, READY, WAITING};
use super::ids::HowClosed;
use super::memory::Ledger;
use super::role::RoleKind;
use super::stream::{ClientStage, Pending, ServerHeaders, Side, Stream};
use crate::error::{CloseReason, ConnectionError, Violation};
use crate::frame::{ErrorCode, RstStream, StreamId};
use crate::grpc::metadata::Metadata;
use crate::grpc::status::{Code, Status};
use crate::machine::{
    ClientRecvInput, ClientSendInput, ClosedStream, Lifecycle, LifecycleInput, ServerRecv, ServerRecvInput,
    ServerSend, ServerSendInput, Step,
};
use crate::time::Time;
use crate::types::{Cause, Initiator, Outcome};

/// How long the response to a refused request may take to be sent, and how long the rest of that request is read
/// afterwards.
pub(super) const REFUSED_PATIENCE: Duration = Duration::from_secs(5);

/// The cause of a call that this library itself ends.
pub(super) const CUT_BY_US: Cause = Cause::Reset { code: ErrorCode::CANCEL, by: Initiator::Library };

impl Stream {
    /// Returns whether the request on this stream was refused and the response to it has been sent.
    fn is_refused_and_answered(&self) -> bool {
        match &self.side {
            Side::Server(call) => {
                matches!(call.headers, ServerHeaders::RefusalSent) && call.send == ServerSend::Ended
            }
            Side::Client(_) => false,
        }
    }

    /// Records the outcome of a client's call; the first one wins ([P-89](crate::manual::rules#p-89)). Returns which
    /// events the caller waits for.
    #[inline]
    fn conclude_client(&mut self, mut outcome: Outcome, now: Time, ledger: &mut Ledger) -> Waiting {
        let Side::Client(call) = &mut self.side else { return Waiting::default() };
        if matches!(call.stage, ClientStage::Done(_) | ClientStage::Taken) {
            return Waiting::default();
        }
        // P-84: messages that arrived before a cancel or a deadline need not be delivered.
        if matches!(outcome.cause, Cause::Cancelled | Cause::Deadline) {
            ledger.dropped(&mut self.inbound);
        }
        // P-84: the server's deadline timer fired before ours, so the CANCELLED status that it sent means
        // DEADLINE_EXCEEDED.
        if outcome.status.code == Code::Cancelled
            && outcome.cause != Cause::Cancelled
            && self.deadline.is_some_and(|deadline| deadline <= now)
        {
            outcome.status =
                Status::deadline_exceeded("the deadline passed, and the server cancelled the call");
        }
        outcome.begun = call.begun;
        call.stage = ClientStage::Done(outcome);
        // P-88: a caller that waits for buffer space would wait for ever.
        Waiting { reads: std::mem::take(&mut self.want_read), writes: std::mem::take(&mut self.want_write) }
    }

    /// Records that a server's call is over; returns whether the caller has to be notified. A caller that has not
    /// seen the request yet never sees it if the client took it back, its message was refused or its deadline passed.
    /// The end of the connection does not suppress it: otherwise the way in which the bytes were split would decide
    /// whether the caller sees the request.
    #[inline]
    fn conclude_server(&mut self, cause: Cause) -> bool {
        if !matches!(cause, Cause::Connection) && self.pending.contains(Pending::REQUEST) {
            self.pending.clear();
            self.caller_done = true;
        }
        let Side::Server(call) = &mut self.side else { return false };
        if self.caller_done || call.cause.is_some() {
            return false;
        }
        if matches!(cause, Cause::Trailers | Cause::TrailersOnly) {
            // The caller itself has ended the call, so none of its pending events matter any more.
            self.pending.clear();
        }
        call.cause = Some(cause);
        self.want_read = false;
        self.want_write = false;
        true
    }
}

/// Which events the caller of a client's call waits for.
#[derive(Default)]
struct Waiting {
    reads: bool,
    writes: bool,
}

impl Engine {
    #[inline]
    fn tell_waiting(&mut self, slot: u32, Waiting { reads, writes }: Waiting) {
        if reads {
            self.tell(slot, Pending::READABLE);
        }
        if writes {
            self.tell(slot, Pending::WRITABLE);
        }
    }

    /// Takes a call off the wire: retires its id, drops its send queue and removes it from every queue of calls.
    pub(super) fn retire(&mut self, slot: u32, how: HowClosed) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        if stream.wire_done {
            return;
        }
        stream.wire_done = true;
        // Frames that the peer sends before it receives our reset are no abuse, nor is credit for what it has
        // received.
        if how == HowClosed::ResetByUs {
            self.abuse.expect_late_data(stream.recv_window);
        }
        let uncredited = i64::from(self.peer.initial_window) - stream.send_window;
        let id = std::mem::take(&mut stream.id);
        stream.drop_queue(&mut self.ledger);
        self.deadlines.remove(slot);
        self.queues.remove(slot);
        self.short.remove(slot);
        self.release_promises(slot);
        if id == 0 {
            self.leave_queue();
        } else {
            self.ids.remove(id);
            self.closed_ids.insert(id, how);
            self.open_streams = self.open_streams.saturating_sub(1);
            self.abuse.ended(uncredited);
        }
        self.start_waiting();
        self.memory_freed();
        let draining = self.lifecycle != Lifecycle::Running;
        self.clock.call_ended(self.now, self.open_streams == 0, draining, &self.config);
        self.check_drained();
    }

    /// Moves calls from `WAITING` to `READY` ([P-19](crate::manual::rules#p-19)), one for each stream that the peer
    /// allows and no call in `READY` is about to open.
    #[inline]
    pub(super) fn start_waiting(&mut self) {
        if self.queues.len_of(WAITING) > 0 {
            self.start_some();
        }
    }

    #[inline(never)]
    fn start_some(&mut self) {
        let waiting = self.queues.len_of(WAITING);
        let in_line = self.queued_calls.saturating_sub(waiting);
        let taken = self.open_streams.saturating_add(in_line);
        let free = self.peer.max_concurrent_streams.saturating_sub(taken);
        for _ in 0..free.min(waiting) {
            let Some(slot) = self.queues.pop_from(WAITING) else { return };
            self.queues.join(READY, slot);
        }
    }

    /// Frees the slot of a call that both the wire and the caller are done with.
    #[inline]
    pub(super) fn free_if_done(&mut self, slot: u32) {
        let Some(stream) = self.slots.get(slot) else { return };
        if stream.wire_done && stream.caller_done {
            self.drop_inbound(slot);
            self.slots.remove(slot);
        }
    }

    /// Writes RST_STREAM in reply to a frame.
    pub(super) fn reply_reset(&mut self, id: u32, code: ErrorCode) {
        self.reply(|out| RstStream { stream: StreamId::new(id), code }.write(out));
    }

    /// Writes RST_STREAM for an open stream. On a client the peer cannot multiply resets: its caller started these
    /// calls, and their requests have been sent. On a server the client causes them, by starting calls and letting
    /// their deadlines pass.
    fn write_reset(&mut self, id: u32, code: ErrorCode) {
        let reset = RstStream { stream: StreamId::new(id), code };
        match self.role {
            RoleKind::Client => reset.write(self.outbox.buf()),
            RoleKind::Server => self.write_called_for(|out| reset.write(out)),
        }
    }

    /// Sends RST_STREAM if `reset` has a code and the call has a stream, and retires the id.
    fn reset_and_retire(&mut self, slot: u32, reset: Option<ErrorCode>, otherwise: HowClosed) {
        let id = self.slots.get(slot).map_or(0, |stream| stream.id);
        match reset {
            Some(code) if id != 0 => {
                self.write_reset(id, code);
                self.retire(slot, HowClosed::ResetByUs);
            }
            _ => self.retire(slot, otherwise),
        }
    }

    /// Sends RST_STREAM because the client broke a rule on an open stream, and retires the id.
    fn reply_reset_and_retire(&mut self, slot: u32, code: ErrorCode) {
        let id = self.slots.get(slot).map_or(0, |stream| stream.id);
        self.reply_reset(id, code);
        self.retire(slot, HowClosed::ResetByUs);
    }

    /// Retires a call that is complete on this side; sends RST_STREAM(NO_ERROR) first if the peer is still sending.
    fn close_and_retire(&mut self, slot: u32, unfinished: bool) {
        if unfinished {
            self.reset_and_retire(slot, Some(ErrorCode::NO_ERROR), HowClosed::Ended);
        } else {
            self.retire(slot, HowClosed::Ended);
        }
    }

    /// Ends a client's call with the status that the server sent, whether or not our half was still open
    /// ([P-31](crate::manual::rules#p-31)).
    pub(super) fn finish_client(&mut self, slot: u32, status: Status, cause: Cause) {
        self.finish_client_with(slot, self.without_trailers(status, cause));
    }

    fn without_trailers(&self, status: Status, cause: Cause) -> Outcome {
        Outcome { status, trailers: Arc::clone(&self.no_metadata), cause, headers: None, begun: false }
    }

    pub(super) fn finish_client_with(&mut self, slot: u32, outcome: Outcome) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let Side::Client(call) = &mut stream.side else { return };
        // The server has ended the call, so requests that have not been sent yet are dropped.
        let open = match call.send.step(ClientSendInput::PeerEnded) {
            Step::To(next) => {
                call.send = next;
                true
            }
            _ => false,
        };
        let waiting = stream.conclude_client(outcome, self.now, &mut self.ledger);
        self.tell_waiting(slot, waiting);
        self.close_and_retire(slot, open);
    }

    /// Cuts a client's call short: by a reset, a deadline, its caller, or the end of the connection.
    pub(super) fn cut_client(&mut self, slot: u32, status: Status, cause: Cause, reset: Option<ErrorCode>) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let Side::Client(call) = &mut stream.side else { return };
        let remote = matches!(cause, Cause::Reset { by: Initiator::Remote, .. });
        if let Step::To(next) = call.send.step(ClientSendInput::Cancel) {
            call.send = next;
        }
        let input = if remote { ClientRecvInput::Reset } else { ClientRecvInput::Cancel };
        if let Step::To(next) = call.recv.step(input) {
            call.recv = next;
        }
        let how = if remote { HowClosed::ResetByPeer } else { HowClosed::ResetByUs };
        self.reset_and_retire(slot, reset, how);
        let outcome = self.without_trailers(status, cause);
        if let Some(stream) = self.slots.get_mut(slot) {
            let waiting = stream.conclude_client(outcome, self.now, &mut self.ledger);
            self.tell_waiting(slot, waiting);
        }
        self.free_if_done(slot);
    }

    /// Returns whether the caller has not polled the request event of this call yet.
    pub(super) fn is_unheard(&self, slot: u32) -> bool {
        self.slots.get(slot).is_some_and(|stream| stream.pending.contains(Pending::REQUEST))
    }

    /// Ends a server's call without a status; sends RST_STREAM if `reset` has a code.
    pub(super) fn end_server(&mut self, slot: u32, cause: Cause, reset: Option<ErrorCode>) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let Side::Server(call) = &mut stream.side else { return };
        if let Step::To(next) = call.send.step(ServerSendInput::Cancel) {
            call.send = next;
        }
        let remote = matches!(cause, Cause::Reset { by: Initiator::Remote, .. });
        let input = if remote { ServerRecvInput::Reset } else { ServerRecvInput::Cancel };
        if let Step::To(next) = call.recv.step(input) {
            call.recv = next;
        }
        // Messages that arrived before the end of the connection are still delivered. Those before a reset are not,
        // because the client no longer wants an answer.
        if cause != Cause::Connection {
            self.ledger.dropped(&mut stream.inbound);
        }
        let how = if remote { HowClosed::ResetByPeer } else { HowClosed::ResetByUs };
        match reset {
            Some(code) if matches!(cause, Cause::Violation(_)) => self.reply_reset_and_retire(slot, code),
            _ => self.reset_and_retire(slot, reset, how),
        }
        self.conclude_server(slot, cause);
    }

    /// Queues the event that a server's call is over, if the caller needs it.
    fn conclude_server(&mut self, slot: u32, cause: Cause) {
        if let Some(stream) = self.slots.get_mut(slot)
            && stream.conclude_server(cause)
        {
            self.tell(slot, Pending::ENDED);
        }
        self.free_if_done(slot);
    }

    /// Ends a server's call with a status of the library: sends the status, and tells the handler to stop.
    pub(super) fn answer(&mut self, slot: u32, status: Status, cause: Cause) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let Side::Server(call) = &mut stream.side else { return };
        match call.send.step(ServerSendInput::Status) {
            Step::To(next) => call.send = next,
            // A status has been set already, and wins.
            _ => return,
        }
        call.status = Some((status, Metadata::new()));
        call.headers.settle();
        if let Step::To(next) = call.recv.step(ServerRecvInput::Cancel) {
            call.recv = next;
        }
        self.ledger.dropped(&mut stream.inbound);
        self.short.remove(slot);
        // Drop the queued messages: this status replaces them.
        stream.drop_queue(&mut self.ledger);
        // Unlike them, the status does not wait for the connection's window.
        self.queues.remove(slot);
        self.conclude_server(slot, cause);
        self.schedule(slot);
        self.release_promises(slot);
        self.memory_freed();
    }

    /// Ends the call with `status`, even if another status is queued behind messages that cannot be sent; those are
    /// dropped.
    pub(super) fn overrule(&mut self, slot: u32, status: Status, cause: Cause) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        match &mut stream.side {
            Side::Server(call) if call.status.is_some() => call.status = Some((status, Metadata::new())),
            Side::Server(_) => return self.answer(slot, status, cause),
            Side::Client(_) => return self.cut_client(slot, status, cause, Some(ErrorCode::CANCEL)),
        }
        stream.drop_queue(&mut self.ledger);
        self.ledger.dropped(&mut stream.inbound);
        self.queues.remove(slot);
        self.short.remove(slot);
        self.conclude_server(slot, cause);
        self.schedule(slot);
        self.memory_freed();
    }

    /// Ends the call with `status`, on either side, because the peer broke a rule of gRPC on it.
    pub(super) fn reject(&mut self, slot: u32, status: Status) {
        let code = ErrorCode::CANCEL;
        let cause = CUT_BY_US;
        match self.role {
            RoleKind::Server => self.answer(slot, status, cause),
            RoleKind::Client => self.cut_client(slot, status, cause, Some(code)),
        }
    }

    /// Resets a stream on which the peer broke a rule. The connection continues unless this happens too often.
    #[cold]
    pub(super) fn on_stream_violation(&mut self, id: u32, violation: Violation) -> Result<(), Violation> {
        self.abuse.internal_reset(self.now)?;
        let code = violation.code();
        let Some(slot) = self.ids.get(id) else {
            // RFC 9113 §6.4: an idle stream cannot be reset, so the fault costs the connection (§5.4).
            if self.closed_state(id) == ClosedStream::Idle {
                return Err(violation);
            }
            self.reply_reset(id, code);
            self.closed_ids.insert(id, HowClosed::ResetByUs);
            return Ok(());
        };
        match self.role {
            RoleKind::Server => self.end_server(slot, Cause::Violation(violation), Some(code)),
            RoleKind::Client => {
                let status = Status::new(Code::Internal, format!("{violation} ({})", violation.section()));
                self.cut_client(slot, status, Cause::Violation(violation), Some(code));
            }
        }
        Ok(())
    }

    /// Fails the connection because the peer broke one of its rules: sends GOAWAY, ends every call and stops reading.
    #[cold]
    pub(super) fn fail(&mut self, violation: Violation) -> ConnectionError {
        let debug = match &violation {
            Violation::Flood { flood, .. } => flood.to_string(),
            Violation::Timeout(timeout) => timeout.to_string(),
            other => format!("{}: {other}", other.section()),
        };
        self.write_goaway(self.last_accepted(), violation.code(), debug.as_bytes());
        let error = ConnectionError::Violation(violation);
        self.end_connection(CloseReason::Error(error.clone()), &error);
        error
    }

    /// Closes the connection from this side, through no fault of the peer.
    pub(super) fn close_with(&mut self, code: ErrorCode, debug: &'static str) {
        self.write_goaway(self.last_accepted(), code, debug.as_bytes());
        let error = ConnectionError::Closed { code, debug: debug.into() };
        self.end_connection(CloseReason::Error(error.clone()), &error);
    }

    /// Ends the connection: every call on it fails with `error`, and the owner gets `reason`.
    pub(super) fn end_connection(&mut self, reason: CloseReason, error: &ConnectionError) {
        self.lifecycle(LifecycleInput::Fatal);
        self.clock.stop();
        self.end_every_call(error);
        if let CloseReason::Error(error) = &reason {
            self.failure = Some(error.clone());
        }
        self.close_reason = Some(reason);
    }

    /// Ends every call of a connection that has ended ([P-105](crate::manual::rules#p-105)).
    fn end_every_call(&mut self, error: &ConnectionError) {
        let open: Vec<u32> = self.slots.occupied().collect();
        for slot in open {
            let Some(stream) = self.slots.get(slot) else { continue };
            if stream.wire_done {
                continue;
            }
            match &stream.side {
                Side::Client(call) => {
                    let cause = match call.stage {
                        ClientStage::Queued(_) => Cause::NeverSent,
                        // P-93: the server may have processed every request that its GOAWAY did not refuse.
                        _ => match error {
                            ConnectionError::GoAway { code, .. } => {
                                Cause::GoAway { code: *code, processed: true }
                            }
                            _ => Cause::Connection,
                        },
                    };
                    self.cut_client(slot, Status::unavailable(error.to_string()), cause, None);
                }
                Side::Server(_) => self.end_server(slot, Cause::Connection, None),
            }
        }
    }

    /// Goes on reading the rest of a refused request after its response has been sent. The sender may not speak gRPC
    /// and may not expect an early end ([P-31](crate::manual::rules#p-31)), so the rest is checked as RFC 9113 says,
    /// for a limited time and within its window.
    #[cold]
    fn listen_on(&mut self, slot: u32) {
        let until = self.now + REFUSED_PATIENCE;
        if let Some(stream) = self.slots.get_mut(slot) {
            stream.deadline = Some(until);
            self.deadlines.insert(slot, until);
        }
    }

    /// Handles more DATA of a refused request: END_STREAM retires the stream, a full window resets it.
    #[cold]
    pub(super) fn on_refused_data(&mut self, slot: u32, end: bool) {
        let Some(stream) = self.slots.get(slot) else { return };
        // Before the response has been sent, the stream is retired by the end of that response.
        if !stream.is_refused_and_answered() {
            return;
        }
        if end {
            self.close_and_retire(slot, false);
            self.free_if_done(slot);
        } else if stream.recv_window <= 0 {
            self.stop_listening(slot);
        }
    }

    /// Ends a refused request whose response, or whose remaining body, took too long.
    #[cold]
    pub(super) fn on_refused_timeout(&mut self, slot: u32) {
        match self.slots.get(slot) {
            Some(stream) if stream.is_refused_and_answered() => self.stop_listening(slot),
            _ => self.end_server(slot, CUT_BY_US, Some(ErrorCode::CANCEL)),
        }
    }

    /// Tells the client to stop sending the rest of a refused request ([P-31](crate::manual::rules#p-31)).
    pub(super) fn stop_listening(&mut self, slot: u32) {
        self.close_and_retire(slot, true);
        self.free_if_done(slot);
    }

    /// Completes a server's call whose last frame has been written.
    pub(super) fn status_sent(&mut self, slot: u32, cause: Cause) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let Side::Server(call) = &mut stream.side else { return };
        if let Step::To(next) = call.send.step(ServerSendInput::EndSent) {
            call.send = next;
        }
        let listens =
            matches!(call.headers, ServerHeaders::RefusalSent) && call.recv == ServerRecv::Abandoned;
        if listens && !self.turn.has_ended() {
            return self.listen_on(slot);
        }
        // P-31: the client is told to stop sending what the handler will not read.
        let unfinished = call.recv != ServerRecv::Ended;
        let unheard = stream.caller_done;
        if stream.conclude_server(cause) {
            self.abuse.good_call();
            self.tell(slot, Pending::ENDED);
        }
        self.close_and_retire(slot, unfinished);
        if unheard {
            self.free_if_done(slot);
        }
    }
}
