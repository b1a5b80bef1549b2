//! HTTP/2 frames: parsing and writing them (RFC 9113 §4 and §6).
//!
//! This module has no state. It knows the layout of each frame and the rules that a single frame can break: its size,
//! whether it may be on stream 0, its padding, the range of a setting. Other modules decide what depends on earlier
//! frames: whether the stream is open, whether this CONTINUATION is expected, whether the window allows the DATA.
//!
//! A receiver parses a [`FrameHeader`] from nine bytes, calls [`FrameHeader::check_length`] *before* it waits for the
//! payload, then parses the payload with [`Frame::parse`] or with the function of the one frame type that it expects.
//! Parsed frames borrow the payload. Nothing here panics on any input.
//!
//! ```
//! use halfclose::frame::{DEFAULT_MAX_FRAME_SIZE, Frame, FrameHeader, FRAME_HEADER_LEN, Ping};
//!
//! let mut wire = Vec::new();
//! Frame::Ping(Ping { ack: false, data: *b"deadbeef" }).write(&mut wire)?;
//!
//! let (header, payload) = wire.split_first_chunk::<FRAME_HEADER_LEN>().unwrap();
//! let header = FrameHeader::parse(header);
//! header.check_length(DEFAULT_MAX_FRAME_SIZE)?;
//! let Frame::Ping(ping) = Frame::parse(&header, payload)? else { panic!("not a PING") };
//! assert_eq!(ping.data, *b"deadbeef");
//! # Ok::<(), halfclose::frame::FrameError>(())
//! ```

mod any;
mod control;
mod data;
mod error;
mod flags;
mod header;
mod headers;
mod priority;
mod settings;
#[cfg(test)]
mod tests;

pub use any::Frame;
pub use control::{GoAway, Ping, RstStream, WindowUpdate};
pub use data::{Data, data_range};
pub use error::{ErrorCode, FrameError, Scope};
pub use flags::Flags;
pub use header::{FrameHeader, FrameType, StreamId};
pub use headers::{Continuation, Headers, PushPromise};
pub use priority::{Priority, PriorityFrame};
pub use settings::{Setting, SettingId, Settings, SettingsIter, write_settings};

/// The length of a frame header, in bytes (RFC 9113 §4.1).
pub const FRAME_HEADER_LEN: usize = 9;

/// The largest payload, in bytes, that every endpoint has to accept, and the initial value of SETTINGS_MAX_FRAME_SIZE
/// (RFC 9113 §4.2).
pub const DEFAULT_MAX_FRAME_SIZE: u32 = 16_384;

/// The largest value of SETTINGS_MAX_FRAME_SIZE, in bytes: the most that the 24-bit length field can express (RFC
/// 9113 §4.2).
pub const MAX_MAX_FRAME_SIZE: u32 = (1 << 24) - 1;

/// The initial flow-control window of a connection and of a stream, in bytes (RFC 9113 §6.9.2).
/// SETTINGS_INITIAL_WINDOW_SIZE changes the windows of streams; only WINDOW_UPDATE changes that of the connection.
pub const DEFAULT_WINDOW: u32 = 65_535;

/// The largest flow-control window, in bytes (RFC 9113 §6.9.1).
pub const MAX_WINDOW: u32 = (1 << 31) - 1;

/// The most bytes that a DATA frame may have besides its content: the longest padding and the pad length field (RFC
/// 9113 §6.1).
pub const MOST_PADDING: u32 = 256;

/// The fixed bytes that a client sends before its first frame (RFC 9113 §3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Converts the length of a slice, for comparison with the protocol's 32-bit limits.
#[inline]
fn saturating_len(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
