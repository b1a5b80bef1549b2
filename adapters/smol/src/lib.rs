//! halfclose on smol: a thin binding of [`halfclose_driver`] to smol's sockets and timers. It holds no protocol.
//!
//! ```
//! use bytes::Bytes;
//! use halfclose_smol::{CallOptions, Config, Method, Raw, Response, Router, Server};
//!
//! const SAY: Method<Bytes, Bytes, Raw> = Method::new("/demo.Echo/Say");
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! smol::block_on(async {
//!     let router = Router::new().unary(&SAY, |request| async move { Ok(Response::new(request.message)) });
//!     let server = Server::bind("127.0.0.1:0", router).await?;
//!     let (address, shutdown) = (server.local_addr()?, server.shutdown_handle());
//!     let serving = smol::spawn(server.serve());
//!
//!     let channel = halfclose_smol::connect(address, Config::client()).await?;
//!     let reply = channel.unary(&SAY, &Bytes::from("hello"), CallOptions::new()).await?;
//!     assert_eq!(reply.message, "hello");
//!
//!     drop(channel);
//!     shutdown.trigger();
//!     serving.await;
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `prost` (default) | `Prost`, the codec for messages of the prost crate |
//! | `json` | `Json`, a codec for what serde knows |
//! | `error-details` | `details`, the standard messages of `google.rpc` for errors |
//! | `gzip`, `deflate`, `zstd` | these message encodings |
//!
//! # Platforms and Rust versions
//!
//! Unix only: the reader of a socket uses `std::os::fd` and `rustix`. Rust 1.88 or later; a new minimum is a minor version.
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod binding;
mod listen;

pub use binding::{SmolClock, SmolIo, SmolTimer};
pub use bytes;
pub use halfclose_driver::halfclose::{self, Code, Config, Metadata, Seed, Status};
pub use halfclose_driver::*;
pub use listen::Server;

use std::io::Result;
use std::net::TcpStream;

use smol::Async;
use smol::net::AsyncToSocketAddrs;

/// Connects to a server over plaintext TCP (h2c with prior knowledge) and drives the connection in a task of its own,
/// on smol's global executor. `:authority` is the one in `config`.
///
/// # Errors
///
/// What the connection attempt says. What becomes of the connection later is told by its calls.
pub async fn connect(address: impl AsyncToSocketAddrs, config: Config) -> Result<Channel> {
    let (channel, driver) = connect_with(address, config).await?;
    // How the connection ends is the business of its calls; nobody waits for the task.
    smol::spawn(async move { driver.await.ok() }).detach();
    Ok(channel)
}

/// As [`connect`], for an executor of the caller's: the driver must be polled there.
///
/// # Errors
///
/// What the connection attempt says.
pub async fn connect_with(
    address: impl AsyncToSocketAddrs,
    config: Config,
) -> Result<(Channel, ClientDriver<SmolIo<TcpStream>, SmolClock>)> {
    let mut last = None;
    for address in smol::net::resolve(address).await? {
        match Async::<TcpStream>::connect(address).await {
            Ok(stream) => {
                stream.get_ref().set_nodelay(true)?;
                let seed = binding::seed(stream.get_ref());
                return Ok(Channel::new(SmolIo::new(stream), SmolClock::new(), config, seed));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::Error::other("the name has no address")))
}
