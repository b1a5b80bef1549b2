//! Windows at their edges, both ways (RFC 9113 §5.2, §6.9).

mod common;

use common::{Scripted, credit};
use halfclose::frame::ErrorCode;
use halfclose::{CallId, Client, Config, ConnectionError, Metadata, Recv, Server, Status, Violation};
use halfclose_wire::{END_STREAM, Frame, data, kind, message, settings, update};

const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_WINDOW: u32 = (1 << 31) - 1;

fn violation(result: Result<(), ConnectionError>) -> Violation {
    match result {
        Err(ConnectionError::Violation(violation)) => violation,
        other => panic!("no violation: {other:?}"),
    }
}

/// Returns the code of the reset of a stream, if there is one.
fn reset(sent: &[Frame], stream: u32) -> Option<ErrorCode> {
    sent.iter().find(|frame| frame.kind == kind::RST_STREAM && frame.stream == stream).and_then(Frame::code)
}

/// Returns the lengths of the DATA frames of a stream.
fn lengths(sent: &[Frame], stream: u32) -> Vec<usize> {
    let data = sent.iter().filter(|frame| frame.kind == kind::DATA && frame.stream == stream);
    data.map(|frame| frame.payload.len()).collect()
}

/// Creates a server that accepts frames of a megabyte, with these windows of a stream and of the connection.
fn server(stream: u32, connection: u32) -> Scripted<Server> {
    let mut config = Config::server();
    config.limits.max_frame_size = 1 << 20;
    (config.initial_stream_window, config.connection_window) = (stream, connection);
    config.max_connection_window = connection;
    Scripted::server(config, &[])
}

#[test]
fn data_over_the_window_of_a_stream_costs_the_stream() {
    for (length, code) in [(1_000, None), (1_001, Some(ErrorCode::FLOW_CONTROL_ERROR))] {
        let mut peer = server(1_000, 1 << 20);
        peer.open(1);
        peer.feed(&data(1, 0, &message(&vec![0; length - 5]))).expect("it costs no more than the stream");
        assert_eq!(reset(&peer.sent(), 1), code, "{length} bytes");
    }
}

#[test]
fn data_over_the_window_of_the_connection_costs_the_connection() {
    // The default, and one that an update after the SETTINGS announces.
    for window in [65_535, 100_000] {
        for over in [0, 1] {
            let length = window + over;
            let mut peer = server(1 << 20, window);
            peer.open(1);
            let fed = peer.feed(&data(1, 0, &message(&vec![0; length as usize - 5])));
            if over == 0 {
                fed.expect("as much as the window");
                continue;
            }
            let window = i64::from(window);
            assert_eq!(violation(fed), Violation::WindowExceeded { connection: true, length, window });
        }
    }
}

#[test]
fn what_came_is_off_the_window_of_the_connection_until_its_credit_returns() {
    for (length, good) in [(57_535, true), (57_536, false)] {
        let mut peer = server(1 << 20, 65_535);
        peer.open(1);
        peer.feed(&data(1, 0, &message(&vec![0; 8_000 - 5]))).expect("within the window");
        let fed = peer.feed(&data(1, 0, &message(&vec![0; length - 5])));
        assert_eq!(fed.is_ok(), good, "{length}");
    }
}

#[test]
fn a_stream_that_its_peer_has_ended_gets_no_credit() {
    let mut peer = server(1_000, 1 << 20);
    let call = peer.open(1);
    peer.feed(&data(1, END_STREAM, &message(&[0; 995]))).expect("within the window");
    assert!(matches!(peer.core.recv(call), Ok(Recv::Message(_))));
    assert!(peer.sent().is_empty());
}

#[test]
fn a_status_goes_out_with_the_last_message_of_its_call() {
    let mut peer = Scripted::<Server>::server(Config::server(), &[]);
    for stream in [1, 3] {
        let call = peer.open(stream);
        peer.core.send_message(call, vec![0; 10].into(), false).unwrap();
        peer.core.finish(call, Status::ok(), Metadata::new()).unwrap();
    }
    let sent = peer.sent();
    let order: Vec<_> = sent.iter().map(|frame| (frame.stream, frame.kind, frame.ends_stream())).collect();
    let call = |stream| {
        [
            (stream, kind::HEADERS, false),
            (stream, kind::DATA, false),
            (stream, kind::HEADERS, true),
            (stream, kind::RST_STREAM, false),
        ]
    };
    assert_eq!(order, [call(1), call(3)].concat());
}

