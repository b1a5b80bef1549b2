//! How a client handles a server's answers (P-20 to P-33, P-50 to P-61, P-70, P-71, P-74, and sections 1.3 and 1.4).

use std::time::Duration;

use halfclose::frame::ErrorCode;
use halfclose::{CallType, CardinalityPolicy, Cause, Client, Code, Config, Recv, Request};
use halfclose_conformance::Peer;
use halfclose_conformance::ask::{outcome_of, outcome_with};
use halfclose_wire::{
    END_STREAM, Frame, RESPONSE, TRAILERS, TRAILERS_ONLY, block, data, headers, kind::RST_STREAM, message,
    reset,
};

fn head() -> Vec<u8> {
    headers(1, 0, &block(&RESPONSE))
}

fn trailers() -> Vec<u8> {
    headers(1, END_STREAM, &block(&TRAILERS))
}

/// Returns the status of a unary call that is answered with these bytes.
fn code(bytes: &[&[u8]]) -> Code {
    outcome_of(&bytes.concat()).1.status.code
}

#[test]
fn grpc_errors_only_a_refused_stream_was_not_processed() {
    for wire in (0..=13).map(ErrorCode).chain([ErrorCode(0x1234)]) {
        for before in [Vec::new(), head(), [head(), data(1, 0, &message(b"whole"))].concat()] {
            let unanswered = before.is_empty();
            let (_, outcome) = outcome_of(&[before, reset(1, wire)].concat());
            assert!(!outcome.status.is_ok());
            // A server that has begun to answer has processed the call, whatever its reset says.
            let refused = wire == ErrorCode::REFUSED_STREAM && unanswered;
            assert_eq!(outcome.not_processed(), refused, "{wire}");
        }
    }
}

#[test]
fn p22_trailers_only_ends_the_call_in_one_block() {
    let (messages, outcome) = outcome_of(&headers(1, END_STREAM, &block(&TRAILERS_ONLY)));
    assert_eq!(
        (messages.len(), outcome.status.code, outcome.cause),
        (0, Code::NotFound, Cause::TrailersOnly)
    );
}

#[test]
fn p26_a_stream_that_ends_without_trailers_is_never_ok() {
    let (_, outcome) = outcome_of(&[head(), data(1, END_STREAM, &message(b"m"))].concat());
    assert_eq!((outcome.status.code, outcome.cause), (Code::Internal, Cause::MissingTrailers));
    let (messages, outcome) = outcome_of(&[head(), data(1, END_STREAM, &message(b"cut")[..6])].concat());
    assert_eq!((messages.len(), outcome.status.code), (0, Code::Internal), "no partial message");
}

#[test]
fn p28_another_content_type_is_unknown_and_its_text_is_kept() {
    let html = headers(1, 0, &block(&[(":status", "200"), ("content-type", "text/html")]));
    let (_, outcome) = outcome_of(&[html, data(1, END_STREAM, b"<h1>a proxy</h1>")].concat());
    assert_eq!(outcome.status.code, Code::Unknown);
    for part in ["200", "text/html", "a proxy"] {
        assert!(outcome.status.message().contains(part), "{} names {part}", outcome.status.message());
    }
}

#[test]
fn p54_the_receive_limit_at_its_edge() {
    for (size, expected) in [(100, Code::Ok), (101, Code::ResourceExhausted)] {
        let mut config = Config::client();
        config.limits.max_receive_message = 100;
        let bytes = [head(), data(1, 0, &message(&vec![7; size])), trailers()].concat();
        let (_, outcome) = outcome_with(config, CallType::UNARY, &bytes);
        assert_eq!(outcome.status.code, expected, "{}", outcome.status);
    }
}

#[test]
fn p70_p71_p74_one_response_means_one() {
    for (policy, expected) in [
        (CardinalityPolicy::Unimplemented, Code::Unimplemented),
        (CardinalityPolicy::Internal, Code::Internal),
    ] {
        for bodies in [0, 2] {
            let mut config = Config::client();
            config.cardinality = policy;
            let body = message(b"m").repeat(bodies);
            let bytes = [head(), data(1, 0, &body), trailers()].concat();
            let (_, outcome) = outcome_with(config, CallType::CLIENT_STREAMING, &bytes);
            assert_eq!(outcome.status.code, expected, "{bodies} responses");
        }
    }
    // P-74: another status has priority over the number of messages.
    let failed = headers(1, END_STREAM, &block(&[("grpc-status", "5")]));
    assert_eq!(code(&[&head(), &data(1, 0, &message(b"m")), &failed]), Code::NotFound);
    assert_eq!(code(&[&head(), &failed]), Code::NotFound);
}

#[test]
fn p31_p88_an_early_end_tells_the_server_that_nothing_more_comes() {
    let mut peer = Peer::<Client>::client(Config::client());
    let call = peer.start(CallType::CLIENT_STREAMING);
    peer.sent();
    peer.feed(&headers(1, END_STREAM, &block(&TRAILERS_ONLY))).expect("an early status");
    let code = peer.sent().iter().find(|frame| frame.kind == RST_STREAM).and_then(Frame::code);
    assert_eq!(code, Some(ErrorCode::NO_ERROR), "P-31");
    assert!(peer.connection.send_message(call, "late".into(), false).is_err(), "P-88");
    let Ok(Recv::End(outcome)) = peer.connection.recv(call) else { panic!("the status is there") };
    assert_eq!(outcome.status.code, Code::NotFound);
}

#[test]
fn p84_the_deadline_ends_the_call_here() {
    let mut peer = Peer::<Client>::client(Config::client());
    let mut request = Request::new("/demo.Echo/Call", CallType::UNARY);
    request.deadline = Some(peer.now + Duration::from_secs(1));
    let call = peer.connection.start(peer.now, request).expect("a good request");
    peer.sent();
    peer.now = peer.now + Duration::from_secs(1);
    peer.connection.handle_timeout(peer.now);
    let code = peer.sent().iter().find(|frame| frame.kind == RST_STREAM).and_then(Frame::code);
    assert_eq!(code, Some(ErrorCode::CANCEL), "P-84");
    let Ok(Recv::End(outcome)) = peer.connection.recv(call) else { panic!("the call is over") };
    assert_eq!((outcome.status.code, outcome.cause), (Code::DeadlineExceeded, Cause::Deadline));
}

#[test]
fn p83_a_call_cancelled_before_it_left_leaves_nothing() {
    let mut peer = Peer::<Client>::client(Config::client());
    let first = peer.start(CallType::UNARY);
    peer.connection.cancel(first).expect("an open call");
    assert_eq!(peer.sent(), Vec::new(), "P-83");
    peer.start(CallType::UNARY);
    assert_eq!(peer.sent().first().map(|frame| frame.stream), Some(1), "its id is not burnt");
}
