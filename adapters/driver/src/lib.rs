//! The async driver of [halfclose]: one loop that joins a protocol core, a transport and a clock, and the typed calls
//! that applications make through it.
//!
//! The driver knows no runtime. It is generic over [`Io`] (bytes in and out) and [`Clock`] (the time, and waking up at
//! one); `halfclose-tokio` and `halfclose-smol` are thin bindings of these two traits. It decides nothing about the
//! protocol either: every rule is the core's.
//!
//! | module | what it is for |
//! |---|---|
//! | [`io`] | the two traits that a runtime implements |
//! | [`codec`], [`method`] | message types and bytes; what a method is called and carries |
//! | [`client`] | [`Channel`] and the client's side of the four call types |
//! | [`server`] | [`Router`], and the server's side of the four call types |
//! | [`memory`] | the memory that the connections of a server share |
//! | `driver`, `shared` | the loop that owns the transport; the connection that it shares with its calls |
//! | [`shutdown`] | graceful shutdown of many connections at once |
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
//! The driver runs wherever the standard library does. Rust 1.88 or later; a new minimum is a minor version.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable
)]

pub mod client;
pub mod codec;
#[cfg(feature = "error-details")]
pub mod details;
mod driver;
pub mod io;
pub mod memory;
pub mod method;
pub mod server;
mod shared;
pub mod shutdown;
mod wakers;

pub use client::{
    BidiStreaming, CallError, CallOptions, Channel, ClientDriver, ClientReceiver, ClientSender,
    ClientStreaming, ServerStreaming,
};
#[cfg(feature = "json")]
pub use codec::Json;
#[cfg(feature = "prost")]
pub use codec::Prost;
pub use codec::{Codec, Raw, Sink};
pub use halfclose;
pub use io::{Clock, Io, Timer};
pub use memory::MemoryBudget;
pub use method::{Method, Response, SendError};
pub use server::{
    BidiStreamingServer, ClientStreamingServer, Context, Request, Router, ServerDriver, ServerReceiver,
    ServerSender, ServerStreamingServer,
};
pub use shutdown::Shutdown;
