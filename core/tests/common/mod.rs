//! A client and a server core joined in memory, for the core's own tests.
#![allow(dead_code, unreachable_pub)]

use bytes::{Buf, Bytes, BytesMut};
use halfclose::{
    CallId, Client, Config, Connection, Event, Needed, Outcome, Recv, Request, Role, Seed, Server, Shape,
    Time,
};

/// Everything that `from` has to write.
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

/// Feeds `wire` to `to` until it is taken, or until its replies must be written first.
pub fn feed<R: Role>(to: &mut Connection<R>, now: Time, wire: &mut BytesMut) {
    while !wire.is_empty() {
        match to.receive(now, wire).expect("no violation") {
            Needed::More | Needed::Drain => break,
            Needed::Again | Needed::Closed => {}
        }
    }
}

/// Two cores and one time.
pub struct Pair {
    pub client: Connection<Client>,
    pub server: Connection<Server>,
    pub now: Time,
    /// What the client has written and the server has not taken.
    pub up: BytesMut,
    /// What the server has written and the client has not taken.
    pub down: BytesMut,
}

impl Pair {
    /// With the default settings.
    pub fn new() -> Self {
        Self::with(Config::client(), Config::server())
    }

    /// With these settings; the SETTINGS of both sides have been exchanged.
    pub fn with(client: Config, server: Config) -> Self {
        let mut pair = Self::apart(client, server);
        pair.exchange();
        assert_eq!(pair.client.poll_event(), Some(Event::PeerSettings));
        assert_eq!(pair.server.poll_event(), Some(Event::PeerSettings));
        pair
    }

    /// With these settings; neither side has heard of the other.
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

    /// Carries octets both ways until there are none.
    pub fn exchange(&mut self) {
        while self.carry_up() + self.carry_down() > 0 {}
    }

    /// Carries what the client has written, and says how much of it the server took.
    pub fn carry_up(&mut self) -> usize {
        self.up.unsplit(written(&mut self.client, self.now));
        let octets = self.up.len();
        feed(&mut self.server, self.now, &mut self.up);
        octets - self.up.len()
    }

    /// Carries what the server has written, and says how much of it the client took.
    pub fn carry_down(&mut self) -> usize {
        self.down.unsplit(written(&mut self.server, self.now));
        let octets = self.down.len();
        feed(&mut self.client, self.now, &mut self.down);
        octets - self.down.len()
    }

    /// Starts a call.
    pub fn start(&mut self, shape: Shape) -> CallId {
        self.client.start(self.now, Request::new("/demo.Echo/Call", shape)).unwrap()
    }

    /// The next request at the server.
    pub fn accept(&mut self, shape: Shape) -> CallId {
        self.exchange();
        let event = loop {
            match self.server.poll_event() {
                Some(Event::PeerSettings | Event::GoAway { .. }) => {}
                other => break other,
            }
        };
        let Some(Event::Request(call)) = event else { panic!("no request, but {event:?}") };
        self.server.accept(call, shape).unwrap();
        call
    }

    /// The outcome of a client's call, which must be there.
    pub fn outcome(&mut self, call: CallId) -> Outcome {
        match self.client.recv(call) {
            Ok(Recv::End(outcome)) => outcome,
            other => panic!("no end: {other:?}"),
        }
    }
}

/// The payload of a message, which must be there.
pub fn message(recv: Recv) -> Bytes {
    match recv {
        Recv::Message(message) => message.payload,
        other => panic!("not a message: {other:?}"),
    }
}
