//! The end of the transport: of its receiving direction, while answers are still sent, and of both directions.

mod common;

use std::time::Duration;

use common::{Pair, Scripted};
use halfclose::{
    CallId, CallType, Cause, CloseReason, Code, Config, ConnectionError, Event, Metadata, Next, Recv, Server,
    Status, TimerKind,
};
use halfclose_wire::{
    END_STREAM, Frame, PREFACE, REQUEST, block, data, frame, headers, kind, message, settings,
};

const GRACE: Duration = Duration::from_secs(20);

/// Creates a server whose client sends these frames after its preface and acknowledges nothing.
fn server(frames: &[u8]) -> Scripted<Server> {
    let mut peer = Scripted::<Server>::silent(Config::server());
    peer.feed(&[PREFACE, &settings(&[]), frames].concat()).unwrap();
    peer.sent();
    peer
}

fn request(stream: u32, end: bool) -> Vec<u8> {
    let flags = if end { END_STREAM } else { 0 };
    [headers(stream, 0, &block(&REQUEST)), data(stream, flags, &message(b"ask"))].concat()
}

fn requests(peer: &mut Scripted<Server>) -> Vec<CallId> {
    let events = peer.events().into_iter();
    events.filter_map(|event| if let Event::Request(call) = event { Some(call) } else { None }).collect()
}

fn answer(peer: &mut Scripted<Server>, call: CallId) {
    assert!(matches!(peer.core.recv(call), Ok(Recv::Message(_))));
    peer.core.send_message(call, "answer".into(), false).unwrap();
    peer.core.finish(call, Status::ok(), Metadata::new()).unwrap();
}

/// Returns the streams of these frames of one kind.
fn streams(sent: &[Frame], kind: u8) -> Vec<u32> {
    sent.iter().filter(|frame| frame.kind == kind).map(|frame| frame.stream).collect()
}

fn eof() -> CloseReason {
    CloseReason::Error(ConnectionError::Eof)
}

#[test]
fn requests_that_are_complete_are_answered() {
    // The call was reported before the end, or after it because a handler takes time.
    for heard in [true, false] {
        let mut peer = server(&[request(1, true), request(3, true)].concat());
        let mut calls = if heard { requests(&mut peer) } else { Vec::new() };
        peer.core.receive_eof(peer.now);
        if !heard {
            calls = requests(&mut peer);
        }
        assert_eq!(calls.len(), 2);
        assert_eq!(peer.events(), []);
        assert_eq!(peer.core.poll_timeout(), Some((peer.now + GRACE, TimerKind::HalfClose)));
        assert_eq!(streams(&peer.sent(), kind::GOAWAY), [0], "nothing more is taken");
        peer.wait(GRACE / 2);
        answer(&mut peer, calls[0]);
        assert_eq!(streams(&peer.sent(), kind::DATA), [1]);
        assert_eq!(peer.events(), [Event::Ended(calls[0], Cause::Trailers)]);
        answer(&mut peer, calls[1]);
        assert_eq!(streams(&peer.sent(), kind::DATA), [3]);
        let closed = Event::Closed(CloseReason::Graceful);
        assert_eq!(peer.events(), [Event::Ended(calls[1], Cause::Trailers), closed]);
        assert!(matches!(peer.core.poll(peer.now), Next::Close));
        assert_eq!(peer.core.poll_timeout(), None);
    }
}

#[test]
fn a_request_that_is_not_complete_ends_and_the_others_go_on() {
    let mut peer = server(&[request(1, true), request(3, false)].concat());
    let calls = requests(&mut peer);
    peer.core.receive_eof(peer.now);
    assert_eq!(peer.events(), [Event::Ended(calls[1], Cause::Connection)]);
    answer(&mut peer, calls[0]);
    assert_eq!(streams(&peer.sent(), kind::DATA), [1]);
    assert_eq!(peer.events(), [Event::Ended(calls[0], Cause::Trailers), Event::Closed(eof())]);
    assert_eq!(peer.feed(&settings(&[])), Err(ConnectionError::Eof));

    // A call that was not reported yet is reported, followed by its end.
    let mut peer = server(&request(1, false));
    peer.core.receive_eof(peer.now);
    let events = peer.events();
    assert!(
        matches!(events[..], [Event::PeerSettings, Event::Request(_), Event::Ended(..), Event::Closed(_)]),
        "{events:?}"
    );
}

#[test]
fn a_status_that_is_on_its_way_goes_out_whatever_was_asked() {
    let mut peer = server(&request(1, false));
    let call = requests(&mut peer)[0];
    peer.core.finish(call, Status::new(Code::OutOfRange, "enough"), Metadata::new()).unwrap();
    peer.core.receive_eof(peer.now);
    let sent = peer.sent();
    assert_eq!((streams(&sent, kind::HEADERS), streams(&sent, kind::RST_STREAM)), (vec![1], vec![1]));
    assert_eq!(
        peer.events(),
        [Event::Ended(call, Cause::TrailersOnly), Event::Closed(CloseReason::Graceful)]
    );

    // The library's own answers too, and it does not wait for the rest of a request that cannot arrive.
    let fields =
        block(&[(":method", "POST"), (":scheme", "http"), (":path", "/a/b"), ("content-type", "text/plain")]);
    let mut late = Scripted::<Server>::silent(Config::server());
    late.feed(&[PREFACE, &settings(&[]), &headers(1, 0, &fields)].concat()).unwrap();
    late.core.receive_eof(late.now);
    assert_eq!(streams(&late.sent(), kind::HEADERS), [1, 1]);
    assert_eq!(late.events().last(), Some(&Event::Closed(CloseReason::Graceful)));
}

