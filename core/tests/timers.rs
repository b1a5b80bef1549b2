//! The connection's timers: when each is due, what postpones it, and what removes it (P-94, P-96 to P-100).

mod common;

use std::time::Duration;

use common::Scripted;
use halfclose::frame::ErrorCode;
use halfclose::{
    Cause, Client, CloseReason, Config, ConnectionError, Event, Metadata, Recv, Server, Status, Time,
    TimerKind,
};
use halfclose_wire::{
    ACK, END_STREAM, Frame, PREFACE, TRAILERS_ONLY, block, data, frame, goaway, headers, kind, reset,
    settings, settings_ack,
};

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}

fn pings(sent: &[Frame]) -> usize {
    sent.iter().filter(|frame| frame.kind == kind::PING && frame.flags & ACK == 0).count()
}

/// Creates a client that pings after 30 seconds.
fn pinging(change: impl FnOnce(&mut Config)) -> Scripted<Client> {
    let mut config = Config::client();
    config.keepalive.interval = Some(30 * SECOND);
    config.keepalive.max_pings_without_data = 0;
    change(&mut config);
    Scripted::client(config, &[])
}

fn answer_ping(peer: &mut Scripted<Client>) {
    assert_eq!(pings(&peer.sent()), 1);
    peer.feed(&frame(kind::PING, ACK, 0, b"hc-alive")).unwrap();
}

#[test]
fn what_the_peer_owes_at_the_start_is_due_until_it_comes() {
    let mut config = Config::server();
    config.keepalive.interval = None;
    config.limits.preface_timeout = 3 * SECOND;
    config.limits.settings_timeout = 5 * SECOND;
    config.limits.header_block_timeout = 2 * SECOND;
    let mut peer = Scripted::<Server>::silent(config);
    assert_eq!(peer.core.poll_timeout(), Some((at(3), TimerKind::Preface)));
    peer.feed(PREFACE).unwrap();
    assert_eq!(peer.core.poll_timeout(), Some((at(3), TimerKind::Preface)), "SETTINGS belong to it");
    peer.feed(&settings(&[])).unwrap();
    assert_eq!(peer.core.poll_timeout(), Some((at(5), TimerKind::SettingsAck)));
    peer.feed(&settings_ack()).unwrap();
    assert_eq!(peer.core.poll_timeout(), None);
    let request = block(&halfclose_wire::REQUEST);
    peer.wait(SECOND);
    peer.feed(&frame(kind::HEADERS, 0, 1, &request[..1])).unwrap();
    assert_eq!(peer.core.poll_timeout(), Some((at(3), TimerKind::HeaderBlock)));
    peer.feed(&frame(kind::CONTINUATION, 4, 1, &request[1..])).unwrap();
    assert_eq!(peer.core.poll_timeout(), None);
}

#[test]
fn a_ping_is_due_after_an_interval_without_a_frame_from_the_peer() {
    let mut peer = pinging(|_| {});
    assert_eq!(peer.core.poll_timeout(), None, "P-96: not without a call");
    let call = peer.start();
    peer.sent();
    assert_eq!(peer.core.poll_timeout(), Some((at(30), TimerKind::Keepalive)));
    // Any received byte postpones it.
    peer.now = at(10);
    peer.feed(&frame(kind::PING, 0, 0, b"pingpong")).unwrap();
    peer.sent();
    peer.now = Time::ZERO;
    peer.wait(30 * SECOND);
    assert_eq!(pings(&peer.sent()), 0);
    assert_eq!(peer.core.poll_timeout(), Some((at(40), TimerKind::Keepalive)));
    peer.wait(10 * SECOND);
    assert_eq!(peer.core.poll_timeout(), Some((at(60), TimerKind::KeepaliveTimeout)));
    // While the answer is pending no other PING is sent, whatever calls start.
    peer.start();
    assert_eq!(peer.core.poll_timeout(), Some((at(60), TimerKind::KeepaliveTimeout)));
    peer.wait(15 * SECOND);
    answer_ping(&mut peer);
    assert_eq!(peer.core.poll_timeout(), Some((at(85), TimerKind::Keepalive)));
    // Neither a frame nor a call that starts later postpones it before it is checked.
    peer.wait(5 * SECOND);
    peer.feed(&frame(kind::PING, 0, 0, b"pingpong")).unwrap();
    peer.start();
    assert_eq!(peer.core.poll_timeout(), Some((at(85), TimerKind::Keepalive)));
    assert!(matches!(peer.core.recv(call), Ok(Recv::Pending)));
}

