//! smol.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use async_signal::{Signal, Signals};
use futures_util::future::{BoxFuture, FutureExt};
use halfclose_driver::halfclose::{Config, Seed};
use halfclose_driver::tls::{ClientTls, ServerTls};
use halfclose_driver::{Channel, Router};
use halfclose_smol::{Server, SmolClock, SmolIo};
use smol::stream::StreamExt;
use smol::{Async, Timer};

use super::{Connection, Runtime, Serving};

pub(super) fn run<F: Future>(program: impl FnOnce(Runtime) -> F) -> F::Output {
    smol::block_on(program(Runtime {
        sleep: |time| sleep(time).boxed(),
        connect: |host, port, config, tls| connect(host, port, config, tls).boxed(),
        serve: |host, port, router, config, tls| serve(host, port, router, config, tls).boxed(),
        terminated,
    }))
}

async fn sleep(time: Duration) {
    Timer::after(time).await;
}

async fn connect(host: String, port: u16, config: Config, tls: Option<ClientTls>) -> io::Result<Connection> {
    let Some(tls) = tls else {
        let (channel, driver) = halfclose_smol::connect_with((host, port), config).await?;
        return Ok(Connection { channel, driven: smol::spawn(driver).boxed() });
    };
    let addresses = smol::net::resolve((host.as_str(), port)).await?;
    let address = addresses.first().copied().ok_or(io::ErrorKind::NotFound)?;
    let stream = Async::<TcpStream>::connect(address).await?;
    stream.get_ref().set_nodelay(true)?;
    let io = tls.start(SmolIo::new(stream), &host)?.handshake().await?;
    let (channel, driver) = Channel::new(io, SmolClock::new(), config, Seed::default());
    Ok(Connection { channel, driven: smol::spawn(driver).boxed() })
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
    Ok(Serving { port, shutdown, served: smol::spawn(server.serve()).boxed() })
}

fn terminated() -> io::Result<BoxFuture<'static, ()>> {
    let mut signals = Signals::new([Signal::Term, Signal::Int])?;
    Ok(async move { signals.next().await }.map(drop).boxed())
}
