//! What halfclose costs, and what its peers cost for the same work.
//!
//! The programs under `src/bin` measure; this library holds what they share. `docs/performance.md` says how to run
//! them and keeps the last full table.
#![forbid(unsafe_code)]

pub mod blocks;
pub mod cpu;
pub mod flood;
pub mod idle;
pub mod load;
pub mod memory;
pub mod options;
pub mod processes;
pub mod service;
pub mod table;

#[cfg(feature = "peers")]
pub mod peers;
