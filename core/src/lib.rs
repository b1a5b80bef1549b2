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

pub mod call;
pub mod config;
pub mod error;
pub mod frame;
pub mod grpc;
pub mod hpack;
pub(crate) mod http2;
pub mod machine;
pub mod time;

pub use call::client::{
    BidiCall, ClientHandle, ClientStreamingCall, Received, Reply, ServerStreamingCall, UnaryCall,
};
pub use call::connection::{Client, Connection, Role, Server};
pub use call::server::{
    Asked, BidiHandler, ClientStreamingHandler, ServerHandle, ServerStreamingHandler, UnaryHandler,
};
pub use call::typed::{Answered, Answering, HalfClosed, Many, One, Open, Refused, Unanswered};
pub use call::types::{
    CallId, Cardinality, Cause, Event, HalfStates, Initiator, Message, Outcome, Recv, Request, Sent, Shape,
};
pub use config::{CardinalityPolicy, Config, Keepalive, Limits, Rate, Scheme, Seed};
pub use error::{CloseReason, ConnectionError, Flood, Misuse, Violation};
pub use grpc::metadata::Metadata;
pub use grpc::status::{Code, Status};
pub use http2::clock::TimerKind;
pub use http2::outbox::{OwnedTransmit, Transmit};
pub use http2::receive::Needed;
pub use time::Time;
