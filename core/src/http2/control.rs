//! SETTINGS, PING, GOAWAY and RST_STREAM.

use bytes::Bytes;

use super::abuse::ResetCall;
use super::bdp::MEASURE_PING;
use super::engine::{Engine, READY, WAITING};
use super::role::RoleKind;
use super::stream::{ClientStage, ServerHeaders, Side, Stream};
use crate::error::{ConnectionError, Flood, Violation};
use crate::frame::{ErrorCode, FrameHeader, GoAway, Ping, RstStream, SettingId, Settings, StreamId};
use crate::grpc::status::Status;
use crate::machine::{ClosedStream, ClosedStreamInput, Lifecycle, LifecycleInput, Step};
use crate::time::Time;
use crate::types::{Cause, Event, Initiator};

/// Bytes of GOAWAY debug data that are kept.
const MAX_DEBUG: usize = 256;

/// The payload of the PING that follows the first GOAWAY of a graceful shutdown.
pub(super) const DRAIN_PING: [u8; 8] = *b"hc-drain";
/// The payload of keepalive PINGs.
pub(super) const KEEPALIVE_PING: [u8; 8] = *b"hc-alive";

impl Engine {
    pub(super) fn on_settings(
        &mut self,
        header: &FrameHeader,
        payload: &[u8],
        first: bool,
    ) -> Result<(), Violation> {
        let settings = Settings::parse(header, payload)?;
        if settings.is_ack() {
            return self.on_settings_ack();
        }
        self.abuse.control_frame(self.now, 1)?;
        let limits = &self.config.limits;
        let entries = settings.iter().count();
        if entries > limits.settings_entries as usize {
            let (met, limit) = (entries as u64, u64::from(limits.settings_entries));
            return Err(Violation::Flood { flood: Flood::SettingsEntries, met, limit });
        }
        if first {
            // Until its SETTINGS arrive, a server's stream limit is assumed (`PeerSettings::default`). From here on
            // its own applies.
            self.clock.preface_came();
            self.peer.max_concurrent_streams = u32::MAX;
        }
        // RFC 9113 §6.5.3: the values are applied in the order in which they appear, then acknowledged at once.
        for setting in settings.iter() {
            setting.check()?;
            self.apply_setting(setting.id, setting.value)?;
        }
        // First SETTINGS without MAX_CONCURRENT_STREAMS lift the assumed limit.
        self.start_waiting();
        self.tell_notice(Event::PeerSettings);
        self.reply(|out| {
            // An ACK has no entries, so it has none that could be refused.
            let _ = Settings::ACK.write(out);
        });
        Ok(())
    }

    fn apply_setting(&mut self, id: SettingId, value: u32) -> Result<(), Violation> {
        match id {
            SettingId::HEADER_TABLE_SIZE => self.writer.set_peer_max_table_size(value),
            SettingId::ENABLE_PUSH if value == 1 && self.role == RoleKind::Client => {
                return Err(Violation::PushEnabledByServer);
            }
            SettingId::MAX_CONCURRENT_STREAMS => {
                self.peer.max_concurrent_streams = value;
                self.start_waiting();
            }
            SettingId::INITIAL_WINDOW_SIZE if value != self.peer.initial_window => {
                // Each change visits every open stream; eight of them cost about as much as a frame.
                self.abuse.control_frame(self.now, 1 + self.open_streams / 8)?;
                self.change_initial_window(value)?;
            }
            SettingId::MAX_FRAME_SIZE => self.peer.max_frame_size = value,
            SettingId::MAX_HEADER_LIST_SIZE => self.peer.max_header_list = value,
            // RFC 9113 §6.5.2: unknown settings are ignored.
            _ => {}
        }
        Ok(())
    }

    fn on_settings_ack(&mut self) -> Result<(), Violation> {
        let Some(left) = self.unacked_settings.checked_sub(1) else { return Err(Violation::UnexpectedAck) };
        self.unacked_settings = left;
        self.clock.settings_acked();
        self.reader.settings_acked(&self.config.limits);
        self.path.settings_acked(self.now);
        self.settle_windows();
        Ok(())
    }

