//! What a connection reports about a limit against abuse: what it met, and the limit. (`tests/security` has the
//! attacks.)

mod common;

use bytes::BytesMut;
use common::{Scripted, written};
use halfclose::frame::ErrorCode;
use halfclose::{Config, ConnectionError, Flood, Limits, Metadata, Needed, Server, Status, Violation};
use halfclose_wire::{REQUEST, block, data, frame, headers, kind, ping, reset, settings, update};

fn server(change: impl FnOnce(&mut Limits)) -> Scripted<Server> {
    let mut config = Config::server();
    config.keepalive.max_strikes = None;
    change(&mut config.limits);
    Scripted::server(config, &[])
}

/// A limit with some value, the input that it just admits, and the input beyond it.
struct Case {
    flood: Flood,
    limit: fn(&mut Limits),
    taken: Vec<u8>,
    too_much: Vec<u8>,
    met: u64,
    most: u64,
}

fn continuations(count: usize) -> Vec<u8> {
    let fields = block(&REQUEST);
    let pieces: Vec<Vec<u8>> =
        fields[1..=count].iter().map(|byte| frame(kind::CONTINUATION, 0, 1, &[*byte])).collect();
    [frame(kind::HEADERS, 0, 1, &fields[..1]), pieces.concat()].concat()
}

fn long_block() -> Vec<u8> {
    block(&[&REQUEST[..], &[("x-long", &"x".repeat(2_000))]].concat())
}

fn cancelled_calls(count: u32) -> Vec<u8> {
    let call = |n| [headers(2 * n + 1, 0, &block(&REQUEST)), reset(2 * n + 1, ErrorCode::CANCEL)].concat();
    (0..count).flat_map(call).collect()
}

#[test]
fn limits_at_their_edges() {
    let table = [
        Case {
            // The SETTINGS of the preface were the first.
            flood: Flood::ControlFrames,
            limit: |limits| (limits.control_frames.burst, limits.control_frames.per_second) = (8, 0),
            taken: [ping(b"pingpong").repeat(6), settings(&[])].concat(),
            too_much: ping(b"pingpong"),
            met: 9,
            most: 8,
        },
        Case {
            // A changed window costs as much as a frame, because the connection visits every open stream.
            flood: Flood::ControlFrames,
            limit: |limits| (limits.control_frames.burst, limits.control_frames.per_second) = (9, 0),
            taken: [ping(b"pingpong").repeat(5), settings(&[(4, 1), (4, 1), (4, 2)])].concat(),
            too_much: settings(&[]),
            met: 10,
            most: 9,
        },
        Case {
            flood: Flood::SettingsEntries,
            limit: |limits| limits.settings_entries = 8,
            taken: settings(&[(3, 1); 8]),
            too_much: settings(&[(3, 1); 9]),
            met: 9,
            most: 8,
        },
        Case {
            flood: Flood::Continuations,
            limit: |limits| limits.max_continuations = 2,
            taken: continuations(2),
            too_much: frame(kind::CONTINUATION, 0, 1, &[]),
            met: 3,
            most: 2,
        },
        Case {
            flood: Flood::HeaderBlock,
            limit: |limits| limits.max_header_block = 1_030,
            taken: frame(kind::HEADERS, 0, 1, &long_block()[..1_030]),
            too_much: frame(kind::CONTINUATION, 0, 1, &[0; 2]),
            met: 1_032,
            most: 1_030,
        },
        Case {
            flood: Flood::HeaderBlock,
            limit: |limits| limits.max_header_block = 1_030,
            taken: Vec::new(),
            too_much: frame(kind::HEADERS, 0, 1, &long_block()[..1_031]),
            met: 1_031,
            most: 1_030,
        },
    ];
    for case in table {
        let mut peer = server(case.limit);
        peer.feed(&case.taken).unwrap();
        let expected = Violation::Flood { flood: case.flood, met: case.met, limit: case.most };
        assert_eq!(peer.feed(&case.too_much), Err(ConnectionError::Violation(expected)));
    }
}

#[test]
fn a_turn_is_over_when_so_many_calls_were_reset_whose_end_the_caller_has_to_hear_of() {
    for limit in [0, 1, 2] {
        let mut peer = server(|limits| limits.pending_resets = limit);
        let streams = [1, 3, 5, 7];
        let _ = streams.map(|stream| peer.open(stream));
        let resets = streams.map(|stream| reset(stream, ErrorCode::CANCEL)).concat();
        let mut wire = BytesMut::from(resets.as_slice());
        let mut turns = Vec::new();
        while !wire.is_empty() {
            peer.core.receive(peer.now, &mut wire).unwrap();
            turns.push(peer.events().len());
        }
        assert_eq!(turns, vec![limit.max(1) as usize; 4 / limit.max(1) as usize], "each call's end is told");
    }
}

