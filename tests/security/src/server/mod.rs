//! What a hostile client does to a server: one room a class of attacks.

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

/// Every attack of a client, with its outcome and the most memory that it may take.
pub fn attacks() -> impl Iterator<Item = &'static Attack<Server>> {
    [control::ATTACKS, resets::ATTACKS, headers::ATTACKS, data::ATTACKS, messages::ATTACKS, slow::ATTACKS]
        .into_iter()
        .flatten()
}

/// A call that the handler never answers, its request complete.
fn ended(t: &mut AttackedServer) -> u32 {
    let id = t.id();
    t.send(&wire::headers(id, END_STREAM, &Block::request().0));
    id
}

/// Sends one call after the other, `frames` behind the head of each.
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
    /// A server to which nothing has been sent.
    #[must_use]
    pub fn silent() -> Self {
        Self::fresh(halfclose::Config::server())
    }
}
