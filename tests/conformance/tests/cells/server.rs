//! The two halves of a server's call.

use bytes::Bytes;
use halfclose::frame::ErrorCode;
use halfclose::machine::Row;
use halfclose::{CallId, Cause, Config, Event, HalfStates, Metadata, Server, Status};
use halfclose_conformance::Peer;
use halfclose_wire::{END_STREAM, Frame, REQUEST, block, data, flagged, headers, message, reset};

use crate::met::{self, Met, cause_breach, connection};

const STREAM: u32 = 1;

fn states(peer: &Peer<Server>, call: CallId) -> (String, String) {
    match peer.connection.states(call).expect("the call is there until its end is told") {
        HalfStates::Server { send, recv } => (format!("{send:?}"), format!("{recv:?}")),
        HalfStates::Client { .. } => panic!("a server's call"),
    }
}

fn input(name: &str) -> Vec<u8> {
    match name {
        "Headers" => headers(STREAM, 0, &block(&REQUEST)),
        "HeadersEnd" => headers(STREAM, END_STREAM, &block(&REQUEST)),
        "Data" => data(STREAM, 0, &message(b"m")),
        "DataEnd" => data(STREAM, END_STREAM, &message(b"m")),
        "Reset" => reset(STREAM, ErrorCode::CANCEL),
        other => panic!("no input {other}"),
    }
}

fn recv_state(name: &str) -> (Peer<Server>, CallId) {
    let mut peer = Peer::server(Config::server());
    let flags = if name == "Ended" { END_STREAM } else { 0 };
    let call = peer.open(STREAM, flags);
    match name {
        "Body" | "Ended" => {}
        "Reset" => peer.feed(&input("Reset")).expect("a client may cancel"),
        // A message that breaks a rule of gRPC is answered with a status, which has not been sent yet.
        "Abandoned" => peer.feed(&data(STREAM, 0, &flagged(2, b"m"))).expect("it costs the call only"),
        other => panic!("no state {other}"),
    }
    assert_eq!(states(&peer, call).1, name);
    (peer, call)
}

pub(crate) fn recv(row: &Row) -> Met {
    if row.state == "Idle" {
        return recv_idle(row);
    }
    let (mut peer, call) = recv_state(row.state);
    if row.input == "Cancel" {
        // The status is sent, and the rest of the request is not read.
        let _ = peer.connection.finish(call, Status::ok(), Metadata::new());
        peer.sent();
        return Met::State(states(&peer, call).1);
    }
    let fed = peer.feed(&input(row.input));
    if row.outcome == "never" {
        // The stream has no slot any more: the table of closed streams answers the frame, and the half does not
        // change.
        fed.expect("a stream that was reset costs no connection");
        return Met::State(states(&peer, call).1);
    }
    fed.expect("no row of an open stream costs the connection");
    let state = states(&peer, call).1;
    match met::reset(&peer.sent(), STREAM) {
        Some(code) if code != ErrorCode::NO_ERROR => Met::Stream(code, ended(&mut peer)),
        _ => Met::State(state),
    }
}

/// Returns the broken rule that ended the call, as its handler sees it.
fn ended(peer: &mut Peer<Server>) -> Option<halfclose::machine::IllegalTransition> {
    let cause = peer.events().into_iter().find_map(|event| match event {
        Event::Ended(_, cause) => Some(cause),
        _ => None,
    });
    // A call that was answered before keeps that cause: the first end of a call wins (P-89).
    cause.filter(|cause| matches!(cause, Cause::Violation(_))).as_ref().and_then(cause_breach)
}

/// Drives a row of a stream that does not exist yet.
fn recv_idle(row: &Row) -> Met {
    let mut peer = Peer::server(Config::server());
    if row.input == "Cancel" {
        // The request itself is refused: what follows is dropped, and its end is handled.
        let get =
            block(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")]);
        peer.feed(&headers(STREAM, 0, &get)).expect("it costs the stream only");
        peer.feed(&input("Data")).expect("it is dropped");
        let sent = peer.sent();
        assert_eq!((met::reset(&sent, STREAM), peer.events()), (None, Vec::new()));
        return Met::State("Abandoned".to_owned());
    }
    match peer.feed(&input(row.input)) {
        // Without a slot, the table of closed streams says the same.
        Err(error) => match connection(&error, &mut peer) {
            Met::Connection(code, Some(breach)) => {
                assert_eq!((breach.machine, breach.section), ("ClosedStream", row.section));
                Met::Connection(code, None)
            }
            other => other,
        },
        Ok(()) => match peer.events().as_slice() {
            [Event::Request(call)] => Met::State(states(&peer, *call).1),
            other => panic!("not one request: {other:?}"),
        },
    }
}

fn send_state(name: &str) -> (Peer<Server>, CallId) {
    let mut peer = Peer::server(Config::server());
    let call = peer.open(STREAM, 0);
    let connection = &mut peer.connection;
    match name {
        "AwaitHeaders" => {}
        "Body" => connection.send_headers(call, Metadata::new()).expect("the first headers"),
        "Closing" => connection.finish(call, Status::ok(), Metadata::new()).expect("the first status"),
        "Ended" => connection.cancel(call).expect("an open call"),
        other => panic!("no state {other}"),
    }
    assert_eq!(states(&peer, call).0, name);
    (peer, call)
}

pub(crate) fn send(row: &Row) -> Met {
    let (mut peer, call) = send_state(row.state);
    let connection = &mut peer.connection;
    let order = match row.input {
        "Headers" => connection.send_headers(call, Metadata::new()),
        "Message" => connection.send_message(call, Bytes::from_static(b"m"), false).map(drop),
        "Status" => connection.finish(call, Status::ok(), Metadata::new()),
        "Cancel" => connection.cancel(call),
        "EndSent" => return scheduled(row, &mut peer, call),
        other => panic!("no input {other}"),
    };
    let state = states(&peer, call).0;
    match order {
        Ok(()) => Met::State(state),
        Err(misuse) => {
            assert_eq!(state, row.state, "misuse changes nothing");
            Met::misuse(&misuse)
        }
    }
}

fn scheduled(row: &Row, peer: &mut Peer<Server>, call: CallId) -> Met {
    let ends = peer.sent().iter().any(Frame::ends_stream);
    assert_eq!(ends, row.state == "Closing");
    if ends { Met::State(states(peer, call).0) } else { Met::Never }
}
