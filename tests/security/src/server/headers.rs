//! Header blocks: CONTINUATION without end, HPACK bombs, integers, strings, tables, lists.

use halfclose::Server;
use halfclose::frame::ErrorCode;

use super::{CALM, KIB, PROTOCOL};
use crate::wire::{Block, END_HEADERS, END_STREAM, frame, headers, kind, settings};
use crate::{Attack, Expect};

/// The attacks of this class.
pub const ATTACKS: &[Attack<Server>] = &[
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
        name: "empty HEADERS",
        class: "CVE-2019-9518",
        expect: Expect::Closed(CALM, "too_many_internal_resets"),
        memory: 64 * KIB,
        run: |t| {
            for _ in 0..1_000 {
                let id = t.id();
                if !t.send(&headers(id, END_STREAM, b"")) {
                    break;
                }
            }
        },
    },
    Attack {
        name: "cookie crumbs over the limit",
        class: "CVE-2016-6581",
        expect: Expect::Serves,
        memory: 192 * KIB,
        run: |t| {
            for _ in 0..100 {
                let id = t.id();
                // 32 of the static table is the name; each field is 10 bytes and 32 more.
                let crumb = [0x0f, 32 - 15, 4, b'a', b'=', b'b', b'c'];
                t.send(&headers(id, END_STREAM, &Block::request().raw(&crumb.repeat(400)).0));
                let status = t.end_of(id).and_then(|fields| fields.get("grpc-status"));
                assert_eq!(status, Some("8"), "RESOURCE_EXHAUSTED");
            }
        },
    },
    Attack {
        name: "many small fields over four times the limit",
        class: "CVE-2016-1544",
        expect: Expect::Closed(CALM, "header_list_too_large"),
        memory: 192 * KIB,
        run: |t| {
            let id = t.id();
            // 35 bytes each, 4 on the wire.
            t.send(&headers(id, END_STREAM, &Block::request().raw(&[0, 1, b'x', 0].repeat(2_000)).0));
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
        name: "CONTINUATION byte by byte",
        class: "CVE-2024-28182",
        expect: Expect::Closed(CALM, "too_many_continuations"),
        memory: 64 * KIB,
        run: |t| {
            let id = t.id();
            t.send(&frame(kind::HEADERS, 0, id, b""));
            for byte in Block::request().0 {
                if !t.send(&frame(kind::CONTINUATION, 0, id, &[byte])) {
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
        name: "header list over the limit, a thousand requests",
        class: "CVE-2016-6581",
        expect: Expect::Serves,
        memory: 256 * KIB,
        run: |t| {
            let id = t.id();
            t.send(&headers(id, END_STREAM, &Block::request().indexing(b"x-bomb", &[b'b'; 3_800]).0));
            for _ in 0..1_000 {
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
        // 200 header blocks, each within the limit of a header list.
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
        name: "HPACK string of 2^31 bytes",
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
        name: "peer's HPACK table of 2^32-1 bytes",
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
        name: "header list over four times the limit, as long as its block",
        class: "CVE-2024-27316",
        expect: Expect::Serves,
        memory: 512 * KIB,
        run: |t| {
            let id = t.id();
            let block = Block::request().field(b"x-filler", &[b'x'; 65_300]).0;
            let mut pieces = block.chunks(16_384);
            t.send(&frame(kind::HEADERS, END_STREAM, id, pieces.next().unwrap_or_default()));
            let rest: Vec<&[u8]> = pieces.collect();
            for (i, piece) in rest.iter().enumerate() {
                let flags = if i + 1 == rest.len() { END_HEADERS } else { 0 };
                t.send(&frame(kind::CONTINUATION, flags, id, piece));
            }
            let status = t.end_of(id).and_then(|fields| fields.get("grpc-status"));
            assert_eq!(status, Some("8"), "RESOURCE_EXHAUSTED");
        },
    },
];
