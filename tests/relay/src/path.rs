//! The effects of a path on its bytes.

use std::time::Duration;

/// One path, the same in both directions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Path {
    /// How long each byte is under way, each way.
    pub delay: Duration,
    /// Bytes a second, each way. As fast as the machine, by default.
    pub rate: Option<u64>,
    /// The most bytes that come through in one piece, at least 1: each is written for itself. Any number, by default.
    pub piece: Option<usize>,
    /// Times at which the path stands still. None by default.
    pub stalls: Option<Stalls>,
    /// Where the path ends. Nowhere, by default.
    pub cut: Option<Cut>,
    /// Decides the places of the stalls. The same seed gives the same places, for the connections in the order in which
    /// they come.
    pub seed: u64,
}

impl Path {
    /// A path that only delays.
    #[must_use]
    pub fn of_delay(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }
}

/// Stalls of a path, which occur repeatedly after some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stalls {
    /// Bytes from one stall to the next in the mean; half to one and a half of that, by the path's seed. At least 2.
    pub every: u64,
    /// How long each stall takes.
    pub pause: Duration,
}

/// Where a path ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// Bytes that come through in one direction before the connection is cut.
    pub after: u64,
    /// How it is cut.
    pub kind: CutKind,
}

/// How a connection is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CutKind {
    /// Both ends see the end of the stream (FIN).
    Close,
    /// Both ends see a reset (RST).
    Reset,
    /// Nothing comes through any more, in this direction, and nobody is told.
    Silence,
}
