//! The properties of a connection that its calls can see.

use std::net::SocketAddr;
#[cfg(feature = "tls")]
use std::sync::{Arc, OnceLock};

#[cfg(feature = "tls")]
use crate::tls::{Tls, TlsSession};

/// The addresses of a connection and its TLS session, as its handlers see them by [`Context`](crate::Context).
#[derive(Clone, Default, Debug)]
pub struct ConnectionInfo {
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
    #[cfg(feature = "tls")]
    tls: Option<Arc<OnceLock<TlsSession>>>,
}

impl ConnectionInfo {
    /// Creates an info without any property.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the peer's address and our own.
    #[must_use]
    pub const fn addresses(mut self, peer: Option<SocketAddr>, local: Option<SocketAddr>) -> Self {
        (self.peer, self.local) = (peer, local);
        self
    }

    /// Sets the place where the TLS session will be when its handshake is over.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls<T: crate::Io>(mut self, tls: &Tls<T>) -> Self {
        self.tls = Some(Arc::clone(tls.details()));
        self
    }

    /// Returns the peer's address, if the transport has one.
    #[must_use]
    pub const fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Returns our own address, if the transport has one.
    #[must_use]
    pub const fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Returns the TLS session, if the connection has one.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn session(&self) -> Option<&TlsSession> {
        self.tls.as_ref()?.get()
    }
}
