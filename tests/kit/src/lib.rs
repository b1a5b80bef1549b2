//! In-memory test support: no sockets, no clock, no threads.
//!
//! | module | for |
//! |---|---|
//! | [`wire`] | HTTP/2 frames by hand, right and wrong ones |
//! | [`seen`] | what a core sends, read back into simple values |
//! | [`peer`] | one core against a scripted raw peer: octets in, events and frames out |
//! | [`states`] | a core with one call in a given state of the tables |
//! | [`pair`] | a client and a server core joined in memory |
//! | [`transcript`] | a core and a deterministic application over recorded octets, under any split of them |
//!
//! Helpers panic on what a test did not expect: that is how a test fails.
#![forbid(unsafe_code)]

pub mod pair;
pub mod peer;
pub mod seen;
pub mod states;
pub mod transcript;
pub mod wire;

#[cfg(test)]
mod tests;
