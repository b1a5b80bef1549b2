//! The two halves of a client's call.

use bytes::Bytes;
use halfclose::frame::ErrorCode;
use halfclose::machine::Row;
use halfclose::{CallId, CallType, Client, Config, HalfStates, Recv};
use halfclose_conformance::Peer;
use halfclose_wire::{
    END_STREAM, Frame, RESPONSE, TRAILERS, TRAILERS_ONLY, block, data, headers, kind::HEADERS, message, reset,
};

use crate::met::{self, Met, cause_breach, connection};

const STREAM: u32 = 1;

fn states(peer: &Peer<Client>, call: CallId) -> (String, String) {
    match peer.connection.states(call).expect("the call is there until its outcome is taken") {
        HalfStates::Client { send, recv } => (format!("{send:?}"), format!("{recv:?}")),
        HalfStates::Server { .. } => panic!("a client's call"),
    }
}

fn send_state(name: &str) -> (Peer<Client>, CallId) {
    let mut peer = Peer::client(Config::client());
    let call = peer.start(CallType::BIDI);
    if !name.starts_with("Queued") {
        peer.sent();
    }
    match name {
        "Queued" | "Open" => {}
        "QueuedClosing" | "Closing" => peer.connection.half_close(call).expect("the first half-close"),
        "HalfClosed" => {
            peer.connection.half_close(call).expect("the first half-close");
            peer.sent();
        }
        "Ended" => {
            peer.connection.cancel(call).expect("an open call");
            peer.sent();
        }
        other => panic!("no state {other}"),
    }
    assert_eq!(states(&peer, call).0, name);
    (peer, call)
}

pub(crate) fn send(row: &Row) -> Met {
    let (mut peer, call) = send_state(row.state);
    let order = match row.input {
        "Message" => peer.connection.send_message(call, Bytes::from_static(b"m"), false).map(drop),
        "HalfClose" => peer.connection.half_close(call),
        "Cancel" => peer.connection.cancel(call),
        "PeerEnded" => {
            peer_ends(&mut peer, row.state);
            Ok(())
        }
        "HeadersSent" | "EndSent" => return scheduled(row, &mut peer, call),
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

/// Ends the call by the server; before the call is on the wire only the end of the transport can.
fn peer_ends(peer: &mut Peer<Client>, state: &str) {
    if state.starts_with("Queued") {
        peer.connection.receive_eof(peer.now);
        return;
    }
    peer.feed(&headers(STREAM, END_STREAM, &block(&TRAILERS_ONLY))).expect("Trailers-Only");
}

/// Runs a row whose input only the scheduler gives: frames that are sent.
fn scheduled(row: &Row, peer: &mut Peer<Client>, call: CallId) -> Met {
    let sent = peer.sent();
    let heads = sent.iter().position(|frame| frame.kind == HEADERS);
    let end = sent.iter().position(Frame::ends_stream);
    match (row.input, row.state) {
        // HEADERS are sent first, and the end follows from the state that they lead to.
        ("EndSent", "QueuedClosing") => {
            assert!(heads < end, "HEADERS before END_STREAM");
            Met::Never
        }
        ("EndSent", "Closing") => {
            assert!(end.is_some());
            Met::State(states(peer, call).0)
        }
        ("EndSent", _) => {
            assert_eq!(end, None);
            Met::Never
        }
        ("HeadersSent", "Queued") => {
            assert!(heads.is_some());
            Met::State(states(peer, call).0)
        }
        ("HeadersSent", "QueuedClosing") => {
            assert!(heads.is_some());
            // END_STREAM may have been sent in the same turn: one state further along the same path.
            let state = states(peer, call).0;
            let end_followed = state == "HalfClosed" && end.is_some();
            Met::State(if end_followed { "Closing".to_owned() } else { state })
        }
        _ => {
            assert_eq!(heads, None);
            Met::Never
        }
    }
}

fn recv_state(name: &str) -> (Peer<Client>, CallId) {
    let mut peer = Peer::client(Config::client());
    let call = peer.start(CallType::BIDI);
    peer.connection.half_close(call).expect("the first half-close");
    peer.sent();
    let give = |peer: &mut Peer<Client>, bytes: Vec<u8>| peer.feed(&bytes).expect("legal frames");
    match name {
        "AwaitHeaders" => {}
        "Body" => give(&mut peer, headers(STREAM, 0, &block(&RESPONSE))),
        "Ended" => {
            give(&mut peer, headers(STREAM, 0, &block(&RESPONSE)));
            give(&mut peer, headers(STREAM, END_STREAM, &block(&TRAILERS)));
        }
        "Reset" => give(&mut peer, reset(STREAM, ErrorCode::CANCEL)),
        "Abandoned" => peer.connection.cancel(call).expect("an open call"),
        other => panic!("no state {other}"),
    }
    peer.sent();
    assert_eq!(states(&peer, call).1, name);
    (peer, call)
}

fn recv_input(row: &Row) -> Vec<u8> {
    let informational = block(&[(":status", "100")]);
    match row.input {
        "Informational" => headers(STREAM, 0, &informational),
        "InformationalEnd" => headers(STREAM, END_STREAM, &informational),
        "Headers" if row.state == "Body" => headers(STREAM, 0, &block(&TRAILERS)),
        "Headers" => headers(STREAM, 0, &block(&RESPONSE)),
        "HeadersEnd" if row.state == "AwaitHeaders" => headers(STREAM, END_STREAM, &block(&TRAILERS_ONLY)),
        "HeadersEnd" => headers(STREAM, END_STREAM, &block(&TRAILERS)),
        "Data" => data(STREAM, 0, &message(b"m")),
        "DataEnd" => data(STREAM, END_STREAM, &message(b"m")),
        "Reset" => reset(STREAM, ErrorCode::CANCEL),
        other => panic!("no input {other}"),
    }
}

pub(crate) fn recv(row: &Row) -> Met {
    let (mut peer, call) = recv_state(row.state);
    if row.input == "Cancel" {
        peer.connection.cancel(call).expect("the call is there");
        return Met::State(states(&peer, call).1);
    }
    let fed = peer.feed(&recv_input(row));
    if row.outcome == "never" {
        // The stream has no slot any more: the table of closed streams answers the frame, and the half does not
        // change.
        let state = states(&peer, call).1;
        if let Err(error) = fed {
            let Met::Connection(_, Some(breach)) = connection(&error, &mut peer) else { panic!("no breach") };
            assert_eq!(breach.machine, "ClosedStream");
        }
        return Met::State(state);
    }
    fed.expect("no row of this table costs the connection");
    let Some(code) = met::reset(&peer.sent(), STREAM) else { return Met::State(states(&peer, call).1) };
    let Ok(Recv::End(outcome)) = peer.connection.recv(call) else { panic!("a reset call is over") };
    // After the response headers any block is trailers, and the row of its frame answers it.
    let as_trailers = row.state == "Body" && row.input.starts_with("Informational");
    Met::Stream(code, cause_breach(&outcome.cause).filter(|_| !as_trailers))
}
