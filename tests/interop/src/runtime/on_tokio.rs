//! tokio.

use std::io;

use futures_util::future::{BoxFuture, Either, FutureExt, select};
use halfclose_driver::halfclose::{Config, Seed};
use halfclose_driver::{Channel, Router};
use halfclose_tokio::{Server, TokioClock, TokioIo};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};

use super::{Connection, Runtime, Serving};

pub(super) fn run<F: Future>(program: impl FnOnce(Runtime) -> F) -> io::Result<F::Output> {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let runtime = Runtime {
        sleep: |time| tokio::time::sleep(time).boxed(),
        connect: |host, port, config| connect(host, port, config).boxed(),
        serve: |host, port, router, config| serve(host, port, router, config).boxed(),
        terminated,
    };
    Ok(tokio.block_on(program(runtime)))
}

async fn connect(host: String, port: u16, config: Config) -> io::Result<Connection> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let (channel, driver) = Channel::new(TokioIo::new(stream), TokioClock::new(), config, Seed::default());
    let task = tokio::spawn(driver);
    let driven = async { task.await.expect("a driver does not panic") }.boxed();
    Ok(Connection { channel, driven })
}

async fn serve(host: String, port: u16, router: Router, config: Config) -> io::Result<Serving> {
    let server = Server::bind((host, port), router).await?.config(config);
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
