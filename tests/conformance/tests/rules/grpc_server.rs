//! How a server handles a client's requests (P-1 to P-19, P-40 to P-61, P-72, P-73).

use halfclose::frame::ErrorCode;
use halfclose::{CallType, Config, Metadata, Recv, Status};
use halfclose_conformance::Peer;
use halfclose_conformance::ask::{fields_of, request_of, request_with, value};
use halfclose_wire::{END_STREAM, Frame, REQUEST, data, kind::RST_STREAM, message};

#[test]
fn p10_the_list_of_encodings_comes_with_the_refusal_of_one() {
    let (mut peer, _) =
        request_of(Config::server(), &request_with(&[("grpc-encoding", "snappy")]), &message(b"m"));
    let fields = fields_of(&peer.sent());
    let accepted = value(&fields, "grpc-accept-encoding").expect("P-10").to_owned();
    for name in ["identity", "gzip", "deflate", "zstd"] {
        assert!(accepted.split(',').any(|accepted| accepted == name), "{accepted}");
    }
}

#[test]
fn p5_host_stands_in_for_the_authority() {
    let mut fields: Vec<_> = REQUEST.iter().copied().filter(|field| field.0 != ":authority").collect();
    fields.push(("host", "example.org"));
    let (peer, call) = request_of(Config::server(), &fields, &message(b"m"));
    let head = peer.connection.request(call.expect("a good request")).expect("the call is there");
    assert_eq!(head.authority(), Some("example.org"), "P-5");
}

#[test]
fn p72_p73_one_request_means_one() {
    for (count, text) in [(0, "no request message"), (2, "more than one request message")] {
        let (mut peer, call) = request_of(Config::server(), &request_with(&[]), &message(b"m").repeat(count));
        let call = call.expect("a good request");
        peer.connection.accept(call, CallType::SERVER_STREAMING).expect("an open call");
        while matches!(peer.connection.recv(call), Ok(Recv::Message(_))) {}
        let fields = fields_of(&peer.sent());
        assert_eq!((value(&fields, "grpc-status"), value(&fields, "grpc-message")), (Some("12"), Some(text)));
    }
}

#[test]
fn p75_a_request_is_complete_with_its_half_close_only() {
    let mut peer = Peer::server(Config::server());
    let call = peer.open(1, 0);
    peer.connection.accept(call, CallType::UNARY).expect("an open call");
    peer.feed(&data(1, 0, &message(b"m"))).expect("a message");
    assert!(matches!(peer.connection.recv(call), Ok(Recv::Pending)), "P-75");
    peer.feed(&data(1, END_STREAM, &[])).expect("P-17: an empty DATA frame half-closes");
    assert!(matches!(peer.connection.recv(call), Ok(Recv::Message(_))));
    assert!(matches!(peer.connection.recv(call), Ok(Recv::HalfClosed)));
}

#[test]
fn p31_an_early_status_tells_the_client_to_stop() {
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
fn p33_headers_wait_for_the_first_message_and_trailers_for_the_last() {
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
fn p22_p44_a_status_at_once_is_trailers_only() {
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
