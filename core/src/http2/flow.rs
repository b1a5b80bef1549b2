//! Credit: what the peer may still send, and what this side may.
//!
//! Connection credit returns on receipt, so that one unread stream does not starve the others ([P-102](crate::manual::rules#p-102)). Stream credit
//! returns when the caller takes a message; padding and everything dropped is credited at once. A message larger than
//! its stream's window is given all of it at once ([P-103](crate::manual::rules#p-103)), as C-core does: a stream whose reader wants a message may
//! always send that message. No stream waits for another one's message, reader or writer; what bounds them all is
//! memory (`memory`, and `shortage` where that is short).

use super::bdp::{MEASURE_PING, credit_step};
use super::engine::{Engine, READY, STARVED};
use super::role::RoleKind;
use super::slots::Windows;
use super::stream::{Side, Stream};
use crate::error::Violation;
use crate::frame::{DEFAULT_WINDOW, FrameHeader, MAX_WINDOW, MOST_PADDING, Ping, StreamId, WindowUpdate};
use crate::grpc::message::PREFIX_LEN;
use crate::machine::{ClientRecv, ClosedStreamInput, ServerRecv};
use crate::time::Time;

/// What a window is opened for beyond its message, for senders that pad: their padding then comes back in one update for
/// many frames.
const PADDING_MARGIN: u32 = 16 * 1024;

/// A window that holds a message's prefix and a frame's padding. One that is smaller grows to this for its first
/// message, for good: nobody can tell yet how large the message is.
const LEAST_WINDOW: u32 = PREFIX_LEN as u32 + MOST_PADDING;

impl Stream {
    /// Returns the window that lets the message in progress go on to its end, in frames that may be padded. `None` between
    /// messages.
    fn window_needed(&self) -> Option<i64> {
        let needed = i64::from(self.inbound.missing()?) + i64::from(MOST_PADDING);
        let most = i64::from(MAX_WINDOW);
        // RFC 9113 §6.9.1: no window holds a message of 2^31 bytes. It is opened again when half of it is used.
        Some(if needed > most && self.recv_window > most / 2 { 0 } else { needed.min(most) })
    }

    /// Returns the bytes that the window lacks for the message in progress, with what the peer is owed.
    pub(super) fn window_lacking(&self) -> u32 {
        let window = self.recv_window.saturating_add(i64::from(self.recv_owed));
        u32::try_from(self.window_needed().unwrap_or(0).saturating_sub(window)).unwrap_or(0)
    }

    /// Returns what the window lets in, or soon will, for itself: not what was promised to it.
    fn own_window(&self) -> u64 {
        let window = self.recv_window.saturating_add(i64::from(self.recv_owed));
        let own = window.saturating_sub(i64::from(self.promised)).min(i64::from(self.recv_target));
        u64::try_from(own).unwrap_or(0)
    }

    /// Owes the peer `count` bytes more that the caller has taken, where that calls for nothing else: no credit is held
    /// back, no message is in progress, the window is not to grow, and less than half of it is owed. Whether it did.
    #[inline]
    pub(super) fn owe(&mut self, count: u32) -> bool {
        let owed = self.recv_owed.saturating_add(count);
        let quiet = owed < credit_step(self.recv_target)
            && !self.recv_pressed
            && self.recv_excess == 0
            && !self.inbound.is_mid_message();
        if quiet {
            self.recv_owed = owed;
        }
        quiet
    }

    /// Returns what the window has grown by beyond the one that every stream has.
    #[inline]
    pub(super) fn growth(&self, own: u32) -> u32 {
        self.recv_target.saturating_sub(own)
    }

    /// Returns whether the reader has taken every message that was whole, and its window is what holds the sender up.
    fn wants_more_window(&self) -> bool {
        self.recv_pressed && self.inbound.complete() == 0
    }

