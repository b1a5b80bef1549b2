//! A connection and the peer that provokes it.

use bytes::{Buf, BytesMut};
use halfclose::{
    CallId, CallType, Client, Config, Connection, ConnectionError, Event, Needed, Request, Role, Seed,
    Server, Time,
};

use halfclose_wire::{Frame, PREFACE, REQUEST, block, frames, headers, settings, settings_ack};

/// A connection under test. The test sends the peer's bytes exactly as given.
#[derive(Debug)]
pub struct Peer<R: Role> {
    /// The connection.
    pub connection: Connection<R>,
    /// The time of every command, until it is moved.
    pub now: Time,
    /// Bytes that the connection has not accepted: part of a frame, or what it does not read before its replies are
    /// sent.
    input: BytesMut,
}

impl<R: Role> Peer<R> {
    /// Creates a connection that has received nothing.
    #[must_use]
    pub fn silent(config: Config) -> Self {
        Self::of(Connection::new(config, Seed(7), Time::ZERO))
    }

    /// Wraps a connection that exists already.
    #[must_use]
    pub fn of(connection: Connection<R>) -> Self {
        Self { connection, now: Time::ZERO, input: BytesMut::new() }
    }

    /// Feeds bytes until all are accepted, as far as the connection accepts them before its replies are read.
    ///
    /// # Errors
    ///
    /// The error with which the connection answers them.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        self.input.extend_from_slice(bytes);
        while self.connection.receive(self.now, &mut self.input)? == Needed::Again {}
        Ok(())
    }

    /// Returns the frames that the connection sends now.
    pub fn sent(&mut self) -> Vec<Frame> {
        frames(&self.bytes())
    }

    /// Returns the same as bytes.
    pub fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(mut out) = self.connection.poll_transmit(self.now) {
            let mut chunk = vec![0; out.remaining()];
            out.copy_to_slice(&mut chunk);
            bytes.extend(chunk);
        }
        bytes
    }

    /// Returns the events that it reports now.
    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.connection.poll_event()).collect()
    }
}

impl Peer<Server> {
    /// Creates a server whose client has sent its preface and SETTINGS, and not acknowledged the server's.
    #[must_use]
    pub fn server(config: Config) -> Self {
        let mut peer = Self::silent(config);
        peer.feed(&[PREFACE, &settings(&[])].concat()).expect("a good preface");
        peer.sent();
        peer.events();
        peer
    }

    /// Opens a call on `stream`. Returns its id.
    pub fn open(&mut self, stream: u32, flags: u8) -> CallId {
        self.feed(&headers(stream, flags, &block(&REQUEST))).expect("a good request");
        match self.events().as_slice() {
            [Event::Request(call)] => *call,
            other => panic!("not one request: {other:?}"),
        }
    }
}

impl Peer<Client> {
    /// Creates a client whose server has sent its SETTINGS and acknowledged the client's.
    #[must_use]
    pub fn client(config: Config) -> Self {
        let mut peer = Self::silent(config);
        peer.feed(&[settings(&[]), settings_ack()].concat()).expect("good SETTINGS");
        peer.sent();
        peer.events();
        peer
    }

    /// Starts a call; nothing is sent yet.
    pub fn start(&mut self, call_type: CallType) -> CallId {
        self.connection.start(self.now, Request::new("/demo.Echo/Call", call_type)).expect("a good request")
    }
}
