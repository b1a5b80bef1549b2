//! RFC 9113 §8: messages that are malformed cost their stream, and never their connection.

use halfclose::Config;
use halfclose::frame::ErrorCode;
use halfclose_conformance::Peer;
use halfclose_conformance::case::request_with;
use halfclose_wire::{
    END_STREAM, Frame, RESPONSE, TRAILERS, block, data, headers, kind::RST_STREAM, literal, message,
};

type Fields<'a> = &'a [(&'a str, &'a str)];

/// What makes a request malformed: fields that replace those of a good one, or are added to it.
pub(crate) const REQUESTS: &[(&str, &str, Fields<'_>)] = &[
    ("RFC 9113 §8.2", "an upper-case name", &[("X-Case", "1")]),
    ("RFC 9113 §8.2.1", "a name with a space", &[("x case", "1")]),
    ("RFC 9113 §8.2.1", "a name with a colon", &[("x:case", "1")]),
    ("RFC 9113 §8.2.1", "an empty name", &[("", "1")]),
    ("RFC 9113 §8.2.1", "a value with CR", &[("x-split", "a\rb")]),
    ("RFC 9113 §8.2.1", "a value with LF", &[("x-split", "a\nb")]),
    ("RFC 9113 §8.2.1", "a value with NUL", &[("x-split", "a\0b")]),
    ("RFC 9113 §8.2.1", "a value that begins with a space", &[("x-space", " a")]),
    ("RFC 9113 §8.2.1", "a value that ends with a tab", &[("x-space", "a\t")]),
    ("RFC 9113 §8.2.2", "connection", &[("connection", "close")]),
    ("RFC 9113 §8.2.2", "keep-alive", &[("keep-alive", "1")]),
    ("RFC 9113 §8.2.2", "proxy-connection", &[("proxy-connection", "close")]),
    ("RFC 9113 §8.2.2", "transfer-encoding", &[("transfer-encoding", "chunked")]),
    ("RFC 9113 §8.2.2", "upgrade", &[("upgrade", "h2c")]),
    ("RFC 9113 §8.2.2", "te with another value than trailers", &[("te", "gzip")]),
    ("RFC 9113 §8.3", "an unknown pseudo-header field", &[(":fancy", "1")]),
    ("RFC 9113 §8.3", "a response's pseudo-header field", &[(":status", "200")]),
    ("RFC 9113 §8.3.1", "an empty path", &[(":path", "")]),
    ("RFC 9113 §8.3.1", "a path without a slash", &[(":path", "demo.Echo/Call")]),
    ("RFC 9113 §8.1.1", "a content-length that is no number", &[("content-length", "1x")]),
];

/// Requests that lack something, have it twice, or have it in the wrong order.
fn requests_out_of_shape() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let good = request_with(&[]);
    let without =
        |name: &str| block(&good.iter().copied().filter(|field| field.0 != name).collect::<Vec<_>>());
    let twice = |name: &'static str, value: &'static str| {
        [literal(name.as_bytes(), value.as_bytes()), block(&good)].concat()
    };
    vec![
        ("RFC 9113 §8.3.1", "no :method", without(":method")),
        ("RFC 9113 §8.3.1", "no :scheme", without(":scheme")),
        ("RFC 9113 §8.3.1", "no :path", without(":path")),
        ("RFC 9113 §8.3.1", ":method twice", twice(":method", "POST")),
        ("RFC 9113 §8.3.1", ":path twice", twice(":path", "/demo.Echo/Call")),
        ("RFC 9113 §8.3.1", ":scheme twice", twice(":scheme", "http")),
        ("RFC 9113 §8.3 (P-1)", "a pseudo-header field behind a regular one", {
            [literal(b"x-first", b"1"), block(&good)].concat()
        }),
    ]
}

fn reset(sent: &[Frame]) -> Option<ErrorCode> {
    sent.iter().find(|frame| frame.kind == RST_STREAM && frame.stream == 1).and_then(Frame::code)
}

/// The connection lives: the next request is served.
fn request_is_malformed(fields: &[u8]) -> bool {
    let mut peer = Peer::server(Config::server());
    peer.feed(&headers(1, 0, fields)).expect("a malformed request costs its stream only");
    let code = reset(&peer.sent());
    assert!(peer.events().is_empty(), "no handler hears of it");
    peer.open(3, END_STREAM);
    code == Some(ErrorCode::PROTOCOL_ERROR)
}

