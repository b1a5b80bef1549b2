//! Channels that manage their connections.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use halfclose_driver::channel::ChannelConfig;
#[cfg(feature = "tls")]
use halfclose_driver::halfclose::Scheme;
use halfclose_driver::halfclose::{Config, Seed};
#[cfg(feature = "tls")]
use halfclose_driver::tls::ClientTls;
use halfclose_driver::{Channel, Connector, ConnectorFuture, Endpoint, IntoTarget, ManagedChannel, Target};
use tokio::net::TcpStream;

use crate::binding::{TokioClock, TokioIo, seed};
use crate::connect::begin;

/// Creates a channel that connects when there are calls, and again when its connection breaks. Its driver runs in a
/// task of its own. A [target](Target) that begins with `https:` uses TLS with the roots of the system, if a feature
/// for TLS is enabled.
///
/// # Errors
///
/// An error of the target, and Unix sockets, which such channels do not connect to.
pub fn managed(target: impl IntoTarget, config: Config, channel: ChannelConfig) -> Result<ManagedChannel> {
    let target = target.into_target()?;
    if target.tls() == Some(true) {
        return managed_securely(target, config, channel);
    }
    start(
        TokioConnector {
            target,
            config,
            clock: TokioClock::new(),
            #[cfg(feature = "tls")]
            tls: None,
        },
        channel,
    )
}

#[cfg(feature = "tls")]
fn managed_securely(target: Target, config: Config, channel: ChannelConfig) -> Result<ManagedChannel> {
    let tls = ClientTls::builder().build()?;
    managed_tls(target, &tls, config, channel)
}

#[cfg(not(feature = "tls"))]
fn managed_securely(target: Target, _: Config, _: ChannelConfig) -> Result<ManagedChannel> {
    let why = format!("https://{target}: there is no TLS here; turn on a feature for it, such as `tls-ring`");
    Err(Error::new(ErrorKind::Unsupported, why))
}

/// Creates a channel as [`managed`] does, with TLS.
///
/// # Errors
///
/// As [`managed`].
#[cfg(feature = "tls")]
pub fn managed_tls(
    target: impl IntoTarget,
    tls: &ClientTls,
    mut config: Config,
    channel: ChannelConfig,
) -> Result<ManagedChannel> {
    let target = target.into_target()?;
    if target.tls() == Some(false) {
        let why = format!("http://{target} is a server without TLS; write https:// or no scheme");
        return Err(Error::new(ErrorKind::InvalidInput, why));
    }
    config.scheme = Scheme::Https;
    start(TokioConnector { target, config, clock: TokioClock::new(), tls: Some(tls.clone()) }, channel)
}

/// Starts the driver's task.
fn start(connector: TokioConnector, channel: ChannelConfig) -> Result<ManagedChannel> {
    if matches!(connector.target.endpoint(), Endpoint::Unix(_) | Endpoint::UnixAbstract(_)) {
        let why = format!("{}: only `connect` knows Unix sockets", connector.target);
        return Err(Error::new(ErrorKind::Unsupported, why));
    }
    let (channel, driver) = ManagedChannel::new(connector, channel, any_seed());
    tokio::spawn(driver);
    Ok(channel)
}

/// Returns a seed that differs from channel to channel.
fn any_seed() -> Seed {
    use std::hash::{BuildHasher, RandomState};

    Seed(RandomState::new().hash_one(0))
}

/// A connector on tokio.
struct TokioConnector {
    target: Target,
    config: Config,
    clock: TokioClock,
    #[cfg(feature = "tls")]
    tls: Option<ClientTls>,
}

impl Connector for TokioConnector {
    type Clock = TokioClock;

    fn clock(&self) -> &TokioClock {
        &self.clock
    }

    fn resolve(&mut self) -> ConnectorFuture<Result<Vec<SocketAddr>>> {
        match self.target.endpoint() {
            Endpoint::Name { host, port } => {
                let (host, port) = (host.clone(), *port);
                Box::pin(async move { Ok(tokio::net::lookup_host((host.as_str(), port)).await?.collect()) })
            }
            Endpoint::Addresses(addresses) => Box::pin(std::future::ready(Ok(addresses.clone()))),
            _ => Box::pin(std::future::ready(Err(ErrorKind::Unsupported.into()))),
        }
    }

    fn connect(
        &mut self,
        address: SocketAddr,
        keepalive: Option<Duration>,
    ) -> ConnectorFuture<Result<Channel>> {
        let (target, mut config) = (self.target.clone(), self.config.clone());
        if keepalive.is_some() {
            config.keepalive.interval = keepalive;
        }
        #[cfg(feature = "tls")]
        let tls = self.tls.clone();
        Box::pin(async move {
            let attempt = async {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let seed = seed(&stream);
                let io = TokioIo::new(stream);
                #[cfg(feature = "tls")]
                if let Some(tls) = tls {
                    let io = tls.start(io, &target.host())?.handshake().await?;
                    return Ok(begin(io, seed, &target, config));
                }
                Ok(begin(io, seed, &target, config))
            };
            attempt.await.map_err(|error: Error| Error::new(error.kind(), format!("{address}: {error}")))
        })
    }
}
