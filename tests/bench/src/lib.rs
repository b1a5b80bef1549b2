//! What halfclose costs, and what its peers cost for the same work.
//!
//! The programs under `src/bin` measure; this library holds what they share. `docs/performance.md` says how to run
//! them and keeps the last full table.
#![forbid(unsafe_code)]

pub mod blocks;
pub mod bounds;
pub mod comparison;
pub mod cpu;
pub mod externals;
pub mod flood;
pub mod floor;
pub mod idle;
pub mod load;
pub mod machine;
pub mod memory;
pub mod options;
pub mod parts;
pub mod processes;
pub mod service;
pub mod table;

#[cfg(feature = "peers")]
pub mod peers;
