//! What a hostile client does to a server.

use std::time::Duration;

use bytes::Bytes;
use halfclose::Server;
use halfclose::frame::ErrorCode;

use crate::wire::{
    ACK, Block, END_STREAM, data, frame, headers, kind, message, prefixed, reset, settings, update,
};
use crate::{Attack, Expect, Target};

const CALM: ErrorCode = ErrorCode::ENHANCE_YOUR_CALM;
const PROTOCOL: ErrorCode = ErrorCode::PROTOCOL_ERROR;
const KIB: usize = 1024;

type T = Target<Server>;

/// Opens a call that goes on.
fn open(t: &mut T) -> u32 {
    let id = t.id();
    t.send(&headers(id, 0, &Block::request().0));
    id
}

/// A call that the handler never answers, its request complete.
fn ended(t: &mut T) -> u32 {
    let id = t.id();
    t.send(&headers(id, END_STREAM, &Block::request().0));
    id
}

/// Sends one call after the other, `frames` behind the head of each.
fn calls(t: &mut T, times: usize, frames: impl Fn(u32) -> Vec<u8>) {
    for _ in 0..times {
        let id = t.id();
        let mut octets = headers(id, 0, &Block::request().0);
        octets.extend(frames(id));
        if !t.send(&octets) {
            return;
        }
    }
}

fn unread(t: &mut T, run: impl FnOnce(&mut T)) {
    t.reads = false;
    run(t);
}

fn big_block(octets: usize) -> Vec<u8> {
    Block::request().field(b"x-filler", &vec![b'x'; octets]).0
}

