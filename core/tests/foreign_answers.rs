//! Answers that are not gRPC: a bounded part of their text becomes part of the status (P-28, P-29).

mod common;

use common::{Scripted, credit};
use halfclose::frame::ErrorCode;
use std::time::Duration;

use halfclose::{
    CallId, CallType, Cause, Client, Code, Config, ConnectionError, Flood, Outcome, Recv, Request, Time,
    TimerKind, Violation,
};
use halfclose_wire::{END_STREAM, Frame, TRAILERS_ONLY, block, data, headers, kind, reset};

/// The most bytes of the text that are kept.
const MOST: usize = 1024;

fn answered(config: Config) -> (Scripted<Client>, CallId) {
    let mut peer = Scripted::<Client>::client(config, &[]);
    let call = peer.start();
    peer.core.half_close(call).unwrap();
    peer.sent();
    peer.feed(&headers(1, 0, &block(&[(":status", "503"), ("content-type", "text/html")]))).unwrap();
    (peer, call)
}

fn end(peer: &mut Scripted<Client>, call: CallId) -> Option<Outcome> {
    match peer.core.recv(call).unwrap() {
        Recv::End(outcome) => Some(outcome),
        Recv::Pending => None,
        other => panic!("{other:?}"),
    }
}

fn text(outcome: &Outcome) -> usize {
    let (_, text) = outcome.status.message().rsplit_once(": ").unwrap_or_default();
    text.chars().filter(|letter| *letter == 'x').count()
}

#[test]
fn the_call_ends_with_the_answer_or_once_its_text_is_full() {
    // Bytes of each DATA frame, whether the last one ends the stream, and the text that is kept; `None` if the call
    // continues.
    let table: [(&[usize], bool, Option<usize>); 9] = [
        (&[10], false, None),
        (&[10], true, Some(10)),
        (&[MOST - 1], false, None),
        (&[MOST - 1, 1], false, Some(MOST)),
        (&[MOST], false, Some(MOST)),
        (&[MOST + 1], true, Some(MOST)),
        (&[600, 600], false, Some(MOST)),
        (&[600, 0], true, Some(600)),
        (&[0], true, Some(0)),
    ];
    for (frames, ends, kept) in table {
        let (mut peer, call) = answered(Config::client());
        for (n, bytes) in frames.iter().enumerate() {
            let flags = if ends && n + 1 == frames.len() { END_STREAM } else { 0 };
            peer.feed(&data(1, flags, &vec![b'x'; *bytes])).unwrap();
        }
        let outcome = end(&mut peer, call);
        assert_eq!(outcome.as_ref().map(text), kept, "{frames:?}");
        let reset = peer.sent().iter().find(|frame| frame.kind == kind::RST_STREAM).and_then(Frame::code);
        assert_eq!(reset, (kept.is_some() && !ends).then_some(ErrorCode::CANCEL), "{frames:?}");
        if let Some(outcome) = outcome {
            assert_eq!((outcome.status.code, outcome.cause), (Code::Unavailable, Cause::Http(503)));
        }
    }
}

#[test]
fn what_cannot_be_printed_is_escaped() {
    let (mut peer, call) = answered(Config::client());
    peer.feed(&data(1, END_STREAM, b"<p>\n\xff")).unwrap();
    let outcome = end(&mut peer, call).unwrap();
    let message = outcome.status.message();
    assert!(message.ends_with(": <p>\\n\u{fffd}"), "{message:?}");
}

/// Creates a client whose limits are the bytes of the text, the time for it, and the call's own deadline, if they are
/// not the defaults.
fn limited(bytes: u32, timeout: Duration, deadline: Option<Duration>) -> (Scripted<Client>, CallId) {
    let mut config = Config::client();
    (config.limits.non_grpc_body, config.limits.non_grpc_body_timeout) = (bytes, timeout);
    let mut peer = Scripted::<Client>::client(config, &[]);
    let mut request = Request::new("/demo.Echo/Call", CallType::BIDI);
    request.deadline = deadline.map(|span| Time::ZERO + span);
    let call = peer.core.start(peer.now, request).unwrap();
    peer.core.half_close(call).unwrap();
    peer.sent();
    (peer, call)
}

const WEB_PAGE: [(&str, &str); 2] = [(":status", "200"), ("content-type", "text/html")];

