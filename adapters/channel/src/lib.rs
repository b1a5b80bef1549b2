//! The client's channel of gRPC as a pure machine: which connection a call goes to, when connections are made, and what is
//! tried again. Nothing here does I/O, reads a clock or knows a runtime: inputs are methods, outputs are
//! [`Output`]s, and whoever owns a [`ChannelMachine`] carries them out. `docs/decisions/channel.md` says why it is so.
//!
//! | here | what it is for |
//! |---|---|
//! | [`ChannelMachine`] | the machine |
//! | [`Output`], [`ConnectionId`], [`CallKey`] | what it wants done, and to what |
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
