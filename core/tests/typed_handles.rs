//! The typed handles: the four call types, and refusals that lose nothing.

mod common;

use bytes::Bytes;
use common::{Backwards, Pair};
use halfclose::grpc::encoding::Encoding;
use halfclose::{
    Answering, BidiServerCall, CallType, Cause, Client, Code, Config, Connection, Event, Incoming, Message,
    Metadata, Misuse, Received, Request, Seed, Sent, Server, Status, Time,
};

fn payload(asked: Incoming) -> Bytes {
    match asked {
        Incoming::Message(message) => message.payload,
        other => panic!("not a message: {other:?}"),
    }
}

fn received(received: Received) -> Bytes {
    match received {
        Received::Message(message) => message.payload,
        other => panic!("not a message: {other:?}"),
    }
}

/// Returns the id of the next request.
fn next(pair: &mut Pair) -> halfclose::CallId {
    pair.accept(CallType::BIDI)
}

#[test]
fn unary() {
    let mut pair = Pair::new();
    let call = pair.client.unary(pair.now, "/demo.Echo/Unary").unwrap();
    let mut call = call.send(&mut pair.client, "hello".into()).unwrap();
    let id = next(&mut pair);
    let mut handler = pair.server.accept_unary(id).unwrap();
    assert_eq!(handler.request(&pair.server).unwrap().path(), "/demo.Echo/Unary");
    let request = payload(handler.recv(&mut pair.server).unwrap());
    assert_eq!(handler.recv(&mut pair.server), Ok(Incoming::HalfClosed));
    handler.send_and_close(&mut pair.server, request).unwrap();
    assert!(call.recv(&mut pair.client).unwrap().is_none());
    pair.exchange();
    let reply = call.recv(&mut pair.client).unwrap().expect("an answer");
    assert_eq!(reply.outcome.cause, Cause::Trailers);
    let expected = Message { payload: "hello".into(), compressed: false };
    assert_eq!(reply.into_result().map_err(|outcome| outcome.status), Ok(expected));
    assert!(matches!(call.recv(&mut pair.client), Err(Misuse::UnknownCall)));
}

#[test]
fn the_one_request_counts_only_with_the_half_close() {
    // P-75.
    let mut pair = Pair::new();
    let mut call = pair.client.bidi(pair.now, "/demo.Echo/Unary").unwrap();
    call.send(&mut pair.client, "half a request".into()).unwrap();
    let id = next(&mut pair);
    let mut handler = pair.server.accept_unary(id).unwrap();
    assert_eq!(handler.recv(&mut pair.server), Ok(Incoming::Pending));
    call.cancel(&mut pair.client).unwrap();
    pair.exchange();
    assert!(
        matches!(pair.server.poll_event(), Some(Event::Ended(ended, Cause::Reset { .. })) if ended == id)
    );
    assert_eq!(handler.recv(&mut pair.server), Err(Misuse::UnknownCall));
    assert!(
        matches!(call.recv(&mut pair.client), Ok(Received::End(outcome)) if outcome.cause == Cause::Cancelled)
    );
}

#[test]
fn the_one_response_counts_only_with_the_status_ok() {
    // P-74.
    let mut pair = Pair::new();
    let call = pair.client.unary(pair.now, "/demo.Echo/Unary").unwrap();
    let mut call = call.send(&mut pair.client, "hello".into()).unwrap();
    let id = next(&mut pair);
    let handler = pair.server.accept_unary(id).unwrap().without_metadata();
    let answered = handler.send(&mut pair.server, "half an answer".into()).unwrap();
    pair.exchange();
    assert!(call.recv(&mut pair.client).unwrap().is_none());
    answered.finish(&mut pair.server, Status::aborted("no"), Metadata::new()).unwrap();
    pair.exchange();
    let reply = call.recv(&mut pair.client).unwrap().expect("an answer");
    assert_eq!(reply.into_result().unwrap_err().status.code, Code::Aborted);
}

#[test]
fn client_streaming() {
    let mut pair = Pair::new();
    let mut call = pair.client.client_streaming(pair.now, "/demo.Echo/Up").unwrap();
    for word in ["a", "b", "c"] {
        assert_eq!(call.send(&mut pair.client, word.into()), Ok(Sent::Ready));
    }
    let mut call = call.close_send(&mut pair.client);
    let id = next(&mut pair);
    let mut handler = pair.server.accept_client_streaming(id).unwrap();
    let mut all = Vec::new();
    while let Incoming::Message(message) = handler.recv(&mut pair.server).unwrap() {
        all.extend_from_slice(&message.payload);
    }
    handler.send_and_close(&mut pair.server, all.into()).unwrap();
    pair.exchange();
    let reply = call.recv(&mut pair.client).unwrap().expect("an answer");
    assert_eq!(reply.message.map(|message| message.payload), Some("abc".into()));
}

