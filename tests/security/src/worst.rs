//! The terms of the most memory that one server connection can hold (docs/limits.md), and the connection that comes
//! nearest to each.

use bytes::{Bytes, BytesMut};
use halfclose::{Config, Limits, Needed, Recv, Server};

use crate::wire::{Block, END_STREAM, data, frame, headers, kind, message, prefixed, settings, update};
use crate::{Met, Side, Target};

/// The most that one call's slot takes: its state, and its places in the tables and lists.
pub const SLOT: usize = 1_280;
/// Everything else that a connection needs: its state, small buffers, the tables of its lists.
pub const BASE: usize = 16 * 1024;
/// What the outbox takes: nothing more is read while it holds 256 KiB, and it grows by doubling.
pub const OUTBOX: usize = 768 * 1024;
/// The block from which small messages are cut; an unread call keeps at most one.
pub const ARENA_BLOCK: usize = 4 * 1024;

/// One term.
pub struct Term {
    /// Its name in docs/limits.md.
    pub name: &'static str,
    /// The most octets by the formula.
    pub bound: fn(&Config) -> usize,
    /// How near the worst connection must come to it, in percent: a bound that nothing comes near is no bound.
    pub near: usize,
    /// Builds the worst connection.
    pub build: fn() -> Target<Server>,
}

fn streams(limits: &Limits) -> usize {
    limits.max_concurrent_streams as usize
}

fn silent() -> Target<Server> {
    let mut target = Server::target(Server::config());
    target.answers = false;
    target
}

fn open(t: &mut Target<Server>) -> u32 {
    let id = t.id();
    assert!(t.send(&headers(id, 0, &Block::request().0)));
    id
}

/// Octets that all calls together may have received.
fn received(config: &Config) -> usize {
    let pool = config.limits.window_pool.max(config.limits.max_receive_message + 5) as usize;
    streams(&config.limits) * config.initial_stream_window as usize + pool
}

