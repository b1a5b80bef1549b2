//! How large the output may grow, and in which portions it is cut.

use crate::config::Limits;

/// How much of what calls send is cut into frames ahead of the transport, and what the output may grow to.
pub(super) struct Output {
    /// Bytes that wait for the transport, from which on nothing more is read. What is cut stops well below it, so the
    /// rest is replies and credit: a peer that reads never brings it about.
    pub(super) most: usize,
    /// How much is cut before the caller gets it: enough for one large write, little enough to stay in cache.
    pub(super) batch: usize,
    /// The largest DATA frame that is cut, whatever more the peer allows.
    pub(super) frame: usize,
}

impl Output {
    /// Connections with small send buffers have small outputs.
    pub(super) fn of(limits: &Limits) -> Self {
        let most = (limits.send_buffer as usize).saturating_mul(4).clamp(64 * 1024, 256 * 1024);
        Self { most, batch: most / 2, frame: most / 4 }
    }
}
