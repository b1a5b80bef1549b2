//! Certificates and their keys: read from PEM, and replaced while a program runs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{TlsError, provider};

/// A certificate chain and its private key, as a handle: clones are the same identity, also when it is
/// [reloaded](Self::reload) or [replaced](Self::replace).
#[derive(Clone)]
pub struct Identity {
    inner: Arc<CurrentKey>,
}

struct CurrentKey {
    current: RwLock<Arc<CertifiedKey>>,
    /// The files of the chain and of the key.
    files: Option<(PathBuf, PathBuf)>,
}

impl Identity {
    /// Reads a chain, the own certificate first, and its key from PEM files.
    ///
    /// # Errors
    ///
    /// [`TlsError`] for a file that cannot be read, that holds no certificate or key, or a key that is not the certificate's.
    pub fn from_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        let files = (chain.as_ref().to_owned(), key.as_ref().to_owned());
        let current = read_files(&files)?;
        Ok(Self { inner: Arc::new(CurrentKey { current: RwLock::new(current), files: Some(files) }) })
    }

    /// Reads a chain, the own certificate first, and its key from PEM.
    ///
    /// # Errors
    ///
    /// [`TlsError`] as with [`from_files`](Self::from_files).
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let current = certified(read_pem(chain, None)?, read_key(key, None)?)?;
        Ok(Self::from_key(current))
    }

    /// Creates an identity from a chain and a key that rustls has accepted, such as one whose key is in hardware.
    #[must_use]
    pub fn from_key(key: Arc<CertifiedKey>) -> Self {
        Self { inner: Arc::new(CurrentKey { current: RwLock::new(key), files: None }) }
    }

    /// Reads the files again. Later handshakes use the result; after an error nothing changes.
    ///
    /// # Errors
    ///
    /// [`TlsError`] as with [`from_files`](Self::from_files), and [`TlsError::NotFromFiles`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let files = self.inner.files.as_ref().ok_or(TlsError::NotFromFiles)?;
        self.set(read_files(files)?);
        Ok(())
    }

    /// Replaces the chain and key by others, from PEM. Later handshakes use them; after an error nothing changes.
    ///
    /// # Errors
    ///
    /// [`TlsError`] as with [`from_pem`](Self::from_pem).
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        self.set(certified(read_pem(chain, None)?, read_key(key, None)?)?);
        Ok(())
    }

    fn set(&self, key: Arc<CertifiedKey>) {
        let mut current = self.inner.current.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, key);
        drop(current);
        drop(before);
    }

    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.inner.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("files", &self.inner.files).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn read_files((chain, key): &(PathBuf, PathBuf)) -> Result<Arc<CertifiedKey>, TlsError> {
    certified(read_pem_file(chain)?, read_key(&read(key)?, Some(key))?)
}

/// Checks that the key is the certificate's.
fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, TlsError> {
    Ok(Arc::new(CertifiedKey::from_der(chain, key, provider::usual()?.as_ref())?))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::File { path: path.to_owned(), error })
}

/// Returns the certificates of a PEM file, at least one.
pub(super) fn read_pem_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    read_pem(&read(path)?, Some(path))
}

/// Returns the certificates in PEM, at least one.
pub(super) fn read_pem(text: &[u8], place: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(error, place))?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificates(place.map(Path::to_owned)));
    }
    Ok(certificates)
}

fn read_key(text: &[u8], place: Option<&Path>) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| wrong(error, place))
}

fn wrong(error: pem::Error, place: Option<&Path>) -> TlsError {
    TlsError::Pem { place: place.map(Path::to_owned), error }
}
