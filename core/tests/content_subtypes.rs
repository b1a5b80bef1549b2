//! A codec's content subtypes (P-8): a client sends the first of its own and refuses a response in another; a server
//! answers in the subtype of the request, or refuses it with HTTP status 415.

mod common;

use bytes::Bytes;
use common::Scripted;
use halfclose::frame::ErrorCode;
use halfclose::grpc::content_type::ContentSubtypes;
use halfclose::hpack::{BlockLimits, Decoder};
use halfclose::{
    CallId, CallType, Cause, Client, Code, Config, Event, Metadata, Misuse, Recv, Request, Server, Status,
};
use halfclose_wire::{END_STREAM, Frame, REQUEST, block, data, headers, kind, reset};

const OWN: ContentSubtypes = ContentSubtypes::named(&["x-own", "y"]).unwrap();
const FIRST_PLAIN: ContentSubtypes = ContentSubtypes::named(&["", "z"]).unwrap();

/// Returns the values of a field in these frames, block by block, with the decoder of the connection.
fn values(decoder: &mut Decoder, sent: &[Frame], name: &str) -> Vec<String> {
    let limits = BlockLimits { max_string: 1 << 16, max_list_size: 1 << 16 };
    let mut found = Vec::new();
    for frame in sent.iter().filter(|frame| frame.kind == kind::HEADERS) {
        let sink = |field: halfclose::hpack::Field<'_>| {
            if field.name == name.as_bytes() {
                found.push(String::from_utf8_lossy(field.value).into_owned());
            }
        };
        decoder.decode(&frame.payload, &limits, sink).expect("a block");
    }
    found
}

fn call(peer: &mut Scripted<Client>, content_subtypes: ContentSubtypes) -> CallId {
    let mut request = Request::new("/demo.Echo/Call", CallType::BIDI);
    request.content_subtypes = content_subtypes;
    peer.core.start(peer.now, request).unwrap()
}

#[test]
fn requests_are_sent_with_the_first_of_their_subtypes() {
    let mut peer = Scripted::<Client>::client(Config::client(), &[]);
    let mut decoder = Decoder::new(4_096);
    for (subtypes, sent) in [
        (ContentSubtypes::ANY, "application/grpc"),
        (ContentSubtypes::PROTO, "application/grpc"),
        (ContentSubtypes::JSON, "application/grpc+json"),
        (OWN, "application/grpc+x-own"),
        (FIRST_PLAIN, "application/grpc"),
    ] {
        // Again, as headers that repeat.
        for _ in 0..3 {
            call(&mut peer, subtypes);
            assert_eq!(values(&mut decoder, &peer.sent(), "content-type"), [sent]);
        }
    }
}

