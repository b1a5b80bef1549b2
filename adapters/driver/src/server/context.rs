//! What a handler knows of its call, and may add to the answer.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use halfclose::grpc::RequestHeaders;
use halfclose::grpc::encoding::{Encoding, EncodingSet};
use halfclose::{CallId, HalfStates, Metadata, Misuse, Server};

use crate::info::ConnectionInfo;
use crate::shared::Shared;

/// The call that a handler serves. Clones are the same call.
#[derive(Clone)]
pub struct Context {
    shared: Arc<Shared<Server>>,
    call: CallId,
    headers: Arc<RequestHeaders>,
}

impl Context {
    pub(super) fn new(shared: &Arc<Shared<Server>>, call: CallId, headers: Arc<RequestHeaders>) -> Self {
        Self { shared: Arc::clone(shared), call, headers }
    }

    /// Returns the client's metadata.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.headers.metadata
    }

    /// Returns the request headers whole: path, authority, encodings.
    #[must_use]
    pub fn request(&self) -> &RequestHeaders {
        &self.headers
    }

    /// Returns what is known of the call's connection.
    #[must_use]
    pub fn connection(&self) -> Option<&ConnectionInfo> {
        self.shared.info.get().map(Box::as_ref)
    }

    /// Returns the address of the client, where its transport has one.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.connection()?.peer()
    }

    /// Returns the address of this side, where the transport has one.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.connection()?.local()
    }

    /// Returns the certificates that the client has shown, its own first: none without mutual TLS.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn peer_certificates(&self) -> &[rustls::pki_types::CertificateDer<'static>] {
        let session = self.connection().and_then(ConnectionInfo::session);
        session.map(crate::tls::TlsSession::peer_certificates).unwrap_or_default()
    }

    /// Returns the time that is left until the client's deadline, if it set one: what to give to calls that this one makes.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let deadline = self.shared.lock().connection.deadline(self.call)?;
        Some(deadline - self.shared.now())
    }

    /// Returns the encodings that the client accepts, as far as they are known by name.
    #[must_use]
    pub fn accepts(&self) -> EncodingSet {
        self.headers.accept
    }

    /// Returns whether the client accepts an encoding, also a custom one.
    #[must_use]
    pub fn accepts_encoding(&self, encoding: Encoding) -> bool {
        self.headers.accepts(encoding)
    }

    /// Returns whether the call is over: nobody waits for its answer any more. Its handler is dropped then; a task that it
    /// started is not.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.states().is_none()
    }

    /// Returns the states of both halves, while the call is open.
    #[must_use]
    pub fn states(&self) -> Option<HalfStates> {
        self.shared.lock().connection.states(self.call).ok()
    }

    /// Adds to the initial metadata. Nothing is sent by this: they go with the first message, ahead of a status that comes
    /// without one, or by [`flush_headers`](Self::flush_headers) ([P-33](halfclose::manual::rules#p-33)). What [`Response::headers`](crate::Response::headers)
    /// brings is added in the same way.
    ///
    /// # Errors
    ///
    /// [`Misuse::HeadersTwice`] once the response headers have gone: with a message, by `flush_headers`, or by
    /// [early headers](crate::Router::early_headers). [`Misuse::HeaderListTooLarge`] for more than the client says that it takes
    /// ([P-45](halfclose::manual::rules#p-45)). [`Misuse`] when the call is over. Nothing is added then.
    pub fn set_headers(&self, metadata: Metadata) -> Result<(), Misuse> {
        let call = self.call;
        self.shared.command(|state| state.connection.set_headers(call, metadata))
    }

    /// Sends the response headers now, with the initial metadata that were set.
    ///
    /// # Errors
    ///
    /// As [`set_headers`](Self::set_headers).
    pub fn flush_headers(&self) -> Result<(), Misuse> {
        self.send_headers(Metadata::new())
    }

    /// [`set_headers`](Self::set_headers) and [`flush_headers`](Self::flush_headers) at once.
    ///
    /// # Errors
    ///
    /// As [`set_headers`](Self::set_headers).
    pub fn send_headers(&self, metadata: Metadata) -> Result<(), Misuse> {
        let call = self.call;
        self.shared.command(|state| state.connection.send_headers(call, metadata))
    }

    /// Adds to the trailing metadata, which go with the status.
    pub fn add_trailers(&self, metadata: &Metadata) {
        self.shared.lock().add_trailers(self.call, metadata);
    }

    /// Picks the encoding of the messages that are sent; identity by default. Before the response headers only.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnsupportedEncoding`] where the client does not accept it, or there is no codec for it ([P-60](halfclose::manual::rules#p-60)).
    pub fn set_encoding(&self, encoding: Option<Encoding>) -> Result<(), Misuse> {
        let call = self.call;
        self.shared.command(|state| state.connection.set_encoding(call, encoding))
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("path", &self.headers.path()).finish_non_exhaustive()
    }
}

/// The one request of a unary or server streaming call.
#[derive(Clone, Debug)]
pub struct Request<T> {
    /// The message.
    pub message: T,
    /// Whether it came compressed.
    pub compressed: bool,
    /// The call.
    pub context: Context,
}
