//! A handler's access to its call: the request's headers, and what the response may add.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use halfclose::grpc::RequestHeaders;
use halfclose::grpc::encoding::{Encoding, EncodingSet};
use halfclose::{CallId, HalfStates, Metadata, Misuse, Server};

use crate::info::ConnectionInfo;
use crate::shared::Shared;

/// The call that a handler serves. Clones refer to the same call.
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

    /// Returns the request headers: path, authority, encodings, metadata.
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

    /// Returns the time left until the client's deadline, if it set one: the timeout for calls that this one makes.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let deadline = self.shared.lock().connection.deadline(self.call)?;
        Some(deadline - self.shared.now())
    }

    /// Returns the encodings that the client accepts, as far as this library knows their names.
    #[must_use]
    pub fn accepts(&self) -> EncodingSet {
        self.headers.accept
    }

    /// Returns whether the client accepts an encoding, custom ones included.
    #[must_use]
    pub fn accepts_encoding(&self, encoding: Encoding) -> bool {
        self.headers.accepts(encoding)
    }

    /// Returns whether the call is over, so that its response is no longer wanted. Its handler is dropped then; tasks
    /// that the handler started are not.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.states().is_none()
    }

    /// Returns the states of both halves, while the call is open.
    #[must_use]
    pub fn states(&self) -> Option<HalfStates> {
        self.shared.lock().connection.states(self.call).ok()
    }

    /// Adds to the initial metadata without sending anything. It is sent with the first message, with the status if
    /// there is no message, or by [`flush_headers`](Self::flush_headers) ([P-33](halfclose::manual::rules#p-33)).
    /// [`Response::headers`](crate::Response::headers) is added in the same way.
    ///
    /// # Errors
    ///
    /// [`Misuse::HeadersTwice`] once the response headers have been sent: with a message, by `flush_headers`, or as
    /// [early headers](crate::Router::early_headers). [`Misuse::HeaderListTooLarge`] if they exceed the client's
    /// limit ([P-45](halfclose::manual::rules#p-45)). Another [`Misuse`] if the call is over. Nothing is added then.
    pub fn set_headers(&self, metadata: Metadata) -> Result<(), Misuse> {
        let call = self.call;
        self.shared.command(|state| state.connection.set_headers(call, metadata))
    }

    /// Sends the response headers now, with the initial metadata that was set.
    ///
    /// # Errors
    ///
    /// The errors of [`set_headers`](Self::set_headers).
    pub fn flush_headers(&self) -> Result<(), Misuse> {
        self.send_headers(Metadata::new())
    }

    /// Sets initial metadata and sends the response headers: [`set_headers`](Self::set_headers) and
    /// [`flush_headers`](Self::flush_headers) in one step.
    ///
    /// # Errors
    ///
    /// The errors of [`set_headers`](Self::set_headers).
    pub fn send_headers(&self, metadata: Metadata) -> Result<(), Misuse> {
        let call = self.call;
        self.shared.command(|state| state.connection.send_headers(call, metadata))
    }

    /// Adds to the trailing metadata, which is sent with the status.
    pub fn add_trailers(&self, metadata: &Metadata) {
        self.shared.lock().add_trailers(self.call, metadata);
    }

    /// Sets the encoding of the messages that are sent; identity by default. Only possible before the response
    /// headers are sent.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnsupportedEncoding`] if the client does not accept it, or there is no codec for it
    /// ([P-60](halfclose::manual::rules#p-60)).
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
    /// Whether it arrived compressed.
    pub compressed: bool,
    /// The call.
    pub context: Context,
}
