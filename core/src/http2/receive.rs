//! Receiving bytes: the preface, frame boundaries, the order of frames, and the dispatch of each frame to its module.

use bytes::{Buf, BytesMut};

use super::block_reader::OpenBlock;
use super::engine::Engine;
use super::role::RoleKind;
use crate::error::{ConnectionError, Flood, Violation};
use crate::frame::{
    Continuation, FRAME_HEADER_LEN, Flags, FrameHeader, FrameType, Headers, PREFACE, PriorityFrame,
    PushPromise, Scope,
};
use crate::grpc::message::Payload;
use crate::machine::{Step, Wire, WireInput};
use crate::time::Time;

/// Size in bytes from which a DATA payload is kept by reference. Smaller payloads are copied, so that they do not pin
/// the buffer that they were read into.
const OWN_THRESHOLD: usize = 4 * 1024;

/// Bytes of a header block that earn it one more CONTINUATION frame: half of the smallest maximum frame size that a
/// peer may set (RFC 9113 §4.2).
const BYTES_PER_CONTINUATION: usize = 8 * 1024;

/// What a connection wants from its caller after [`receive`](crate::Connection::receive).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Needed {
    /// More bytes: all complete frames have been processed.
    More,
    /// The work limit of one turn is reached and bytes are left: let other tasks run, then call again.
    Again,
    /// Too many replies wait: hand them to the transport until [`poll_transmit`](crate::Connection::poll_transmit)
    /// returns `None`, then call again.
    Drain,
    /// Nothing: the connection is closed, and the rest of the input was dropped.
    Closed,
}

impl Engine {
    pub(crate) fn receive(&mut self, now: Time, input: &mut BytesMut) -> Result<Needed, ConnectionError> {
        self.advance_clock(now);
        if self.is_closed() {
            input.clear();
            return self.failure().map_or(Ok(Needed::Closed), Err);
        }
        if self.turn.is_new(input.len()) {
            self.clock.heard(self.now);
        }
        match self.read_frames(input) {
            Ok(needed) => {
                self.turn.received(needed, input.len());
                self.audit();
                if self.is_closed() {
                    input.clear();
                    return self.failure().map_or(Ok(Needed::Closed), Err);
                }
                Ok(needed)
            }
            Err(violation) => {
                // RFC 9113 §5.4.1: nothing is parsed after a connection error.
                input.clear();
                self.turn.received(Needed::Closed, 0);
                Err(self.fail(violation))
            }
        }
    }

    fn read_frames(&mut self, input: &mut BytesMut) -> Result<Needed, Violation> {
        if !self.read_preface(input)? {
            return Ok(Needed::More);
        }
        // A turn that may do no work would never make progress.
        let mut frames_left = self.config.limits.frames_per_turn.max(1);
        let mut bytes_left = self.config.limits.bytes_per_turn.max(1) as usize;
        self.work = 0;
        // Bytes at the front of `input` that have been processed but not yet removed.
        let mut position = 0;
        // Output limits are checked only when a frame has added output.
        let mut looked_at = None;
        let needed = loop {
            let rest = input.get(position..).unwrap_or_default();
            let Some(bytes) = rest.first_chunk::<FRAME_HEADER_LEN>() else { break Needed::More };
            let header = FrameHeader::parse(bytes);
            if header.length > self.config.limits.max_frame_size {
                let limit = self.config.limits.max_frame_size;
                return Err(Violation::FrameTooLarge { length: header.length, limit });
            }
            let length = header.length as usize;
            let Some(payload) = rest.get(FRAME_HEADER_LEN..FRAME_HEADER_LEN + length) else {
                break Needed::More;
            };
            let queued = Some(self.outbox.buf().len());
            if looked_at != queued {
                if self.is_backed_up() {
                    self.expect_reader();
                    break Needed::Drain;
                }
                looked_at = queued;
            }
            if frames_left == 0 || bytes_left <= self.work {
                break Needed::Again;
            }
            frames_left -= 1;
            bytes_left = bytes_left.saturating_sub(FRAME_HEADER_LEN + length);
            // A message that references the buffer pins all of it, however small the message is.
            let may_keep = length >= OWN_THRESHOLD && self.ledger.pinned() < self.config.limits.kept_buffers;
            let payload = if may_keep && header.kind == FrameType::Data {
                input.advance(position + FRAME_HEADER_LEN);
                position = 0;
                Payload::Owned(input.split_to(length).freeze())
            } else {
                position += FRAME_HEADER_LEN + length;
                Payload::Borrowed(payload)
            };
            if let Err(violation) = self.on_frame(header, payload) {
                if violation.scope() == Scope::Connection || header.stream.is_connection() {
                    return Err(violation);
                }
                self.on_stream_violation(header.stream.get(), violation)?;
            }
            if self.is_closed() {
                break Needed::Closed;
            }
        };
        input.advance(position);
        Ok(needed)
    }

