//! A client against a server.

use halfclose_sim::{Program, run};

/// Checks a program of calls of all four types over a simulated network: splits, delays, stalls, cuts, timers, legal
/// and illegal commands, and both halves of every call in step with the state tables. See crate `halfclose-sim`.
pub fn client_server(data: &[u8]) {
    if let Err(breach) = run(&Program::from_bytes(data)) {
        panic!("{breach:?}");
    }
}
