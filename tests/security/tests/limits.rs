//! Every limit just below, at and just above its value, and its rate in virtual time; those on memory are in
//! `limits_memory.rs`.

use std::time::Duration;

use bytes::Buf;
use halfclose::frame::ErrorCode;
use halfclose::{Client, ConnectionError, Flood, Needed, Server, Violation};
use halfclose_security::target::{error_of, flood_of};
use halfclose_security::wire::{
    Block, END_HEADERS, END_STREAM, PATH, data, frame, headers, kind, message, prefixed, reset, settings,
    update,
};
use halfclose_security::{Met, Side, Target};

type Send = fn(&mut Target<Server>);

fn send(t: &mut Target<Server>, bytes: &[u8]) {
    t.send(bytes);
}

fn cancelled(t: &mut Target<Server>) {
    let id = t.open();
    t.send(&reset(id, ErrorCode::CANCEL));
}

fn malformed(t: &mut Target<Server>) {
    let id = t.id();
    t.send(&headers(id, END_STREAM, &Block::request().field(b"Upper", b"case").0));
}

/// A class with a token bucket: how to provoke it, and its name.
struct Class {
    flood: Flood,
    burst: u32,
    per_second: u32,
    once: Send,
}

const CLASSES: [Class; 5] = [
    // The first SETTINGS have used a token.
    Class { flood: Flood::ControlFrames, burst: 999, per_second: 1000, once: |t| send(t, &settings(&[])) },
    Class { flood: Flood::Resets, burst: 500, per_second: 1000, once: cancelled },
    Class { flood: Flood::InternalResets, burst: 100, per_second: 100, once: malformed },
    Class { flood: Flood::DataFrames, burst: 100, per_second: 1000, once: |t| send(t, &data(1, 0, b"")) },
    Class {
        flood: Flood::Glitches,
        burst: 10_000,
        per_second: 1000,
        once: |t| send(t, &frame(0x77, 0, 0, b"")),
    },
];

fn class_target(class: &Class) -> Target<Server> {
    let mut target = Target::with(|_| {});
    if class.flood == Flood::DataFrames {
        target.open();
    }
    target
}

#[test]
fn a_rate_grants_its_burst_and_no_more() {
    for class in &CLASSES {
        let mut target = class_target(class);
        for n in 0..class.burst {
            (class.once)(&mut target);
            assert_eq!(target.met(), Met::Alive, "{:?} {n}", class.flood);
        }
        (class.once)(&mut target);
        let expected = Met::Closed(ErrorCode::ENHANCE_YOUR_CALM, class.flood.to_string());
        assert_eq!(target.met(), expected);
        assert_eq!(flood_of(&target), Some(class.flood), "the event says so too");
    }
}

#[test]
fn a_rate_refills_by_the_callers_clock() {
    for class in &CLASSES {
        let mut target = class_target(class);
        (0..class.burst).for_each(|_| (class.once)(&mut target));
        let period = Duration::from_secs(1) / class.per_second;
        for n in 0..20 {
            target.wait(period);
            (class.once)(&mut target);
            assert_eq!(target.met(), Met::Alive, "{:?} {n}", class.flood);
        }
        target.wait(period - Duration::from_nanos(1));
        (class.once)(&mut target);
        assert_eq!(flood_of(&target), Some(class.flood), "a nanosecond early");
    }
}

#[test]
fn small_data_counts_what_completes_no_message() {
    let mut target = Target::with(|config| config.limits.small_data.burst = 10);
    let id = target.open();
    // Each message in two frames: the message returns the token that the flag uses.
    for _ in 0..100 {
        target.send(&data(id, 0, &[0]));
        target.send(&data(id, 0, &message(b"abcd")[1..]));
    }
    assert_eq!(target.met(), Met::Alive);
    target.send(&data(id, 0, &prefixed(0, 5_000, b"")));
    for n in 0..10 {
        target.send(&data(id, 0, b"xxxx"));
        assert_eq!(target.met(), Met::Alive, "{n}");
    }
    target.send(&data(id, 0, b"xxxxx"));
    assert_eq!(target.met(), Met::Alive, "five bytes are not too short for a message");
    target.send(&data(id, 0, b"xxxx"));
    assert_eq!(target.met(), Met::Alive, "they paid for this one");
    target.send(&data(id, 0, b"xxxx"));
    assert_eq!(flood_of(&target), Some(Flood::DataFrames));
}