#[test]
fn a_window_may_grow_to_its_most_and_no_further() {
    let room = MAX_WINDOW - 65_535;
    for over in [0, 1] {
        let mut peer = Scripted::<Client>::client(Config::client(), &[]);
        peer.start();
        peer.sent();
        peer.feed(&update(1, room + over)).expect("it costs no more than the stream");
        let code = (over == 1).then_some(ErrorCode::FLOW_CONTROL_ERROR);
        assert_eq!(reset(&peer.sent(), 1), code, "the stream's");

        let mut peer = Scripted::<Client>::client(Config::client(), &[]);
        let fed = peer.feed(&update(0, room + over));
        if over == 0 {
            fed.expect("the connection's");
        } else {
            let expected = Violation::WindowOverflow { connection: true, window: 1 << 31 };
            assert_eq!(violation(fed), expected);
        }

        // RFC 9113 §6.9.2: a change of SETTINGS that causes it is a connection error.
        let mut peer = Scripted::<Client>::client(Config::client(), &[]);
        peer.start();
        peer.sent();
        peer.feed(&update(1, 100 + over)).expect("a good update");
        let fed = peer.feed(&settings(&[(INITIAL_WINDOW_SIZE, MAX_WINDOW - 100)]));
        if over == 0 {
            fed.expect("the stream's is at its most");
        } else {
            let expected = Violation::WindowOverflow { connection: true, window: 1 << 31 };
            assert_eq!(violation(fed), expected);
        }
    }
}

#[test]
fn a_new_initial_window_changes_the_window_of_every_open_stream_by_the_difference() {
    // RFC 9113 §6.9.2: also to a negative window, which updates raise again.
    let mut peer = Scripted::<Client>::client(Config::client(), &[(INITIAL_WINDOW_SIZE, 100)]);
    let calls = [1, 3].map(|stream| {
        let call = peer.start();
        peer.core.send_message(call, vec![0; 995].into(), false).unwrap();
        (stream, call)
    });
    let sent = peer.sent();
    for (stream, _) in calls {
        assert_eq!(lengths(&sent, stream), [100]);
    }
    for (size, allowed) in [(100, 0), (150, 50), (30, 0), (140, 0), (150, 0), (151, 1)] {
        peer.feed(&settings(&[(INITIAL_WINDOW_SIZE, size)])).expect("good SETTINGS");
        let sent = peer.sent();
        for (stream, _) in calls {
            assert_eq!(lengths(&sent, stream).iter().sum::<usize>(), allowed, "stream {stream} at {size}");
        }
    }
    // 151 bytes are sent, 51 more than a window of 100 allows.
    peer.feed(&settings(&[(INITIAL_WINDOW_SIZE, 100)])).expect("good SETTINGS");
    for (increment, allowed) in [(50, 0), (1, 0), (2, 2), (1_000, 847)] {
        peer.feed(&update(1, increment)).expect("a good update");
        assert_eq!(lengths(&peer.sent(), 1).iter().sum::<usize>(), allowed, "after {increment}");
    }
    // A stream that opens now has the value in force.
    let call = peer.start();
    peer.core.send_message(call, vec![0; 995].into(), false).unwrap();
    assert_eq!(lengths(&peer.sent(), 5), [100]);
}

#[test]
fn an_update_that_lets_nothing_go_brings_nothing_to_write() {
    let mut peer = Scripted::<Client>::client(Config::client(), &[(INITIAL_WINDOW_SIZE, 100)]);
    let calls = [0; 2].map(|_| peer.start());
    peer.core.send_message(calls[1], vec![0; 995].into(), false).unwrap();
    peer.sent();
    // The window of the second stream is then 50 below zero.
    peer.feed(&settings(&[(INITIAL_WINDOW_SIZE, 50)])).expect("good SETTINGS");
    peer.sent();
    for (stream, increment, lets) in [(1, 1_000, false), (3, 49, false), (3, 1, false), (3, 1, true)] {
        peer.feed(&update(stream, increment)).expect("a good update");
        assert_eq!(peer.core.wants_transmit(), lets, "{increment} for stream {stream}");
    }
    assert_eq!(lengths(&peer.sent(), 3), [1]);
}

