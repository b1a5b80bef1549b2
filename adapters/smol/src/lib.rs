//! halfclose on smol: a thin binding of [`halfclose_driver`] to smol's sockets and timers, without protocol code.
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
//! | `json` | `Json`, a codec for types that serde supports |
//! | `error-details` | `details`, the standard error details of `google.rpc` |
//! | `gzip`, `deflate`, `zstd` | these message encodings |
//! | `tls-ring`, `tls-aws-lc-rs` | TLS by rustls (`tls`) with this cryptography provider |
//! | `tls` | TLS by rustls with a cryptography provider of the application |
//! | `tls-webpki-roots` | Mozilla's root certificates, compiled in |
//!
//! # Platforms and Rust versions
//!
//! Unix only: reading from a socket uses `std::os::fd` and `rustix`. Requires Rust 1.88 or later; raising that
//! requires a new minor version.
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod binding;
mod connect;
mod listen;
mod managed;
pub mod testing;

pub use binding::{SmolClock, SmolIo, SmolTimer};
pub use bytes;
#[cfg(feature = "tls")]
pub use connect::connect_tls;
pub use connect::{connect, connect_with};
pub use halfclose_driver::halfclose::{self, Code, Config, Metadata, Seed, Status};
pub use halfclose_driver::*;
pub use listen::Server;
pub use managed::managed;
#[cfg(feature = "tls")]
pub use managed::managed_tls;
