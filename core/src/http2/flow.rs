//! Flow control: what the peer may still send, and what this side may send.
//!
//! Connection credit is returned on receipt, so that one unread stream does not starve the others
//! ([P-102](crate::manual::rules#p-102)). Stream credit is returned when the caller reads a message; padding and
//! dropped bytes are credited at once. For a message larger than its stream's window, the window is opened for all of
//! it at once ([P-103](crate::manual::rules#p-103)), as C-core does: a stream whose reader wants a message may always
//! send that message. No stream's reader or writer waits for another stream's message; only memory bounds them all
//! (`memory`, and `shortage` when it runs short).

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

/// Bytes that a window is opened for beyond its message, for senders that pad: one WINDOW_UPDATE then returns the
/// padding of many frames.
const PADDING_MARGIN: u32 = 16 * 1024;

/// The smallest window that holds a message's prefix and a frame's padding, in bytes. A smaller configured window
/// grows to this permanently with its first message, because the length of a message is unknown until its prefix has
/// arrived.
const LEAST_WINDOW: u32 = PREFIX_LEN as u32 + MOST_PADDING;

impl Stream {
    /// Returns the window that the rest of the message in progress needs, in frames that may be padded. Returns
    /// `None` between messages.
    fn window_needed(&self) -> Option<i64> {
        let needed = i64::from(self.inbound.missing()?) + i64::from(MOST_PADDING);
        let most = i64::from(MAX_WINDOW);
        // RFC 9113 §6.9.1: no window holds a message of 2^31 bytes. The window is opened again when half of it is
        // used.
        Some(if needed > most && self.recv_window > most / 2 { 0 } else { needed.min(most) })
    }

    /// Returns the bytes that the window lacks for the message in progress, counting credit that has not been sent
    /// yet.
    pub(super) fn window_lacking(&self) -> u32 {
        let window = self.recv_window.saturating_add(i64::from(self.recv_owed));
        u32::try_from(self.window_needed().unwrap_or(0).saturating_sub(window)).unwrap_or(0)
    }

    /// Returns the bytes that the window allows apart from what was promised, counting credit that has not been sent
    /// yet.
    fn own_window(&self) -> u64 {
        let window = self.recv_window.saturating_add(i64::from(self.recv_owed));
        let own = window.saturating_sub(i64::from(self.promised)).min(i64::from(self.recv_target));
        u64::try_from(own).unwrap_or(0)
    }

    /// Adds `count` bytes that the caller has read to the credit that has not been sent yet, if nothing else follows
    /// from that: no credit is held back, no message is in progress, the window is not about to grow, and less than
    /// half of it is owed. Returns whether it added them.
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

    /// Returns the bytes by which the window exceeds the one that every stream has.
    #[inline]
    pub(super) fn growth(&self, own: u32) -> u32 {
        self.recv_target.saturating_sub(own)
    }

    /// Returns whether the caller has read every complete message, so that the window is what limits the sender.
    fn wants_more_window(&self) -> bool {
        self.recv_pressed && self.inbound.complete() == 0
    }

    /// Returns the window to its first size after a long pause, as the peer uses up the difference: RFC 9113 §6.9
    /// gives no means to withdraw credit. Returns the difference in bytes.
    pub(super) fn shrink_after_pause(&mut self, now: Time, own: u32) -> u32 {
        let grown = self.recv_target.saturating_sub(own);
        if grown == 0 || !self.turnover.is_idle(now) {
            return 0;
        }
        self.recv_excess = self.recv_excess.saturating_add(grown);
        self.recv_target = own;
        grown
    }

    /// Returns whether the peer may still send DATA that the caller can read. Otherwise a WINDOW_UPDATE is wasted.
    fn receiving(&self) -> bool {
        match &self.side {
            Side::Client(call) => matches!(call.recv, ClientRecv::AwaitHeaders | ClientRecv::Body),
            Side::Server(call) => matches!(call.recv, ServerRecv::Body | ServerRecv::Abandoned),
        }
    }
}

impl Engine {
    /// Charges a DATA frame to the connection's window: every byte counts, including padding, even if the frame is
    /// dropped (RFC 9113 §5.2).
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

    /// Sends a PING if the round-trip time is to be measured.
    fn measure_path(&mut self) {
        if self.path.begin_measurement(self.now, self.recv_owed) {
            self.write_called_for(|out| Ping { ack: false, data: MEASURE_PING }.write(out));
        }
    }

    /// Credits `count` bytes that the caller has read, and lets the message in progress proceed if it can.
    #[inline(never)]
    pub(super) fn credit_taken(&mut self, slot: u32, count: u32) {
        self.credit_stream(slot, count);
        self.admit_message(slot);
    }

    /// Credits `count` bytes of a stream that were read or dropped, and sends the credit once it reaches half a
    /// window.
    #[inline]
    pub(super) fn credit_stream(&mut self, slot: u32, count: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        // A window larger than its target returns to it before new credit is sent.
        let held_back = count.min(stream.recv_excess);
        stream.recv_excess -= held_back;
        if stream.promised > stream.recv_excess {
            self.ledger.release(stream.promised - stream.recv_excess);
            stream.promised = stream.recv_excess;
            self.memory_freed();
        }
        self.owe_stream(slot, count - held_back);
    }

