//! A client and a server core joined in memory, for the core's own tests.
#![allow(dead_code, unreachable_pub)]

use bytes::{Buf, Bytes, BytesMut};
use halfclose::grpc::compress::{Codecs, CompressError, DecompressError, MessageCodec};
use halfclose::grpc::encoding::Encoding;
use halfclose::{
    CallId, CallType, Client, Config, Connection, ConnectionError, Event, Needed, Outcome, Recv, Request,
    Role, Seed, Server, Time,
};
use halfclose_wire::{Frame, PREFACE, REQUEST, block, frames, headers, kind, settings, settings_ack};
use std::sync::Arc;
use std::time::Duration;

pub mod proxy;

/// Returns everything that `from` has to write.
pub fn written<R: Role>(from: &mut Connection<R>, now: Time) -> BytesMut {
    let mut wire = BytesMut::new();
    while let Some(mut out) = from.poll_transmit(now) {
        while out.has_remaining() {
            let n = out.chunk().len();
            wire.extend_from_slice(out.chunk());
            out.advance(n);
        }
    }
    wire
}

/// Feeds `wire` to `to` until all is accepted, or until `to` must write replies first.
pub fn feed<R: Role>(to: &mut Connection<R>, now: Time, wire: &mut BytesMut) {
    while !wire.is_empty() {
        match to.receive(now, wire).expect("no violation") {
            Needed::Again | Needed::Closed => {}
            _ => break,
        }
    }
}

/// A codec that any build has, under a standard name: it reverses a message and puts a mark before it. It refuses to
/// compress `"incompressible"`.
#[derive(Debug)]
pub struct Backwards;

impl Backwards {
    pub fn alone() -> Codecs {
        Codecs::none().with(Arc::new(Self)).expect("a good name")
    }
}

impl MessageCodec for Backwards {
    fn name(&self) -> &str {
        "gzip"
    }

    fn compress(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        if payload == b"incompressible" {
            return Err(CompressError);
        }
        out.push(b'<');
        out.extend(payload.iter().rev());
        Ok(())
    }

    fn decompress(&self, payload: &[u8], max: usize) -> Result<Bytes, DecompressError> {
        let backwards = payload.strip_prefix(b"<").ok_or(DecompressError::Corrupt)?;
        if backwards.len() > max {
            return Err(DecompressError::TooLarge { limit: max });
        }
        Ok(backwards.iter().rev().copied().collect())
    }
}

/// A codec under a name of its own: it inverts every byte.
#[derive(Debug)]
pub struct Flip;

impl Flip {
    pub const ENCODING: Encoding = Encoding::Custom("x-flip");

    pub fn alone() -> Codecs {
        Codecs::none().with(Arc::new(Self)).expect("a good name")
    }
}

impl MessageCodec for Flip {
    fn name(&self) -> &str {
        "x-flip"
    }

    fn compress(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        out.extend(payload.iter().map(|byte| !byte));
        Ok(())
    }

    fn decompress(&self, payload: &[u8], max: usize) -> Result<Bytes, DecompressError> {
        if payload.len() > max {
            return Err(DecompressError::TooLarge { limit: max });
        }
        Ok(payload.iter().map(|byte| !byte).collect())
    }
}

/// One core, whose peer's frames the test writes by hand.
pub struct Scripted<R: Role> {
    pub core: Connection<R>,
    pub now: Time,
}

impl<R: Role> Scripted<R> {
    /// Creates a core that has received nothing.
    pub fn silent(config: Config) -> Self {
        Self { core: Connection::new(config, Seed(3), Time::ZERO), now: Time::ZERO }
    }

    /// Feeds bytes until all are accepted.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        let mut wire = BytesMut::from(bytes);
        while self.core.receive(self.now, &mut wire)? == Needed::Again {}
        Ok(())
    }

    /// Returns the frames that the core sends now.
    pub fn sent(&mut self) -> Vec<Frame> {
        frames(&written(&mut self.core, self.now))
    }

    /// Returns the events that the core reports now.
    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.core.poll_event()).collect()
    }

    /// Advances the time, and fires the timers that are due then.
    pub fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
        self.core.handle_timeout(self.now);
    }
}

impl Scripted<Client> {
    /// Creates a client whose server has sent these SETTINGS and acknowledged the client's.
    pub fn client(config: Config, entries: &[(u16, u32)]) -> Self {
        let mut peer = Self::silent(config);
        peer.feed(&[settings(entries), settings_ack()].concat()).expect("good SETTINGS");
        peer.sent();
        peer.events();
        peer
    }

