//! What a client connects to, as gRPC writes it.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

/// The port of a name without one (gRPC's naming document).
const DEFAULT_PORT: u16 = 443;

/// A server's name or addresses.
///
/// | written | meaning |
/// |---|---|
/// | `host:port`, `dns:///host:port`, `dns:host:port` | every address of a name; port 443 if it has none |
/// | `127.0.0.1:50051`, `[::1]:50051` | one address |
/// | `ipv4:10.0.0.1:50051,10.0.0.2:50051`, `ipv6:[::1]:50051` | these addresses |
/// | `unix:/run/app.sock`, `unix:///run/app.sock`, `unix-abstract:name` | a Unix socket |
/// | `http://host`, `https://host` | a name, without and with TLS; ports 80 and 443 |
///
/// ```
/// use halfclose_driver::Target;
///
/// let target: Target = "dns:///example.org:50051".parse()?;
/// assert_eq!(target.authority(), "example.org:50051");
/// # Ok::<(), halfclose_driver::TargetError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    endpoint: Endpoint,
    authority: String,
    tls: Option<bool>,
}

/// The kind of place that a target names.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Endpoint {
    /// A name to resolve.
    Name {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// Addresses, at least one.
    Addresses(Vec<SocketAddr>),
    /// The path of a Unix socket.
    Unix(String),
    /// The name of a Linux Unix socket outside the file system.
    UnixAbstract(String),
}

/// The reason why a text is no target.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The text is empty.
    #[error("the target is empty; write host:port, or a scheme such as dns:///host:port")]
    Empty,
    /// The scheme is unknown.
    #[error(
        "`{0}:` is no scheme of targets here; known are dns, ipv4, ipv6, unix, unix-abstract, http and https"
    )]
    Scheme(String),
    /// The URL has more than a host and a port.
    #[error(
        "`{0}` is a URL with a path; a target names a server, and methods have their own paths: leave `{1}` out"
    )]
    Path(String, String),
    /// The port is not a number from 1 to 65535.
    #[error("`{0}` is no port: a number from 1 to 65535 is")]
    Port(String),
    /// The host is invalid.
    #[error("`{0}` is no host name")]
    Host(String),
    /// The address is of another kind than its scheme.
    #[error("`{0}` is no {1} address with a port")]
    Address(String, &'static str),
    /// The target is `dns://server/name`, but the system resolves names.
    #[error("names are resolved by the system and not by `{0}`; write dns:///name")]
    DnsServer(String),
}

impl Target {
    /// Returns its place.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns the `:authority` of calls to it: host and port as they were written, and `localhost` for a Unix socket.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns whether the target itself requires or excludes TLS.
    #[must_use]
    pub const fn tls(&self) -> Option<bool> {
        self.tls
    }

    /// Returns the host that a certificate must name.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.endpoint {
            Endpoint::Name { host, .. } => host.clone(),
            Endpoint::Addresses(addresses) => {
                addresses.first().map(|address| address.ip().to_string()).unwrap_or_default()
            }
            Endpoint::Unix(_) | Endpoint::UnixAbstract(_) => "localhost".to_owned(),
        }
    }

    fn named(text: &str, default_port: u16) -> Result<Self, TargetError> {
        let (host, port) = split_port(text)?;
        let port = port.unwrap_or(default_port);
        if let Some(address) = parse_ip(host) {
            let address = SocketAddr::new(address, port);
            return Ok(Self::of(Endpoint::Addresses(vec![address]), address.to_string()));
        }
        let wrong = |byte: u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        if host.is_empty() || host.bytes().any(wrong) {
            return Err(TargetError::Host(host.to_owned()));
        }
        Ok(Self::of(Endpoint::Name { host: host.to_owned(), port }, format!("{host}:{port}")))
    }

    fn addresses(
        text: &str,
        kind: &'static str,
        is_kind: fn(&SocketAddr) -> bool,
    ) -> Result<Self, TargetError> {
        let parse = |one: &str| {
            let address = one.trim().parse().ok().filter(is_kind);
            address.ok_or_else(|| TargetError::Address(one.to_owned(), kind))
        };
        let addresses = text.split(',').map(parse).collect::<Result<Vec<_>, _>>()?;
        let authority = addresses.first().map(ToString::to_string).unwrap_or_default();
        Ok(Self::of(Endpoint::Addresses(addresses), authority))
    }

    fn url(text: &str, rest: &str, tls: bool) -> Result<Self, TargetError> {
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (server, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if path.len() > 1 {
            return Err(TargetError::Path(text.to_owned(), path.to_owned()));
        }
        let mut target = Self::named(server, if tls { DEFAULT_PORT } else { 80 })?;
        target.tls = Some(tls);
        Ok(target)
    }

    const fn of(endpoint: Endpoint, authority: String) -> Self {
        Self { endpoint, authority, tls: None }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TargetError::Empty);
        }
        let Some((scheme, rest)) = text.split_once(':') else { return Self::named(text, DEFAULT_PORT) };
        match scheme {
            "dns" => match rest.strip_prefix("//") {
                Some(rest) => match rest.split_once('/') {
                    Some(("", name)) => Self::named(name, DEFAULT_PORT),
                    Some((server, _)) => Err(TargetError::DnsServer(server.to_owned())),
                    None => Err(TargetError::DnsServer(rest.to_owned())),
                },
                None => Self::named(rest, DEFAULT_PORT),
            },
            "ipv4" => Self::addresses(rest, "IPv4", SocketAddr::is_ipv4),
            "ipv6" => Self::addresses(rest, "IPv6", SocketAddr::is_ipv6),
            "unix" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                Ok(Self::of(Endpoint::Unix(path.to_owned()), "localhost".to_owned()))
            }
            "unix-abstract" => Ok(Self::of(Endpoint::UnixAbstract(rest.to_owned()), "localhost".to_owned())),
            "http" if !is_port(rest) => Self::url(text, rest, false),
            "https" if !is_port(rest) => Self::url(text, rest, true),
            _ if rest.starts_with("//") => Err(TargetError::Scheme(scheme.to_owned())),
            _ => Self::named(text, DEFAULT_PORT),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Endpoint::Unix(path) => write!(f, "unix:{path}"),
            Endpoint::UnixAbstract(name) => write!(f, "unix-abstract:{name}"),
            _ => f.write_str(&self.authority),
        }
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::of(Endpoint::Addresses(vec![address]), address.to_string())
    }
}