/// Returns how many of `count` open calls that are cancelled in one read one turn handles.
fn cancelled_in_one_turn(count: u32) -> (Needed, usize) {
    let mut target = Target::with(|config| config.limits.frames_per_turn = 10_000);
    target.answers = false;
    let ids: Vec<u32> = (0..count).map(|_| target.open()).collect();
    let resets: Vec<u8> = ids.iter().flat_map(|id| reset(*id, ErrorCode::CANCEL)).collect();
    let mut input = bytes::BytesMut::from(resets.as_slice());
    let needed = target.conn.receive(target.now, &mut input).expect("no violation");
    target.settle();
    (needed, count as usize - target.running.len())
}

#[test]
fn pending_resets() {
    assert_eq!(cancelled_in_one_turn(99), (Needed::More, 99));
    assert_eq!(cancelled_in_one_turn(100), (Needed::More, 100));
    assert_eq!(cancelled_in_one_turn(101), (Needed::Again, 100));
    assert_eq!(cancelled_in_one_turn(200), (Needed::Again, 100));
}

#[test]
fn resets_of_calls_that_are_older_or_out_of_time() {
    let ms = Duration::from_millis;
    // The age of the calls, their timeout, and how many may be reset at once.
    for (age, timeout, most) in [
        (ms(0), None, 500),
        (ms(5) - Duration::from_nanos(1), None, 500),
        (ms(5), None, 2_000),
        (ms(999), None, 2_000),
        (ms(0), Some("1n"), 500),
        (ms(3), Some("4m"), 500),
        (ms(4), Some("4m"), 2_000),
        (ms(10), Some("11m"), usize::MAX),
        (ms(10), Some("12m"), 2_000),
        (ms(1_000), None, usize::MAX),
    ] {
        let mut target = Target::with(|config| config.limits.max_concurrent_streams = 4_000);
        target.answers = false;
        let block = Block::request();
        let block =
            timeout.map_or(block.0.clone(), |timeout| block.field(b"grpc-timeout", timeout.as_bytes()).0);
        let ids: Vec<u32> = (0..3_000).map(|_| target.id()).collect();
        ids.iter().for_each(|id| {
            target.send(&headers(*id, END_STREAM, &block));
        });
        // No timer of the server fires; it learns the time with its input.
        target.now = target.now + age;
        let taken = ids.iter().take_while(|id| target.send(&reset(**id, ErrorCode::CANCEL))).count();
        assert_eq!(taken, most.min(3_000), "{age:?} {timeout:?}");
    }
}

#[test]
fn calls_that_end_well_pay_for_resets() {
    let mut target = Target::with(|config| config.limits.resets.per_second = 0);
    (0..500).for_each(|_| cancelled(&mut target));
    for _ in 0..100 {
        assert!(target.serves());
        cancelled(&mut target);
    }
    assert_eq!(target.met(), Met::Alive);
    cancelled(&mut target);
    assert_eq!(flood_of(&target), Some(Flood::Resets));
}

#[test]
fn streams_at_once() {
    let mut target = Target::with(|config| config.limits.max_concurrent_streams = 3);
    target.answers = false;
    let ids: Vec<u32> = (0..3).map(|_| target.open()).collect();
    assert_eq!(target.running.len(), 3);
    let refused = target.open();
    assert_eq!((target.running.len(), target.resets.get(&ErrorCode::REFUSED_STREAM.0)), (3, Some(&1)));
    // DATA of the refused call is dropped, and a call that ends frees a stream.
    target.send(&data(refused, END_STREAM, &message(b"x")));
    target.send(&reset(ids[1], ErrorCode::CANCEL));
    target.open();
    assert_eq!(target.running.len(), 3);
    assert_eq!(target.resets.get(&ErrorCode::REFUSED_STREAM.0), Some(&1));
}

