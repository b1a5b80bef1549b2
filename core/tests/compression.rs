//! Compressed messages: when messages are compressed, and which compressed ones are faulty (P-50 to P-53, P-57,
//! P-60).

mod common;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use common::{Backwards, Flip, Pair, Scripted};
use halfclose::grpc::compress::{Codecs, MessageCodec};
use halfclose::grpc::encoding::Encoding;
use halfclose::{
    CallId, CallType, Cause, Client, Code, Config, Event, Message, MessagePayload, Metadata, Misuse, Needed,
    Recv, Request, Server, Status,
};
use halfclose_wire::{END_STREAM, REQUEST, TRAILERS, block, data, flagged, headers};

fn pair() -> Pair {
    pair_with(Backwards::alone(), Backwards::alone())
}

fn pair_with(ours: Codecs, theirs: Codecs) -> Pair {
    let (mut client, mut server) = (Config::client(), Config::server());
    (client.codecs, server.codecs) = (ours, theirs);
    Pair::with(client, server)
}

fn gzip_call(pair: &mut Pair) -> (CallId, CallId) {
    let mut request = Request::new("/demo.Echo/Call", CallType::BIDI);
    request.encoding = Some(Encoding::Gzip);
    let call = pair.client.start(pair.now, request).unwrap();
    (call, pair.accept(CallType::BIDI))
}

fn message(payload: &'static str, compressed: bool) -> Message {
    Message { payload: payload.into(), compressed }
}

fn at_client(pair: &mut Pair, call: CallId) -> Message {
    pair.exchange();
    match pair.client.recv(call) {
        Ok(Recv::Message(message)) => message,
        other => panic!("no message: {other:?}"),
    }
}

fn at_server(pair: &mut Pair, call: CallId) -> Message {
    pair.exchange();
    match pair.server.recv(call) {
        Ok(Recv::Message(message)) => message,
        other => panic!("no message: {other:?}"),
    }
}

#[test]
fn messages_are_compressed_one_by_one_as_their_sender_asks() {
    let mut pair = pair();
    let (call, answering) = gzip_call(&mut pair);
    for compress in [true, false, true] {
        pair.client.send_message(call, "up".into(), compress).unwrap();
        assert_eq!(at_server(&mut pair, answering), message("up", compress));
    }
    // Without an encoding every message is sent as it is.
    pair.server.send_message(answering, "down".into(), true).unwrap();
    assert_eq!(at_client(&mut pair, call), message("down", false));

    let (call, answering) = gzip_call(&mut pair);
    pair.server.set_encoding(answering, Some(Encoding::Gzip)).unwrap();
    for compress in [true, false] {
        pair.server.send_message(answering, "down".into(), compress).unwrap();
        assert_eq!(at_client(&mut pair, call), message("down", compress));
    }
}

/// Runs a call under an encoding, both ways, between endpoints with these codecs.
fn both_ways(client: Codecs, server: Codecs, encoding: Encoding) {
    let mut pair = pair_with(client, server);
    let mut request = Request::new("/demo.Echo/Call", CallType::BIDI);
    request.encoding = Some(encoding);
    let call = pair.client.start(pair.now, request).unwrap();
    let answering = pair.accept(CallType::BIDI);
    let headers = pair.server.take_request(answering).unwrap();
    assert!(headers.accepts(encoding) && headers.accepts(Encoding::Identity));
    assert!(!headers.accepts(Encoding::Custom("x-fli")) && !headers.accepts(Encoding::Custom("x-flip2")));
    pair.server.set_encoding(answering, Some(encoding)).unwrap();
    for compress in [true, false, true] {
        pair.client.send_message(call, "up".into(), compress).unwrap();
        assert_eq!(at_server(&mut pair, answering), message("up", compress));
        pair.server.send_message(answering, "down".into(), compress).unwrap();
        assert_eq!(at_client(&mut pair, call), message("down", compress));
    }
    let response = pair.client.response(call).expect("response headers");
    assert_eq!(response.encoding_name(), Some(encoding.as_str().as_bytes()));
}

#[test]
fn a_codec_under_a_name_of_its_own_works_both_ways() {
    both_ways(Flip::alone(), Flip::alone(), Flip::ENCODING);
    // The codec works at any position among others.
    let with_known = |first: Codecs, other: Arc<dyn MessageCodec>| first.with(other).unwrap();
    let codecs =
        [with_known(Flip::alone(), Arc::new(Backwards)), with_known(Backwards::alone(), Arc::new(Flip))];
    for client in &codecs {
        for server in &codecs {
            both_ways(client.clone(), server.clone(), Flip::ENCODING);
            both_ways(client.clone(), server.clone(), Encoding::Gzip);
            // The name counts, in whichever form it is given.
            both_ways(client.clone(), server.clone(), Encoding::Custom("gzip"));
        }
    }
}

