//! SETTINGS (RFC 9113 §6.5).

use super::{
    DEFAULT_MAX_FRAME_SIZE, Flags, FrameError, FrameHeader, FrameType, MAX_MAX_FRAME_SIZE, MAX_WINDOW,
    StreamId, saturating_len,
};
use std::fmt;
use std::iter::FusedIterator;

/// Length of one setting on the wire, in bytes (RFC 9113 §6.5.1).
const SETTING_LEN: usize = 6;

/// The identifier of a setting (RFC 9113 §6.5.2). Receivers ignore unknown ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SettingId(pub u16);

impl SettingId {
    /// SETTINGS_HEADER_TABLE_SIZE: the size of the sender's decoder table in bytes; initially 4,096 (RFC 9113
    /// §6.5.2).
    pub const HEADER_TABLE_SIZE: Self = Self(0x1);
    /// SETTINGS_ENABLE_PUSH: 0 or 1; initially 1 (RFC 9113 §6.5.2).
    pub const ENABLE_PUSH: Self = Self(0x2);
    /// SETTINGS_MAX_CONCURRENT_STREAMS: the number of streams that the sender's peer may have open; initially
    /// unlimited (RFC 9113 §6.5.2).
    pub const MAX_CONCURRENT_STREAMS: Self = Self(0x3);
    /// SETTINGS_INITIAL_WINDOW_SIZE: bytes, at most 2^31 - 1; initially 65,535 (RFC 9113 §6.5.2).
    pub const INITIAL_WINDOW_SIZE: Self = Self(0x4);
    /// SETTINGS_MAX_FRAME_SIZE: bytes, 2^14 to 2^24 - 1; initially 2^14 (RFC 9113 §6.5.2).
    pub const MAX_FRAME_SIZE: Self = Self(0x5);
    /// SETTINGS_MAX_HEADER_LIST_SIZE: the size in bytes of an uncompressed field section that the sender accepts;
    /// initially unlimited (RFC 9113 §6.5.2).
    pub const MAX_HEADER_LIST_SIZE: Self = Self(0x6);
    /// SETTINGS_ENABLE_CONNECT_PROTOCOL: 0 or 1; initially 0 (RFC 8441 §3).
    pub const ENABLE_CONNECT_PROTOCOL: Self = Self(0x8);
    /// SETTINGS_NO_RFC7540_PRIORITIES: 0 or 1; initially 0 (RFC 9218 §2.1).
    pub const NO_RFC7540_PRIORITIES: Self = Self(0x9);

    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::HEADER_TABLE_SIZE => "SETTINGS_HEADER_TABLE_SIZE",
            Self::ENABLE_PUSH => "SETTINGS_ENABLE_PUSH",
            Self::MAX_CONCURRENT_STREAMS => "SETTINGS_MAX_CONCURRENT_STREAMS",
            Self::INITIAL_WINDOW_SIZE => "SETTINGS_INITIAL_WINDOW_SIZE",
            Self::MAX_FRAME_SIZE => "SETTINGS_MAX_FRAME_SIZE",
            Self::MAX_HEADER_LIST_SIZE => "SETTINGS_MAX_HEADER_LIST_SIZE",
            Self::ENABLE_CONNECT_PROTOCOL => "SETTINGS_ENABLE_CONNECT_PROTOCOL",
            Self::NO_RFC7540_PRIORITIES => "SETTINGS_NO_RFC7540_PRIORITIES",
            _ => return None,
        })
    }

    /// Returns the smallest and the largest value that the setting may have. Settings of extensions that this library
    /// does not support have no range: RFC 9113 §6.5.2 requires ignoring them, whatever their values.
    fn range(self) -> (u32, u32) {
        match self {
            Self::ENABLE_PUSH => (0, 1),
            Self::INITIAL_WINDOW_SIZE => (0, MAX_WINDOW),
            Self::MAX_FRAME_SIZE => (DEFAULT_MAX_FRAME_SIZE, MAX_MAX_FRAME_SIZE),
            _ => (0, u32::MAX),
        }
    }
}

impl fmt::Display for SettingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "setting {:#06x}", self.0),
        }
    }
}

