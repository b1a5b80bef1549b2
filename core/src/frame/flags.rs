//! The flags byte of a frame header (RFC 9113 §4.1).

use std::ops::BitOr;

/// The flags of a frame. The meaning of a bit depends on the frame type. A bit without meaning for the type is
/// ignored when received and left unset when sent (RFC 9113 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Flags(pub u8);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// The frame ends the sender's half of the stream: DATA, HEADERS (RFC 9113 §6.1, §6.2).
    pub const END_STREAM: Self = Self(0x01);
    /// An acknowledgement: SETTINGS, PING (RFC 9113 §6.5, §6.7).
    pub const ACK: Self = Self(0x01);
    /// The frame ends the field block: HEADERS, PUSH_PROMISE, CONTINUATION (RFC 9113 §6.2, §6.6, §6.10).
    pub const END_HEADERS: Self = Self(0x04);
    /// The payload begins with a pad length field: DATA, HEADERS, PUSH_PROMISE (RFC 9113 §6.1, §6.2, §6.6).
    pub const PADDED: Self = Self(0x08);
    /// Priority fields precede the field block: HEADERS (RFC 9113 §6.2).
    pub const PRIORITY: Self = Self(0x20);

    /// Returns whether every bit of `other` is set.
    #[inline]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns these flags, with those of `other` added if `condition` is true.
    #[inline]
    #[must_use]
    pub const fn with(self, other: Self, condition: bool) -> Self {
        if condition { Self(self.0 | other.0) } else { self }
    }
}

impl BitOr for Flags {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
