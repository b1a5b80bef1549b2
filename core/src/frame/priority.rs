//! PRIORITY (RFC 9113 §6.3) and the priority fields of HEADERS (§6.2).
//!
//! RFC 9113 §5.3.2 deprecates the scheme; the layout and the checks remain, since peers still send it.

use super::{Flags, FrameError, FrameHeader, FrameType, StreamId, saturating_len};

/// The deprecated priority fields (RFC 9113 §5.3.2, §6.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Priority {
    /// The stream that this one depends on; zero for none.
    pub depends_on: StreamId,
    /// Whether the dependency is exclusive.
    pub exclusive: bool,
    /// The weight as on the wire: one less than the weight of 1 to 256.
    pub weight: u8,
}

impl Priority {
    /// Bytes on the wire.
    pub const LEN: usize = 5;

    #[inline]
    pub(super) fn decode([d0, d1, d2, d3, weight]: [u8; Self::LEN]) -> Self {
        let word = u32::from_be_bytes([d0, d1, d2, d3]);
        Self { depends_on: StreamId::new(word), exclusive: d0 & 0x80 != 0, weight }
    }

    #[inline]
    pub(super) fn encode(self) -> [u8; Self::LEN] {
        let [d0, d1, d2, d3] = self.depends_on.get().to_be_bytes();
        [d0 | (u8::from(self.exclusive) << 7), d1, d2, d3, self.weight]
    }

    /// RFC 7540 §5.3.1: a stream cannot depend on itself; a stream error.
    #[inline]
    pub(super) fn check(self, kind: FrameType, stream: StreamId) -> Result<(), FrameError> {
        if self.depends_on == stream {
            return Err(FrameError::SelfDependency { kind, stream });
        }
        Ok(())
    }
}

/// A PRIORITY frame (RFC 9113 §6.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PriorityFrame {
    /// The stream, not zero; it may be in any state.
    pub stream: StreamId,
    /// The priority fields.
    pub priority: Priority,
}

impl PriorityFrame {
    /// Reads a PRIORITY payload.
    ///
    /// # Errors
    /// [`FrameError::StreamZero`]; [`FrameError::WrongLength`] and [`FrameError::SelfDependency`], which are errors of
    /// the stream alone.
    pub fn parse(header: &FrameHeader, payload: &[u8]) -> Result<Self, FrameError> {
        header.require_stream()?;
        let priority = Priority::decode(header.require_exactly(payload)?);
        priority.check(FrameType::Priority, header.stream)?;
        Ok(Self { stream: header.stream, priority })
    }

    /// Appends the frame to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let length = saturating_len(Priority::LEN);
        FrameHeader { length, kind: FrameType::Priority, flags: Flags::NONE, stream: self.stream }.write(out);
        out.extend_from_slice(&self.priority.encode());
    }
}