#[test]
fn server_streaming_with_initial_metadata() {
    let mut pair = Pair::new();
    let call = pair.client.server_streaming(pair.now, "/demo.Echo/Down").unwrap();
    let mut call = call.send(&mut pair.client, "3".into()).unwrap();
    let id = next(&mut pair);
    let mut handler = pair.server.accept_server_streaming(id).unwrap();
    payload(handler.recv(&mut pair.server).unwrap());
    let mut metadata = Metadata::new();
    metadata.append("x-count", "3").unwrap();
    let mut handler = handler.send_headers(&mut pair.server, metadata).unwrap();
    for word in ["a", "b", "c"] {
        handler.send(&mut pair.server, word.into()).unwrap();
    }
    let mut trailers = Metadata::new();
    trailers.append("x-sum", "6").unwrap();
    handler.finish(&mut pair.server, Status::ok(), trailers).unwrap();
    pair.exchange();
    assert_eq!(call.response(&pair.client).unwrap().metadata.get_str("x-count"), Some("3"));
    for word in ["a", "b", "c"] {
        assert_eq!(received(call.recv(&mut pair.client).unwrap()), word);
    }
    let Received::End(outcome) = call.recv(&mut pair.client).unwrap() else { panic!("no end") };
    assert_eq!(outcome.trailers.get_str("x-sum"), Some("6"));
}

#[test]
fn a_handler_picks_an_encoding_that_its_client_offers() {
    // P-60.
    let (mut client, mut server) = (Config::client(), Config::server());
    (client.codecs, server.codecs) = (Backwards::alone(), Backwards::alone());
    let mut pair = Pair::with(client, server);
    for (encoding, expected) in [
        (None, Ok(())),
        (Some(Encoding::Gzip), Ok(())),
        (Some(Encoding::Zstd), Err(Misuse::UnsupportedEncoding)),
    ] {
        let mut call = pair.client.bidi(pair.now, "/demo.Echo/Bidi").unwrap();
        let id = next(&mut pair);
        let mut handler = pair.server.accept_bidi(id).unwrap();
        assert_eq!(handler.set_encoding(&mut pair.server, encoding), expected);
        let mut handler = handler.without_metadata();
        handler.send(&mut pair.server, "down".into()).unwrap();
        pair.exchange();
        let compressed = encoding == Some(Encoding::Gzip);
        match call.recv(&mut pair.client) {
            Ok(Received::Message(message)) => {
                assert_eq!(message, Message { payload: "down".into(), compressed }, "{encoding:?}");
            }
            other => panic!("not a message: {other:?}"),
        }
    }
}

#[test]
fn bidi_with_many_calls_alive_at_once() {
    let mut pair = Pair::new();
    let mut calls: Vec<_> = (0..20).map(|_| pair.client.bidi(pair.now, "/demo.Echo/Bidi").unwrap()).collect();
    let mut handlers: Vec<_> = (0..20)
        .map(|_| {
            let id = next(&mut pair);
            pair.server.accept_bidi(id).unwrap().without_metadata()
        })
        .collect();
    for round in 0..5 {
        for (n, call) in calls.iter_mut().enumerate() {
            call.send(&mut pair.client, format!("{n}/{round}").into()).unwrap();
        }
        pair.exchange();
        for handler in &mut handlers {
            let request = payload(handler.recv(&mut pair.server).unwrap());
            handler.send(&mut pair.server, request).unwrap();
        }
        pair.exchange();
        for (n, call) in calls.iter_mut().enumerate() {
            assert_eq!(received(call.recv(&mut pair.client).unwrap()), format!("{n}/{round}"));
        }
    }
    let closed: Vec<_> = calls.into_iter().map(|call| call.close_send(&mut pair.client)).collect();
    pair.exchange();
    for mut handler in handlers {
        assert_eq!(handler.recv(&mut pair.server), Ok(Incoming::HalfClosed));
        handler.finish(&mut pair.server, Status::ok(), Metadata::new()).unwrap();
    }
    pair.exchange();
    for mut call in closed {
        assert!(matches!(call.recv(&mut pair.client), Ok(Received::End(outcome)) if outcome.status.is_ok()));
    }
}

