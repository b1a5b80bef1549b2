//! A sans-IO core for gRPC over HTTP/2.
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

pub mod frame;
pub mod grpc;
pub mod hpack;
pub(crate) mod http2;
pub mod time;

pub use http2::outbox::{OwnedTransmit, Transmit};
