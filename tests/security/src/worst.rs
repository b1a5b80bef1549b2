//! The most memory that one server connection can hold (docs/limits.md): the parts of the formula, and the connections
//! that come nearest to them.

use bytes::{Bytes, BytesMut};
use halfclose::{Config, Limits, Needed, Recv, Server};

use crate::wire::{
    Block, END_HEADERS, END_STREAM, data, frame, headers, kind, message, prefixed, settings, update,
};
use crate::{Met, Side, Target};

/// Everything that a connection needs besides: its state, small buffers, the tables of its lists.
const BASE: usize = 16 * 1024;
/// The most that one call's slot takes: its state, and its places in the tables and lists.
const SLOT: usize = 1_280;
/// The blocks from which small messages are cut: an unread call keeps one of the connection's, and a small one of its own.
const BLOCKS: usize = 4 * 1024 + 512;
/// The message of the caller's that each call may have queued.
const OWN: usize = 4 * 1024;
/// What the driver reads to.
const READ: usize = 72 * 1024;

fn streams(config: &Config) -> usize {
    config.limits.max_concurrent_streams as usize
}

fn list(config: &Config) -> usize {
    config.limits.max_header_list as usize
}

fn memory(config: &Config) -> usize {
    usize::try_from(config.limits.memory).expect("an address")
}

fn largest(config: &Config) -> usize {
    config.limits.max_receive_message as usize
}

/// One part of the formula.
#[derive(Debug)]
pub struct Part {
    /// Its name on the page.
    pub name: &'static str,
    /// The most bytes of it.
    pub most: fn(&Config) -> usize,
}

const ITSELF: Part = Part { name: "the connection itself", most: |_| BASE };
const CALLS: Part = Part { name: "calls", most: |config| streams(config) * SLOT };
const HEADS: Part = Part {
    name: "heads of requests",
    // Also in the reader and in the memory of blocks that repeat.
    most: |config| (streams(config) + 16) * list(config),
};
const READING: Part = Part {
    name: "the block that is read",
    // The block grows by doubling; a name and a value are decoded side by side.
    most: |config| {
        let limits = &config.limits;
        2 * limits.max_header_block as usize + 8 * list(config) + 3 * limits.decoder_table as usize
    },
};
const SMALL: Part = Part { name: "blocks of small messages", most: |config| streams(config) * BLOCKS };
const RECEIVED: Part = Part {
    name: "messages that came and parts of messages",
    // Memory for a message that comes in parts is reserved half of it ahead, and one may stand there twice for a moment.
    most: |config| memory(config) * 3 / 2 + largest(config),
};
const KEPT: Part = Part {
    name: "read buffers that messages keep",
    most: |config| config.limits.kept_buffers as usize * READ,
};
const SENDING: Part = Part {
    name: "send buffers",
    // Twice for empty messages, and the one message that every call may queue.
    most: |config| {
        let queued = (memory(config) / 2).min(streams(config) * config.limits.send_buffer as usize);
        2 * queued + streams(config) * OWN
    },
};
const OUTPUT: Part = Part {
    name: "output that the transport has not taken",
    // It grows by doubling, up to the size at which nothing more is read.
    most: |config| 3 * output(&config.limits),
};
const INFLATING: Part = Part {
    name: "one message while it is decompressed",
    most: |config| largest(config) * 3 / 2 + 128 * 1024,
};

/// What the windows that calls begin with let in, as far as there is memory for it: a part of what was received. An eighth
/// for the ends of blocks that are left empty.
const UNREAD: Part = Part {
    name: "unread windows",
    most: |config| (streams(config) * config.initial_stream_window as usize).min(memory(config)) * 9 / 8,
};

/// The formula: the sum of these.
pub const PARTS: [&Part; 10] =
    [&ITSELF, &CALLS, &HEADS, &READING, &SMALL, &RECEIVED, &KEPT, &SENDING, &OUTPUT, &INFLATING];

/// The most that one connection can hold.
#[must_use]
pub fn most(config: &Config) -> usize {
    PARTS.iter().map(|part| (part.most)(config)).sum()
}

/// What a connection has of its own, whatever others hold.
const FLOOR: usize = 256 * 1024;

/// The most that the connections of a server hold together, where they share a budget and their handlers make messages of
/// `message` bytes: the budget in place of what each might hold of it alone, and for each call the message that it may
/// always queue, and the one that its handler has made besides.
#[must_use]
pub fn most_of_server(config: &Config, budget: usize, connections: usize, message: usize) -> usize {
    let alone = [ITSELF, CALLS, HEADS, READING, SMALL, KEPT, OUTPUT, INFLATING];
    let alone: usize = alone.iter().map(|part| (part.most)(config)).sum();
    let own = alone + FLOOR * 3 / 2 + 2 * streams(config) * message;
    budget * 3 / 2 + connections * own
}

