//! The two runtimes, behind four functions. The programs are given one of them by name.

mod on_smol;
mod on_tokio;

use std::io;
use std::time::Duration;

use clap::ValueEnum;
use futures_util::future::{BoxFuture, Either, select};
use halfclose_driver::halfclose::{Config, ConnectionError};
use halfclose_driver::tls::{ClientTls, ServerTls};
use halfclose_driver::{Channel, Router, Shutdown};

/// Waits.
pub type Sleep = fn(Duration) -> BoxFuture<'static, ()>;

/// Listens.
pub type Serve =
    fn(String, u16, Router, Config, Option<ServerTls>) -> BoxFuture<'static, io::Result<Serving>>;

/// What the programs need of a runtime.
#[derive(Clone, Copy, Debug)]
pub struct Runtime {
    /// Waits.
    pub sleep: Sleep,
    /// Connects to a server at a host name and a port, with TLS or in plaintext.
    pub connect: fn(String, u16, Config, Option<ClientTls>) -> BoxFuture<'static, io::Result<Connection>>,
    /// Listens at a host name and a port, with TLS or in plaintext, and serves in a task of its own.
    pub serve: Serve,
    /// Waits for SIGTERM or SIGINT, which no longer end the program once this was called.
    pub terminated: fn() -> io::Result<BoxFuture<'static, ()>>,
}

impl Runtime {
    /// Returns the result of `future`, unless it takes longer than `limit`.
    pub async fn within<F: Future>(self, limit: Duration, future: F) -> Option<F::Output> {
        let future = std::pin::pin!(future);
        match select(future, (self.sleep)(limit)).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        }
    }
}

/// A connection of a client, and its driver's task.
pub struct Connection {
    /// The handle that starts its calls.
    pub channel: Channel,
    /// Completes when the connection is over and its last frames are sent.
    pub driven: BoxFuture<'static, Result<(), ConnectionError>>,
}

/// A server that runs.
pub struct Serving {
    /// The port that it listens on.
    pub port: u16,
    /// Stops it.
    pub shutdown: Shutdown,
    /// Completes when it has stopped and its last connection is over.
    pub served: BoxFuture<'static, ()>,
}

/// A runtime by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum RuntimeName {
    /// tokio, with a thread for each core.
    Tokio,
    /// smol, with its one global executor.
    Smol,
}

impl RuntimeName {
    /// Runs a program on this runtime, to its end.
    ///
    /// # Errors
    ///
    /// If the runtime cannot start.
    pub fn run<F: Future>(self, program: impl FnOnce(Runtime) -> F) -> io::Result<F::Output> {
        match self {
            Self::Tokio => on_tokio::run(program),
            Self::Smol => Ok(on_smol::run(program)),
        }
    }
}
