//! The nine bytes in front of every payload (RFC 9113 §4.1).

use super::{FRAME_HEADER_LEN, Flags, FrameError, MAX_MAX_FRAME_SIZE, saturating_len};
use std::fmt;

/// A stream id: 31 bits (RFC 9113 §5.1.1). Zero means the connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamId(u32);

impl StreamId {
    /// The connection itself.
    pub const ZERO: Self = Self(0);
    /// The largest stream id, 2^31 - 1.
    pub const MAX: Self = Self(0x7fff_ffff);

    /// Returns the id in the low 31 bits; the reserved bit is ignored (RFC 9113 §4.1).
    ///
    /// ```
    /// use halfclose::frame::StreamId;
    /// assert_eq!(StreamId::new(0x8000_0005), StreamId::new(5));
    /// ```
    #[inline]
    #[must_use]
    pub const fn new(value: u32) -> Self {
        Self(value & Self::MAX.0)
    }

    /// Returns the id as a number, at most 2^31 - 1.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Returns whether the id means the connection and not a stream.
    #[inline]
    #[must_use]
    pub const fn is_connection(self) -> bool {
        self.0 == 0
    }

    /// Returns whether a client may open a stream with this id: it is odd (RFC 9113 §5.1.1).
    #[inline]
    #[must_use]
    pub const fn is_client(self) -> bool {
        self.0 & 1 == 1
    }

    /// Returns whether a server may open a stream with this id: it is even and not zero (RFC 9113 §5.1.1).
    #[inline]
    #[must_use]
    pub const fn is_server(self) -> bool {
        self.0 & 1 == 0 && self.0 != 0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamId({})", self.0)
    }
}

/// The type of a frame (RFC 9113 §6).
///
/// [`FrameType::Unknown`] holds the values that RFC 9113 does not define; receivers ignore such frames (§5.5). Use
/// [`FrameType::from`] to convert a byte, so that a defined value never ends up in `Unknown`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FrameType {
    /// DATA, 0x00 (RFC 9113 §6.1).
    Data,
    /// HEADERS, 0x01 (RFC 9113 §6.2).
    Headers,
    /// PRIORITY, 0x02 (RFC 9113 §6.3).
    Priority,
    /// RST_STREAM, 0x03 (RFC 9113 §6.4).
    RstStream,
    /// SETTINGS, 0x04 (RFC 9113 §6.5).
    Settings,
    /// PUSH_PROMISE, 0x05 (RFC 9113 §6.6).
    PushPromise,
    /// PING, 0x06 (RFC 9113 §6.7).
    Ping,
    /// GOAWAY, 0x07 (RFC 9113 §6.8).
    GoAway,
    /// WINDOW_UPDATE, 0x08 (RFC 9113 §6.9).
    WindowUpdate,
    /// CONTINUATION, 0x09 (RFC 9113 §6.10).
    Continuation,
    /// Any other value (RFC 9113 §4.1, §5.5).
    Unknown(u8),
}

impl From<u8> for FrameType {
    #[inline]
    fn from(byte: u8) -> Self {
        match byte {
            0x00 => Self::Data,
            0x01 => Self::Headers,
            0x02 => Self::Priority,
            0x03 => Self::RstStream,
            0x04 => Self::Settings,
            0x05 => Self::PushPromise,
            0x06 => Self::Ping,
            0x07 => Self::GoAway,
            0x08 => Self::WindowUpdate,
            0x09 => Self::Continuation,
            other => Self::Unknown(other),
        }
    }
}

impl From<FrameType> for u8 {
    #[inline]
    fn from(kind: FrameType) -> Self {
        match kind {
            FrameType::Data => 0x00,
            FrameType::Headers => 0x01,
            FrameType::Priority => 0x02,
            FrameType::RstStream => 0x03,
            FrameType::Settings => 0x04,
            FrameType::PushPromise => 0x05,
            FrameType::Ping => 0x06,
            FrameType::GoAway => 0x07,
            FrameType::WindowUpdate => 0x08,
            FrameType::Continuation => 0x09,
            FrameType::Unknown(other) => other,
        }
    }
}