#[test]
fn an_encoding_under_a_name_of_its_own_is_refused_where_one_side_lacks_it() {
    let mut request = Request::new("/demo.Echo/Call", CallType::BIDI);
    request.encoding = Some(Flip::ENCODING);
    // At this end.
    let mut pair = pair_with(Backwards::alone(), Flip::alone());
    assert!(matches!(pair.client.start(pair.now, request.clone()), Err(Misuse::UnsupportedEncoding)));
    let call = pair.start(CallType::BIDI);
    let answering = pair.accept(CallType::BIDI);
    let refused = pair.server.set_encoding(answering, Some(Flip::ENCODING));
    assert_eq!(refused, Err(Misuse::UnsupportedEncoding), "the client did not offer it");
    pair.client.release(call);
    // At the other end.
    let mut pair = pair_with(Flip::alone(), Backwards::alone());
    let call = pair.client.start(pair.now, request).unwrap();
    pair.exchange();
    assert_eq!(pair.outcome(call).status.code, Code::Unimplemented);
    let _ = pair.start(CallType::BIDI);
    let answering = pair.accept(CallType::BIDI);
    let refused = pair.server.set_encoding(answering, Some(Flip::ENCODING));
    assert_eq!(refused, Err(Misuse::UnsupportedEncoding), "there is no codec for it");
    // Identity as a custom name is still identity.
    assert_eq!(pair.server.set_encoding(answering, Some(Encoding::Custom("identity"))), Ok(()));
}

#[test]
fn a_message_that_its_codec_refuses_is_given_back() {
    let mut pair = pair();
    let (call, answering) = gzip_call(&mut pair);
    let mut payload = MessagePayload::from(Bytes::from_static(b"incompr"));
    payload.push(Bytes::from_static(b"essible"));
    let refused = pair.client.send_message_from(call, &mut payload, true);
    assert_eq!(refused, Err(Misuse::CompressionFailed));
    assert_eq!(payload.clone().into_bytes(), "incompressible");
    pair.client.send_message_from(call, &mut payload, false).unwrap();
    assert!(payload.is_empty());
    assert_eq!(at_server(&mut pair, answering), message("incompressible", false));
}

#[test]
fn a_server_may_use_what_its_client_offered_or_used_and_only_before_its_head() {
    // P-60: the encoding, what the client accepts, what the client uses, and whether the server may use it.
    let accepts = ("grpc-accept-encoding", "gzip");
    let uses = ("grpc-encoding", "gzip");
    let none = ("x-nothing", "1");
    let table = [
        (Encoding::Gzip, none, none, false),
        (Encoding::Gzip, accepts, none, true),
        (Encoding::Gzip, none, uses, true),
        (Encoding::Zstd, ("grpc-accept-encoding", "zstd"), none, false),
        (Encoding::Identity, none, none, true),
    ];
    for (encoding, one, other, allowed) in table {
        let mut config = Config::server();
        config.codecs = Backwards::alone();
        let mut peer = Scripted::<Server>::server(config, &[]);
        let fields = [REQUEST.as_slice(), &[one, other]].concat();
        peer.feed(&headers(1, 0, &block(&fields))).unwrap();
        let Some(Event::Request(call)) = peer.core.poll_event() else { panic!("no request") };
        let expected = if allowed { Ok(()) } else { Err(Misuse::UnsupportedEncoding) };
        assert_eq!(peer.core.set_encoding(call, Some(encoding)), expected, "{encoding:?} {one:?} {other:?}");
        assert_eq!(peer.core.set_encoding(call, None), Ok(()));
        peer.core.send_headers(call, Metadata::new()).unwrap();
        assert_eq!(peer.core.set_encoding(call, None), Err(Misuse::HeadersTwice));
    }
}

#[test]
fn a_request_is_taken_once_and_what_its_client_accepts_is_known_after_that() {
    let mut config = Config::server();
    config.codecs = Backwards::alone();
    let mut peer = Scripted::<Server>::server(config, &[]);
    let fields = [REQUEST.as_slice(), &[("grpc-accept-encoding", "gzip")]].concat();
    peer.feed(&headers(1, 0, &block(&fields))).unwrap();
    let Some(Event::Request(call)) = peer.core.poll_event() else { panic!("no request") };
    let looked_at = peer.core.request(call).cloned();
    assert_eq!(peer.core.take_request(call), looked_at);
    assert_eq!(peer.core.take_request(call), Err(Misuse::UnknownCall));
    assert_eq!(peer.core.request(call), Err(Misuse::UnknownCall));
    assert_eq!(peer.core.set_encoding(call, Some(Encoding::Gzip)), Ok(()));
}

