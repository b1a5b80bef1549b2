//! The state of a channel (gRPC's connectivity-semantics document).

use std::fmt;

/// The connectivity of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Connectivity {
    /// There is no connection, and none is needed.
    Idle,
    /// A name is resolved, or a connection attempted.
    Connecting,
    /// Calls are sent at once.
    Ready,
    /// Every address has failed; attempts continue.
    TransientFailure,
    /// The channel is over.
    Shutdown,
}

impl fmt::Display for Connectivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "IDLE",
            Self::Connecting => "CONNECTING",
            Self::Ready => "READY",
            Self::TransientFailure => "TRANSIENT_FAILURE",
            Self::Shutdown => "SHUTDOWN",
        })
    }
}