/// Every attack of a client, with its outcome and the most memory that it may take.
pub const ATTACKS: &[Attack<Server>] = &[
    Attack {
        name: "data dribble",
        class: "CVE-2019-9511",
        expect: Expect::Serves,
        memory: 128 * KIB,
        run: |t| {
            t.send(&settings(&[(4, 0)]));
            let id = t.id();
            t.send(&headers(id, 0, &Block::request().0));
            t.send(&data(id, END_STREAM, &message(&[7; 3000])));
            t.flood(&update(id, 1), 3005);
            let (frames, octets) = t.data.get(&id).cloned().unwrap_or_default();
            assert_eq!(octets, message(&[7; 3000]), "the answer is exact");
            assert!(frames <= 3005, "{frames}");
            t.send(&settings(&[(4, 65_535)]));
        },
    },
    Attack {
        name: "ping flood, ACKs unread",
        class: "CVE-2019-9512",
        expect: Expect::Closed(CALM, "too_many_pings"),
        memory: 64 * KIB,
        run: |t| {
            unread(t, |t| {
                t.flood(&frame(kind::PING, 0, 0, b"pingpong"), 300_000);
            });
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
        expect: Expect::BackedUp,
        memory: 64 * KIB,
        run: |t| {
            unread(t, |t| {
                t.flood(&settings(&[(1, 4096)]), 100_000);
            });
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
        expect: Expect::BackedUp,
        memory: 64 * KIB,
        run: |t| {
            unread(t, |t| {
                for _ in 0..5_000 {
                    let id = t.id();
                    if !t.send(&headers(id, END_STREAM, &Block::request().field(b"Upper", b"case").0)) {
                        return;
                    }
                }
            });
        },
    },
    Attack {
        name: "empty header names",
        class: "CVE-2019-9516",
        expect: Expect::Closed(CALM, "header_list_too_large"),
        memory: 160 * KIB,
        run: |t| {
            let id = t.id();
            let block = (0..5_000).fold(Block::request(), |block, _| block.field(b"", b""));
            t.send(&headers(id, END_STREAM, &block.0));
        },
    },
    Attack {
        name: "one empty header name",
        class: "CVE-2019-9516",
        expect: Expect::Resets(PROTOCOL, 1),
        memory: 64 * KIB,
        run: |t| {
            let id = t.id();
            t.send(&headers(id, END_STREAM, &Block::request().field(b"", b"x").0));
        },
    },
    Attack {
        name: "HTTP/2 windows open, transport shut",
        class: "CVE-2019-9517",
        expect: Expect::Serves,
        // 1 MiB of send buffer, one message over it, and what is cut already.
        memory: 3 * 1024 * KIB,
        run: |t| {
            t.send(&settings(&[(4, 0x7fff_ffff)]));
            t.send(&update(0, 0x7ffe_0000));
            t.reads = false;
            t.answers = false;
            let ids: Vec<u32> = (0..150).map(|_| ended(t)).collect();
            for call in t.running.clone() {
                let mut sent = 0;
                while t.conn.is_writable(call) && sent < 1000 {
                    t.conn.send_message(call, Bytes::from(vec![0; 8 * KIB]), false).expect("room");
                    sent += 1;
                }
                assert!(sent <= 9, "{sent} messages of 8 KiB on one call");
                // Something is cut into frames, and stays there.
                assert!(t.conn.poll_transmit(t.now).is_some());
            }
            assert_eq!(ids.len(), t.running.len());
            for call in t.running.clone() {
                t.conn.cancel(call).expect("open");
            }
            t.reads = true;
            t.settle();
            t.send(&settings(&[(4, 65_535)]));
        },
    },
    Attack {
        name: "empty DATA",
        class: "CVE-2019-9518",
        expect: Expect::Closed(CALM, "too_many_data_frames"),
        memory: 64 * KIB,
        run: |t| {
            let id = open(t);
            let taken = t.flood(&data(id, 0, b""), 10_000);
            assert!(taken <= 100, "{taken}");
        },
    },
    Attack {
        name: "one-octet DATA",
        class: "CVE-2019-9518",
        expect: Expect::Closed(CALM, "too_many_data_frames"),
        memory: 128 * KIB,
        run: |t| {
            let id = open(t);
            t.send(&data(id, 0, &prefixed(0, 1_000_000, b"")));
            let taken = t.flood(&data(id, 0, b"x"), 100_000);
            assert!(taken <= 10_000, "{taken}");
        },
    },
    Attack {
        name: "one-octet DATA on a closed stream",
        class: "CVE-2019-9518",
        expect: Expect::Closed(CALM, "too_many_data_frames"),
        memory: 64 * KIB,
        run: |t| {
            let id = open(t);
            // Over the message limit: answered, and closed on the server's side.
            t.send(&data(id, 0, &prefixed(0, u32::MAX, b"")));
            t.flood(&data(id, 0, b"x"), 100_000);
        },
    },
    Attack {
        name: "empty CONTINUATION",
        class: "CVE-2019-9518",
        expect: Expect::Closed(CALM, "too_many_continuations"),
        memory: 64 * KIB,
        run: |t| {
            let id = t.id();
            t.send(&frame(kind::HEADERS, 0, id, &Block::request().0));
            t.flood(&frame(kind::CONTINUATION, 0, id, b""), 10_000);
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
            let mut octets = Vec::new();
            for _ in 0..1_000 {
                let id = t.id();
                octets.extend(headers(id, 0, &Block::request().0));
                octets.extend(reset(id, ErrorCode::CANCEL));
            }
            t.send(&octets);
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
                let mut octets = headers(id, 0, &Block::request().field(b"content-length", b"3").0);
                octets.extend(data(id, 0, b"four"));
                if !t.send(&octets) {
                    return;
                }
            }
        },
    },
    Attack {
        name: "CONTINUATION octet by octet",
        class: "CVE-2024-28182",
        expect: Expect::Closed(CALM, "too_many_continuations"),
        memory: 64 * KIB,
        run: |t| {
            let id = t.id();
            t.send(&frame(kind::HEADERS, 0, id, b""));
            for octet in Block::request().0 {
                if !t.send(&frame(kind::CONTINUATION, 0, id, &[octet])) {
                    return;
                }
            }
        },
    },
    Attack {
        name: "CONTINUATION of 20 MiB",
        class: "CVE-2024-27316",
        expect: Expect::Closed(CALM, "header_block_too_large"),
        memory: 256 * KIB,
        run: |t| {
            let id = t.id();
            t.send(&frame(kind::HEADERS, 0, id, &Block::request().0));
            t.flood(&frame(kind::CONTINUATION, 0, id, &Block::new().field(b"a", &[b'a'; 16_000]).0), 1_300);
        },
    },
    Attack {
        name: "CONTINUATION, one endless string",
        class: "CVE-2023-45288",
        expect: Expect::Closed(CALM, "header_block_too_large"),
        memory: 256 * KIB,
        run: |t| {
            let id = t.id();
            let start = Block::request().raw(&[0, 1, b'a', 0x7f, 0x80, 0x80, 0x80, 0x08]);
            t.send(&frame(kind::HEADERS, 0, id, &start.0));
            t.flood(&frame(kind::CONTINUATION, 0, id, &[b'a'; 16_384]), 1_300);
        },
    },
    Attack {
        name: "HPACK bomb: one entry, indexed 11,000 times",
        class: "CVE-2016-1544",
        expect: Expect::Closed(CALM, "header_list_too_large"),
        memory: 192 * KIB,
        run: |t| {
            let id = t.id();
            let block = Block::request().indexing(b"x-bomb", &[b'b'; 3_800]).raw(&[0xbe; 11_000]);
            t.send(&headers(id, END_STREAM, &block.0));
        },
    },
    Attack {
        name: "HPACK bomb within four times the limit",
        class: "CVE-2016-6581",
        expect: Expect::Serves,
        memory: 192 * KIB,
        run: |t| {
            let id = t.id();
            let block = Block::request().indexing(b"x-bomb", &[b'b'; 3_800]).raw(&[0xbe; 12]);
            t.send(&headers(id, END_STREAM, &block.0));
            let status = t.end_of(id).and_then(|fields| fields.get("grpc-status"));
            assert_eq!(status, Some("8"), "RESOURCE_EXHAUSTED");
        },
    },
    Attack {
        name: "header list over the limit, ten thousand requests",
        class: "CVE-2016-6581",
        expect: Expect::Serves,
        memory: 256 * KIB,
        run: |t| {
            let id = t.id();
            t.send(&headers(id, END_STREAM, &Block::request().indexing(b"x-bomb", &[b'b'; 3_800]).0));
            for _ in 0..10_000 {
                let id = t.id();
                t.send(&headers(id, END_STREAM, &Block::request().raw(&[0xbe; 15]).0));
            }
        },
    },
    Attack {
        name: "commas under a long -bin name",
        class: "found here",
        expect: Expect::Serves,
        memory: 256 * KIB,
        run: |t| {
            for _ in 0..100 {
                let id = t.id();
                let name = [&[b'n'; 1_900][..], b"-bin"].concat();
                let block = Block::request().indexing(&name, &[b','; 1_900]).raw(&[0xbe; 3]);
                t.send(&headers(id, END_STREAM, &block.0));
                let status = t.end_of(id).and_then(|fields| fields.get("grpc-status"));
                assert_eq!(status, Some("8"), "RESOURCE_EXHAUSTED");
            }
        },
    },
    Attack {
        name: "grpc-accept-encoding in many lines",
        class: "found here",
        expect: Expect::Serves,
        // 200 heads, each within the limit of a header list.
        memory: 4 * 1024 * KIB,
        run: |t| {
            t.answers = false;
            let block = Block::request()
                .indexing(b"grpc-accept-encoding", &[b'e'; 52])
                .indexing(b"grpc-encoding", b"gzip");
            let id = t.id();
            t.send(&headers(id, 0, &block.0));
            for _ in 0..199 {
                let id = t.id();
                let block = (0..85).fold(Block::request(), |block, _| block.index(63).index(62));
                t.send(&headers(id, 0, &block.0));
            }
            assert_eq!(t.running.len(), 200);
            for call in t.running.clone() {
                t.conn.cancel(call).expect("open");
            }
        },
    },
    Attack {
        name: "HPACK integer without end",
        class: "CVE-2023-33953",
        expect: Expect::Closed(ErrorCode::COMPRESSION_ERROR, "RFC 9113 §4.3"),
        memory: 64 * KIB,
        run: |t| {
            let id = t.id();
            t.send(&headers(id, END_STREAM, &Block::request().raw(&[0xff]).raw(&[0x80; 8_000]).0));
        },
    },
    Attack {
        name: "HPACK string of 2^31 octets",
        class: "CVE-2023-33953",
        expect: Expect::Closed(ErrorCode::COMPRESSION_ERROR, "RFC 9113 §4.3"),
        memory: 64 * KIB,
        run: |t| {
            let id = t.id();
            let block = Block::request().raw(&[0, 1, b'a', 0x7f, 0x81, 0xff, 0xff, 0xff, 0x07, b'v']);
            t.send(&headers(id, END_STREAM, &block.0));
        },
    },
    Attack {
        name: "HPACK size updates, 7,000 in a block",
        class: "HPACK table size",
        expect: Expect::Closed(ErrorCode::COMPRESSION_ERROR, "RFC 9113 §4.3"),
        memory: 64 * KIB,
        run: |t| {
            let id = t.id();
            t.send(&headers(id, END_STREAM, &[0x20; 7_000]));
        },
    },
    Attack {
        name: "HPACK size update above the announced size",
        class: "HPACK table size",
        expect: Expect::Closed(ErrorCode::COMPRESSION_ERROR, "RFC 9113 §4.3"),
        memory: 64 * KIB,
        run: |t| {
            let id = t.id();
            t.send(&headers(id, END_STREAM, &Block::new().resize(4097).0));
        },
    },
    Attack {
        name: "peer's HPACK table of 2^32-1 octets",
        class: "HPACK table size",
        expect: Expect::Serves,
        memory: 128 * KIB,
        run: |t| {
            t.send(&settings(&[(1, u32::MAX)]));
            for _ in 0..200 {
                assert!(t.serves());
            }
        },
    },
    Attack {
        name: "window overflow of the connection",
        class: "window overflow",
        expect: Expect::Closed(ErrorCode::FLOW_CONTROL_ERROR, "RFC 9113 §6.9.1"),
        memory: 64 * KIB,
        run: |t| {
            t.send(&update(0, 0x7fff_ffff));
        },
    },
    Attack {
        name: "window overflow by SETTINGS",
        class: "window overflow",
        expect: Expect::Closed(ErrorCode::FLOW_CONTROL_ERROR, "RFC 9113 §6.9.1"),
        memory: 64 * KIB,
        run: |t| {
            let id = open(t);
            t.send(&update(id, 0x7fff_0000));
            t.send(&settings(&[(4, 0x7fff_ffff)]));
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
        name: "DATA over the window of a stream",
        class: "window overflow",
        expect: Expect::Resets(ErrorCode::FLOW_CONTROL_ERROR, 1),
        // The message in its pieces, with the read buffers that they keep, and once they are joined as a whole.
        memory: 13 * 1024 * KIB,
        run: |t| {
            t.answers = false;
            let id = open(t);
            t.send(&data(id, 0, &prefixed(0, 4_000_000, b"")));
            t.flood(&data(id, 0, &[0; 16_384]), 300);
            // The message is granted its window: go over that.
            while t.resets.is_empty() && t.send(&data(id, 0, &[0; 16_384])) {}
        },
    },
    Attack {
        name: "frames after a fatal error",
        class: "CVE-2026-27135",
        expect: Expect::Closed(PROTOCOL, "RFC 9113"),
        memory: 256 * KIB,
        run: |t| {
            let mut octets = data(0, 0, b"stream 0");
            for _ in 0..1_000 {
                let id = t.id();
                octets.extend(headers(id, END_STREAM, &Block::request().0));
            }
            t.send(&octets);
            t.send(&octets);
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
            let id = open(t);
            t.flood(&reset(id, ErrorCode::CANCEL), 100_000);
        },
    },
    Attack {
        name: "WINDOW_UPDATE for a closed stream",
        class: "useless frames",
        expect: Expect::Closed(CALM, "too_many_useless_frames"),
        memory: 64 * KIB,
        run: |t| {
            let id = open(t);
            t.send(&reset(id, ErrorCode::CANCEL));
            t.flood(&update(id, 1), 100_000);
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
    Attack {
        name: "length prefixes of 4 GiB",
        class: "message length",
        expect: Expect::Serves,
        memory: 256 * KIB,
        run: |t| {
            for length in [u32::MAX, 1 << 31, (4 << 20) + 1] {
                for _ in 0..300 {
                    let id = t.id();
                    let mut octets = headers(id, 0, &Block::request().0);
                    octets.extend(data(id, 0, &prefixed(0, length, b"and some octets")));
                    t.send(&octets);
                    let status = t.end_of(id).and_then(|fields| fields.get("grpc-status"));
                    assert_eq!(status, Some("8"));
                }
            }
        },
    },
    Attack {
        name: "200 promises of 4 MB",
        class: "message length",
        expect: Expect::Serves,
        memory: 512 * KIB,
        run: |t| {
            for _ in 0..199 {
                let id = open(t);
                t.send(&data(id, 0, &prefixed(0, 4_000_000, &[0; 140])));
            }
        },
    },
    Attack {
        name: "decompression bomb",
        class: "gzip, 64 kB to 64 MiB",
        expect: Expect::Serves,
        // 4 MiB at most are inflated, into a buffer that doubles.
        memory: 20 * 1024 * KIB,
        run: |t| {
            let bomb = gzip_bomb();
            for _ in 0..2 {
                let id = t.id();
                t.send(&headers(id, 0, &Block::request().field(b"grpc-encoding", b"gzip").0));
                let octets = prefixed(1, u32::try_from(bomb.len()).expect("short"), &bomb);
                for piece in octets.chunks(16_000) {
                    t.send(&data(id, 0, piece));
                }
                let status = t.end_of(id).and_then(|fields| fields.get("grpc-status"));
                assert_eq!(status, Some("8"));
            }
        },
    },
    Attack {
        name: "empty messages without end",
        class: "message overhead",
        expect: Expect::Serves,
        // What the windows admit and no more: 13,000 messages are five octets each.
        memory: 512 * KIB,
        run: |t| {
            t.answers = false;
            let id = open(t);
            t.flood(&data(id, 0, &[0; 16_380]), 4);
            assert!(t.is_open());
        },
    },
    Attack {
        name: "preface without SETTINGS",
        class: "slow loris",
        expect: Expect::Closed(PROTOCOL, "preface_timeout"),
        memory: 64 * KIB,
        run: |t| {
            *t = Target::silent();
            for octet in crate::wire::PREFACE {
                t.send(&[*octet]);
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
            t.send(crate::wire::PREFACE);
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
    Attack {
        name: "header block over the limit in one frame chain",
        class: "CVE-2024-27316",
        expect: Expect::Closed(CALM, "header_list_too_large"),
        memory: 512 * KIB,
        run: |t| {
            let id = t.id();
            let block = big_block(65_300);
            let mut pieces = block.chunks(16_384);
            t.send(&frame(kind::HEADERS, END_STREAM, id, pieces.next().unwrap_or_default()));
            let rest: Vec<&[u8]> = pieces.collect();
            for (i, piece) in rest.iter().enumerate() {
                let flags = if i + 1 == rest.len() { crate::wire::END_HEADERS } else { 0 };
                t.send(&frame(kind::CONTINUATION, flags, id, piece));
            }
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

/// 64 MiB of zeros in about 64 kB.
#[must_use]
pub fn gzip_bomb() -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        encoder.write_all(&vec![0; 1 << 20]).expect("memory");
    }
    encoder.finish().expect("memory")
}

impl Target<Server> {
    /// A server to which nothing has been sent.
    #[must_use]
    pub fn silent() -> Self {
        Self::fresh(halfclose::Config::server())
    }
}