#[test]
fn no_ping_is_sent_without_a_call_unless_that_is_asked_for() {
    for (without_calls, expected) in [(false, 0), (true, 1)] {
        let mut peer = pinging(|config| config.keepalive.without_calls = without_calls);
        let call = peer.start();
        peer.sent();
        peer.feed(&headers(1, END_STREAM, &block(&TRAILERS_ONLY))).unwrap();
        assert!(matches!(peer.core.recv(call), Ok(Recv::End(_))));
        peer.sent();
        peer.wait(30 * SECOND);
        assert_eq!(pings(&peer.sent()), expected);
        if !without_calls {
            assert_eq!(peer.core.poll_timeout(), None);
            // The next call sets it again; the silence before that call does not count.
            peer.start();
            peer.sent();
            assert_eq!(peer.core.poll_timeout(), Some((at(60), TimerKind::Keepalive)));
        }
    }
}

#[test]
fn pings_without_data_are_bounded_and_data_forgives_them() {
    // P-99.
    let mut peer = pinging(|config| config.keepalive.max_pings_without_data = 2);
    let call = peer.start();
    peer.sent();
    for round in 0..3 {
        for _ in 0..2 {
            peer.wait(30 * SECOND);
            answer_ping(&mut peer);
        }
        peer.wait(30 * SECOND);
        assert_eq!(pings(&peer.sent()), 0, "round {round}");
        assert_eq!(peer.core.poll_timeout(), Some((peer.now + 30 * SECOND, TimerKind::Keepalive)));
        peer.core.send_message(call, "more".into(), false).unwrap();
        peer.sent();
    }
    // 0 means any number, and a server has no such limit.
    let mut peer = pinging(|_| {});
    peer.start();
    peer.sent();
    for _ in 0..10 {
        peer.wait(30 * SECOND);
        answer_ping(&mut peer);
    }
    let mut config = Config::server();
    config.keepalive.interval = Some(30 * SECOND);
    let mut peer = Scripted::<Server>::server(config, &[]);
    for _ in 0..10 {
        peer.wait(30 * SECOND);
        assert_eq!(pings(&peer.sent()), 1);
        peer.feed(&frame(kind::PING, ACK, 0, b"hc-alive")).unwrap();
    }
}

/// Returns the times at which a client that only waits sends PINGs, all of them answered, within `hours` hours.
fn ping_times(peer: &mut Scripted<Client>, hours: u64) -> Vec<u64> {
    let mut times = Vec::new();
    while let Some((at, TimerKind::Keepalive)) = peer.core.poll_timeout() {
        if at > Time::ZERO + Duration::from_secs(hours * 3600) {
            break;
        }
        peer.now = at;
        peer.core.handle_timeout(at);
        if pings(&peer.sent()) > 0 {
            times.push(at.since_epoch().as_secs());
            peer.feed(&frame(kind::PING, ACK, 0, b"hc-alive")).unwrap();
        }
    }
    times
}

#[test]
fn a_call_that_only_waits_is_kept_alive_as_often_as_any_server_takes_it() {
    // P-98, P-99: a call that waits for hours must learn that its server is dead, and no server may count its PINGs
    // as abuse.
    for (without_calls, least, longest) in [(false, 300, 330), (true, 7_200, 7_230)] {
        let mut peer = pinging(|config| {
            config.keepalive.max_pings_without_data = 2;
            config.keepalive.without_calls = without_calls;
        });
        if !without_calls {
            peer.start();
            peer.sent();
        }
        let times = ping_times(&mut peer, 24);
        assert_eq!(times[..2], [30, 60]);
        let gaps: Vec<u64> = times[1..].windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.len() > 10 && gaps.iter().all(|gap| (least..=longest).contains(gap)), "{gaps:?}");
    }
}

