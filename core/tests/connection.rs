//! What a caller orders of a connection and asks it, and what its calls and its peer see of that.

mod common;

use common::{Pair, Scripted};
use halfclose::frame::ErrorCode;
use halfclose::{
    CallId, Cause, Client, CloseReason, Code, Config, ConnectionError, Event, Initiator, Metadata, Misuse,
    Needed, Recv, Request, Server, Shape, Status,
};
use halfclose_wire::{END_STREAM, Frame, Reader, TRAILERS_ONLY, block, frame, headers, kind, settings};

const MAX_HEADER_LIST_SIZE: u16 = 6;

fn cause(peer: &mut Scripted<Client>, call: CallId) -> (Code, Cause) {
    match peer.core.recv(call) {
        Ok(Recv::End(outcome)) => (outcome.status.code, outcome.cause),
        other => panic!("no end: {other:?}"),
    }
}

#[test]
fn closing_ends_every_call_and_says_why() {
    let mut peer = Scripted::<Client>::client(Config::client(), &[(3, 1)]);
    let [open, waiting] = [0; 2].map(|_| peer.start());
    peer.sent();
    peer.core.close(peer.now, ErrorCode::INTERNAL_ERROR, "enough");
    peer.core.close(peer.now, ErrorCode::NO_ERROR, "again");
    let sent = peer.sent();
    let [goaway] = sent.as_slice() else { panic!("not one frame: {sent:?}") };
    assert_eq!(
        (goaway.kind, goaway.word(0), goaway.code()),
        (kind::GOAWAY, Some(0), Some(ErrorCode::INTERNAL_ERROR))
    );
    assert_eq!(goaway.payload[8..], *b"enough");
    let error = ConnectionError::Closed { code: ErrorCode::INTERNAL_ERROR, debug: "enough".into() };
    assert_eq!(peer.events(), [Event::Closed(CloseReason::Error(error.clone()))]);
    assert_eq!(cause(&mut peer, open), (Code::Unavailable, Cause::Connection));
    assert_eq!(cause(&mut peer, waiting), (Code::Unavailable, Cause::NeverSent));
    assert_eq!(peer.feed(&settings(&[])), Err(error));
    assert!(peer.core.is_closed() && peer.core.is_idle());
}

#[test]
fn a_server_names_the_last_stream_that_it_looked_at() {
    let mut peer = Scripted::<Server>::server(Config::server(), &[]);
    let call = peer.open(5);
    peer.core.close(peer.now, ErrorCode::NO_ERROR, "");
    assert_eq!(peer.sent()[0].word(0), Some(5));
    assert_eq!(peer.events()[0], Event::Ended(call, Cause::Connection));
}

#[test]
fn a_connection_says_whether_there_is_something_to_take() {
    let mut peer = Scripted::<Client>::silent(Config::client());
    assert!(peer.core.wants_transmit() && !peer.core.has_events());
    peer.sent();
    assert!(!peer.core.wants_transmit());
    peer.feed(&settings(&[])).unwrap();
    assert!(peer.core.has_events() && peer.core.wants_transmit());
    assert_eq!(peer.events(), [Event::PeerSettings]);
    peer.sent();
    assert!(!peer.core.has_events() && !peer.core.wants_transmit());
    let call = peer.start();
    assert_eq!((call.slot(), peer.start().slot()), (0, 1));
    assert!(peer.core.wants_transmit() && !peer.core.is_idle());
    peer.sent();
    assert!(matches!(peer.core.recv(call), Ok(Recv::Pending)));
    assert!(!peer.core.has_events());
    peer.feed(&headers(1, END_STREAM, &block(&TRAILERS_ONLY))).unwrap();
    assert!(peer.core.has_events());
    assert_eq!(peer.events(), [Event::Readable(call)]);
    assert!(!peer.core.has_events());
    peer.core.receive_eof(peer.now);
    assert!(peer.core.has_events());
    assert!(matches!(peer.events().as_slice(), [Event::Closed(_)]));
    assert!(!peer.core.has_events());
}

#[test]
fn only_the_newest_of_what_the_peer_says_of_itself_is_told() {
    let mut peer = Scripted::<Client>::client(Config::client(), &[]);
    peer.start();
    peer.sent();
    for last in [5_u32, 3, 1] {
        peer.feed(&settings(&[])).unwrap();
        let goaway = [last.to_be_bytes(), 0_u32.to_be_bytes()].concat();
        peer.feed(&frame(kind::GOAWAY, 0, 0, &goaway)).unwrap();
    }
    let told = peer.events();
    let goaway = Event::GoAway { code: ErrorCode::NO_ERROR, last_stream: 1, debug: bytes::Bytes::new() };
    assert_eq!(told, [Event::PeerSettings, goaway]);
}