#[test]
fn frame_size() {
    for (length, alive) in [(16_383, true), (16_384, true), (16_385, false)] {
        let mut target = Target::with(|_| {});
        target.send(&frame(0x77, 0, 0, &vec![0; length]));
        match target.met() {
            Met::Alive => assert!(alive),
            met => {
                assert_eq!((met, alive), (Met::Closed(ErrorCode::FRAME_SIZE_ERROR, debug(&target)), false));
            }
        }
    }
}

fn debug<R: Side>(target: &Target<R>) -> String {
    match target.met() {
        Met::Closed(_, debug) => debug,
        _ => String::new(),
    }
}

/// Sends a block split over `continuations` frames after HEADERS.
fn split_block(target: &mut Target<Server>, block: &[u8], continuations: usize) -> u32 {
    let id = target.id();
    let size = block.len().div_ceil(continuations + 1);
    let mut pieces: Vec<&[u8]> = block.chunks(size.max(1)).collect();
    pieces.resize(continuations + 1, b"");
    for (i, piece) in pieces.iter().enumerate() {
        let end = if i == continuations { END_HEADERS } else { 0 };
        let first = i == 0;
        let flags = end | if first { END_STREAM } else { 0 };
        target.send(&frame(if first { kind::HEADERS } else { kind::CONTINUATION }, flags, id, piece));
    }
    id
}

#[test]
fn continuations_of_one_block() {
    for (count, flood) in [(7, None), (8, None), (9, Some(Flood::Continuations))] {
        let mut target = Target::with(|_| {});
        let id = split_block(&mut target, &Block::request().0, count);
        assert_eq!(flood_of(&target), flood, "{count}");
        assert_eq!(target.end_of(id).is_some(), flood.is_none());
    }
}

#[test]
fn bytes_of_one_header_block() {
    for (size, flood) in [(65_535, None), (65_536, None), (65_537, Some(Flood::HeaderBlock))] {
        let mut target = Target::with(|config| config.limits.max_header_list = 32 * 1024);
        let start = Block::request().field(b"x", b"").0.len() + 3;
        let block = Block::request().field(b"x", &vec![b'x'; size - start]).0;
        assert_eq!(block.len(), size);
        split_block(&mut target, &block, 4);
        assert_eq!(flood_of(&target), flood, "{size}");
    }
}

#[test]
fn bytes_of_one_header_list() {
    let limit = 16_384;
    // RFC 9113 §6.5.2: name, value and 32 for each field.
    let fields = [7 + 4, 7 + 4, 5 + PATH.len(), 10 + 9, 2 + 8, 12 + 16, 1];
    let taken: usize = fields.iter().map(|bytes| bytes + 32).sum();
    // A table entry that is repeated: 4,000 bytes of list each time, one byte on the wire.
    let (entry, again) = (4_000 - 32 - 1, |size: usize| (size - taken) / 4_000);
    for (size, status) in
        [(limit - 1, "0"), (limit, "0"), (limit + 1, "8"), (4 * limit, "8"), (4 * limit + 1, "")]
    {
        let mut target = Target::with(|_| {});
        let entries = Block::request().indexing(b"e", &vec![b'e'; entry]).raw(&vec![0xbe; again(size) - 1]);
        let block = entries.field(b"x", &vec![b'x'; size - taken - again(size) * 4_000]).0;
        let id = split_block(&mut target, &block, 5);
        let met = target.end_of(id).and_then(|fields| fields.get("grpc-status"));
        assert_eq!(met.unwrap_or_default(), status, "{size}");
        assert_eq!(flood_of(&target).is_some(), status.is_empty());
        if status.is_empty() {
            assert_eq!(flood_of(&target), Some(Flood::HeaderList));
        }
    }
}