#[test]
fn a_caller_that_takes_no_events_has_short_turns_and_no_other_harm() {
    let mut peer = server(|limits| limits.pending_resets = 2);
    let streams = [1, 3, 5, 7];
    let _ = streams.map(|stream| peer.open(stream));
    let resets = streams.map(|stream| reset(stream, ErrorCode::CANCEL)).concat();
    let mut wire = BytesMut::from(resets.as_slice());
    let turns = std::iter::from_fn(|| peer.core.receive(peer.now, &mut wire).ok());
    let turns: Vec<Needed> = turns.take_while(|needed| *needed == Needed::Again).collect();
    assert_eq!(turns.len(), 2, "after two calls, after another one; the last one is the last frame");
    assert_eq!(peer.events().len(), 4);
}

#[test]
fn calls_that_nobody_heard_of_are_reset_without_a_trace() {
    let mut peer = server(|limits| limits.pending_resets = 1);
    let mut wire = BytesMut::from(cancelled_calls(30).as_slice());
    assert_eq!(peer.core.receive(peer.now, &mut wire), Ok(Needed::More), "no turn ends for them");
    assert!(peer.events().is_empty(), "nor are they told");
}

#[test]
fn nothing_more_is_read_while_too_much_waits_to_be_written() {
    // Any number of replies, because their bytes count.
    let mut peer = server(|limits| {
        limits.queued_replies = u32::MAX;
        limits.control_frames.burst = u32::MAX;
        limits.bytes_per_turn = u32::MAX;
        limits.frames_per_turn = u32::MAX;
    });
    let one = ping(b"pingpong");
    let mut wire = BytesMut::from(one.repeat(10_000).as_slice());
    assert_eq!(peer.core.receive(peer.now, &mut wire), Ok(Needed::Drain));
    assert_eq!(peer.core.receive(peer.now, &mut wire), Ok(Needed::Drain));
    let waiting = written(&mut peer.core, peer.now).len();
    assert_eq!(waiting, (128_usize * 1024).div_ceil(one.len()) * one.len());
    assert_eq!(peer.core.receive(peer.now, &mut wire), Ok(Needed::More));
    assert_eq!(waiting + written(&mut peer.core, peer.now).len(), 10_000 * one.len());
}

/// Checks that the third DATA frame of `size` bytes on stream 1 exceeds the limit, if such frames are counted.
fn check_whether_counted(peer: &mut Scripted<Server>, size: usize, counted: bool) {
    for _ in 0..2 {
        peer.feed(&data(1, 0, &vec![0; size])).unwrap();
    }
    let expected = Violation::Flood { flood: Flood::DataFrames, met: 3, limit: 2 };
    let expected = if counted { Err(ConnectionError::Violation(expected)) } else { Ok(()) };
    assert_eq!(peer.feed(&data(1, 0, &vec![0; size])), expected, "{size}");
}

