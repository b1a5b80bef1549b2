//! Streams that are opened and ended: rapid reset, resets that the server is made to send, streams over the limit.

use halfclose::Server;
use halfclose::frame::ErrorCode;

use super::{CALM, KIB, PROTOCOL, calls, ended};
use crate::wire::{Block, END_STREAM, data, frame, headers, kind, message, reset, update};
use crate::{Attack, Expect};

/// The attacks of this class.
pub const ATTACKS: &[Attack<Server>] = &[
    Attack {
        name: "malformed requests",
        class: "CVE-2019-9514",
        expect: Expect::Closed(CALM, "too_many_internal_resets"),
        memory: 64 * KIB,
        run: |t| {
            for _ in 0..5_000 {
                let id = t.id();
                if !t.send(&headers(id, END_STREAM, &Block::request().field(b"Upper", b"case").0)) {
                    return;
                }
            }
        },
    },
    Attack {
        name: "malformed requests, resets unread",
        class: "CVE-2019-9514",
        expect: Expect::Closed(CALM, "too_many_unread_replies"),
        memory: 64 * KIB,
        run: |t| {
            t.reads = false;
            for _ in 0..5_000 {
                let id = t.id();
                if !t.send(&headers(id, END_STREAM, &Block::request().field(b"Upper", b"case").0)) {
                    break;
                }
            }
            t.wait_unread();
        },
    },
    Attack {
        name: "rapid reset, requests incomplete",
        class: "CVE-2023-44487",
        expect: Expect::Closed(CALM, "too_many_resets"),
        memory: 256 * KIB,
        run: |t| {
            calls(t, 1_000, |id| reset(id, ErrorCode::CANCEL));
            assert!(t.most_running <= 200);
        },
    },
    Attack {
        name: "rapid reset, requests complete",
        class: "CVE-2023-44487",
        expect: Expect::Closed(CALM, "too_many_resets"),
        memory: 256 * KIB,
        run: |t| {
            t.answers = false;
            for _ in 0..1_000 {
                let id = ended(t);
                if !t.send(&reset(id, ErrorCode::CANCEL)) {
                    break;
                }
            }
            assert!(t.most_running <= 200);
        },
    },
    Attack {
        name: "rapid reset before the caller hears of it",
        class: "CVE-2023-26964",
        expect: Expect::Closed(CALM, "too_many_resets"),
        memory: 1024 * KIB,
        run: |t| {
            let mut bytes = Vec::new();
            for _ in 0..1_000 {
                let id = t.id();
                bytes.extend(headers(id, 0, &Block::request().0));
                bytes.extend(reset(id, ErrorCode::CANCEL));
            }
            t.send(&bytes);
        },
    },
    Attack {
        name: "streams over the limit",
        class: "CVE-2023-44487",
        expect: Expect::Closed(CALM, "too_many_useless_frames"),
        memory: 512 * KIB,
        run: |t| {
            t.answers = false;
            for _ in 0..20_000 {
                ended(t);
                if !t.is_open() {
                    break;
                }
            }
            assert_eq!(t.most_running, 200, "enforced");
            assert_eq!(t.resets.get(&ErrorCode::REFUSED_STREAM.0), Some(&10_000));
        },
    },
    Attack {
        name: "made you reset: WINDOW_UPDATE 0",
        class: "CVE-2025-8671",
        expect: Expect::Closed(CALM, "too_many_internal_resets"),
        memory: 256 * KIB,
        run: |t| calls(t, 2_000, |id| update(id, 0)),
    },
    Attack {
        name: "made you reset: window overflow",
        class: "CVE-2025-8671",
        expect: Expect::Closed(CALM, "too_many_internal_resets"),
        memory: 256 * KIB,
        run: |t| calls(t, 2_000, |id| update(id, 0x7fff_ffff)),
    },
    Attack {
        name: "made you reset: DATA after END_STREAM",
        class: "CVE-2025-8671",
        expect: Expect::Closed(CALM, "too_many_internal_resets"),
        memory: 256 * KIB,
        run: |t| {
            t.answers = false;
            calls(t, 2_000, |id| [data(id, END_STREAM, &message(b"")), data(id, 0, b"more")].concat());
        },
    },
    Attack {
        name: "made you reset: HEADERS after END_STREAM",
        class: "CVE-2025-8671",
        expect: Expect::Closed(CALM, "too_many_internal_resets"),
        memory: 256 * KIB,
        run: |t| {
            t.answers = false;
            calls(t, 2_000, |id| {
                [data(id, END_STREAM, &message(b"")), headers(id, END_STREAM, &Block::status("0").0)].concat()
            });
        },
    },
    Attack {
        name: "made you reset: PRIORITY of bad length",
        class: "CVE-2025-8671",
        expect: Expect::Closed(CALM, "too_many_internal_resets"),
        memory: 256 * KIB,
        run: |t| calls(t, 2_000, |id| frame(kind::PRIORITY, 0, id, b"1234")),
    },
    Attack {
        name: "made you reset: content-length",
        class: "CVE-2025-8671",
        expect: Expect::Closed(CALM, "too_many_internal_resets"),
        memory: 256 * KIB,
        run: |t| {
            for _ in 0..2_000 {
                let id = t.id();
                let mut bytes = headers(id, 0, &Block::request().field(b"content-length", b"3").0);
                bytes.extend(data(id, 0, b"four"));
                if !t.send(&bytes) {
                    return;
                }
            }
        },
    },
    Attack {
        name: "path without a slash",
        class: "CVE-2026-33186",
        expect: Expect::Resets(PROTOCOL, 1),
        memory: 64 * KIB,
        run: |t| {
            let id = t.id();
            t.send(&headers(id, END_STREAM, &Block::request_to(b"sec.Test/Call").0));
            assert_eq!(t.most_running, 0, "never routed");
        },
    },
];