    /// Writes a reply to a frame of the peer, and counts it until the transport has accepted it.
    pub(super) fn reply(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let bytes = self.append(write);
        self.replies.add_reply(bytes, self.outbox.appended());
    }

    /// Writes output that the peer causes without it being the reply to one frame: WINDOW_UPDATEs, and resets of
    /// calls that it started. A peer that follows the rules can cause only a bounded amount of it before it reads.
    pub(super) fn write_called_for(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let bytes = self.append(write);
        self.replies.add_bytes(bytes, self.outbox.appended());
    }

    /// Appends to the output, and returns the number of bytes appended.
    fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let out = self.outbox.buf();
        let before = out.len();
        write(out);
        out.len().saturating_sub(before)
    }

    pub(super) fn on_ping(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Violation> {
        let ping = Ping::parse(header, payload)?;
        if ping.ack {
            self.on_ping_ack(&ping.data);
            return Ok(());
        }
        self.abuse.control_frame(self.now, 1)?;
        if self.role == RoleKind::Server {
            let idle = self.open_streams == 0;
            self.clock.forgive_pings(self.abuse.useful_frames());
            self.clock.count_ping_strike(self.now, &self.config.keepalive, idle)?;
        }
        // P-95: the reply echoes the payload.
        self.reply(|out| Ping { ack: true, data: ping.data }.write(out));
        Ok(())
    }

    fn on_ping_ack(&mut self, data: &[u8; 8]) {
        if *data == MEASURE_PING {
            self.path.end_measurement(self.now, self.recv_owed);
        } else if *data == KEEPALIVE_PING {
            self.clock.keepalive_acked(&self.config.keepalive);
        } else if *data == DRAIN_PING && self.lifecycle == Lifecycle::Announced {
            self.confirm_shutdown();
        }
    }

    pub(super) fn on_rst_stream(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Violation> {
        let RstStream { code, stream } = RstStream::parse(header, payload)?;
        let id = stream.get();
        let Some(slot) = self.ids.get(id) else {
            self.glitch()?;
            return self.on_closed_stream(id, ClosedStreamInput::RstStream);
        };
        match self.role {
            RoleKind::Server => {
                let counted = self.count_reset(slot);
                // End the call first: it is over even if its reset costs the connection.
                self.end_server(slot, Cause::Reset { code, by: Initiator::Remote }, None);
                counted
            }
            RoleKind::Client => {
                self.on_reset_by_server(slot, code);
                Ok(())
            }
        }
    }

    /// Charges a reset by the client against the abuse limits.
    fn count_reset(&mut self, slot: u32) -> Result<(), Violation> {
        if let Some(stream) = self.slots.get(slot) {
            self.abuse.reset(self.now, &reset_call(stream, self.now))?;
        }
        if !self.is_unheard(slot) {
            // Let the caller stop the handlers of ended calls before many more calls start.
            self.abuse.pending_resets = self.abuse.pending_resets.saturating_add(1);
            if self.abuse.pending_resets >= self.config.limits.pending_resets {
                self.work = usize::MAX;
            }
        }
        Ok(())
    }

    fn on_reset_by_server(&mut self, slot: u32, code: ErrorCode) {
        let cause = Cause::Reset { code, by: Initiator::Remote };
        let grpc = crate::grpc::reset::code_of(code.0);
        let status = Status::new(grpc, format!("the server reset the stream with {code}"));
        self.cut_client(slot, status, cause, None);
    }

    pub(super) fn on_goaway(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Violation> {
        let goaway = GoAway::parse(header, payload)?;
        let last = goaway.last_stream.get();
        // P-93: a client only receives its own, odd ids; a later GOAWAY may not accept what an earlier one refused.
        let ours = self.role == RoleKind::Server || last == 0 || goaway.last_stream.is_client();
        let previous = self.peer_goaway.unwrap_or(StreamId::MAX.get());
        if last > previous || !ours {
            return Err(Violation::GoAwayRaised { previous, met: last });
        }
        self.glitch()?;
        self.peer_goaway = Some(last);
        let debug = Bytes::copy_from_slice(goaway.debug.get(..MAX_DEBUG).unwrap_or(goaway.debug));
        self.tell_notice(Event::GoAway { code: goaway.code, last_stream: last, debug: debug.clone() });
        if self.role == RoleKind::Client {
            self.refuse_above(last, previous, goaway.code, &debug);
            self.lifecycle(LifecycleInput::PeerGoAway);
            self.clock.drain_started(self.now, &self.config);
        }
        // RFC 9113 §6.8: a client's GOAWAY refers to streams that a server would open, and there are none. The client
        // may go on sending requests; the connection ends with its transport.
        if goaway.code != ErrorCode::NO_ERROR {
            self.goaway_error = Some(ConnectionError::GoAway { code: goaway.code, debug });
        }
        self.check_drained();
        Ok(())
    }

    /// Ends the calls that the server will not process: those above `last` (and not above `previous`), and those
    /// without a stream. They are safe to retry on another connection.
    fn refuse_above(&mut self, last: u32, previous: u32, code: ErrorCode, debug: &Bytes) {
        let newest = self.next_local_id.saturating_sub(2).min(previous);
        let refused = self.ids.slots_between(last, newest).into_iter();
        // A call whose response has begun was processed, whatever the GOAWAY says.
        let processed = |slot| match self.slots.get(slot).map(|stream| &stream.side) {
            Some(Side::Client(call)) => call.begun,
            _ => false,
        };
        let refused: Vec<_> =
            refused.map(|slot| (slot, Cause::GoAway { code, processed: processed(slot) })).collect();
        let unsent = self.queued_slots().into_iter().map(|slot| (slot, Cause::NeverSent));
        for (slot, cause) in refused.into_iter().chain(unsent) {
            let text = String::from_utf8_lossy(debug);
            let status = Status::unavailable(format!("the server is going away ({code}) {text}"));
            self.cut_client(slot, status, cause, None);
        }
    }

    /// Returns the client's calls that have no stream yet, in the order in which they will get one.
    fn queued_slots(&self) -> Vec<u32> {
        if self.queued_calls == 0 {
            return Vec::new();
        }
        let is_queued = |slot: &u32| match self.slots.get(*slot).map(|stream| &stream.side) {
            Some(Side::Client(call)) => matches!(call.stage, ClientStage::Queued(_)),
            _ => false,
        };
        self.queues.iter_of(READY).chain(self.queues.iter_of(WAITING)).filter(is_queued).collect()
    }

    /// Handles a frame for a stream that is not open, as the table of closed streams says.
    #[cold]
    pub(super) fn on_closed_stream(&mut self, id: u32, input: ClosedStreamInput) -> Result<(), Violation> {
        match self.closed_state(id).step(input) {
            Step::Stream(breach) | Step::Connection(breach) => Err(Violation::Order(breach)),
            Step::To(_) | Step::Ignore | Step::Misuse(_) | Step::Cardinality(_) => Ok(()),
        }
    }

    pub(super) fn closed_state(&self, id: u32) -> ClosedStream {
        use super::ids::HowClosed;
        // RFC 9113 §6.8: frames of a request that the last GOAWAY refused are ignored. Trailers in flight may also
        // still end a stream that this side reset long ago (RFC 9113 §5.1).
        let unheeded = id > self.accept_limit || id <= self.closed_ids.last_forgotten_reset();
        let was_open = id % 2 == 1 && id <= self.last_remote_id;
        if self.role == RoleKind::Server && unheeded && was_open && self.closed_ids.get(id).is_none() {
            return ClosedStream::ResetByUs;
        }
        match self.closed_ids.get(id) {
            Some(HowClosed::Ended) => ClosedStream::Ended,
            Some(HowClosed::ResetByPeer) => ClosedStream::ResetByPeer,
            Some(HowClosed::ResetByUs) => ClosedStream::ResetByUs,
            None => {
                // Only clients open streams. Servers could by PUSH_PROMISE, which this library refuses.
                let odd = id % 2 == 1;
                match self.role {
                    RoleKind::Server if odd && id <= self.last_remote_id => ClosedStream::Passed,
                    RoleKind::Client if odd && id < self.next_local_id => ClosedStream::Forgotten,
                    _ => ClosedStream::Idle,
                }
            }
        }
    }

    /// Starts a graceful shutdown ([P-94](crate::manual::rules#p-94)): a server announces it first, and stops
    /// accepting once the client has confirmed that.
    pub(crate) fn shutdown(&mut self, now: Time) {
        self.advance_clock(now);
        if self.lifecycle != Lifecycle::Running {
            return;
        }
        self.lifecycle(LifecycleInput::Shutdown);
        self.clock.drain_started(self.now, &self.config);
        if self.role == RoleKind::Client {
            // A client's GOAWAY would refuse streams of the server, and there are none: it needs no announcement.
            return self.confirm_shutdown();
        }
        self.write_goaway(StreamId::MAX, ErrorCode::NO_ERROR, b"");
        self.write_drain_ping();
        self.clock.drain_ping_sent(self.now);
    }

    /// Completes the announcement: the client has seen it, or its time is up. Calls that it starts from now on are
    /// ignored.
    pub(super) fn confirm_shutdown(&mut self) {
        self.lifecycle(LifecycleInput::Confirmed);
        self.clock.drain_confirmed();
        self.accept_limit = self.last_remote_id;
        // Some servers close an idle connection when they receive a GOAWAY, so the client sends it only after its
        // queued requests.
        if self.queued_calls == 0 {
            self.write_goaway(self.last_accepted(), ErrorCode::NO_ERROR, b"");
        }
        self.check_drained();
    }

    /// Notes that one of a client's queued calls got its stream, or ended without one.
    pub(super) fn leave_queue(&mut self) {
        self.queued_calls = self.queued_calls.saturating_sub(1);
        let leaving = self.lifecycle == Lifecycle::Draining && self.peer_goaway.is_none();
        if self.queued_calls == 0 && leaving {
            self.write_goaway(StreamId::ZERO, ErrorCode::NO_ERROR, b"");
        }
    }

    /// Returns the highest stream id that was processed. RFC 9113 §6.8: a GOAWAY may not name a higher id than the
    /// one before it, though the client's ids go on growing after the first.
    pub(super) fn last_accepted(&self) -> StreamId {
        StreamId::new(self.last_remote_id.min(self.accept_limit))
    }

    pub(super) fn write_goaway(&mut self, last_stream: StreamId, code: ErrorCode, debug: &[u8]) {
        GoAway { last_stream, code, debug }.write(self.outbox.buf());
    }

    /// Closes the connection at once, at the caller's command.
    pub(crate) fn close(&mut self, now: Time, code: ErrorCode, debug: &'static str) {
        self.advance_clock(now);
        if self.is_closed() {
            return;
        }
        self.close_with(code, debug);
    }
}

/// Returns what the abuse limits need to know of a call that its client resets.
fn reset_call(stream: &Stream, now: Time) -> ResetCall {
    let answered = match &stream.side {
        Side::Server(call) => {
            !matches!(call.headers, ServerHeaders::Unset | ServerHeaders::Set(_)) || call.status.is_some()
        }
        Side::Client(_) => true,
    };
    let timeout = stream.deadline.map(|deadline| deadline - stream.opened);
    ResetCall { age: now - stream.opened, timeout, answered }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use halfclose_wire::{frame, kind, settings, settings_ack};

    use super::*;
    use crate::config::{Config, Seed};
    use crate::http2::receive::Needed;
    use crate::time::Time;
    use crate::types::{CallId, CallType, Recv, Request};

    fn feed(engine: &mut Engine, bytes: &[u8]) {
        let mut wire = BytesMut::from(bytes);
        while !matches!(engine.receive(Time::ZERO, &mut wire), Ok(Needed::More)) {
            assert!(!engine.is_closed(), "a call is open");
            drop(engine.take_transmit(Time::ZERO));
        }
        drop(engine.take_transmit(Time::ZERO));
    }

    fn start(engine: &mut Engine) -> CallId {
        engine.start(Time::ZERO, Request::new("/a/b", CallType::BIDI)).expect("a good request")
    }

    /// Returns a client with its `open` oldest calls open; `past` more have ended.
    fn client(past: usize, open: usize) -> (Engine, Vec<CallId>) {
        let mut config = Config::client();
        config.limits.glitches.burst = u32::MAX;
        config.limits.control_frames.burst = u32::MAX;
        let mut engine = Engine::new(RoleKind::Client, config, Seed(1), Time::ZERO);
        feed(&mut engine, &[settings(&[]), settings_ack()].concat());
        let mut calls: Vec<CallId> = (0..past + open).map(|_| start(&mut engine)).collect();
        while engine.take_transmit(Time::ZERO).is_some() {}
        for call in calls.drain(open..) {
            engine.release(call);
        }
        while engine.take_transmit(Time::ZERO).is_some() {}
        (engine.ids.steps, engine.slots.steps) = (0, 0.into());
        (engine, calls)
    }

    fn goaway(last: u32) -> Vec<u8> {
        frame(kind::GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
    }

    /// Checks that the server's frames cost time in proportion to the open calls, plus once for each call that has
    /// ended.
    #[test]
    fn goaways_cost_what_is_open_however_many_calls_there_were() {
        const PAST: usize = 20_000;
        for open in [1, 2, 100] {
            let (mut engine, _) = client(PAST, open);
            let newest = engine.next_local_id - 2;
            for nth in 0..9_000 {
                feed(&mut engine, &goaway((newest + 2).saturating_sub(2 * nth)));
            }
            // Repeating the same GOAWAY has nothing to refuse.
            let last = engine.peer_goaway.expect("a GOAWAY");
            (0..1_000).for_each(|_| feed(&mut engine, &goaway(last)));
            let steps = engine.ids.steps + engine.slots.steps.get();
            assert!(steps <= 10 * PAST, "{steps} steps with {open} calls open");
        }
    }

    #[test]
    fn windows_that_change_cost_what_is_open_however_many_calls_there_were() {
        const PAST: usize = 20_000;
        for open in [0, 1, 100] {
            let (mut engine, _) = client(PAST, open);
            for nth in 0..1_000 {
                feed(&mut engine, &settings(&[(4, 70_000 + nth)]));
            }
            let steps = engine.ids.steps + engine.slots.steps.get();
            let bound = 10 * PAST + 1_000 * 16 * (open + 1);
            assert!(steps <= bound, "{steps} steps with {open} calls open");
        }
    }

    /// Checks [P-93](crate::manual::rules#p-93) with every number of calls refused at once, and any number refused
    /// before.
    #[test]
    fn each_goaway_refuses_what_is_above_it_in_the_order_in_which_it_was_started() {
        for (past, open) in [(0, 5), (3, 40), (1_000, 7)] {
            let (mut engine, calls) = client(past, open);
            // The newest open call; all calls behind it have ended.
            let newest = 2 * u32::try_from(open).unwrap() - 1;
            let mut left = open;
            for lower in [0, 1, 3, 0, 100] {
                left = left.saturating_sub(lower).max(1);
                let refused = open - left;
                feed(&mut engine, &goaway(newest - 2 * u32::try_from(refused).unwrap()));
                for (nth, call) in calls.iter().enumerate() {
                    assert!(engine.states(*call).is_ok(), "{nth}: until its end is taken");
                    let done = engine.slots.find(*call).is_some_and(|stream| stream.wire_done);
                    assert_eq!(done, nth >= left, "{nth} of {open}, {refused} refused");
                }
            }
            for call in &calls[left..] {
                let Ok(Recv::End(outcome)) = engine.recv(*call) else { panic!("no end") };
                let code = ErrorCode::NO_ERROR;
                assert_eq!(outcome.cause, Cause::GoAway { code, processed: false });
            }
        }
    }
}