impl fmt::Debug for SettingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One setting (RFC 9113 §6.5.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Setting {
    /// The setting's identifier.
    pub id: SettingId,
    /// Its value.
    pub value: u32,
}

impl Setting {
    #[inline]
    fn decode([i0, i1, v0, v1, v2, v3]: [u8; SETTING_LEN]) -> Self {
        Self { id: SettingId(u16::from_be_bytes([i0, i1])), value: u32::from_be_bytes([v0, v1, v2, v3]) }
    }

    #[inline]
    fn encode(self) -> [u8; SETTING_LEN] {
        let [i0, i1] = self.id.0.to_be_bytes();
        let [v0, v1, v2, v3] = self.value.to_be_bytes();
        [i0, i1, v0, v1, v2, v3]
    }

    /// Checks the value against the range that the setting allows (RFC 9113 §6.5.2).
    ///
    /// # Errors
    /// [`FrameError::SettingValue`].
    pub fn check(self) -> Result<(), FrameError> {
        let (minimum, maximum) = self.id.range();
        if self.value < minimum || self.value > maximum {
            return Err(FrameError::SettingValue { setting: self, minimum, maximum });
        }
        Ok(())
    }
}

/// A SETTINGS frame (RFC 9113 §6.5): settings in the order in which they take effect, or an acknowledgement.
///
/// All values have been checked. An acknowledgement has no settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings<'a> {
    ack: bool,
    entries: &'a [[u8; SETTING_LEN]],
}

impl<'a> Settings<'a> {
    /// An acknowledgement (RFC 9113 §6.5.3).
    pub const ACK: Self = Self { ack: true, entries: &[] };

    /// Parses a SETTINGS payload and checks every value.
    ///
    /// # Errors
    /// [`FrameError::StreamNotZero`], [`FrameError::SettingsAck`], [`FrameError::SettingsLength`],
    /// [`FrameError::SettingValue`] for the first value out of range.
    pub fn parse(header: &FrameHeader, payload: &'a [u8]) -> Result<Self, FrameError> {
        header.require_connection()?;
        let ack = header.flags.contains(Flags::ACK);
        let length = saturating_len(payload.len());
        if ack && !payload.is_empty() {
            return Err(FrameError::SettingsAck { length });
        }
        let (entries, []) = payload.as_chunks() else {
            return Err(FrameError::SettingsLength { length });
        };
        let settings = Self { ack, entries };
        settings.iter().try_for_each(Setting::check)?;
        Ok(settings)
    }

    /// Returns whether the frame acknowledges settings of ours (RFC 9113 §6.5.3).
    #[must_use]
    pub fn is_ack(&self) -> bool {
        self.ack
    }

    /// Returns the settings in order. An identifier may occur more than once; the last value counts (RFC 9113
    /// §6.5.3).
    #[must_use]
    pub fn iter(&self) -> SettingsIter<'a> {
        SettingsIter(self.entries.iter())
    }

    /// Appends the frame to `out`.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] if the payload exceeds 2^24 - 1 bytes; nothing is written.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let flags = Flags::NONE.with(Flags::ACK, self.ack);
        let payload = self.entries.as_flattened();
        FrameHeader::begin(FrameType::Settings, flags, StreamId::ZERO, payload.len(), out)?;
        out.extend_from_slice(payload);
        Ok(())
    }
}

impl<'a> IntoIterator for Settings<'a> {
    type Item = Setting;
    type IntoIter = SettingsIter<'a>;

    fn into_iter(self) -> SettingsIter<'a> {
        self.iter()
    }
}

/// The settings of a frame, in order.
#[derive(Clone, Debug)]
pub struct SettingsIter<'a>(std::slice::Iter<'a, [u8; SETTING_LEN]>);

impl Iterator for SettingsIter<'_> {
    type Item = Setting;

    fn next(&mut self) -> Option<Setting> {
        self.0.next().copied().map(Setting::decode)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for SettingsIter<'_> {}
impl FusedIterator for SettingsIter<'_> {}

/// Appends a SETTINGS frame with `settings` to `out`. It may be empty, as the first one may be (RFC 9113 §3.4).
///
/// ```
/// use halfclose::frame::{Setting, SettingId, write_settings};
///
/// let mut wire = Vec::new();
/// write_settings(&[Setting { id: SettingId::ENABLE_PUSH, value: 0 }], &mut wire)?;
/// assert_eq!(wire, b"\0\0\x06\x04\0\0\0\0\0\0\x02\0\0\0\0");
/// # Ok::<(), halfclose::frame::FrameError>(())
/// ```
///
/// # Errors
/// [`FrameError::SettingValue`] for a value out of range, [`FrameError::TooLarge`] if the payload exceeds 2^24 - 1
/// bytes; nothing is written.
pub fn write_settings(settings: &[Setting], out: &mut Vec<u8>) -> Result<(), FrameError> {
    settings.iter().copied().try_for_each(Setting::check)?;
    let length = settings.len().saturating_mul(SETTING_LEN);
    FrameHeader::begin(FrameType::Settings, Flags::NONE, StreamId::ZERO, length, out)?;
    out.extend(settings.iter().flat_map(|setting| setting.encode()));
    Ok(())
}
