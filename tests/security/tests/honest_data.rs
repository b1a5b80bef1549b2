//! Honest loads that come nearest to the limits of DATA that brings nothing, at any rate: no virtual time passes. Each
//! test is named after the limit that it holds (docs/limits.md).

use halfclose::Rate;
use halfclose::{Client, Config, Metadata, Server, Status};
use halfclose_security::target::flood_of;
use halfclose_security::wire::{Block, END_STREAM, data, headers, message, prefixed, settings, update};
use halfclose_security::{Met, Side, Target};

/// Settings without any patience: a few frames that bring nothing and that nothing pays for end the connection.
fn impatient(mut config: Config) -> Config {
    (config.limits.small_data, config.limits.empty_data) = (FEW, FEW);
    config
}

const FEW: Rate = Rate { burst: 4, per_second: 0 };

fn server() -> Target<Server> {
    let mut t = Server::target(impatient(Server::config()));
    // The answers are read and never credited: a window for all of them.
    t.send(&settings(&[(4, 0x7ff0_0000)]));
    t.send(&update(0, 0x7ff0_0000));
    t
}

fn client() -> Target<Client> {
    Client::target(impatient(Client::config()))
}

#[track_caller]
fn alive<R: Side>(t: &mut Target<R>) {
    assert_eq!(t.met(), Met::Alive);
    assert!(t.serves());
}

/// Sends `bytes` as DATA in frames of these sizes, repeatedly.
fn in_frames<R: Side>(t: &mut Target<R>, id: u32, bytes: &[u8], sizes: &[usize]) {
    let mut sizes = sizes.iter().cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let size = (*sizes.next().expect("a cycle")).min(rest.len());
        t.send(&data(id, 0, &rest[..size]));
        t.data.clear();
        rest = &rest[size..];
    }
}

/// How proxies cut the bytes of one message: HAProxy copies frames of 16 KiB through a slightly smaller buffer;
/// nghttpx forwards what a window has left, down to one byte.
const CUTS: [&[usize]; 6] = [
    &[16_201, 183],
    &[16_384, 1],
    &[16_384, 16_384, 16_384, 16_383, 1, 2, 3],
    &[4_096, 4],
    &[600, 1],
    &[5, 1],
];

#[test]
fn small_data_what_proxies_cut() {
    let messages = message(&[7; 100_000]).repeat(3);
    for sizes in CUTS {
        let mut t = server();
        let ids: Vec<u32> = (0..4).map(|_| t.open()).collect();
        for id in ids {
            in_frames(&mut t, id, &messages, sizes);
        }
        alive(&mut t);
        let mut t = client();
        for _ in 0..4 {
            let id = t.start_stream();
            in_frames(&mut t, id, &messages, sizes);
        }
        alive(&mut t);
    }
}

/// Checks a sender that writes prefix and payload separately: 5 bytes in a frame, or the flag alone.
#[test]
fn small_data_prefixes_in_frames_of_their_own() {
    for size in [0, 1, 10, 1_000] {
        for cut in [5, 1] {
            let bytes = message(&vec![7; size]);
            let (first, rest) = bytes.split_at(cut.min(bytes.len() - 1));
            let pair = |id| [data(id, 0, first), data(id, 0, rest)].concat();
            let mut t = server();
            let id = t.open();
            for _ in 0..1_000 {
                t.send(&pair(id));
                t.data.clear();
            }
            alive(&mut t);
            let mut t = client();
            let id = t.start_stream();
            (0..1_000).for_each(|_| {
                t.send(&pair(id));
            });
            alive(&mut t);
        }
    }
}

/// Checks unary calls whose requests arrive in two frames, the first of a single byte.
#[test]
fn small_data_requests_in_pieces() {
    let mut t = server();
    for _ in 0..1_000 {
        let id = t.id();
        let bytes = message(b"ping");
        t.send(&headers(id, 0, &Block::request().0));
        t.send(&data(id, 0, &bytes[..1]));
        t.send(&data(id, END_STREAM, &bytes[1..]));
        t.data.clear();
    }
    alive(&mut t);
}

