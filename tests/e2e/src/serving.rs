//! A server that runs while a test does.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::Pin;

use halfclose_driver::halfclose::Config;
use halfclose_driver::tls::ServerTls;
use halfclose_driver::{Channel, Router, Shutdown};

use crate::{PATIENCE, Runtime, within};

/// A server on runtime `S`. Dropping this tells it to stop.
pub struct Serving<S> {
    address: SocketAddr,
    shutdown: Shutdown,
    done: Pin<Box<dyn Future<Output = ()> + Send>>,
    runtime: PhantomData<S>,
}

impl<S: Runtime> Serving<S> {
    /// Starts a server with the default configuration.
    #[must_use]
    pub fn start(router: Router) -> Self {
        Self::with(router, Config::server())
    }

    /// Starts a server.
    #[must_use]
    pub fn with(router: Router, config: Config) -> Self {
        Self::of(S::serve(router, config, None))
    }

    /// Starts a server with TLS.
    #[must_use]
    pub fn secure(router: Router, config: Config, tls: ServerTls) -> Self {
        Self::of(S::serve(router, config, Some(tls)))
    }

    fn of(
        (address, shutdown, done): (SocketAddr, Shutdown, impl Future<Output = ()> + Send + 'static),
    ) -> Self {
        Self { address, shutdown, done: Box::pin(done), runtime: PhantomData }
    }

    /// Returns the address where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its shutdown handle.
    #[must_use]
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Connects a client on runtime `C`, with the default configuration.
    pub async fn connect<C: Runtime>(&self) -> Channel {
        self.connect_with::<C>(Config::client()).await
    }

    /// Connects a client on runtime `C`.
    pub async fn connect_with<C: Runtime>(&self, config: Config) -> Channel {
        C::connect(self.address, config).await.expect("the server accepts")
    }

    /// Tells it to stop and waits until it has.
    pub async fn stop<C: Runtime>(mut self) {
        self.shutdown.trigger();
        within::<C, _>(PATIENCE, self.done.as_mut()).await;
    }

    /// Runs a test's client part on runtime `C`, on a connection of its own, and stops the server after it.
    pub fn run<C: Runtime, F: Future<Output = ()>>(self, test: impl FnOnce(Channel) -> F) {
        self.run_with::<C, F>(Config::client(), test);
    }

    /// Runs a test as [`run`](Self::run) does, with a configuration for the client.
    pub fn run_with<C: Runtime, F: Future<Output = ()>>(
        self,
        config: Config,
        test: impl FnOnce(Channel) -> F,
    ) {
        C::block_on(within::<C, _>(PATIENCE, async {
            let channel = self.connect_with::<C>(config).await;
            test(channel).await;
            self.stop::<C>().await;
        }));
    }
}

impl<S> Drop for Serving<S> {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

impl<S> fmt::Debug for Serving<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("address", &self.address).finish_non_exhaustive()
    }
}