    /// After a long pause the window comes back to where it began, as its peer makes use of it: RFC 9113 §6.9 knows no
    /// way to take back at once what the peer may send. Returns by how much.
    pub(super) fn shrink_after_pause(&mut self, now: Time, own: u32) -> u32 {
        let grown = self.recv_target.saturating_sub(own);
        if grown == 0 || !self.turnover.is_idle(now) {
            return 0;
        }
        self.recv_excess = self.recv_excess.saturating_add(grown);
        self.recv_target = own;
        grown
    }

    /// Returns whether the peer may still send DATA that anybody wants: only then is credit worth a frame.
    fn receiving(&self) -> bool {
        match &self.side {
            Side::Client(call) => matches!(call.recv, ClientRecv::AwaitHeaders | ClientRecv::Body),
            Side::Server(call) => matches!(call.recv, ServerRecv::Body | ServerRecv::Abandoned),
        }
    }
}

impl Engine {
    /// RFC 9113 §5.2: every byte of a DATA frame counts, padding too, whatever becomes of it.
    #[inline]
    pub(super) fn take_connection_window(&mut self, length: u32) -> Result<(), Violation> {
        let window = self.recv_window;
        if i64::from(length) > window {
            return Err(Violation::WindowExceeded { connection: true, length, window });
        }
        self.recv_window = window - i64::from(length);
        self.recv_owed = self.recv_owed.saturating_add(length);
        if self.recv_owed >= self.path.credit_step() {
            self.credit_connection();
        }
        Ok(())
    }

    #[cold]
    fn credit_connection(&mut self) {
        let owed = std::mem::take(&mut self.recv_owed);
        self.credited = self.credited.saturating_add(owed.into());
        let increment = self.path.settle(self.now, owed);
        if increment > 0 {
            self.recv_window += i64::from(increment);
            self.write_called_for(|out| WindowUpdate { stream: StreamId::ZERO, increment }.write(out));
        }
        self.measure_path();
    }

    /// Sends a PING where the round trip is to be measured.
    fn measure_path(&mut self) {
        if self.path.begin_measurement(self.now, self.recv_owed) {
            self.write_called_for(|out| Ping { ack: false, data: MEASURE_PING }.write(out));
        }
    }

    /// The caller took `count` bytes, and more than a note of it is due.
    #[inline(never)]
    pub(super) fn credit_taken(&mut self, slot: u32, count: u32) {
        self.credit_stream(slot, count);
        self.admit_message(slot);
    }

    /// `count` bytes of the stream were taken or dropped: credits them once half a window has gathered.
    #[inline]
    pub(super) fn credit_stream(&mut self, slot: u32, count: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        // A window that is larger than its target comes back to it before new credit is given.
        let held_back = count.min(stream.recv_excess);
        stream.recv_excess -= held_back;
        if stream.promised > stream.recv_excess {
            self.ledger.release(stream.promised - stream.recv_excess);
            stream.promised = stream.recv_excess;
            self.memory_freed();
        }
        self.owe_stream(slot, count - held_back);
    }

    /// As [`credit_stream`](Self::credit_stream), and holds nothing back: for padding, which must not eat up what the rest
    /// of a message needs.
    #[inline]
    pub(super) fn owe_stream(&mut self, slot: u32, count: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        stream.recv_owed = stream.recv_owed.saturating_add(count);
        if stream.recv_owed >= credit_step(stream.recv_target) || stream.wants_more_window() {
            self.update_stream_window(slot);
        }
    }

    /// The caller will not take what has come. It is credited, since the status may wait behind messages that a client
    /// takes only after it has sent its own.
    #[cold]
    pub(super) fn drop_unread(&mut self, slot: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let unread = u32::try_from(stream.inbound.buffered()).unwrap_or(u32::MAX);
        self.drop_inbound(slot);
        self.credit_stream(slot, unread);
    }

    /// Drops the messages of a stream that nobody has taken, and the one in progress.
    #[inline]
    pub(super) fn drop_inbound(&mut self, slot: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        self.ledger.dropped(&mut stream.inbound);
        self.memory_freed();
    }

