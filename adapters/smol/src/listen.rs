//! Accepting connections.

use std::future::poll_fn;
use std::io::{ErrorKind, Result};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use halfclose_driver::halfclose::Config;
use halfclose_driver::{Router, Shutdown};
use smol::net::AsyncToSocketAddrs;
use smol::{Async, Timer, future};

use crate::binding::{SmolClock, SmolIo, seed};

/// How long a server waits when it cannot accept: out of file descriptors, as a rule, and that passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that listens on a TCP address: plaintext, HTTP/2 with prior knowledge.
#[derive(Debug)]
pub struct Server {
    listener: Async<TcpListener>,
    router: Arc<Router>,
    config: Config,
    shutdown: Shutdown,
}

impl Server {
    /// Listens on `address`.
    ///
    /// # Errors
    ///
    /// What the system says to the address.
    pub async fn bind(address: impl AsyncToSocketAddrs, router: Router) -> Result<Self> {
        let mut last = None;
        for address in smol::net::resolve(address).await? {
            match Async::<TcpListener>::bind(address) {
                Ok(listener) => return Ok(Self::new(listener, router)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| std::io::Error::other("the name has no address")))
    }

    /// Serves a listener that is bound.
    #[must_use]
    pub fn new(listener: Async<TcpListener>, router: Router) -> Self {
        Self { listener, router: Arc::new(router), config: Config::server(), shutdown: Shutdown::new() }
    }

    /// Sets the configuration of every connection.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Returns the address that it listens on.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.listener.get_ref().local_addr()
    }

    /// Returns the switch that ends [`serve`](Self::serve) gracefully.
    #[must_use]
    pub fn shutdown_handle(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Accepts and serves connections, each in a task of its own on smol's global executor, until the switch is thrown
    /// and the last connection has ended. Failing to accept ends nothing: it is tried again.
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
            // A socket that refuses the option is closed already, and its driver will find out.
            let _ = stream.get_ref().set_nodelay(true);
            let seed = seed(stream.get_ref());
            let driver =
                self.router.serve(SmolIo::new(stream), clock, self.config.clone(), seed, &self.shutdown);
            // How a connection ends is told to its calls; one that fails does not concern the others.
            smol::spawn(async move { driver.await.ok() }).detach();
        }
        drop(self.listener);
        self.shutdown.drained().await;
    }
}

/// Returns the next connection. Whenever the reactor wakes the task it is looked for: `Async::accept` asks the reactor instead,
/// which may deny again and again what it woke for while its executor is never idle.
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
