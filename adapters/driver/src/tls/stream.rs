//! A TLS session over a transport, as a transport.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use rustls::pki_types::CertificateDer;
use rustls::{AlertDescription, Error, InvalidMessage, ProtocolVersion};

use super::session::Session;
use super::{H2, TlsError};
use crate::driver::buffer;
use crate::foreign::Foreign;
use crate::io::Io;

/// A byte transport over TLS, created by [`ClientTls::start`](super::ClientTls::start) and
/// [`ServerTls::start`](super::ServerTls::start).
///
/// The handshake happens with the first read or write, or by [`handshake`](Self::handshake). Records that the
/// transport does not accept are kept, at most 64 KiB of content, until they are flushed. An idle session has no
/// buffers of its own.
pub struct Tls<T> {
    io: T,
    session: Session,
    /// Records that were received and not decrypted, kept only while there is no space for their content.
    coming: BytesMut,
    /// Records that the transport has not accepted.
    going: BytesMut,
    /// The protocol of the peer's first bytes, once they have arrived.
    first: Option<Option<Foreign>>,
    /// The reason for the end of the session, which the next read returns once.
    failed: Option<TlsError>,
    closing: bool,
    /// Whether the transport may have buffered the session's own records, which nothing else flushes.
    unflushed: bool,
    details: Arc<OnceLock<TlsSession>>,
}

/// The properties of a session once its handshake is over.
#[derive(Clone, Debug)]
pub struct TlsSession {
    certificates: Vec<CertificateDer<'static>>,
    server_name: Option<String>,
    version: Option<ProtocolVersion>,
    resumed: bool,
}

impl TlsSession {
    /// Returns the peer's certificates, its own first; none if it presented none.
    #[must_use]
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// Returns the name that the client asked for (SNI), on a server.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Returns the protocol's version.
    #[must_use]
    pub const fn version(&self) -> Option<ProtocolVersion> {
        self.version
    }

    /// Returns whether the handshake resumed an earlier session.
    #[must_use]
    pub const fn is_resumed(&self) -> bool {
        self.resumed
    }
}

impl<T: Io> Tls<T> {
    pub(super) fn new(io: T, session: Session) -> Self {
        Self {
            io,
            session,
            coming: BytesMut::new(),
            going: BytesMut::new(),
            first: None,
            failed: None,
            closing: false,
            unflushed: false,
            details: Arc::default(),
        }
    }

    /// Completes the handshake.
    ///
    /// # Errors
    ///
    /// [`TlsError`] with the reason why there is no session; the peer has been sent an alert, if possible.
    pub async fn handshake(mut self) -> Result<Self, TlsError> {
        poll_fn(|cx| self.poll_handshake(cx)).await?;
        Ok(self)
    }

    /// Returns the properties of the session, once its handshake is over.
    #[must_use]
    pub fn session(&self) -> Option<&TlsSession> {
        self.details.get()
    }

    /// Returns the place where [`session`](Self::session) will be, for code that outlives this.
    pub(crate) const fn details(&self) -> &Arc<OnceLock<TlsSession>> {
        &self.details
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        loop {
            if let Some(error) = self.failed.take() {
                return Poll::Ready(Err(error));
            }
            let pushed = self.reply(cx);
            if !self.session.is_handshaking() {
                self.complete();
                if self.failed.is_none() {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            if let Poll::Ready(Err(error)) = pushed {
                return Poll::Ready(Err(error.into()));
            }
            if ready!(self.fill(cx))? == 0 {
                let error = self.first.flatten().map_or(TlsError::HandshakeCut, |found| match found {
                    Foreign::Tls => TlsError::HandshakeCut,
                    other => TlsError::NotTls(Some(other)),
                });
                return Poll::Ready(Err(error));
            }
            if let Err(error) = self.session.handshake(&mut self.coming) {
                self.fail(cx, error);
            }
        }
    }

    /// Records what the handshake has agreed on.
    fn complete(&mut self) {
        if self.details.get().is_some() || self.session.is_handshaking() {
            return;
        }
        let alpn = self.session.alpn();
        if alpn != Some(H2) {
            let other = alpn.map(|other| String::from_utf8_lossy(other).into_owned());
            self.failed = Some(TlsError::NoHttp2(other));
            self.session.close(&mut self.going);
        }
        let details = TlsSession {
            certificates: self.session.peer_certificates().to_vec(),
            server_name: self.session.server_name().map(str::to_owned),
            version: self.session.version(),
            resumed: self.session.is_resumed(),
        };
        self.details.get_or_init(|| details);
    }

    /// Reads records from the transport, unless some wait already. `Ok(0)` is the transport's end.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if !self.coming.is_empty() {
            return Poll::Ready(Ok(self.coming.len()));
        }
        buffer::take(&mut self.coming);
        let polled = self.io.poll_read(cx, &mut self.coming);
        if self.coming.is_empty() {
            buffer::give_back(&mut self.coming);
        } else if self.first.is_none() {
            self.first = Some(Foreign::recognise(&self.coming));
        }
        polled
    }

