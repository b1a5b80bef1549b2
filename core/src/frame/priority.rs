//! PRIORITY (RFC 9113 §6.3) and the priority fields of HEADERS (§6.2).
//!
//! RFC 9113 §5.3.2 deprecates priorities; the layout and the checks remain, because peers still send them.

use super::{Flags, FrameError, FrameHeader, FrameType, StreamId, saturating_len};

/// The deprecated priority fields (RFC 9113 §5.3.2, §6.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Priority {
    /// The stream on which this one depends; zero for none.
    pub depends_on: StreamId,
    /// Whether the dependency is exclusive.
    pub exclusive: bool,
    /// The weight as it is on the wire: one less than the real weight of 1 to 256.
    pub weight: u8,
}

impl Priority {
    /// Length on the wire, in bytes.
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

    /// Checks that a stream does not depend on itself, which is a stream error (RFC 7540 §5.3.1).
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
    /// The stream, which may be in any state; not zero.
    pub stream: StreamId,
    /// The priority fields.
    pub priority: Priority,
}

impl PriorityFrame {
    /// Parses a PRIORITY payload.
    ///
    /// # Errors
    /// [`FrameError::StreamZero`]; [`FrameError::WrongLength`] and [`FrameError::SelfDependency`], which are stream
    /// errors.
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
