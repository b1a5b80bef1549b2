//! A client and a server core joined in memory.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use halfclose::{
    CallId, Client, Config, Connection, Event, Metadata, Needed, Outcome, Recv, Request, Role, Seed, Server,
    Shape, Time,
};

use crate::peer::drain;

/// Feeds `octets` to a core in chunks of at most `chunk`; the replies of a core that wants to be drained are returned.
///
/// # Panics
///
/// On a connection error: cores do not break rules.
pub fn deliver<R: Role>(core: &mut Connection<R>, now: Time, octets: &[u8], chunk: usize) -> Vec<u8> {
    let mut replies = Vec::new();
    let mut input = BytesMut::new();
    for piece in octets.chunks(chunk.max(1)) {
        input.extend_from_slice(piece);
        loop {
            match core.receive(now, &mut input).expect("cores keep the rules") {
                Needed::More | Needed::Closed => break,
                Needed::Again => {}
                Needed::Drain => replies.extend(drain(core, now, usize::MAX)),
            }
        }
    }
    replies
}

/// Two joined cores.
pub struct Pair {
    /// The client.
    pub client: Connection<Client>,
    /// The server.
    pub server: Connection<Server>,
    /// The time of both.
    pub now: Time,
    /// Octets delivered at once.
    pub chunk: usize,
    to_client: Vec<u8>,
}

impl Default for Pair {
    fn default() -> Self {
        Self::new(Config::client(), Config::server())
    }
}

impl Pair {
    /// A pair that has exchanged prefaces and SETTINGS.
    #[must_use]
    pub fn new(client: Config, server: Config) -> Self {
        let now = Time::ZERO;
        let client = Connection::new(client, Seed(1), now);
        let server = Connection::new(server, Seed(2), now);
        let mut pair = Self { client, server, now, chunk: usize::MAX, to_client: Vec::new() };
        pair.pump();
        assert_eq!(pair.client.poll_event(), Some(Event::PeerSettings));
        assert_eq!(pair.server.poll_event(), Some(Event::PeerSettings));
        pair
    }

    /// Everything that the client wants to send goes to the server; how many octets that was.
    pub fn pump_to_server(&mut self) -> usize {
        let octets = drain(&mut self.client, self.now, usize::MAX);
        let replies = deliver(&mut self.server, self.now, &octets, self.chunk);
        self.to_client.extend(replies);
        octets.len()
    }

    /// Everything that the server wants to send goes to the client; how many octets that was.
    pub fn pump_to_client(&mut self) -> usize {
        let mut octets = std::mem::take(&mut self.to_client);
        octets.extend(drain(&mut self.server, self.now, usize::MAX));
        let replies = deliver(&mut self.client, self.now, &octets, self.chunk);
        deliver(&mut self.server, self.now, &replies, self.chunk);
        octets.len()
    }

    /// Both ways, until neither has anything to send; how many octets that was.
    pub fn pump(&mut self) -> usize {
        let mut total = 0;
        loop {
            let octets = self.pump_to_server() + self.pump_to_client();
            if octets == 0 {
                return total;
            }
            total += octets;
        }
    }

    /// Lets time pass on both sides, and exchanges what the timers bring.
    pub fn advance(&mut self, span: Duration) {
        self.now = self.now + span;
        self.client.handle_timeout(self.now);
        self.server.handle_timeout(self.now);
        self.pump();
    }

    /// A call, and the server's end of it.
    pub fn call(&mut self, shape: Shape) -> (CallId, CallId) {
        self.request(Request::new("/demo.Echo/Call", shape))
    }

    /// As [`call`](Self::call), for any request; other events of the server are dropped.
    pub fn request(&mut self, request: Request) -> (CallId, CallId) {
        let shape = request.shape;
        let call = self.client.start(self.now, request).expect("a call can start");
        self.pump();
        loop {
            match self.server.poll_event().expect("the server hears of the call") {
                Event::Request(at_server) => {
                    self.server.accept(at_server, shape).expect("the call is known");
                    return (call, at_server);
                }
                _ => continue,
            }
        }
    }

    /// Takes every message that the server has of a call.
    pub fn server_messages(&mut self, call: CallId) -> Vec<Bytes> {
        messages(&mut self.server, call).0
    }

    /// Takes every message that the client has of a call, and its outcome if it is over.
    pub fn client_messages(&mut self, call: CallId) -> (Vec<Bytes>, Option<Outcome>) {
        messages(&mut self.client, call)
    }

    /// One whole unary call; the response, or nothing where there is none, and the outcome.
    pub fn unary(&mut self, payload: Bytes, status: halfclose::Status) -> (Vec<Bytes>, Outcome) {
        let (call, at_server) = self.call(Shape::UNARY);
        self.client.send_message(call, payload, false).expect("room for one message");
        self.client.half_close(call).expect("open");
        self.pump();
        for message in self.server_messages(at_server) {
            self.server.send_message(at_server, message, false).expect("room for one message");
        }
        self.server.finish(at_server, status, Metadata::new()).expect("open");
        self.pump();
        while self.server.poll_event().is_some() {}
        while self.client.poll_event().is_some() {}
        let (messages, outcome) = self.client_messages(call);
        (messages, outcome.expect("the call is over"))
    }
}

fn messages<R: Role>(core: &mut Connection<R>, call: CallId) -> (Vec<Bytes>, Option<Outcome>) {
    let mut messages = Vec::new();
    loop {
        match core.recv(call) {
            Ok(Recv::Message(message)) => messages.push(message.payload),
            Ok(Recv::End(outcome)) => return (messages, Some(outcome)),
            Ok(Recv::Pending | Recv::HalfClosed) | Err(_) => return (messages, None),
        }
    }
}
