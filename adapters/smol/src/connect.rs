//! Connecting to servers.

use std::io::{Error, ErrorKind, Result};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;

#[cfg(feature = "tls")]
use halfclose_driver::halfclose::Scheme;
use halfclose_driver::halfclose::{Config, Seed};
#[cfg(feature = "tls")]
use halfclose_driver::tls::ClientTls;
use halfclose_driver::{Channel, ClientDriver, Endpoint, IntoTarget, Io, Target};
use smol::Async;

use crate::binding::{SmolClock, SmolIo, seed};

/// Connects to a server, and drives the connection in its own task on smol's global executor: in plaintext (h2c with
/// prior knowledge), or, if the [target](Target) begins with `https:` and a TLS feature is on, with TLS and the
/// system's root certificates. If `config` has no `:authority`, it is the target's.
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
            let seed = seed(stream.get_ref());
            Ok(spawn(begin(SmolIo::new(stream), seed, &target, config)))
        }
        Stream::Unix(stream) => Ok(spawn(begin(SmolIo::new(stream), Seed::default(), &target, config))),
    }
}

/// Connects like [`connect`], in plaintext to a TCP address, for an executor of the caller's, on which the driver has
/// to be polled.
///
/// # Errors
///
/// The error of the connection attempt.
pub async fn connect_with(
    target: impl IntoTarget,
    config: Config,
) -> Result<(Channel, ClientDriver<SmolIo<TcpStream>, SmolClock>)> {
    let target = target.into_target()?;
    match dial(&target).await? {
        Stream::Tcp(stream) if target.tls() != Some(true) => {
            let seed = seed(stream.get_ref());
            Ok(begin(SmolIo::new(stream), seed, &target, config))
        }
        _ => Err(Error::new(ErrorKind::InvalidInput, format!("{target}: no TCP address in plaintext"))),
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
            let seed = seed(stream.get_ref());
            let io = tls.start(SmolIo::new(stream), &target.host())?.handshake().await?;
            Ok(spawn(begin(io, seed, &target, config)))
        }
        Stream::Unix(stream) => {
            let io = tls.start(SmolIo::new(stream), &target.host())?.handshake().await?;
            Ok(spawn(begin(io, Seed::default(), &target, config)))
        }
    }
}

pub(crate) fn begin<I: Io>(
    io: I,
    seed: Seed,
    target: &Target,
    mut config: Config,
) -> (Channel, ClientDriver<I, SmolClock>) {
    if config.authority.is_empty() {
        config.authority = target.authority().to_owned().into();
    }
    Channel::new(io, SmolClock::new(), config, seed)
}

/// Starts the connection's task.
pub(crate) fn spawn<I: Io + Send + 'static>(
    (channel, driver): (Channel, ClientDriver<I, SmolClock>),
) -> Channel {
    // The calls learn how the connection ends; nothing waits for the task.
    smol::spawn(async move { driver.await.ok() }).detach();
    channel
}

/// A connected socket.
enum Stream {
    Tcp(Async<TcpStream>),
    Unix(Async<UnixStream>),
}

/// Connects to the first address that accepts.
async fn dial(target: &Target) -> Result<Stream> {
    let tried = match target.endpoint() {
        Endpoint::Name { host, port } => match smol::net::resolve((host.as_str(), *port)).await {
            Ok(addresses) => dial_tcp(&addresses).await,
            Err(error) => Err(error),
        },
        Endpoint::Addresses(addresses) => dial_tcp(addresses).await,
        Endpoint::Unix(path) => Async::<UnixStream>::connect(path).await.map(Stream::Unix),
        #[cfg(target_os = "linux")]
        Endpoint::UnixAbstract(name) => dial_abstract(name).map(Stream::Unix),
        _ => Err(Error::new(ErrorKind::Unsupported, "this system has no such sockets")),
    };
    tried.map_err(|error| Error::new(error.kind(), format!("{target}: {error}")))
}

async fn dial_tcp(addresses: &[SocketAddr]) -> Result<Stream> {
    let mut last = None;
    for address in addresses {
        match Async::<TcpStream>::connect(*address).await {
            Ok(stream) => {
                stream.get_ref().set_nodelay(true)?;
                return Ok(Stream::Tcp(stream));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::new(ErrorKind::NotFound, "the name has no address")))
}

#[cfg(target_os = "linux")]
fn dial_abstract(name: &str) -> Result<Async<UnixStream>> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr as SocketAddrOfUnix;

    // An abstract socket accepts or refuses at once.
    Async::new(UnixStream::connect_addr(&SocketAddrOfUnix::from_abstract_name(name)?)?)
}
