//! Every way in which a call or the connection ends. Whatever the way, the same few functions retire the stream id,
//! drop what was queued and give back what was held, so that nothing can be forgotten on one path and not on another.

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

/// How long the answer to a refused request may take to leave, and how long its rest is listened to behind that.
pub(super) const REFUSED_PATIENCE: Duration = Duration::from_secs(5);

/// Why a call ends that this library ends itself.
pub(super) const CUT_BY_US: Cause = Cause::Reset { code: ErrorCode::CANCEL, by: Initiator::Library };

impl Stream {
    /// Returns whether the stream is that of a request which was refused, and the answer has gone.
    fn is_refused_and_answered(&self) -> bool {
        match &self.side {
            Side::Server(call) => {
                matches!(call.headers, ServerHeaders::RefusalSent) && call.send == ServerSend::Ended
            }
            Side::Client(_) => false,
        }
    }

    /// Sets the outcome of a client's call, once: the first end of a call wins ([P-89](crate::manual::rules#p-89)). Whether the caller waits to be told.
    #[inline]
    fn conclude_client(&mut self, mut outcome: Outcome, now: Time, ledger: &mut Ledger) -> Waiting {
        let Side::Client(call) = &mut self.side else { return Waiting::default() };
        if matches!(call.stage, ClientStage::Done(_) | ClientStage::Taken) {
            return Waiting::default();
        }
        // P-84: messages that came before a cancel or a deadline need not be delivered.
        if matches!(outcome.cause, Cause::Cancelled | Cause::Deadline) {
            ledger.dropped(&mut self.inbound);
        }
        // P-84: the server's own timer was faster than ours; what it calls cancelled ran out of time.
        if outcome.status.code == Code::Cancelled
            && outcome.cause != Cause::Cancelled
            && self.deadline.is_some_and(|deadline| deadline <= now)
        {
            outcome.status =
                Status::deadline_exceeded("the deadline passed, and the server cancelled the call");
        }
        outcome.begun = call.begun;
        call.stage = ClientStage::Done(outcome);
        // P-88: whoever waits for buffer space would wait for ever.
        Waiting { reads: std::mem::take(&mut self.want_read), writes: std::mem::take(&mut self.want_write) }
    }

    /// Notes that a server's call is over; returns whether the caller is to be told. A caller that has not heard of a call
    /// is spared it where the call is void: taken back by its client, refused for its message, or out of time. The end
    /// of the connection voids no request, or how the bytes were cut would decide whether the caller hears of it.
    #[inline]
    fn conclude_server(&mut self, cause: Cause) -> bool {
        if cause != Cause::Connection && self.pending.contains(Pending::REQUEST) {
            self.pending.clear();
            self.caller_done = true;
        }
        let Side::Server(call) = &mut self.side else { return false };
        if self.caller_done || call.cause.is_some() {
            return false;
        }
        if matches!(cause, Cause::Trailers | Cause::TrailersOnly) {
            // The caller has ended the call: nothing of it matters to it any more.
            self.pending.clear();
        }
        call.cause = Some(cause);
        self.want_read = false;
        self.want_write = false;
        true
    }
}

