//! A sans-IO core for gRPC over HTTP/2: a pure function of bytes, time and commands.
//!
//! [`Connection`] is the entry point: bytes and time go in, bytes and events come out. Typed handles
//! ([`ClientHandle`], [`ServerHandle`]) or plain [`CallId`]s drive calls of all four types. The core opens no socket,
//! reads no clock, starts no thread and panics on no input. [`manual::embedding`] shows how to drive it; the crates
//! `halfclose-tokio` and `halfclose-smol` bind it to runtimes.
//!
//! | here | what is in it |
//! |---|---|
//! | [`Connection`], [`Config`], [`Limits`] | the connection, every setting, and every limit with the attack that it stops |
//! | [`ClientHandle`], [`ServerHandle`] | the calls of a client and of a server, as types that make illegal commands compile errors |
//! | [`Event`], [`Recv`], [`Outcome`], [`Status`], [`Metadata`] | what a connection tells, and what calls are made of |
//! | [`Misuse`], [`Violation`] | what the caller did wrong, and what the peer did |
//! | [`machine`] | the state tables: what each frame and each command means in each state |
//! | [`grpc`] | gRPC's values: encodings and codecs, timeouts, headers, and the text formats |
//! | [`frame`], [`hpack`] | HTTP/2's frames and header compression, usable on their own |
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

mod call;
mod config;
mod error;
pub mod frame;
pub mod grpc;
pub mod hpack;
mod http2;
#[doc(hidden)]
pub mod internals;
pub mod machine;
pub mod manual;
mod names;
mod payload;
mod time;
mod types;

pub use call::client::{
    BidiCall, ClientHandle, ClientStreamingCall, Received, Reply, ServerStreamingCall, UnaryCall,
};
pub use call::connection::{Client, Connection, Role, Server};
pub use call::server::{
    BidiServerCall, ClientStreamingServerCall, Incoming, ServerHandle, ServerStreamingServerCall,
    UnaryServerCall,
};
pub use call::typed::{
    Answered, Answering, AnsweringHalf, Count, HalfClosed, Many, One, Open, Refused, SendingHalf, Unanswered,
};
pub use config::{CardinalityPolicy, Config, Keepalive, Limits, Rate, Scheme, Seed};
pub use error::{CloseReason, ConnectionError, Flood, Misuse, Timeout, Violation};
pub use grpc::metadata::Metadata;
pub use grpc::status::{Code, Status};
pub use http2::memory::Memory;
pub use http2::outbox::{LentTransmit, OwnedTransmit, Transmit};
pub use http2::poll::{Next, Wait};
pub use http2::receive::Needed;
pub use http2::timers::TimerKind;
pub use payload::MessagePayload;
pub use time::Time;
pub use types::{
    CallId, CallType, Cardinality, Cause, Event, HalfStates, Initiator, LazyRecv, Message, Outcome, Recv,
    Request, Sent,
};