#[test]
fn a_refused_opening_gives_the_request_back() {
    let mut pair = Pair::new();
    let mut request = Request::new("no-slash", CallType::UNARY);
    request.metadata.append("x-keep", "me").unwrap();
    let refused = pair.client.bidi(pair.now, request).unwrap_err();
    assert_eq!(refused.reason, Misuse::InvalidPath);
    assert_eq!(refused.returned.metadata.get_str("x-keep"), Some("me"));
    assert_eq!(refused.to_string(), Misuse::InvalidPath.to_string());
    assert!(pair.client.is_idle());
}

#[test]
fn a_refused_message_is_given_back_with_the_handle_that_it_would_have_used_up() {
    let mut config = Config::client();
    config.limits.max_send_message = 3;
    let mut client = Connection::<Client>::new(config, Seed(1), Time::ZERO);
    let call = client.unary(Time::ZERO, "/demo.Echo/Unary").unwrap();
    let too_large = Misuse::MessageTooLarge { size: 4, limit: 3 };
    let refused = call.send(&mut client, "four".into()).unwrap_err();
    assert_eq!(refused.reason, too_large);
    let (call, message) = refused.returned;
    assert_eq!(message, "four");
    let call = call.send_uncompressed(&mut client, message.slice(..3)).unwrap();
    assert_eq!(call.states(&client).unwrap().to_string(), "send=QueuedClosing recv=AwaitHeaders");

    let mut call = client.bidi(Time::ZERO, "/demo.Echo/Bidi").unwrap();
    let refused = call.send(&mut client, "four".into()).unwrap_err();
    assert_eq!((refused.reason, refused.returned), (too_large, Bytes::from("four")));
    call.send_uncompressed(&mut client, "ok".into()).unwrap();
    call.release(&mut client);
}

#[test]
fn a_server_hears_of_what_the_client_will_not_take() {
    let mut config = Config::client();
    config.limits.max_header_list = 1_100;
    let mut pair = Pair::with(config, Config::server());
    let _call = pair.client.unary(pair.now, "/demo.Echo/Unary").unwrap();
    let id = next(&mut pair);
    let handler = pair.server.accept_unary(id).unwrap();
    let mut metadata = Metadata::new();
    metadata.append("x-large", &"x".repeat(1_100)).unwrap();
    let refused = handler.send_headers(&mut pair.server, metadata).unwrap_err();
    assert!(matches!(refused.reason, Misuse::HeaderListTooLarge { size: 1_200.., limit: 1_100 }));
    let (handler, metadata) = refused.returned;
    assert_eq!(metadata.len(), 1);
    let handler = handler.send_headers(&mut pair.server, Metadata::new()).unwrap();
    handler.send_uncompressed(&mut pair.server, "ok".into()).unwrap().cancel(&mut pair.server).unwrap();
}

#[test]
fn an_order_for_a_call_that_the_peer_has_ended_is_misuse_and_its_message_is_kept() {
    let mut pair = Pair::new();
    let mut call = pair.client.bidi(pair.now, "/demo.Echo/Bidi").unwrap();
    let id = next(&mut pair);
    let handler = pair.server.accept_bidi(id).unwrap();
    handler.finish(&mut pair.server, Status::unavailable("later"), Metadata::new()).unwrap();
    pair.exchange();
    // P-88: the receiving side has the status.
    let refused = call.send(&mut pair.client, "late".into()).unwrap_err();
    assert_eq!((refused.reason, refused.returned), (Misuse::CallEnded, Bytes::from("late")));
    let mut call = call.close_send(&mut pair.client);
    assert!(
        matches!(call.recv(&mut pair.client), Ok(Received::End(end)) if end.status.code == Code::Unavailable)
    );
    assert!(matches!(pair.server.poll_event(), Some(Event::Ended(..))));

    let call = pair.client.unary(pair.now, "/demo.Echo/Unary").unwrap();
    let id = next(&mut pair);
    let handler = pair.server.accept_unary(id).unwrap();
    call.release(&mut pair.client);
    pair.exchange();
    let refused = handler.send_and_close(&mut pair.server, "late".into()).unwrap_err();
    let (handler, message) = refused.returned;
    assert_eq!((refused.reason, message), (Misuse::CallEnded, Bytes::from("late")));
    assert!(matches!(pair.server.poll_event(), Some(Event::Ended(..))));
    let late = handler.finish(&mut pair.server, Status::ok(), Metadata::new());
    assert_eq!(late, Err(Misuse::UnknownCall));
}

