//! The load for `floor-server`: takes `flood`'s options.
#![forbid(unsafe_code)]

use std::io::{Error, Result};
use std::net::SocketAddr;
use std::thread;

use clap::Parser;
use halfclose_bench::floor::{Load, RESPONSE};
use halfclose_bench::load::{Clocked, percentiles};

/// As many octets as small unary calls, on plain TCP; a thread for each connection.
#[derive(Parser)]
struct Options {
    /// The server.
    #[arg(long)]
    addr: SocketAddr,
    /// Connections.
    #[arg(long, default_value_t = 1)]
    conns: u64,
    /// Requests open at once on each connection.
    #[arg(long, default_value_t = 100)]
    streams: u64,
    /// Requests in all.
    #[arg(long, default_value_t = 100_000)]
    requests: u64,
    /// One request at a time on one connection, with latencies.
    #[arg(long)]
    pingpong: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let mut loads = (0..options.conns).map(|_| Load::connect(options.addr)).collect::<Result<Vec<_>>>()?;
    let octets = options.requests * RESPONSE as u64;
    let clocked = Clocked::start();
    if options.pingpong {
        let load = loads.first_mut().ok_or_else(|| Error::other("no connection"))?;
        let mut latencies = load.pingpong(options.requests)?;
        println!("{} {}", clocked.line(options.requests, octets), percentiles(&mut latencies));
        return Ok(());
    }
    thread::scope(|scope| {
        let share = |nth: u64| (options.requests + nth) / options.conns;
        let threads: Vec<_> = (0..)
            .zip(&mut loads)
            .map(|(nth, load)| scope.spawn(move || load.run(options.streams, share(nth))))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| Error::other("a thread panicked"))?)
    })?;
    println!("{}", clocked.line(options.requests, octets));
    Ok(())
}