/// A type that names what a client connects to.
pub trait IntoTarget {
    /// Converts to a target.
    ///
    /// # Errors
    ///
    /// [`TargetError`] for text that is not a target.
    fn into_target(self) -> Result<Target, TargetError>;
}

impl IntoTarget for Target {
    fn into_target(self) -> Result<Target, TargetError> {
        Ok(self)
    }
}

impl IntoTarget for &Target {
    fn into_target(self) -> Result<Target, TargetError> {
        Ok(self.clone())
    }
}

impl IntoTarget for &str {
    fn into_target(self) -> Result<Target, TargetError> {
        self.parse()
    }
}

impl IntoTarget for String {
    fn into_target(self) -> Result<Target, TargetError> {
        self.parse()
    }
}

impl IntoTarget for &String {
    fn into_target(self) -> Result<Target, TargetError> {
        self.parse()
    }
}

impl IntoTarget for SocketAddr {
    fn into_target(self) -> Result<Target, TargetError> {
        Ok(self.into())
    }
}

/// A host, a name or an address, and a port.
impl IntoTarget for (&str, u16) {
    fn into_target(self) -> Result<Target, TargetError> {
        Target::named(self.0, self.1)
    }
}

/// A host, a name or an address, and a port.
impl IntoTarget for (String, u16) {
    fn into_target(self) -> Result<Target, TargetError> {
        (self.0.as_str(), self.1).into_target()
    }
}

impl From<TargetError> for io::Error {
    fn from(error: TargetError) -> Self {
        Self::new(ErrorKind::InvalidInput, error)
    }
}

/// Returns whether the text after a colon is a port, because a host may be called `http`.
fn is_port(rest: &str) -> bool {
    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the host and the port.
fn split_port(text: &str) -> Result<(&str, Option<u16>), TargetError> {
    // "::1" is an address without a port.
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text, None));
    }
    let after_host = text.rfind(']').unwrap_or(0);
    let (whole, last) = text.split_at(after_host);
    let Some((before, port)) = last.rsplit_once(':') else { return Ok((text, None)) };
    let number = port.parse().ok().filter(|port| *port > 0);
    let host = text.get(..whole.len() + before.len()).unwrap_or(text);
    number.map(|port| (host, Some(port))).ok_or_else(|| TargetError::Port(port.to_owned()))
}

fn parse_ip(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(bare) => bare.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host
            .parse::<Ipv4Addr>()
            .map(IpAddr::V4)
            .or_else(|_| host.parse::<Ipv6Addr>().map(IpAddr::V6))
            .ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn names_addresses_and_their_ports() {
        for (text, authority) in [
            ("example.org:50051", "example.org:50051"),
            ("example.org", "example.org:443"),
            ("dns:///example.org:50051", "example.org:50051"),
            ("dns:example.org", "example.org:443"),
            ("http://example.org", "example.org:80"),
            ("https://example.org/", "example.org:443"),
            ("https://example.org:8443", "example.org:8443"),
            ("http:8080", "http:8080"),
            ("127.0.0.1:50051", "127.0.0.1:50051"),
            ("[::1]:50051", "[::1]:50051"),
            ("::1", "[::1]:443"),
            ("ipv4:10.0.0.1:1,10.0.0.2:2", "10.0.0.1:1"),
            ("ipv6:[::1]:1", "[::1]:1"),
            ("unix:/run/app.sock", "localhost"),
        ] {
            assert_eq!(target(text).authority(), authority, "{text}");
        }
        assert_eq!(target("https://a").tls(), Some(true));
        assert_eq!(target("http://a").tls(), Some(false));
        assert_eq!(target("a:1").tls(), None);
        assert_eq!(target("unix:///run/app.sock").endpoint(), &Endpoint::Unix("/run/app.sock".to_owned()));
        assert_eq!(target("unix:app.sock").to_string(), "unix:app.sock");
    }

    #[test]
    fn what_is_no_target_is_told_with_what_would_be() {
        for (text, wrong) in [
            ("", TargetError::Empty),
            ("ftp://a", TargetError::Scheme("ftp".to_owned())),
            ("https://a/b", TargetError::Path("https://a/b".to_owned(), "/b".to_owned())),
            ("a:b", TargetError::Port("b".to_owned())),
            ("a:0", TargetError::Port("0".to_owned())),
            ("a:65536", TargetError::Port("65536".to_owned())),
            ("a b:1", TargetError::Host("a b".to_owned())),
            (":1", TargetError::Host(String::new())),
            ("ipv4:[::1]:1", TargetError::Address("[::1]:1".to_owned(), "IPv4")),
            ("ipv4:1.2.3.4", TargetError::Address("1.2.3.4".to_owned(), "IPv4")),
            ("dns://8.8.8.8/a", TargetError::DnsServer("8.8.8.8".to_owned())),
        ] {
            assert_eq!(text.parse::<Target>(), Err(wrong), "{text}");
        }
    }
}