#[test]
fn a_call_that_starts_after_an_idle_time_is_kept_alive() {
    // The connection had a call, and has been idle for longer than the interval when the next one starts.
    for waits_for_a_stream in [false, true] {
        let mut peer = pinging(|config| config.keepalive.interval = Some(10 * SECOND));
        if waits_for_a_stream {
            peer.feed(&settings(&[(3, 0)])).unwrap();
        } else {
            let first = peer.start();
            peer.sent();
            peer.feed(&headers(1, END_STREAM, &block(&TRAILERS_ONLY))).unwrap();
            assert!(matches!(peer.core.recv(first), Ok(Recv::End(_))));
        }
        peer.sent();
        peer.events();
        peer.wait(60 * SECOND);
        let call = peer.start();
        peer.sent();
        // The server is dead.
        peer.wait(10 * SECOND);
        assert_eq!(pings(&peer.sent()), 1, "{waits_for_a_stream}");
        peer.wait(20 * SECOND - Duration::from_nanos(1));
        assert!(matches!(peer.core.recv(call), Ok(Recv::Pending)));
        peer.wait(Duration::from_nanos(1));
        let Ok(Recv::End(outcome)) = peer.core.recv(call) else { panic!("no end") };
        assert_eq!(outcome.status.code, halfclose::Code::Unavailable);
    }
}

#[test]
fn any_bytes_are_life() {
    // As in C-core and grpc-go: the answer to a PING may be late behind much DATA, and a frame may take long.
    let mut peer = pinging(|_| {});
    let call = peer.start();
    peer.sent();
    let answer = block(&[(":status", "200"), ("content-type", "application/grpc")]);
    peer.feed(&headers(1, 0, &answer)).unwrap();
    peer.wait(30 * SECOND);
    assert_eq!(pings(&peer.sent()), 1);
    // A byte each second of a frame that never ends, and its PING unanswered for 21 seconds.
    let mut input = bytes::BytesMut::new();
    for byte in data(1, 0, &[0; 100]).into_iter().take(21) {
        peer.wait(SECOND);
        input.extend_from_slice(&[byte]);
        peer.core.receive(peer.now, &mut input).unwrap();
    }
    assert!(matches!(peer.core.recv(call), Ok(Recv::Pending)), "it lives");
    peer.wait(30 * SECOND - Duration::from_nanos(1));
    assert_eq!(pings(&peer.sent()), 0, "30 seconds after the last byte");
    peer.wait(Duration::from_nanos(1));
    // Passing the remaining input without a new byte is no sign of life.
    assert_eq!(pings(&peer.sent()), 1);
    for _ in 0..20 {
        peer.core.receive(peer.now, &mut input).unwrap();
        peer.wait(SECOND);
    }
    assert!(matches!(peer.core.recv(call), Ok(Recv::End(outcome)) if !outcome.status.is_ok()));
}

#[test]
fn pings_of_others_do_not_answer_ours() {
    let mut peer = pinging(|_| {});
    peer.start();
    peer.sent();
    peer.wait(30 * SECOND);
    assert_eq!(pings(&peer.sent()), 1);
    for data in [b"hc-drain", b"no-alive"] {
        peer.feed(&frame(kind::PING, ACK, 0, data)).unwrap();
    }
    assert_eq!(peer.core.poll_timeout(), Some((at(50), TimerKind::KeepaliveTimeout)));
}

/// Creates a server that sends no PINGs.
fn quiet(change: impl FnOnce(&mut Config)) -> Scripted<Server> {
    let mut config = Config::server();
    config.keepalive.interval = None;
    change(&mut config);
    Scripted::server(config, &[])
}

#[test]
fn a_connection_is_idle_from_its_last_call_on() {
    // P-100.
    let mut peer = quiet(|config| config.max_idle = Some(60 * SECOND));
    assert_eq!(peer.core.poll_timeout(), Some((at(60), TimerKind::Idle)));
    peer.wait(20 * SECOND);
    let first = peer.open(1);
    assert_eq!(peer.core.poll_timeout(), None);
    let second = peer.open(3);
    peer.core.finish(first, Status::ok(), Metadata::new()).unwrap();
    peer.sent();
    assert_eq!(peer.core.poll_timeout(), None, "the second goes on");
    peer.wait(100 * SECOND);
    peer.core.finish(second, Status::ok(), Metadata::new()).unwrap();
    peer.sent();
    assert_eq!(peer.core.poll_timeout(), Some((at(180), TimerKind::Idle)));
    // A connection that is shutting down does not time out as idle as well.
    peer.core.shutdown(peer.now);
    assert_eq!(peer.core.poll_timeout(), Some((at(125), TimerKind::DrainPing)));
    let mut peer = quiet(|config| config.max_idle = Some(60 * SECOND));
    peer.open(1);
    peer.core.shutdown(peer.now);
    peer.feed(&reset(1, ErrorCode::CANCEL)).unwrap();
    assert_eq!(peer.core.poll_timeout(), Some((at(5), TimerKind::DrainPing)));
}

