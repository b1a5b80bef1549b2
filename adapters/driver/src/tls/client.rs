//! A client's settings.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::identity::{read_pem, read_pem_file};
use super::session::Session;
use super::{H2, Identity, Tls, TlsError, provider};
use crate::io::Io;

/// A factory of a client's TLS sessions. Clones share the data for resuming sessions.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl ClientTls {
    /// Creates settings from a configuration of rustls, with any provider. ALPN is set to HTTP/2.
    #[must_use]
    pub fn new(config: impl Into<Arc<ClientConfig>>) -> Self {
        let mut config = config.into();
        if config.alpn_protocols != [H2] {
            Arc::make_mut(&mut config).alpn_protocols = vec![H2.to_vec()];
        }
        Self { config, name: None }
    }

    /// Begins settings that trust the roots of the system.
    #[must_use]
    pub fn builder() -> ClientTlsBuilder {
        ClientTlsBuilder::default()
    }

    /// Sets the name that a server's certificate must be valid for, whatever name or address the client connects to.
    ///
    /// # Errors
    ///
    /// [`TlsError::ServerName`] if it is neither a host name nor an IP address.
    pub fn server_name(mut self, name: &str) -> Result<Self, TlsError> {
        self.name = Some(parse_name(name)?);
        Ok(self)
    }

    /// Begins a session with the server at `host`, a name or an address, over a connected transport. It sends nothing
    /// yet; see [`Tls::handshake`].
    ///
    /// # Errors
    ///
    /// [`TlsError::ServerName`] if `host` cannot be the name of a certificate.
    pub fn start<T: Io>(&self, io: T, host: &str) -> Result<Tls<T>, TlsError> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => parse_name(host)?,
        };
        let connection = ClientConnection::new(Arc::clone(&self.config), name)?;
        Ok(Tls::new(io, Session::new(connection.into())))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("server_name", &self.name).finish_non_exhaustive()
    }
}

/// Returns the name in the form of certificates, without the brackets of an IPv6 address.
fn parse_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(address.into());
    }
    ServerName::try_from(bare.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))
}

/// The builder of a [`ClientTls`].
#[derive(Default, Debug)]
pub struct ClientTlsBuilder {
    roots: Vec<CertificateDer<'static>>,
    #[cfg(feature = "tls-webpki-roots")]
    webpki_roots: bool,
    identity: Option<Identity>,
    provider: Option<Arc<CryptoProvider>>,
}

impl ClientTlsBuilder {
    /// Trusts the authorities of a PEM file instead of those of the system.
    ///
    /// # Errors
    ///
    /// [`TlsError`] for a file that cannot be read or holds no certificate.
    pub fn ca_file(mut self, path: impl AsRef<Path>) -> Result<Self, TlsError> {
        self.roots.extend(read_pem_file(path.as_ref())?);
        Ok(self)
    }

    /// Trusts the authorities in PEM instead of those of the system.
    ///
    /// # Errors
    ///
    /// [`TlsError`] for PEM without a certificate.
    pub fn ca_pem(mut self, text: &[u8]) -> Result<Self, TlsError> {
        self.roots.extend(read_pem(text, None)?);
        Ok(self)
    }

    /// Trusts the authorities that Mozilla's browser trusted when this was compiled, instead of those of the system.
    #[cfg(feature = "tls-webpki-roots")]
    #[must_use]
    pub fn webpki_roots(mut self) -> Self {
        self.webpki_roots = true;
        self
    }

    /// Presents this certificate to servers that ask for one (mutual TLS).
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Uses this cryptography.
    #[must_use]
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    fn store(&self) -> Result<RootCertStore, TlsError> {
        let mut store = RootCertStore::empty();
        #[cfg(feature = "tls-webpki-roots")]
        if self.webpki_roots {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        for root in &self.roots {
            store.add(root.clone())?;
        }
        Ok(store)
    }

    /// Creates the settings.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if there is no cryptography, or an authority's certificate cannot be used.
    pub fn build(self) -> Result<ClientTls, TlsError> {
        let provider = self.provider.clone().map_or_else(provider::usual, Ok)?;
        let store = self.store()?;
        let verifier: Arc<dyn ServerCertVerifier> = if store.is_empty() {
            Arc::new(Verifier::new(Arc::clone(&provider))?)
        } else {
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider))
                .build()
                .map_err(|error| TlsError::Verifier(error.to_string()))?
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match self.identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(identity)),
            None => builder.with_no_client_auth(),
        };
        Ok(ClientTls::new(config))
    }
}
