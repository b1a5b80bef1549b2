//! The simulated network of halfclose, and its exhaustive checks.
//!
//! A [`Program`] describes what the callers of a client and a server core do, with which settings, over which
//! network. [`run`] plays it in virtual time and checks every property after every step; it returns the first
//! [`FailedProperty`] or a [`Report`]. Both cores are the real ones; what they must do follows from their commands
//! and from an independent observer of the [`wire`].
//!
//! Programs are decoded from bytes, so a seed and a fuzzer drive the same ones:
//!
//! ```
//! use halfclose_sim::{Program, run};
//!
//! let report = run(&Program::from_seed(1)).map_err(|breach| format!("seed 1: {breach:?}"))?;
//! assert_eq!(report, run(&Program::from_seed(1)).unwrap(), "same seed, same bytes");
//!
//! // From a fuzz target: any bytes are a program.
//! run(&Program::from_bytes(b"\x05\x01\x02")).map_err(|breach| format!("{breach:?}"))?;
//! # Ok::<(), String>(())
//! ```
//!
//! `HALFCLOSE_SIM_SEED=17 cargo test -p halfclose-sim` runs one seed again; see docs/simulation.md.
#![forbid(unsafe_code)]

mod check;
mod client;
mod content;
pub mod driven;
mod duet;
mod end;
pub mod exhaust;
mod ledger;
mod link;
mod long_path;
pub mod pipes;
mod program;
mod server;
mod task;
mod tasks;
pub mod wire;
mod world;

pub use duet::Duet;
pub use long_path::{Direction, LongPath};
pub use program::{Answer, Call, Fault, Net, Pace, Program, Send, Side, Tuning};
pub use wire::FailedProperty;
pub use world::{Report, config, record, run};
