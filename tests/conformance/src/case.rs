//! One rule, provoked: what the other end sends to a connection in a known state, and what must come of it.

use halfclose::frame::ErrorCode;
use halfclose::{CallId, Client, Config, ConnectionError, Event, Outcome, Recv, Role, Server, Shape};

use crate::Peer;
use halfclose_wire::{
    END_STREAM, Frame, REQUEST, RESPONSE, Reader, block, data, headers,
    kind::{GOAWAY, RST_STREAM},
    ping,
};

/// Where a connection stands when the octets come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Before {
    /// Nothing was sent, the preface neither.
    Nothing,
    /// SETTINGS were exchanged.
    Settings,
    /// A call is open on stream 1 and its request goes on.
    Open,
    /// A call is open on stream 1 and its request is complete; a client has sent all it has to.
    HalfClosed,
    /// As that, and a client has the response headers.
    Headers,
}

/// What must come of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// GOAWAY with this code, and the end of the connection.
    Connection(ErrorCode),
    /// RST_STREAM with this code on stream 1; the connection lives.
    Stream(ErrorCode),
    /// Nothing is wrong.
    Fine,
}

/// One rule, provoked.
pub struct Case {
    /// The rule.
    pub rule: &'static str,
    /// What is sent, in words.
    pub name: &'static str,
    /// Where the connection stands.
    pub before: Before,
    /// What is sent.
    pub octets: fn() -> Vec<u8>,
    /// What must come of it.
    pub expect: Expect,
}

impl Case {
    /// What is wrong with a server's answer, if anything is.
    #[must_use]
    pub fn on_server(&self) -> Option<String> {
        let mut peer = match self.before {
            Before::Nothing => Peer::<Server>::silent(Config::server()),
            _ => Peer::server(Config::server()),
        };
        match self.before {
            Before::Open => drop(peer.open(1, 0)),
            Before::HalfClosed | Before::Headers => drop(peer.open(1, END_STREAM)),
            Before::Nothing | Before::Settings => {}
        }
        self.judge(&mut peer)
    }

    /// What is wrong with a client's answer, if anything is.
    #[must_use]
    pub fn on_client(&self) -> Option<String> {
        let mut peer = match self.before {
            Before::Nothing => Peer::<Client>::silent(Config::client()),
            _ => Peer::client(Config::client()),
        };
        if !matches!(self.before, Before::Nothing | Before::Settings) {
            let call = peer.start(Shape::BIDI);
            if self.before != Before::Open {
                peer.connection.half_close(call).expect("the first half-close");
            }
            peer.sent();
        }
        if self.before == Before::Headers {
            peer.feed(&headers(1, 0, &block(&RESPONSE))).expect("response headers");
        }
        self.judge(&mut peer)
    }

    fn judge<R: Role>(&self, peer: &mut Peer<R>) -> Option<String> {
        let fed = peer.feed(&(self.octets)());
        let sent = peer.sent();
        let met = met(fed.err(), &sent);
        if self.expect == met && (met != Expect::Fine || still_answers(peer)) {
            return None;
        }
        Some(format!("{} {}: expected {:?}, met {met:?}", self.rule, self.name, self.expect))
    }
}

fn met(error: Option<ConnectionError>, sent: &[Frame]) -> Expect {
    if let Some(error) = error {
        let goaway = sent.iter().rev().find(|frame| frame.kind == GOAWAY);
        assert_eq!(goaway.and_then(Frame::code), Some(error.code()), "GOAWAY says what the error says");
        return Expect::Connection(error.code());
    }
    let reset = sent.iter().find(|frame| frame.kind == RST_STREAM && frame.stream == 1);
    reset.and_then(Frame::code).map_or(Expect::Fine, Expect::Stream)
}

/// A PING is still acknowledged.
fn still_answers<R: Role>(peer: &mut Peer<R>) -> bool {
    peer.feed(&ping(b"still up")).is_ok()
        && peer.sent().iter().any(|frame| frame.is_ack() && frame.payload == b"still up")
}

/// How a client's unary call ends when its server answers with these octets on stream 1.
#[must_use]
pub fn outcome_of(octets: &[u8]) -> (Vec<Vec<u8>>, Outcome) {
    outcome_with(Config::client(), Shape::UNARY, octets)
}

/// The same, for a call of any shape and with any settings.
#[must_use]
pub fn outcome_with(config: Config, shape: Shape, octets: &[u8]) -> (Vec<Vec<u8>>, Outcome) {
    let mut peer = Peer::<Client>::client(config);
    let call = peer.start(shape);
    peer.connection.send_message(call, "request".into(), false).expect("a request");
    peer.connection.half_close(call).expect("the first half-close");
    peer.sent();
    peer.feed(octets).expect("nothing here costs the connection");
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

/// What a server makes of a request with these fields and this body, all at once.
#[must_use]
pub fn request_of(config: Config, fields: &[(&str, &str)], body: &[u8]) -> (Peer<Server>, Option<CallId>) {
    let mut peer = Peer::server(config);
    let mut octets = headers(1, if body.is_empty() { END_STREAM } else { 0 }, &block(fields));
    if !body.is_empty() {
        octets.extend(data(1, END_STREAM, body));
    }
    peer.feed(&octets).expect("nothing here costs the connection");
    let call = peer.events().into_iter().find_map(|event| match event {
        Event::Request(call) => Some(call),
        _ => None,
    });
    (peer, call)
}

/// The fields of a good request with some replaced, and others added.
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

/// The fields of all header blocks in these frames, which are the first that a connection sent.
#[must_use]
pub fn fields_of(sent: &[Frame]) -> Vec<(String, String)> {
    let mut reader = Reader::new();
    sent.iter().filter_map(|frame| reader.read(frame)).flat_map(|fields| fields.list).collect()
}

/// The value of a field.
#[must_use]
pub fn value<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|field| field.0 == name).map(|field| field.1.as_str())
}
