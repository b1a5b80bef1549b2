//! gRPC messages: announced lengths, bombs, empty messages.

use std::io::{self, Read};

use halfclose::Server;

use super::KIB;
use crate::wire::{Block, data, headers, prefixed};
use crate::{Attack, Expect};

/// The attacks of this class.
pub const ATTACKS: &[Attack<Server>] = &[
    Attack {
        name: "length prefixes of 4 GiB",
        class: "message length",
        expect: Expect::Serves,
        memory: 256 * KIB,
        run: |t| {
            for length in [u32::MAX, 1 << 31, (4 << 20) + 1] {
                for _ in 0..300 {
                    let id = t.id();
                    let mut bytes = headers(id, 0, &Block::request().0);
                    bytes.extend(data(id, 0, &prefixed(0, length, b"and some bytes")));
                    t.send(&bytes);
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
                let id = t.open();
                t.send(&data(id, 0, &prefixed(0, 4_000_000, &[0; 140])));
            }
        },
    },
    Attack {
        name: "decompression bomb",
        class: "gzip, 64 kB to 64 MiB",
        expect: Expect::Serves,
        // At most 4 MiB are decompressed, into a buffer that doubles.
        memory: 7 * 1024 * KIB,
        run: |t| {
            let bomb = gzip_bomb();
            for _ in 0..2 {
                let id = t.id();
                t.send(&headers(id, 0, &Block::request().field(b"grpc-encoding", b"gzip").0));
                let bytes = prefixed(1, u32::try_from(bomb.len()).expect("short"), &bomb);
                for piece in bytes.chunks(16_000) {
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
        // What the windows admit and no more: 13,000 messages of five bytes each.
        memory: 512 * KIB,
        run: |t| {
            t.answers = false;
            let id = t.open();
            t.flood(&data(id, 0, &[0; 16_380]), 4);
            assert!(t.is_open());
        },
    },
];

/// 64 MiB of zeros in about 64 kB.
#[must_use]
pub fn gzip_bomb() -> Vec<u8> {
    gzip_of_zeros(64 << 20)
}

/// Returns this many zeros, compressed to a thousandth.
#[must_use]
pub fn gzip_of_zeros(count: u64) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    io::copy(&mut io::repeat(0).take(count), &mut encoder).expect("memory");
    encoder.finish().expect("memory")
}
