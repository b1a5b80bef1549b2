//! Whole RPCs between a client core and a server core in one thread, without sockets.
//!
//! Bytes move as a transport would move them: all output of one side is one read of the other.

use bytes::{Buf, Bytes, BytesMut};
use halfclose::{
    CallId, CallType, Client, Config, Connection, Event, Metadata, Needed, Recv, Request, Role, Seed, Server,
    Status, Time,
};

/// Calls that are open at once.
pub const OPEN: usize = 100;
/// Messages in a direction that carries many.
pub const MESSAGES: usize = 4;

const PATH: &[u8] = b"/grpc.testing.BenchmarkService/UnaryCall";
const PAYLOAD: &[u8] = b"sixteen bytes..";
const NOW: Time = Time::ZERO;

/// A client and a server, and the bytes between them.
#[derive(Debug)]
pub struct Pair {
    client: Connection<Client>,
    server: Connection<Server>,
    wire: BytesMut,
    shape: CallType,
    finished: u64,
}

/// Moves everything that `from` has to write to `to`. Returns whether there was anything.
fn pump<A: Role, B: Role>(from: &mut Connection<A>, to: &mut Connection<B>, wire: &mut BytesMut) -> bool {
    while let Some(mut out) = from.poll_transmit(NOW) {
        while out.has_remaining() {
            let chunk = out.chunk();
            let count = chunk.len();
            wire.extend_from_slice(chunk);
            out.advance(count);
        }
    }
    !wire.is_empty() && {
        read(to, wire);
        true
    }
}

fn read<R: Role>(to: &mut Connection<R>, wire: &mut BytesMut) {
    while !wire.is_empty() {
        match to.receive(NOW, wire).expect("the peer keeps to the protocol") {
            Needed::More => return,
            Needed::Again => {}
            other => panic!("nothing here asks for {other:?}"),
        }
    }
}

impl Pair {
    /// Creates a connection whose SETTINGS have been exchanged, for calls of one type.
    #[must_use]
    pub fn new(shape: CallType) -> Self {
        let mut pair = Self {
            client: Connection::new(Config::client(), Seed(1), NOW),
            server: Connection::new(Config::server(), Seed(2), NOW),
            wire: BytesMut::with_capacity(64 * 1024),
            shape,
            finished: 0,
        };
        while pump(&mut pair.client, &mut pair.server, &mut pair.wire)
            | pump(&mut pair.server, &mut pair.client, &mut pair.wire)
        {}
        assert_eq!(pair.client.poll_event(), Some(Event::PeerSettings));
        assert_eq!(pair.server.poll_event(), Some(Event::PeerSettings));
        pair
    }

    /// Runs `rounds` times [`OPEN`] calls, all of a round open at once. Returns the number of calls that ended with
    /// OK.
    pub fn run(&mut self, rounds: usize) -> u64 {
        let before = self.finished;
        for _ in 0..rounds {
            for _ in 0..OPEN {
                self.start();
            }
            while pump(&mut self.client, &mut self.server, &mut self.wire) {
                self.serve();
                pump(&mut self.server, &mut self.client, &mut self.wire);
                self.collect();
            }
        }
        self.finished - before
    }

    fn start(&mut self) {
        let request = Request::new(Bytes::from_static(PATH), self.shape);
        let call = self.client.start(NOW, request).expect("the connection is open");
        for _ in 0..count(self.shape.requests) {
            self.client.send_message(call, Bytes::from_static(PAYLOAD), false).expect("there is room");
        }
        self.client.half_close(call).expect("the call is open");
        assert!(matches!(self.client.recv(call), Ok(Recv::Pending)));
    }

    /// Runs the server's application on everything that one read brought.
    fn serve(&mut self) {
        while let Some(event) = self.server.poll_event() {
            match event {
                Event::Request(call) => {
                    let head = self.server.request(call).expect("the call is new");
                    assert!(head.path().as_bytes() == PATH);
                    self.server.accept(call, self.shape).expect("the call is new");
                    self.answer(call);
                }
                Event::Readable(call) => self.answer(call),
                Event::Ended(..) => {}
                other => panic!("nothing here leads to {other:?}"),
            }
        }
    }

    /// Receives what has arrived; at the end of the request sends the responses of the call type, and OK.
    fn answer(&mut self, call: CallId) {
        loop {
            match self.server.recv(call).expect("the call is open") {
                Recv::Message(message) => assert!(message.payload.len() == PAYLOAD.len()),
                Recv::Pending => return,
                Recv::HalfClosed => break,
                other => panic!("a server's call has no {other:?}"),
            }
        }
        for _ in 0..count(self.shape.responses) {
            self.server.send_message(call, Bytes::from_static(PAYLOAD), false).expect("there is room");
        }
        self.server.finish(call, Status::ok(), Metadata::new()).expect("the call is open");
    }

    /// Runs the client's application on everything that one read brought.
    fn collect(&mut self) {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Response(_) => {}
                Event::Readable(call) => self.take(call),
                other => panic!("nothing here leads to {other:?}"),
            }
        }
    }

    fn take(&mut self, call: CallId) {
        loop {
            match self.client.recv(call).expect("the call is open") {
                Recv::Message(message) => assert!(message.payload.as_ref() == PAYLOAD),
                Recv::Pending => return,
                Recv::End(outcome) => {
                    assert!(outcome.status.is_ok(), "{:?}", outcome.status);
                    self.finished += 1;
                    return;
                }
                other => panic!("a client's call has no {other:?}"),
            }
        }
    }
}

const fn count(cardinality: halfclose::Cardinality) -> usize {
    match cardinality {
        halfclose::Cardinality::One => 1,
        halfclose::Cardinality::Many => MESSAGES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_every_shape_ends_with_ok() {
        for shape in [CallType::UNARY, CallType::CLIENT_STREAMING, CallType::SERVER_STREAMING, CallType::BIDI]
        {
            assert_eq!(Pair::new(shape).run(3), 3 * OPEN as u64, "{shape:?}");
        }
    }
}
