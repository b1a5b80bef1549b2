//! DATA frames: windows, padding, content-length and the messages that the bytes form.

use bytes::Buf;

use super::engine::Engine;
use super::memory::Ledger;
use super::stream::{ContentLength, ServerHeaders, Side, Stream};
use crate::error::Violation;
use crate::frame::{Flags, FrameHeader, data_range};
use crate::grpc::message::{Arena, MessageError, PREFIX_LEN, Payload};
use crate::grpc::status::{Code, Status};
use crate::machine::{ClientRecvInput, ClosedStreamInput, IllegalTransition, ServerRecvInput, Step};
use crate::types::Cause;

/// What happens to a DATA frame on an open stream.
enum Use {
    Keep,
    Drop,
}

impl Stream {
    #[inline]
    fn step_data(&mut self, end: bool) -> Result<Use, &'static IllegalTransition> {
        match &mut self.side {
            Side::Server(call) => {
                let input = if end { ServerRecvInput::DataEnd } else { ServerRecvInput::Data };
                let before = call.recv;
                let step = before.step(input);
                if let Step::To(next) = step {
                    call.recv = next;
                }
                // On an abandoned half only the end of the stream matters.
                let wanted = before != crate::machine::ServerRecv::Abandoned;
                outcome(step, wanted)
            }
            Side::Client(call) => {
                let input = if end { ClientRecvInput::DataEnd } else { ClientRecvInput::Data };
                let step = call.recv.step(input);
                if let Step::To(next) = step {
                    call.recv = next;
                }
                outcome(step, true)
            }
        }
    }
}

impl Stream {
    /// Adds the content of a DATA frame to the messages of the stream, and accounts for it. Returns whether it completed a
    /// message.
    #[inline]
    fn push_data(
        &mut self,
        payload: Payload<'_>,
        limit: u32,
        arena: &mut Arena,
        ledger: &mut Ledger,
    ) -> Result<bool, MessageError> {
        // A small message in a frame of its own, as in a unary call.
        if let Payload::Borrowed(bytes) = &payload
            && self.inbound.push_lone(bytes, limit, arena)
        {
            ledger.received(bytes.len());
            return Ok(true);
        }
        self.push_any(payload, limit, arena, ledger)
    }

    #[inline(never)]
    fn push_any(
        &mut self,
        payload: Payload<'_>,
        limit: u32,
        arena: &mut Arena,
        ledger: &mut Ledger,
    ) -> Result<bool, MessageError> {
        let inbound = &mut self.inbound;
        let (complete, pinned, held) = (inbound.complete(), inbound.pinned(), inbound.buffered());
        let pushed = inbound.push(payload, limit, arena);
        ledger.views_came(inbound.pinned().saturating_sub(pinned));
        ledger.received(inbound.buffered().saturating_sub(held));
        ledger.taken(held.saturating_sub(inbound.buffered()));
        pushed.map(|()| inbound.complete() > complete)
    }
}

impl ContentLength {
    /// Counts the bytes of a DATA frame, which must add up to the content-length if there is one (RFC 9113 §8.1.1).
    fn count(&mut self, bytes: usize, end: bool) -> Result<(), Violation> {
        self.met = self.met.saturating_add(bytes as u64);
        if self.met > self.expected || (end && self.met < self.expected) {
            return Err(Violation::ContentLength { expected: self.expected, met: self.met });
        }
        Ok(())
    }
}

fn outcome<S>(step: Step<S>, wanted: bool) -> Result<Use, &'static IllegalTransition> {
    match step {
        Step::To(_) if wanted => Ok(Use::Keep),
        Step::Stream(breach) | Step::Connection(breach) => Err(breach),
        Step::To(_) | Step::Ignore | Step::Misuse(_) | Step::Cardinality(_) => Ok(Use::Drop),
    }
}

impl Engine {
    #[inline]
    pub(super) fn on_data(&mut self, header: &FrameHeader, payload: Payload<'_>) -> Result<(), Violation> {
        let id = header.stream.get();
        let range = data_range(header, payload.as_slice())?;
        let end = header.flags.contains(Flags::END_STREAM);
        self.take_connection_window(header.length)?;
        let Some(slot) = self.ids.get(id) else {
            self.abuse.late_data(self.now, header.length, end)?;
            return self.on_closed_stream(id, ClosedStreamInput::Data);
        };
        let Some(stream) = self.slots.get_mut(slot) else { return Ok(()) };
        let window = stream.recv_window;
        if i64::from(header.length) > window {
            return Err(Violation::WindowExceeded { connection: false, length: header.length, window });
        }
        stream.recv_window = window - i64::from(header.length);
        let mut kept_last = false;
        if stream.promised > 0 {
            let kept = header.length.min(stream.promised);
            stream.promised -= kept;
            kept_last = self.ledger.release(kept);
        }
        let used = match stream.step_data(end) {
            Ok(used) => used,
            Err(breach) => return Err(Violation::Order(breach)),
        };
        if let Some(content) = &mut stream.content_length {
            content.count(range.len(), end)?;
        }
        // Padding is never read by the caller, so it is credited on receipt (RFC 9113 §6.9.1).
        let padding = header.length.saturating_sub(u32::try_from(range.len()).unwrap_or(u32::MAX));
        match used {
            Use::Drop if is_refused(self.slots.get(slot)) => {
                self.on_refused_data(slot, end);
                self.weigh_data(header, range.len())
            }
            Use::Drop => {
                self.credit_stream(slot, header.length);
                self.weigh_data(header, range.len())
            }
            Use::Keep => {
                let content = if padding > 0 {
                    self.owe_stream(slot, padding);
                    trim(payload, range)
                } else {
                    payload
                };
                self.keep_data(slot, header, content)?;
                if kept_last {
                    // With no promise left, none of the grant has to stay free beside promises.
                    self.memory_freed();
                }
                Ok(())
            }
        }
    }

