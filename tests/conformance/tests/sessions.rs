//! How the bytes arrive makes no difference: whole sessions of two cores are recorded, and then each flight of bytes
//! is cut in two at every byte. The events, the messages and the bytes that are sent must be the same.

use bytes::Bytes;
use halfclose::frame::ErrorCode;
use halfclose::grpc::encoding::Encoding;
use halfclose::{CallId, CallType, Client, Config, Event, Metadata, Recv, Request, Role, Server, Status};
use halfclose_conformance::{HOLD, Peer};

/// The variant of a session.
#[derive(Clone, Copy)]
struct Session {
    name: &'static str,
    call_type: CallType,
    encoding: Option<Encoding>,
    /// What happens after the first flights.
    turn: Turn,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Nothing,
    /// The client cancels its first call.
    Cancel,
    /// The server cancels its first call.
    Reset,
    /// The server answers its first call with an error status at once.
    Refuse,
    /// The server shuts down in two steps (P-94).
    Shutdown,
    /// The server closes the connection, calls and all.
    Close,
}

const fn session(name: &'static str, call_type: CallType, encoding: Option<Encoding>, turn: Turn) -> Session {
    Session { name, call_type, encoding, turn }
}

const GZIP: Option<Encoding> = Some(Encoding::Gzip);

const SESSIONS: [Session; 13] = [
    session("unary", CallType::UNARY, None, Turn::Nothing),
    session("unary, gzip", CallType::UNARY, GZIP, Turn::Nothing),
    session("client streaming", CallType::CLIENT_STREAMING, None, Turn::Nothing),
    session("client streaming, gzip", CallType::CLIENT_STREAMING, GZIP, Turn::Nothing),
    session("server streaming", CallType::SERVER_STREAMING, None, Turn::Nothing),
    session("server streaming, zstd", CallType::SERVER_STREAMING, Some(Encoding::Zstd), Turn::Nothing),
    session("bidi", CallType::BIDI, None, Turn::Nothing),
    session("bidi, deflate", CallType::BIDI, Some(Encoding::Deflate), Turn::Nothing),
    session("RST_STREAM of the client", CallType::BIDI, None, Turn::Cancel),
    session("RST_STREAM of the server", CallType::BIDI, None, Turn::Reset),
    session("an early status", CallType::CLIENT_STREAMING, None, Turn::Refuse),
    session("GOAWAY", CallType::BIDI, None, Turn::Shutdown),
    session("GOAWAY with an error", CallType::BIDI, None, Turn::Close),
];

/// Calls of a session, and messages of each in a direction that carries many.
const CALLS: usize = 2;
const MESSAGES: usize = 3;

fn metadata(name: &str) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.append(name, "some text").expect("a good name");
    metadata.append_bin(&format!("{name}-bin"), &[0, 1, 2, 0xff]).expect("a good name");
    metadata
}

fn payload(call: usize, number: usize) -> Bytes {
    format!("message {number} of call {call}").into()
}

/// What a connection has reported and sent.
#[derive(Default, PartialEq, Debug)]
struct Transcript {
    events: Vec<Event>,
    received: Vec<String>,
    /// The bytes that it sent, flight by flight.
    flights: Vec<Vec<u8>>,
}

/// One side of a session. Its actions depend only on its events and on the number of its turn.
struct Side<R: Role> {
    session: Session,
    peer: Peer<R>,
    calls: Vec<CallId>,
    /// Messages sent or received, by call.
    counts: Vec<usize>,
    turns: usize,
    transcript: Transcript,
}

trait Caller: Role + Sized {
    fn config() -> Config;
    fn turn(side: &mut Side<Self>);
}

impl<R: Caller> Side<R> {
    fn new(session: Session) -> Self {
        let peer = Peer::silent(R::config());
        Self {
            session,
            peer,
            calls: Vec::new(),
            counts: Vec::new(),
            turns: 0,
            transcript: Transcript::default(),
        }
    }

    /// Feeds the other side's bytes in pieces, acts, and returns its own output.
    fn turn(&mut self, pieces: &[&[u8]]) -> Vec<u8> {
        for piece in pieces {
            // The last event reports the failure of a connection.
            let _ = self.peer.feed(piece);
        }
        let events = self.peer.events();
        let requests = events.iter().filter_map(|event| match event {
            Event::Request(call) => Some(*call),
            _ => None,
        });
        self.calls.extend(requests);
        self.counts.resize(self.calls.len(), 0);
        self.transcript.events.extend(events);
        R::turn(self);
        self.turns += 1;
        let flight = self.peer.bytes();
        self.transcript.flights.push(flight.clone());
        flight
    }

    /// Returns the next message or end of a call, if there is one yet.
    fn recv(&mut self, call: usize) -> Option<Recv> {
        let taken = self.peer.connection.recv(self.calls[call]).ok()?;
        self.transcript.received.push(format!("{call}: {taken:?}"));
        (!matches!(taken, Recv::Pending)).then_some(taken)
    }

    fn send(&mut self, call: usize, number: usize) {
        let compress = self.session.encoding.is_some() && number != 1;
        // A call that has ended accepts no more.
        let _ = self.peer.connection.send_message(self.calls[call], payload(call, number), compress);
    }
}

impl Caller for Client {
    fn config() -> Config {
        Config::client()
    }