#[test]
fn a_list_in_proportion_to_its_block() {
    // A field counts 29 bytes more than a literal of it has: three times as many at 14.5.
    for (size, flood) in [(15, None), (14, Some(Flood::HeaderList))] {
        let field = Block::new().field(b"x-name", &vec![b'v'; size - 3 - 6]).0;
        assert_eq!(field.len(), size);
        let mut target = Target::with(|_| {});
        let id = split_block(&mut target, &Block::request().raw(&field.repeat(60_000 / size)).0, 5);
        assert_eq!(flood_of(&target), flood, "{size}");
        let met = target.end_of(id).and_then(|fields| fields.get("grpc-status"));
        assert_eq!(met, flood.is_none().then_some("8"));
    }
}

#[test]
fn entries_of_one_settings_frame() {
    for (count, flood) in [(31, None), (32, None), (33, Some(Flood::SettingsEntries))] {
        let mut target = Target::with(|_| {});
        target.send(&settings(&vec![(0x99, 1); count]));
        assert_eq!(flood_of(&target), flood, "{count}");
    }
}

#[test]
fn replies_that_wait() {
    let mut target = Client::target(Client::config());
    target.reads = false;
    let taken = target.flood(&frame(kind::PING, 0, 0, b"pingpong"), 63);
    assert_eq!((taken, target.met()), (63, Met::Alive));
    // The 64th reply is the last: the next frame waits.
    assert!(target.send(&frame(kind::PING, 0, 0, b"pingpong")));
    assert!(!target.send(&frame(kind::PING, 0, 0, b"pingpong")));
    assert_eq!(target.met(), Met::BackedUp);
}

/// Returns a client that has received PINGs until it reads no more, and whose output was not read.
fn backed_up() -> Target<Client> {
    let mut target = Client::target(Client::config());
    target.reads = false;
    target.flood(&frame(kind::PING, 0, 0, b"pingpong"), 100);
    assert_eq!(target.met(), Met::BackedUp);
    target
}

#[test]
fn replies_that_nobody_reads() {
    let (timeout, early) = (Duration::from_secs(20), Duration::from_nanos(1));
    let mut target = backed_up();
    target.wait(timeout - early);
    assert_eq!(target.met(), Met::BackedUp);
    target.wait(early);
    assert_eq!(flood_of(&target), Some(Flood::Unread));
    assert_eq!(target.met(), Met::Closed(ErrorCode::ENHANCE_YOUR_CALM, "too_many_unread_replies".to_owned()));
}

#[test]
fn a_slow_reader_is_given_its_time() {
    let timeout = Duration::from_secs(20);
    let mut target = backed_up();
    // One byte each time, as long as there are any.
    for _ in 0..100 {
        target.conn.poll_transmit(target.now).expect("there is more").advance(1);
        target.wait(timeout);
        assert_eq!(target.met(), Met::BackedUp);
    }
    // A peer that reads everything is read again, and never disconnected.
    target.reads = true;
    target.settle();
    target.wait(timeout * 100);
    target.send(b"");
    target.wait(timeout * 100);
    assert!(!target.conn.is_closed());
    assert!(target.serves());
}

#[test]
fn work_of_one_turn() {
    let ping = frame(0x77, 0, 0, b"pingpong");
    for (frames, needed) in [(63, Needed::More), (64, Needed::More), (65, Needed::Again)] {
        let mut target = Target::with(|_| {});
        let mut input = bytes::BytesMut::from(ping.repeat(frames).as_slice());
        assert_eq!(target.conn.receive(target.now, &mut input), Ok(needed), "{frames}");
        assert_eq!(input.len(), if needed == Needed::Again { ping.len() } else { 0 });
    }
    for (bytes, left) in [(65_535_usize, 0), (65_536, 17), (65_537, 17)] {
        let mut target = Target::with(|_| {});
        // Five frames with this many bytes in total, then one more.
        let mut rest = bytes - 5 * 9;
        let mut input = bytes::BytesMut::new();
        for _ in 0..5 {
            let length = rest.min(16_384);
            rest -= length;
            input.extend_from_slice(&frame(0x77, 0, 0, &vec![0; length]));
        }
        assert_eq!(input.len(), bytes);
        input.extend_from_slice(&ping);
        let needed = if left == 0 { Needed::More } else { Needed::Again };
        assert_eq!(target.conn.receive(target.now, &mut input), Ok(needed), "{bytes}");
        assert_eq!(input.len(), left, "{bytes}");
    }
}

