//! The errors that a single frame can contain, and the error codes of the protocol (RFC 9113 §7).

use super::{FrameType, Setting, SettingId, StreamId};
use std::fmt;

/// An error code of RST_STREAM or GOAWAY (RFC 9113 §7). Codes without a name are allowed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

error_codes! {
    /// No error: a graceful shutdown, or a complete response before the end of the request (RFC 9113 §7, §8.1).
    NO_ERROR = 0x00;
    /// The peer broke a rule that has no code of its own (RFC 9113 §7).
    PROTOCOL_ERROR = 0x01;
    /// The sender met an unexpected internal error (RFC 9113 §7).
    INTERNAL_ERROR = 0x02;
    /// The peer broke the flow-control rules (RFC 9113 §7).
    FLOW_CONTROL_ERROR = 0x03;
    /// The peer did not acknowledge our settings in time (RFC 9113 §7).
    SETTINGS_TIMEOUT = 0x04;
    /// A frame for a stream that was half-closed already (RFC 9113 §7).
    STREAM_CLOSED = 0x05;
    /// A frame of an invalid size (RFC 9113 §7).
    FRAME_SIZE_ERROR = 0x06;
    /// The stream was refused before any processing, so a retry is safe (RFC 9113 §7, §8.7).
    REFUSED_STREAM = 0x07;
    /// The stream is no longer needed (RFC 9113 §7).
    CANCEL = 0x08;
    /// The HPACK state cannot be maintained (RFC 9113 §7).
    COMPRESSION_ERROR = 0x09;
    /// The connection of a CONNECT was reset or closed abnormally (RFC 9113 §7).
    CONNECT_ERROR = 0x0a;
    /// The peer causes excessive load (RFC 9113 §7).
    ENHANCE_YOUR_CALM = 0x0b;
    /// The transport does not meet the security requirements (RFC 9113 §7).
    INADEQUATE_SECURITY = 0x0c;
    /// The sender requires HTTP/1.1 instead (RFC 9113 §7).
    HTTP_1_1_REQUIRED = 0x0d;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "error code {:#x}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an error ends (RFC 9113 §5.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// The stream of the frame: answer with RST_STREAM (RFC 9113 §5.4.2).
    Stream,
    /// The connection: answer with GOAWAY and close (RFC 9113 §5.4.1).
    Connection,
}

/// An error in a single frame. Each variant holds the invalid value and the limit; [`FrameError::scope`],
/// [`FrameError::code`] and [`FrameError::section`] say how to answer it and which rule it breaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum FrameError {
    /// The payload is longer than SETTINGS_MAX_FRAME_SIZE allows, or than the length field can express.
    #[error("{kind} of {length} bytes, over the limit of {limit}")]
    TooLarge {
        /// The type of the frame.
        kind: FrameType,
        /// The length of the payload, in bytes.
        length: u32,
        /// The most bytes that are allowed.
        limit: u32,
    },
    /// The payload ends within the frame's mandatory fields.
    #[error("{kind} of {length} bytes, must have {minimum} or more")]
    TooShort {
        /// The type of the frame.
        kind: FrameType,
        /// The length of the payload, in bytes.
        length: u32,
        /// The bytes that the mandatory fields need.
        minimum: u32,
    },
    /// The payload of a frame of fixed size has a different size.
    #[error("{kind} of {length} bytes, must have {expected}")]
    WrongLength {
        /// The type of the frame.
        kind: FrameType,
        /// The length of the payload, in bytes.
        length: u32,
        /// The length that the frame type requires, in bytes.
        expected: u32,
    },
    /// A frame that belongs to a stream arrived on stream 0.
    #[error("{kind} on stream 0, must be on a stream")]
    StreamZero {
        /// The type of the frame.
        kind: FrameType,
    },
    /// A frame that belongs to the connection arrived on a stream.
    #[error("{kind} on stream {stream}, must be on stream 0")]
    StreamNotZero {
        /// The type of the frame.
        kind: FrameType,
        /// The stream on which it arrived.
        stream: StreamId,
    },
    /// The padding is longer than the payload allows.
    #[error("{kind} with padding of {pad_len} bytes, with space for {room}")]
    Padding {
        /// The type of the frame.
        kind: FrameType,
        /// The pad length, in bytes.
        pad_len: u8,
        /// The bytes of payload after the mandatory fields.
        room: u32,
    },
    /// A stream that depends on itself.
    #[error("{kind} makes stream {stream} depend on itself")]
    SelfDependency {
        /// The type of the frame.
        kind: FrameType,
        /// The stream that depends on itself.
        stream: StreamId,
    },
    /// The length of a SETTINGS payload is not a multiple of the length of a setting.
    #[error("SETTINGS of {length} bytes, must be a multiple of 6")]
    SettingsLength {
        /// The length of the payload, in bytes.
        length: u32,
    },
    /// A SETTINGS acknowledgement has a payload.
    #[error("SETTINGS with ACK of {length} bytes, must have 0")]
    SettingsAck {
        /// The length of the payload, in bytes.
        length: u32,
    },
    /// The value of a setting is out of its range.
    #[error("{} of {}, must be {minimum} to {maximum}", setting.id, setting.value)]
    SettingValue {
        /// The setting as received.
        setting: Setting,
        /// The smallest value allowed.
        minimum: u32,
        /// The largest value allowed.
        maximum: u32,
    },
    /// PUSH_PROMISE names a stream that a server cannot open.
    #[error("PUSH_PROMISE of stream {promised}, must be even and not 0")]
    PromisedStream {
        /// The promised stream.
        promised: StreamId,
    },
    /// A WINDOW_UPDATE has an increment of zero.
    #[error("WINDOW_UPDATE by 0 on stream {stream}, must be 1 to 2147483647")]
    ZeroIncrement {
        /// The stream, or zero for the connection.
        stream: StreamId,
    },
}

