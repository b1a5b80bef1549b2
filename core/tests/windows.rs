//! Receive windows: the window of a stream whose reader keeps up grows, however reads cut the messages.

mod common;

use bytes::Bytes;
use common::Pair;
use halfclose::{CallId, CallType, Recv};

const WINDOW_UPDATE: u8 = 8;
const MESSAGES: usize = 200;

/// Returns how many frames of `wire` give credit to a stream.
fn stream_credits(mut wire: &[u8]) -> usize {
    let mut frames = 0;
    while !wire.is_empty() {
        let length = u32::from_be_bytes([0, wire[0], wire[1], wire[2]]) as usize;
        frames += usize::from(wire[3] == WINDOW_UPDATE && wire[5..9] != [0; 4]);
        wire = &wire[9 + length..];
    }
    frames
}

/// Receives every complete message. Returns their number.
fn take(pair: &mut Pair, call: CallId) -> usize {
    let taken = std::iter::from_fn(|| match pair.client.recv(call) {
        Ok(Recv::Message(message)) => Some(message),
        _ => None,
    });
    taken.count()
}

/// Sends messages of `size` bytes, read in pieces of `read` bytes by a client that receives all complete ones after
/// each `reads` pieces. Returns the number of updates of the stream's window.
fn updates(size: usize, read: usize, reads: usize) -> usize {
    let mut pair = Pair::new();
    let call = pair.start(CallType::SERVER_STREAMING);
    pair.client.half_close(call).unwrap();
    let served = pair.accept(CallType::SERVER_STREAMING);
    let payload = Bytes::from(vec![7; size]);
    let (mut sent, mut taken, mut frames) = (0, 0, 0);
    while taken < MESSAGES {
        while sent < MESSAGES && pair.server.send_message(served, payload.clone(), false).is_ok() {
            sent += 1;
        }
        let mut wire = common::written(&mut pair.server, pair.now);
        assert!(!wire.is_empty(), "stalled after {taken} messages");
        while !wire.is_empty() {
            for _ in 0..reads {
                let piece = wire.split_to(read.min(wire.len()));
                pair.down.extend_from_slice(&piece);
                common::feed(&mut pair.client, pair.now, &mut pair.down);
            }
            taken += take(&mut pair, call);
            let mut answer = common::written(&mut pair.client, pair.now);
            frames += stream_credits(&answer);
            common::feed(&mut pair.server, pair.now, &mut answer);
        }
    }
    frames
}

#[test]
fn the_window_of_a_reader_that_keeps_up_grows_however_messages_and_reads_lie() {
    for size in [10_000, 65_536, 200_000] {
        let megabytes = (size * MESSAGES) >> 20;
        // An eighth of a window of 1 MiB at a time, once it has grown.
        let bound = 8 * megabytes + 12;
        for (read, reads) in [(1_000, 1), (16_384, 1), (16_384, 5), (65_536, 1), (65_536, 2), (65_536, 3)] {
            let updates = updates(size, read, reads);
            assert!(
                updates <= bound,
                "{updates} updates for {MESSAGES} messages of {size}, taken after {reads} reads of {read}"
            );
        }
    }
}

#[test]
fn the_window_of_a_reader_that_leaves_messages_lie_stays_as_it_is() {
    let mut pair = Pair::new();
    let call = pair.start(CallType::SERVER_STREAMING);
    pair.client.half_close(call).unwrap();
    let served = pair.accept(CallType::SERVER_STREAMING);
    let payload = Bytes::from(vec![7; 10_000]);
    let mut sent: usize = 0;
    for taken in 0..MESSAGES {
        while pair.server.send_message(served, payload.clone(), false).is_ok() {
            sent += 1;
            pair.exchange();
        }
        // What the server keeps in its send buffer, 64 KiB, does not depend on windows.
        let under_way = (sent - taken) * payload.len();
        assert!(
            under_way <= 65_535 + 64 * 1024 + 2 * payload.len(),
            "{under_way} bytes after {taken} messages"
        );
        common::message(pair.client.recv(call).unwrap());
        pair.exchange();
    }
}