    /// Credits `count` bytes as [`credit_stream`](Self::credit_stream) does, but holds nothing back: padding must not
    /// use up the window that the rest of a message needs.
    #[inline]
    pub(super) fn owe_stream(&mut self, slot: u32, count: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        stream.recv_owed = stream.recv_owed.saturating_add(count);
        if stream.recv_owed >= credit_step(stream.recv_target) || stream.wants_more_window() {
            self.update_stream_window(slot);
        }
    }

    /// Drops what arrived and the caller will not read, and credits it: the status may follow messages that the
    /// client reads only after it has sent its own.
    #[cold]
    pub(super) fn drop_unread(&mut self, slot: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let unread = u32::try_from(stream.inbound.buffered()).unwrap_or(u32::MAX);
        self.drop_inbound(slot);
        self.credit_stream(slot, unread);
    }

    /// Drops the unread messages of a stream, and the one in progress.
    #[inline]
    pub(super) fn drop_inbound(&mut self, slot: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        self.ledger.dropped(&mut stream.inbound);
        self.memory_freed();
    }

    /// Notes after DATA whether the window may limit the sender: more than half of it is in flight. Once the caller
    /// has read everything, such a window grows; a caller that leaves messages unread gets no larger window.
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
            // The excess that the window returns from is kept, apart from what a message is promised.
            let kept = growth.min(stream.recv_excess.saturating_sub(stream.promised));
            stream.recv_excess -= kept;
            increment += growth - kept;
        }
        self.write_stream_credit(slot, increment);
        self.measure_path();
        // A window that has returned to its first size allows less, which frees memory.
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

    /// Returns the windows of a new stream. Until the peer acknowledges our SETTINGS it may send under the default
    /// settings, so a new stream may receive at least the default window (RFC 9113 §6.9.3).
    pub(super) fn new_windows(&self) -> Windows {
        let ours = self.config.initial_stream_window;
        let least = if self.unacked_settings > 0 { DEFAULT_WINDOW } else { 0 };
        Windows {
            send: i64::from(self.peer.initial_window),
            recv: i64::from(ours.max(least)),
            recv_target: ours,
        }
    }

    /// Lowers the windows of open streams once the peer has acknowledged our SETTINGS. A window may become negative
    /// (RFC 9113 §6.9.2), and a message that was allowed before may need more of it for its rest.
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

    /// Opens the window for the rest of a message larger than the window, which would otherwise stall its sender for
    /// ever ([P-103](crate::manual::rules#p-103)), or makes the message wait for memory. This happens once the caller
    /// has read everything else.
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

    /// Opens the window for the rest of the message in progress, if memory allows. Returns false only if the message
    /// has to wait for memory; a message that the caller does not ask for does not wait.
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

    /// Sends a stream the credit that it is owed, and the window that the rest of its message lacks.
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
        // The space for padding holds no memory.
        let promised = lacking.saturating_sub(MOST_PADDING);
        stream.promised = stream.promised.saturating_add(promised);
        // The stream made no progress because it lacked this credit.
        stream.goes_on(self.now, came);
        self.ledger.promise(promised);
        if let Some(windows) = &mut self.windows {
            *windows = windows.saturating_add(u64::from(excess - promised.min(excess)));
        }
        self.write_stream_credit(slot, owed.saturating_add(excess));
    }

    /// Returns whether a message may be promised `more` bytes. Windows are counted only if the answer depends on
    /// them, and once for many messages.
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

    /// Returns the bytes that windows allow apart from promises: those of open streams, and those of streams that the
    /// peer may still open or that wait to be opened.
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

    /// Returns the window that every stream keeps, in bytes.
    pub(super) fn least_window(&self) -> u32 {
        self.config.initial_stream_window.max(LEAST_WINDOW)
    }

    /// Releases what was promised to a stream that receives nothing more, including the growth of its window.
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

    /// Handles a WINDOW_UPDATE: the peer lets this side send more (RFC 9113 §6.9).
    pub(super) fn on_window_update(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Violation> {
        let WindowUpdate { increment, stream } = match WindowUpdate::parse(header, payload) {
            Ok(update) => update,
            // RFC 9113 §5.1: on an idle stream any WINDOW_UPDATE is a connection error, even an invalid one.
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

    /// Changes every open stream's window by the difference when the peer changes SETTINGS_INITIAL_WINDOW_SIZE (RFC
    /// 9113 §6.9.2). The result may be negative, but may not exceed 2^31-1.
    pub(super) fn change_initial_window(&mut self, value: u32) -> Result<(), Violation> {
        let change = i64::from(value) - i64::from(self.peer.initial_window);
        self.peer.initial_window = value;
        // Calls that wait for a stream get the value that is in force when they get one.
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

    /// Schedules a stream whose window is open and that has something to send.
    #[inline]
    fn let_flow(&mut self, slot: u32) {
        if let Some(stream) = self.slots.get_mut(slot)
            && std::mem::take(&mut stream.held_up)
        {
            self.ledger.let_flow(stream.queue.weight());
        }
        self.schedule(slot);
    }

    /// Adds a call to the scheduler's queue, unless it is in a queue already: that one, the one for a stream, or the
    /// one for the connection's window.
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

    /// Returns a server as [`server`] does, for messages of up to `largest` bytes.
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
        // The rest of the message, the padding it might have had, and a margin.
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