/// Checks large answers from a server that writes a byte, or ten, at a time.
#[test]
fn small_data_answers_in_tiny_frames() {
    for (size, bytes) in [(1, 90_000), (4, 360_000), (5, 1_000_000), (10, 1_000_000)] {
        let mut t = Client::target(Client::config());
        let id = t.start_stream();
        in_frames(&mut t, id, &message(&vec![7; bytes]), &[size]);
        alive(&mut t);
    }
}

/// Checks messages of ten bytes, and empty ones, in flight when their calls ended early or were dropped.
#[test]
fn small_data_messages_under_way_when_calls_end() {
    for size in [10, 0] {
        let bytes = message(&vec![7; size]);
        // A server's calls: half of them end early, half are dropped.
        let mut t = server();
        t.answers = false;
        for _ in 0..4 {
            let ids: Vec<u32> = (0..100).map(|_| t.open()).collect();
            for (n, call) in t.running.clone().into_iter().enumerate() {
                if n % 2 == 0 {
                    t.conn.cancel(call).expect("open");
                } else {
                    t.conn.finish(call, Status::unavailable("busy"), Metadata::new()).expect("open");
                }
            }
            t.settle();
            for id in ids {
                t.send(&data(id, 0, &bytes).repeat(1_000));
                t.send(&data(id, END_STREAM, b""));
            }
        }
        alive(&mut t);
        // A client's.
        let mut t = client();
        for _ in 0..10 {
            let ids: Vec<u32> = (0..100).map(|_| t.start_stream()).collect();
            for call in t.running.clone() {
                t.conn.cancel(call).expect("open");
            }
            t.settle();
            for id in ids {
                t.send(&data(id, 0, &bytes).repeat(100));
                t.send(&headers(id, END_STREAM, &Block::status("0").0));
            }
        }
        alive(&mut t);
    }
}

/// Checks that a window full of single bytes is no abuse on its own stream, and is abuse beyond it.
#[test]
fn small_data_counts_only_what_no_window_allowed_on_a_closed_stream() {
    let mut t = Target::with(|config| config.limits.small_data.burst = 4);
    t.answers = false;
    let id = t.open();
    t.conn.cancel(t.running[0]).expect("open");
    t.settle();
    assert_eq!(t.flood(&data(id, 0, b"x"), 65_535), 65_535);
    assert_eq!(t.flood(&data(id, 0, b"xxxxxxxxxxxxxxxx"), 100), 4);
    assert_eq!(flood_of(&t), Some(halfclose::Flood::DataFrames));
}

/// Checks an empty frame with each message, as some libraries flush.
#[test]
fn empty_data_a_frame_with_each_message() {
    let mut t = server();
    let id = t.open();
    for _ in 0..5_000 {
        t.send(&[data(id, 0, &message(b"ping")), data(id, 0, b"")].concat());
        t.data.clear();
    }
    alive(&mut t);
    let mut t = client();
    let id = t.start_stream();
    for _ in 0..5_000 {
        t.send(&[data(id, 0, &message(b"news")), data(id, 0, b"")].concat());
    }
    alive(&mut t);
    // As many as large pieces.
    let mut t = server();
    let id = t.open();
    t.send(&data(id, 0, &prefixed(0, 4_000_000, b"")));
    for _ in 0..244 {
        t.send(&data(id, 0, &[7; 16_384]));
        t.send(&data(id, 0, b"").repeat(4));
    }
    alive(&mut t);
}

/// Checks one empty frame on each of a hundred silent streams at once, five times a second, as when a proxy flushes
/// all of them.
#[test]
fn empty_data_on_every_stream_at_once() {
    let mut t = Server::target(Server::config());
    let ids: Vec<u32> = (0..100).map(|_| t.open()).collect();
    for _ in 0..100 {
        ids.iter().for_each(|id| {
            t.send(&data(*id, 0, b""));
        });
        t.wait(std::time::Duration::from_millis(200));
    }
    alive(&mut t);
}
