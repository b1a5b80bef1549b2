//! TLS, once for every runtime: [`Tls`] is a transport over any other one, driven by rustls.
//!
//! [`ClientTls`] and [`ServerTls`] hold a client's and a server's settings. Both accept a rustls configuration
//! unchanged, with any cryptography ([`ClientTls::new`], [`ServerTls::new`]), and have builders for the usual ones:
//!
//! ```no_run
//! use halfclose_driver::tls::{ClientTls, Identity, ServerTls, TlsError};
//!
//! # fn main() -> Result<(), TlsError> {
//! // The roots of the system.
//! let usual = ClientTls::builder().build()?;
//! // A private authority, and a certificate of our own for it.
//! let mutual = ClientTls::builder()
//!     .ca_file("ca.pem")?
//!     .identity(Identity::from_files("client.pem", "client.key")?)
//!     .build()?;
//! let server = ServerTls::builder(Identity::from_files("server.pem", "server.key")?)
//!     .client_ca_file("ca.pem")?
//!     .build()?;
//! # let _ = (usual, mutual, server);
//! # Ok(())
//! # }
//! ```
//!
//! Both sides offer only HTTP/2 by ALPN, and a session that did not agree on it ends with [`TlsError::NoHttp2`]
//! ([P-91](halfclose::manual::rules#p-91)). rustls has no version below TLS 1.2, no cipher suite that RFC 9113 §9.2.2
//! forbids, no compression and no renegotiation ([P-92](halfclose::manual::rules#p-92)).
//!
//! # Cryptography
//!
//! If neither the application's configuration nor the process's default
//! (`rustls::crypto::CryptoProvider::install_default`) names a provider, it is aws-lc-rs with the feature
//! `tls-aws-lc-rs`, or else ring with `tls-ring`.
//!
//! # Certificates that change
//!
//! [`Identity`] is a handle: [`Identity::reload`] reads its files again, and [`Identity::replace`] sets another
//! chain. Later handshakes use the new one, and open connections are not affected.

mod client;
mod error;
mod identity;
mod provider;
mod server;
mod session;
mod stream;

pub use client::{ClientTls, ClientTlsBuilder};
pub use error::TlsError;
pub use identity::Identity;
/// The version of rustls that this crate is built with.
pub use rustls;
pub use server::{ServerTls, ServerTlsBuilder};
pub use stream::{Tls, TlsSession};

/// HTTP/2 over TLS (RFC 9113 §3.2).
const H2: &[u8] = b"h2";
