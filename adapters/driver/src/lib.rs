//! The async driver of [halfclose]: one loop that joins a protocol core, a transport and a clock, and the typed calls
//! that applications make through it.
//!
//! The driver knows no runtime. It is generic over [`Io`] (bytes in and out) and [`Clock`] (the time, and waking up at
//! one); `halfclose-tokio` and `halfclose-smol` are thin bindings of these two traits. It decides nothing about the
//! protocol either: every rule is the core's.
//!
//! | here | what it is for |
//! |---|---|
//! | [`Io`], [`Clock`], [`Timer`] | what a runtime implements |
//! | [`Method`], [`Codec`], [`Sink`], [`Response`] | what a method is called and carries; message types and their bytes |
//! | [`Channel`], [`CallOptions`], [`CallError`] | a client's connection, and its calls of the four types |
//! | [`Router`], [`Context`] | a server's methods, and what their handlers are given |
//! | [`ClientDriver`], [`ServerDriver`] | the task of a connection: the loop that owns its transport |
//! | [`MemoryBudget`] | the memory that the connections of a server share |
//! | [`Shutdown`] | graceful shutdown of many connections at once |
//! | `tls` | TLS over any transport |
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `prost` (default) | `Prost`, the codec for messages of the prost crate |
//! | `json` | `Json`, a codec for what serde knows |
//! | `error-details` | `details`, the standard messages of `google.rpc` for errors |
//! | `gzip`, `deflate`, `zstd` | these message encodings |
//! | `tls` | TLS by rustls (`tls`), with the application's cryptography |
//! | `tls-ring`, `tls-aws-lc-rs` | the same with this cryptography |
//! | `tls-webpki-roots` | Mozilla's root certificates, compiled in |
//!
//! # Platforms and Rust versions
//!
//! The driver runs wherever the standard library does. Rust 1.88 or later; a new minimum is a minor version.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable
)]

mod client;
mod codec;
#[cfg(feature = "error-details")]
pub mod details;
mod driver;
mod foreign;
mod info;
mod io;
mod memory;
mod method;
mod server;
mod shared;
mod shutdown;
mod target;
#[cfg(feature = "tls")]
pub mod tls;
mod wakers;

pub use client::{
    BidiStreaming, CallError, CallOptions, Channel, ClientDriver, ClientReceiver, ClientSender, ClientSide,
    ClientStreaming, ServerStreaming,
};
#[cfg(feature = "json")]
pub use codec::Json;
#[cfg(feature = "prost")]
pub use codec::Prost;
pub use codec::{Codec, Raw, Sink};
pub use driver::Driver;
pub use foreign::Foreign;
pub use halfclose;
pub use info::ConnectionInfo;
pub use io::{Clock, Io, Timer};
pub use memory::MemoryBudget;
pub use method::{Method, Response, SendError};
pub use server::{
    BidiStreamingServer, ClientStreamingServer, Context, Request, Router, ServerDriver, ServerReceiver,
    ServerSender, ServerSide, ServerStreamingServer,
};
pub use shutdown::Shutdown;
pub use target::{Endpoint, IntoTarget, Target, TargetError};
