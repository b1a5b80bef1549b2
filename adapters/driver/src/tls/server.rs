//! A server's settings.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use super::identity::{read_pem, read_pem_file};
use super::session::Session;
use super::{H2, Identity, Tls, TlsError, provider};
use crate::io::Io;

/// A factory of a server's TLS sessions.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
}

impl ServerTls {
    /// Creates settings from a configuration of rustls, with any provider. ALPN is set to HTTP/2.
    #[must_use]
    pub fn new(config: impl Into<Arc<ServerConfig>>) -> Self {
        let mut config = config.into();
        if config.alpn_protocols != [H2] {
            Arc::make_mut(&mut config).alpn_protocols = vec![H2.to_vec()];
        }
        Self { config }
    }

    /// Begins settings with this certificate.
    #[must_use]
    pub fn builder(identity: Identity) -> ServerTlsBuilder {
        ServerTlsBuilder { identity, client_roots: Vec::new(), optional: false, provider: None }
    }

    /// Begins a session over an accepted transport. It sends nothing yet; see [`Tls::handshake`].
    ///
    /// # Errors
    ///
    /// [`TlsError::Tls`] for a configuration that rustls does not accept.
    pub fn start<T: Io>(&self, io: T) -> Result<Tls<T>, TlsError> {
        let connection = ServerConnection::new(Arc::clone(&self.config))?;
        Ok(Tls::new(io, Session::new(connection.into())))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// The builder of a [`ServerTls`].
#[derive(Debug)]
pub struct ServerTlsBuilder {
    identity: Identity,
    client_roots: Vec<CertificateDer<'static>>,
    optional: bool,
    provider: Option<Arc<CryptoProvider>>,
}

impl ServerTlsBuilder {
    /// Asks clients for a certificate of these authorities, a PEM file, and refuses those without (mutual TLS).
    ///
    /// # Errors
    ///
    /// [`TlsError`] for a file that cannot be read or holds no certificate.
    pub fn client_ca_file(mut self, path: impl AsRef<Path>) -> Result<Self, TlsError> {
        self.client_roots.extend(read_pem_file(path.as_ref())?);
        Ok(self)
    }

    /// Asks clients for a certificate as [`client_ca_file`](Self::client_ca_file) does, with authorities in PEM.
    ///
    /// # Errors
    ///
    /// [`TlsError`] for PEM without a certificate.
    pub fn client_ca_pem(mut self, text: &[u8]) -> Result<Self, TlsError> {
        self.client_roots.extend(read_pem(text, None)?);
        Ok(self)
    }

    /// Sets whether clients without a certificate are served too; a handler can check with
    /// [`Context::peer_certificates`](crate::Context::peer_certificates).
    #[must_use]
    pub const fn client_certificate_optional(mut self, optional: bool) -> Self {
        self.optional = optional;
        self
    }

    /// Uses this cryptography.
    #[must_use]
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Creates the settings.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if there is no cryptography, or an authority's certificate cannot be used.
    pub fn build(self) -> Result<ServerTls, TlsError> {
        let provider = self.provider.map_or_else(provider::usual, Ok)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = if self.client_roots.is_empty() {
            builder.with_no_client_auth()
        } else {
            let mut store = RootCertStore::empty();
            for root in self.client_roots {
                store.add(root)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider);
            let verifier = if self.optional { verifier.allow_unauthenticated() } else { verifier };
            let verifier = verifier.build().map_err(|error| TlsError::Verifier(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        };
        Ok(ServerTls::new(builder.with_cert_resolver(Arc::new(self.identity))))
    }
}
