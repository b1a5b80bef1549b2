//! The options of the load clients, the same for every implementation.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};

/// What a load client does: one line of `key=value` at its end.
#[derive(Clone, Debug, Parser)]
pub struct ClientOptions {
    /// The server.
    #[arg(long)]
    pub addr: SocketAddr,
    /// The kind of load.
    #[arg(long, value_enum, default_value = "unary")]
    pub mode: Mode,
    /// The runtime.
    #[arg(long, value_enum, default_value = "tokio")]
    pub runtime: Runtime,
    /// Connections.
    #[arg(long, default_value_t = 1)]
    pub conns: usize,
    /// Calls open at once on each connection (unary), or streams in all (sstream, bidi).
    #[arg(long, default_value_t = 1)]
    pub streams: usize,
    /// Calls in all, or messages in all.
    #[arg(long, default_value_t = 100_000)]
    pub requests: u64,
    /// Bytes of payload in a request.
    #[arg(long, default_value_t = 16)]
    pub size: usize,
    /// Bytes of payload that a response is asked to carry.
    #[arg(long, default_value_t = 16)]
    pub rsize: usize,
    /// bidi: requests without an answer on each stream, at most.
    #[arg(long, default_value_t = 64)]
    pub window: u64,
}

/// A kind of load.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Mode {
    /// Unary calls, many open at once.
    Unary,
    /// Unary calls, one at a time.
    Pingpong,
    /// Responses of server streaming calls.
    Sstream,
    /// Requests and responses of bidirectional calls.
    Bidi,
}

/// What runs the tasks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Runtime {
    /// tokio, on the main thread alone.
    Tokio,
    /// smol's global executor.
    Smol,
}

impl ClientOptions {
    /// What falls to each stream of the messages in all.
    #[must_use]
    pub fn per_stream(&self) -> u64 {
        self.requests.div_ceil(self.streams.max(1) as u64)
    }
}
