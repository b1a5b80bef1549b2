//! The async driver of [halfclose]: a loop that connects a protocol core, a transport and a clock, and the typed
//! calls that applications make.
//!
//! The driver is independent of runtimes. It is generic over [`Io`] (a transport) and [`Clock`] (time and timers);
//! `halfclose-tokio` and `halfclose-smol` are thin bindings of these two traits. It makes no protocol decisions:
//! every rule is in the core.
//!
//! | item | purpose |
//! |---|---|
//! | [`Io`], [`Clock`], [`Timer`] | the traits that a runtime implements |
//! | [`Method`], [`Codec`], [`Sink`], [`Response`] | a method's path and types; conversions between messages and bytes |
//! | [`Channel`], [`CallOptions`], [`CallError`] | a client's connection, and its calls of the four types |
//! | [`Router`], [`Context`] | a server's methods, and what their handlers receive |
//! | [`ClientDriver`], [`ServerDriver`] | the task of a connection: the loop that owns its transport |
//! | [`MemoryBudget`] | the memory that the connections of a server share |
//! | [`Shutdown`] | graceful shutdown of many connections at once |
//! | [`Invoke`], [`UnaryCall`] and its like | the carriers of calls; calls before they start |
//! | [`Service`] | the methods of a whole service |
//! | [`codegen`] | the runtime part of generated code |
//! | [`testing`] | tests without sockets |
//! | `tls` | TLS over any transport |
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `prost` (default) | `Prost`, the codec for messages of the prost crate |
//! | `json` | `Json`, a codec for types that serde supports |
//! | `error-details` | `details`, the standard error details of `google.rpc` |
//! | `gzip`, `deflate`, `zstd` | these message encodings |
//! | `tls` | TLS by rustls (`tls`), with the application's cryptography |
//! | `tls-ring`, `tls-aws-lc-rs` | the same with this cryptography |
//! | `tls-webpki-roots` | Mozilla's root certificates, compiled in |
//!
//! # Platforms and Rust versions
//!
//! The driver runs wherever the standard library does. It requires Rust 1.88 or later; raising that requires a new
//! minor version.
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
pub mod codegen;
mod compression;
#[cfg(feature = "error-details")]
pub mod details;
mod driver;
mod foreign;
mod info;
mod io;
mod managed;
mod memory;
mod method;
mod outside;
mod server;
mod shared;
mod shutdown;
mod target;
pub mod testing;
#[cfg(feature = "tls")]
pub mod tls;
mod wakers;

pub use client::{
    BidiStreaming, BidiStreamingCall, CallError, CallOptions, Canceller, Channel, ClientDriver,
    ClientReceiver, ClientSender, ClientSide, ClientStreaming, ClientStreamingCall, Invoke, OutgoingCall,
    RawCall, ReceiveMessages, SendMessages, ServerStreaming, ServerStreamingCall, UnaryCall, UnaryResponse,
};
#[cfg(feature = "json")]
pub use codec::Json;
#[cfg(feature = "prost")]
pub use codec::Prost;
pub use codec::{Codec, Raw, Sink};
pub use driver::Driver;
pub use foreign::Foreign;
pub use halfclose;
pub use halfclose_channel as channel;
pub use halfclose_channel::{ChannelConfig, Connectivity};
pub use info::ConnectionInfo;
pub use io::{Clock, Io, Timer};
pub use managed::{Connector, ConnectorFuture, ManagedChannel, ManagedDriver};
pub use memory::MemoryBudget;
pub use method::{Idempotency, Many, Method, MethodInfo, Response, SendError};
pub use server::{
    AddedTwice, BidiStreamingServer, ClientStreamingServer, Context, Request, Router, ServerDriver,
    ServerReceiver, ServerSender, ServerSide, ServerStreamingServer, Service,
};
pub use shutdown::Shutdown;
pub use target::{Endpoint, IntoTarget, Target, TargetError};