    /// Records that the session is over, and sends the peer an alert as far as the transport accepts it now.
    #[cold]
    fn fail(&mut self, cx: &mut Context<'_>, error: Error) {
        // A failure to send the alert to a peer that breaks the protocol does not matter.
        let _ = self.reply(cx);
        self.coming.clear();
        self.failed = Some(match error {
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) if self.details.get().is_none() => TlsError::NotTls(self.first.flatten()),
            // Either side's error for an ALPN without a common protocol.
            Error::NoApplicationProtocol | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
                TlsError::NoHttp2(None)
            }
            error => TlsError::Tls(error),
        });
    }

    /// Writes the pending records.
    fn push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut flushed = false;
        while !self.going.is_empty() {
            match self.io.poll_write(cx, &[IoSlice::new(&self.going)]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(written) => {
                    self.going.advance(written?);
                    flushed = false;
                }
                // A transport that buffers may have space after a flush.
                Poll::Pending if !std::mem::replace(&mut flushed, true) => ready!(self.io.poll_flush(cx))?,
                Poll::Pending => return Poll::Pending,
            }
        }
        buffer::give_back(&mut self.going);
        Poll::Ready(Ok(()))
    }

    /// Writes and flushes the session's own records. The next write reports a failure.
    fn reply(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unflushed |= self.session.take_records(&mut self.going);
        ready!(self.push(cx))?;
        if self.unflushed {
            ready!(self.io.poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Returns the end of the received data, after what preceded it.
    fn end(&mut self) -> io::Result<usize> {
        match self.failed.take() {
            Some(error) => Err(error.into()),
            None if self.session.has_ended() => Ok(0),
            None if self.session.is_handshaking() => Err(match self.first.flatten() {
                Some(other) if other != Foreign::Tls => TlsError::NotTls(Some(other)).into(),
                _ => TlsError::HandshakeCut.into(),
            }),
            None => Err(TlsError::Truncated.into()),
        }
    }
}

impl<T: Io> Io for Tls<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        loop {
            let (count, received) = self.session.receive(&mut self.coming, input);
            if let Err(error) = received {
                self.fail(cx, error);
            } else {
                self.complete();
            }
            // The peer's records may require a reply: the handshake continues, keys are exchanged.
            let _ = self.reply(cx);
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
            if self.failed.is_some() || self.session.has_ended() {
                return Poll::Ready(self.end());
            }
            if ready!(self.fill(cx))? == 0 {
                return Poll::Ready(self.end());
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.details.get().is_none() {
            ready!(self.poll_handshake(cx))?;
        }
        if !self.going.is_empty() {
            ready!(self.push(cx))?;
        }
        buffer::take(&mut self.going);
        let taken = self.session.send(slices, &mut self.going);
        // What is not sent now is sent with the next write or flush.
        match self.push(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.push(cx))?;
        self.io.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.closing, true) {
            self.session.close(&mut self.going);
        }
        ready!(self.push(cx))?;
        ready!(self.io.poll_flush(cx))?;
        self.io.poll_close(cx)
    }

    fn shrink(&mut self) {
        self.session.shrink();
        self.io.shrink();
    }
}

impl<T> fmt::Debug for Tls<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("session", &self.details.get()).finish_non_exhaustive()
    }
}
