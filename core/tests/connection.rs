//! Commands and questions of a caller to its connection, and their effect on its calls and its peer.

mod common;

use common::{Pair, Scripted};
use halfclose::frame::ErrorCode;
use halfclose::hpack::{BlockLimits, Decoder};
use halfclose::{
    CallId, CallType, Cause, Client, CloseReason, Code, Config, ConnectionError, Event, Initiator, Metadata,
    Misuse, Needed, Recv, Request, Server, Status,
};
use halfclose_wire::{
    END_STREAM, Frame, REQUEST, Reader, TRAILERS_ONLY, block, data, frame, goaway, headers, kind, settings,
};

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
        peer.feed(&goaway(last, ErrorCode::NO_ERROR)).unwrap();
    }
    let told = peer.events();
    let goaway = Event::GoAway { code: ErrorCode::NO_ERROR, last_stream: 1, debug: bytes::Bytes::new() };
    assert_eq!(told, [Event::PeerSettings, goaway]);
}

#[test]
fn goaway_ends_the_calls_above_it_and_those_that_wait() {
    // P-93: streams not above it continue; calls that wait were never sent.
    let mut peer = Scripted::<Client>::client(Config::client(), &[(3, 3)]);
    let [first, second, third, waiting] = [0; 4].map(|_| peer.start());
    peer.sent();
    peer.feed(&goaway(3, ErrorCode::NO_ERROR)).unwrap();
    for call in [first, second] {
        assert!(matches!(peer.core.recv(call), Ok(Recv::Pending)));
    }
    let refused = Cause::GoAway { code: ErrorCode::NO_ERROR, processed: false };
    assert_eq!(cause(&mut peer, third), (Code::Unavailable, refused));
    assert_eq!(cause(&mut peer, waiting), (Code::Unavailable, Cause::NeverSent));
    assert!(peer.sent().is_empty(), "nothing is reset, and nothing more is sent");
}

#[test]
fn a_client_says_goodbye_once_its_last_request_is_out() {
    // P-94: some servers close an idle connection on a client's GOAWAY.
    let mut peer = Scripted::<Client>::client(Config::client(), &[(3, 1)]);
    for _ in 0..3 {
        peer.start();
    }
    peer.sent();
    peer.core.shutdown(peer.now);
    for (stream, says_goodbye) in [(1, false), (3, true), (5, false)] {
        let goodbye = |sent: &[Frame]| sent.iter().any(|frame| frame.kind == kind::GOAWAY);
        assert!(!goodbye(&peer.sent()));
        peer.feed(&headers(stream, END_STREAM, &block(&TRAILERS_ONLY))).unwrap();
        assert_eq!(goodbye(&peer.sent()), says_goodbye, "after stream {stream}");
    }
    assert!(peer.core.is_closed());
}

#[test]
fn a_part_of_a_message_is_no_news() {
    let mut peer = Scripted::<Server>::server(Config::server(), &[]);
    let call = peer.open(1);
    assert!(matches!(peer.core.recv(call), Ok(Recv::Pending)));
    for (bytes, told) in [(&[0, 0, 0, 0][..], false), (b"\x02a", false), (b"b", true), (b"\0\0\0\0\0", false)]
    {
        peer.feed(&data(1, 0, bytes)).unwrap();
        let expected = if told { vec![Event::Readable(call)] } else { Vec::new() };
        assert_eq!(peer.events(), expected, "after {bytes:?}");
    }
}

