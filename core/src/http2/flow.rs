//! Credit: what the peer may still send, and what this side may.
//!
//! Connection credit returns on receipt, so that one unread stream does not starve the others (P-102). Stream credit
//! returns when the caller takes a message; padding and everything dropped is credited at once. What all streams
//! together may hold is bounded by their initial windows plus one pool, from which streams borrow: for a message
//! larger than the window (P-103), and for the window of a reader that keeps up. Every loan is large enough for the
//! rest of its message, so a granted stream can always finish, and the others wait in line. What a stream may keep
//! after its message never comes from what the largest message of another needs: no deadlock.

use super::engine::{Engine, READY, STARVED};
use super::slots::Windows;
use super::stream::{Side, Stream};
use crate::error::Violation;
use crate::frame::{DEFAULT_WINDOW, FrameHeader, MAX_WINDOW, MOST_PADDING, StreamId, WindowUpdate};
use crate::grpc::message::PREFIX_LEN;
use crate::machine::{ClientRecv, ClosedStreamInput, ServerRecv};

/// What a loan is larger than its message, for senders that pad: their padding then comes back in one update for many
/// frames.
const LOAN_MARGIN: u32 = 16 * 1024;

/// A window that holds a message's prefix and a frame's padding. One that is smaller grows to this for its first
/// message, and not on loan: nobody could tell yet how much of a loan the message will pay back.
const LEAST_WINDOW: u32 = PREFIX_LEN as u32 + MOST_PADDING;

impl Stream {
    /// The window that lets the message in progress go on to its end, in frames that may be padded. `None` between
    /// messages.
    fn window_needed(&self) -> Option<i64> {
        self.inbound.missing().map(|missing| i64::from(missing) + i64::from(MOST_PADDING))
    }

    /// Owes the peer `count` bytes more that the caller has taken, where that calls for nothing else: no loan is to be
    /// paid back or considered, the window is not to grow, and less than half of it is owed. Whether it did.
    #[inline]
    pub(super) fn owe(&mut self, count: u32) -> bool {
        let owed = self.recv_owed.saturating_add(count);
        let quiet = owed < self.recv_target / 2
            && !self.recv_pressed
            && self.loan == 0
            && !self.inbound.is_mid_message();
        if quiet {
            self.recv_owed = owed;
        }
        quiet
    }

    /// Whether the reader has taken every message that was whole, and its window is what holds the sender up.
    fn wants_more_window(&self) -> bool {
        self.recv_pressed && self.inbound.complete() == 0
    }

