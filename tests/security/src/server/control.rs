//! Frames that cost a reply or nothing: PING, SETTINGS, PRIORITY, unknown types, frames for closed streams, frames after
//! a fatal error.

use halfclose::Server;
use halfclose::frame::ErrorCode;

use super::{CALM, KIB, PROTOCOL, ended};
use crate::wire::{ACK, Block, END_STREAM, data, frame, headers, kind, reset, settings, update};
use crate::{Attack, Expect};

/// The attacks of this class.
pub const ATTACKS: &[Attack<Server>] = &[
    Attack {
        name: "ping flood, ACKs unread",
        class: "CVE-2019-9512",
        expect: Expect::Closed(CALM, "too_many_pings"),
        memory: 64 * KIB,
        run: |t| {
            t.reads = false;
            t.flood(&frame(kind::PING, 0, 0, b"pingpong"), 300_000);
        },
    },
    Attack {
        name: "settings flood",
        class: "CVE-2019-9515",
        expect: Expect::Closed(CALM, "too_many_control_frames"),
        memory: 64 * KIB,
        run: |t| {
            t.flood(&settings(&[(1, 4096)]), 100_000);
        },
    },
    Attack {
        name: "settings flood, ACKs unread",
        class: "CVE-2019-9515",
        expect: Expect::Closed(CALM, "too_many_unread_replies"),
        memory: 64 * KIB,
        run: |t| {
            t.reads = false;
            let taken = t.flood(&settings(&[(1, 4096)]), 100_000);
            assert_eq!(taken, 64);
            t.wait_unread();
        },
    },
    Attack {
        name: "SETTINGS of 2,730 entries",
        class: "CVE-2020-11080",
        expect: Expect::Closed(CALM, "too_many_settings"),
        memory: 128 * KIB,
        run: |t| {
            t.send(&settings(&vec![(0x99, 1); 2730]));
        },
    },
    Attack {
        name: "priority shuffle",
        class: "CVE-2019-9513",
        expect: Expect::Serves,
        memory: 64 * KIB,
        run: |t| {
            for i in 0..100_000_u32 {
                let mut payload = (i % 2 * 2 + 1).to_be_bytes().to_vec();
                payload.push(7);
                t.send(&frame(kind::PRIORITY, 0, i % 1000 * 2 + 5, &payload));
            }
            t.next_id = 2001;
        },
    },
    Attack {
        name: "INITIAL_WINDOW_SIZE to and fro",
        class: "SETTINGS work",
        expect: Expect::Closed(CALM, "too_many_control_frames"),
        memory: 512 * KIB,
        run: |t| {
            t.answers = false;
            for _ in 0..200 {
                ended(t);
            }
            let entries: Vec<(u16, u32)> = (0..32).map(|i| (4, 65_535 - i % 2)).collect();
            t.flood(&settings(&entries), 10_000);
        },
    },
    Attack {
        name: "frames after a fatal error",
        class: "CVE-2026-27135",
        expect: Expect::Closed(PROTOCOL, "RFC 9113"),
        memory: 256 * KIB,
        run: |t| {
            let mut bytes = data(0, 0, b"stream 0");
            for _ in 0..1_000 {
                let id = t.id();
                bytes.extend(headers(id, END_STREAM, &Block::request().0));
            }
            t.send(&bytes);
            t.send(&bytes);
            assert!(t.running.is_empty() && t.fields.is_empty(), "nothing is parsed after it");
        },
    },
    Attack {
        name: "unassigned frame types",
        class: "CVE-2026-27141",
        expect: Expect::Serves,
        memory: 64 * KIB,
        run: |t| {
            for kind in 0x0a..=0xff {
                t.send(&frame(kind, 0xff, 0, b"whatever"));
                let id = t.next_id;
                t.send(&frame(kind, 0xff, id, b""));
            }
        },
    },
    Attack {
        name: "unassigned frame type inside a header block",
        class: "CVE-2026-27141",
        expect: Expect::Closed(PROTOCOL, "RFC 9113"),
        memory: 64 * KIB,
        run: |t| {
            let id = t.id();
            t.send(&frame(kind::HEADERS, 0, id, &Block::request().0));
            t.send(&frame(0xbb, 0, 0, b"x"));
        },
    },
    Attack {
        name: "unassigned frame types, without end",
        class: "CVE-2026-27141",
        expect: Expect::Closed(CALM, "too_many_useless_frames"),
        memory: 64 * KIB,
        run: |t| {
            t.flood(&frame(0xbb, 0, 0, b"x"), 100_000);
        },
    },
    Attack {
        name: "RST_STREAM for a closed stream",
        class: "useless frames",
        expect: Expect::Closed(CALM, "too_many_useless_frames"),
        memory: 64 * KIB,
        run: |t| {
            let id = t.open();
            t.flood(&reset(id, ErrorCode::CANCEL), 100_000);
        },
    },
    Attack {
        name: "WINDOW_UPDATE for a closed stream",
        class: "useless frames",
        expect: Expect::Closed(CALM, "too_many_useless_frames"),
        memory: 64 * KIB,
        run: |t| {
            let id = t.open();
            t.send(&reset(id, ErrorCode::CANCEL));
            t.flood(&update(id, 1), 100_000);
        },
    },
    Attack {
        name: "SETTINGS ACK that nobody asked for",
        class: "RFC 9113 §6.5.3",
        expect: Expect::Closed(PROTOCOL, "RFC 9113 §6.5.3"),
        memory: 64 * KIB,
        run: |t| {
            t.send(&frame(kind::SETTINGS, ACK, 0, b""));
        },
    },
];