#[test]
fn the_calls_that_outlive_a_shutdown_are_cut() {
    let mut peer = quiet(|config| config.drain_timeout = Some(7 * SECOND));
    let call = peer.open(1);
    peer.core.shutdown(peer.now);
    peer.sent();
    peer.feed(&frame(kind::PING, ACK, 0, b"hc-drain")).unwrap();
    assert_eq!(peer.core.poll_timeout(), Some((at(7), TimerKind::Drain)));
    peer.sent();
    peer.wait(7 * SECOND);
    let sent = peer.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].kind, sent[0].code()), (kind::GOAWAY, Some(ErrorCode::NO_ERROR)));
    assert_eq!((sent[0].word(0), &sent[0].payload[8..]), (Some(1), b"drain_timeout".as_slice()));
    let closed = ConnectionError::Closed { code: ErrorCode::NO_ERROR, debug: "drain_timeout".into() };
    assert_eq!(
        peer.events(),
        [Event::Ended(call, Cause::Connection), Event::Closed(CloseReason::Error(closed.clone()))]
    );
    assert_eq!(peer.feed(&settings(&[])), Err(closed));
    assert_eq!(peer.core.poll_timeout(), None);
}

#[test]
fn the_time_to_drain_counts_from_the_first_word_of_the_end() {
    let mut config = Config::client();
    config.drain_timeout = Some(10 * SECOND);
    let mut peer = Scripted::<Client>::client(config, &[]);
    peer.start();
    peer.sent();
    peer.feed(&goaway(1, ErrorCode::NO_ERROR)).unwrap();
    assert_eq!(peer.core.poll_timeout(), Some((at(10), TimerKind::Drain)));
    peer.wait(4 * SECOND);
    peer.feed(&goaway(1, ErrorCode::NO_ERROR)).unwrap();
    peer.core.shutdown(peer.now);
    assert_eq!(peer.core.poll_timeout(), Some((at(10), TimerKind::Drain)));
}

#[test]
fn a_timer_of_the_connection_comes_before_a_deadline_of_the_same_time() {
    let mut peer = pinging(|_| {});
    let mut request = halfclose::Request::new("/demo.Echo/Call", halfclose::CallType::BIDI);
    request.deadline = Some(at(30));
    let call = peer.core.start(peer.now, request.clone()).unwrap();
    peer.sent();
    assert_eq!(peer.core.poll_timeout(), Some((at(30), TimerKind::Keepalive)));
    request.deadline = Some(at(29));
    peer.core.start(peer.now, request).unwrap();
    assert_eq!(peer.core.poll_timeout(), Some((at(29), TimerKind::Deadline)));
    peer.wait(30 * SECOND);
    assert!(matches!(peer.core.recv(call), Ok(Recv::End(outcome)) if outcome.cause == Cause::Deadline));
}

#[test]
fn a_closed_connection_has_no_timers() {
    type Close = fn(&mut Scripted<Server>);
    let closings: [Close; 3] = [
        |peer| peer.core.close(peer.now, ErrorCode::NO_ERROR, "over"),
        |peer| peer.core.receive_eof(peer.now),
        |peer| assert!(peer.feed(&frame(kind::PING, 0, 0, b"short")).is_err()),
    ];
    for close in closings {
        let mut peer = quiet(|config| {
            (config.max_idle, config.max_age) = (Some(60 * SECOND), Some(60 * SECOND));
            config.drain_timeout = Some(60 * SECOND);
        });
        peer.open(1);
        close(&mut peer);
        assert_eq!(peer.core.poll_timeout(), None);
        peer.core.shutdown(peer.now);
        assert_eq!(peer.core.poll_timeout(), None);
    }
}

#[test]
fn time_that_runs_backwards_is_no_time() {
    let mut peer = quiet(|config| config.max_idle = Some(60 * SECOND));
    peer.now = at(50);
    peer.feed(&frame(kind::PING, 0, 0, b"pingpong")).unwrap();
    peer.now = Time::ZERO;
    let call = peer.open(1);
    peer.core.finish(call, Status::ok(), Metadata::new()).unwrap();
    peer.sent();
    assert_eq!(peer.core.poll_timeout(), Some((at(110), TimerKind::Idle)));
}
