//! A connection under attack, and the reader of its output.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use halfclose::frame::ErrorCode;
use halfclose::hpack::{BlockLimits, Decoder};
use halfclose::{
    CallId, CallType, Client, CloseReason, Config, Connection, ConnectionError, Event, Flood, Metadata,
    Needed, Outcome, Recv, Request, Role, Seed, Server, Status, Time, Violation,
};

use crate::wire::{self, Block, Fields, Frame, kind};

/// The state of the connection.
#[derive(Clone, PartialEq, Debug)]
pub enum Met {
    /// It still reads.
    Alive,
    /// It reads nothing until its output is read.
    BackedUp,
    /// It is closed, with the code and debug data of its GOAWAY, if it sent one.
    Closed(ErrorCode, String),
}

/// A connection under attack.
pub struct Target<R: Role> {
    /// The connection.
    pub conn: Connection<R>,
    /// The time that it is given.
    pub now: Time,
    /// Whether the attacker reads what the connection sends.
    pub reads: bool,
    /// Whether [`Side::on_event`] answers events; otherwise they are only counted.
    pub answers: bool,
    /// Bytes sent to the connection.
    pub sent: usize,
    /// Bytes read from it.
    pub taken: usize,
    /// RST_STREAM frames by code.
    pub resets: BTreeMap<u32, usize>,
    /// DATA frames and their bytes, by stream.
    pub data: BTreeMap<u32, (usize, Vec<u8>)>,
    /// The last blocks of fields, at most 64.
    pub fields: Vec<Fields>,
    /// PING and SETTINGS acknowledgements.
    pub acks: usize,
    /// Bytes of credit that the connection returned, by stream.
    pub credit: BTreeMap<u32, u64>,
    /// Calls that the caller knows of and that are not over.
    pub running: Vec<CallId>,
    /// The largest number of them at one time.
    pub most_running: usize,
    /// How the calls of a client ended.
    pub outcomes: Vec<Outcome>,
    /// Why the connection closed.
    pub closed: Option<CloseReason>,
    /// The last stream of its last GOAWAY.
    pub last_goaway: Option<u32>,
    goaway: Option<(ErrorCode, String)>,
    backed_up: bool,
    input: BytesMut,
    output: Vec<u8>,
    decoder: Decoder,
    /// Work of the thread between two turns of this connection; returns its duration.
    pub between: Option<Box<dyn FnMut() -> Duration>>,
    /// The longest time that one turn took, `receive` and events; measured when there is something between turns.
    pub longest_turn: Duration,
    /// The longest time that the work between turns took.
    pub longest_between: Duration,
    /// The next stream id that a client would use.
    pub next_id: u32,
}

impl<R: Side> Target<R> {
    /// Returns a connection that has received nothing.
    #[must_use]
    pub fn fresh(config: Config) -> Self {
        Self {
            conn: Connection::new(config, Seed(7), Time::ZERO),
            now: Time::ZERO,
            reads: true,
            answers: true,
            sent: 0,
            taken: 0,
            resets: BTreeMap::new(),
            data: BTreeMap::new(),
            fields: Vec::new(),
            acks: 0,
            credit: BTreeMap::new(),
            running: Vec::new(),
            most_running: 0,
            outcomes: Vec::new(),
            closed: None,
            last_goaway: None,
            goaway: None,
            backed_up: false,
            input: BytesMut::new(),
            output: Vec::new(),
            decoder: Decoder::new(4096),
            between: None,
            longest_turn: Duration::ZERO,
            longest_between: Duration::ZERO,
            next_id: 1,
        }
    }

