//! Ids of other connections, messages of calls that are cut, and call types that are set too late: none does any harm.

mod common;

use bytes::Bytes;
use common::Pair;
use halfclose::{
    CallId, CallType, Client, Code, Config, Connection, Event, LazyRecv, Metadata, Misuse, Recv, Request,
    Seed, Server, Status, Time,
};

fn client(seed: u64) -> Connection<Client> {
    Connection::<Client>::new(Config::client(), Seed(seed), Time::ZERO)
}

fn bidi() -> Request {
    Request::new("/demo.Echo/Call", CallType::BIDI)
}

/// Every command of a client, given with an id that is not its own.
fn refuses(core: &mut Connection<Client>, call: CallId) {
    let message = || Bytes::from_static(b"not for this call");
    assert!(matches!(core.recv(call), Err(Misuse::UnknownCall)));
    assert!(matches!(core.recv_lazily(call), Err(Misuse::UnknownCall)));
    assert_eq!(core.send_message(call, message(), false), Err(Misuse::UnknownCall));
    assert_eq!(core.send_message_from(call, &mut message().into(), false), Err(Misuse::UnknownCall));
    assert_eq!(core.want_write(call), Err(Misuse::UnknownCall));
    assert!(!core.is_writable(call));
    assert_eq!(core.half_close(call), Err(Misuse::UnknownCall));
    assert_eq!(core.cancel(call), Err(Misuse::UnknownCall));
    assert_eq!(core.states(call), Err(Misuse::UnknownCall));
    assert_eq!(core.deadline(call), None);
    assert!(core.response(call).is_none() && core.release(call).is_none());
}

#[test]
fn an_id_of_another_connection_names_no_call_here() {
    // Of the same seed and of another one: the ids are the same but for whose they are.
    for seed in [1, 2] {
        let (mut one, mut other) = (client(1), client(seed));
        let (call, foreign) = (one.start(Time::ZERO, bidi()), other.start(Time::ZERO, bidi()));
        let (call, foreign) = (call.expect("a call"), foreign.expect("a call"));
        assert_eq!((call.slot(), call), (foreign.slot(), foreign));
        refuses(&mut one, foreign);
        refuses(&mut other, call);
        assert!(one.states(call).is_ok() && other.states(foreign).is_ok());
        assert_eq!(one.want_write(call), Ok(true));
    }
}

#[test]
fn an_id_of_an_earlier_connection_names_no_call_of_a_later_one() {
    let mut stale = Vec::new();
    for round in 0..100 {
        // As programs do that connect again: memory is used again, the seed is another one.
        let mut core = client(round);
        let call = core.start(Time::ZERO, bidi()).expect("a call");
        for old in &stale {
            refuses(&mut core, *old);
        }
        assert!(core.states(call).is_ok());
        stale.push(call);
    }
}

#[test]
fn an_id_of_the_other_role_names_no_call_here() {
    let mut pair = Pair::new();
    let at_client = pair.start(CallType::BIDI);
    let at_server = pair.accept(CallType::BIDI);
    assert_eq!(at_client, at_server);
    let server: &mut Connection<Server> = &mut pair.server;
    assert_eq!(server.accept(at_client, CallType::UNARY), Err(Misuse::UnknownCall));
    assert!(server.request(at_client).is_err() && server.take_request(at_client).is_err());
    assert_eq!(server.set_headers(at_client, Metadata::new()), Err(Misuse::UnknownCall));
    assert_eq!(server.send_headers(at_client, Metadata::new()), Err(Misuse::UnknownCall));
    assert_eq!(server.set_encoding(at_client, None), Err(Misuse::UnknownCall));
    assert_eq!(server.finish(at_client, Status::ok(), Metadata::new()), Err(Misuse::UnknownCall));
    assert!(matches!(server.recv(at_client), Err(Misuse::UnknownCall)));
    refuses(&mut pair.client, at_server);
}

/// What a server receives of a unary call whose client has sent its message and not half-closed.
fn unfinished(call_type: CallType) -> (Pair, CallId, CallId) {
    let mut pair = Pair::new();
    let at_client = pair.start(call_type);
    pair.client.send_message(at_client, "half of it".into(), false).expect("buffer space");
    pair.exchange();
    let at_server = pair.accept(call_type);
    (pair, at_client, at_server)
}

