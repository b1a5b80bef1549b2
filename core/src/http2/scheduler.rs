//! Sending: picks the next call, and frames its messages and its end.
//!
//! Control frames are written immediately; headers, DATA and trailers as late as possible, when the caller asks for
//! bytes. Calls take turns, with one DATA frame each, so that a large message does not delay small ones.

use super::engine::{Engine, READY, STARVED};
use super::outbox::{LentTransmit, OwnedTransmit, Transmit};
use super::role::RoleKind;
use super::stream::{ClientCall, ServerHeaders, Side};
use crate::frame::{FRAME_HEADER_LEN, Flags, FrameHeader, FrameType, StreamId};
use crate::machine::{ClientSend, ClientSendInput, Step};
use crate::time::Time;

/// The result of a call's turn to send DATA.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The call's send queue is empty, so its end may follow.
    Done,
    /// The call is in a queue, or waits for its stream's window.
    Waits,
}

impl ClientCall {
    /// Notes that the frame with END_STREAM has been written.
    #[inline]
    fn end_sent(&mut self) {
        if let Step::To(next) = self.send.step(ClientSendInput::EndSent) {
            self.send = next;
        }
    }
}

impl Engine {
    pub(crate) fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_>> {
        self.audit();
        self.fill(now);
        self.audit();
        if self.outbox.may_give() { Some(self.outbox.transmit()) } else { None }
    }

    pub(crate) fn take_transmit(&mut self, now: Time) -> Option<OwnedTransmit> {
        self.audit();
        self.fill(now);
        self.audit();
        if self.outbox.may_give() { Some(self.outbox.take()) } else { None }
    }

    pub(crate) fn lend_transmit(&mut self, now: Time, to: &mut LentTransmit) -> bool {
        self.audit();
        self.fill(now);
        self.audit();
        self.outbox.lend(to)
    }

    pub(crate) fn lent_written(&mut self, count: usize) {
        self.outbox.lent_written(count);
    }

    /// Returns whether `poll_transmit` would return any bytes.
    pub(crate) fn wants_transmit(&self) -> bool {
        !self.outbox.is_empty() || self.queues.len_of(READY) > 0
    }

    pub(super) fn fill(&mut self, now: Time) {
        self.advance_clock(now);
        while self.outbox.len() < self.output.batch {
            let Some(slot) = self.queues.pop_from(READY) else { return };
            self.emit(slot);
        }
    }

    /// Gives one call its turn: its headers, one DATA frame, its end.
    fn emit(&mut self, slot: u32) {
        let started = match self.role {
            RoleKind::Client => self.emit_request(slot),
            RoleKind::Server => self.emit_response_headers(slot),
        };
        if started && self.emit_data(slot) == Turn::Done {
            self.emit_end(slot);
        }
    }

    #[inline]
    fn emit_data(&mut self, slot: u32) -> Turn {
        let max_frame = (self.peer.max_frame_size as usize).min(self.output.frame);
        let Some(stream) = self.slots.get_mut(slot) else { return Turn::Waits };
        let queued = stream.queue.bytes();
        if queued == 0 {
            return Turn::Done;
        }
        if stream.send_window <= 0 {
            stream.has_to_wait(self.now);
            if !std::mem::replace(&mut stream.held_up, true) {
                self.ledger.hold_up(stream.queue.weight());
            }
            // A WINDOW_UPDATE or new SETTINGS will queue the call again.
            return Turn::Waits;
        }
        if self.send_window <= 0 {
            stream.has_to_wait(self.now);
            self.queues.join(STARVED, slot);
            return Turn::Waits;
        }
        let window = usize::try_from(stream.send_window.min(self.send_window)).unwrap_or(0);
        let count = queued.min(window).min(max_frame);
        // P-17: the last DATA frame carries the half-close.
        let last =
            count == queued && matches!(&stream.side, Side::Client(call) if call.send == ClientSend::Closing);
        let headers = FrameHeader {
            // At most `Output::frame`, so it fits.
            length: count as u32,
            kind: FrameType::Data,
            flags: Flags::NONE.with(Flags::END_STREAM, last),
            stream: StreamId::new(stream.id),
        };
        self.outbox.reserve(FRAME_HEADER_LEN + count);
        headers.write(self.outbox.buf());
        let freed = stream.queue.take(count, &mut self.outbox);
        stream.send_window -= count as i64;
        self.send_window -= count as i64;
        self.ledger.sent(freed, false);
        if count < queued {
            stream.moved(count, self.now, self.credited.saturating_add(self.recv_owed.into()));
        }
        self.abuse.useful(count);
        if last && let Side::Client(call) = &mut stream.side {
            call.end_sent();
        }
        if stream.want_write {
            self.tell_writable(slot);
        }
        self.memory_freed();
        if count < queued {
            self.queues.join(READY, slot);
            return Turn::Waits;
        }
        if last { Turn::Waits } else { Turn::Done }
    }

    /// Writes the half-close or status of a call whose send queue is empty.
    fn emit_end(&mut self, slot: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let id = StreamId::new(stream.id);
        match &mut stream.side {
            Side::Client(call) if call.send == ClientSend::Closing => {
                // P-17: all messages have been sent, so an empty DATA frame carries the half-close.
                let headers =
                    FrameHeader { length: 0, kind: FrameType::Data, flags: Flags::END_STREAM, stream: id };
                headers.write(self.outbox.buf());
                call.end_sent();
            }
            Side::Client(_) => {}
            Side::Server(call) => {
                let trailers_only = matches!(call.headers, ServerHeaders::Unset);
                if let Some((status, metadata)) = call.status.take() {
                    self.emit_status(slot, id, trailers_only, &status, &metadata);
                }
            }
        }
    }
}