    /// Lets the time pass, and fires timers.
    pub fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.conn.handle_timeout(self.now);
        // The pending output is read after all, to see the GOAWAY.
        self.reads |= self.conn.is_closed();
        self.settle();
    }

    /// Keeps reading nothing: the connection reads nothing either, and ends after a while.
    pub fn wait_unread(&mut self) {
        assert_eq!(self.met(), Met::BackedUp);
        self.wait(Duration::from_secs(20) - Duration::from_nanos(1));
        assert_eq!(self.met(), Met::BackedUp);
        self.wait(Duration::from_nanos(1));
    }

    /// Returns the state of the connection.
    #[must_use]
    pub fn met(&self) -> Met {
        if self.conn.is_closed() {
            let (code, debug) = self.goaway.clone().unwrap_or((ErrorCode::NO_ERROR, String::new()));
            return Met::Closed(code, debug);
        }
        if self.backed_up { Met::BackedUp } else { Met::Alive }
    }

    /// Returns whether the connection still reads.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.backed_up && !self.conn.is_closed()
    }

    /// Sends bytes. Returns whether more may follow.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.sent += bytes.len();
        for chunk in bytes.chunks(16 * 1024) {
            self.input.extend_from_slice(chunk);
            if !self.turns() {
                return false;
            }
        }
        true
    }

    /// Sends the same bytes repeatedly, at most `times`. Returns how often they were accepted.
    pub fn flood(&mut self, bytes: &[u8], times: usize) -> usize {
        (0..times).take_while(|_| self.send(bytes)).count()
    }

    fn turns(&mut self) -> bool {
        loop {
            let begun = self.between.is_some().then(std::time::Instant::now);
            let read = self.conn.receive(self.now, &mut self.input);
            if let Some(begun) = begun {
                self.settle();
                self.longest_turn = self.longest_turn.max(begun.elapsed());
                let others = self.between.as_mut().map_or(Duration::ZERO, |between| between());
                self.longest_between = self.longest_between.max(others);
            }
            match read {
                Ok(Needed::Again) => self.settle(),
                Ok(Needed::Drain) if self.reads => self.settle(),
                Ok(Needed::Drain) => {
                    self.backed_up = true;
                    self.settle();
                    return false;
                }
                Ok(Needed::More) => {
                    self.settle();
                    return !self.conn.is_closed();
                }
                Ok(_) | Err(_) => {
                    // The pending output is read after all, to see the GOAWAY.
                    self.reads = true;
                    self.settle();
                    return false;
                }
            }
        }
    }

    /// Handles events and output.
    pub fn settle(&mut self) {
        self.events();
        if self.reads {
            self.read();
            // What has been sent may have ended a call.
            self.events();
        }
    }

    fn events(&mut self) {
        while let Some(event) = self.conn.poll_event() {
            self.note(&event);
            if self.answers {
                R::on_event(self, &event);
            }
        }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Request(call) => self.running.push(*call),
            Event::Ended(call, _) => self.running.retain(|other| other != call),
            Event::Closed(reason) => self.closed = Some(reason.clone()),
            _ => {}
        }
        self.most_running = self.most_running.max(self.running.len());
    }

    /// Reads all output of the connection.
    pub fn read(&mut self) {
        while let Some(mut out) = self.conn.poll_transmit(self.now) {
            while out.has_remaining() {
                let n = out.chunk().len();
                self.output.extend_from_slice(out.chunk());
                out.advance(n);
                self.taken += n;
            }
            self.parse();
        }
    }

    fn parse(&mut self) {
        if self.output.starts_with(wire::PREFACE) {
            self.output.drain(..wire::PREFACE.len());
        }
        while let Some(frame) = wire::take_frame(&mut self.output) {
            self.on_frame(&frame);
        }
    }

    fn on_frame(&mut self, frame: &Frame) {
        let word = |at: usize| u32::from_be_bytes(frame.payload[at..at + 4].try_into().expect("four bytes"));
        match frame.kind {
            kind::RST_STREAM => *self.resets.entry(word(0)).or_default() += 1,
            kind::GOAWAY => {
                self.last_goaway = Some(word(0));
                let debug = String::from_utf8_lossy(&frame.payload[8..]).into_owned();
                self.goaway = Some((ErrorCode(word(4)), debug));
            }
            kind::WINDOW_UPDATE => *self.credit.entry(frame.stream).or_default() += u64::from(word(0)),
            kind::SETTINGS | kind::PING if frame.flags & wire::ACK != 0 => self.acks += 1,
            kind::DATA => {
                let (count, bytes) = self.data.entry(frame.stream).or_default();
                *count += 1;
                bytes.extend_from_slice(&frame.payload);
            }
            kind::HEADERS => {
                let mut list = Vec::new();
                let limits = BlockLimits { max_string: 1 << 20, max_list_size: 1 << 20 };
                self.decoder
                    .decode(&frame.payload, &limits, |field| {
                        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                        list.push((text(field.name), text(field.value)));
                    })
                    .expect("a block that can be decoded");
                if self.fields.len() == 64 {
                    self.fields.remove(0);
                }
                self.fields.push(Fields {
                    stream: frame.stream,
                    end: frame.flags & wire::END_STREAM != 0,
                    list,
                });
            }
            _ => {}
        }
    }

    /// Returns the block that ended a stream.
    #[must_use]
    pub fn end_of(&self, stream: u32) -> Option<&Fields> {
        self.fields.iter().find(|fields| fields.stream == stream && fields.end)
    }

    /// Returns a new stream id for the attacker.
    pub fn id(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id += 2;
        id
    }

    /// Returns whether an honest call is served.
    pub fn serves(&mut self) -> bool {
        R::serves(self)
    }
}

/// The operations that differ between the two ends.
pub trait Side: Role + Sized + 'static {
    /// Returns a target after the exchange of SETTINGS.
    fn target(config: Config) -> Target<Self>;
    /// Handles an event as the caller does.
    fn on_event(target: &mut Target<Self>, event: &Event);
    /// Returns whether an honest call is served.
    fn serves(target: &mut Target<Self>) -> bool;
    /// Returns the default configuration.
    fn config() -> Config;
}

impl Side for Server {
    fn config() -> Config {
        Config::server()
    }