#[test]
fn data_adds_up_to_its_content_length() {
    // RFC 9113 §8.1.1. The announced length, the bytes of each DATA frame, and whether the last one ends the stream.
    let table: [(&str, &[usize], bool, bool); 7] = [
        ("7", &[7], true, true),
        ("7", &[3, 4], true, true),
        ("7", &[7, 0], true, true),
        ("7", &[6], true, false),
        ("7", &[6], false, true),
        ("7", &[8], false, false),
        ("0", &[0], true, true),
    ];
    for (length, frames, ends, good) in table {
        let mut peer = Scripted::<Server>::server(Config::server(), &[]);
        let fields = [REQUEST.as_slice(), &[("content-length", length)]].concat();
        peer.feed(&headers(1, 0, &block(&fields))).unwrap();
        let message = [0, 0, 0, 0, 3, 7, 7, 7];
        let mut from = 0;
        for (n, bytes) in frames.iter().enumerate() {
            let flags = if ends && n + 1 == frames.len() { END_STREAM } else { 0 };
            peer.feed(&data(1, flags, &message[from..from + bytes])).unwrap();
            from += bytes;
        }
        let reset = peer.sent().iter().find(|frame| frame.kind == kind::RST_STREAM).and_then(Frame::code);
        // Seven bytes are less than a whole message, which ends the call with a gRPC status.
        let malformed = reset == Some(ErrorCode::PROTOCOL_ERROR);
        assert_eq!(malformed, !good, "{length} {frames:?} {reset:?}");
    }
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
    let call = pair.start(CallType::UNARY);
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

/// Returns the size of a header list (RFC 9113 §6.5.2).
fn list_size(sent: &[Frame]) -> u32 {
    let head = sent.iter().find(|frame| frame.kind == kind::HEADERS).expect("a head");
    let fields = Reader::new().read(head).expect("a good block");
    fields.list.iter().map(|(name, value)| name.len() + value.len() + 32).sum::<usize>() as u32
}

#[test]
fn a_request_goes_as_long_as_the_peer_takes_its_fields() {
    // P-15: exact to the byte; a call without a deadline needs no space for one.
    let mut request = Request::new("/demo.Echo/Call", CallType::UNARY);
    request.metadata.append("x-name", "value").unwrap();
    let mut peer = Scripted::<Client>::client(Config::client(), &[]);
    peer.core.start(peer.now, request.clone()).unwrap();
    let size = list_size(&peer.sent());
    // Twice: the second time the table holds its own fields.
    for (limit, goes) in [(size, true), (size - 1, false)] {
        let mut peer = Scripted::<Client>::client(Config::client(), &[(MAX_HEADER_LIST_SIZE, limit)]);
        for _ in 0..3 {
            let call = peer.core.start(peer.now, request.clone()).unwrap();
            assert_eq!(peer.sent().iter().any(|frame| frame.kind == kind::HEADERS), goes, "{limit}");
            if !goes {
                let Ok(Recv::End(outcome)) = peer.core.recv(call) else { panic!("no end") };
                assert_eq!((outcome.status.code, outcome.cause), (Code::Internal, Cause::NeverSent));
                let text = format!("{size} bytes, over the peer's limit of {limit}");
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

#[test]
fn what_a_caller_marks_as_sensitive_is_never_indexed_and_the_rest_is() {
    // RFC 7541 §7.1.3.
    let mut peer = Scripted::<Client>::client(Config::client(), &[]);
    let mut decoder = Decoder::new(4_096);
    for round in 0..3 {
        let mut request = Request::new("/demo.Echo/Call", CallType::BIDI);
        request.metadata.append("x-plain", "open").unwrap();
        request.metadata.append_sensitive("x-token", "secret").unwrap();
        peer.core.start(peer.now, request).unwrap();
        let sent = peer.sent();
        let mut met = Vec::new();
        let limits = BlockLimits { max_string: 1_000, max_list_size: 10_000 };
        decoder
            .decode(&sent[0].payload, &limits, |field| {
                if field.name.starts_with(b"x-") {
                    met.push((field.value.to_vec(), field.sensitive));
                }
            })
            .unwrap();
        assert_eq!(met, [(b"open".to_vec(), false), (b"secret".to_vec(), true)], "call {round}");
    }
}

#[test]
fn a_request_is_taken_once_and_not_from_a_call_that_is_over() {
    let mut peer = Scripted::<Server>::server(Config::server(), &[]);
    let [first, second] = [1, 3].map(|stream| peer.open(stream));
    let head = peer.core.take_request(first).unwrap();
    assert_eq!(head.path(), "/demo.Echo/Call");
    assert_eq!(peer.core.take_request(first), Err(Misuse::UnknownCall));
    // The call itself continues.
    assert!(peer.core.states(first).is_ok());
    peer.core.cancel(second).unwrap();
    peer.events();
    assert_eq!(peer.core.take_request(second), Err(Misuse::UnknownCall));
}