impl FrameError {
    /// Returns whether the error ends the stream or the connection.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self {
            // RFC 9113 §6.3: this size error is a stream error.
            Self::WrongLength { kind: FrameType::Priority, .. } | Self::SelfDependency { .. } => {
                Scope::Stream
            }
            // RFC 9113 §6.9.
            Self::ZeroIncrement { stream } if !stream.is_connection() => Scope::Stream,
            // RFC 9113 §4.2 would allow a stream error for an oversized DATA frame; this library reads no frame above
            // its limit.
            _ => Scope::Connection,
        }
    }

    /// Returns the code to send in RST_STREAM or GOAWAY (RFC 9113 §7).
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge { .. }
            | Self::TooShort { .. }
            | Self::WrongLength { .. }
            | Self::SettingsLength { .. }
            | Self::SettingsAck { .. } => ErrorCode::FRAME_SIZE_ERROR,
            // RFC 9113 §6.5.2.
            Self::SettingValue { setting: Setting { id: SettingId::INITIAL_WINDOW_SIZE, .. }, .. } => {
                ErrorCode::FLOW_CONTROL_ERROR
            }
            Self::SettingValue { .. }
            | Self::StreamZero { .. }
            | Self::StreamNotZero { .. }
            | Self::Padding { .. }
            | Self::SelfDependency { .. }
            | Self::PromisedStream { .. }
            | Self::ZeroIncrement { .. } => ErrorCode::PROTOCOL_ERROR,
        }
    }

    /// Returns the section of the rule, for example `"RFC 9113 §6.5"`.
    #[must_use]
    pub fn section(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "RFC 9113 §4.2",
            Self::TooShort { kind, .. }
            | Self::WrongLength { kind, .. }
            | Self::StreamZero { kind }
            | Self::StreamNotZero { kind, .. }
            | Self::Padding { kind, .. } => section_of(*kind),
            Self::SelfDependency { .. } => "RFC 7540 §5.3.1",
            Self::SettingsLength { .. } | Self::SettingsAck { .. } => "RFC 9113 §6.5",
            Self::SettingValue { .. } => "RFC 9113 §6.5.2",
            Self::PromisedStream { .. } => "RFC 9113 §5.1.1",
            Self::ZeroIncrement { .. } => "RFC 9113 §6.9",
        }
    }
}

/// Returns the section that defines a frame type.
fn section_of(kind: FrameType) -> &'static str {
    match kind {
        FrameType::Data => "RFC 9113 §6.1",
        FrameType::Headers => "RFC 9113 §6.2",
        FrameType::Priority => "RFC 9113 §6.3",
        FrameType::RstStream => "RFC 9113 §6.4",
        FrameType::Settings => "RFC 9113 §6.5",
        FrameType::PushPromise => "RFC 9113 §6.6",
        FrameType::Ping => "RFC 9113 §6.7",
        FrameType::GoAway => "RFC 9113 §6.8",
        FrameType::WindowUpdate => "RFC 9113 §6.9",
        FrameType::Continuation => "RFC 9113 §6.10",
        FrameType::Unknown(_) => "RFC 9113 §5.5",
    }
}