    /// DATA has come. A sender that has more than half of a window under way may be held up by it: once the reader has
    /// taken everything, the window grows. A reader that leaves messages lie gets no more than it has.
    #[inline]
    pub(super) fn note_pressure(&mut self, slot: u32) {
        let max_target = self.path.pressed_below();
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let target = stream.recv_target;
        stream.recv_pressed |= stream.recv_window <= i64::from(target / 2) && target < max_target;
    }

    #[inline(never)]
    fn update_stream_window(&mut self, slot: u32) {
        let own = self.least_window();
        let Some(stream) = self.slots.get_mut(slot) else { return };
        if !stream.receiving() {
            return;
        }
        self.ledger.shrink(stream.shrink_after_pause(self.now, own));
        let mut increment = std::mem::take(&mut stream.recv_owed);
        let (target, pressed) = (stream.recv_target, stream.wants_more_window());
        let growth = self.path.stream_growth(&mut stream.turnover, self.now, increment, target, pressed);
        let window =
            stream.recv_window.saturating_add(i64::from(increment)).saturating_add(i64::from(growth));
        if growth > 0 && self.ledger.fits_well(growth) && window <= i64::from(MAX_WINDOW) {
            self.path.stream_grew(&mut stream.turnover, self.now, target);
            let before = stream.growth(own);
            stream.recv_target += growth;
            stream.recv_pressed = false;
            self.ledger.grow(stream.growth(own) - before);
            // What it was to come back by is kept, except for what a message is promised.
            let kept = growth.min(stream.recv_excess.saturating_sub(stream.promised));
            stream.recv_excess -= kept;
            increment += growth - kept;
        }
        self.write_stream_credit(slot, increment);
        self.measure_path();
        // A window that has come back to where it began lets in less.
        self.memory_freed();
    }

    fn write_stream_credit(&mut self, slot: u32, increment: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        if increment == 0 || stream.id == 0 {
            return;
        }
        stream.recv_window += i64::from(increment);
        let id = StreamId::new(stream.id);
        self.write_called_for(|out| WindowUpdate { stream: id, increment }.write(out));
    }

    /// Returns the windows of a new stream. RFC 9113 §6.9.3: until the peer acknowledges our SETTINGS it may send as if there
    /// were none, so what a new stream may receive is the default at least.
    pub(super) fn new_windows(&self) -> Windows {
        let ours = self.config.initial_stream_window;
        let least = if self.unacked_settings > 0 { DEFAULT_WINDOW } else { 0 };
        Windows {
            send: i64::from(self.peer.initial_window),
            recv: i64::from(ours.max(least)),
            recv_target: ours,
        }
    }

    /// The peer has acknowledged our SETTINGS: what its streams had above our window is gone, and windows may be below
    /// zero now (RFC 9113 §6.9.2). A message that was allowed before may need more of it for its rest.
    pub(super) fn settle_windows(&mut self) {
        let above = i64::from(DEFAULT_WINDOW.saturating_sub(self.config.initial_stream_window));
        if above == 0 {
            return;
        }
        let open: Vec<u32> = self.slots.occupied().collect();
        for slot in open {
            if let Some(stream) = self.slots.get_mut(slot) {
                stream.recv_window -= above;
            }
            self.admit_message(slot);
        }
        self.memory_freed();
    }

    /// [P-103](crate::manual::rules#p-103): a message larger than the window would stall its sender for ever. Once the caller has nothing else to
    /// take, the rest of it is allowed at once; or it waits for memory.
    #[inline]
    pub(super) fn admit_message(&mut self, slot: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let Some(needed) = stream.window_needed() else { return };
        if needed <= stream.recv_window || stream.inbound.complete() > 0 {
            return;
        }
        if !self.short.contains(slot) {
            self.windows = None;
            if !self.open_window(slot) {
                self.wait_for_memory(slot);
            }
        }
    }

