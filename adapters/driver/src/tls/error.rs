//! The errors of TLS.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use rustls::pki_types::pem;
use thiserror::Error;

use crate::foreign::Foreign;

/// The reason why there is no TLS session, or why it ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The handshake failed, or a record was invalid.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The peer does not speak TLS.
    #[error(
        "the peer does not speak TLS{}; use a plaintext connection, or the port of the server that has TLS",
        Foreign::describe(.0.as_ref())
    )]
    NotTls(Option<Foreign>),
    /// The session did not agree on HTTP/2 ([P-91](halfclose::manual::rules#p-91)).
    #[error(
        "the peer did not agree on HTTP/2 by ALPN{}; it must offer `h2`",
        .0.as_ref().map(|other| format!(", it chose `{other}`")).unwrap_or_default()
    )]
    NoHttp2(Option<String>),
    /// The transport ended without the alert that ends a session (close_notify, RFC 8446 §6.1), so the received data
    /// may be incomplete.
    #[error("the peer closed the connection without ending its TLS session (close_notify)")]
    Truncated,
    /// The transport ended before the handshake did.
    #[error(
        "the peer closed the connection during the TLS handshake; it may not speak TLS, or not accept our certificate"
    )]
    HandshakeCut,
    /// The text is neither a host name nor an IP address, so no certificate can be checked against it.
    #[error("`{0}` is no host name that a certificate could be for; set ClientTls::server_name")]
    ServerName(String),
    /// No cryptography was compiled in or installed.
    #[error(
        "rustls has no cryptography here: turn on the feature `tls-ring` or `tls-aws-lc-rs`, install a process default, or \
         build the configuration with a provider"
    )]
    NoProvider,
    /// A file that cannot be read.
    #[error("{path}: {error}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        error: io::Error,
    },
    /// PEM that cannot be used.
    #[error("{}: {error}", .place.as_ref().map_or_else(|| "PEM".to_owned(), |path| path.display().to_string()))]
    Pem {
        /// The file with the fault, if it was one.
        place: Option<PathBuf>,
        /// The fault.
        #[source]
        error: pem::Error,
    },
    /// The PEM lacks the certificates that it is needed for.
    #[error("{}: no certificates", .0.as_ref().map_or_else(|| "PEM".to_owned(), |path| path.display().to_string()))]
    NoCertificates(Option<PathBuf>),
    /// The certificates of peers cannot be verified with these roots.
    #[error("the verifier of certificates: {0}")]
    Verifier(String),
    /// An identity that was not read from files cannot be read again.
    #[error("this identity was not read from files: replace it instead")]
    NotFromFiles,
    /// The transport failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        let kind = match &error {
            TlsError::Io(_) => {
                let TlsError::Io(error) = error else { return Self::other(error) };
                return error;
            }
            TlsError::Truncated | TlsError::HandshakeCut => ErrorKind::UnexpectedEof,
            TlsError::ServerName(_) | TlsError::NoProvider => ErrorKind::InvalidInput,
            TlsError::File { error, .. } => error.kind(),
            _ => ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
