//! Peers that never finish what they begin.

use std::time::Duration;

use halfclose::Server;
use halfclose::frame::ErrorCode;

use super::{KIB, PROTOCOL};
use crate::wire::{Block, PREFACE, frame, kind, settings};
use crate::{Attack, Expect, Target};

/// The attacks of this class.
pub const ATTACKS: &[Attack<Server>] = &[
    Attack {
        name: "preface without SETTINGS",
        class: "slow loris",
        expect: Expect::Closed(PROTOCOL, "preface_timeout"),
        memory: 64 * KIB,
        run: |t| {
            *t = Target::silent();
            for byte in PREFACE {
                t.send(&[*byte]);
                t.wait(Duration::from_millis(400));
            }
            t.wait(Duration::from_secs(1));
        },
    },
    Attack {
        name: "SETTINGS never acknowledged",
        class: "slow loris",
        expect: Expect::Closed(ErrorCode::SETTINGS_TIMEOUT, "settings_timeout"),
        memory: 64 * KIB,
        run: |t| {
            *t = Target::silent();
            t.send(PREFACE);
            t.send(&settings(&[]));
            t.wait(Duration::from_secs(10));
        },
    },
    Attack {
        name: "header block that is never finished",
        class: "slow loris",
        expect: Expect::Closed(PROTOCOL, "header_block_timeout"),
        memory: 64 * KIB,
        run: |t| {
            let id = t.id();
            t.send(&frame(kind::HEADERS, 0, id, &Block::request().0));
            for _ in 0..5 {
                t.wait(Duration::from_millis(1_999));
                t.send(&frame(kind::CONTINUATION, 0, id, b""));
            }
            t.wait(Duration::from_millis(5));
        },
    },
];
