//! Frames for streams that are not open. The peer under test is the one that can be in the state: a client, or a
//! server for what only servers see.

use halfclose::frame::ErrorCode;
use halfclose::machine::Row;
use halfclose::{CallType, Client, Config, Recv, Role, Server};
use halfclose_conformance::Peer;
use halfclose_wire::{END_STREAM, REQUEST, TRAILERS_ONLY, block, data, headers, reset, update};

use crate::met::{self, Met, connection};

const STREAM: u32 = 1;
/// More calls than a connection remembers.
const MANY: u32 = 2_000;

fn input(name: &str, block: &[u8]) -> Vec<u8> {
    match name {
        "Headers" => headers(STREAM, 0, block),
        "Data" => data(STREAM, 0, b"x"),
        "RstStream" => reset(STREAM, ErrorCode::CANCEL),
        "WindowUpdate" => update(STREAM, 1),
        other => panic!("no input {other}"),
    }
}

pub(crate) fn drive(row: &Row) -> Met {
    match row.state {
        "Passed" => {
            let mut peer = Peer::server(Config::server());
            peer.open(STREAM + 2, 0);
            give(row, &mut peer, &block(&REQUEST))
        }
        state => give(row, &mut client(state), &block(&TRAILERS_ONLY)),
    }
}

fn give<R: Role>(row: &Row, peer: &mut Peer<R>, fields: &[u8]) -> Met {
    let fed = peer.feed(&input(row.input, fields));
    if let Err(error) = fed {
        return connection(&error, peer);
    }
    match met::reset(&peer.sent(), STREAM) {
        Some(code) => Met::Stream(code, None),
        None => Met::State(row.state.to_owned()),
    }
}

/// Creates a client whose first stream is in this state.
fn client(state: &str) -> Peer<Client> {
    let mut peer = Peer::client(Config::client());
    match state {
        "Idle" => {}
        "Ended" => call(&mut peer, &headers(STREAM, END_STREAM, &block(&TRAILERS_ONLY))),
        "ResetByPeer" => call(&mut peer, &reset(STREAM, ErrorCode::CANCEL)),
        "ResetByUs" => call(&mut peer, &[]),
        "Forgotten" => {
            for number in 0..MANY {
                let end = headers(STREAM + 2 * number, END_STREAM, &block(&TRAILERS_ONLY));
                call(&mut peer, &end);
            }
        }
        other => panic!("no state {other}"),
    }
    peer
}

/// Makes one call that the server ends with these bytes, or its caller.
fn call(peer: &mut Peer<Client>, end: &[u8]) {
    let call = peer.start(CallType::UNARY);
    peer.connection.half_close(call).expect("the first half-close");
    peer.sent();
    if end.is_empty() {
        peer.connection.cancel(call).expect("an open call");
    }
    peer.feed(end).expect("a legal end");
    peer.sent();
    assert!(matches!(peer.connection.recv(call), Ok(Recv::End(_))));
    peer.events();
}

/// Checks that a server says the same of ids that its client may not use.
#[test]
fn a_server_refuses_ids_of_the_wrong_parity() {
    for name in ["Headers", "Data", "RstStream", "WindowUpdate"] {
        let mut peer = Peer::<Server>::server(Config::server());
        let mut bytes = input(name, &block(&REQUEST));
        bytes[8] = 2;
        let error = peer.feed(&bytes).expect_err("an even id");
        assert!(matches!(connection(&error, &mut peer), Met::Connection(ErrorCode::PROTOCOL_ERROR, Some(_))));
    }
}
