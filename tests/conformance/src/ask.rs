//! One question to a core in memory: how it handles a request or an answer.

use halfclose::{CallId, CallType, Client, Config, Event, Outcome, Recv, Server};
use halfclose_wire::{END_STREAM, Frame, REQUEST, Reader, block, data, headers};

use crate::Peer;

/// Returns how a client's unary call ends when its server answers with these bytes on stream 1.
#[must_use]
pub fn outcome_of(bytes: &[u8]) -> (Vec<Vec<u8>>, Outcome) {
    outcome_with(Config::client(), CallType::UNARY, bytes)
}

/// Returns the same for a call of any call type and with any settings.
#[must_use]
pub fn outcome_with(config: Config, call_type: CallType, bytes: &[u8]) -> (Vec<Vec<u8>>, Outcome) {
    let mut peer = Peer::<Client>::client(config);
    let call = peer.start(call_type);
    peer.connection.send_message(call, "request".into(), false).expect("a request");
    peer.connection.half_close(call).expect("the first half-close");
    peer.sent();
    peer.feed(bytes).expect("nothing here costs the connection");
    peer.sent();
    let mut messages = Vec::new();
    loop {
        match peer.connection.recv(call).expect("the call is there") {
            Recv::Message(message) => messages.push(message.payload.to_vec()),
            Recv::End(outcome) => return (messages, outcome),
            other => panic!("the call has not ended: {other:?}"),
        }
    }
}

/// Returns how a server handles a request with these fields and this body, received at once.
#[must_use]
pub fn request_of(config: Config, fields: &[(&str, &str)], body: &[u8]) -> (Peer<Server>, Option<CallId>) {
    let mut peer = Peer::server(config);
    let mut bytes = headers(1, if body.is_empty() { END_STREAM } else { 0 }, &block(fields));
    if !body.is_empty() {
        bytes.extend(data(1, END_STREAM, body));
    }
    peer.feed(&bytes).expect("nothing here costs the connection");
    let call = peer.events().into_iter().find_map(|event| match event {
        Event::Request(call) => Some(call),
        _ => None,
    });
    (peer, call)
}

/// Returns the fields of a good request with some replaced, and others added.
#[must_use]
pub fn request_with<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields: Vec<(&str, &str)> = REQUEST.to_vec();
    for (name, value) in changes {
        match fields.iter_mut().find(|field| field.0 == *name) {
            Some(field) => field.1 = value,
            None => fields.push((name, value)),
        }
    }
    fields
}

/// Returns the fields of all header blocks in these frames, which are the first that a connection sent.
#[must_use]
pub fn fields_of(sent: &[Frame]) -> Vec<(String, String)> {
    let mut reader = Reader::new();
    sent.iter().filter_map(|frame| reader.read(frame)).flat_map(|fields| fields.list).collect()
}

/// Returns the value of a field.
#[must_use]
pub fn value<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|field| field.0 == name).map(|field| field.1.as_str())
}
