//! What happens when a timer of the connection or of a call fires.

use std::time::Duration;

use super::control::{DRAIN_PING, KEEPALIVE_PING};
use super::engine::Engine;
use super::stream::Side;
use super::timers::TimerKind;
use crate::error::{Timeout, Violation};
use crate::frame::{ErrorCode, Ping};
use crate::grpc::status::Status;
use crate::time::Time;
use crate::types::Cause;

/// How long the transport may take to send the status of a call whose deadline has passed, before the call is reset.
const STATUS_PATIENCE: Duration = Duration::from_secs(5);

impl Engine {
    pub(crate) fn poll_timeout(&self) -> Option<(Time, TimerKind)> {
        let deadline = self.deadlines.peek().map(|(at, _)| (at, TimerKind::Deadline));
        match (self.clock.earliest(), deadline) {
            (Some(timer), Some(deadline)) => Some(if deadline.0 < timer.0 { deadline } else { timer }),
            (timer, deadline) => timer.or(deadline),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.advance_clock(now);
        while let Some(slot) = self.deadlines.pop_due(self.now) {
            self.on_deadline(slot);
        }
        // Each timer that fires is cleared or moved into the future, so the loop ends.
        while let Some(kind) = self.clock.pop_due(self.now) {
            self.on_timer(kind);
        }
        self.audit();
    }

    /// Ends a call at its deadline, whatever may still be in flight ([P-84](crate::manual::rules#p-84) to
    /// [P-86](crate::manual::rules#p-86)). The same heap of deadlines also holds the other times at which a call
    /// ends.
    pub(super) fn on_deadline(&mut self, slot: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let passed = stream.deadline.take().is_some_and(|deadline| deadline <= self.now);
        match &stream.side {
            Side::Client(call) if call.foreign.is_some() && !passed => self.on_foreign_timeout(slot),
            Side::Client(_) => {
                let status = Status::deadline_exceeded("the deadline passed");
                self.cut_client(slot, status, Cause::Deadline, Some(ErrorCode::CANCEL));
            }
            // No handler has seen a request that was refused.
            Side::Server(call) if call.headers.is_refusal() => self.on_refused_timeout(slot),
            Side::Server(_) if passed => self.answer_late(slot),
            // The status has still not been written, because the transport accepts nothing.
            Side::Server(_) => self.end_server(slot, Cause::Deadline, Some(ErrorCode::CANCEL)),
        }
    }

    /// Ends a server's call whose deadline has passed ([P-86](crate::manual::rules#p-86)) with a status, as C-core
    /// does: a client whose clock is behind ours would take a reset for a cancel. A status needs no window, so only a
    /// transport that accepts nothing can delay it; after `STATUS_PATIENCE` the call is reset.
    #[cold]
    pub(super) fn answer_late(&mut self, slot: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let Side::Server(call) = &stream.side else { return };
        // A status of the handler that is next to be sent stays; one behind messages is too late.
        if call.status.is_none() || stream.queue.bytes() > 0 {
            self.overrule(slot, Status::deadline_exceeded("the deadline passed"), Cause::Deadline);
        }
        self.deadlines.insert(slot, self.now + STATUS_PATIENCE);
    }

    fn on_timer(&mut self, kind: TimerKind) {
        match kind {
            TimerKind::Preface => self.time_out(Timeout::Preface),
            TimerKind::SettingsAck => self.time_out(Timeout::SettingsAck),
            TimerKind::HeaderBlock => self.time_out(Timeout::HeaderBlock),
            TimerKind::Unread => self.check_reader(),
            TimerKind::Memory => self.look_after_memory(),
            TimerKind::Keepalive => self.send_keepalive(),
            TimerKind::KeepaliveTimeout if self.clock.is_peer_silent(&self.config.keepalive) => {
                self.time_out(Timeout::Keepalive);
            }
            TimerKind::KeepaliveTimeout => {}
            TimerKind::DrainPing => self.confirm_shutdown(),
            // Calls that outlive the drain timeout of a graceful shutdown are cut, and the connection with them.
            TimerKind::Drain => self.close_with(ErrorCode::NO_ERROR, "drain_timeout"),
            TimerKind::HalfClose => self.end_unanswered(),
            TimerKind::Idle | TimerKind::Age => self.shutdown(self.now),
            TimerKind::Deadline => {}
        }
    }

    fn time_out(&mut self, timeout: Timeout) {
        // `Event::Closed` reports the error; no caller waits for a result here.
        let _ = self.fail(Violation::Timeout(timeout));
    }

    fn send_keepalive(&mut self) {
        // A call that waits for a stream waits for the peer, too.
        let has_calls = !self.has_no_calls();
        self.clock.forgive_pings(self.abuse.useful_frames());
        if self.clock.is_ping_due(self.now, self.role, &self.config.keepalive, has_calls) {
            Ping { ack: false, data: KEEPALIVE_PING }.write(self.outbox.buf());
        }
    }

    /// Writes the PING of a graceful shutdown.
    pub(super) fn write_drain_ping(&mut self) {
        Ping { ack: false, data: DRAIN_PING }.write(self.outbox.buf());
    }
}