/// Every term of the formula.
pub const TERMS: &[Term] = &[
    Term {
        name: "idle connection",
        bound: |_| BASE,
        near: 0,
        build: || {
            let mut target = silent();
            assert!(target.serves());
            (target.data, target.fields) = Default::default();
            target
        },
    },
    Term {
        name: "calls",
        bound: |config| BASE + streams(&config.limits) * SLOT,
        near: 40,
        build: || {
            let mut target = silent();
            (0..200).for_each(|_| assert!(open(&mut target) > 0));
            target
        },
    },
    Term {
        name: "heads of requests",
        bound: |config| {
            let head = config.limits.max_header_list as usize;
            // Also in the reader, the memory of blocks that repeat, and the block itself.
            BASE + streams(&config.limits) * (SLOT + head)
                + 16 * head
                + 2 * config.limits.max_header_block as usize
        },
        near: 70,
        build: || {
            let mut target = silent();
            for _ in 0..200 {
                let id = target.id();
                let filler = [b'x'; 15_900];
                assert!(target.send(&headers(id, 0, &Block::request().field(b"x-filler", &filler).0)));
            }
            assert_eq!(target.running.len(), 200);
            target
        },
    },
    Term {
        name: "received messages, small ones",
        bound: |config| {
            let calls = streams(&config.limits);
            // Copies stand in buffers of 16 KiB that double up to that size.
            BASE + calls * (SLOT + ARENA_BLOCK) + calls * config.initial_stream_window as usize * 8 / 5
        },
        near: 60,
        build: || {
            let mut target = silent();
            let small = message(b"abcd").repeat(455);
            for _ in 0..200 {
                let id = open(&mut target);
                for _ in 0..16 {
                    assert!(target.send(&data(id, 0, &small)));
                }
            }
            target
        },
    },
    Term {
        name: "received messages, large ones",
        bound: |config| {
            // While the last piece comes, the message stands there twice.
            let joined = config.limits.max_receive_message as usize;
            BASE + 20 * SLOT + received(config) + joined
        },
        near: 50,
        build: || {
            let mut target = silent();
            for _ in 0..4 {
                let id = open(&mut target);
                assert!(target.send(&data(id, 0, &prefixed(0, 4_000_000, b""))));
                for _ in 0..4_000_000 / 16_000 {
                    // A buffer of its own for each read: its view keeps no more than itself.
                    let mut input = BytesMut::from(data(id, 0, &[7; 16_000]).as_slice());
                    let read = target.conn.receive(target.now, &mut input);
                    assert_eq!(read, Ok(Needed::More));
                    target.settle();
                }
            }
            target
        },
    },
    Term {
        name: "received messages, views of read buffers",
        bound: |config| {
            // Twenty calls, each with its window full of views of 4 KiB, each in a read buffer of 64 KiB of its own.
            BASE + 20 * SLOT + 20 * config.initial_stream_window as usize * (64 / 4)
        },
        near: 70,
        build: || {
            let mut target = silent();
            for _ in 0..20 {
                let id = open(&mut target);
                for _ in 0..15 {
                    let mut input = BytesMut::with_capacity(64 * 1024);
                    input.extend_from_slice(&data(id, 0, &message(&[7; 4_096 - 5])));
                    let read = target.conn.receive(target.now, &mut input);
                    assert_eq!(read, Ok(Needed::More));
                    target.settle();
                }
            }
            target
        },
    },
    Term {
        name: "header block",
        bound: |config| {
            let limits = &config.limits;
            let list = 4 * limits.max_header_list as usize;
            // The block grows by doubling; a name and a value are decoded side by side.
            BASE + 2 * limits.max_header_block as usize + 2 * list + 3 * limits.decoder_table as usize
        },
        near: 30,
        build: || {
            let mut target = silent();
            for _ in 0..2 {
                let id = target.id();
                // Huffman: 0x07 0x07.. is no matter, 'a' is 00011: eight of them in five octets.
                let coded = [0x18, 0xc6, 0x31, 0x8c, 0x63].repeat(6_000);
                let block = Block::request().raw(&[0, 1, b'a', 0xff, 0xb1, 0xe9, 0x01]).raw(&coded);
                let mut pieces: Vec<&[u8]> = block.0.chunks(16_384).collect();
                let last = pieces.pop().unwrap_or_default();
                for (i, piece) in pieces.iter().enumerate() {
                    let kind = if i == 0 { kind::HEADERS } else { kind::CONTINUATION };
                    let flags = if i == 0 { END_STREAM } else { 0 };
                    assert!(target.send(&frame(kind, flags, id, piece)));
                }
                assert!(target.send(&frame(kind::CONTINUATION, crate::wire::END_HEADERS, id, last)));
                assert_eq!(target.end_of(id).and_then(|fields| fields.get("grpc-status")), Some("8"));
            }
            target.fields.clear();
            target
        },
    },
    Term {
        name: "send buffers",
        bound: |config| {
            let limits = &config.limits;
            let largest = 8 * 1024;
            BASE + OUTBOX + streams(limits) * SLOT + limits.connection_send_buffer as usize + largest
        },
        near: 60,
        build: || {
            let mut target = silent();
            target.send(&settings(&[(4, 0x7fff_ffff)]));
            target.send(&update(0, 0x7ffe_0000));
            target.reads = false;
            (0..200).for_each(|_| assert!(open(&mut target) > 0));
            for call in target.running.clone() {
                while target.conn.is_writable(call) {
                    target.conn.send_message(call, Bytes::from(vec![0; 8 * 1024]), false).expect("room");
                }
                assert!(target.conn.poll_transmit(target.now).is_some());
            }
            target
        },
    },
    Term {
        name: "send buffers, empty messages",
        bound: |config| {
            BASE + OUTBOX + streams(&config.limits) * SLOT + 3 * config.limits.connection_send_buffer as usize
        },
        near: 25,
        build: || {
            let mut target = silent();
            target.send(&settings(&[(4, 0)]));
            target.reads = false;
            (0..200).for_each(|_| assert!(open(&mut target) > 0));
            for call in target.running.clone() {
                while target.conn.is_writable(call) {
                    target.conn.send_message(call, Bytes::new(), false).expect("room");
                }
            }
            target
        },
    },
    Term {
        name: "output that nobody reads",
        bound: |config| BASE + OUTBOX + streams(&config.limits) * SLOT,
        near: 20,
        build: || {
            // A window of a few octets makes an update of every message; the attacker reads none of them.
            let mut config = Server::config();
            (config.initial_stream_window, config.max_stream_window) = (64, 64);
            let mut target = Server::target(config);
            (target.answers, target.reads) = (false, false);
            let id = open(&mut target);
            let call = target.running[0];
            let mut taken = 0;
            while target.send(&data(id, 0, &message(&[1; 40]))) {
                while let Ok(Recv::Message(_)) = target.conn.recv(call) {}
                taken += 1;
                assert!(taken < 100_000, "it stops reading");
            }
            assert!(matches!(target.met(), Met::BackedUp));
            target
        },
    },
];