#[test]
fn zero_limits_do_not_spin() {
    let mut target = Target::with(|config| {
        (config.limits.frames_per_turn, config.limits.bytes_per_turn) = (0, 0);
        config.limits.queued_replies = 0;
    });
    assert!(target.serves());
}

#[test]
fn timers_just_before_and_at_their_end() {
    let early = Duration::from_nanos(1);
    let ten = Duration::from_secs(10);
    let cases: [(&str, ErrorCode, Send); 3] = [
        ("preface_timeout", ErrorCode::PROTOCOL_ERROR, |t| *t = Target::silent()),
        ("settings_timeout", ErrorCode::SETTINGS_TIMEOUT, |t| {
            *t = Target::silent();
            t.send(halfclose_security::wire::PREFACE);
            t.send(&settings(&[]));
        }),
        ("header_block_timeout", ErrorCode::PROTOCOL_ERROR, |t| {
            t.send(&frame(kind::HEADERS, 0, 1, b""));
        }),
    ];
    for (debug, code, start) in cases {
        let mut target = Target::with(|_| {});
        start(&mut target);
        target.wait(ten - early);
        assert_eq!(target.met(), Met::Alive, "{debug}");
        target.wait(early);
        assert_eq!(target.met(), Met::Closed(code, debug.to_owned()));
        assert!(matches!(error_of(&target), Some(ConnectionError::Violation(Violation::Timeout(_)))));
    }
}

#[test]
fn ping_strikes() {
    let ping = frame(kind::PING, 0, 0, b"pingpong");
    let idle = Duration::from_secs(2 * 60 * 60);
    // At the legal rate, without a call, for ever.
    let mut target = Target::with(|_| {});
    for _ in 0..100 {
        target.send(&ping);
        target.wait(idle);
        // The server's own keepalive continues.
        target.send(&frame(kind::PING, 1, 0, b"hc-alive"));
    }
    assert_eq!(target.met(), Met::Alive);
    // Sooner: two strikes are forgiven, the third is not.
    let mut target = Target::with(|_| {});
    for _ in 0..3 {
        target.send(&ping);
        target.wait(Duration::from_secs(5 * 60));
        assert_eq!(target.met(), Met::Alive);
    }
    target.send(&ping);
    assert_eq!(target.met(), Met::Closed(ErrorCode::ENHANCE_YOUR_CALM, "too_many_pings".to_owned()));
    // With a call five minutes are enough.
    let mut target = Target::with(|_| {});
    target.open();
    for _ in 0..20 {
        target.send(&ping);
        target.wait(Duration::from_secs(5 * 60));
    }
    assert_eq!(target.met(), Met::Alive);
}

#[test]
fn goaway_never_names_a_higher_stream_than_before() {
    let mut target = Target::with(|_| {});
    target.answers = false;
    target.open();
    target.conn.shutdown(target.now);
    target.settle();
    target.send(&frame(kind::PING, 1, 0, b"hc-drain"));
    assert_eq!(target.last_goaway, Some(1));
    // Too late: not processed, and not included in the GOAWAY that ends the connection.
    target.open();
    assert_eq!(target.running.len(), 1);
    target.send(&update(0, 0));
    assert!(matches!(target.met(), Met::Closed(ErrorCode::PROTOCOL_ERROR, _)));
    assert_eq!(target.last_goaway, Some(1));
}