fn output(limits: &Limits) -> usize {
    (4 * limits.send_buffer as usize).clamp(64 * 1024, 256 * 1024)
}

/// A connection that holds the most of some parts.
#[derive(Debug)]
pub struct Worst {
    /// What it holds the most of.
    pub name: &'static str,
    /// The parts.
    pub parts: &'static [&'static Part],
    /// How near it must come to them, in percent: a bound that nothing comes near is no bound.
    pub near: usize,
    /// Builds it.
    pub build: fn(&Config) -> Target<Server>,
}

/// A server whose caller only looks on.
fn silent(config: &Config) -> Target<Server> {
    let mut target = Server::target(config.clone());
    target.answers = false;
    target
}

fn open(t: &mut Target<Server>) -> u32 {
    let id = t.id();
    assert!(t.send(&headers(id, 0, &Block::request().0)));
    id
}

/// Opens a call whose head is about as large as it may be.
fn open_heavy(t: &mut Target<Server>, config: &Config) -> u32 {
    let id = t.id();
    let filler = vec![b'x'; list(config) - 484];
    assert!(t.send(&headers(id, 0, &Block::request().field(b"x-filler", &filler).0)));
    id
}

/// Fills the window of a stream with messages of four bytes.
fn fill_window(t: &mut Target<Server>, id: u32, config: &Config) {
    let small = message(b"abcd").repeat(455);
    for _ in 0..config.initial_stream_window as usize / small.len() {
        assert!(t.send(&data(id, 0, &small)));
    }
}

/// Opens a call whose reader waits and sends two thirds of a message that is as large as it may be, each frame in a read
/// buffer of its own; then it stalls, until nothing is promised to it any more.
fn send_large(t: &mut Target<Server>, config: &Config) {
    let id = open_heavy(t, config);
    assert!(matches!(t.conn.recv(t.running[t.running.len() - 1]), Ok(Recv::Pending)));
    let length = largest(config);
    assert!(t.send(&data(id, 0, &prefixed(0, u32::try_from(length).expect("32 bits"), b""))));
    for _ in 0..length * 2 / 3 / 16_000 {
        let mut input = BytesMut::from(data(id, 0, &[7; 16_000]).as_slice());
        assert_eq!(t.conn.receive(t.now, &mut input), Ok(Needed::More));
        t.settle();
    }
    t.wait(config.limits.stall_timeout);
}

/// Fills the memory with large messages, and with small ones where it has no room for one more.
fn fill_memory(t: &mut Target<Server>, config: &Config) {
    let window = config.initial_stream_window as usize;
    let left =
        |t: &Target<Server>| memory(config) - usize::try_from(t.conn.memory().held).expect("an address");
    while left(t) > largest(config) * 9 / 8 && t.running.len() < streams(config) {
        send_large(t, config);
    }
    while left(t) > window && t.running.len() < streams(config) {
        let id = open_heavy(t, config);
        fill_window(t, id, config);
    }
}

/// A Huffman-coded string of more than 127 bytes (RFC 7541 §5.2).
fn huffman(coded: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff];
    let mut rest = coded.len() - 127;
    while rest >= 0x80 {
        bytes.push(u8::try_from(rest & 0x7f).expect("7 bits") | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).expect("7 bits"));
    bytes.extend_from_slice(coded);
    bytes
}

/// Queues messages on every call until it takes no more, to a peer who reads nothing.
fn send_all(t: &mut Target<Server>, size: usize) {
    for call in t.running.clone() {
        while t.conn.is_writable(call) {
            t.conn.send_message(call, Bytes::from(vec![0; size]), false).expect("room");
            t.conn.poll_transmit(t.now);
        }
    }
}

fn open_windows(t: &mut Target<Server>) {
    t.send(&settings(&[(4, 0x7fff_ffff)]));
    t.send(&update(0, 0x7ffe_0000));
}

