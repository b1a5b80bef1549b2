//! Accepting connections.

use std::future::poll_fn;
use std::io::{ErrorKind, Result};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use halfclose_driver::halfclose::{Config, Seed};
#[cfg(feature = "tls")]
use halfclose_driver::tls::ServerTls;
use halfclose_driver::{ConnectionInfo, Io, Router, Shutdown};
use smol::net::AsyncToSocketAddrs;
use smol::{Async, Timer, future};

use crate::binding::{SmolClock, SmolIo, seed};

/// How long a server pauses when it cannot accept, for example because file descriptors have run out temporarily.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that listens on a TCP address: HTTP/2 with prior knowledge in plaintext, or with TLS.
#[derive(Debug)]
pub struct Server {
    listener: Async<TcpListener>,
    router: Arc<Router>,
    config: Config,
    shutdown: Shutdown,
    #[cfg(feature = "tls")]
    tls: Option<ServerTls>,
}

impl Server {
    /// Listens on `address`.
    ///
    /// # Errors
    ///
    /// The system's error for the address, or a router with a method that was added twice.
    pub async fn bind(address: impl AsyncToSocketAddrs, router: Router) -> Result<Self> {
        router.check()?;
        let mut last = None;
        for address in smol::net::resolve(address).await? {
            match Async::<TcpListener>::bind(address) {
                Ok(listener) => return Ok(Self::new(listener, router)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| std::io::Error::other("the name has no address")))
    }

    /// Serves a listener that is already bound.
    #[must_use]
    pub fn new(listener: Async<TcpListener>, router: Router) -> Self {
        Self {
            listener,
            router: Arc::new(router),
            config: Config::server(),
            shutdown: Shutdown::new(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Sets the configuration of every connection.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Serves with TLS instead of plaintext.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Returns the address on which the server listens.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.listener.get_ref().local_addr()
    }

    /// Returns the switch that ends [`serve`](Self::serve) gracefully.
    #[must_use]
    pub fn shutdown_handle(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Accepts and serves connections, each in its own task on smol's global executor, until the shutdown is
    /// triggered and the last connection has ended. After an error, accepting is tried again.
    pub async fn serve(self) {
        let clock = SmolClock::new();
        loop {
            let stopped = async {
                self.shutdown.triggered().await;
                None
            };
            let accepted = async { Some(accept(&self.listener).await) };
            let stream = match future::or(stopped, accepted).await {
                None => break,
                Some(Ok(stream)) => stream,
                Some(Err(_)) => {
                    Timer::after(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            self.accepted(stream, clock);
        }
        drop(self.listener);
        self.shutdown.drained().await;
    }

    fn accepted(&self, stream: Async<TcpStream>, clock: SmolClock) {
        let socket = stream.get_ref();
        // A socket that refuses the option is already closed, and its driver will notice.
        let _ = socket.set_nodelay(true);
        let info = ConnectionInfo::new().addresses(socket.peer_addr().ok(), socket.local_addr().ok());
        let seed = seed(socket);
        let io = SmolIo::new(stream);
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            // rustls refuses the configuration, so no client can be served: close the connection.
            if let Ok(io) = tls.start(io) {
                let info = info.tls(&io);
                self.begin(io, clock, seed, info);
            }
            return;
        }
        self.begin(io, clock, seed, info);
    }

    /// Starts a connection's task.
    fn begin<I: Io + Send + 'static>(&self, io: I, clock: SmolClock, seed: Seed, info: ConnectionInfo) {
        let driver = self.router.serve(io, clock, self.config.clone(), seed, &self.shutdown).info(info);
        // The calls learn how a connection ends; its failure does not affect other connections.
        smol::spawn(async move { driver.await.ok() }).detach();
    }
}

/// Accepts the next connection, trying again whenever the reactor wakes the task. `Async::accept` asks the reactor
/// instead, which may repeatedly deny the event for which it woke the task while its executor is never idle.
async fn accept(listener: &Async<TcpListener>) -> Result<Async<TcpStream>> {
    poll_fn(|cx| {
        loop {
            match listener.get_ref().accept() {
                Ok((stream, _)) => return Poll::Ready(Async::new(stream)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready!(listener.poll_readable(cx))?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    })
    .await
}