    /// Whether the peer may still send DATA that anybody wants: only then is credit worth a frame.
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
        if self.recv_owed >= self.config.connection_window / 2 {
            self.credit_connection();
        }
        Ok(())
    }

    #[cold]
    fn credit_connection(&mut self) {
        let increment = std::mem::take(&mut self.recv_owed);
        self.recv_window += i64::from(increment);
        WindowUpdate { stream: StreamId::ZERO, increment }.write(self.outbox.buf());
    }

    /// The caller took `count` bytes, and more than a note of it is due.
    #[inline(never)]
    pub(super) fn credit_taken(&mut self, slot: u32, count: u32) {
        self.credit_stream(slot, count);
        self.consider_loan(slot);
    }

    /// `count` bytes of the stream were taken or dropped: credits them once half a window has gathered.
    #[inline]
    pub(super) fn credit_stream(&mut self, slot: u32, count: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        // A loan is paid back before new credit is given.
        let repaid = count.min(stream.loan);
        stream.loan -= repaid;
        if repaid > 0 {
            self.pool_free = self.pool_free.saturating_add(repaid);
        }
        self.owe_stream(slot, count - repaid);
        if repaid > 0 {
            self.serve_borrowers();
        }
    }

    /// As [`credit_stream`](Self::credit_stream), and pays no loan back: for padding, which must not eat up what was
    /// lent for the rest of a message.
    #[inline]
    pub(super) fn owe_stream(&mut self, slot: u32, count: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        stream.recv_owed = stream.recv_owed.saturating_add(count);
        if stream.recv_owed >= stream.recv_target / 2 || stream.wants_more_window() {
            self.update_stream_window(slot);
        }
    }

    /// The caller will not take what has come. It is credited, since the status may wait behind messages that a client
    /// takes only after it has sent its own.
    #[cold]
    pub(super) fn drop_unread(&mut self, slot: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let unread = u32::try_from(stream.inbound.buffered()).unwrap_or(u32::MAX);
        self.pinned = self.pinned.saturating_sub(stream.inbound.clear());
        self.credit_stream(slot, unread);
    }

    /// DATA has come. A sender that has more than half of a window under way may be held up by it: once the reader has
    /// taken everything, the window grows. A reader that leaves messages lie gets no more than it has.
    #[inline]
    pub(super) fn note_pressure(&mut self, slot: u32) {
        let max_target = self.config.max_stream_window;
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let target = stream.recv_target;
        stream.recv_pressed |= stream.recv_window <= i64::from(target / 2) && target < max_target;
    }

    #[inline(never)]
    fn update_stream_window(&mut self, slot: u32) {
        let reserve = self.config.limits.max_receive_message;
        let max_target = self.config.max_stream_window;
        let Some(stream) = self.slots.get_mut(slot) else { return };
        if !stream.receiving() {
            return;
        }
        let mut increment = std::mem::take(&mut stream.recv_owed);
        let growth = stream.recv_target.min(max_target.saturating_sub(stream.recv_target));
        if growth > 0
            && stream.wants_more_window()
            && self.pool_free.saturating_sub(reserve) >= growth
            && increment.checked_add(growth).is_some_and(|sum| sum <= MAX_WINDOW)
        {
            stream.recv_target += growth;
            stream.recv_pressed = false;
            self.pool_free -= growth;
            increment += growth;
        }
        self.write_stream_credit(slot, increment);
    }

    fn write_stream_credit(&mut self, slot: u32, increment: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        if increment == 0 || stream.id == 0 {
            return;
        }
        stream.recv_window += i64::from(increment);
        let id = StreamId::new(stream.id);
        WindowUpdate { stream: id, increment }.write(self.outbox.buf());
    }

    /// The windows of a new stream. RFC 9113 §6.9.3: until the peer acknowledges our SETTINGS it may send as if there
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
    /// zero now (RFC 9113 §6.9.2). A message that was allowed before may need a loan for its rest.
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
            self.consider_loan(slot);
        }
    }

    /// P-103: a message larger than the window would stall its sender for ever. Once the caller has nothing else to
    /// take, the rest of it is allowed at once: with what the stream is owed, or on loan from the pool; or the stream
    /// waits in line for that.
    #[inline]
    pub(super) fn consider_loan(&mut self, slot: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let Some(needed) = stream.window_needed() else { return };
        if needed <= stream.recv_window || stream.inbound.complete() > 0 || !stream.receiving() {
            return;
        }
        if needed <= stream.recv_window.saturating_add(i64::from(stream.recv_owed)) {
            let owed = std::mem::take(&mut stream.recv_owed);
            return self.write_stream_credit(slot, owed);
        }
        self.borrowers.push_back(slot);
        self.serve_borrowers();
    }

    #[inline(never)]
    pub(super) fn serve_borrowers(&mut self) {
        while let Some(slot) = self.borrowers.front() {
            if !self.lend(slot) {
                return;
            }
            self.borrowers.remove(slot);
        }
    }

    /// Whether the stream needs no loan, or has one now.
    fn lend(&mut self, slot: u32) -> bool {
        let Some(stream) = self.slots.get_mut(slot) else { return true };
        let rise = LEAST_WINDOW.saturating_sub(stream.recv_target);
        stream.recv_target += rise;
        let owed = std::mem::take(&mut stream.recv_owed).saturating_add(rise);
        let window = stream.recv_window.saturating_add(i64::from(owed));
        let needed = stream.window_needed().unwrap_or(0);
        let least = u32::try_from(needed.saturating_sub(window)).unwrap_or(0);
        if least > self.pool_free {
            stream.recv_owed = owed;
            return false;
        }
        // The margin stays with the stream when its message is whole, so it is not taken from what the largest message
        // of another one needs: that stream may be the one that this one's peer waits for.
        let spare = (self.pool_free - least).saturating_sub(self.config.limits.max_receive_message);
        let margin = if least > 0 { LOAN_MARGIN.min(spare) } else { 0 };
        let loan = least + margin;
        stream.loan = stream.loan.saturating_add(loan);
        self.pool_free -= loan;
        self.write_stream_credit(slot, owed.saturating_add(loan));
        true
    }

    /// What a stream holds of the pool: the growth of its window, and its loan.
    #[inline]
    pub(super) fn borrowed(&self, stream: &Stream) -> u32 {
        let own = self.config.initial_stream_window.max(LEAST_WINDOW);
        stream.recv_target.saturating_sub(own).saturating_add(stream.loan)
    }

    /// Gives back what a stream borrowed, at its end.
    #[inline]
    pub(super) fn repay(&mut self, borrowed: u32) {
        if borrowed > 0 {
            self.pool_free = self.pool_free.saturating_add(borrowed);
            self.serve_borrowers();
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
            self.glitch()?;
            return self.on_closed_stream(stream.get(), ClosedStreamInput::WindowUpdate);
        };
        let Some(call) = self.slots.get_mut(slot) else { return Ok(()) };
        let window = call.send_window + i64::from(increment);
        if window > i64::from(MAX_WINDOW) {
            return Err(Violation::WindowOverflow { connection: false, window });
        }
        call.send_window = window;
        if window > 0 && call.queue.bytes() > 0 {
            self.schedule(slot);
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
        let open: Vec<u32> = self.ids.slots().collect();
        for slot in open {
            let Some(stream) = self.slots.get_mut(slot) else { continue };
            let window = stream.send_window + change;
            if window > i64::from(MAX_WINDOW) {
                return Err(Violation::WindowOverflow { connection: true, window });
            }
            stream.send_window = window;
            if window > 0 && stream.queue.bytes() > 0 {
                self.schedule(slot);
            }
        }
        Ok(())
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
    use crate::http2::role::RoleKind;
    use crate::time::Time;
    use crate::types::{CallId, Event, Recv};

    const POOL: u32 = 60_000;

    /// A server with one open call, whose windows do not grow.
    fn server() -> (Engine, CallId) {
        let mut config = Config::server();
        (config.initial_stream_window, config.max_stream_window) = (10_000, 10_000);
        (config.limits.max_receive_message, config.limits.window_pool) = (30_000, POOL);
        let mut engine = Engine::new(RoleKind::Server, config, Seed(1), Time::ZERO);
        feed(&mut engine, &[PREFACE, &settings(&[]), &settings_ack()].concat());
        feed(&mut engine, &headers(1, 0, &block(&REQUEST)));
        let call = std::iter::from_fn(|| engine.poll_event())
            .find_map(|event| if let Event::Request(call) = event { Some(call) } else { None });
        (engine, call.unwrap())
    }

    fn feed(engine: &mut Engine, bytes: &[u8]) {
        engine.receive(Time::ZERO, &mut BytesMut::from(bytes)).unwrap();
        drop(engine.take_transmit(Time::ZERO));
    }

    fn feed_data(engine: &mut Engine, bytes: &[u8]) {
        feed(engine, &data(1, 0, bytes));
    }

    #[test]
    fn what_is_left_of_a_loan_is_paid_back_by_the_messages_after_it() {
        let (mut engine, call) = server();
        for piece in message(&[7; 25_000]).chunks(10_000) {
            feed_data(&mut engine, piece);
        }
        let lent = engine.slots.get(call.slot).unwrap().loan;
        // The rest of the message, the padding there might have been, and a margin of what the pool has to spare.
        assert_eq!(lent, 15_005 + MOST_PADDING + (POOL - 15_005 - MOST_PADDING - 30_000));
        assert_eq!(engine.pool_free, POOL - lent);
        let mut paid = 0;
        for size in [25_000, 1_000, 1_000, 1_000, 3_000, 1_000] {
            if size != 25_000 {
                feed_data(&mut engine, &message(&vec![7; size]));
            }
            assert!(matches!(engine.recv(call), Ok(Recv::Message(_))));
            paid += size as u32 + 5;
            let stream = engine.slots.get(call.slot).unwrap();
            assert_eq!(stream.loan, lent.saturating_sub(paid));
            let allowed = stream.recv_window + i64::from(stream.recv_owed);
            assert_eq!(allowed, 10_000 + i64::from(stream.loan), "what is lent, and no more");
            assert_eq!(engine.pool_free, (POOL - lent + paid).min(POOL));
        }
    }

    #[test]
    fn the_end_of_a_call_pays_back_what_it_had_borrowed() {
        let (mut engine, call) = server();
        feed_data(&mut engine, &message(&[7; 25_000])[..10_000]);
        assert!(engine.pool_free < POOL);
        engine.cancel(call).unwrap();
        while engine.poll_event().is_some() {}
        assert_eq!(engine.pool_free, POOL);
    }
}
