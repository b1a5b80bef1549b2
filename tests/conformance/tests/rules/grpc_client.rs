//! What a client makes of a server's answers (P-20 to P-33, P-50 to P-61, P-70, P-71, P-74, and sections 1.3 and 1.4).

use std::time::Duration;

use halfclose::frame::ErrorCode;
use halfclose::{CardinalityPolicy, Cause, Client, Code, Config, Recv, Request, Shape};
use halfclose_conformance::Peer;
use halfclose_conformance::case::{outcome_of, outcome_with};
use halfclose_wire::{
    END_STREAM, Frame, RESPONSE, TRAILERS, TRAILERS_ONLY, block, data, flagged, headers, kind::RST_STREAM,
    message, reset,
};

fn head() -> Vec<u8> {
    headers(1, 0, &block(&RESPONSE))
}

fn trailers() -> Vec<u8> {
    headers(1, END_STREAM, &block(&TRAILERS))
}

/// The status of a unary call that is answered with these octets.
fn code(octets: &[&[u8]]) -> Code {
    outcome_of(&octets.concat()).1.status.code
}

#[test]
fn http_statuses_without_grpc_status() {
    let table = [
        ("400", Code::Internal),
        ("401", Code::Unauthenticated),
        ("403", Code::PermissionDenied),
        ("404", Code::Unimplemented),
        ("429", Code::Unavailable),
        ("502", Code::Unavailable),
        ("503", Code::Unavailable),
        ("504", Code::Unavailable),
        ("200", Code::Unknown),
        ("409", Code::Unknown),
        ("412", Code::Unknown),
        ("413", Code::Unknown),
        ("415", Code::Unknown),
        ("418", Code::Unknown),
        ("431", Code::Unknown),
        ("505", Code::Unknown),
        ("800", Code::Unknown),
    ];
    for (status, expected) in table {
        let answer = headers(1, END_STREAM, &block(&[(":status", status), ("content-type", "text/html")]));
        let (_, outcome) = outcome_of(&answer);
        assert_eq!(outcome.status.code, expected, "HTTP status {status}");
        assert!(
            outcome.status.message().contains(status),
            "the message names it: {}",
            outcome.status.message()
        );
    }
}

#[test]
fn a_grpc_status_wins_over_the_http_status() {
    let answer = headers(
        1,
        END_STREAM,
        &block(&[(":status", "503"), ("content-type", "application/grpc"), ("grpc-status", "7")]),
    );
    assert_eq!(code(&[&answer]), Code::PermissionDenied);
}

#[test]
fn reset_codes() {
    let table = [
        (ErrorCode::NO_ERROR, Code::Internal),
        (ErrorCode::PROTOCOL_ERROR, Code::Internal),
        (ErrorCode::INTERNAL_ERROR, Code::Internal),
        (ErrorCode::FLOW_CONTROL_ERROR, Code::Internal),
        (ErrorCode::SETTINGS_TIMEOUT, Code::Internal),
        (ErrorCode::STREAM_CLOSED, Code::Internal),
        (ErrorCode::FRAME_SIZE_ERROR, Code::Internal),
        (ErrorCode::REFUSED_STREAM, Code::Unavailable),
        (ErrorCode::CANCEL, Code::Cancelled),
        (ErrorCode::COMPRESSION_ERROR, Code::Internal),
        (ErrorCode::CONNECT_ERROR, Code::Internal),
        (ErrorCode::ENHANCE_YOUR_CALM, Code::ResourceExhausted),
        (ErrorCode::INADEQUATE_SECURITY, Code::PermissionDenied),
        (ErrorCode::HTTP_1_1_REQUIRED, Code::Internal),
        (ErrorCode(0x1234), Code::Unknown),
    ];
    for (wire, expected) in table {
        for before in [Vec::new(), head(), [head(), data(1, 0, &message(b"whole"))].concat()] {
            let (_, outcome) = outcome_of(&[before, reset(1, wire)].concat());
            assert_eq!(outcome.status.code, expected, "{wire}");
            assert_eq!(outcome.not_processed(), wire == ErrorCode::REFUSED_STREAM, "{wire}");
        }
    }
}