    fn target(config: Config) -> Target<Self> {
        let mut target = Target::fresh(config);
        target.send(wire::PREFACE);
        target.send(&wire::settings(&[]));
        target.send(&wire::frame(kind::SETTINGS, wire::ACK, 0, b""));
        target
    }

    /// Echoes: returns every message, and answers the half-close with OK.
    fn on_event(target: &mut Target<Self>, event: &Event) {
        let (Event::Request(call) | Event::Readable(call) | Event::Writable(call)) = event else { return };
        loop {
            match target.conn.recv(*call) {
                Ok(Recv::Message(message)) => {
                    let _ = target.conn.send_message(*call, message.payload, false);
                }
                Ok(Recv::HalfClosed) => {
                    let _ = target.conn.finish(*call, Status::ok(), Metadata::new());
                    return;
                }
                _ => return,
            }
        }
    }

    fn serves(target: &mut Target<Self>) -> bool {
        (target.answers, target.reads) = (true, true);
        target.read();
        let id = target.id();
        let mut bytes = wire::headers(id, 0, &Block::request().0);
        bytes.extend(wire::data(id, wire::END_STREAM, &wire::message(b"ping")));
        // An attack may have closed the windows.
        bytes.extend(wire::update(0, 100));
        bytes.extend(wire::update(id, 100));
        target.send(&bytes)
            && target.end_of(id).and_then(|fields| fields.get("grpc-status")) == Some("0")
            && target.data.get(&id).is_some_and(|(_, bytes)| *bytes == wire::message(b"ping"))
    }
}

impl Side for Client {
    fn config() -> Config {
        Config::client()
    }

    fn target(config: Config) -> Target<Self> {
        let mut target = Target::fresh(config);
        target.send(&wire::settings(&[]));
        target.send(&wire::frame(kind::SETTINGS, wire::ACK, 0, b""));
        target
    }

    fn on_event(target: &mut Target<Self>, event: &Event) {
        let (Event::Response(call) | Event::Readable(call)) = event else { return };
        target.drain(*call);
    }

    fn serves(target: &mut Target<Self>) -> bool {
        (target.answers, target.reads) = (true, true);
        let before = target.outcomes.len();
        let id = target.start();
        let mut bytes = wire::headers(id, 0, &Block::response().0);
        bytes.extend(wire::data(id, 0, &wire::message(b"pong")));
        bytes.extend(wire::headers(id, wire::END_STREAM, &Block::status("0").0));
        target.send(&bytes);
        target.outcomes.get(before..).is_some_and(|new| new.iter().any(|outcome| outcome.status.is_ok()))
    }
}

impl Target<Client> {
    /// Starts a unary call. Returns its stream id.
    pub fn start(&mut self) -> u32 {
        let call =
            self.conn.start(self.now, Request::new("/sec.Test/Call", CallType::UNARY)).expect("a call");
        self.conn.send_message(call, "ping".into(), false).expect("room");
        self.conn.half_close(call).expect("an open call");
        self.drain(call);
        self.running.push(call);
        self.read();
        self.id()
    }

    /// Starts a call whose answer is a stream, which begins. Returns its stream id.
    pub fn start_stream(&mut self) -> u32 {
        let request = Request::new("/sec.Test/List", CallType::SERVER_STREAMING);
        let call = self.conn.start(self.now, request).expect("a call");
        self.conn.half_close(call).expect("an open call");
        self.drain(call);
        self.running.push(call);
        self.settle();
        let id = self.id();
        self.send(&wire::headers(id, 0, &Block::response().0));
        id
    }

    /// Receives what a call has received; its end goes to `outcomes`.
    pub fn drain(&mut self, call: CallId) {
        loop {
            match self.conn.recv(call) {
                Ok(Recv::Message(_)) => {}
                Ok(Recv::End(outcome)) => {
                    self.running.retain(|other| *other != call);
                    self.outcomes.push(outcome);
                    return;
                }
                _ => return,
            }
        }
    }
}

impl<R: Role> std::fmt::Debug for Target<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("sent", &self.sent).field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Target<Server> {
    /// Returns a server after the exchange of SETTINGS, with the defaults and these changes.
    #[must_use]
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Server::config();
        change(&mut config);
        Server::target(config)
    }

    /// Opens a call whose request continues.
    pub fn open(&mut self) -> u32 {
        let id = self.id();
        self.send(&wire::headers(id, 0, &Block::request().0));
        id
    }
}

/// Returns the limit against abuse that ended a connection.
#[must_use]
pub fn flood_of<R: Role>(target: &Target<R>) -> Option<Flood> {
    match error_of(target) {
        Some(ConnectionError::Violation(Violation::Flood { flood, .. })) => Some(flood),
        _ => None,
    }
}

/// Returns the error of a connection that failed.
#[must_use]
pub fn error_of<R: Role>(target: &Target<R>) -> Option<ConnectionError> {
    match &target.closed {
        Some(CloseReason::Error(error)) => Some(error.clone()),
        _ => None,
    }
}
