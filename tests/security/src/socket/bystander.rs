//! Another client, which makes calls during an attack.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use halfclose_driver::CallOptions;
use halfclose_driver::halfclose::Config;
use halfclose_e2e::Runtime;

use super::SAY;

/// The durations of calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waits {
    /// The number of calls.
    pub calls: usize,
    /// The median duration.
    pub median: Duration,
    /// The longest duration.
    pub worst: Duration,
}

/// Runs `work` while a client on runtime `R` calls the server at `address` without a pause, on one connection, one
/// call after the other.
///
/// # Panics
///
/// If one of the calls is not served.
pub fn beside<R: Runtime, T>(address: SocketAddr, work: impl FnOnce() -> T) -> (T, Waits) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let caller = scope.spawn(|| R::block_on(calls::<R>(address, &stop)));
        let done = work();
        stop.store(true, Ordering::Relaxed);
        (done, caller.join().expect("every call is served"))
    })
}

async fn calls<R: Runtime>(address: SocketAddr, stop: &AtomicBool) -> Waits {
    let channel = R::connect(address, Config::client()).await.expect("the server accepts");
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) || times.is_empty() {
        let begun = Instant::now();
        let message = Bytes::from_static(b"ping");
        let answer = channel.unary(&SAY, &message, CallOptions::new()).await.expect("the call is served");
        times.push(begun.elapsed());
        assert_eq!(answer.message, message);
    }
    times.sort_unstable();
    Waits { calls: times.len(), median: times[times.len() / 2], worst: times[times.len() - 1] }
}