/// Creates a client and a server that know one encoding.
fn pair_with_a_codec() -> Pair {
    let (mut client, mut server) = (Config::client(), Config::server());
    (client.codecs, server.codecs) = (Backwards::alone(), Backwards::alone());
    Pair::with(client, server)
}

/// Returns whether the next messages that a client receives were compressed.
fn compressed(pair: &mut Pair, mut recv: impl FnMut(&mut Connection<Client>) -> Received) -> Vec<bool> {
    pair.exchange();
    let messages = std::iter::from_fn(|| match recv(&mut pair.client) {
        Received::Message(message) => Some(message.compressed),
        _ => None,
    });
    messages.collect()
}

#[test]
fn a_handler_picks_the_encoding_and_each_message_may_go_without_it() {
    let mut pair = pair_with_a_codec();
    let mut call = pair.client.bidi(pair.now, "/demo.Echo/Bidi").unwrap();
    let id = next(&mut pair);
    let mut handler = pair.server.accept_bidi(id).unwrap();
    assert_eq!(
        handler.set_encoding(&mut pair.server, Some(Encoding::Deflate)),
        Err(Misuse::UnsupportedEncoding)
    );
    handler.set_encoding(&mut pair.server, Some(Encoding::Gzip)).unwrap();
    let mut handler = handler.without_metadata();
    handler.send(&mut pair.server, "squeezed".into()).unwrap();
    handler.send_uncompressed(&mut pair.server, "as it is".into()).unwrap();
    assert_eq!(compressed(&mut pair, |client| call.recv(client).unwrap()), [true, false]);
    handler.finish(&mut pair.server, Status::ok(), Metadata::new()).unwrap();
}

#[test]
fn a_handler_names_its_call_and_shows_its_halves() {
    let mut pair = Pair::new();
    let call = pair.client.unary(pair.now, "/demo.Echo/Unary").unwrap();
    let mut call = call.send(&mut pair.client, "hello".into()).unwrap();
    let id = next(&mut pair);
    let mut handler = pair.server.accept_unary(id).unwrap();
    assert_eq!(handler.id(), id);
    payload(handler.recv(&mut pair.server).unwrap());
    assert_eq!(handler.states(&pair.server).unwrap().to_string(), "send=AwaitHeaders recv=Ended");
    let handler = handler.send_headers(&mut pair.server, Metadata::new()).unwrap();
    let answered = handler.send_uncompressed(&mut pair.server, "hi".into()).unwrap();
    assert_eq!(answered.states(&pair.server).unwrap().to_string(), "send=Body recv=Ended");
    answered.finish(&mut pair.server, Status::ok(), Metadata::new()).unwrap();
    pair.exchange();
    let reply = call.recv(&mut pair.client).unwrap().expect("an answer");
    assert_eq!(reply.message.map(|message| message.payload), Some("hi".into()));
}

#[test]
fn a_refusal_becomes_its_reason_where_only_that_is_told_on() {
    fn answer(server: &mut Connection<Server>, mut call: BidiServerCall<Answering>) -> Result<(), Misuse> {
        call.send(server, "late".into())?;
        call.finish(server, Status::ok(), Metadata::new())
    }
    let mut pair = Pair::new();
    let call = pair.client.bidi(pair.now, "/demo.Echo/Bidi").unwrap();
    let id = next(&mut pair);
    let handler = pair.server.accept_bidi(id).unwrap().without_metadata();
    call.release(&mut pair.client);
    pair.exchange();
    assert_eq!(answer(&mut pair.server, handler), Err(Misuse::CallEnded));
}

#[test]
fn a_handle_is_no_larger_than_what_it_holds() {
    use halfclose::{BidiCall, BidiServerCall, CallId, UnaryCall, UnaryServerCall};
    assert_eq!(size_of::<BidiCall>(), size_of::<CallId>());
    assert_eq!(size_of::<BidiServerCall>(), size_of::<CallId>());
    let holding = size_of::<CallId>() + size_of::<Option<Message>>();
    let holding = holding.next_multiple_of(align_of::<Option<Message>>());
    assert_eq!((size_of::<UnaryCall>(), size_of::<UnaryServerCall>()), (holding, holding));
}