/// Returns how a call ends whose server sends this message under this encoding, with or without trailers after it.
fn end(encoding: Option<&'static str>, bytes: &[u8], complete: bool) -> (Code, String, Cause) {
    let mut config = Config::client();
    config.codecs = Backwards::alone();
    config.limits.max_receive_message = 8;
    let mut peer = Scripted::<Client>::client(config, &[]);
    let call = peer.start();
    peer.sent();
    let mut fields = halfclose_wire::RESPONSE.to_vec();
    fields.extend(encoding.map(|encoding| ("grpc-encoding", encoding)));
    peer.feed(&headers(1, 0, &block(&fields))).unwrap();
    peer.feed(&data(1, 0, bytes)).unwrap();
    if complete {
        peer.feed(&headers(1, END_STREAM, &block(&TRAILERS))).unwrap();
    }
    match peer.core.recv(call) {
        Ok(Recv::End(outcome)) => (outcome.status.code, outcome.status.message().to_owned(), outcome.cause),
        other => panic!("no end: {other:?}"),
    }
}

#[test]
fn a_message_that_cannot_be_read_fails_its_call_whatever_the_status() {
    let table: [(Option<&str>, &[u8], Code, &str); 2] = [
        // P-51.
        (None, b"<ab", Code::Internal, "without grpc-encoding"),
        // P-53.
        (Some("gzip"), b"no mark", Code::Internal, "corrupt"),
    ];
    for (encoding, payload, code, text) in table {
        for complete in [false, true] {
            let (met, message, cause) = end(encoding, &flagged(1, payload), complete);
            assert_eq!(met, code, "{payload:?}");
            assert!(message.contains(text), "{message:?}");
            assert_eq!(matches!(cause, Cause::Trailers), complete, "{cause:?}");
        }
    }
    // P-52: an encoding that the client does not know fails the call at once.
    let (code, message, _) = end(Some("zstd"), &[], false);
    assert_eq!(code, Code::Internal);
    assert!(message.contains("zstd"), "{message:?}");
}

#[test]
fn a_message_that_may_be_compressed_is_the_last_of_its_turn() {
    // A message may be a thousand times as long as its compressed form. Plain messages count with their length, and
    // so does a part of a message.
    let (whole, piece) = (flagged(0, b"abc"), b"\0\0\0\0\x09ab".to_vec());
    for (encoding, bytes, needed) in [
        (None, &whole, Needed::More),
        (None, &piece, Needed::More),
        (Some("gzip"), &whole, Needed::Again),
        (Some("gzip"), &piece, Needed::More),
    ] {
        let mut config = Config::server();
        config.codecs = Backwards::alone();
        let mut peer = Scripted::<Server>::server(config, &[]);
        let mut fields = REQUEST.to_vec();
        fields.extend(encoding.map(|encoding| ("grpc-encoding", encoding)));
        for stream in [1, 3] {
            peer.feed(&headers(stream, 0, &block(&fields))).unwrap();
        }
        let mut wire = BytesMut::from([1, 3].map(|stream| data(stream, 0, bytes)).concat().as_slice());
        assert_eq!(peer.core.receive(peer.now, &mut wire), Ok(needed), "{encoding:?} {bytes:?}");
    }
}

#[test]
fn what_messages_come_to_is_counted_and_a_failure_as_the_most_that_it_might_have() {
    let mut config = Config::server();
    config.codecs = Backwards::alone();
    config.limits.max_receive_message = 8;
    let mut peer = Scripted::<Server>::server(config, &[]);
    peer.feed(&headers(1, 0, &block(&[REQUEST.as_slice(), &[("grpc-encoding", "gzip")]].concat()))).unwrap();
    let Some(Event::Request(call)) = peer.core.poll_event() else { panic!("no request") };
    assert_eq!(peer.core.decompressed(), 0);
    // A message by itself, the bytes that go in, those that come out.
    let work = |taken: u64, given: u64| 16 * 1024 + 32 * taken + given;
    let mut sum = 0;
    for (compressed, payload, work) in [
        (1, b"<ab".as_slice(), work(3, 2)),
        (0, b"abc", 0),
        (1, b"<abcde", work(6, 5)),
        (1, b"bad", work(3, 8)),
    ] {
        sum += work;
        peer.feed(&data(1, 0, &flagged(compressed, payload))).unwrap();
        let _ = peer.core.recv(call);
        assert_eq!(peer.core.decompressed(), sum, "after {payload:?}");
    }
}

#[test]
fn identity_is_no_encoding() {
    let mut pair = pair();
    let mut request = Request::new("/demo.Echo/Call", CallType::BIDI);
    request.encoding = Some(Encoding::Identity);
    let call = pair.client.start(pair.now, request).unwrap();
    let answering = pair.accept(CallType::BIDI);
    assert_eq!(pair.server.request(answering).unwrap().encoding_name(), None);
    pair.client.send_message(call, "as it is".into(), true).unwrap();
    assert_eq!(at_server(&mut pair, answering), message("as it is", false));
    pair.server.finish(answering, Status::ok(), Metadata::new()).unwrap();
    pair.exchange();
    assert!(pair.outcome(call).status.is_ok());
}
