//! A server's initial metadata: set in pieces, sent once, and never lost silently.

mod common;

use common::{Pair, Scripted};
use halfclose::grpc::encoding::Encoding;
use halfclose::{CallId, CallType, Cause, Code, Config, Event, Metadata, Misuse, Outcome, Recv, Status};
use halfclose_wire::{headers, kind};

fn metadata(entries: &[(&str, &str)]) -> Metadata {
    let mut metadata = Metadata::new();
    for (name, value) in entries {
        metadata.append(name, value).unwrap();
    }
    metadata
}

/// Returns a call whose server knows of it.
fn call() -> (Pair, CallId, CallId) {
    let mut pair = Pair::new();
    let asked = pair.start(CallType::BIDI);
    let answering = pair.accept(CallType::BIDI);
    (pair, asked, answering)
}

/// Returns the entries of the response headers, once they have arrived.
fn response(pair: &Pair, asked: CallId) -> Option<Vec<(String, String)>> {
    let head = pair.client.response(asked)?;
    let entry = |(name, value): (&str, halfclose::grpc::Value<'_>)| {
        (name.to_owned(), value.as_str().unwrap_or_default().to_owned())
    };
    Some(head.metadata.iter().map(entry).collect())
}

fn owned(entries: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
    Some(entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

#[test]
fn what_is_set_waits_for_the_first_message_and_goes_with_it() {
    let (mut pair, asked, answering) = call();
    pair.server.set_headers(answering, metadata(&[("a", "1")])).unwrap();
    pair.server.set_headers(answering, metadata(&[("b", "2"), ("a", "3")])).unwrap();
    pair.exchange();
    assert_eq!(response(&pair, asked), None, "nothing goes before there is a reason");
    pair.server.send_message(answering, "hi".into(), false).unwrap();
    pair.exchange();
    assert_eq!(response(&pair, asked), owned(&[("a", "1"), ("b", "2"), ("a", "3")]));
    assert!(matches!(pair.client.recv(asked), Ok(Recv::Message(_))));
}

#[test]
fn what_is_set_goes_ahead_of_a_status_that_comes_without_a_message() {
    for set in [true, false] {
        let (mut pair, asked, answering) = call();
        let entries: &[(&str, &str)] = if set { &[("a", "1")] } else { &[] };
        pair.server.set_headers(answering, metadata(entries)).unwrap();
        pair.server.finish(answering, Status::aborted("no"), metadata(&[("t", "2")])).unwrap();
        pair.exchange();
        assert_eq!(response(&pair, asked), owned(entries).filter(|_| set));
        let Outcome { status, trailers, cause, .. } = pair.outcome(asked);
        let expected = if set { Cause::Trailers } else { Cause::TrailersOnly };
        assert_eq!((status.code, cause, trailers.get("t")), (Code::Aborted, expected, Some(&b"2"[..])));
    }
}

#[test]
fn what_is_set_goes_ahead_of_a_status_that_the_library_gives() {
    let (mut pair, asked, answering) = call();
    pair.server.accept(answering, CallType::UNARY).unwrap();
    pair.server.set_headers(answering, metadata(&[("a", "1")])).unwrap();
    // P-72: a second request where the method accepts one.
    for _ in 0..2 {
        pair.client.send_message(asked, "hi".into(), false).unwrap();
    }
    pair.exchange();
    assert!(matches!(pair.server.recv(answering), Ok(Recv::Pending)), "refused");
    pair.exchange();
    assert_eq!(response(&pair, asked), owned(&[("a", "1")]));
    assert_eq!(pair.outcome(asked).status.code, Code::Unimplemented);
}

#[test]
fn sending_adds_to_what_is_set_and_ends_the_setting() {
    let (mut pair, asked, answering) = call();
    pair.server.set_headers(answering, metadata(&[("a", "1")])).unwrap();
    pair.server.send_headers(answering, metadata(&[("b", "2")])).unwrap();
    for refused in [
        pair.server.set_headers(answering, metadata(&[("c", "3")])),
        pair.server.send_headers(answering, metadata(&[("c", "3")])),
        pair.server.set_encoding(answering, None),
    ] {
        assert_eq!(refused, Err(Misuse::HeadersTwice));
    }
    pair.exchange();
    assert_eq!(response(&pair, asked), owned(&[("a", "1"), ("b", "2")]));
    pair.server.finish(answering, Status::ok(), Metadata::new()).unwrap();
    assert_eq!(pair.server.set_headers(answering, Metadata::new()), Err(Misuse::AfterStatus));
    pair.exchange();
    assert!(pair.outcome(asked).status.is_ok());
    while pair.server.poll_event().is_some() {}
    assert_eq!(pair.server.set_headers(answering, Metadata::new()), Err(Misuse::UnknownCall));
}

#[test]
fn after_a_message_nothing_can_be_set() {
    let (mut pair, _, answering) = call();
    pair.server.send_message(answering, "hi".into(), false).unwrap();
    let refused = pair.server.set_headers(answering, metadata(&[("a", "1")]));
    assert_eq!(refused, Err(Misuse::HeadersTwice));
}

#[test]
fn what_is_set_keeps_to_the_clients_limit_with_the_encoding_that_is_chosen_behind_it() {
    // P-45. The list of plain headers, an entry, and the field `grpc-encoding: gzip`.
    const PLAIN: u32 = (7 + 3 + 32) + (12 + 16 + 32);
    const ENTRY: u32 = 1 + 40 + 32;
    const ENCODING: u32 = 13 + 4 + 32;
    for (limit, entries, encoding) in [
        (PLAIN + 2 * ENTRY - 1, 1, true),
        (PLAIN + 2 * ENTRY, 2, false),
        (PLAIN + 2 * ENTRY + ENCODING - 1, 2, false),
        (PLAIN + 2 * ENTRY + ENCODING, 2, true),
    ] {
        let mut config = Config::server();
        config.codecs = common::Backwards::alone();
        let accept = "grpc-accept-encoding".len() + "identity,gzip".len() + 32;
        let limit = limit + u32::try_from(accept).unwrap();
        let mut server = Scripted::server(config, &[(6, limit)]);
        let mut fields = halfclose_wire::REQUEST.to_vec();
        fields.push(("grpc-accept-encoding", "gzip"));
        server.feed(&headers(1, 0, &halfclose_wire::block(&fields))).unwrap();
        let events = server.events();
        let [Event::Request(call)] = events.as_slice() else { panic!("{events:?}") };
        for nth in 1..=3 {
            let set = server.core.set_headers(*call, metadata(&[("a", &"1".repeat(40))]));
            let fits = nth <= entries;
            assert_eq!(set.is_ok(), fits, "{nth} of {limit}");
            if !fits {
                assert!(matches!(set, Err(Misuse::HeaderListTooLarge { .. })), "{set:?}");
                break;
            }
        }
        let chosen = server.core.set_encoding(*call, Some(Encoding::Gzip));
        assert_eq!(chosen.is_ok(), encoding, "{chosen:?} at {limit}");
        server.core.send_headers(*call, Metadata::new()).expect("what was accepted goes");
        assert_eq!(server.sent().iter().filter(|frame| frame.kind == kind::HEADERS).count(), 1);
    }
}

#[test]
fn typed_handles_set_metadata_too_and_give_it_back_where_it_cannot_be_set() {
    let (mut pair, asked, id) = call();
    let handler = pair.server.accept_bidi(id).unwrap();
    let mut handler = handler.with_metadata(&mut pair.server, metadata(&[("a", "1")])).unwrap();
    handler.send(&mut pair.server, "hi".into()).unwrap();
    pair.exchange();
    assert_eq!(response(&pair, asked), owned(&[("a", "1")]));

    let (mut pair, asked, id) = call();
    let handler = pair.server.accept_bidi(id).unwrap();
    pair.client.cancel(asked).unwrap();
    pair.exchange();
    while pair.server.poll_event().is_some() {}
    let refused = handler.with_metadata(&mut pair.server, metadata(&[("a", "1")])).unwrap_err();
    assert_eq!((refused.reason, refused.returned.1.get("a")), (Misuse::UnknownCall, Some(&b"1"[..])));
}