/// Returns what a response with this content-type causes: its one message, or the call's end.
fn response(subtypes: ContentSubtypes, content_type: &str) -> Result<(), halfclose::Outcome> {
    let mut peer = Scripted::<Client>::client(Config::client(), &[]);
    let call = call(&mut peer, subtypes);
    peer.sent();
    peer.feed(&headers(1, 0, &block(&[(":status", "200"), ("content-type", content_type)]))).unwrap();
    peer.feed(&data(1, 0, &[0, 0, 0, 0, 1, 7])).unwrap();
    match peer.core.recv(call).unwrap() {
        Recv::Message(_) => Ok(()),
        Recv::End(outcome) => {
            assert_eq!(outcome.headers.as_ref().map(|headers| headers.http_status), Some(200));
            assert!(peer.sent().iter().any(|frame| frame.code() == Some(ErrorCode::CANCEL)));
            Err(outcome)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_response_in_a_subtype_that_the_call_does_not_take_ends_it() {
    // For each: none, proto, json in another case, the call's own names, and an unknown one.
    let types = ["", "+proto", "+JSON", "+x-own", "+y", "+foo"];
    for (subtypes, taken) in [
        (ContentSubtypes::ANY, [true; 6]),
        (ContentSubtypes::PROTO, [true, true, false, false, false, false]),
        (ContentSubtypes::JSON, [false, false, true, false, false, false]),
        (OWN, [false, false, false, true, true, false]),
        (FIRST_PLAIN, [true, false, false, false, false, false]),
    ] {
        for (subtype, taken) in types.iter().zip(taken) {
            let content_type = format!("application/grpc{subtype}");
            match response(subtypes, &content_type) {
                Ok(()) => assert!(taken, "{subtypes:?} {content_type}"),
                Err(outcome) => {
                    assert!(!taken, "{subtypes:?} {content_type}");
                    assert_eq!(outcome.status.code, Code::Internal);
                    assert!(outcome.status.message().contains(&content_type), "{}", outcome.status);
                    assert!(!outcome.not_processed());
                }
            }
        }
    }
}

#[test]
fn a_status_alone_is_believed_whatever_its_type() {
    // P-29.
    let mut peer = Scripted::<Client>::client(Config::client(), &[]);
    let call = call(&mut peer, ContentSubtypes::JSON);
    peer.sent();
    let only = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "5")];
    peer.feed(&headers(1, END_STREAM, &block(&only))).unwrap();
    let Recv::End(outcome) = peer.core.recv(call).unwrap() else { panic!("no end") };
    assert_eq!((outcome.status.code, outcome.cause), (Code::NotFound, Cause::TrailersOnly));
}

fn request(content_type: &str) -> Vec<u8> {
    let fields: Vec<_> = REQUEST.iter().filter(|field| field.0 != "content-type").copied().collect();
    block(&[&fields[..], &[("content-type", content_type)]].concat())
}

fn served(content_type: &str) -> (Scripted<Server>, CallId) {
    let mut peer = Scripted::<Server>::server(Config::server(), &[]);
    peer.feed(&headers(1, 0, &request(content_type))).unwrap();
    let [Event::Request(call)] = peer.events()[..] else { panic!("no request") };
    (peer, call)
}

#[test]
fn a_call_is_answered_in_the_subtype_of_its_request() {
    for content_type in
        ["application/grpc", "application/grpc+proto", "application/grpc+json", "application/grpc+Foo"]
    {
        let (mut peer, call) = served(content_type);
        let mut decoder = Decoder::new(4_096);
        // Also if the caller holds the request.
        peer.core.take_request(call).unwrap();
        peer.core.send_message(call, Bytes::from_static(b"x"), false).unwrap();
        peer.core.finish(call, Status::ok(), Metadata::new()).unwrap();
        assert_eq!(values(&mut decoder, &peer.sent(), "content-type"), [content_type]);
        // A status alone, and a plain call behind one with a subtype.
        for (stream, content_type) in [(3, content_type), (5, "application/grpc")] {
            peer.events();
            peer.feed(&headers(stream, END_STREAM, &request(content_type))).unwrap();
            let [Event::Request(call)] = peer.events()[..] else { panic!("no request") };
            peer.core.finish(call, Status::internal("no"), Metadata::new()).unwrap();
            assert_eq!(values(&mut decoder, &peer.sent(), "content-type"), [content_type]);
        }
    }
}

#[test]
fn a_call_in_a_subtype_that_its_method_does_not_take_is_refused() {
    let (mut peer, call) = served("application/grpc+foo");
    peer.feed(&data(1, 0, &[0, 0, 0, 0, 1, 7])).unwrap();
    peer.core.refuse_content_subtype(call).unwrap();
    assert_eq!(peer.core.send_message(call, Bytes::new(), false), Err(Misuse::AfterStatus));
    assert_eq!(peer.core.refuse_content_subtype(call), Err(Misuse::AfterStatus));
    let sent = peer.sent();
    let mut decoder = Decoder::new(4_096);
    let fields = |name: &str| values(&mut Decoder::new(4_096), &sent, name);
    assert_eq!((fields(":status"), fields("grpc-status")), (vec!["415".into()], vec!["2".into()]));
    assert!(!values(&mut decoder, &sent[..1], "content-type")[0].contains("grpc"));
    let body: Vec<u8> =
        sent.iter().filter(|frame| frame.kind == kind::DATA).flat_map(|f| f.payload.clone()).collect();
    assert!(String::from_utf8(body).unwrap().contains("content-type"));
    // The caller learns once that the call is over, and its id is invalid then.
    let ended = peer.events().into_iter().filter(|event| matches!(event, Event::Ended(id, _) if *id == call));
    assert_eq!(ended.count(), 1);
    assert_eq!(peer.core.refuse_content_subtype(call), Err(Misuse::UnknownCall));
    // The rest of the request is read, and its end retires the stream.
    peer.feed(&data(1, END_STREAM, &[1; 10])).unwrap();
    assert!(peer.core.is_idle() && peer.sent().iter().all(|frame| frame.kind != kind::RST_STREAM));
}

#[test]
fn a_refused_call_that_its_client_resets_or_leaves_is_over() {
    for resets in [true, false] {
        let (mut peer, call) = served("application/grpc+foo");
        peer.core.refuse_content_subtype(call).unwrap();
        peer.sent();
        peer.events();
        if resets {
            peer.feed(&reset(1, ErrorCode::CANCEL)).unwrap();
        } else {
            peer.wait(std::time::Duration::from_secs(6));
            peer.sent();
        }
        assert!(peer.core.is_idle(), "{resets}");
        assert_eq!(peer.events(), []);
    }
}

#[test]
fn a_call_whose_answer_has_begun_cannot_be_refused() {
    let (mut peer, call) = served("application/grpc+foo");
    peer.core.send_headers(call, Metadata::new()).unwrap();
    assert_eq!(peer.core.refuse_content_subtype(call), Err(Misuse::HeadersTwice));
    let (mut peer, call) = served("application/grpc+foo");
    peer.core.send_message(call, Bytes::new(), false).unwrap();
    assert_eq!(peer.core.refuse_content_subtype(call), Err(Misuse::HeadersTwice));
    // Metadata that was set and not sent is dropped.
    let (mut peer, call) = served("application/grpc+foo");
    let mut metadata = Metadata::new();
    metadata.append("x-set", "1").unwrap();
    peer.core.set_headers(call, metadata).unwrap();
    peer.core.refuse_content_subtype(call).unwrap();
    assert_eq!(values(&mut Decoder::new(4_096), &peer.sent(), "x-set"), Vec::<String>::new());
}