#[test]
fn the_time_for_answers_is_bounded() {
    let mut peer = server(&request(1, true));
    let call = requests(&mut peer)[0];
    peer.core.receive_eof(peer.now);
    peer.wait(GRACE - Duration::from_nanos(1));
    assert_eq!(peer.events(), []);
    peer.wait(Duration::from_nanos(1));
    assert_eq!(peer.events(), [Event::Ended(call, Cause::Connection), Event::Closed(eof())]);

    // Without any calls they end at once.
    let mut config = Config::server();
    config.limits.half_close_timeout = Duration::ZERO;
    let mut peer = Scripted::<Server>::silent(config);
    peer.feed(&[PREFACE, &settings(&[]), &request(1, true)].concat()).unwrap();
    let call = requests(&mut peer)[0];
    peer.core.receive_eof(peer.now);
    assert_eq!(peer.events(), [Event::Ended(call, Cause::Connection), Event::Closed(eof())]);
}

#[test]
fn nothing_that_the_client_would_have_to_send_is_waited_for() {
    // The client has acknowledged no SETTINGS, and keepalive would be due long before the answer.
    let mut config = Config::server();
    config.keepalive.interval = Some(Duration::from_secs(1));
    (config.max_idle, config.max_age) = (Some(Duration::from_secs(2)), Some(Duration::from_secs(3)));
    let mut peer = Scripted::<Server>::silent(config);
    peer.feed(&[PREFACE, &settings(&[]), &request(1, true)].concat()).unwrap();
    let call = requests(&mut peer)[0];
    peer.core.shutdown(peer.now);
    peer.core.receive_eof(peer.now);
    peer.core.receive_eof(peer.now);
    peer.sent();
    peer.wait(GRACE - Duration::from_secs(1));
    assert!(peer.sent().is_empty() && peer.events().is_empty());
    answer(&mut peer, call);
    assert_eq!(streams(&peer.sent(), kind::DATA), [1]);
    assert_eq!(peer.events().last(), Some(&Event::Closed(CloseReason::Graceful)));
}

#[test]
fn a_poll_after_the_end_does_not_read() {
    let mut peer = server(&request(1, true));
    let call = requests(&mut peer)[0];
    peer.core.receive_eof(peer.now);
    peer.sent();
    let Next::Wait(wait) = peer.core.poll(peer.now) else { panic!("it waits for the handler") };
    assert!(!wait.may_read && !wait.wants_write && wait.until == Some(peer.now + GRACE));
    answer(&mut peer, call);
    assert!(matches!(peer.core.poll(peer.now), Next::Transmit(_)));
}

#[test]
fn a_clients_calls_end_with_what_the_transport_brings() {
    let mut pair = Pair::new();
    let call = pair.start(CallType::UNARY);
    pair.exchange();
    pair.client.receive_eof(pair.now);
    assert_eq!(pair.outcome(call).status.code, Code::Unavailable);
    assert_eq!(pair.client.poll_event(), Some(Event::Closed(eof())));
}

#[test]
fn a_transport_that_failed_ends_everything_and_takes_nothing() {
    for after_eof in [false, true] {
        let mut peer = server(&request(1, true));
        let call = requests(&mut peer)[0];
        if after_eof {
            peer.core.receive_eof(peer.now);
        }
        peer.core.send_message(call, "answer".into(), false).unwrap();
        peer.core.transport_failed(peer.now);
        assert!(peer.sent().is_empty());
        assert_eq!(peer.events(), [Event::Ended(call, Cause::Connection), Event::Closed(eof())]);
        assert!(matches!(peer.core.poll(peer.now), Next::Close));
        assert_eq!(peer.core.poll_timeout(), None);
    }
    // Bytes that cannot be written any more are no reason to wait.
    let mut pair = Pair::new();
    pair.client.close(pair.now, halfclose::frame::ErrorCode::NO_ERROR, "over");
    pair.client.transport_failed(pair.now);
    assert!(matches!(pair.client.poll(pair.now), Next::Event(Event::Closed(CloseReason::Error(_)))));
    assert!(matches!(pair.client.poll(pair.now), Next::Close));
}

#[test]
fn half_a_frame_before_the_end_is_no_graceful_end() {
    let half = &frame(kind::HEADERS, 0, 3, &block(&REQUEST));
    let mut peer = server(&[&request(1, true)[..], half].concat());
    let call = requests(&mut peer)[0];
    peer.core.receive_eof(peer.now);
    answer(&mut peer, call);
    peer.sent();
    assert_eq!(peer.events(), [Event::Ended(call, Cause::Trailers), Event::Closed(eof())]);
}
