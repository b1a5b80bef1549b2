//! Accepting connections.

use std::io::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use halfclose_driver::halfclose::{Config, Seed};
#[cfg(feature = "tls")]
use halfclose_driver::tls::ServerTls;
use halfclose_driver::{ConnectionInfo, Io, Router, Shutdown};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

use crate::binding::{TokioClock, TokioIo, seed};

/// How long a server pauses when it cannot accept, for example because file descriptors have run out temporarily.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that listens on a TCP address: HTTP/2 with prior knowledge in plaintext, or with TLS.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
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
    pub async fn bind(address: impl ToSocketAddrs, router: Router) -> Result<Self> {
        router.check()?;
        Ok(Self::new(TcpListener::bind(address).await?, router))
    }

    /// Serves a listener that is already bound.
    #[must_use]
    pub fn new(listener: TcpListener, router: Router) -> Self {
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
        self.listener.local_addr()
    }

    /// Returns the switch that ends [`serve`](Self::serve) gracefully.
    #[must_use]
    pub fn shutdown_handle(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Accepts and serves connections, each in its own task, until the shutdown is triggered and the last connection
    /// has ended. After an error, accepting is tried again.
    pub async fn serve(self) {
        let clock = TokioClock::new();
        let mut stopped = self.shutdown.triggered();
        loop {
            let stream = tokio::select! {
                biased;
                () = &mut stopped => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(_) => {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            self.accepted(stream, clock);
        }
        drop(self.listener);
        self.shutdown.drained().await;
    }

    fn accepted(&self, stream: TcpStream, clock: TokioClock) {
        // A socket that refuses the option is already closed, and its driver will notice.
        let _ = stream.set_nodelay(true);
        let info = ConnectionInfo::new().addresses(stream.peer_addr().ok(), stream.local_addr().ok());
        let seed = seed(&stream);
        let io = TokioIo::new(stream);
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
    fn begin<I: Io + Send + 'static>(&self, io: I, clock: TokioClock, seed: Seed, info: ConnectionInfo) {
        let driver = self.router.serve(io, clock, self.config.clone(), seed, &self.shutdown).info(info);
        // The calls learn how a connection ends; its failure does not affect other connections.
        tokio::spawn(async move { driver.await.ok() });
    }
}