    /// Starts a call; nothing is sent yet.
    pub fn start(&mut self) -> CallId {
        self.core.start(self.now, Request::new("/demo.Echo/Call", CallType::BIDI)).expect("a good request")
    }
}

impl Scripted<Server> {
    /// Creates a server whose client has sent these SETTINGS and acknowledged the server's.
    pub fn server(config: Config, entries: &[(u16, u32)]) -> Self {
        let mut peer = Self::silent(config);
        peer.feed(&[PREFACE, &settings(entries), &settings_ack()].concat()).expect("a good preface");
        peer.sent();
        peer.events();
        peer
    }

    /// Returns a call that the client starts on `stream`.
    pub fn open(&mut self, stream: u32) -> CallId {
        self.feed(&headers(stream, 0, &block(&REQUEST))).expect("a good request");
        match self.events().as_slice() {
            [Event::Request(call)] => *call,
            other => panic!("not one request: {other:?}"),
        }
    }
}

/// Returns the credit that these frames give to a stream, or to the connection (0).
pub fn credit(sent: &[Frame], stream: u32) -> u64 {
    let updates = sent.iter().filter(|frame| frame.kind == kind::WINDOW_UPDATE && frame.stream == stream);
    updates.filter_map(|frame| frame.word(0)).map(u64::from).sum()
}

/// A client and a server core that share one time.
pub struct Pair {
    pub client: Connection<Client>,
    pub server: Connection<Server>,
    pub now: Time,
    /// Bytes that the client has written and the server has not accepted.
    pub up: BytesMut,
    /// Bytes that the server has written and the client has not accepted.
    pub down: BytesMut,
}

impl Pair {
    /// Creates a pair with the default settings.
    pub fn new() -> Self {
        Self::with(Config::client(), Config::server())
    }

    /// Creates a pair with these settings; both sides have exchanged SETTINGS.
    pub fn with(client: Config, server: Config) -> Self {
        let mut pair = Self::apart(client, server);
        pair.exchange();
        assert_eq!(pair.client.poll_event(), Some(Event::PeerSettings));
        assert_eq!(pair.server.poll_event(), Some(Event::PeerSettings));
        pair
    }

    /// Creates a pair with these settings; neither side has received anything.
    pub fn apart(client: Config, server: Config) -> Self {
        let now = Time::ZERO;
        Self {
            client: Connection::new(client, Seed(1), now),
            server: Connection::new(server, Seed(2), now),
            now,
            up: BytesMut::new(),
            down: BytesMut::new(),
        }
    }

    /// Carries bytes both ways until there are none.
    pub fn exchange(&mut self) {
        while self.carry_up() + self.carry_down() > 0 {}
    }

    /// Carries what the client has written. Returns how many bytes the server accepted.
    pub fn carry_up(&mut self) -> usize {
        self.up.unsplit(written(&mut self.client, self.now));
        let bytes = self.up.len();
        feed(&mut self.server, self.now, &mut self.up);
        bytes - self.up.len()
    }

    /// Carries what the server has written. Returns how many bytes the client accepted.
    pub fn carry_down(&mut self) -> usize {
        self.down.unsplit(written(&mut self.server, self.now));
        let bytes = self.down.len();
        feed(&mut self.client, self.now, &mut self.down);
        bytes - self.down.len()
    }

    /// Starts a call.
    pub fn start(&mut self, call_type: CallType) -> CallId {
        self.client.start(self.now, Request::new("/demo.Echo/Call", call_type)).unwrap()
    }

    /// Accepts the next request at the server.
    pub fn accept(&mut self, call_type: CallType) -> CallId {
        self.exchange();
        let event = loop {
            match self.server.poll_event() {
                Some(Event::PeerSettings | Event::GoAway { .. }) => {}
                other => break other,
            }
        };
        let Some(Event::Request(call)) = event else { panic!("no request, but {event:?}") };
        self.server.accept(call, call_type).unwrap();
        call
    }

    /// Returns the outcome of a client's call, which must have arrived.
    pub fn outcome(&mut self, call: CallId) -> Outcome {
        match self.client.recv(call) {
            Ok(Recv::End(outcome)) => outcome,
            other => panic!("no end: {other:?}"),
        }
    }
}

/// Returns the payload of a message, which must have arrived.
pub fn message(recv: Recv) -> Bytes {
    match recv {
        Recv::Message(message) => message.payload,
        other => panic!("not a message: {other:?}"),
    }
}
