//! The output of the load programs: one line of `key=value`, the same for every client.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;

use crate::cpu;

/// The options of the light loads.
#[derive(Args, Clone, Copy, Debug)]
pub struct LoadOptions {
    /// The server.
    #[arg(long)]
    pub addr: SocketAddr,
    /// Connections, with a thread for each.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub conns: u32,
    /// Requests open at once on each connection.
    #[arg(long, default_value_t = 100)]
    pub streams: u32,
    /// Requests in all.
    #[arg(long, default_value_t = 100_000)]
    pub requests: u64,
    /// One request at a time on one connection, with latencies.
    #[arg(long)]
    pub pingpong: bool,
}

/// Work that several tasks share: a number of requests, taken one by one.
#[derive(Debug)]
pub struct Budget(AtomicU64);

impl Budget {
    /// Creates a budget of `requests` requests.
    #[must_use]
    pub const fn new(requests: u64) -> Self {
        Self(AtomicU64::new(requests))
    }

    /// Takes one request. Returns whether there was one.
    pub fn take(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// A measurement in progress.
#[derive(Debug)]
pub struct Clocked {
    start: Instant,
    cpu: Duration,
}

impl Clocked {
    /// Begins a measurement.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now(), cpu: cpu::of_self() }
    }

    /// Returns the line of a run with this many requests and bytes of payload.
    #[must_use]
    pub fn line(&self, requests: u64, bytes: u64) -> String {
        let seconds = self.start.elapsed().as_secs_f64();
        let cpu = cpu::of_self().saturating_sub(self.cpu).as_secs_f64();
        let per_request = |value: f64| value / requests.max(1) as f64;
        format!(
            "requests={requests} seconds={seconds:.4} rps={:.0} MBps={:.2} client_cpu_us={:.4}",
            requests as f64 / seconds,
            bytes as f64 / 1e6 / seconds,
            per_request(cpu * 1e6),
        )
    }
}

/// Returns the percentiles of latencies, in microseconds, and sorts the latencies.
#[must_use]
pub fn percentiles(latencies: &mut [Duration]) -> String {
    latencies.sort_unstable();
    let at = |part: f64| {
        let index = ((latencies.len() as f64 * part) as usize).min(latencies.len().saturating_sub(1));
        latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    };
    format!("p50_us={:.1} p99_us={:.1} p999_us={:.1}", at(0.5), at(0.99), at(0.999))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_once() {
        let budget = Budget::new(3);
        assert_eq!((0..10).filter(|_| budget.take()).count(), 3);
    }

    #[test]
    fn percentiles_are_of_the_sorted_values() {
        let mut latencies: Vec<Duration> = (1..=1000).rev().map(Duration::from_micros).collect();
        assert_eq!(percentiles(&mut latencies), "p50_us=501.0 p99_us=991.0 p999_us=1000.0");
        assert_eq!(percentiles(&mut []), "p50_us=0.0 p99_us=0.0 p999_us=0.0");
    }
}
