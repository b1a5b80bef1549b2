//! Attacks on a halfclose connection, in memory and in virtual time.
//!
//! [`wire`] writes frames without the code under attack, [`Target`] is a connection with the reader of its output,
//! [`server`] and [`client`] hold one function for each attack class, with its required result. The tests run them
//! for their result (`tests/outcomes.rs`) and for their memory (`tests/memory.rs`); the program `report` prints a
//! table of result, memory, work and of how long another connection waits in the meantime.
#![forbid(unsafe_code)]

pub mod client;
pub mod server;
pub mod socket;
pub mod target;

pub mod worst;

pub use halfclose_wire as wire;
pub use target::{Met, Side, Target};

use halfclose::frame::ErrorCode;

/// The required result of an attack.
#[derive(Clone, Copy, Debug)]
pub enum Expect {
    /// GOAWAY with this code and debug data that begin with this text; then nothing more is read.
    Closed(ErrorCode, &'static str),
    /// The connection stays open and serves, after this many RST_STREAM frames with this code.
    Resets(ErrorCode, usize),
    /// The connection stays open and serves.
    Serves,
}

/// One way to attack a connection.
#[derive(Clone, Copy)]
pub struct Attack<R: Side> {
    /// Its name.
    pub name: &'static str,
    /// The CVE numbers or the rule.
    pub class: &'static str,
    /// Its required result.
    pub expect: Expect,
    /// The most bytes on the heap while it runs, the connection itself included.
    pub memory: usize,
    /// Runs it, for a bounded number of bytes.
    pub run: fn(&mut Target<R>),
}

impl<R: Side> Attack<R> {
    /// Runs it against a new target.
    #[must_use]
    pub fn target(&self) -> Target<R> {
        let mut target = R::target(R::config());
        (self.run)(&mut target);
        target
    }

    /// Checks the result of the target.
    ///
    /// # Errors
    ///
    /// The actual result.
    pub fn check(&self, target: &mut Target<R>) -> Result<(), String> {
        let met = target.met();
        let as_expected = match (&self.expect, &met) {
            (Expect::Closed(code, text), Met::Closed(met, debug)) => code == met && debug.starts_with(text),
            (Expect::Serves, Met::Alive) => true,
            (Expect::Resets(code, count), Met::Alive) => target.resets.get(&code.0) == Some(count),
            _ => false,
        };
        if !as_expected {
            return Err(format!(
                "{}: {:?} expected, {met:?} met, resets {:?}",
                self.name, self.expect, target.resets
            ));
        }
        if matches!(met, Met::Alive) && !target.serves() {
            return Err(format!("{}: the next call is not served", self.name));
        }
        Ok(())
    }
}
