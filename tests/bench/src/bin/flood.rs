//! The light load generator: unary calls of `grpc.testing.BenchmarkService`, as fast as the server accepts them.
#![forbid(unsafe_code)]

use std::io::{Error, Result};
use std::sync::Arc;
use std::thread;

use clap::Parser;
use halfclose_bench::flood::{Answers, Flood};
use halfclose_bench::load::{Budget, Clocked, LoadOptions, percentiles};

/// Unary calls as fast as the server accepts them.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    load: LoadOptions,
    /// Bytes of payload in a request.
    #[arg(long, default_value_t = 16)]
    size: usize,
    /// Bytes of payload in a response.
    #[arg(long, default_value_t = 16)]
    rsize: usize,
}

fn main() -> Result<()> {
    let Options { load: options, size, rsize } = Options::parse();
    if options.pingpong {
        let mut flood = Flood::connect(options.addr, size, rsize)?;
        let clocked = Clocked::start();
        let mut latencies = flood.pingpong(options.requests)?;
        let bytes = rsize as u64 * options.requests;
        println!("{} {}", clocked.line(options.requests, bytes), percentiles(&mut latencies));
        return Ok(());
    }
    let budget = Arc::new(Budget::new(options.requests));
    let mut floods = Vec::new();
    for _ in 0..options.conns {
        floods.push(Flood::connect(options.addr, size, rsize)?);
    }
    let clocked = Clocked::start();
    let threads: Vec<_> = floods
        .into_iter()
        .map(|mut flood| {
            let (budget, streams) = (Arc::clone(&budget), options.streams as usize);
            // The connection is returned, so that it closes after the last line.
            thread::spawn(move || flood.run(streams, &budget).map(|answers| (answers, flood)))
        })
        .collect();
    let mut total = Answers::default();
    let mut open = Vec::new();
    for thread in threads {
        let (answers, flood) = thread.join().map_err(|_| Error::other("a thread panicked"))??;
        total.calls += answers.calls;
        total.resets += answers.resets;
        total.bytes += answers.bytes;
        open.push(flood);
    }
    println!("{} resets={}", clocked.line(total.calls, total.bytes), total.resets);
    Ok(())
}
