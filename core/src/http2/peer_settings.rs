//! The peer's SETTINGS.

use crate::frame::{DEFAULT_MAX_FRAME_SIZE, DEFAULT_WINDOW};

/// Calls that a client opens before the server's SETTINGS announce a limit; few servers allow fewer.
const ASSUMED_STREAMS: u32 = 100;

/// The peer's values, which limit what this side sends.
pub(super) struct PeerSettings {
    pub(super) initial_window: u32,
    pub(super) max_frame_size: u32,
    pub(super) max_concurrent_streams: u32,
    pub(super) max_header_list: u32,
}

impl Default for PeerSettings {
    /// Returns the values that apply until the peer's first SETTINGS (RFC 9113 §6.5.2).
    fn default() -> Self {
        Self {
            initial_window: DEFAULT_WINDOW,
            max_frame_size: DEFAULT_MAX_FRAME_SIZE,
            max_concurrent_streams: ASSUMED_STREAMS,
            max_header_list: u32::MAX,
        }
    }
}