#[test]
fn a_page_that_never_ends_is_bounded_in_time() {
    let second = Duration::from_secs(1);
    let early = Duration::from_nanos(1);
    for (head, code) in [
        (&WEB_PAGE[..], Code::Unknown),
        (&[(":status", "200")], Code::Unknown),
        (&[(":status", "503"), ("content-type", "text/html")], Code::Unavailable),
        (&[(":status", "404")], Code::Unimplemented),
        (&[(":status", "204"), ("content-type", "application/grpc")], Code::Unknown),
    ] {
        for text in [&b""[..], b"<p>wait"] {
            let (mut peer, call) = limited(1_024, 3 * second, None);
            // The time counts from the headers, not from the start of the call.
            peer.wait(60 * second);
            peer.feed(&headers(1, 0, &block(head))).unwrap();
            peer.wait(second);
            peer.feed(&data(1, 0, text)).unwrap();
            peer.wait(2 * second - early);
            assert!(end(&mut peer, call).is_none(), "{head:?}");
            assert_eq!(peer.core.poll_timeout(), Some((peer.now + early, TimerKind::Deadline)));
            peer.wait(early);
            let outcome = end(&mut peer, call).expect("an end");
            assert_eq!(outcome.status.code, code, "{head:?}");
            assert!(matches!(outcome.cause, Cause::Http(_)), "{outcome:?}");
            let message = outcome.status.message();
            assert_eq!(message.ends_with(": <p>wait"), !text.is_empty(), "{message}");
            let reset = peer.sent().iter().find_map(Frame::code);
            assert_eq!(reset, Some(ErrorCode::CANCEL));
            // No timer is left, and the next call works.
            assert_eq!(peer.core.poll_timeout(), None);
            peer.wait(60 * second);
            let next = peer.start();
            peer.core.half_close(next).unwrap();
            peer.sent();
            peer.feed(&headers(3, END_STREAM, &block(&TRAILERS_ONLY))).unwrap();
            assert_eq!(end(&mut peer, next).unwrap().status.code, Code::NotFound);
        }
    }
}

#[test]
fn by_default_it_has_three_seconds() {
    let (mut peer, call) = answered(Config::client());
    peer.wait(Duration::from_millis(2_999));
    assert!(end(&mut peer, call).is_none());
    peer.wait(Duration::from_millis(1));
    assert_eq!(end(&mut peer, call).unwrap().status.code, Code::Unavailable);
}

#[test]
fn a_deadline_that_comes_first_is_the_calls_own() {
    let second = Duration::from_secs(1);
    for (deadline, code) in [(2, Code::DeadlineExceeded), (3, Code::DeadlineExceeded), (4, Code::Unknown)] {
        let (mut peer, call) = limited(1_024, 3 * second, Some(deadline * second));
        peer.feed(&headers(1, 0, &block(&WEB_PAGE))).unwrap();
        peer.wait(deadline.min(3) * second);
        assert_eq!(end(&mut peer, call).unwrap().status.code, code, "{deadline}");
        assert_eq!(peer.core.poll_timeout(), None);
    }
}

#[test]
fn the_timer_of_a_page_goes_with_its_call() {
    let second = Duration::from_secs(1);
    type End = fn(&mut Scripted<Client>, CallId);
    let ends: [(&str, End); 5] = [
        ("cancelled", |peer, call| peer.core.cancel(call).unwrap()),
        ("released", |peer, call| drop(peer.core.release(call))),
        ("reset", |peer, _| peer.feed(&reset(1, ErrorCode::INTERNAL_ERROR)).unwrap()),
        ("ended", |peer, _| peer.feed(&data(1, END_STREAM, b"<p>")).unwrap()),
        ("trailers", |peer, _| peer.feed(&headers(1, END_STREAM, &block(&[("grpc-status", "5")]))).unwrap()),
    ];
    for (name, ends) in ends {
        let (mut peer, call) = limited(1_024, 3 * second, None);
        peer.feed(&headers(1, 0, &block(&WEB_PAGE))).unwrap();
        assert!(peer.core.poll_timeout().is_some(), "{name}");
        ends(&mut peer, call);
        assert_eq!(peer.core.poll_timeout(), None, "{name}");
    }
}

#[test]
fn its_bytes_are_a_limit_too() {
    for (limit, kept) in [(0, 0), (1, 1), (10, 10), (2_000, 2_000)] {
        let (mut peer, call) = limited(limit, Duration::from_secs(3), None);
        peer.feed(&headers(1, 0, &block(&WEB_PAGE))).unwrap();
        if limit > 1 {
            peer.feed(&data(1, 0, &vec![b'x'; limit as usize - 1])).unwrap();
            assert!(end(&mut peer, call).is_none(), "{limit}");
        }
        peer.feed(&data(1, 0, b"x")).unwrap();
        let outcome = end(&mut peer, call).unwrap();
        assert_eq!((text(&outcome), outcome.status.code), (kept, Code::Unknown), "{limit}");
    }
}

#[test]
fn frames_without_text_are_counted_as_anywhere_else() {
    let (mut peer, _) = limited(1_024, Duration::from_secs(3), None);
    peer.feed(&headers(1, 0, &block(&WEB_PAGE))).unwrap();
    let flood = (0..10_000).find_map(|_| peer.feed(&data(1, 0, b"")).err());
    let Some(ConnectionError::Violation(Violation::Flood { flood, .. })) = flood else { panic!("{flood:?}") };
    assert_eq!(flood, Flood::DataFrames);
}

#[test]
fn the_text_is_credited_as_it_comes() {
    let mut config = Config::client();
    (config.initial_stream_window, config.max_stream_window) = (100, 100);
    let (mut peer, call) = answered(config);
    let mut credited = 0;
    for _ in 0..10 {
        peer.feed(&data(1, 0, &[b'x'; 100])).unwrap();
        credited += credit(&peer.sent(), 1);
    }
    assert_eq!(credited, 1_000);
    assert!(end(&mut peer, call).is_none());
}