#[test]
fn a_complete_response_survives_the_reset_behind_it() {
    let (messages, outcome) = outcome_of(
        &[head(), data(1, 0, &message(b"whole")), trailers(), reset(1, ErrorCode::NO_ERROR)].concat(),
    );
    assert_eq!((messages, outcome.status.code), (vec![b"whole".to_vec()], Code::Ok));
}

#[test]
fn trailers_only_ends_the_call_in_one_block() {
    let (messages, outcome) = outcome_of(&headers(1, END_STREAM, &block(&TRAILERS_ONLY)));
    assert_eq!(
        (messages.len(), outcome.status.code, outcome.cause),
        (0, Code::NotFound, Cause::TrailersOnly)
    );
}

#[test]
fn a_status_in_headers_that_do_not_end_the_stream_is_ignored() {
    let early = block(&[(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "5")]);
    let late = headers(1, END_STREAM, &block(&[("grpc-status", "9")]));
    assert_eq!(code(&[&headers(1, 0, &early), &late]), Code::FailedPrecondition);
    assert_eq!(code(&[&headers(1, 0, &early), &data(1, END_STREAM, &message(b"m"))]), Code::Internal);
}

#[test]
fn a_second_header_block_that_does_not_end_the_stream_is_an_error() {
    let mut peer = Peer::<Client>::client(Config::client());
    let call = peer.start(Shape::BIDI);
    peer.sent();
    peer.feed(&[head(), headers(1, 0, &block(&TRAILERS))].concat()).expect("it costs the call only");
    let code = peer.sent().iter().find(|frame| frame.kind == RST_STREAM).and_then(Frame::code);
    assert_eq!(code, Some(ErrorCode::PROTOCOL_ERROR));
    let Ok(Recv::End(outcome)) = peer.connection.recv(call) else { panic!("the call is over") };
    assert_eq!(outcome.status.code, Code::Internal);
}

#[test]
fn a_stream_that_ends_without_trailers_is_never_ok() {
    let (_, outcome) = outcome_of(&[head(), data(1, END_STREAM, &message(b"m"))].concat());
    assert_eq!((outcome.status.code, outcome.cause), (Code::Internal, Cause::MissingTrailers));
    let (messages, outcome) = outcome_of(&[head(), data(1, END_STREAM, &message(b"cut")[..6])].concat());
    assert_eq!((messages.len(), outcome.status.code), (0, Code::Internal), "no partial message");
}

