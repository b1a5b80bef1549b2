//! The load for `floor-server`: takes `flood`'s options.
#![forbid(unsafe_code)]

use std::io::{Error, Result};
use std::thread;

use clap::Parser;
use halfclose_bench::floor::{Load, RESPONSE};
use halfclose_bench::load::{Clocked, LoadOptions, percentiles};

/// As many bytes as small unary calls, on plain TCP.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    load: LoadOptions,
}

fn main() -> Result<()> {
    let Options { load: options } = Options::parse();
    let mut loads = (0..options.conns).map(|_| Load::connect(options.addr)).collect::<Result<Vec<_>>>()?;
    let bytes = options.requests * RESPONSE as u64;
    let clocked = Clocked::start();
    if options.pingpong {
        let load = loads.first_mut().ok_or_else(|| Error::other("no connection"))?;
        let mut latencies = load.pingpong(options.requests)?;
        println!("{} {}", clocked.line(options.requests, bytes), percentiles(&mut latencies));
        return Ok(());
    }
    thread::scope(|scope| {
        let share = |nth: u64| (options.requests + nth) / u64::from(options.conns);
        let threads: Vec<_> = (0..)
            .zip(&mut loads)
            .map(|(nth, load)| scope.spawn(move || load.run(options.streams.into(), share(nth))))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| Error::other("a thread panicked"))?)
    })?;
    println!("{}", clocked.line(options.requests, bytes));
    Ok(())
}