#[test]
fn a_request_that_is_cut_is_never_received() {
    for call_type in [CallType::UNARY, CallType::SERVER_STREAMING] {
        let (mut pair, at_client, at_server) = unfinished(call_type);
        assert!(matches!(pair.server.recv(at_server), Ok(Recv::Pending)));
        assert!(matches!(pair.server.recv_lazily(at_server), Ok(LazyRecv::Plain(Recv::Pending))));
        pair.client.cancel(at_client).expect("an open call");
        pair.exchange();
        assert!(!matches!(pair.server.recv(at_server), Ok(Recv::Message(_))));
        // Complete, it is received and told.
        let (mut pair, at_client, at_server) = unfinished(call_type);
        while pair.server.poll_event().is_some() {}
        assert!(matches!(pair.server.recv(at_server), Ok(Recv::Pending)));
        pair.client.half_close(at_client).expect("an open call");
        pair.exchange();
        assert_eq!(pair.server.poll_event(), Some(Event::Readable(at_server)));
        assert!(matches!(pair.server.recv(at_server), Ok(Recv::Message(_))));
        assert!(matches!(pair.server.recv(at_server), Ok(Recv::HalfClosed)));
    }
    // Messages of a stream are received as they come.
    let (mut pair, _, at_server) = unfinished(CallType::BIDI);
    assert!(matches!(pair.server.recv(at_server), Ok(Recv::Message(_))));
}

#[test]
fn a_response_is_received_with_the_status_ok_behind_it_alone() {
    for status in [Status::ok(), Status::aborted("after all")] {
        let mut pair = Pair::new();
        let at_client = pair.start(CallType::UNARY);
        pair.client.send_message(at_client, "ask".into(), false).expect("buffer space");
        pair.client.half_close(at_client).expect("an open call");
        pair.exchange();
        let at_server = pair.accept(CallType::UNARY);
        pair.server.send_message(at_server, "answer".into(), false).expect("buffer space");
        pair.exchange();
        assert!(matches!(pair.client.recv(at_client), Ok(Recv::Pending)), "the status is not here");
        pair.server.finish(at_server, status.clone(), Metadata::new()).expect("an open call");
        pair.exchange();
        if status.is_ok() {
            assert!(matches!(pair.client.recv(at_client), Ok(Recv::Message(_))));
        }
        // P-74: the status wins over the message.
        assert!(matches!(pair.client.recv(at_client), Ok(Recv::End(end)) if end.status == status));
    }
}

#[test]
fn of_several_messages_where_one_is_allowed_none_is_received() {
    let mut pair = Pair::new();
    let at_client = pair.start(CallType::BIDI);
    for _ in 0..2 {
        pair.client.send_message(at_client, "one".into(), false).expect("buffer space");
    }
    pair.exchange();
    let at_server = pair.accept(CallType::UNARY);
    assert!(!matches!(pair.server.recv(at_server), Ok(Recv::Message(_))));
    pair.exchange();
    assert!(matches!(pair.client.recv(at_client), Ok(Recv::End(end)) if end.status.code == Code::Internal
        || end.status.code == Code::Unimplemented));
}

#[test]
fn a_call_type_that_is_set_after_messages_is_refused() {
    // After nothing, a message, the half-close, or a response.
    for (step, result) in [
        (0, Ok(())),
        (1, Err(Misuse::AcceptedLate)),
        (2, Err(Misuse::AcceptedLate)),
        (3, Err(Misuse::AcceptedLate)),
    ] {
        let mut pair = Pair::new();
        let at_client = pair.start(CallType::BIDI);
        if step == 1 {
            pair.client.send_message(at_client, "one".into(), false).expect("buffer space");
        }
        pair.client.half_close(at_client).expect("an open call");
        pair.exchange();
        let call = loop {
            match pair.server.poll_event() {
                Some(Event::Request(call)) => break call,
                Some(_) => {}
                None => panic!("a request"),
            }
        };
        match step {
            1 => assert!(matches!(pair.server.recv(call), Ok(Recv::Message(_)))),
            2 => assert!(matches!(pair.server.recv(call), Ok(Recv::HalfClosed))),
            3 => drop(pair.server.send_message(call, "early".into(), false).expect("buffer space")),
            _ => {}
        }
        assert_eq!(pair.server.accept(call, CallType::UNARY), result, "{step}");
        assert_eq!(pair.server.accept_unary(call).map(drop), result, "{step}");
    }
}