    /// Consumes the fixed 24 bytes with which a client begins (RFC 9113 §3.4). Returns whether they are complete.
    fn read_preface(&mut self, input: &mut BytesMut) -> Result<bool, Violation> {
        if self.role == RoleKind::Client || self.preface_met == PREFACE.len() {
            return Ok(true);
        }
        let expected = PREFACE.get(self.preface_met..).unwrap_or_default();
        let n = expected.len().min(input.len());
        if input.get(..n) != expected.get(..n) {
            return Err(Violation::Preface);
        }
        input.advance(n);
        self.preface_met += n;
        Ok(self.preface_met == PREFACE.len())
    }

    /// Checks that a frame of this type may arrive now (RFC 9113 §3.4, §6.10).
    #[inline]
    fn step_wire(&mut self, header: &FrameHeader) -> Result<(), Violation> {
        let input = self.wire_input(header);
        match self.wire.step(input) {
            Step::To(next) => self.wire = next,
            Step::Connection(breach) | Step::Stream(breach) => return Err(Violation::Order(breach)),
            Step::Ignore | Step::Misuse(_) | Step::Cardinality(_) => {}
        }
        Ok(())
    }

    #[inline]
    fn on_frame(&mut self, header: FrameHeader, payload: Payload<'_>) -> Result<(), Violation> {
        let first = self.wire == Wire::AwaitSettings;
        self.step_wire(&header)?;
        match header.kind {
            FrameType::Data => self.on_data(&header, payload),
            FrameType::Headers => self.on_headers_frame(&header, payload.as_slice()),
            _ => self.on_control_frame(&header, payload.as_slice(), first),
        }
    }

    /// Handles every frame but DATA and HEADERS. Out of line to keep the hot path in `on_frame` small.
    #[inline(never)]
    fn on_control_frame(&mut self, header: &FrameHeader, bytes: &[u8], first: bool) -> Result<(), Violation> {
        match header.kind {
            FrameType::WindowUpdate => self.on_window_update(header, bytes),
            FrameType::Ping => self.on_ping(header, bytes),
            FrameType::RstStream => self.on_rst_stream(header, bytes),
            FrameType::Settings => self.on_settings(header, bytes, first),
            FrameType::Continuation => self.on_continuation(header, bytes),
            FrameType::GoAway => self.on_goaway(header, bytes),
            // RFC 9113 §5.3.2: PRIORITY is deprecated; its format is checked, and nothing is kept. It is not charged
            // either, because some clients send one with every request, and CVE-2019-9513 needs a tree for it to
            // change.
            FrameType::Priority => PriorityFrame::parse(header, bytes).map(drop).map_err(Violation::from),
            // The table has refused the frame already; parsing it here checks its size as for every other frame.
            FrameType::PushPromise => PushPromise::parse(header, bytes).map(drop).map_err(Violation::from),
            FrameType::Unknown(_) => self.glitch(),
            // `on_frame` handles these.
            FrameType::Data | FrameType::Headers => Ok(()),
        }
    }

    #[inline]
    fn wire_input(&self, header: &FrameHeader) -> WireInput {
        let end_headers = header.flags.contains(Flags::END_HEADERS);
        match header.kind {
            FrameType::Data => WireInput::Data,
            FrameType::Headers if end_headers => WireInput::Headers,
            FrameType::Headers => WireInput::HeadersOpen,
            FrameType::Priority => WireInput::Priority,
            FrameType::RstStream => WireInput::RstStream,
            FrameType::Settings if header.flags.contains(Flags::ACK) => WireInput::SettingsAck,
            FrameType::Settings => WireInput::Settings,
            FrameType::PushPromise => WireInput::PushPromise,
            FrameType::Ping => WireInput::Ping,
            FrameType::GoAway => WireInput::GoAway,
            FrameType::WindowUpdate => WireInput::WindowUpdate,
            FrameType::Continuation => {
                let expected =
                    self.open_block.as_ref().is_some_and(|open| open.stream == header.stream.get());
                match (expected, end_headers) {
                    (false, _) if self.open_block.is_some() => WireInput::ContinuationElsewhere,
                    (_, true) => WireInput::ContinuationEnd,
                    (_, false) => WireInput::Continuation,
                }
            }
            FrameType::Unknown(_) => WireInput::Unknown,
        }
    }

