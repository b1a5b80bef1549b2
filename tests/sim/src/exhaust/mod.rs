//! Exhaustive checks: every order of inputs up to a stated depth.
//!
//! [`one`] gives one core, client or server, every order of frames from its peer and orders from its caller. [`pair`]
//! joins a client and a server and gives them every order of the callers' orders and of the network's deliveries.
//! Cores cannot be copied, so each sequence is played from its start; what plays the same is not extended twice.

mod caller;
pub mod one;
pub mod pair;

use halfclose::Shape;
use halfclose::frame::{FrameHead, HEAD_LEN, PREFACE};

pub use caller::Order;

/// The four call types.
pub const SHAPES: [Shape; 4] = [Shape::UNARY, Shape::CLIENT_STREAMING, Shape::SERVER_STREAMING, Shape::BIDI];

/// What an enumeration covered.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Count {
    /// Sequences of inputs that were played.
    pub sequences: u64,
    /// States that differ, where sequences are merged by state.
    pub states: u64,
    /// Inputs in the longest sequence.
    pub depth: usize,
    /// Every state has been reached: no sequence is left to extend.
    pub complete: bool,
}

/// Cuts what a core wrote into its frames; a client's preface is a piece of its own.
fn cut(octets: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut rest = octets;
    if let Some(after) = octets.strip_prefix(PREFACE.as_slice()) {
        pieces.push(&octets[..PREFACE.len()]);
        rest = after;
    }
    while let Some(head) = rest.first_chunk::<HEAD_LEN>() {
        let (frame, after) = rest.split_at(HEAD_LEN + FrameHead::parse(head).length as usize);
        pieces.push(frame);
        rest = after;
    }
    pieces
}