    /// Opens the window for the rest of the message in progress, where there is memory for it. Whether it is open, or
    /// nothing waits for that: a reader that does not ask for the message is none that waits.
    #[inline(never)]
    pub(super) fn open_window(&mut self, slot: u32) -> bool {
        let Some(stream) = self.slots.get_mut(slot).filter(|stream| stream.receiving()) else { return true };
        let rise = LEAST_WINDOW.saturating_sub(stream.recv_target);
        stream.recv_target += rise;
        stream.recv_owed = stream.recv_owed.saturating_add(rise);
        let (lacking, wanted) = (stream.window_lacking(), stream.want_read);
        if lacking > 0 {
            if !wanted && !self.ledger.fits_well(lacking) {
                return true;
            }
            if !self.may_promise(lacking) {
                return false;
            }
        }
        self.promise_rest(slot, lacking);
        true
    }

    /// Gives a stream what it is owed, and the window that the rest of its message lacks.
    fn promise_rest(&mut self, slot: u32, lacking: u32) {
        let came = self.bytes_that_came();
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let owed = std::mem::take(&mut stream.recv_owed);
        let window = stream.recv_window.saturating_add(i64::from(owed)).saturating_add(i64::from(lacking));
        let spare = u32::try_from(i64::from(MAX_WINDOW).saturating_sub(window)).unwrap_or(0);
        let more = lacking.saturating_add(PADDING_MARGIN.min(spare));
        let excess = match lacking {
            0 => 0,
            _ if self.ledger.fits(more) => more,
            _ => lacking,
        };
        stream.recv_excess = stream.recv_excess.saturating_add(excess);
        // What is there for padding holds no memory.
        let promised = lacking.saturating_sub(MOST_PADDING);
        stream.promised = stream.promised.saturating_add(promised);
        // It stood still for want of this.
        stream.goes_on(self.now, came);
        self.ledger.promise(promised);
        if let Some(windows) = &mut self.windows {
            *windows = windows.saturating_add(u64::from(excess - promised.min(excess)));
        }
        self.write_stream_credit(slot, owed.saturating_add(excess));
    }

    /// Returns whether a message may be promised so many bytes more. The windows are counted where it depends on them, and
    /// once for many messages.
    fn may_promise(&mut self, more: u32) -> bool {
        if !self.ledger.fits(more) {
            return false;
        }
        let least = u64::from(self.open_streams).saturating_mul(self.least_window().into());
        let most = self.ledger.most_in_windows(least);
        if self.ledger.fits_beside(more, || most) {
            return true;
        }
        let windows = self.windows.unwrap_or_else(|| self.count_windows());
        self.windows = Some(windows);
        self.ledger.fits_beside(more, || windows)
    }

    /// Returns what windows let in besides what was promised to them: those that are open, and those of streams that the peer
    /// may open, or that wait to be opened.
    #[cold]
    pub(super) fn count_windows(&self) -> u64 {
        let (mut open, mut receiving) = (0_u64, 0_u32);
        for stream in self.slots.occupied().filter_map(|slot| self.slots.get(slot)) {
            if stream.id != 0 && stream.receiving() {
                open = open.saturating_add(stream.own_window());
                receiving = receiving.saturating_add(1);
            }
        }
        let to_come = match self.role {
            RoleKind::Server => self.config.limits.max_concurrent_streams.saturating_sub(receiving),
            RoleKind::Client => self.queued_calls,
        };
        self.ledger.left_for_windows(open, u64::from(to_come).saturating_mul(self.least_window().into()))
    }

    /// Returns the window that every stream keeps.
    pub(super) fn least_window(&self) -> u32 {
        self.config.initial_stream_window.max(LEAST_WINDOW)
    }

