//! The client's channel of gRPC as a pure machine: it decides which connection a call uses, when connections are
//! made, and what is retried. It does no I/O, reads no clock and knows no runtime: inputs are methods, outputs are
//! [`Output`]s, which the owner of a [`ChannelMachine`] carries out. `docs/decisions/channel.md` explains the design.
//!
//! | item | purpose |
//! |---|---|
//! | [`ChannelMachine`] | the machine |
//! | [`Output`], [`ConnectionId`], [`CallKey`] | the actions that it asks for, and their objects |
//! | [`Connectivity`] | IDLE, CONNECTING, READY, TRANSIENT_FAILURE, SHUTDOWN |
//! | [`BackoffConfig`], [`RetryPolicy`], [`Throttling`], [`ServiceConfig`] | its settings |
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable
)]

mod backoff;
mod machine;
mod output;
mod pick_first;
mod policy;
mod random;
mod retry;
mod service_config;
mod state;

pub use backoff::BackoffConfig;
pub use machine::{AttemptEnd, CallStart, ChannelConfig, ChannelMachine, Verdict};
pub use output::{CallKey, ConnectionId, Output};
pub use pick_first::Address;
pub use retry::{Pushback, RetryPolicy, Throttling};
pub use service_config::{BadServiceConfig, MethodConfig, Policy, ServiceConfig};
pub use state::Connectivity;
