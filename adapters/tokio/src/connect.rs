//! Connecting to servers.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

#[cfg(feature = "tls")]
use halfclose_driver::halfclose::Scheme;
use halfclose_driver::halfclose::{Config, Seed};
#[cfg(feature = "tls")]
use halfclose_driver::tls::ClientTls;
use halfclose_driver::{Channel, Endpoint, IntoTarget, Io, Target};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::binding::{TokioClock, TokioIo, seed};

/// Connects to a server, and drives the connection in its own task: in plaintext (h2c with prior knowledge), or, if
/// the [target](Target) begins with `https:` and a TLS feature is on, with TLS and the system's root certificates. If
/// `config` has no `:authority`, it is the target's.
///
/// # Errors
///
/// The error of the connection attempt, with the target's name. Later errors are reported to the calls.
pub async fn connect(target: impl IntoTarget, config: Config) -> Result<Channel> {
    let target = target.into_target()?;
    if target.tls() == Some(true) {
        return connect_securely(&target, config).await;
    }
    match dial(&target).await? {
        Stream::Tcp(stream) => {
            let seed = seed(&stream);
            Ok(begin(TokioIo::new(stream), seed, &target, config))
        }
        #[cfg(unix)]
        Stream::Unix(stream) => Ok(begin(TokioIo::new(stream), Seed::default(), &target, config)),
    }
}

#[cfg(feature = "tls")]
async fn connect_securely(target: &Target, config: Config) -> Result<Channel> {
    let tls = ClientTls::builder().build()?;
    connect_tls(target, &tls, config).await
}

#[cfg(not(feature = "tls"))]
async fn connect_securely(target: &Target, _: Config) -> Result<Channel> {
    let why = format!("https://{target}: there is no TLS here; turn on a feature for it, such as `tls-ring`");
    Err(Error::new(ErrorKind::Unsupported, why))
}

/// Connects like [`connect`], with TLS.
///
/// # Errors
///
/// The error of the connection attempt, with the target's name; a [`TlsError`](crate::tls::TlsError) if the handshake
/// failed.
#[cfg(feature = "tls")]
pub async fn connect_tls(target: impl IntoTarget, tls: &ClientTls, mut config: Config) -> Result<Channel> {
    let target = target.into_target()?;
    if target.tls() == Some(false) {
        let why = format!("http://{target} is a server without TLS; write https:// or no scheme");
        return Err(Error::new(ErrorKind::InvalidInput, why));
    }
    config.scheme = Scheme::Https;
    match dial(&target).await? {
        Stream::Tcp(stream) => {
            let seed = seed(&stream);
            let io = tls.start(TokioIo::new(stream), &target.host())?.handshake().await?;
            Ok(begin(io, seed, &target, config))
        }
        #[cfg(unix)]
        Stream::Unix(stream) => {
            let io = tls.start(TokioIo::new(stream), &target.host())?.handshake().await?;
            Ok(begin(io, Seed::default(), &target, config))
        }
    }
}

/// Starts the connection's task.
pub(crate) fn begin<I: Io + Send + 'static>(
    io: I,
    seed: Seed,
    target: &Target,
    mut config: Config,
) -> Channel {
    if config.authority.is_empty() {
        config.authority = target.authority().to_owned().into();
    }
    let (channel, driver) = Channel::new(io, TokioClock::new(), config, seed);
    // The calls learn how the connection ends; nothing waits for the task.
    tokio::spawn(async move { driver.await.ok() });
    channel
}

/// A connected socket.
enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// Connects to the first address that accepts.
async fn dial(target: &Target) -> Result<Stream> {
    let tried = match target.endpoint() {
        Endpoint::Name { host, port } => match tokio::net::lookup_host((host.as_str(), *port)).await {
            Ok(addresses) => dial_tcp(addresses).await,
            Err(error) => Err(error),
        },
        Endpoint::Addresses(addresses) => dial_tcp(addresses.iter().copied()).await,
        #[cfg(unix)]
        Endpoint::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        #[cfg(target_os = "linux")]
        Endpoint::UnixAbstract(name) => dial_abstract(name).map(Stream::Unix),
        _ => Err(Error::new(ErrorKind::Unsupported, "this system has no such sockets")),
    };
    tried.map_err(|error| Error::new(error.kind(), format!("{target}: {error}")))
}

async fn dial_tcp(addresses: impl Iterator<Item = SocketAddr>) -> Result<Stream> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(Stream::Tcp(stream));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::new(ErrorKind::NotFound, "the name has no address")))
}

#[cfg(target_os = "linux")]
fn dial_abstract(name: &str) -> Result<UnixStream> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net;

    // An abstract socket accepts or refuses at once.
    let stream = net::UnixStream::connect_addr(&net::SocketAddr::from_abstract_name(name)?)?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}