/// Who waits on a client's call that is over.
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

    /// Takes a call off the wire: its id is retired, its queue dropped, its place in every line given up.
    pub(super) fn retire(&mut self, slot: u32, how: HowClosed) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        if stream.wire_done {
            return;
        }
        stream.wire_done = true;
        // What the peer sends before it hears of a reset is no abuse, nor is credit for what it was sent.
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

    /// [P-19](crate::manual::rules#p-19): a stream is free, or more are allowed: the calls that wait for one are put in line, as many as there are
    /// streams that no call in line will take.
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

    /// Writes RST_STREAM in answer to a frame: it counts as a reply.
    pub(super) fn reply_reset(&mut self, id: u32, code: ErrorCode) {
        self.reply(|out| RstStream { stream: StreamId::new(id), code }.write(out));
    }

    /// Writes RST_STREAM for an open stream. A client's own calls are as many as its caller started, and their requests
    /// have gone out before: their resets are bounded without the peer. A server's are the client's to start, and to
    /// let run out of time.
    fn write_reset(&mut self, id: u32, code: ErrorCode) {
        let reset = RstStream { stream: StreamId::new(id), code };
        match self.role {
            RoleKind::Client => reset.write(self.outbox.buf()),
            RoleKind::Server => self.write_called_for(|out| reset.write(out)),
        }
    }

    /// RST_STREAM on the wire, if there is a stream there, and the id retired.
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

    /// RST_STREAM for a rule that the client broke on an open stream, and the id retired.
    fn reply_reset_and_retire(&mut self, slot: u32, code: ErrorCode) {
        let id = self.slots.get(slot).map_or(0, |stream| stream.id);
        self.reply_reset(id, code);
        self.retire(slot, HowClosed::ResetByUs);
    }

    /// Ends a call that both sides are done with on the wire, by RST_STREAM(NO_ERROR) where the peer may not know it yet.
    fn close_and_retire(&mut self, slot: u32, unfinished: bool) {
        if unfinished {
            self.reset_and_retire(slot, Some(ErrorCode::NO_ERROR), HowClosed::Ended);
        } else {
            self.retire(slot, HowClosed::Ended);
        }
    }

    /// A client's call came to its end as the server said it: both halves, or the server's alone ([P-31](crate::manual::rules#p-31)).
    pub(super) fn finish_client(&mut self, slot: u32, status: Status, cause: Cause) {
        self.finish_client_with(slot, self.without_trailers(status, cause));
    }

    fn without_trailers(&self, status: Status, cause: Cause) -> Outcome {
        Outcome { status, trailers: Arc::clone(&self.no_metadata), cause, headers: None, begun: false }
    }

    pub(super) fn finish_client_with(&mut self, slot: u32, outcome: Outcome) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let Side::Client(call) = &mut stream.side else { return };
        // What we have not sent yet nobody waits for any more.
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

    /// A client's call is cut: by a reset, a deadline, its caller, or the end of the connection.
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

    /// Returns whether the caller has not been told of the call yet.
    pub(super) fn is_unheard(&self, slot: u32) -> bool {
        self.slots.get(slot).is_some_and(|stream| stream.pending.contains(Pending::REQUEST))
    }

    /// A server's call is cut: nothing more is sent on it but the reset, if any.
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
        // What came before the end of the connection is still given. What came before a reset is not: nobody wants an
        // answer to it.
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

    /// Tells the caller that a server's call is over.
    fn conclude_server(&mut self, slot: u32, cause: Cause) {
        if let Some(stream) = self.slots.get_mut(slot)
            && stream.conclude_server(cause)
        {
            self.tell(slot, Pending::ENDED);
        }
        self.free_if_done(slot);
    }

    /// A server's call that the library itself answers: the status goes out, the handler is told to stop.
    pub(super) fn answer(&mut self, slot: u32, status: Status, cause: Cause) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let Side::Server(call) = &mut stream.side else { return };
        match call.send.step(ServerSendInput::Status) {
            Step::To(next) => call.send = next,
            // A status is on its way already, and wins.
            _ => return,
        }
        call.status = Some((status, Metadata::new()));
        call.headers.settle();
        if let Step::To(next) = call.recv.step(ServerRecvInput::Cancel) {
            call.recv = next;
        }
        self.ledger.dropped(&mut stream.inbound);
        self.short.remove(slot);
        // Messages that are still queued are not worth their place: the status is the answer.
        stream.drop_queue(&mut self.ledger);
        // Nor does the status wait for the connection's window, as they did.
        self.queues.remove(slot);
        self.conclude_server(slot, cause);
        self.schedule(slot);
        self.release_promises(slot);
        self.memory_freed();
    }

    /// The call ends with `status`, also where another one waits behind messages that do not get away: these are dropped.
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

    /// The peer broke a rule of gRPC on this call: it ends with `status`, on either side.
    pub(super) fn reject(&mut self, slot: u32, status: Status) {
        let code = ErrorCode::CANCEL;
        let cause = CUT_BY_US;
        match self.role {
            RoleKind::Server => self.answer(slot, status, cause),
            RoleKind::Client => self.cut_client(slot, status, cause, Some(code)),
        }
    }

    /// The peer broke a rule of one stream: RST_STREAM, and the connection lives, unless this happens too often.
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

    /// Ends the connection because the peer broke one of its rules: GOAWAY, every call ends, nothing more is read.
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

    /// This side closes the connection, by no fault of the peer.
    pub(super) fn close_with(&mut self, code: ErrorCode, debug: &'static str) {
        self.write_goaway(self.last_accepted(), code, debug.as_bytes());
        let error = ConnectionError::Closed { code, debug: debug.into() };
        self.end_connection(CloseReason::Error(error.clone()), &error);
    }

    /// The connection is over: every call on it hears of `error`, its owner of `reason`.
    pub(super) fn end_connection(&mut self, reason: CloseReason, error: &ConnectionError) {
        self.lifecycle(LifecycleInput::Fatal);
        self.clock.stop();
        self.end_every_call(error);
        if let CloseReason::Error(error) = &reason {
            self.failure = Some(error.clone());
        }
        self.close_reason = Some(reason);
    }

    /// [P-105](crate::manual::rules#p-105): the end of the connection ends every call on it.
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
                        // P-93: what GOAWAY did not refuse it may have processed.
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

    /// A request that is not gRPC's has its answer. Its sender may know nothing of [P-31](crate::manual::rules#p-31), so the rest of the request is
    /// heard to its end, and what is wrong with it answered as RFC 9113 says; for a while, and within its window.
    #[cold]
    fn listen_on(&mut self, slot: u32) {
        let until = self.now + REFUSED_PATIENCE;
        if let Some(stream) = self.slots.get_mut(slot) {
            stream.deadline = Some(until);
            self.deadlines.insert(slot, until);
        }
    }

    /// More of a refused request came: its end retires the stream, and a full window resets it.
    #[cold]
    pub(super) fn on_refused_data(&mut self, slot: u32, end: bool) {
        let Some(stream) = self.slots.get(slot) else { return };
        // An answer that is still on its way retires the stream with its own end.
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

    /// The time for the answer to a refused request, or for its rest, is over.
    #[cold]
    pub(super) fn on_refused_timeout(&mut self, slot: u32) {
        match self.slots.get(slot) {
            Some(stream) if stream.is_refused_and_answered() => self.stop_listening(slot),
            _ => self.end_server(slot, CUT_BY_US, Some(ErrorCode::CANCEL)),
        }
    }

    /// [P-31](crate::manual::rules#p-31): the client is told to stop sending what nobody will read.
    pub(super) fn stop_listening(&mut self, slot: u32) {
        self.close_and_retire(slot, true);
        self.free_if_done(slot);
    }

    /// The last frame of a server's call went out: its status is on its way.
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
        // P-31: the client is told to stop sending what nobody will read.
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
