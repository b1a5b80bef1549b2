//! smol.

use std::io;
use std::time::Duration;

use async_signal::{Signal, Signals};
use futures_util::future::{BoxFuture, FutureExt};
use halfclose_driver::Router;
use halfclose_driver::halfclose::Config;
use halfclose_smol::Server;
use smol::Timer;
use smol::stream::StreamExt;

use super::{Connection, Runtime, Serving};

pub(super) fn run<F: Future>(program: impl FnOnce(Runtime) -> F) -> F::Output {
    smol::block_on(program(Runtime {
        sleep: |time| sleep(time).boxed(),
        connect: |host, port, config| connect(host, port, config).boxed(),
        serve: |host, port, router, config| serve(host, port, router, config).boxed(),
        terminated,
    }))
}

async fn sleep(time: Duration) {
    Timer::after(time).await;
}

async fn connect(host: String, port: u16, config: Config) -> io::Result<Connection> {
    let (channel, driver) = halfclose_smol::connect_with((host, port), config).await?;
    Ok(Connection { channel, driven: smol::spawn(driver).boxed() })
}

async fn serve(host: String, port: u16, router: Router, config: Config) -> io::Result<Serving> {
    let server = Server::bind((host, port), router).await?.config(config);
    let (port, shutdown) = (server.local_addr()?.port(), server.shutdown_handle());
    Ok(Serving { port, shutdown, served: smol::spawn(server.serve()).boxed() })
}

fn terminated() -> io::Result<BoxFuture<'static, ()>> {
    let mut signals = Signals::new([Signal::Term, Signal::Int])?;
    Ok(async move { signals.next().await }.map(drop).boxed())
}
