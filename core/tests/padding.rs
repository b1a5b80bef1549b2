//! Padded DATA: the padding counts against the windows (RFC 9113 §6.9.1), is never read by the caller, and must be
//! credited.

mod common;

use std::time::Duration;

use bytes::BytesMut;
use halfclose::hpack::{Encoder, Indexing};
use halfclose::{CallId, CallType, Client, Config, Connection, Recv, Request, Seed, Time};
use halfclose_wire::{
    END_HEADERS, PADDED, frame,
    kind::{DATA, HEADERS, SETTINGS, WINDOW_UPDATE},
};

const PADDING: usize = 255;

/// A server that sends as much as it is allowed to, and no more.
struct Sender {
    client: Connection<Client>,
    now: Time,
    encoder: Encoder,
    /// The bytes that the server may send, on the connection and by stream.
    windows: [i64; 4],
    updates: usize,
}

impl Sender {
    fn new(config: Config) -> Self {
        let window = i64::from(config.initial_stream_window);
        let client = Connection::new(config, Seed(1), Time::ZERO);
        let windows = [65_535, window, window, window];
        let mut sender = Self { client, now: Time::ZERO, encoder: Encoder::new(0), windows, updates: 0 };
        sender.give(&frame(SETTINGS, 0, 0, &[]));
        sender.give(&frame(SETTINGS, 1, 0, &[]));
        sender
    }

    /// Returns a call of the client on the next stream, whose response has begun.
    fn respond(&mut self, stream: u32) -> CallId {
        let request = Request::new("/demo.Echo/Call", CallType::SERVER_STREAMING);
        let call = self.client.start(self.now, request).unwrap();
        self.hear();
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        for (name, value) in [(":status", "200"), ("content-type", "application/grpc")] {
            self.encoder.field(name.as_bytes(), value.as_bytes(), Indexing::Without, &mut block);
        }
        self.give(&frame(HEADERS, END_HEADERS, stream, &block));
        call
    }

    fn give(&mut self, bytes: &[u8]) {
        common::feed(&mut self.client, self.now, &mut BytesMut::from(bytes));
        self.hear();
    }

    /// Reads what the client has written, for its window updates.
    fn hear(&mut self) {
        let mut wire = common::written(&mut self.client, self.now);
        if wire.starts_with(b"PRI") {
            let _ = wire.split_to(24);
        }
        while !wire.is_empty() {
            let length = u32::from_be_bytes([0, wire[0], wire[1], wire[2]]) as usize;
            let frame = wire.split_to(9 + length);
            if frame[3] == WINDOW_UPDATE {
                let stream = usize::from(frame[8]);
                self.windows[stream] += i64::from(u32::from_be_bytes(frame[9..13].try_into().unwrap()));
                self.updates += usize::from(stream > 0);
            }
        }
    }

    /// Sends a padded piece, if both windows allow it.
    fn send(&mut self, stream: u32, piece: &[u8]) -> bool {
        let mut payload = vec![PADDING as u8];
        payload.extend_from_slice(piece);
        payload.resize(1 + piece.len() + PADDING, 0);
        let length = payload.len() as i64;
        let places = [0, stream as usize];
        if places.iter().any(|place| self.windows[*place] < length) {
            return false;
        }
        for place in places {
            self.windows[place] -= length;
        }
        // The guards against floods count by time, so time passes.
        self.now = self.now + Duration::from_micros(100);
        self.give(&frame(DATA, PADDED, stream, &payload));
        true
    }

    fn check_message(&mut self, call: CallId, size: usize) {
        match self.client.recv(call) {
            Ok(Recv::Message(message)) => assert_eq!(message.payload, vec![7; size]),
            other => panic!("no message: {other:?}"),
        }
    }
}

fn message(size: usize) -> Vec<u8> {
    let mut message = vec![0];
    message.extend_from_slice(&(size as u32).to_be_bytes());
    message.resize(5 + size, 7);
    message
}

/// Sends a message of `size` bytes in pieces of `piece`, to a client with these settings. Returns how many frames and
/// how many updates of the stream's window that took.
fn transfer(config: Config, size: usize, piece: usize) -> (usize, usize) {
    let mut sender = Sender::new(config);
    let call = sender.respond(1);
    let mut frames = 0;
    for piece in message(size).chunks(piece) {
        assert!(sender.send(1, piece), "stalled at frame {frames} with windows {:?}", sender.windows);
        frames += 1;
    }
    sender.check_message(call, size);
    (frames, sender.updates)
}

#[test]
fn padding_comes_back_whatever_the_window_of_the_message() {
    for window in [600, 5_000, 65_535, 1 << 20] {
        for (size, piece) in [(1_000, 1), (70_000, 5), (314_159, 300)] {
            let mut config = Config::client();
            config.initial_stream_window = window;
            transfer(config, size, piece);
        }
    }
}

#[test]
fn large_frames_lose_their_padding() {
    // In one frame, in the first of two, and across both.
    for size in [5_000, 10_000, 16_000 - 5, 16_000, 30_000] {
        transfer(Config::client(), size, 16_000);
    }
}

#[test]
fn credit_for_padding_is_gathered() {
    let (frames, updates) = transfer(Config::client(), 100_000, 5);
    assert!(updates * 20 < frames, "{updates} updates for {frames} frames");
}

#[test]
fn padding_does_not_use_up_what_a_message_was_promised_while_another_waits_for_memory() {
    let size = 100_000;
    let mut config = Config::client();
    config.limits.max_receive_message = size as u32;
    // The message that waits holds a window.
    config.limits.memory = 103_000;
    config.initial_stream_window = 1_000;
    let mut sender = Sender::new(config);
    let calls = [(sender.respond(1), 1), (sender.respond(3), 3)];
    for (call, _) in calls {
        assert!(matches!(sender.client.recv(call), Ok(Recv::Pending)), "its reader waits");
    }

    let whole = message(size);
    let mut pieces = calls.map(|_| whole.chunks(50).peekable());
    while pieces.iter_mut().any(|pieces| pieces.peek().is_some()) {
        let mut progress = false;
        for ((call, stream), pieces) in calls.into_iter().zip(&mut pieces) {
            let Some(piece) = pieces.peek() else { continue };
            if sender.send(stream, piece) {
                progress = true;
                pieces.next();
                if pieces.peek().is_none() {
                    sender.check_message(call, size);
                    sender.hear();
                }
            }
        }
        assert!(progress, "stalled with windows {:?}", sender.windows);
    }
}