    /// Nothing more comes on a stream: what was promised to it, by the growth of its window too, is free.
    #[inline]
    pub(super) fn release_promises(&mut self, slot: u32) {
        let own = self.least_window();
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let grown = stream.growth(own);
        if grown > 0 || stream.promised > 0 {
            stream.recv_target -= grown;
            self.ledger.shrink(grown);
            self.ledger.release(std::mem::take(&mut stream.promised));
        }
    }

    /// The peer lets us send more (RFC 9113 §6.9).
    pub(super) fn on_window_update(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Violation> {
        let WindowUpdate { increment, stream } = match WindowUpdate::parse(header, payload) {
            Ok(update) => update,
            // RFC 9113 §5.1: on an idle stream any WINDOW_UPDATE costs the connection, an empty one too.
            Err(error) if !header.stream.is_connection() && self.ids.get(header.stream.get()).is_none() => {
                self.glitch()?;
                self.on_closed_stream(header.stream.get(), ClosedStreamInput::WindowUpdate)?;
                return if error.scope() == crate::frame::Scope::Connection {
                    Err(error.into())
                } else {
                    Ok(())
                };
            }
            Err(error) => return Err(error.into()),
        };
        if stream.is_connection() {
            return self.grow_connection_window(increment);
        }
        let Some(slot) = self.ids.get(stream.get()) else {
            self.abuse.late_credit(self.now, increment)?;
            return self.on_closed_stream(stream.get(), ClosedStreamInput::WindowUpdate);
        };
        let Some(call) = self.slots.get_mut(slot) else { return Ok(()) };
        let window = call.send_window + i64::from(increment);
        if window > i64::from(MAX_WINDOW) {
            return Err(Violation::WindowOverflow { connection: false, window });
        }
        call.send_window = window;
        if window > 0 && call.queue.bytes() > 0 {
            self.let_flow(slot);
        }
        Ok(())
    }

    fn grow_connection_window(&mut self, increment: u32) -> Result<(), Violation> {
        let window = self.send_window + i64::from(increment);
        if window > i64::from(MAX_WINDOW) {
            return Err(Violation::WindowOverflow { connection: true, window });
        }
        self.send_window = window;
        while let Some(slot) = self.queues.pop_from(STARVED) {
            self.queues.join(READY, slot);
        }
        Ok(())
    }

    /// RFC 9113 §6.9.2: a new SETTINGS_INITIAL_WINDOW_SIZE changes every open stream's window by the difference; the
    /// result may be negative, but not above 2^31-1.
    pub(super) fn change_initial_window(&mut self, value: u32) -> Result<(), Violation> {
        let change = i64::from(value) - i64::from(self.peer.initial_window);
        self.peer.initial_window = value;
        // Calls that wait for a stream take the value that is in force when they get one.
        let open = self.ids.slots();
        for slot in open {
            let Some(stream) = self.slots.get_mut(slot) else { continue };
            let window = stream.send_window + change;
            if window > i64::from(MAX_WINDOW) {
                return Err(Violation::WindowOverflow { connection: true, window });
            }
            stream.send_window = window;
            if window > 0 && stream.queue.bytes() > 0 {
                self.let_flow(slot);
            }
        }
        Ok(())
    }

    /// The window of a stream is open, and there is something to send.
    #[inline]
    fn let_flow(&mut self, slot: u32) {
        if let Some(stream) = self.slots.get_mut(slot)
            && std::mem::take(&mut stream.held_up)
        {
            self.ledger.let_flow(stream.queue.weight());
        }
        self.schedule(slot);
    }

    /// Puts a call in line for the scheduler, unless it stands in a line: for that, for a stream or for the connection's
    /// window.
    #[inline]
    pub(super) fn schedule(&mut self, slot: u32) {
        self.queues.join(READY, slot);
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use halfclose_wire::{PREFACE, REQUEST, block, data, headers, message, settings, settings_ack};

    use super::*;
    use crate::config::{Config, Seed};
    use crate::types::{CallId, Event, Recv};

    const MEMORY: u64 = 60_000;

    /// Returns a server with one open call whose reader waits, and whose windows do not grow.
    fn server() -> (Engine, CallId) {
        server_of(30_000)
    }

    /// The same with messages of so many bytes.
    fn server_of(largest: u32) -> (Engine, CallId) {
        let mut config = Config::server();
        (config.initial_stream_window, config.max_stream_window) = (10_000, 10_000);
        (config.limits.max_receive_message, config.limits.memory) = (largest, MEMORY);
        let mut engine = Engine::new(RoleKind::Server, config, Seed(1), Time::ZERO);
        feed(&mut engine, &[PREFACE, &settings(&[]), &settings_ack()].concat());
        feed(&mut engine, &headers(1, 0, &block(&REQUEST)));
        let call = std::iter::from_fn(|| engine.poll_event())
            .find_map(|event| if let Event::Request(call) = event { Some(call) } else { None });
        let call = call.unwrap();
        assert!(matches!(engine.recv(call), Ok(Recv::Pending)));
        (engine, call)
    }

    fn feed(engine: &mut Engine, bytes: &[u8]) {
        engine.receive(Time::ZERO, &mut BytesMut::from(bytes)).unwrap();
        drop(engine.take_transmit(Time::ZERO));
    }

    fn feed_data(engine: &mut Engine, bytes: &[u8]) {
        feed(engine, &data(1, 0, bytes));
    }

    #[test]
    fn a_window_that_was_opened_for_a_message_comes_back_to_its_target() {
        let (mut engine, call) = server();
        for piece in message(&[7; 25_000]).chunks(10_000) {
            feed_data(&mut engine, piece);
        }
        let excess = engine.slots.get(call.slot).unwrap().recv_excess;
        // The rest of the message, the padding there might have been, and a margin.
        assert_eq!(excess, 15_005 + MOST_PADDING + PADDING_MARGIN);
        assert_eq!((engine.memory().held, engine.memory().promised), (25_005, 0));
        let mut taken = 0;
        for size in [25_000, 1_000, 1_000, 1_000, 3_000, 1_000] {
            if size != 25_000 {
                feed_data(&mut engine, &message(&vec![7; size]));
            }
            assert!(matches!(engine.recv(call), Ok(Recv::Message(_))));
            taken += size as u32 + 5;
            let stream = engine.slots.get(call.slot).unwrap();
            assert_eq!(stream.recv_excess, excess.saturating_sub(taken));
            let allowed = stream.recv_window + i64::from(stream.recv_owed);
            assert_eq!(
                allowed,
                10_000 + i64::from(stream.recv_excess),
                "the target and the excess, and no more"
            );
            assert!(stream.promised <= stream.recv_excess);
            assert_eq!((engine.memory().held, engine.memory().promised), (0, u64::from(stream.promised)));
        }
    }

    #[test]
    fn the_end_of_a_call_releases_what_was_promised_to_it() {
        let (mut engine, call) = server();
        feed_data(&mut engine, &message(&[7; 25_000])[..10_000]);
        assert!(engine.memory().promised > 0);
        engine.cancel(call).unwrap();
        while engine.poll_event().is_some() {}
        assert_eq!((engine.memory().held, engine.memory().promised), (0, 0));
    }

    #[test]
    fn the_window_of_a_message_that_no_window_holds_is_opened_again_when_half_of_it_is_used() {
        let (mut engine, call) = server_of(u32::MAX);
        feed_data(&mut engine, &[0, 0x80, 0, 0xfe, 0xff]);
        let stream = engine.slots.get_mut(call.slot).unwrap();
        let most = i64::from(MAX_WINDOW);
        assert_eq!(stream.recv_window, most, "all that RFC 9113 §6.9.1 allows");
        for (window, lacking) in
            [(most / 2 + 1, 0), (most / 2, most - most / 2), (1_000, most - 1_000), (0, most)]
        {
            stream.recv_window = window;
            assert_eq!(i64::from(stream.window_lacking()), lacking, "at {window}");
        }
    }
}
