//! One core against a scripted raw peer: octets in, events and frames out, time by hand.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use halfclose::frame::ErrorCode;
use halfclose::{
    CallId, Client, Config, Connection, ConnectionError, Event, Needed, Outcome, Recv, Request, Role, Seed,
    Server, Shape, Time,
};

use crate::seen::{Reader, Seen};
use crate::wire::Wire;

/// A core, and what a test needs to play its peer.
pub struct Peer<R: Role> {
    /// The core under test.
    pub core: Connection<R>,
    /// The time that every method passes to the core.
    pub now: Time,
    reader: Reader,
    sent: Vec<Seen>,
    octets: Vec<u8>,
    error: Option<ConnectionError>,
}

/// Takes everything that a core wants to send, up to `most` octets at a time.
pub fn drain<R: Role>(core: &mut Connection<R>, now: Time, most: usize) -> Vec<u8> {
    let mut octets = Vec::new();
    while let Some(mut out) = core.poll_transmit(now) {
        let count = out.chunk().len().min(most.max(1));
        octets.extend_from_slice(&out.chunk()[..count]);
        out.advance(count);
    }
    octets
}

impl Peer<Client> {
    /// A client that has sent its preface (into [`frames`](Self::frames)) and heard nothing.
    #[must_use]
    pub fn fresh_client(config: Config) -> Self {
        Self::over(Connection::new(config, Seed(1), Time::ZERO))
    }

    /// A client whose server has sent SETTINGS and acknowledged its own; what it sent so far is forgotten.
    #[must_use]
    pub fn client(config: Config) -> Self {
        Self::client_with(config, &[])
    }

    /// As [`client`](Self::client), with the server's settings.
    #[must_use]
    pub fn client_with(config: Config, settings: &[(u16, u32)]) -> Self {
        let mut peer = Self::fresh_client(config);
        peer.settle(&Wire::new().settings(settings).settings_ack());
        peer
    }

    /// Starts a call and lets its HEADERS go out. Stream ids are 1, 3, 5 and so on.
    pub fn start(&mut self, shape: Shape) -> CallId {
        self.start_request(Request::new("/demo.Echo/Call", shape))
    }

    /// As [`start`](Self::start), for any request.
    pub fn start_request(&mut self, request: Request) -> CallId {
        let call = self.core.start(self.now, request).expect("a call can start");
        self.collect();
        call
    }

    /// Takes messages until the end.
    ///
    /// # Panics
    ///
    /// If the call is not over.
    pub fn finish(&mut self, call: CallId) -> (Vec<Vec<u8>>, Outcome) {
        let mut messages = Vec::new();
        loop {
            match self.core.recv(call).expect("the call is known") {
                Recv::Message(message) => messages.push(message.payload.to_vec()),
                Recv::End(outcome) => return (messages, outcome),
                other => panic!("the call is not over: {other:?} after {messages:?}"),
            }
        }
    }

    /// The outcome of a call that is over.
    pub fn outcome(&mut self, call: CallId) -> Outcome {
        self.finish(call).1
    }
}

impl Peer<Server> {
    /// A server that has heard nothing.
    #[must_use]
    pub fn fresh_server(config: Config) -> Self {
        Self::over(Connection::new(config, Seed(2), Time::ZERO))
    }

    /// A server whose client has sent its preface and acknowledged SETTINGS; what it sent so far is forgotten.
    #[must_use]
    pub fn server(config: Config) -> Self {
        Self::server_with(config, &[])
    }

    /// As [`server`](Self::server), with the client's settings.
    #[must_use]
    pub fn server_with(config: Config, settings: &[(u16, u32)]) -> Self {
        let mut peer = Self::fresh_server(config);
        peer.settle(&Wire::new().raw(crate::wire::PREFACE).settings(settings).settings_ack());
        peer
    }

    /// Opens a stream with ordinary request headers, and gives the call that the server hears of.
    pub fn open(&mut self, stream: u32, end: bool) -> CallId {
        self.must_feed(Wire::new().request(stream, "/demo.Echo/Call", end));
        self.accepted()
    }

