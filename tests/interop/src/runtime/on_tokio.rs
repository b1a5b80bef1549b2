//! tokio.

use std::io;

use futures_util::future::{BoxFuture, Either, FutureExt, select};
use halfclose_driver::halfclose::{Config, Seed};
use halfclose_driver::tls::{ClientTls, ServerTls};
use halfclose_driver::{Channel, Io, Router};
use halfclose_tokio::{Server, TokioClock, TokioIo};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};

use super::{Connection, Runtime, Serving};

pub(super) fn run<F: Future>(program: impl FnOnce(Runtime) -> F) -> io::Result<F::Output> {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let runtime = Runtime {
        sleep: |time| tokio::time::sleep(time).boxed(),
        connect: |host, port, config, tls| connect(host, port, config, tls).boxed(),
        serve: |host, port, router, config, tls| serve(host, port, router, config, tls).boxed(),
        terminated,
    };
    Ok(tokio.block_on(program(runtime)))
}

async fn connect(host: String, port: u16, config: Config, tls: Option<ClientTls>) -> io::Result<Connection> {
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    stream.set_nodelay(true)?;
    let io = TokioIo::new(stream);
    Ok(match tls {
        Some(tls) => spawn(tls.start(io, &host)?.handshake().await?, config),
        None => spawn(io, config),
    })
}

fn spawn(io: impl Io + Send + 'static, config: Config) -> Connection {
    let (channel, driver) = Channel::new(io, TokioClock::new(), config, Seed::default());
    let task = tokio::spawn(driver);
    let driven = async { task.await.expect("a driver does not panic") }.boxed();
    Connection { channel, driven }
}

async fn serve(
    host: String,
    port: u16,
    router: Router,
    config: Config,
    tls: Option<ServerTls>,
) -> io::Result<Serving> {
    let server = Server::bind((host, port), router).await?.config(config);
    let server = match tls {
        Some(tls) => server.tls(tls),
        None => server,
    };
    let (port, shutdown) = (server.local_addr()?.port(), server.shutdown_handle());
    let task = tokio::spawn(server.serve());
    let served = async { task.await.expect("accepting does not panic") }.boxed();
    Ok(Serving { port, shutdown, served })
}

fn terminated() -> io::Result<BoxFuture<'static, ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let either = async move {
        match select(std::pin::pin!(terminate.recv()), std::pin::pin!(interrupt.recv())).await {
            Either::Left(_) | Either::Right(_) => (),
        }
    };
    Ok(either.boxed())
}