#[test]
fn statuses_on_the_wire() {
    for (text, expected) in [
        ("0", Code::Unknown),
        ("16", Code::Unauthenticated),
        ("17", Code::Unknown),
        ("99", Code::Unknown),
        ("x", Code::Unknown),
        ("", Code::Unknown),
        ("-1", Code::Unknown),
    ] {
        let answer = headers(
            1,
            END_STREAM,
            &block(&[(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", text)]),
        );
        // Status OK without a message is a cardinality violation, not OK.
        let expected = if text == "0" { Code::Unimplemented } else { expected };
        assert_eq!(code(&[&answer]), expected, "grpc-status {text:?}");
    }
}

#[test]
fn another_content_type_is_unknown_and_its_text_is_kept() {
    let html = headers(1, 0, &block(&[(":status", "200"), ("content-type", "text/html")]));
    let (_, outcome) = outcome_of(&[html, data(1, END_STREAM, b"<h1>a proxy</h1>")].concat());
    assert_eq!(outcome.status.code, Code::Unknown);
    for part in ["200", "text/html", "a proxy"] {
        assert!(outcome.status.message().contains(part), "{} names {part}", outcome.status.message());
    }
}

#[test]
fn malformed_binary_metadata_is_an_internal_error() {
    let bad = [("grpc-status", "0"), ("x-bin", "a!b")];
    assert_eq!(
        code(&[&head(), &data(1, 0, &message(b"m")), &headers(1, END_STREAM, &block(&bad))]),
        Code::Internal
    );
}

#[test]
fn messages_that_break_a_rule() {
    let gzip = headers(
        1,
        0,
        &block(&[(":status", "200"), ("content-type", "application/grpc"), ("grpc-encoding", "gzip")]),
    );
    let snappy = headers(
        1,
        0,
        &block(&[(":status", "200"), ("content-type", "application/grpc"), ("grpc-encoding", "snappy")]),
    );
    let table: [(&str, Vec<u8>, Vec<u8>, Code); 5] = [
        ("P-50", head(), flagged(2, b"m"), Code::Internal),
        ("P-51", head(), flagged(1, b"m"), Code::Internal),
        ("P-52", snappy, flagged(1, b"m"), Code::Internal),
        ("P-53", gzip.clone(), flagged(1, b"no gzip"), Code::Internal),
        ("P-54", head(), vec![0, 0, 0x40, 0, 1], Code::ResourceExhausted),
    ];
    for (rule, head, body, expected) in table {
        let (messages, outcome) = outcome_of(&[head, data(1, 0, &body), trailers()].concat());
        assert_eq!((messages.len(), outcome.status.code), (0, expected), "{rule}: {}", outcome.status);
    }
    // P-61: no octets that are said to be compressed are no octets.
    let (messages, outcome) = outcome_of(&[gzip.clone(), data(1, 0, &flagged(1, b"")), trailers()].concat());
    assert_eq!((messages, outcome.status.code), (vec![Vec::new()], Code::Ok));
    // P-57: a message that is not compressed is taken as it is, whatever encoding is set.
    assert_eq!(code(&[&gzip, &data(1, 0, &message(b"plain")), &trailers()]), Code::Ok);
}

#[test]
fn the_receive_limit_at_its_edge() {
    for (size, expected) in [(100, Code::Ok), (101, Code::ResourceExhausted)] {
        let mut config = Config::client();
        config.limits.max_receive_message = 100;
        let octets = [head(), data(1, 0, &message(&vec![7; size])), trailers()].concat();
        let (_, outcome) = outcome_with(config, Shape::UNARY, &octets);
        assert_eq!(outcome.status.code, expected, "{}", outcome.status);
    }
}

#[test]
fn one_response_means_one() {
    for (policy, expected) in [
        (CardinalityPolicy::Unimplemented, Code::Unimplemented),
        (CardinalityPolicy::Internal, Code::Internal),
    ] {
        for bodies in [0, 2] {
            let mut config = Config::client();
            config.cardinality = policy;
            let body = message(b"m").repeat(bodies);
            let octets = [head(), data(1, 0, &body), trailers()].concat();
            let (_, outcome) = outcome_with(config, Shape::CLIENT_STREAMING, &octets);
            assert_eq!(outcome.status.code, expected, "{bodies} responses");
        }
    }
    // P-74: another status wins over any count.
    let failed = headers(1, END_STREAM, &block(&[("grpc-status", "5")]));
    assert_eq!(code(&[&head(), &data(1, 0, &message(b"m")), &failed]), Code::NotFound);
    assert_eq!(code(&[&head(), &failed]), Code::NotFound);
}

#[test]
fn an_early_end_tells_the_server_that_nothing_more_comes() {
    let mut peer = Peer::<Client>::client(Config::client());
    let call = peer.start(Shape::CLIENT_STREAMING);
    peer.sent();
    peer.feed(&headers(1, END_STREAM, &block(&TRAILERS_ONLY))).expect("an early status");
    let code = peer.sent().iter().find(|frame| frame.kind == RST_STREAM).and_then(Frame::code);
    assert_eq!(code, Some(ErrorCode::NO_ERROR), "P-31");
    assert!(peer.connection.send_message(call, "late".into(), false).is_err(), "P-88");
    let Ok(Recv::End(outcome)) = peer.connection.recv(call) else { panic!("the status is there") };
    assert_eq!(outcome.status.code, Code::NotFound);
}

#[test]
fn the_deadline_ends_the_call_here() {
    let mut peer = Peer::<Client>::client(Config::client());
    let mut request = Request::new("/demo.Echo/Call", Shape::UNARY);
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
fn a_call_cancelled_before_it_left_leaves_nothing() {
    let mut peer = Peer::<Client>::client(Config::client());
    let first = peer.start(Shape::UNARY);
    peer.connection.cancel(first).expect("an open call");
    assert_eq!(peer.sent(), Vec::new(), "P-83");
    peer.start(Shape::UNARY);
    assert_eq!(peer.sent().first().map(|frame| frame.stream), Some(1), "its id is not burnt");
}