#[test]
fn malformed_requests_cost_their_stream() {
    let changed = REQUESTS.iter().map(|(rule, name, fields)| (*rule, *name, block(&request_with(fields))));
    let wrong: Vec<_> = changed
        .chain(requests_out_of_shape())
        .filter(|(_, _, fields)| !request_is_malformed(fields))
        .map(|(rule, name, _)| format!("{rule} {name}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_content_of_a_request_adds_up_to_its_content_length() {
    for (length, flags, octets) in [("3", 0, 4_usize), ("5", END_STREAM, 4)] {
        let mut peer = Peer::server(Config::server());
        peer.feed(&headers(1, 0, &block(&request_with(&[("content-length", length)]))))
            .expect("a good request");
        peer.feed(&data(1, flags, &vec![0; octets])).expect("it costs the stream only");
        assert_eq!(reset(&peer.sent()), Some(ErrorCode::PROTOCOL_ERROR), "content-length {length}");
    }
}

#[test]
fn a_request_has_no_trailers() {
    for flags in [0, END_STREAM] {
        let mut peer = Peer::server(Config::server());
        peer.open(1, 0);
        peer.feed(&headers(1, flags, &block(&[("x-late", "1")]))).expect("it costs the stream only");
        assert_eq!(reset(&peer.sent()), Some(ErrorCode::PROTOCOL_ERROR));
    }
}

/// What makes response headers malformed.
pub(crate) const RESPONSES: &[(&str, &str, Fields<'_>)] = &[
    ("RFC 9113 §8.3.2", "no :status", &[("content-type", "application/grpc")]),
    ("RFC 9113 §8.3.2", ":status twice", &[(":status", "200"), (":status", "200")]),
    ("RFC 9113 §8.3.2", "a status of two digits", &[(":status", "20")]),
    ("RFC 9113 §8.3.2", "a status that is no number", &[(":status", "2x0")]),
    ("RFC 9113 §8.3", "a request's pseudo-header field", &[(":status", "200"), (":path", "/")]),
    ("RFC 9113 §8.3", "a pseudo-header field behind a regular one", &[("x-first", "1"), (":status", "200")]),
    ("RFC 9113 §8.2", "an upper-case name", &[(":status", "200"), ("X-Case", "1")]),
    ("RFC 9113 §8.2.1", "a value with LF", &[(":status", "200"), ("x-split", "a\nb")]),
    ("RFC 9113 §8.2.2", "connection", &[(":status", "200"), ("connection", "close")]),
];

/// What makes trailers malformed.
pub(crate) const TRAILER_BLOCKS: &[(&str, &str, Fields<'_>)] = &[
    ("RFC 9113 §8.1", "a pseudo-header field in trailers", &[(":status", "200"), ("grpc-status", "0")]),
    ("RFC 9113 §8.2", "an upper-case name in trailers", &[("grpc-status", "0"), ("X-Case", "1")]),
    ("RFC 9113 §8.2.1", "a value with CR in trailers", &[("grpc-status", "0"), ("grpc-message", "a\rb")]),
];

fn response_is_malformed(octets: &[u8]) -> bool {
    let (_, outcome) = halfclose_conformance::case::outcome_of(octets);
    outcome.status.code == halfclose::Code::Internal && !outcome.not_processed()
}

#[test]
fn malformed_responses_are_internal_errors() {
    let heads = RESPONSES.iter().map(|(rule, name, fields)| (rule, name, headers(1, 0, &block(fields))));
    let trailers = TRAILER_BLOCKS.iter().map(|(rule, name, fields)| {
        let octets = [headers(1, 0, &block(&RESPONSE)), headers(1, END_STREAM, &block(fields))].concat();
        (rule, name, octets)
    });
    let wrong: Vec<_> = heads
        .chain(trailers)
        .filter(|(_, _, octets)| !response_is_malformed(octets))
        .map(|(rule, name, _)| format!("{rule} {name}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_content_of_a_response_adds_up_to_its_content_length() {
    let head = block(&[(":status", "200"), ("content-type", "application/grpc"), ("content-length", "3")]);
    let octets =
        [headers(1, 0, &head), data(1, 0, &message(b"four")), headers(1, END_STREAM, &block(&TRAILERS))]
            .concat();
    assert!(response_is_malformed(&octets));
}
