//! Checks everything that waits after every step, in builds with debug assertions: a call that can proceed is in the
//! queue of those that do, one that waits for time has a timer, and every byte of credit is accounted for.

use super::audit::MOST_PLACES;
use super::engine::{Engine, READY, STARVED, WAITING};
use super::stream::{ClientStage, ServerHeaders, Side, Stream};
use super::timers::TimerKind;
use crate::frame::DEFAULT_WINDOW;
use crate::machine::{ClientRecv, ClientSend, Lifecycle, ServerRecv};

/// What a call has to send next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ToSend {
    Nothing,
    /// A request that waits for its stream.
    Request,
    /// Headers or the end of the call, which no window blocks.
    Frame,
    /// DATA, which windows may block.
    Data,
}

impl Stream {
    /// Returns whether the caller still reads what arrives. The rest of a request that was answered already is not
    /// credited.
    fn is_read(&self) -> bool {
        match &self.side {
            Side::Client(call) => matches!(call.recv, ClientRecv::AwaitHeaders | ClientRecv::Body),
            Side::Server(call) => call.recv == ServerRecv::Body,
        }
    }

    fn to_send(&self) -> ToSend {
        let (headers, ends) = match &self.side {
            Side::Client(call) if matches!(call.stage, ClientStage::Queued(_)) => return ToSend::Request,
            Side::Client(call) => (false, call.send == ClientSend::Closing),
            Side::Server(call) => {
                use ServerHeaders::{Ready, Refused, RefusedHead};
                (matches!(call.headers, Ready(_) | Refused(_) | RefusedHead(_)), call.status.is_some())
            }
        };
        match (headers, self.queue.bytes() > 0, ends) {
            (true, ..) => ToSend::Frame,
            (false, true, _) => ToSend::Data,
            (false, false, true) => ToSend::Frame,
            (false, false, false) => ToSend::Nothing,
        }
    }
}

impl Engine {
    /// Checks that each waiting call has to wait and has a timer, and that every byte of credit is accounted for.
    pub(super) fn audit_waiting(&self) {
        if self.is_closed() {
            return;
        }
        self.audit_timers();
        self.audit_credit();
        if self.slots.places() > MOST_PLACES {
            return;
        }
        let (waiting, open) = (self.queues.len_of(WAITING), self.open_streams);
        let taken = open.saturating_add(self.queued_calls.saturating_sub(waiting));
        debug_assert!(waiting == 0 || taken >= self.peer.max_concurrent_streams, "a stream is free");
        debug_assert!(
            self.send_window <= 0 || self.queues.len_of(STARVED) == 0,
            "the connection's window is open"
        );
        // Nothing is collected: the tests that count allocations run with this.
        let is_queued = |slot| {
            [READY, WAITING, STARVED]
                .into_iter()
                .flat_map(|list| self.queues.iter_of(list))
                .any(|one| one == slot)
        };
        let (mut requests, mut streams) = (0, 0);
        for slot in self.slots.occupied() {
            let Some(stream) = self.slots.get(slot) else { continue };
            debug_assert!(!stream.wire_done || !is_queued(slot), "slot {slot} is over and queued");
            debug_assert!(
                !stream.wire_done || !self.deadlines.contains(slot),
                "slot {slot} is over and has a timer"
            );
            if stream.wire_done {
                continue;
            }
            requests += u32::from(stream.to_send() == ToSend::Request);
            streams += u32::from(stream.id != 0);
            self.audit_stream(slot, stream, is_queued(slot));
        }
        debug_assert_eq!((requests, streams), (self.queued_calls, open), "calls without and with a stream");
    }

    fn audit_stream(&self, slot: u32, stream: &Stream, queued: bool) {
        let goes_on = match stream.to_send() {
            ToSend::Nothing => true,
            ToSend::Request | ToSend::Frame => queued,
            // A WINDOW_UPDATE or new SETTINGS will queue a call whose own window is closed.
            ToSend::Data => queued || stream.send_window <= 0,
        };
        debug_assert!(goes_on, "slot {slot} has something to send and stands in no queue");
        debug_assert!(!stream.held_up || stream.send_window <= 0, "slot {slot} is held up by an open window");
        debug_assert!(
            stream.deadline.is_none() || self.deadlines.contains(slot),
            "slot {slot} waits for its deadline without a timer"
        );
        if let Side::Client(call) = &stream.side {
            debug_assert!(
                call.foreign.is_none() || self.deadlines.contains(slot),
                "slot {slot} waits for a page without a timer"
            );
        }
        if stream.id != 0 && stream.is_read() {
            // Until our SETTINGS are acknowledged, a stream's window is at least the default (RFC 9113 §6.9.3).
            let above = match self.unacked_settings {
                0 => 0,
                _ => DEFAULT_WINDOW.saturating_sub(self.config.initial_stream_window),
            };
            let met = stream.recv_window + i64::from(stream.recv_owed) + stream.inbound.buffered() as i64;
            let expected = i64::from(stream.recv_target) + i64::from(stream.recv_excess) + i64::from(above);
            debug_assert_eq!(met, expected, "slot {slot}: credit is given, owed, or for what is held");
        }
    }

    fn audit_timers(&self) {
        let waits = |waits: bool, kind: TimerKind| {
            debug_assert!(!waits || self.clock.is_set(kind), "it waits for {kind} without a timer");
        };
        // Nothing more arrives once the input has ended, so one timer ends what is left.
        if self.turn.has_ended() {
            return waits(true, TimerKind::HalfClose);
        }
        waits(self.unacked_settings > 0, TimerKind::SettingsAck);
        waits(self.open_block.is_some(), TimerKind::HeaderBlock);
        waits(self.unread_since.is_some(), TimerKind::Unread);
        let draining = self.lifecycle != Lifecycle::Running;
        waits(draining && self.config.drain_timeout.is_some(), TimerKind::Drain);
        waits(self.lifecycle == Lifecycle::Announced, TimerKind::DrainPing);
        waits(!draining && self.config.max_age.is_some(), TimerKind::Age);
        waits(!draining && self.config.max_idle.is_some() && self.open_streams == 0, TimerKind::Idle);
        if self.config.keepalive.interval.is_some()
            && (!self.has_no_calls() || self.config.keepalive.without_calls)
            && !self.clock.is_set(TimerKind::KeepaliveTimeout)
        {
            waits(true, TimerKind::Keepalive);
        }
    }

    fn audit_credit(&self) {
        let met = self.recv_window + i64::from(self.recv_owed);
        debug_assert_eq!(met, self.path.allowed(), "the connection's credit is given or owed");
    }
}
