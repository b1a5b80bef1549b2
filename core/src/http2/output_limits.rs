//! How large the output may grow, and how much of it is prepared at a time.

use super::bdp;
use crate::config::Config;

/// How much output is framed ahead of the transport, and how much output that the peer caused may wait.
pub(super) struct Output {
    /// High-water mark, in bytes: with this much unsent output that the peer caused, `receive` stops. Each call
    /// raises it.
    called_for: usize,
    /// Bytes that are framed before the caller gets them: enough for one large write, few enough to stay in cache.
    pub(super) batch: usize,
    /// The largest DATA frame that is written, even if the peer allows larger ones.
    pub(super) frame: usize,
}

/// Bytes that an honest peer may cause on one call before it reads any of them. RFC 9113 §6.9 lets it use the window
/// that it has seen; giving a small window back takes at most three WINDOW_UPDATEs of 13 bytes, and a reset takes 13
/// more. The sum is doubled, because [`Replies`](super::replies::Replies) may still count bytes that have been
/// written.
const EACH_CALL: usize = 128;

/// The same for each WINDOW_UPDATE of a large window, of a stream or of the connection. Only with windows of many
/// megabytes do these add noticeably to the output that may wait anyway.
const EACH_UPDATE: usize = 26;

impl Output {
    /// Returns the limits for a configuration. Small send buffers lead to small outputs.
    pub(super) fn of(config: &Config) -> Self {
        let most = (config.limits.send_buffer as usize).saturating_mul(4).clamp(64 * 1024, 256 * 1024);
        let updates = bdp::updates_of_large_windows(config.max_connection_window) as usize;
        let called_for = (most / 2).max(updates.saturating_mul(EACH_UPDATE).saturating_mul(2));
        Self { called_for, batch: most / 2, frame: most / 4 }
    }

    /// Returns how many unsent bytes the peer may have caused while `calls` calls are open. Only a peer that spends
    /// credit before it can have received it, or that sends PINGs without reading the replies, gets that far.
    pub(super) fn called_for(&self, calls: usize) -> usize {
        self.called_for.saturating_add(calls.saturating_mul(EACH_CALL))
    }
}