    #[inline]
    fn keep_data(&mut self, slot: u32, header: &FrameHeader, payload: Payload<'_>) -> Result<(), Violation> {
        let (bytes, end) = (payload.as_slice().len(), header.flags.contains(Flags::END_STREAM));
        let limit = self.config.limits.max_receive_message;
        let Some(stream) = self.slots.get_mut(slot) else { return Ok(()) };
        if is_not_grpc(stream) {
            self.on_foreign_body(slot, payload, end);
            return self.weigh_data(header, bytes);
        }
        let length = payload.as_slice().len();
        if !self.ledger.admits(length) && !self.make_room(slot, length) {
            return Ok(());
        }
        let Some(stream) = self.slots.get_mut(slot) else { return Ok(()) };
        let pushed = stream.push_data(payload, limit, &mut self.arena, &mut self.ledger);
        let completed = match pushed {
            Ok(completed) => completed,
            Err(error) => {
                self.on_message_error(slot, &error);
                return Ok(());
            }
        };
        if completed && stream.peer_codec.is_some() {
            // Decompression may produce a thousand times the input, so it uses up the work of a whole turn.
            self.work = usize::MAX;
        }
        if end {
            self.on_end_of_data(slot);
            return Ok(());
        }
        let (told, partial) = (!stream.want_read, stream.inbound.is_mid_message());
        if partial {
            stream.moved(length, self.now, self.credited.saturating_add(self.recv_owed.into()));
        }
        self.note_pressure(slot);
        if completed {
            self.abuse.useful(bytes);
        } else {
            self.weigh_data(header, bytes)?;
        }
        if completed && !told {
            self.tell_readable(slot);
        }
        if partial {
            self.admit_message(slot);
        }
        Ok(())
    }

    /// Charges a frame that is too short for a message, apart from its padding, as useless work (CVE-2019-9518),
    /// unless it ends the stream.
    #[inline(never)]
    fn weigh_data(&mut self, header: &FrameHeader, bytes: usize) -> Result<(), Violation> {
        if bytes >= PREFIX_LEN {
            self.abuse.useful(bytes);
            return Ok(());
        }
        if header.flags.contains(Flags::END_STREAM) {
            return Ok(());
        }
        self.abuse.useless_data(self.now, header.length)
    }

    /// Handles END_STREAM on DATA: a server's request is complete; a client's response lacks its trailers.
    fn on_end_of_data(&mut self, slot: u32) {
        self.release_promises(slot);
        self.memory_freed();
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let truncated = stream.inbound.is_mid_message();
        match &stream.side {
            Side::Server(_) if truncated => self.on_message_error(slot, &MessageError::Truncated),
            Side::Server(_) => self.tell_readable(slot),
            Side::Client(_) => {
                // P-26: a call always has a status; without trailers the client makes one up.
                let text = if truncated {
                    "the stream ended inside a message"
                } else {
                    "the stream ended without trailers"
                };
                self.finish_client(slot, Status::internal(text), Cause::MissingTrailers);
            }
        }
    }

    /// Ends a call whose message breaks a rule of gRPC ([P-50](crate::manual::rules#p-50) to
    /// [P-56](crate::manual::rules#p-56)) with a status. The connection stays open.
    #[cold]
    pub(super) fn on_message_error(&mut self, slot: u32, error: &MessageError) {
        let code = match error {
            MessageError::TooLarge { .. } => Code::ResourceExhausted,
            _ => Code::Internal,
        };
        self.reject(slot, Status::new(code, error.to_string()));
    }
}

/// Returns whether the stream carries a request that was answered with an HTTP status: it gets no more credit.
fn is_refused(stream: Option<&Stream>) -> bool {
    match stream.map(|stream| &stream.side) {
        Some(Side::Server(call)) => matches!(call.headers, ServerHeaders::RefusalSent),
        _ => false,
    }
}

fn is_not_grpc(stream: &Stream) -> bool {
    match &stream.side {
        Side::Client(call) => call.foreign.is_some(),
        Side::Server(_) => false,
    }
}

/// Returns the payload without its padding.
#[cold]
fn trim(payload: Payload<'_>, range: std::ops::Range<usize>) -> Payload<'_> {
    match payload {
        Payload::Borrowed(bytes) => Payload::Borrowed(bytes.get(range).unwrap_or_default()),
        Payload::Owned(mut bytes) => {
            bytes.truncate(range.end);
            bytes.advance(range.start.min(bytes.len()));
            Payload::Owned(bytes)
        }
    }
}
