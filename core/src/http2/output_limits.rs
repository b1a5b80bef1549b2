//! How large the output may grow, and in which portions it is cut.

use super::bdp;
use crate::config::Config;

/// How much of what calls send is cut into frames ahead of the transport, and how much may wait of what the peer called
/// for.
pub(super) struct Output {
    /// Bytes that the peer has called for and not read, from which on nothing more is read; more with each call.
    called_for: usize,
    /// How much is cut before the caller gets it: enough for one large write, little enough to stay in cache.
    pub(super) batch: usize,
    /// The largest DATA frame that is cut, whatever more the peer allows.
    pub(super) frame: usize,
}

/// What an honest peer may call for on one call before it reads any of it: RFC 9113 §6.9 lets it spend the window that it
/// has seen, which takes three updates at most to give back where it is small, 13 bytes each, and a reset as long; twice,
/// since [`Replies`](super::replies::Replies) may count what is written already. It cannot go on before it reads.
const EACH_CALL: usize = 128;

/// The same for each update of a large window, of a stream or of the connection: only with windows of many megabytes
/// are these more than a small part of what may wait anyway.
const EACH_UPDATE: usize = 26;

impl Output {
    /// Connections with small send buffers have small outputs.
    pub(super) fn of(config: &Config) -> Self {
        let most = (config.limits.send_buffer as usize).saturating_mul(4).clamp(64 * 1024, 256 * 1024);
        let updates = bdp::updates_of_large_windows(config.max_connection_window) as usize;
        let called_for = (most / 2).max(updates.saturating_mul(EACH_UPDATE).saturating_mul(2));
        Self { called_for, batch: most / 2, frame: most / 4 }
    }

    /// Bytes that the peer may have called for and not read while so many calls are open. Only a peer that spends
    /// credit before it can have seen it, or asks without reading, gets that far.
    pub(super) fn called_for(&self, calls: usize) -> usize {
        self.called_for.saturating_add(calls.saturating_mul(EACH_CALL))
    }
}