    /// Returns whether so much output that the peer caused waits unsent that frames which would add to it may not be
    /// read.
    ///
    /// If both ends stopped reading while neither could write, they would wait for each other for ever. So this
    /// counts nothing that an honest peer can cause by reading slowly: neither messages nor this side's own resets;
    /// and WINDOW_UPDATEs only beyond what a peer can cause that spends no credit before it has received it. What
    /// remains are replies to PING and SETTINGS, of which an honest peer sends a few at a time, and replies to
    /// violations.
    pub(super) fn is_backed_up(&mut self) -> bool {
        let waiting = self.replies.waiting(self.outbox.written());
        waiting.replies >= self.config.limits.queued_replies
            || waiting.bytes >= self.output.called_for(self.slots.places())
    }

    /// Starts the time that the peer has to read some of the waiting output.
    #[cold]
    fn expect_reader(&mut self) {
        if self.unread_since.is_none() {
            self.unread_since = Some(self.outbox.written());
            self.clock.backed_up(self.now, &self.config.limits);
        }
    }

    /// Checks, when that time is up, whether the peer has read anything. If it has, the time starts again. A peer
    /// that causes replies and reads none of them is cut off (CVE-2019-9512, CVE-2019-9514, CVE-2019-9515).
    pub(super) fn check_reader(&mut self) {
        let Some(since) = self.unread_since.take() else { return };
        if !self.is_backed_up() {
            return;
        }
        if self.outbox.written() != since {
            return self.expect_reader();
        }
        let (met, limit) = (self.outbox.len() as u64, u64::from(self.config.limits.queued_replies));
        // `Event::Closed` reports the error; no caller waits for a result here.
        let _ = self.fail(Violation::Flood { flood: Flood::Unread, met, limit });
    }

    /// Charges a frame that has no effect, and drops it.
    pub(super) fn glitch(&mut self) -> Result<(), Violation> {
        self.abuse.glitch(self.now)
    }

    #[inline]
    fn on_headers_frame(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Violation> {
        let headers = Headers::parse(header, payload)?;
        // RFC 7540 §5.3.1: a stream cannot depend on itself. The fault costs the stream alone; its block is still
        // decoded, to keep the dynamic table in step (RFC 9113 §4.3).
        let fault = headers.check_priority().err().map(Violation::from);
        let stream = header.stream.get();
        if headers.end_headers {
            return self.on_header_block(stream, headers.end_stream, headers.fragment, fault);
        }
        self.check_block_size(headers.fragment.len())?;
        self.clock.block_opened(self.now, &self.config.limits);
        self.open_block = Some(OpenBlock {
            stream,
            end_stream: headers.end_stream,
            block: headers.fragment.to_vec(),
            continuations: 0,
            fault,
        });
        Ok(())
    }

    fn on_continuation(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Violation> {
        let continuation = Continuation::parse(header, payload)?;
        let Some(open) = &mut self.open_block else { return Ok(()) };
        open.continuations = open.continuations.saturating_add(1);
        let (met, size) = (open.continuations, open.block.len().saturating_add(continuation.fragment.len()));
        self.check_block_size(size)?;
        // An honest sender fills its frames, so a long block earns more of them by its length.
        let earned = u32::try_from(size / BYTES_PER_CONTINUATION).unwrap_or(u32::MAX);
        let limit = self.config.limits.max_continuations.saturating_add(earned);
        if met > limit {
            let (met, limit) = (u64::from(met), u64::from(limit));
            return Err(Violation::Flood { flood: Flood::Continuations, met, limit });
        }
        let Some(open) = &mut self.open_block else { return Ok(()) };
        open.block.extend_from_slice(continuation.fragment);
        if !continuation.end_headers {
            return Ok(());
        }
        self.clock.block_closed();
        match self.open_block.take() {
            Some(open) => self.on_header_block(open.stream, open.end_stream, &open.block, open.fault),
            None => Ok(()),
        }
    }

    fn check_block_size(&self, size: usize) -> Result<(), Violation> {
        let limit = self.config.limits.max_header_block as usize;
        if size > limit {
            let (met, limit) = (size as u64, limit as u64);
            return Err(Violation::Flood { flood: Flood::HeaderBlock, met, limit });
        }
        Ok(())
    }
}
