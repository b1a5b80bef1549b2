//! The small control frames: RST_STREAM (RFC 9113 §6.4), PING (§6.7), GOAWAY (§6.8) and WINDOW_UPDATE (§6.9).

use super::{
    ErrorCode, Flags, FrameError, FrameHeader, FrameType, MAX_MAX_FRAME_SIZE, MAX_WINDOW, StreamId,
    saturating_len,
};

/// An RST_STREAM frame (RFC 9113 §6.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RstStream {
    /// The stream that the frame ends; not zero.
    pub stream: StreamId,
    /// Why the stream ends.
    pub code: ErrorCode,
}

impl RstStream {
    /// Parses an RST_STREAM payload.
    ///
    /// # Errors
    /// [`FrameError::StreamZero`], [`FrameError::WrongLength`].
    pub fn parse(header: &FrameHeader, payload: &[u8]) -> Result<Self, FrameError> {
        header.require_stream()?;
        let code = ErrorCode(u32::from_be_bytes(header.require_exactly(payload)?));
        Ok(Self { stream: header.stream, code })
    }

    /// Appends the frame to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        FrameHeader { length: 4, kind: FrameType::RstStream, flags: Flags::NONE, stream: self.stream }
            .write(out);
        out.extend_from_slice(&self.code.0.to_be_bytes());
    }
}

/// A PING frame (RFC 9113 §6.7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ping {
    /// Whether the frame is the reply to a PING of ours.
    pub ack: bool,
    /// The payload, which the reply repeats.
    pub data: [u8; 8],
}

impl Ping {
    /// Parses a PING payload.
    ///
    /// # Errors
    /// [`FrameError::StreamNotZero`], [`FrameError::WrongLength`].
    pub fn parse(header: &FrameHeader, payload: &[u8]) -> Result<Self, FrameError> {
        header.require_connection()?;
        Ok(Self { ack: header.flags.contains(Flags::ACK), data: header.require_exactly(payload)? })
    }

    /// Appends the frame to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let flags = Flags::NONE.with(Flags::ACK, self.ack);
        FrameHeader { length: 8, kind: FrameType::Ping, flags, stream: StreamId::ZERO }.write(out);
        out.extend_from_slice(&self.data);
    }
}

/// A GOAWAY frame (RFC 9113 §6.8).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct GoAway<'a> {
    /// The last stream that the sender may have processed.
    pub last_stream: StreamId,
    /// Why the connection ends.
    pub code: ErrorCode,
    /// Debug data without a defined meaning.
    pub debug: &'a [u8],
}

/// Length in bytes of a GOAWAY payload without its debug data.
const GOAWAY_LEN: u32 = 8;

impl<'a> GoAway<'a> {
    /// Parses a GOAWAY payload.
    ///
    /// # Errors
    /// [`FrameError::StreamNotZero`]; [`FrameError::TooShort`] if the payload has fewer than 8 bytes.
    pub fn parse(header: &FrameHeader, payload: &'a [u8]) -> Result<Self, FrameError> {
        header.require_connection()?;
        let Some((&[s0, s1, s2, s3, c0, c1, c2, c3], debug)) = payload.split_first_chunk() else {
            let length = saturating_len(payload.len());
            return Err(FrameError::TooShort { kind: FrameType::GoAway, length, minimum: GOAWAY_LEN });
        };
        Ok(Self {
            last_stream: StreamId::new(u32::from_be_bytes([s0, s1, s2, s3])),
            code: ErrorCode(u32::from_be_bytes([c0, c1, c2, c3])),
            debug,
        })
    }

    /// Appends the frame to `out`. Debug data is diagnostic only (RFC 9113 §6.8): it is cut after 2^24 - 9 bytes, the
    /// most that fits, so that a GOAWAY can always be written.
    pub fn write(&self, out: &mut Vec<u8>) {
        let room = MAX_MAX_FRAME_SIZE.saturating_sub(GOAWAY_LEN);
        let debug = usize::try_from(room).ok().and_then(|room| self.debug.get(..room)).unwrap_or(self.debug);
        let length = saturating_len(debug.len()).saturating_add(GOAWAY_LEN);
        FrameHeader { length, kind: FrameType::GoAway, flags: Flags::NONE, stream: StreamId::ZERO }
            .write(out);
        out.extend_from_slice(&self.last_stream.get().to_be_bytes());
        out.extend_from_slice(&self.code.0.to_be_bytes());
        out.extend_from_slice(debug);
    }
}

/// A WINDOW_UPDATE frame (RFC 9113 §6.9).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct WindowUpdate {
    /// The stream, or zero for the connection.
    pub stream: StreamId,
    /// Bytes by which the window grows, 1 to 2^31 - 1.
    pub increment: u32,
}

impl WindowUpdate {
    /// Parses a WINDOW_UPDATE payload; the reserved bit is ignored.
    ///
    /// # Errors
    /// [`FrameError::WrongLength`], [`FrameError::ZeroIncrement`].
    pub fn parse(header: &FrameHeader, payload: &[u8]) -> Result<Self, FrameError> {
        let increment = u32::from_be_bytes(header.require_exactly(payload)?) & MAX_WINDOW;
        if increment == 0 {
            return Err(FrameError::ZeroIncrement { stream: header.stream });
        }
        Ok(Self { stream: header.stream, increment })
    }

    /// Appends the frame to `out`, the reserved bit unset.
    pub fn write(&self, out: &mut Vec<u8>) {
        FrameHeader { length: 4, kind: FrameType::WindowUpdate, flags: Flags::NONE, stream: self.stream }
            .write(out);
        out.extend_from_slice(&(self.increment & MAX_WINDOW).to_be_bytes());
    }
}