#[test]
fn debug_data_is_kept_up_to_a_bound() {
    for (length, kept) in [(256, 256), (257, 256), (10_000, 256)] {
        let mut peer = Scripted::<Client>::client(Config::client(), &[]);
        let mut goaway = [0_u32.to_be_bytes(), 0_u32.to_be_bytes()].concat();
        goaway.resize(8 + length, b'x');
        peer.feed(&frame(kind::GOAWAY, 0, 0, &goaway)).unwrap();
        assert!(matches!(&peer.events()[0], Event::GoAway { debug, .. } if debug.len() == kept), "{length}");
    }
}

#[test]
fn a_server_cancels_a_call_by_a_reset_and_is_told_so() {
    let mut pair = Pair::new();
    let call = pair.start(Shape::UNARY);
    pair.exchange();
    let Some(Event::Request(id)) = pair.server.poll_event() else { panic!("no request") };
    let handler = pair.server.accept_unary(id).unwrap();
    handler.cancel(&mut pair.server).unwrap();
    let reset = |by| Cause::Reset { code: ErrorCode::CANCEL, by };
    assert_eq!(pair.server.poll_event(), Some(Event::Ended(id, reset(Initiator::User))));
    assert_eq!(pair.server.cancel(id), Err(Misuse::UnknownCall));
    pair.exchange();
    let outcome = pair.outcome(call);
    assert_eq!((outcome.status.code, outcome.cause), (Code::Cancelled, reset(Initiator::Remote)));
}

#[test]
fn what_comes_after_the_end_is_dropped() {
    let mut peer = Scripted::<Server>::server(Config::server(), &[]);
    peer.core.receive_eof(peer.now);
    let mut wire = bytes::BytesMut::from(&b"anything"[..]);
    assert_eq!(peer.core.receive(peer.now, &mut wire), Ok(Needed::Closed));
    assert!(wire.is_empty());
    assert_eq!(peer.events(), [Event::Closed(CloseReason::Graceful)]);
}

/// The size of a header list (RFC 9113 §6.5.2).
fn list_size(sent: &[Frame]) -> u32 {
    let head = sent.iter().find(|frame| frame.kind == kind::HEADERS).expect("a head");
    let fields = Reader::new().read(head).expect("a good block");
    fields.list.iter().map(|(name, value)| name.len() + value.len() + 32).sum::<usize>() as u32
}

#[test]
fn a_request_goes_as_long_as_the_peer_takes_its_fields() {
    // P-15: with the room that a timeout may need.
    let mut request = Request::new("/demo.Echo/Call", Shape::UNARY);
    request.metadata.append("x-name", "value").unwrap();
    let mut peer = Scripted::<Client>::client(Config::client(), &[]);
    peer.core.start(peer.now, request.clone()).unwrap();
    let size = list_size(&peer.sent()) + "grpc-timeout".len() as u32 + 9 + 32;
    // Twice: the second time its own fields are known.
    for (limit, goes) in [(size, true), (size - 1, false)] {
        let mut peer = Scripted::<Client>::client(Config::client(), &[(MAX_HEADER_LIST_SIZE, limit)]);
        for _ in 0..3 {
            let call = peer.core.start(peer.now, request.clone()).unwrap();
            assert_eq!(peer.sent().iter().any(|frame| frame.kind == kind::HEADERS), goes, "{limit}");
            if !goes {
                let Ok(Recv::End(outcome)) = peer.core.recv(call) else { panic!("no end") };
                assert_eq!((outcome.status.code, outcome.cause), (Code::Internal, Cause::NeverSent));
                let text = format!("{size} octets, over the peer's limit of {limit}");
                assert!(outcome.status.message().contains(&text), "{}", outcome.status.message());
            }
        }
    }
}

#[test]
fn response_headers_go_as_long_as_the_peer_takes_their_fields() {
    // P-45.
    let mut metadata = Metadata::new();
    metadata.append("x-name", "value").unwrap();
    let mut peer = Scripted::<Server>::server(Config::server(), &[]);
    let call = peer.open(1);
    peer.core.send_headers(call, metadata.clone()).unwrap();
    let size = list_size(&peer.sent());
    for limit in [size, size - 1] {
        let mut peer = Scripted::<Server>::server(Config::server(), &[(MAX_HEADER_LIST_SIZE, limit)]);
        let call = peer.open(1);
        let expected = if limit == size {
            Ok(())
        } else {
            Err(Misuse::HeaderListTooLarge { size: size as usize, limit: limit as usize })
        };
        assert_eq!(peer.core.send_headers(call, metadata.clone()), expected);
        // A refusal changes nothing: what fits may still be sent.
        let after = if limit == size { Err(Misuse::HeadersTwice) } else { Ok(()) };
        assert_eq!(peer.core.send_headers(call, Metadata::new()), after);
        peer.core.finish(call, Status::ok(), Metadata::new()).unwrap();
        assert!(peer.sent().iter().any(Frame::ends_stream));
    }
}