impl fmt::Display for FrameType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Data => "DATA",
            Self::Headers => "HEADERS",
            Self::Priority => "PRIORITY",
            Self::RstStream => "RST_STREAM",
            Self::Settings => "SETTINGS",
            Self::PushPromise => "PUSH_PROMISE",
            Self::Ping => "PING",
            Self::GoAway => "GOAWAY",
            Self::WindowUpdate => "WINDOW_UPDATE",
            Self::Continuation => "CONTINUATION",
            Self::Unknown(byte) => return write!(f, "frame of type {byte:#04x}"),
        })
    }
}

/// The header of a frame (RFC 9113 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FrameHeader {
    /// The length of the payload in bytes; 24 bits on the wire.
    pub length: u32,
    /// The type of the frame.
    pub kind: FrameType,
    /// The flags, including those that have no meaning for the type.
    pub flags: Flags,
    /// The stream to which the frame belongs.
    pub stream: StreamId,
}

impl FrameHeader {
    /// Parses a frame header. Any nine bytes are one; the reserved bit is ignored (RFC 9113 §4.1).
    #[inline]
    #[must_use]
    pub fn parse(bytes: &[u8; FRAME_HEADER_LEN]) -> Self {
        // Reading all bytes but the last as one number takes a single load.
        let [a, b, c, d, e, f, g, h, last] = *bytes;
        let first = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        Self {
            length: (first >> 40) as u32,
            kind: FrameType::from((first >> 32) as u8),
            flags: Flags((first >> 24) as u8),
            stream: StreamId::new((first as u32) << 8 | u32::from(last)),
        }
    }

    /// Returns the nine bytes of this header, with the reserved bit unset. Only the low 24 bits of `length` are
    /// encoded.
    #[inline]
    #[must_use]
    pub fn encode(&self) -> [u8; FRAME_HEADER_LEN] {
        let stream = self.stream.get();
        // Writing all bytes but the last as one number takes a single store.
        let first = u64::from(self.length & MAX_MAX_FRAME_SIZE) << 40
            | u64::from(u8::from(self.kind)) << 32
            | u64::from(self.flags.0) << 24
            | u64::from(stream >> 8);
        let [a, b, c, d, e, f, g, h] = first.to_be_bytes();
        [a, b, c, d, e, f, g, h, stream as u8]
    }

    /// Appends the nine bytes of this header to `out`.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.encode());
    }

    /// Checks the length against `limit`, our own SETTINGS_MAX_FRAME_SIZE in bytes (RFC 9113 §4.2).
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] if the payload is longer than `limit`.
    #[inline]
    pub fn check_length(&self, limit: u32) -> Result<(), FrameError> {
        if self.length > limit {
            return Err(FrameError::TooLarge { kind: self.kind, length: self.length, limit });
        }
        Ok(())
    }

    /// Checks that a frame that belongs to a stream is on one (RFC 9113 §6).
    #[inline]
    pub(super) fn require_stream(&self) -> Result<(), FrameError> {
        if self.stream.is_connection() {
            return Err(FrameError::StreamZero { kind: self.kind });
        }
        Ok(())
    }

    /// Checks that a frame that belongs to the connection is on stream 0 (RFC 9113 §6).
    #[inline]
    pub(super) fn require_connection(&self) -> Result<(), FrameError> {
        if !self.stream.is_connection() {
            return Err(FrameError::StreamNotZero { kind: self.kind, stream: self.stream });
        }
        Ok(())
    }

    /// Returns the payload as an array of exactly `N` bytes.
    #[inline]
    pub(super) fn require_exactly<const N: usize>(&self, payload: &[u8]) -> Result<[u8; N], FrameError> {
        payload.try_into().map_err(|_| FrameError::WrongLength {
            kind: self.kind,
            length: saturating_len(payload.len()),
            expected: saturating_len(N),
        })
    }

    /// Appends the header of a frame whose payload has `length` bytes, if the length field can express that.
    pub(super) fn begin(
        kind: FrameType,
        flags: Flags,
        stream: StreamId,
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), FrameError> {
        let header = Self { length: saturating_len(length), kind, flags, stream };
        header.check_length(MAX_MAX_FRAME_SIZE)?;
        out.reserve(length.saturating_add(FRAME_HEADER_LEN));
        header.write(out);
        Ok(())
    }
}
