//! The two runtimes behind one trait.

use std::future::{Future, poll_fn};
use std::io::Result;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Duration;

use halfclose_driver::halfclose::Config;
use halfclose_driver::tls::{ClientTls, ServerTls};
use halfclose_driver::{Channel, Io, Router, Shutdown, Target};

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

    /// Wraps a connected socket.
    fn wrap(stream: std::net::TcpStream) -> impl Io + Send + 'static;

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

    fn wrap(stream: std::net::TcpStream) -> impl Io + Send + 'static {
        stream.set_nonblocking(true).expect("a socket");
        let _guard = tokio_runtime().enter();
        halfclose_tokio::TokioIo::new(tokio::net::TcpStream::from_std(stream).expect("a socket"))
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

    fn wrap(stream: std::net::TcpStream) -> impl Io + Send + 'static {
        halfclose_smol::SmolIo::new(smol::Async::new(stream).expect("a socket"))
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
