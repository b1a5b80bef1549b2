//! A client core and a server core at the two ends of a path with a delay and a rate, in virtual time: the bytes of a
//! stream in each round trip, and what its receiver allows.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use halfclose::frame::{FRAME_HEADER_LEN, Frame, FrameHeader};
use halfclose::{CallId, CallType, Client, Config, Connection, Recv, Request, Role, Seed, Server, Time};

/// The length of a step of the simulation.
const STEP: Duration = Duration::from_micros(250);
/// A message's flag and length.
const PREFIX: usize = 5;
/// The most bytes that a caller reads from its transport at once.
const READ: usize = 72 * 1024;

/// Which end sends messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// One direction of the path.
#[derive(Default)]
struct OneWay {
    on_way: VecDeque<(Time, Vec<u8>)>,
    /// When the path is free for the next byte.
    free: Time,
    arrived: BytesMut,
    /// Bytes of DATA that the sender has sent, and PINGs without ACK.
    data: u64,
    pings: u64,
    /// Bytes that were sent and not yet parsed into frames.
    unread: BytesMut,
}

impl OneWay {
    fn send(&mut self, now: Time, bytes: Vec<u8>, delay: Duration, rate: Option<u64>) {
        self.count(&bytes);
        self.free = self.free.max(now);
        if let Some(rate) = rate {
            self.free = self.free + Duration::from_nanos(bytes.len() as u64 * 1_000_000_000 / rate);
        }
        self.on_way.push_back((self.free + delay, bytes));
    }

    fn count(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        if self.unread.starts_with(b"PRI *") {
            self.unread.advance(halfclose::frame::PREFACE.len());
        }
        while let Some(first) = self.unread.first_chunk::<FRAME_HEADER_LEN>() {
            let header = FrameHeader::parse(first);
            let Some(payload) = self.unread.get(FRAME_HEADER_LEN..FRAME_HEADER_LEN + header.length as usize)
            else {
                break;
            };
            match Frame::parse(&header, payload) {
                Ok(Frame::Data(data)) => self.data += u64::from(data.flow_controlled_len()),
                Ok(Frame::Ping(ping)) if !ping.ack => self.pings += 1,
                _ => {}
            }
            self.unread.advance(FRAME_HEADER_LEN + header.length as usize);
        }
    }

    fn deliver(&mut self, now: Time) {
        while self.on_way.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, bytes)) = self.on_way.pop_front() {
                self.arrived.extend_from_slice(&bytes);
            }
        }
    }
}

/// Streams of equal messages over a path.
pub struct LongPath {
    client: Connection<Client>,
    server: Connection<Server>,
    now: Time,
    up: OneWay,
    down: OneWay,
    direction: Direction,
    /// The path's delay, each way. It may be changed at any time.
    pub delay: Duration,
    /// Bytes that the path carries in a second, each way. It may be changed at any time.
    pub rate: Option<u64>,
    /// Messages that each sender still sends. It may be changed at any time.
    pub supply: u64,
    /// Messages that the reader of each stream receives in a step.
    pub appetite: usize,
    calls: Vec<(CallId, CallId)>,
    message: Bytes,
    /// Bytes of messages that were read, with their prefixes.
    pub read: u64,
}

impl LongPath {
    /// Creates `streams` streams of messages of `size` bytes in one direction.
    ///
    /// # Panics
    ///
    /// If a core refuses a call.
    #[must_use]
    pub fn new(
        configs: (Config, Config),
        direction: Direction,
        streams: usize,
        size: usize,
        (delay, rate): (Duration, Option<u64>),
    ) -> Self {
        let now = Time::ZERO + Duration::from_secs(1);
        let mut path = Self {
            client: Connection::new(configs.0, Seed(1), now),
            server: Connection::new(configs.1, Seed(2), now),
            now,
            up: OneWay::default(),
            down: OneWay::default(),
            direction,
            delay,
            rate,
            supply: u64::MAX,
            appetite: usize::MAX,
            calls: Vec::new(),
            message: vec![7; size].into(),
            read: 0,
        };
        path.open(streams);
        path
    }

    /// Starts `streams` more streams, and waits until the server has all of them.
    ///
    /// # Panics
    ///
    /// If a core refuses a call.
    pub fn open(&mut self, streams: usize) {
        let supply = std::mem::take(&mut self.supply);
        let ours: Vec<CallId> = (0..streams)
            .map(|_| {
                let request = Request::new("/sim.Service/Method", CallType::BIDI);
                self.client.start(self.now, request).expect("a call is taken")
            })
            .collect();
        let mut theirs = Vec::new();
        while theirs.len() < streams {
            self.step();
            while let Some(event) = self.server.poll_event() {
                if let halfclose::Event::Request(call) = event {
                    theirs.push(call);
                }
            }
        }
        self.calls.extend(ours.into_iter().zip(theirs));
        self.supply = supply;
    }

