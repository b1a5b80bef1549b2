//! Exhaustive checks: every order of inputs up to a stated depth.
//!
//! [`one`] gives one core, client or server, every order of frames from its peer and commands from its caller.
//! [`pair`] joins a client and a server and gives them every order of the callers' commands and of the network's
//! deliveries. Cores cannot be copied, so each sequence is played from its start; sequences with equal results are
//! extended only once.

mod caller;
pub mod one;
pub mod pair;

use halfclose::CallType;
use halfclose::frame::{FRAME_HEADER_LEN, FrameHeader, PREFACE};

pub use caller::Order;

/// The four call types.
pub const SHAPES: [CallType; 4] =
    [CallType::UNARY, CallType::CLIENT_STREAMING, CallType::SERVER_STREAMING, CallType::BIDI];

/// The extent of an enumeration.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Count {
    /// Sequences of inputs that were played.
    pub sequences: u64,
    /// Distinct states, if sequences are merged by state.
    pub states: u64,
    /// Inputs in the longest sequence.
    pub depth: usize,
    /// Whether every state has been reached, so that no sequence is left to extend.
    pub complete: bool,
}

/// Cuts what a core wrote into its frames; a client's preface is a piece of its own.
fn cut(bytes: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    if let Some(after) = bytes.strip_prefix(PREFACE.as_slice()) {
        pieces.push(&bytes[..PREFACE.len()]);
        rest = after;
    }
    while let Some(head) = rest.first_chunk::<FRAME_HEADER_LEN>() {
        let (frame, after) = rest.split_at(FRAME_HEADER_LEN + FrameHeader::parse(head).length as usize);
        pieces.push(frame);
        rest = after;
    }
    pieces
}
