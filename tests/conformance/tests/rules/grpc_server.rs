//! What a server makes of a client's requests (P-1 to P-19, P-40 to P-61, P-72, P-73).

use halfclose::frame::ErrorCode;
use halfclose::{Config, Event, Metadata, Recv, Server, Shape, Status};
use halfclose_conformance::Peer;
use halfclose_conformance::case::{fields_of, request_of, request_with, value};
use halfclose_wire::{
    END_STREAM, Frame, REQUEST, block, data, flagged, headers, kind::RST_STREAM, literal, message,
};

type Fields<'a> = &'a [(&'a str, &'a str)];

/// `:status` and `grpc-status` of the answer that the library itself gives to a request with these fields.
fn refusal(fields: &[(&str, &str)]) -> (String, String) {
    let (mut peer, call) = request_of(Config::server(), fields, &message(b"m"));
    assert_eq!(call, None, "no handler hears of it");
    let fields = fields_of(&peer.sent());
    let text = |name| value(&fields, name).unwrap_or_default().to_owned();
    (text(":status"), text("grpc-status"))
}

fn is_taken(fields: &[(&str, &str)]) -> bool {
    request_of(Config::server(), fields, &message(b"m")).1.is_some()
}

#[test]
fn requests_that_are_refused_are_answered() {
    let table: [(&str, Fields<'_>, &str, &str); 9] = [
        ("P-2", &[(":method", "GET")], "405", "13"),
        ("P-2", &[(":method", "PUT")], "405", "13"),
        ("P-8", &[("content-type", "text/plain")], "415", "2"),
        ("P-8", &[("content-type", "application/grpcx")], "415", "2"),
        ("P-7", &[("grpc-timeout", "123456789S")], "400", "13"),
        ("P-7", &[("grpc-timeout", "1")], "400", "13"),
        ("P-7", &[("grpc-timeout", "-1S")], "400", "13"),
        ("P-10", &[("grpc-encoding", "snappy")], "200", "12"),
        ("P-43", &[("x-bin", "a!b")], "200", "13"),
    ];
    for (rule, changes, http, grpc) in table {
        let expected = (http.to_owned(), grpc.to_owned());
        assert_eq!(refusal(&request_with(changes)), expected, "{rule} {changes:?}");
    }
}

#[test]
fn requests_that_are_taken() {
    let table: [Fields<'_>; 8] = [
        &[("content-type", "application/grpc+proto")],
        &[("content-type", "application/grpc;charset=utf-8")],
        &[("grpc-timeout", "99999999H")],
        &[("grpc-message-type", "demo.Word")],
        &[("grpc-encoding", "identity")],
        &[("x-high", "caf\u{e9}")],
        &[("x-bin", "q6ur")],
        &[("x-bin", "q6urqw==,qw")],
    ];
    for changes in table {
        assert!(is_taken(&request_with(changes)), "{changes:?}");
    }
    let without_te: Vec<_> = REQUEST.iter().copied().filter(|field| field.0 != "te").collect();
    assert!(is_taken(&without_te), "P-6: lenient by default");
    let mut strict = Config::server();
    strict.require_te = true;
    assert_eq!(request_of(strict, &without_te, &message(b"m")).1, None, "P-6: and strict on demand");
}

#[test]
fn the_list_of_encodings_comes_with_the_refusal_of_one() {
    let (mut peer, _) =
        request_of(Config::server(), &request_with(&[("grpc-encoding", "snappy")]), &message(b"m"));
    let fields = fields_of(&peer.sent());
    let accepted = value(&fields, "grpc-accept-encoding").expect("P-10").to_owned();
    for name in ["identity", "gzip", "deflate", "zstd"] {
        assert!(accepted.split(',').any(|accepted| accepted == name), "{accepted}");
    }
}

#[test]
fn several_authorities_are_refused_and_host_stands_in_for_one() {
    let twice = [literal(b":authority", b"one"), block(&request_with(&[]))].concat();
    let mut peer = Peer::server(Config::server());
    peer.feed(&headers(1, END_STREAM, &twice)).expect("it costs the stream only");
    let sent = peer.sent();
    // RFC 9113 §8.3.1 makes a pseudo-header field that stands twice malformed; gRFC A41 answers 400. Either refuses it.
    let reset =
        sent.iter().any(|frame| frame.kind == RST_STREAM && frame.code() == Some(ErrorCode::PROTOCOL_ERROR));
    assert!(reset || value(&fields_of(&sent), ":status") == Some("400"));

    let mut fields: Vec<_> = REQUEST.iter().copied().filter(|field| field.0 != ":authority").collect();
    fields.push(("host", "example.org"));
    let (peer, call) = request_of(Config::server(), &fields, &message(b"m"));
    let head = peer.connection.request(call.expect("a good request")).expect("the call is there");
    assert_eq!(head.authority(), Some("example.org"), "P-5");
}

#[test]
fn messages_that_break_a_rule_end_their_call() {
    let gzip = request_with(&[("grpc-encoding", "gzip")]);
    let plain = request_with(&[]);
    let table: [(&str, Fields<'_>, Vec<u8>, &str); 6] = [
        ("P-50", &plain, flagged(2, b"m"), "13"),
        ("P-51", &plain, flagged(1, b"m"), "13"),
        ("P-53", &gzip, flagged(1, b"no gzip"), "13"),
        ("P-54", &plain, vec![0, 0x40, 0, 0, 1], "8"),
        ("P-54", &plain, vec![0, 0xff, 0xff, 0xff, 0xff], "8"),
        ("P-56", &plain, message(b"cut")[..6].to_vec(), "13"),
    ];
    for (rule, fields, body, expected) in table {
        let (mut peer, call) = request_of(Config::server(), fields, &body);
        if let Some(call) = call {
            // A handler that asks is told; the status goes out by itself.
            let _ = peer.connection.accept(call, Shape::UNARY);
            while matches!(peer.connection.recv(call), Ok(Recv::Message(_))) {}
        }
        let fields = fields_of(&peer.sent());
        assert_eq!(value(&fields, "grpc-status"), Some(expected), "{rule}");
    }
}

#[test]
fn one_request_means_one() {
    for (count, text) in [(0, "no request message"), (2, "more than one request message")] {
        let (mut peer, call) = request_of(Config::server(), &request_with(&[]), &message(b"m").repeat(count));
        let call = call.expect("a good request");
        peer.connection.accept(call, Shape::SERVER_STREAMING).expect("an open call");
        while matches!(peer.connection.recv(call), Ok(Recv::Message(_))) {}
        let fields = fields_of(&peer.sent());
        assert_eq!((value(&fields, "grpc-status"), value(&fields, "grpc-message")), (Some("12"), Some(text)));
    }
}

#[test]
fn a_request_is_complete_with_its_half_close_only() {
    let mut peer = Peer::server(Config::server());
    let call = peer.open(1, 0);
    peer.connection.accept(call, Shape::UNARY).expect("an open call");
    peer.feed(&data(1, 0, &message(b"m"))).expect("a message");
    assert!(matches!(peer.connection.recv(call), Ok(Recv::Message(_))));
    assert!(matches!(peer.connection.recv(call), Ok(Recv::Pending)), "P-75");
    peer.feed(&data(1, END_STREAM, &[])).expect("P-17: an empty DATA frame half-closes");
    assert!(matches!(peer.connection.recv(call), Ok(Recv::HalfClosed)));
}

#[test]
fn an_early_status_tells_the_client_to_stop() {
    let mut peer = Peer::server(Config::server());
    let call = peer.open(1, 0);
    peer.connection.finish(call, Status::ok(), Metadata::new()).expect("the first status");
    let sent = peer.sent();
    let order: Vec<u8> = sent.iter().map(|frame| frame.kind).collect();
    assert!(
        sent.first().is_some_and(Frame::ends_stream) && order.ends_with(&[RST_STREAM]),
        "P-31: {order:?}"
    );
    assert_eq!(sent.last().and_then(Frame::code), Some(ErrorCode::NO_ERROR));
}

#[test]
fn headers_wait_for_the_first_message_and_trailers_for_the_last() {
    let (mut peer, call) = request_of(Config::server(), &request_with(&[]), &message(b"m"));
    let call = call.expect("a good request");
    assert_eq!(peer.sent(), Vec::new(), "P-33: nothing before the handler says so");
    peer.connection.send_message(call, "reply".into(), false).expect("a message");
    peer.connection.finish(call, Status::ok(), Metadata::new()).expect("the first status");
    let sent = peer.sent();
    assert_eq!(sent.iter().map(Frame::ends_stream).collect::<Vec<_>>(), [false, false, true], "P-20, P-21");
    assert_eq!(sent[1].payload, message(b"reply"));
}

#[test]
fn a_status_at_once_is_trailers_only() {
    let (mut peer, call) = request_of(Config::server(), &request_with(&[]), &message(b"m"));
    let status = Status::not_found("100% of it: \n");
    peer.connection.finish(call.expect("a good request"), status, Metadata::new()).expect("the first status");
    let sent = peer.sent();
    assert!(sent.len() == 1 && sent[0].ends_stream(), "P-22");
    let fields = fields_of(&sent);
    assert_eq!(value(&fields, ":status"), Some("200"));
    assert_eq!(value(&fields, "grpc-status"), Some("5"));
    assert_eq!(value(&fields, "grpc-message"), Some("100%25 of it: %0A"), "P-44");
}

#[test]
fn streams_over_the_limit_are_refused() {
    let mut config = Config::server();
    config.limits.max_concurrent_streams = 1;
    let mut peer = Peer::<Server>::server(config);
    peer.open(1, 0);
    peer.feed(&headers(3, END_STREAM, &block(&REQUEST))).expect("it costs the stream only");
    let refused = peer.sent().iter().find(|frame| frame.stream == 3).and_then(Frame::code);
    assert_eq!((refused, peer.events()), (Some(ErrorCode::REFUSED_STREAM), Vec::<Event>::new()), "P-19");
}
