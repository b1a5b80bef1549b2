//! HEADERS that declare their stream dependent on itself: a stream error (RFC 7540 §5.3.1, whose field RFC 9113 §6.2
//! keeps), so the connection stays open, and its HPACK table must not lose what their block adds.

mod common;

use common::Scripted;
use halfclose::frame::ErrorCode;
use halfclose::{CallId, Cause, Client, Code, Config, Event, Recv};
use halfclose_wire::{Block, END_STREAM, frame, headers, kind};

const END_HEADERS: u8 = 4;
const PRIORITY: u8 = 32;

/// Returns HEADERS whose stream depends on itself.
fn circular(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    let payload = [&stream.to_be_bytes()[..], &[15], block].concat();
    frame(kind::HEADERS, END_HEADERS | PRIORITY | flags, stream, &payload)
}

/// Creates a client with calls on streams 1, 3 and 5.
fn client() -> (Scripted<Client>, [CallId; 3]) {
    let mut client = Scripted::client(Config::client(), &[]);
    let calls = [client.start(), client.start(), client.start()];
    client.sent();
    (client, calls)
}

fn is_reset(client: &mut Scripted<Client>, call: CallId, stream: u32) {
    match client.core.recv(call) {
        Ok(Recv::End(outcome)) => {
            assert_eq!(outcome.status.code, Code::Internal);
            assert!(matches!(outcome.cause, Cause::Violation(_)), "{:?}", outcome.cause);
        }
        other => panic!("the call goes on: {other:?}"),
    }
    let sent = client.sent();
    let [reset] = &sent[..] else { panic!("not one reset: {sent:?}") };
    assert_eq!(
        (reset.kind, reset.stream, reset.code()),
        (kind::RST_STREAM, stream, Some(ErrorCode::PROTOCOL_ERROR))
    );
}

#[test]
fn a_response_costs_its_call_and_its_block_is_read_for_the_table() {
    let (mut client, [first, second, _]) = client();
    let adds = Block::response().indexing(b"x-added", b"by the first");
    client.feed(&circular(1, 0, &adds.0)).unwrap();
    is_reset(&mut client, first, 1);
    client.feed(&headers(3, 0, &Block::response().index(62).0)).unwrap();
    assert_eq!(client.events(), [Event::Response(second)]);
    assert_eq!(client.core.response(second).unwrap().metadata.get_str("x-added"), Some("by the first"));
}

// A block of indexed fields alone is recognised and not decoded again; that must not hide the error.

#[test]
fn a_response_that_is_known_costs_its_call_too() {
    let (mut client, [first, second, third]) = client();
    let adds = Block::new().index(8).indexing(b"content-type", b"application/grpc");
    client.feed(&headers(1, 0, &adds.0)).unwrap();
    let known = Block::new().index(8).index(62);
    client.feed(&headers(3, 0, &known.0)).unwrap();
    assert_eq!(client.events(), [Event::Response(first), Event::Response(second)]);
    client.feed(&circular(5, 0, &known.0)).unwrap();
    assert_eq!(client.events(), []);
    is_reset(&mut client, third, 5);
}

#[test]
fn trailers_that_are_known_cost_their_call_too() {
    let (mut client, [first, second, third]) = client();
    let responses = [1, 3, 5].map(|stream| headers(stream, 0, &Block::response().0));
    client.feed(&responses.concat()).unwrap();
    let adds = Block::new().indexing(b"grpc-status", b"0");
    let known = Block::new().index(62);
    client.feed(&[headers(1, END_STREAM, &adds.0), headers(3, END_STREAM, &known.0)].concat()).unwrap();
    for call in [first, second] {
        assert!(matches!(client.core.recv(call), Ok(Recv::End(outcome)) if outcome.status.is_ok()));
    }
    client.sent();
    client.feed(&circular(5, END_STREAM, &known.0)).unwrap();
    is_reset(&mut client, third, 5);
}
