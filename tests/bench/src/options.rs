//! The options of the load clients, the same for every implementation.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};

/// A load client: prints one line of `key=value` at its end.
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
    /// Streams: messages for this many seconds, in place of a number of messages.
    #[arg(long)]
    pub seconds: Option<f64>,
    /// Connections.
    #[arg(long, default_value_t = 1)]
    pub conns: usize,
    /// Calls open at once on each connection (unary), or streams in all (sstream, cstream, bidi).
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
    /// Requests of client streaming calls.
    Cstream,
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
    /// Returns each stream's part of the total number of messages.
    #[must_use]
    pub fn per_stream(&self) -> u64 {
        self.requests.div_ceil(self.streams.max(1) as u64)
    }
}

/// The work of one stream: messages until the time is up or, without a time, a number of them.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    end: Option<Instant>,
    messages: u64,
    /// Messages so far.
    pub done: u64,
}

impl Share {
    /// Creates the share of one stream, which begins now.
    #[must_use]
    pub fn of(options: &ClientOptions) -> Self {
        let time = options.seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Self { end: time.map(|time| Instant::now() + time), messages: options.per_stream(), done: 0 }
    }

    /// Counts one more message, if there is to be one. Returns whether there is.
    pub fn another(&mut self) -> bool {
        let more = self.end.map_or(self.done < self.messages, |end| Instant::now() < end);
        self.done += u64::from(more);
        more
    }
}
