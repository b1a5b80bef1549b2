//! Whole RPCs in memory: nanoseconds and allocations for each; run under cachegrind, also instructions.
//!
//! `bench-mem --shape unary --rounds 1000` prints one line of `key=value`. Instructions are counted from outside, as
//! the difference between two lengths of run (see `docs/performance.md`).
#![forbid(unsafe_code)]

use std::alloc::System;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use halfclose::CallType;
use halfclose_bench::memory::{OPEN, Pair};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Whole RPCs in memory, client and server in one thread, 100 calls open at once.
#[derive(Parser)]
struct Options {
    /// The type of the calls.
    #[arg(long, value_enum, default_value = "unary")]
    shape: CallShape,
    /// How many times 100 calls.
    #[arg(long, default_value_t = 10_000)]
    rounds: usize,
    /// Rounds before the measured ones.
    #[arg(long, default_value_t = 20)]
    warm: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum CallShape {
    Unary,
    ClientStreaming,
    ServerStreaming,
    Bidi,
}

impl CallShape {
    const fn shape(self) -> CallType {
        match self {
            Self::Unary => CallType::UNARY,
            Self::ClientStreaming => CallType::CLIENT_STREAMING,
            Self::ServerStreaming => CallType::SERVER_STREAMING,
            Self::Bidi => CallType::BIDI,
        }
    }
}

fn main() {
    let options = Options::parse();
    let mut pair = Pair::new(options.shape.shape());
    pair.run(options.warm);
    let region = Region::new(ALLOCATOR);
    let start = Instant::now();
    let calls = pair.run(options.rounds);
    let elapsed = start.elapsed();
    let allocations = region.change().allocations + region.change().reallocations;
    assert_eq!(calls, (options.rounds * OPEN) as u64);
    println!(
        "rpcs={calls} ns_per_rpc={:.1} allocations_per_rpc={:.4}",
        elapsed.as_nanos() as f64 / calls.max(1) as f64,
        allocations as f64 / calls.max(1) as f64,
    );
}
