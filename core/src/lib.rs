//! A sans-IO core for gRPC over HTTP/2: a pure function of bytes, time and commands.
//!
//! [`Connection`] is the entry point: bytes and time go in, bytes and events come out. Typed handles
//! ([`ClientHandle`], [`ServerHandle`]) or plain [`CallId`]s drive calls of all four types. The core opens no socket,
//! reads no clock, starts no thread and panics on no input. [`manual::embedding`] shows how to drive it; the crates
//! `halfclose-tokio` and `halfclose-smol` bind it to runtimes.
//!
//! | module | contents |
//! |---|---|
//! | [`call`] | the connection, its calls, and the handles that make illegal commands compile errors |
//! | [`config`] | every setting and every limit, with its default and the attack that it stops |
//! | [`error`] | errors by fault: [`Misuse`] is the caller's, [`Violation`] the peer's |
//! | [`machine`] | the state tables: what each frame and each command means in each state |
//! | [`grpc`] | gRPC's values: status, metadata, timeout, headers, messages, codecs |
//! | [`frame`], [`hpack`] | HTTP/2's frames and header compression, usable on their own |
//! | [`time`] | [`Time`], which the caller passes in |
//! | [`manual`] | the embedding guide, the limits, the rules by number, the state tables, a glossary |
//!
//! # Features
//!
//! No feature is on by default.
//!
//! | feature | what it adds | dependencies |
//! |---|---|---|
//! | `gzip`, `deflate` | these message encodings | `flate2` |
//! | `zstd` | this message encoding | `zstd`, which builds C code |
//!
//! # Platforms and Rust versions
//!
//! The core runs wherever Rust's standard library does, and needs nothing from the platform but memory. It requires
//! Rust 1.88 or later; raising that requires a new minor version.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]

pub mod call;
pub mod config;
pub mod error;
pub mod frame;
pub mod grpc;
pub mod hpack;
pub(crate) mod http2;
pub mod machine;
pub mod manual;
mod names;
mod payload;
pub mod time;
pub mod types;

pub use call::client::{
    BidiCall, ClientHandle, ClientStreamingCall, Received, Reply, ServerStreamingCall, UnaryCall,
};
pub use call::connection::{Client, Connection, Role, Server};
pub use call::server::{
    BidiServerCall, ClientStreamingServerCall, Incoming, ServerHandle, ServerStreamingServerCall,
    UnaryServerCall,
};
pub use call::typed::{Answered, Answering, HalfClosed, Many, One, Open, Refused, Unanswered};
pub use config::{CardinalityPolicy, Config, Keepalive, Limits, Rate, Scheme, Seed};
pub use error::{CloseReason, ConnectionError, Flood, Misuse, Violation};
pub use grpc::metadata::Metadata;
pub use grpc::status::{Code, Status};
pub use http2::memory::Memory;
pub use http2::outbox::{OwnedTransmit, Transmit};
pub use http2::poll::{Next, Wait};
pub use http2::receive::Needed;
pub use http2::timers::TimerKind;
pub use payload::MessagePayload;
pub use time::Time;
pub use types::{
    CallId, CallType, Cardinality, Cause, Event, HalfStates, Initiator, Message, Outcome, Recv, Request, Sent,
};
