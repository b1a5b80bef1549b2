//! Certificates for the tests, generated for each run.

use std::sync::LazyLock;

use halfclose_driver::tls::{ClientTls, Identity, ServerTls, ServerTlsBuilder};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

/// An authority.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// The authority that all tests trust.
pub(super) static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("halfclose's tests"));

/// A certificate chain and its key as PEM.
pub(super) struct Pem {
    pub(super) chain: String,
    pub(super) key: String,
}

impl Pem {
    pub(super) fn identity(&self) -> Identity {
        Identity::from_pem(self.chain.as_bytes(), self.key.as_bytes()).expect("a certificate and its key")
    }
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority"))
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Returns a certificate for these names, valid until the end of `year`.
    pub(super) fn sign(&self, names: &[&str], year: i32) -> Pem {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 12, 31);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Pem { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

/// Returns a certificate for the loopback address.
pub(super) fn usual() -> Pem {
    AUTHORITY.sign(&["localhost", "127.0.0.1"], 2999)
}

pub(super) fn server_builder() -> ServerTlsBuilder {
    ServerTls::builder(usual().identity())
}

pub(super) fn client() -> ClientTls {
    ClientTls::builder().ca_pem(AUTHORITY.pem().as_bytes()).and_then(|tls| tls.build()).expect("settings")
}