    /// Sends one message per turn, then the half-close; receives everything.
    fn turn(side: &mut Side<Self>) {
        if side.turns == 0 {
            for _ in 0..CALLS {
                let mut request = Request::new(HOLD, side.session.call_type);
                (request.metadata, request.encoding) = (metadata("request"), side.session.encoding);
                side.calls.push(side.peer.connection.start(side.peer.now, request).expect("a good request"));
            }
        }
        let many = matches!(side.session.call_type.requests, halfclose::Cardinality::Many);
        let messages = if many { MESSAGES } else { 1 };
        for call in 0..CALLS {
            if side.turns < messages {
                side.send(call, side.turns);
            }
            if side.turns + 1 == messages {
                let _ = side.peer.connection.half_close(side.calls[call]);
            }
            while let Some(Recv::Message(_)) = side.recv(call) {}
        }
        match side.session.turn {
            Turn::Cancel if side.turns == 2 => drop(side.peer.connection.cancel(side.calls[0])),
            // The server has closed its connection, and with it the transport.
            Turn::Close if side.turns == MESSAGES + 1 => side.peer.connection.receive_eof(side.peer.now),
            _ => {}
        }
    }
}

impl Caller for Server {
    fn config() -> Config {
        Config::server()
    }

    /// Echoes bidirectional calls, and answers the others when their request is complete.
    fn turn(side: &mut Side<Self>) {
        let (call_type, encoding) = (side.session.call_type, side.session.encoding);
        for call in 0..side.calls.len() {
            let id = side.calls[call];
            if side.counts[call] == 0 {
                let _ = side.peer.connection.accept(id, call_type);
                let _ = side.peer.connection.set_encoding(id, encoding);
                let _ = side.peer.connection.send_headers(id, metadata("response"));
            }
            while let Some(taken) = side.recv(call) {
                side.counts[call] += 1;
                match taken {
                    Recv::Message(_) if call_type == CallType::BIDI => side.send(call, side.counts[call]),
                    Recv::Message(_) => {}
                    _ => {
                        complete(side, call);
                        break;
                    }
                }
            }
        }
        if side.turns == 2 {
            interrupt(side);
        }
    }
}

/// Handles the end of a call's request.
fn complete(side: &mut Side<Server>, call: usize) {
    let messages = match side.session.call_type {
        CallType::BIDI => 0,
        CallType::SERVER_STREAMING => MESSAGES,
        _ => 1,
    };
    (0..messages).for_each(|number| side.send(call, number));
    let _ = side.peer.connection.finish(side.calls[call], Status::ok(), metadata("trailers"));
}

fn interrupt(side: &mut Side<Server>) {
    let (connection, now) = (&mut side.peer.connection, side.peer.now);
    match (side.session.turn, side.calls.first()) {
        (Turn::Reset, Some(call)) => drop(connection.cancel(*call)),
        (Turn::Refuse, Some(call)) => {
            let _ = connection.finish(*call, Status::permission_denied("50 % of it"), metadata("trailers"));
        }
        (Turn::Shutdown, _) => connection.shutdown(now),
        (Turn::Close, _) => connection.close(now, ErrorCode::INTERNAL_ERROR, "on demand"),
        _ => {}
    }
}

/// Returns the bytes that each side sent to the other, flight by flight.
fn record(session: Session) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut client, mut server) = (Side::<Client>::new(session), Side::<Server>::new(session));
    let mut down = Vec::new();
    loop {
        let up = client.turn(&[&down]);
        down = server.turn(&[&up]);
        if client.turns > MESSAGES + 2 && up.is_empty() && down.is_empty() {
            return (client.transcript.flights, server.transcript.flights);
        }
        assert!(client.turns < 50, "{} does not end", session.name);
    }
}

/// Returns the transcript of a side that receives these flights, one of which may be cut.
fn replay<R: Caller>(session: Session, flights: &[&[u8]], cut: Option<(usize, usize)>) -> Transcript {
    let mut side = Side::<R>::new(session);
    for (number, flight) in flights.iter().enumerate() {
        match cut {
            Some((cut, at)) if cut == number => side.turn(&[&flight[..at], &flight[at..]]),
            _ => side.turn(&[flight]),
        };
    }
    side.transcript
}

/// Cuts each flight everywhere. Returns the number of cuts, and the transcript without any.
fn cut_everywhere<R: Caller>(session: Session, flights: &[&[u8]]) -> (usize, Transcript) {
    let whole = replay::<R>(session, flights, None);
    let mut count = 0;
    for (number, flight) in flights.iter().enumerate() {
        for at in 1..flight.len() {
            let cut = replay::<R>(session, flights, Some((number, at)));
            assert_eq!(cut, whole, "{}: flight {number}, cut at byte {at}", session.name);
            count += 1;
        }
    }
    (count, whole)
}

#[test]
fn every_session_cut_in_two_at_every_byte() {
    let mut total = 0;
    for session in SESSIONS {
        let (up, down) = record(session);
        let to_server: Vec<&[u8]> = up.iter().map(Vec::as_slice).collect();
        // The client's first turn precedes everything that it receives.
        let to_client: Vec<&[u8]> = [&[][..]].into_iter().chain(down.iter().map(Vec::as_slice)).collect();
        let (at_server, server) = cut_everywhere::<Server>(session, &to_server);
        let (at_client, client) = cut_everywhere::<Client>(session, &to_client);
        assert_eq!(server.flights, down, "{}: a replay is the session", session.name);
        assert_eq!(client.flights[..up.len()], up, "{}: a replay is the session", session.name);
        let ends = client.received.iter().filter(|taken| taken.contains("End(")).count();
        assert_eq!(ends, CALLS, "{}: {:?}", session.name, client.received);
        total += at_server + at_client;
    }
    println!("{} sessions, {total} cuts", SESSIONS.len());
}
