//! A client against a server.

use halfclose_sim::{Program, run};

/// The bytes are a program of calls of all four types over a simulated network: splits, delays, stalls, cuts, timers,
/// orders legal and not, both halves of every call in step with the state tables. See crate `halfclose-sim`.
pub fn client_server(data: &[u8]) {
    if let Err(breach) = run(&Program::from_bytes(data)) {
        panic!("{breach:?}");
    }
}
