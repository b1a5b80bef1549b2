//! One turn does a bounded amount of work, whatever arrives: the input of one connection delays the others only by
//! one turn at a time. No clock is needed to see it.

use bytes::BytesMut;
use halfclose::{Needed, Recv, Server};
use halfclose_security::Target;
use halfclose_security::server::messages::gzip_of_zeros;
use halfclose_security::socket::floods::FLOODS;
use halfclose_security::wire::{Block, END_STREAM, data, headers, prefixed};

/// Gives all of `input` to a server, one turn after the other. Returns the input that each turn handled.
fn turns(target: &mut Target<Server>, input: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = BytesMut::from(input);
    let mut taken = Vec::new();
    loop {
        let before = input.len() - rest.len();
        let read = target.conn.receive(target.now, &mut rest);
        target.settle();
        if read.is_ok() {
            taken.push(input[before..input.len() - rest.len()].to_vec());
        }
        match read {
            // `settle` has read the pending output.
            Ok(Needed::Again | Needed::Drain) => {}
            Ok(_) | Err(_) => return taken,
        }
    }
}

/// Returns the lengths of the frames in some bytes, including their headers.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let mut rest = bytes;
    let mut lengths = Vec::new();
    while let [a, b, c, ..] = rest {
        let length = 9 + u32::from_be_bytes([0, *a, *b, *c]) as usize;
        rest = rest.get(length..).unwrap_or_default();
        lengths.push(length);
    }
    lengths
}

#[test]
fn frames_and_bytes_of_every_flood() {
    for flood in FLOODS {
        let mut target = Target::with(|_| {});
        target.answers = false;
        let mut input = (flood.start)();
        let mut id = 1001;
        while input.len() < 192 * 1024 {
            input.extend((flood.piece)(id));
            id += 2;
        }
        for turn in turns(&mut target, &input) {
            let frames = frames(&turn);
            let last = frames.last().copied().unwrap_or(0);
            assert!(frames.len() <= 64, "{}: {} frames", flood.name, frames.len());
            assert!(turn.len() < 64 * 1024 + last, "{}: {} bytes", flood.name, turn.len());
        }
    }
}

#[test]
fn decoded_header_lists_count_as_bytes() {
    let mut target = Target::with(|_| {});
    target.answers = false;
    let first = target.id();
    target.send(&headers(first, END_STREAM, &Block::request().indexing(b"x-bomb", &[b'b'; 3_800]).0));
    // Eleven times the entry: over 42 kB in a few bytes, so two of them are more than a turn.
    let mut input = Vec::new();
    for _ in 0..10 {
        let id = target.id();
        input.extend(headers(id, END_STREAM, &Block::request().raw(&[0xbe; 11]).0));
    }
    let counts: Vec<usize> = turns(&mut target, &input).iter().map(|turn| frames(turn).len()).collect();
    assert_eq!(counts, [2; 5]);
}

#[test]
fn a_message_to_decompress_ends_the_turn() {
    let mut target = Target::with(|_| {});
    target.answers = false;
    let packed = gzip_of_zeros(4_000_000);
    let mut input = Vec::new();
    for _ in 0..10 {
        let id = target.id();
        input.extend(headers(id, 0, &Block::request().field(b"grpc-encoding", b"gzip").0));
        input.extend(data(id, END_STREAM, &prefixed(1, u32::try_from(packed.len()).unwrap(), &packed)));
    }
    let counts: Vec<usize> = turns(&mut target, &input).iter().map(|turn| frames(turn).len()).collect();
    assert_eq!(counts, [2; 10]);
    for call in target.running.clone() {
        assert!(
            matches!(target.conn.recv(call), Ok(Recv::Message(message)) if message.payload.len() == 4_000_000)
        );
    }
}