#[test]
fn what_waits_for_the_windows_goes_on_with_them() {
    let mut peer = Scripted::<Client>::client(Config::client(), &[(INITIAL_WINDOW_SIZE, MAX_WINDOW)]);
    let calls = [0; 3].map(|_| peer.start());
    for call in calls {
        peer.core.send_message(call, vec![0; 39_995].into(), false).unwrap();
    }
    let sent = peer.sent();
    let all: usize = [1, 3, 5].into_iter().flat_map(|stream| lengths(&sent, stream)).sum();
    assert_eq!(all, 65_535, "the window of the connection");
    assert!(!peer.core.wants_transmit());
    // One byte goes to the call that has waited longest; the others keep waiting.
    peer.feed(&update(0, 1)).expect("a good update");
    let one = peer.sent();
    assert_eq!(one.iter().map(|frame| frame.payload.len()).collect::<Vec<_>>(), [1]);
    peer.feed(&update(0, 200_000)).expect("a good update");
    let rest = peer.sent();
    for stream in [1, 3, 5] {
        let bytes: usize = [&sent, &one, &rest].into_iter().flat_map(|sent| lengths(sent, stream)).sum();
        assert_eq!(bytes, 40_000, "stream {stream}");
    }
}

#[test]
fn calls_take_turns_one_frame_a_turn() {
    let mut peer = Scripted::<Client>::client(Config::client(), &[]);
    for _ in 0..2 {
        let call = peer.start();
        peer.core.send_message(call, vec![0; 29_995].into(), false).unwrap();
        peer.core.half_close(call).unwrap();
    }
    let turns: Vec<_> = peer
        .sent()
        .iter()
        .filter(|frame| frame.kind == kind::DATA)
        .map(|frame| (frame.stream, frame.payload.len(), frame.ends_stream()))
        .collect();
    // P-17: the last frame carries the half-close.
    assert_eq!(turns, [(1, 16_384, false), (3, 16_384, false), (1, 13_616, true), (3, 13_616, true)]);
}

#[test]
fn frames_are_as_long_as_the_peer_takes_and_no_longer_than_is_fair() {
    for (most, expected) in
        [(16_384, [16_384, 16_384]), (20_000, [20_000, 20_000]), (1 << 20, [65_536, 34_464])]
    {
        let entries = [(INITIAL_WINDOW_SIZE, MAX_WINDOW), (MAX_FRAME_SIZE, most)];
        let mut peer = Scripted::<Client>::client(Config::client(), &entries);
        peer.feed(&update(0, 1 << 20)).expect("a good update");
        let call = peer.start();
        peer.core.send_message(call, vec![0; 99_995].into(), false).unwrap();
        assert_eq!(lengths(&peer.sent(), 1)[..2], expected, "{most}");
    }
}

#[test]
fn a_small_send_buffer_does_not_make_frames_small() {
    let mut config = Config::client();
    config.limits.send_buffer = 1;
    let mut peer = Scripted::<Client>::client(config, &[]);
    let call = peer.start();
    peer.core.send_message(call, vec![0; 39_995].into(), false).unwrap();
    assert_eq!(lengths(&peer.sent(), 1), [16_384, 16_384, 7_232]);
}

#[test]
fn what_is_cut_at_a_time_is_bounded() {
    // A batch and the frame that exceeds it, each with its header.
    let entries = [(INITIAL_WINDOW_SIZE, MAX_WINDOW), (MAX_FRAME_SIZE, 1 << 20)];
    let mut peer = Scripted::<Client>::client(Config::client(), &entries);
    peer.feed(&update(0, 1 << 30)).expect("a good update");
    let call = peer.start();
    peer.core.send_message(call, vec![0; 1 << 20].into(), false).unwrap();
    let mut sizes = Vec::new();
    while let Some(transmit) = peer.core.take_transmit(peer.now) {
        sizes.push(transmit.segments().iter().map(|segment| segment.len()).sum::<usize>());
    }
    assert!(sizes.iter().all(|size| *size <= 128 * 1024 + 64 * 1024 + 9), "{sizes:?}");
    assert!(sizes.iter().rev().skip(1).all(|size| *size >= 128 * 1024), "{sizes:?}");
}

/// Returns the largest window of a stream whose sender always has most of it in flight and whose reader then reads
/// everything.
fn most_window_of_a_prompt_reader(peer: &mut Scripted<Server>, call: CallId) -> u64 {
    let (mut window, mut most) = (10_000_u64, 0);
    for _ in 0..50 {
        let count = window / 1_000 * 2 / 3;
        for _ in 0..count {
            peer.feed(&data(1, 0, &message(&[0; 995]))).expect("within the window");
            window -= 1_000;
        }
        for _ in 0..count {
            assert!(matches!(peer.core.recv(call), Ok(Recv::Message(_))));
        }
        window += credit(&peer.sent(), 1);
        most = most.max(window);
    }
    most
}