/// The worst connections.
pub const WORST: &[Worst] = &[
    Worst {
        name: "idle",
        parts: &[&ITSELF],
        near: 0,
        build: |config| {
            let mut target = silent(config);
            assert!(target.serves());
            (target.data, target.fields) = Default::default();
            target
        },
    },
    Worst {
        name: "calls",
        parts: &[&ITSELF, &CALLS],
        near: 40,
        build: |config| {
            let mut target = silent(config);
            (0..streams(config)).for_each(|_| assert!(open(&mut target) > 0));
            target
        },
    },
    Worst {
        name: "heads of requests",
        parts: &[&ITSELF, &CALLS, &HEADS, &READING],
        near: 50,
        build: |config| {
            let mut target = silent(config);
            (0..streams(config)).for_each(|_| assert!(open_heavy(&mut target, config) > 0));
            assert_eq!(target.running.len(), streams(config));
            target
        },
    },
    Worst {
        name: "small messages",
        parts: &[&ITSELF, &CALLS, &SMALL, &UNREAD],
        near: 30,
        build: |config| {
            let mut target = silent(config);
            for _ in 0..streams(config) {
                let id = open(&mut target);
                fill_window(&mut target, id, config);
            }
            target
        },
    },
    Worst {
        name: "large messages",
        parts: &[&ITSELF, &CALLS, &HEADS, &SMALL, &RECEIVED],
        near: 30,
        build: |config| {
            let mut target = silent(config);
            fill_memory(&mut target, config);
            target
        },
    },
    Worst {
        name: "messages of 4 KiB, each in a read buffer of its own",
        parts: &[&ITSELF, &CALLS, &SMALL, &UNREAD, &KEPT],
        near: 40,
        build: |config| {
            let mut target = silent(config);
            for _ in 0..streams(config) {
                let id = open(&mut target);
                for _ in 0..config.initial_stream_window as usize / 4_096 {
                    let mut input = BytesMut::with_capacity(READ);
                    input.extend_from_slice(&data(id, 0, &message(&[7; 4_096 - 5])));
                    assert_eq!(target.conn.receive(target.now, &mut input), Ok(Needed::More));
                    target.settle();
                }
            }
            target
        },
    },
    Worst {
        name: "header blocks",
        parts: &[&ITSELF, &READING],
        near: 30,
        build: |config| {
            let mut target = silent(config);
            // 'a' is 00011 in Huffman's code: eight of them in five bytes.
            let letters = 3 * list(config) / 8 * 8;
            let coded = [0x18, 0xc6, 0x31, 0x8c, 0x63].repeat(letters / 8);
            for _ in 0..2 {
                let id = target.id();
                let block = Block::request().raw(&[0, 1, b'a']).raw(&huffman(&coded));
                let mut pieces: Vec<&[u8]> = block.0.chunks(16_384).collect();
                let last = pieces.pop().unwrap_or_default();
                let mut next = (kind::HEADERS, END_STREAM);
                for piece in pieces {
                    assert!(target.send(&frame(next.0, next.1, id, piece)));
                    next = (kind::CONTINUATION, 0);
                }
                assert!(target.send(&frame(next.0, next.1 | END_HEADERS, id, last)));
                assert_eq!(target.end_of(id).and_then(|fields| fields.get("grpc-status")), Some("8"));
            }
            target.fields.clear();
            target
        },
    },
    Worst {
        name: "send buffers",
        parts: &[&ITSELF, &CALLS, &SENDING],
        near: 25,
        build: |config| {
            let mut target = silent(config);
            target.send(&settings(&[(4, 1)]));
            target.reads = false;
            (0..streams(config)).for_each(|_| assert!(open(&mut target) > 0));
            send_all(&mut target, OWN);
            target
        },
    },
    Worst {
        name: "send buffers with empty messages",
        parts: &[&ITSELF, &CALLS, &SENDING],
        near: 30,
        build: |config| {
            let mut target = silent(config);
            target.send(&settings(&[(4, 0)]));
            target.reads = false;
            (0..streams(config)).for_each(|_| assert!(open(&mut target) > 0));
            send_all(&mut target, 0);
            target
        },
    },
    Worst {
        name: "output that nobody reads",
        parts: &[&ITSELF, &CALLS, &OUTPUT],
        near: 20,
        build: |config| {
            // A window of a few bytes makes an update of every message; the attacker reads none of them.
            let mut config = config.clone();
            (config.initial_stream_window, config.max_stream_window) = (64, 64);
            let mut target = silent(&config);
            target.reads = false;
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
    Worst {
        name: "everything at once",
        parts: &PARTS,
        // Strict: memory that is full of messages has room for one large one, and so for no worst of several; what is queued
        // has a bound of its own, beside them.
        near: 40,
        build: |config| {
            let mut target = silent(config);
            open_windows(&mut target);
            fill_memory(&mut target, config);
            while target.running.len() < streams(config) {
                open_heavy(&mut target, config);
            }
            target.reads = false;
            send_all(&mut target, OWN);
            // And a block that is never finished.
            let id = target.id();
            let block = Block::request().field(b"x-filler", &vec![b'x'; list(config) - 484]).0;
            assert!(target.send(&frame(kind::HEADERS, 0, id, &block[..block.len().min(16_384)])));
            target
        },
    },
];
