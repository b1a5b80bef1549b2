//! From the first call to the last. A server shuts down in two steps (P-94); a client is the side that receives
//! GOAWAY (P-93).

use halfclose::frame::ErrorCode;
use halfclose::machine::Row;
use halfclose::{CallType, Client, Config, Role, Server};
use halfclose_conformance::Peer;
use halfclose_wire::{
    ACK, END_STREAM, Frame, TRAILERS_ONLY, block, frame, goaway, headers,
    kind::{GOAWAY, PING},
    reset,
};

use crate::met::Met;

pub(crate) fn drive(row: &Row) -> Met {
    if row.input == "PeerGoAway" { client(row) } else { server(row) }
}

/// Sends a malformed frame.
fn break_frame<R: Role>(peer: &mut Peer<R>) {
    peer.feed(&frame(PING, 0, 0, b"short")).expect_err("a PING has eight bytes");
}

fn server(row: &Row) -> Met {
    let mut peer = Peer::server(Config::server());
    // One call keeps the connection from being drained.
    peer.open(1, 0);
    let state: &[&str] = match row.state {
        "Running" => &[],
        "Announced" => &["Shutdown"],
        "Draining" => &["Shutdown", "Confirmed"],
        "Closed" => &["Fatal"],
        other => panic!("no state {other}"),
    };
    for input in state.iter().chain(&[row.input]) {
        give(&mut peer, input);
    }
    Met::State(server_state(&mut peer, row.input == "Drained").to_owned())
}

fn give(peer: &mut Peer<Server>, input: &str) {
    match input {
        "Shutdown" => peer.connection.shutdown(peer.now),
        // The acknowledgement of the PING that follows the first GOAWAY; before it, of a PING that the server never
        // sent.
        "Confirmed" => drop(peer.feed(&frame(PING, ACK, 0, b"hc-drain"))),
        "Drained" => drop(peer.feed(&reset(1, ErrorCode::CANCEL))),
        "Fatal" if peer.connection.is_closed() => drop(peer.feed(&frame(PING, 0, 0, b"short"))),
        "Fatal" => break_frame(peer),
        other => panic!("no input {other}"),
    }
}

/// Returns the server's state: a connection that drains closes with its last call; one that only announced it has
/// sent GOAWAY.
fn server_state(peer: &mut Peer<Server>, drained: bool) -> &'static str {
    let announced = peer.sent().iter().any(|frame: &Frame| frame.kind == GOAWAY);
    if peer.connection.is_closed() {
        return "Closed";
    }
    let mut last = 1;
    if drained {
        last = 3;
        peer.events();
        peer.open(last, 0);
    }
    peer.feed(&reset(last, ErrorCode::CANCEL)).expect("a client may cancel");
    match (peer.connection.is_closed(), announced) {
        (true, _) => "Draining",
        (false, true) => "Announced",
        (false, false) => "Running",
    }
}

fn client(row: &Row) -> Met {
    if row.state == "Announced" {
        return Met::Unreachable(
            "a client has no streams to wait for, so its shutdown passes this state at once",
        );
    }
    let mut peer = Peer::<Client>::client(Config::client());
    let call = peer.start(CallType::UNARY);
    peer.connection.half_close(call).expect("the first half-close");
    peer.sent();
    match row.state {
        "Running" => {}
        "Draining" => peer.connection.shutdown(peer.now),
        "Closed" => break_frame(&mut peer),
        other => panic!("no state {other}"),
    }
    let fed = peer.feed(&goaway(1, ErrorCode::NO_ERROR));
    assert_eq!(fed.is_err(), row.state == "Closed", "nothing is read after the end");
    if peer.connection.is_closed() {
        return Met::State("Closed".to_owned());
    }
    assert!(!peer.connection.takes_calls());
    peer.feed(&headers(1, END_STREAM, &block(&TRAILERS_ONLY))).expect("the call goes on to its end");
    Met::State(if peer.connection.is_closed() { "Draining" } else { "Running" }.to_owned())
}