#[test]
fn the_window_of_a_reader_that_keeps_up_grows_to_its_most() {
    let mut config = Config::server();
    (config.initial_stream_window, config.max_stream_window) = (10_000, 50_000);
    let mut peer = Scripted::<Server>::server(config, &[]);
    let call = peer.open(1);
    assert_eq!(most_window_of_a_prompt_reader(&mut peer, call), 50_000);
}

#[test]
fn a_window_grows_only_once_half_of_it_was_under_way() {
    let mut config = Config::server();
    (config.initial_stream_window, config.max_stream_window) = (10_000, 50_000);
    let mut peer = Scripted::<Server>::server(config, &[]);
    let call = peer.open(1);
    let credits = [0; 5].map(|_| {
        peer.feed(&data(1, 0, &message(&[0; 995]))).expect("within the window");
        assert!(matches!(peer.core.recv(call), Ok(Recv::Message(_))));
        credit(&peer.sent(), 1)
    });
    // The bytes that were read, and as many as the window had before.
    assert_eq!(credits, [0, 0, 0, 0, 5_000 + 10_000]);
}

#[test]
fn the_window_of_a_reader_that_does_not_keep_up_stays() {
    let mut config = Config::server();
    (config.initial_stream_window, config.max_stream_window) = (10_000, 50_000);
    let mut peer = Scripted::<Server>::server(config, &[]);
    let call = peer.open(1);
    let mut window = 10_000_u64;
    // One message is always left unread.
    peer.feed(&data(1, 0, &message(&[0; 995]))).expect("within the window");
    window -= 1_000;
    for _ in 0..200 {
        peer.feed(&data(1, 0, &message(&[0; 995]))).expect("within the window");
        window -= 1_000;
        assert!(matches!(peer.core.recv(call), Ok(Recv::Message(_))));
        window += credit(&peer.sent(), 1);
        assert!(window <= 9_000, "{window}");
    }
}

#[test]
fn windows_grow_into_half_of_the_memory() {
    let mut config = Config::server();
    (config.initial_stream_window, config.max_stream_window) = (10_000, 1 << 20);
    config.limits.max_receive_message = 30_000;
    config.limits.memory = 130_000;
    let mut peer = Scripted::<Server>::server(config, &[]);
    let call = peer.open(1);
    // Twice 20,000 are 30,000 more than at the beginning; twice that would be 70,000 more, and half of the memory is
    // 65,000.
    assert_eq!(most_window_of_a_prompt_reader(&mut peer, call), 40_000);
}

#[test]
fn credit_returns_once_half_a_window_of_a_stream_or_an_eighth_of_the_connections_has_gathered() {
    let mut config = Config::server();
    (config.initial_stream_window, config.max_stream_window) = (10_000, 10_000);
    (config.connection_window, config.max_connection_window) = (65_535, 65_535);
    let mut peer = Scripted::<Server>::server(config, &[]);
    let call = peer.open(1);
    let mut taken = 0;
    let (mut stream, mut connection) = (Vec::new(), Vec::new());
    while taken < 70_000 {
        peer.feed(&data(1, 0, &message(&[0; 995]))).expect("within the window");
        assert!(matches!(peer.core.recv(call), Ok(Recv::Message(_))));
        taken += 1_000;
        let sent = peer.sent();
        stream.extend(Some(credit(&sent, 1)).filter(|credit| *credit > 0));
        connection.extend(Some(credit(&sent, 0)).filter(|credit| *credit > 0));
    }
    assert!(stream.iter().all(|credit| *credit == 5_000), "{stream:?}");
    assert!(connection.iter().all(|credit| *credit == 9_000), "{connection:?}");
    assert_eq!((stream.len(), connection.len()), (14, 7));
}

#[test]
fn settings_that_repeat_the_window_give_and_take_nothing() {
    // RFC 9113 §6.9.2: open windows change by the difference, which is zero.
    let mut peer = Scripted::client(Config::client(), &[(INITIAL_WINDOW_SIZE, 100)]);
    let call = peer.start();
    peer.core.send_message(call, vec![7; 145].into(), false).unwrap();
    assert_eq!(lengths(&peer.sent(), 1), [100]);
    let steps = [
        (settings(&[(INITIAL_WINDOW_SIZE, 100)]), vec![]),
        (update(1, 30), vec![30]),
        (settings(&[(INITIAL_WINDOW_SIZE, 100)]), vec![]),
        (settings(&[(INITIAL_WINDOW_SIZE, 120)]), vec![20]),
    ];
    for (bytes, sent) in steps {
        peer.feed(&bytes).unwrap();
        assert_eq!(lengths(&peer.sent(), 1), sent);
    }
}