#[test]
fn the_rest_of_a_refused_request_is_counted_where_it_is_tiny() {
    let get = block(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")]);
    for (size, counted) in [(5, false), (4, true)] {
        let mut peer = server(|limits| (limits.small_data.burst, limits.small_data.per_second) = (2, 0));
        peer.feed(&headers(1, 0, &get)).unwrap();
        peer.sent();
        check_whether_counted(&mut peer, size, counted);
    }
}

#[test]
fn data_that_brings_nothing_is_counted_and_what_brings_something_pays_for_it() {
    let small = |limits: &mut Limits| (limits.small_data.burst, limits.small_data.per_second) = (2, 0);
    for (size, counted) in [(5, false), (4, true)] {
        let mut peer = server(small);
        peer.open(1);
        // A message that continues.
        peer.feed(&data(1, 0, &[0, 0, 1, 0, 0])).unwrap();
        check_whether_counted(&mut peer, size, counted);
    }
    // A frame that completes a message and one of five bytes each earn one frame; one of 1,024 bytes earns the whole
    // burst.
    let mut peer = server(small);
    peer.open(1);
    let taken = |peer: &mut Scripted<Server>, bytes: &[u8]| peer.feed(&data(1, 0, bytes)).is_ok();
    for _ in 0..9 {
        assert!(taken(&mut peer, &[0]) && taken(&mut peer, &[0, 0, 0, 0]), "an empty message in two frames");
    }
    assert!(taken(&mut peer, &[0, 0, 1, 0, 0]));
    for paying in [5, 6, 255] {
        assert!(taken(&mut peer, &[7]) && taken(&mut peer, &vec![7; paying]), "{paying}");
    }
    assert!(taken(&mut peer, &[7]), "the burst is not touched");
    assert!(taken(&mut peer, &[7; 1_024]));
    assert!(taken(&mut peer, &[7]) && taken(&mut peer, &[7]) && !taken(&mut peer, &[7]), "no more than it");
}

#[test]
fn data_on_a_closed_stream_is_counted_beyond_what_its_window_allowed() {
    for (size, counted) in [(10, false), (11, true), (1_000, true)] {
        let mut config = Config::server();
        config.initial_stream_window = 30;
        (config.limits.small_data.burst, config.limits.small_data.per_second) = (1, 0);
        let mut peer = Scripted::server(config, &[]);
        let call = peer.open(1);
        peer.core.cancel(call).unwrap();
        peer.sent();
        let fed = [(); 4].map(|()| peer.feed(&data(1, 0, &vec![0; size])).is_ok());
        assert_eq!(fed.iter().all(|fed| *fed), !counted, "{size}: {fed:?}");
    }
}

#[test]
fn credit_for_a_closed_stream_is_counted_beyond_what_was_sent_on_it() {
    for (increment, counted) in [(5, false), (6, true), (0, true)] {
        let mut peer = server(|limits| (limits.glitches.burst, limits.glitches.per_second) = (1, 0));
        let call = peer.open(1);
        // Ten bytes with the prefix.
        peer.core.send_message(call, "12345".into(), false).unwrap();
        peer.core.finish(call, Status::ok(), Metadata::new()).unwrap();
        peer.sent();
        let fed = [(); 3].map(|()| peer.feed(&update(1, increment)).is_ok());
        assert_eq!(fed.iter().all(|fed| *fed), !counted, "{increment}: {fed:?}");
    }
}

#[test]
fn a_change_of_every_window_costs_as_much_as_the_walk() {
    let mut peer =
        server(|limits| (limits.control_frames.burst, limits.control_frames.per_second) = (100, 0));
    for n in 0..16 {
        peer.open(2 * n + 1);
    }
    // Three for each change of 16 windows, and one for the frame; the preface used one.
    peer.feed(&settings(&[(4, 1), (4, 2)].repeat(16))).unwrap();
    assert!(peer.feed(&settings(&[(4, 1)])).is_err(), "1 + 1 + 32 * 3 + 1, and 3 more");
    // However many streams are open, one change is no flood.
    let mut peer = server(|limits| (limits.control_frames.burst, limits.control_frames.per_second) = (34, 0));
    for n in 0..200 {
        peer.open(2 * n + 1);
    }
    for n in 0..10 {
        peer.feed(&settings(&[(4, n)])).unwrap();
    }
}

#[test]
fn calls_that_run_out_of_time_wait_for_a_reader_too() {
    // Each refusal keeps its stream until its status is accepted, so a client that continues and reads no status is
    // refused further calls, and in the end is not read any more.
    let mut peer = server(|_| {});
    let fields = block(&[&REQUEST[..], &[("grpc-timeout", "1m")]].concat());
    let round = |peer: &mut Scripted<Server>, round: u32| {
        let calls = (0..200).flat_map(|n| headers(400 * round + 2 * n + 1, 0, &fields)).collect::<Vec<_>>();
        let mut wire = BytesMut::from(calls.as_slice());
        while peer.core.receive(peer.now, &mut wire) == Ok(Needed::Again) {}
        wire.is_empty()
    };
    assert!(round(&mut peer, 0));
    assert_eq!(peer.events().len(), 200);
    peer.wait(std::time::Duration::from_millis(5));
    assert_eq!(peer.events().len(), 200, "their handlers are told to stop");
    assert!(!round(&mut peer, 1), "it stops reading");
    assert_eq!(peer.events(), [], "and starts nothing");
    let waiting = written(&mut peer.core, peer.now).len();
    assert!(waiting < 200 * 200 + 64 * 13 + 100, "{waiting}");
}

#[test]
fn calls_that_their_client_gave_up_at_their_deadline_hold_nothing() {
    let mut peer = server(|limits| limits.resets.burst = 100_000);
    let fields = block(&[&REQUEST[..], &[("grpc-timeout", "1m")]].concat());
    for round in 0..20 {
        let ids = (0..200).map(|n| 400 * round + 2 * n + 1);
        peer.feed(&ids.clone().flat_map(|id| headers(id, 0, &fields)).collect::<Vec<_>>()).unwrap();
        assert_eq!(peer.events().len(), 200);
        peer.wait(std::time::Duration::from_millis(5));
        assert_eq!(peer.events().len(), 200);
        // As honest clients send them, whose clocks run about as fast; none of the output is read.
        peer.feed(&ids.flat_map(|id| reset(id, ErrorCode::CANCEL)).collect::<Vec<_>>()).unwrap();
        assert!(peer.core.is_idle());
    }
    assert_eq!(written(&mut peer.core, peer.now).len(), 0);
}