    /// Ends all streams by a cancel, and waits until both ends know.
    ///
    /// # Panics
    ///
    /// If a call is over already.
    pub fn cancel_all(&mut self) {
        for (ours, _) in std::mem::take(&mut self.calls) {
            self.client.cancel(ours).expect("the call is open");
            while !matches!(self.client.recv(ours), Ok(Recv::End(_)) | Err(_)) {}
        }
        self.wait(self.delay * 3);
    }

    /// Lets `span` pass. Returns how many bytes of messages were read in it.
    pub fn wait(&mut self, span: Duration) -> u64 {
        let (until, before) = (self.now + span, self.read);
        while self.now < until {
            self.step();
        }
        self.read - before
    }

    fn step(&mut self) {
        self.now = self.now + STEP;
        let now = self.now;
        self.up.deliver(now);
        self.down.deliver(now);
        receive(&mut self.client, &mut self.down.arrived, now);
        receive(&mut self.server, &mut self.up.arrived, now);
        self.client.handle_timeout(now);
        self.server.handle_timeout(now);
        self.run_callers();
        self.transmit();
        while self.supply > 0 && self.send() {
            self.transmit();
        }
    }

    /// Sends the output of both cores.
    fn transmit(&mut self) {
        let (now, delay, rate) = (self.now, self.delay, self.rate);
        if let Some(bytes) = collect(&mut self.client, now) {
            self.up.send(now, bytes, delay, rate);
        }
        if let Some(bytes) = collect(&mut self.server, now) {
            self.down.send(now, bytes, delay, rate);
        }
    }

    /// Lets every reader read.
    fn run_callers(&mut self) {
        let Self { client, server, calls, appetite, .. } = self;
        for &(ours, theirs) in &*calls {
            self.read += match self.direction {
                Direction::Down => read(client, ours, *appetite),
                Direction::Up => read(server, theirs, *appetite),
            };
        }
        while client.poll_event().is_some() {}
        if !self.calls.is_empty() {
            while server.poll_event().is_some() {}
        }
    }

    /// Sends one message of each stream that has space. Returns whether any was accepted.
    fn send(&mut self) -> bool {
        let Self { client, server, calls, message, supply, .. } = self;
        if *supply != u64::MAX {
            *supply -= 1;
        }
        let mut any = false;
        for &(ours, theirs) in &*calls {
            any |= match self.direction {
                Direction::Up => client.send_message(ours, message.clone(), false).is_ok(),
                Direction::Down => server.send_message(theirs, message.clone(), false).is_ok(),
            };
        }
        any
    }

    /// Returns the bytes of DATA that the sender has sent.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        match self.direction {
            Direction::Up => self.up.data,
            Direction::Down => self.down.data,
        }
    }

    /// Returns the PINGs that the receiver of the DATA has sent.
    #[must_use]
    pub const fn pings(&self) -> u64 {
        match self.direction {
            Direction::Up => self.down.pings,
            Direction::Down => self.up.pings,
        }
    }

    /// Returns whether both connections are alive.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.client.is_closed() && !self.server.is_closed()
    }

    /// Returns the time.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }
}

/// Feeds what has arrived as a driver does: in reads of limited size.
fn receive<R: Role>(connection: &mut Connection<R>, arrived: &mut BytesMut, now: Time) {
    let mut input = BytesMut::new();
    while !arrived.is_empty() {
        input.extend_from_slice(&arrived.split_to(arrived.len().min(READ)));
        loop {
            let before = input.len();
            let _ = connection.receive(now, &mut input);
            if input.is_empty() || input.len() == before {
                break;
            }
        }
    }
    // An incomplete frame stays where it was.
    arrived.unsplit(input);
}

/// Reads up to `most` messages. Returns how many bytes they had.
fn read<R: Role>(connection: &mut Connection<R>, call: CallId, most: usize) -> u64 {
    let mut bytes = 0;
    for _ in 0..most {
        match connection.recv(call) {
            Ok(Recv::Message(message)) => bytes += (message.payload.len() + PREFIX) as u64,
            _ => break,
        }
    }
    bytes
}

fn collect<R: Role>(connection: &mut Connection<R>, now: Time) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(mut transmit) = connection.poll_transmit(now) {
        while transmit.has_remaining() {
            let chunk = transmit.chunk();
            bytes.extend_from_slice(chunk);
            let count = chunk.len();
            transmit.advance(count);
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}
