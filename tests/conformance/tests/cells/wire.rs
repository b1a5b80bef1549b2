//! The order of frames on a connection.

use halfclose::frame::ErrorCode;
use halfclose::machine::Row;
use halfclose::{Config, Server};
use halfclose_conformance::Peer;
use halfclose_wire::{
    END_HEADERS, PREFACE, REQUEST, block, data, frame, goaway, headers,
    kind::{CONTINUATION, HEADERS, PING, PRIORITY, PUSH_PROMISE},
    reset, settings, settings_ack, update,
};

use crate::met::{Met, connection};

/// The stream that is open, and the one whose header block is.
const OPEN: u32 = 1;
const BLOCK: u32 = 3;

fn input(name: &str) -> Vec<u8> {
    let request = block(&REQUEST);
    match name {
        "Settings" => settings(&[]),
        "SettingsAck" => settings_ack(),
        "Headers" => headers(BLOCK, 0, &request),
        "HeadersOpen" => frame(HEADERS, 0, BLOCK, &request),
        "Continuation" => frame(CONTINUATION, 0, BLOCK, &[]),
        "ContinuationEnd" => frame(CONTINUATION, END_HEADERS, BLOCK, &[]),
        "ContinuationElsewhere" => frame(CONTINUATION, END_HEADERS, OPEN, &[]),
        "Data" => data(OPEN, 0, b"x"),
        "Priority" => frame(PRIORITY, 0, OPEN, &[0, 0, 0, 0, 16]),
        "RstStream" => reset(OPEN, ErrorCode::CANCEL),
        "PushPromise" => frame(PUSH_PROMISE, END_HEADERS, OPEN, &[0, 0, 0, 2]),
        "Ping" => frame(PING, 0, 0, b"8-in-all"),
        "GoAway" => goaway(0, ErrorCode::NO_ERROR),
        "WindowUpdate" => update(0, 1),
        "Unknown" => frame(0xbe, 0, 0, b"?"),
        other => panic!("no input {other}"),
    }
}

fn state(name: &str) -> Peer<Server> {
    if name == "AwaitSettings" {
        let mut peer = Peer::silent(Config::server());
        peer.feed(PREFACE).expect("a good preface");
        return peer;
    }
    let mut peer = Peer::server(Config::server());
    peer.open(OPEN, 0);
    if name == "InBlock" {
        peer.feed(&input("HeadersOpen")).expect("a block may begin");
    }
    peer
}

pub(crate) fn drive(row: &Row) -> Met {
    let mut peer = state(row.state);
    match peer.feed(&input(row.input)) {
        // Without an open block there is no other stream, and it is an ordinary CONTINUATION.
        Err(error) if row.input == "ContinuationElsewhere" && row.state != "InBlock" => {
            match connection(&error, &mut peer) {
                Met::Connection(code, Some(breach)) if breach.input == "ContinuationEnd" => {
                    Met::Connection(code, None)
                }
                other => other,
            }
        }
        Err(error) => connection(&error, &mut peer),
        Ok(()) => Met::State(probe(&mut peer).to_owned()),
    }
}

/// Checks that in a header block anything but CONTINUATION is fatal.
fn probe(peer: &mut Peer<Server>) -> &'static str {
    match peer.feed(&input("Ping")) {
        Ok(()) => "Open",
        Err(_) => "InBlock",
    }
}
