//! The two runtimes behind one trait.

use std::future::{Future, poll_fn};
use std::io::Result;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Duration;

use halfclose_driver::halfclose::Config;
use halfclose_driver::tls::{ClientTls, ServerTls};
use halfclose_driver::{Channel, ChannelConfig, ManagedChannel, Router, Shutdown, Target};

/// The functions of a runtime that the tests use.
pub trait Runtime: Send + Sync + 'static {
    /// Its name, for printed output.
    const NAME: &'static str;

    /// Runs a future on this thread to its end.
    fn block_on<F: Future>(future: F) -> F::Output;

    /// Runs a future on the runtime's own threads.
    fn spawn(future: impl Future<Output = ()> + Send + 'static);

    /// Waits.
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;

    /// Connects by the runtime's adapter.
    fn connect(address: SocketAddr, config: Config) -> impl Future<Output = Result<Channel>> + Send;

    /// Connects by the runtime's adapter, with TLS.
    fn connect_tls(
        target: &Target,
        tls: &ClientTls,
        config: Config,
    ) -> impl Future<Output = Result<Channel>> + Send;

    /// Makes a channel that connects by the runtime's adapter.
    fn managed(target: &Target, tls: Option<ClientTls>, channel: ChannelConfig) -> ManagedChannel;

    /// As [`serve`](Self::serve), at an address that was free a moment ago.
    fn serve_at(
        address: SocketAddr,
        router: Router,
        tls: Option<ServerTls>,
    ) -> (SocketAddr, Shutdown, impl Future<Output = ()> + Send + 'static);

    /// Binds a server of the runtime's adapter to a free port and serves on the runtime's threads. The returned
    /// future completes when the server has ended.
    fn serve(
        router: Router,
        config: Config,
        tls: Option<ServerTls>,
    ) -> (SocketAddr, Shutdown, impl Future<Output = ()> + Send);
}

/// tokio, with two worker threads.
#[derive(Debug)]
pub struct Tokio;

fn tokio_runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        built.expect("a runtime")
    })
}

impl Runtime for Tokio {
    const NAME: &'static str = "tokio";

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio_runtime().block_on(future)
    }

    fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        tokio_runtime().spawn(future);
    }

    async fn sleep(time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn connect(address: SocketAddr, config: Config) -> Result<Channel> {
        halfclose_tokio::connect(address, config).await
    }

    async fn connect_tls(target: &Target, tls: &ClientTls, config: Config) -> Result<Channel> {
        halfclose_tokio::connect_tls(target, tls, config).await
    }

    fn managed(target: &Target, tls: Option<ClientTls>, channel: ChannelConfig) -> ManagedChannel {
        let _guard = tokio_runtime().enter();
        let made = match tls {
            Some(tls) => halfclose_tokio::managed_tls(target, &tls, Config::client(), channel),
            None => halfclose_tokio::managed(target, Config::client(), channel),
        };
        made.expect("a target")
    }

    fn serve_at(
        address: SocketAddr,
        router: Router,
        tls: Option<ServerTls>,
    ) -> (SocketAddr, Shutdown, impl Future<Output = ()> + Send + 'static) {
        let _guard = tokio_runtime().enter();
        let listener = tokio::net::TcpListener::from_std(listen(address)).expect("a listener");
        let server = halfclose_tokio::Server::new(listener, router);
        let server = if let Some(tls) = tls { server.tls(tls) } else { server };
        let shutdown = server.shutdown_handle();
        let task = tokio_runtime().spawn(server.serve());
        (address, shutdown, async move { task.await.expect("the server does not panic") })
    }

    fn serve(
        router: Router,
        config: Config,
        tls: Option<ServerTls>,
    ) -> (SocketAddr, Shutdown, impl Future<Output = ()> + Send) {
        let server =
            Self::block_on(halfclose_tokio::Server::bind("127.0.0.1:0", router)).expect("a free port");
        let server = match tls {
            Some(tls) => server.config(config).tls(tls),
            None => server.config(config),
        };
        let (address, shutdown) = (server.local_addr().expect("an address"), server.shutdown_handle());
        let task = tokio_runtime().spawn(server.serve());
        (address, shutdown, async move { task.await.expect("the server does not panic") })
    }
}

/// smol, with its global executor.
#[derive(Debug)]
pub struct Smol;

impl Runtime for Smol {
    const NAME: &'static str = "smol";

    fn block_on<F: Future>(future: F) -> F::Output {
        smol::block_on(future)
    }

    fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(future).detach();
    }

    async fn sleep(time: Duration) {
        smol::Timer::after(time).await;
    }

    async fn connect(address: SocketAddr, config: Config) -> Result<Channel> {
        halfclose_smol::connect(address, config).await
    }

    async fn connect_tls(target: &Target, tls: &ClientTls, config: Config) -> Result<Channel> {
        halfclose_smol::connect_tls(target, tls, config).await
    }

    fn managed(target: &Target, tls: Option<ClientTls>, channel: ChannelConfig) -> ManagedChannel {
        let made = match tls {
            Some(tls) => halfclose_smol::managed_tls(target, &tls, Config::client(), channel),
            None => halfclose_smol::managed(target, Config::client(), channel),
        };
        made.expect("a target")
    }

    fn serve_at(
        address: SocketAddr,
        router: Router,
        tls: Option<ServerTls>,
    ) -> (SocketAddr, Shutdown, impl Future<Output = ()> + Send + 'static) {
        let listener = smol::Async::new(listen(address)).expect("a listener");
        let server = halfclose_smol::Server::new(listener, router);
        let server = if let Some(tls) = tls { server.tls(tls) } else { server };
        let shutdown = server.shutdown_handle();
        (address, shutdown, smol::spawn(server.serve()))
    }

    fn serve(
        router: Router,
        config: Config,
        tls: Option<ServerTls>,
    ) -> (SocketAddr, Shutdown, impl Future<Output = ()> + Send) {
        let server =
            Self::block_on(halfclose_smol::Server::bind("127.0.0.1:0", router)).expect("a free port");
        let server = match tls {
            Some(tls) => server.config(config).tls(tls),
            None => server.config(config),
        };
        let (address, shutdown) = (server.local_addr().expect("an address"), server.shutdown_handle());
        (address, shutdown, smol::spawn(server.serve()))
    }
}

/// Listens at an address, although connections of an earlier server may still linger there.
fn listen(address: SocketAddr) -> TcpListener {
    // The standard library's listeners set SO_REUSEADDR.
    let listener = TcpListener::bind(address).expect("the address that was free");
    listener.set_nonblocking(true).expect("a listener");
    listener
}

/// Runs a future to its end, or panics after `time`.
pub async fn within<R: Runtime, T>(time: Duration, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut timeout = pin!(R::sleep(time));
    poll_fn(|cx| {
        if let Poll::Ready(result) = future.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        assert!(timeout.as_mut().poll(cx).is_pending(), "not done within {time:?} on {}", R::NAME);
        Poll::Pending
    })
    .await
}