    /// The call of the next event, which must be a request.
    pub fn accepted(&mut self) -> CallId {
        match self.core.poll_event() {
            Some(Event::Request(call)) => call,
            other => panic!("not a request: {other:?}"),
        }
    }
}

impl<R: Role> Peer<R> {
    /// A peer of any core.
    #[must_use]
    pub fn over(core: Connection<R>) -> Self {
        let reader = Reader::default();
        Self { core, now: Time::ZERO, reader, sent: Vec::new(), octets: Vec::new(), error: None }
    }

    /// Feeds the peer's preface and forgets what the core said to it.
    fn settle(&mut self, wire: &Wire) {
        self.must_feed(wire);
        assert_eq!(self.events(), [Event::PeerSettings]);
        self.frames();
    }

    /// Feeds octets, all of them unless the connection ends on the way. What the core sends waits in
    /// [`frames`](Self::frames).
    ///
    /// # Errors
    ///
    /// What the core's `receive` gives.
    pub fn feed(&mut self, octets: impl AsRef<[u8]>) -> Result<(), ConnectionError> {
        let mut input = BytesMut::from(octets.as_ref());
        let result = loop {
            match self.core.receive(self.now, &mut input) {
                Ok(Needed::More | Needed::Closed) => break Ok(()),
                Ok(Needed::Again) => {}
                Ok(Needed::Drain) => self.collect(),
                Err(error) => break Err(error),
            }
        };
        self.collect();
        if let Err(error) = &result {
            self.error = Some(error.clone());
        }
        result
    }

    /// Feeds octets that the core must take.
    pub fn must_feed(&mut self, octets: impl AsRef<[u8]>) {
        self.feed(octets).expect("the core takes these octets");
    }

    /// The peer closes the transport.
    pub fn eof(&mut self) {
        self.core.receive_eof(self.now);
        self.collect();
    }

    /// Lets time pass, and the timers that are due with it.
    pub fn advance(&mut self, span: Duration) {
        self.now = self.now + span;
        self.core.handle_timeout(self.now);
        self.collect();
    }

    /// Lets time pass up to the next timer, and gives its kind.
    pub fn next_timer(&mut self) -> Option<halfclose::TimerKind> {
        let (at, kind) = self.core.poll_timeout()?;
        let span = at - self.now;
        self.advance(span);
        Some(kind)
    }

    /// Takes what the core wants to send.
    pub fn collect(&mut self) {
        let octets = drain(&mut self.core, self.now, usize::MAX);
        self.sent.extend(self.reader.read(&octets));
        self.octets.extend(octets);
    }

    /// Every event that waits.
    pub fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.core.poll_event() {
            events.push(event);
        }
        events
    }

    /// The frames that the core sent since they were last taken.
    pub fn frames(&mut self) -> Vec<Seen> {
        self.collect();
        self.octets.clear();
        assert!(!self.reader.is_mid_frame(), "a core sends whole frames");
        std::mem::take(&mut self.sent)
    }

    /// The octets that the core sent since frames were last taken.
    pub fn sent_octets(&mut self) -> &[u8] {
        self.collect();
        &self.octets
    }

    /// The frames of one stream, or of the connection (0), since they were last taken.
    pub fn frames_on(&mut self, stream: u32) -> Vec<Seen> {
        self.frames().into_iter().filter(|seen| seen.stream() == stream).collect()
    }

    /// The code of the RST_STREAM that the core sent on `stream`, if any; other frames are forgotten.
    pub fn reset_code(&mut self, stream: u32) -> Option<ErrorCode> {
        self.frames().into_iter().find_map(|seen| match seen {
            Seen::Reset { stream: met, code } if met == stream => Some(code),
            _ => None,
        })
    }

    /// The code of the GOAWAY that the core sent, if any; other frames are forgotten.
    pub fn goaway_code(&mut self) -> Option<ErrorCode> {
        self.frames().into_iter().find_map(|seen| match seen {
            Seen::GoAway { code, .. } => Some(code),
            _ => None,
        })
    }

    /// The error that ended the connection, if one did.
    #[must_use]
    pub fn error(&self) -> Option<&ConnectionError> {
        self.error.as_ref()
    }
}
