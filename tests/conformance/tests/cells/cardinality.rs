//! How many messages a method carries.

use bytes::Bytes;
use halfclose::frame::ErrorCode;
use halfclose::machine::Row;
use halfclose::{CallId, CallType, Client, Code, Config, Recv, Server};
use halfclose_conformance::Peer;
use halfclose_conformance::ask::{fields_of, value};
use halfclose_wire::{END_STREAM, RESPONSE, TRAILERS, block, data, headers, message};

use crate::met::{self, Met};

const STREAM: u32 = 1;

/// Returns a unary call at its server after these inputs, each received by the handler.
fn server(inputs: &[&str]) -> (Peer<Server>, CallId, Vec<Recv>) {
    let mut peer = Peer::server(Config::server());
    let call = peer.open(STREAM, 0);
    peer.connection.accept(call, CallType::UNARY).expect("an open call");
    let mut taken = Vec::new();
    for input in inputs {
        let bytes = match *input {
            "Message" => data(STREAM, 0, &message(b"m")),
            "End" => data(STREAM, END_STREAM, &[]),
            other => panic!("no input {other}"),
        };
        peer.feed(&bytes).expect("legal frames");
        while let Ok(recv) = peer.connection.recv(call) {
            if matches!(recv, Recv::Pending) {
                break;
            }
            let half_closed = matches!(recv, Recv::HalfClosed);
            taken.push(recv);
            if half_closed {
                break;
            }
        }
    }
    (peer, call, taken)
}

pub(crate) fn requests(row: &Row) -> Met {
    let before: &[&str] = match row.state {
        "Missing" => &[],
        "One" => &["Message"],
        "Complete" => &["Message", "End"],
        other => panic!("no state {other}"),
    };
    if (row.state, row.input) == ("Complete", "Message") {
        let (mut peer, _, _) = server(before);
        peer.feed(&data(STREAM, 0, &message(b"m"))).expect("it costs the stream only");
        assert_eq!(met::reset(&peer.sent(), STREAM), Some(ErrorCode::STREAM_CLOSED));
        return Met::Unreachable("DATA after END_STREAM is refused by ServerRecv first");
    }
    if (row.state, row.input) == ("Complete", "End") {
        // The handler asks again and gets the same answer each time.
        let (mut peer, call, _) = server(before);
        assert!(matches!(peer.connection.recv(call), Ok(Recv::HalfClosed)));
        return Met::State("Complete".to_owned());
    }
    let inputs = [before, &[row.input]].concat();
    let (mut peer, call, mut taken) = server(&inputs);
    if inputs == ["Message"] && taken.is_empty() {
        // P-75: the handler gets it with the half-close behind it.
        peer.feed(&data(STREAM, END_STREAM, &[])).expect("legal frames");
        taken.extend(peer.connection.recv(call));
    }
    if let Some(text) = status_text(&mut peer) {
        return Met::Cardinality(text);
    }
    let messages = taken.iter().filter(|recv| matches!(recv, Recv::Message(_))).count();
    let ended = taken.iter().any(|recv| matches!(recv, Recv::HalfClosed));
    Met::State(if ended { "Complete" } else { ["Missing", "One", "Many"][messages] }.to_owned())
}

/// Returns the message of the UNIMPLEMENTED status that the server sent by itself, if it did.
fn status_text(peer: &mut Peer<Server>) -> Option<String> {
    let sent = peer.sent();
    sent.iter().find(|frame| frame.ends_stream())?;
    let fields = fields_of(&sent);
    assert_eq!(value(&fields, "grpc-status"), Some("12"));
    value(&fields, "grpc-message").map(str::to_owned)
}

/// Returns a unary call at its client after these inputs, and what the caller received.
fn client(inputs: &[&str]) -> (Peer<Client>, CallId, Vec<Recv>) {
    let mut peer = Peer::client(Config::client());
    let call = peer.start(CallType::UNARY);
    peer.connection.send_message(call, Bytes::new(), false).expect("the one request");
    peer.connection.half_close(call).expect("the first half-close");
    peer.sent();
    peer.feed(&headers(STREAM, 0, &block(&RESPONSE))).expect("response headers");
    let mut taken = Vec::new();
    for input in inputs {
        let bytes = match *input {
            "Message" => data(STREAM, 0, &message(b"m")),
            "EndOk" => headers(STREAM, END_STREAM, &block(&TRAILERS)),
            "EndError" => headers(STREAM, END_STREAM, &block(&[("grpc-status", "5")])),
            other => panic!("no input {other}"),
        };
        peer.feed(&bytes).expect("legal frames");
        while let Ok(recv) = peer.connection.recv(call) {
            if matches!(recv, Recv::Pending) {
                break;
            }
            taken.push(recv);
        }
    }
    (peer, call, taken)
}

pub(crate) fn responses(row: &Row) -> Met {
    let before: &[&str] = match row.state {
        "Missing" => &[],
        "One" => &["Message"],
        "Complete" => &["Message", "EndOk"],
        other => panic!("no state {other}"),
    };
    if row.state == "Complete" {
        let (mut peer, call, _) = client(before);
        assert!(peer.connection.recv(call).is_err(), "the outcome was taken: the id is stale");
        return Met::Unreachable("the outcome was taken, and with it the call");
    }
    let inputs = [before, &[row.input]].concat();
    let (mut peer, call, mut taken) = client(&inputs);
    if inputs == ["Message"] && taken.is_empty() {
        // P-74: the caller gets it with the status OK behind it.
        peer.feed(&headers(STREAM, END_STREAM, &block(&TRAILERS))).expect("legal frames");
        taken.extend(peer.connection.recv(call));
    }
    let outcome = taken.iter().find_map(|recv| match recv {
        Recv::End(outcome) => Some(outcome),
        _ => None,
    });
    let Some(outcome) = outcome else {
        let messages = taken.iter().filter(|recv| matches!(recv, Recv::Message(_))).count();
        return Met::State(["Missing", "One", "Many"][messages].to_owned());
    };
    match outcome.status.code {
        Code::Unimplemented => Met::Cardinality(outcome.status.message().to_owned()),
        Code::Ok | Code::NotFound => Met::State("Complete".to_owned()),
        other => panic!("status {other:?}"),
    }
}
