//! Attacks of a hostile client on a server, one module for each class.

pub mod control;
pub mod data;
pub mod headers;
pub mod messages;
pub mod resets;
pub mod slow;

use halfclose::Server;
use halfclose::frame::ErrorCode;

use crate::wire::{self, Block, END_STREAM};
use crate::{Attack, Target};

const CALM: ErrorCode = ErrorCode::ENHANCE_YOUR_CALM;
const PROTOCOL: ErrorCode = ErrorCode::PROTOCOL_ERROR;
const KIB: usize = 1024;

type AttackedServer = Target<Server>;

/// Returns every attack of a client, with its required result and the most memory that it may use.
pub fn attacks() -> impl Iterator<Item = &'static Attack<Server>> {
    [control::ATTACKS, resets::ATTACKS, headers::ATTACKS, data::ATTACKS, messages::ATTACKS, slow::ATTACKS]
        .into_iter()
        .flatten()
}

/// Opens a call with a complete request that the handler never answers. Returns its stream.
fn ended(t: &mut AttackedServer) -> u32 {
    let id = t.id();
    t.send(&wire::headers(id, END_STREAM, &Block::request().0));
    id
}

/// Makes calls one after the other, with `frames` after the headers of each.
fn calls(t: &mut AttackedServer, times: usize, frames: impl Fn(u32) -> Vec<u8>) {
    for _ in 0..times {
        let id = t.id();
        let mut bytes = wire::headers(id, 0, &Block::request().0);
        bytes.extend(frames(id));
        if !t.send(&bytes) {
            return;
        }
    }
}

impl Target<Server> {
    /// Returns a server that has received nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self::fresh(halfclose::Config::server())
    }
}
