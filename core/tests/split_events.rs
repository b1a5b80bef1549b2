//! The events that a caller receives do not depend on how the bytes were cut, even if it polls between the pieces: a
//! request that arrived is reported, whatever arrived directly after it.

mod common;

use bytes::BytesMut;
use common::Scripted;
use halfclose::{CallId, Cause, Config, Event, Needed, Recv, Server};
use halfclose_wire::{END_STREAM, REQUEST, block, data, frame, headers, message, settings};

/// Everything that a caller receives which polls after each piece.
#[derive(PartialEq, Debug, Default)]
struct Heard {
    events: Vec<Event>,
    received: Vec<String>,
}

impl Heard {
    fn listen(&mut self, peer: &mut Scripted<Server>) {
        while let Some(event) = peer.core.poll_event() {
            if let Event::Request(call) | Event::Readable(call) = event {
                self.take(peer, call);
            }
            // `Readable` answers a `recv` that found nothing, so only a caller that asked before the bytes arrived
            // gets it.
            if !matches!(event, Event::Readable(_)) {
                self.events.push(event);
            }
        }
    }

    fn take(&mut self, peer: &mut Scripted<Server>, call: CallId) {
        loop {
            match peer.core.recv(call) {
                Ok(Recv::Message(message)) => self.received.push(format!("{call:?} {:?}", message.payload)),
                Ok(Recv::HalfClosed) => break self.received.push(format!("{call:?} half-closed")),
                Ok(Recv::Pending) => break,
                other => panic!("{other:?}"),
            }
        }
    }
}

fn heard(pieces: &[&[u8]]) -> Heard {
    let mut peer = Scripted::<Server>::server(Config::server(), &[]);
    let (mut heard, mut unread) = (Heard::default(), BytesMut::new());
    for piece in pieces {
        unread.extend_from_slice(piece);
        while matches!(peer.core.receive(peer.now, &mut unread), Ok(Needed::Again | Needed::Drain)) {
            drop(peer.sent());
        }
        heard.listen(&mut peer);
    }
    heard
}

/// Checks every cut in two, and every byte by itself, against the whole.
fn check(name: &str, wire: &[u8]) -> Heard {
    let whole = heard(&[wire]);
    for at in 1..wire.len() {
        let (front, back) = wire.split_at(at);
        assert_eq!(heard(&[front, back]), whole, "{name}, cut at {at}");
    }
    let bytes: Vec<&[u8]> = wire.chunks(1).collect();
    assert_eq!(heard(&bytes), whole, "{name}, byte by byte");
    whole
}

fn calls(heard: &Heard) -> usize {
    heard.events.iter().filter(|event| matches!(event, Event::Request(_))).count()
}

fn ends(heard: &Heard) -> Vec<Cause> {
    let ended = |event: &Event| match event {
        Event::Ended(_, cause) => Some(cause.clone()),
        _ => None,
    };
    heard.events.iter().filter_map(ended).collect()
}

fn open(stream: u32) -> Vec<u8> {
    headers(stream, 0, &block(&REQUEST))
}

fn whole_request(stream: u32) -> Vec<u8> {
    [open(stream), data(stream, END_STREAM, &message(b"hello"))].concat()
}

fn reset(stream: u32) -> Vec<u8> {
    frame(3, 0, stream, &8_u32.to_be_bytes())
}

/// Returns frames that end the connection.
fn fatal() -> [(&'static str, Vec<u8>); 5] {
    [
        ("PING on a stream", frame(6, 0, 1, &[0; 8])),
        ("SETTINGS that are cut", frame(4, 0, 0, &[0; 5])),
        ("a frame that is too large", frame(0, 0, 1, &[0; 16_385])),
        ("HPACK that is no HPACK", headers(9, 0, &[0xff; 20])),
        ("PUSH_PROMISE", frame(5, 4, 1, &[0, 0, 0, 2])),
    ]
}

#[test]
fn a_whole_request_before_a_fatal_frame_is_told_and_can_be_taken() {
    for (name, fatal) in fatal() {
        for count in 1..=3 {
            let requests: Vec<u8> = (0..count).flat_map(|nth| whole_request(2 * nth + 1)).collect();
            let heard = check(name, &[requests, fatal.clone()].concat());
            assert_eq!(calls(&heard), count as usize, "{name}");
            assert_eq!(ends(&heard), vec![Cause::Connection; count as usize], "{name}");
            assert_eq!(heard.received.len(), 2 * count as usize, "{name}: {:?}", heard.received);
            assert!(matches!(heard.events.last(), Some(Event::Closed(_))), "{name}: {:?}", heard.events);
        }
    }
}

#[test]
fn what_came_of_a_request_before_a_fatal_frame_is_told() {
    for (name, fatal) in fatal() {
        for (parts, messages) in [
            (vec![open(1)], 0),
            (vec![open(1), data(1, 0, &message(b"one"))], 1),
            (vec![open(1), data(1, 0, &message(b"one")), data(1, 0, &message(b"two")[..6])], 1),
            (vec![open(1), data(1, 0, &[message(b"one"), message(b"two")].concat())], 2),
        ] {
            let heard = check(name, &[parts.concat(), fatal.clone()].concat());
            assert_eq!((calls(&heard), ends(&heard)), (1, vec![Cause::Connection]), "{name}");
            assert_eq!(heard.received.len(), messages, "{name}: {:?}", heard.received);
        }
    }
}

#[test]
fn events_of_several_calls_keep_the_order_in_which_they_happened() {
    let requests = [open(1), whole_request(3), open(5)].concat();
    let heard = check("several calls", &[requests, frame(6, 0, 1, &[0; 8])].concat());
    let (calls, rest) = heard.events.split_at(3);
    assert!(calls.iter().all(|event| matches!(event, Event::Request(_))), "{calls:?}");
    let (ends, rest) = rest.split_at(3);
    assert!(ends.iter().all(|event| matches!(event, Event::Ended(_, Cause::Connection))), "{ends:?}");
    assert!(matches!(rest, [Event::Closed(_)]), "{rest:?}");
    assert_eq!(heard.received.len(), 2, "{:?}", heard.received);
}

/// Checks that a call which became void before its caller learned of it, by a reset or a malformed message, is
/// reported either with its end or not at all.
#[test]
fn a_void_request_is_told_with_its_end_or_not_at_all() {
    let bad_prefix = data(1, 0, &[9, 0, 0, 0, 0]);
    for (name, wire) in [
        ("a reset", [open(1), reset(1)].concat()),
        ("a bad message", [open(1), bad_prefix].concat()),
        ("a window update of nothing", [open(1), frame(8, 0, 1, &[0; 4])].concat()),
        ("a reset and a fatal frame", [open(1), reset(1), frame(6, 0, 1, &[0; 8])].concat()),
    ] {
        for at in 1..=wire.len() {
            let heard = heard(&[&wire[..at], &wire[at..]]);
            assert_eq!(calls(&heard), ends(&heard).len(), "{name}, cut at {at}: {:?}", heard.events);
        }
    }
}

#[test]
fn notices_that_nobody_hears_are_bounded() {
    let mut peer = Scripted::<Server>::server(Config::server(), &[]);
    let goaway = frame(7, 0, 0, &[0; 8]);
    for _ in 0..500 {
        peer.feed(&[settings(&[]), goaway.clone()].concat()).expect("no rule is broken");
        drop(peer.sent());
    }
    let told = peer.events();
    assert!(matches!(told.as_slice(), [Event::PeerSettings, Event::GoAway { .. }]), "{told:?}");
}
