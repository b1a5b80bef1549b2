//! Room for what is queued: who may send, who waits, and who is told that there is room again.

mod common;

use common::Scripted;
use halfclose::{CallId, Client, Config, Event, Misuse, Sent};
use halfclose_wire::{settings, update};

const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
/// What a message takes in a buffer beside its payload: its prefix, and its place.
const MORE: usize = 5 + 48;

/// A client that may send nothing yet, with room for so many bytes on a call and on the connection.
fn client(call: u32, connection: u32) -> Scripted<Client> {
    let mut config = Config::client();
    (config.limits.send_buffer, config.limits.connection_send_buffer) = (call, connection);
    Scripted::client(config, &[(INITIAL_WINDOW_SIZE, 0)])
}

/// Sends a message that takes so much in the buffers.
fn send(peer: &mut Scripted<Client>, call: CallId, weight: usize) -> Result<Sent, Misuse> {
    let sent = peer.core.send_message(call, vec![0; weight - MORE].into(), false);
    peer.sent();
    sent
}

#[test]
fn a_call_is_full_at_its_limit_and_has_room_again_at_half_of_it() {
    let mut peer = client(1_000, 1 << 20);
    let call = peer.start();
    assert_eq!(send(&mut peer, call, 999), Ok(Sent::Ready));
    assert!(peer.core.is_writable(call));
    // One message of any size may go over it.
    assert_eq!(send(&mut peer, call, 5_000), Ok(Sent::Full));
    assert!(!peer.core.is_writable(call));
    let full = Misuse::NotWritable { queued: 5_999, limit: 1_000 };
    assert_eq!(send(&mut peer, call, 100), Err(full));
    // The first message takes its place with it.
    for (increment, told) in [(999 - 48, false), (4_499, false), (1, true), (1, false)] {
        peer.feed(&update(1, increment)).unwrap();
        peer.sent();
        let events = if told { vec![Event::Writable(call)] } else { Vec::new() };
        assert_eq!(peer.events(), events, "after {increment}");
    }
    assert!(peer.core.is_writable(call));

    let mut peer = client(1_000, 1 << 20);
    let call = peer.start();
    assert_eq!(send(&mut peer, call, 1_000), Ok(Sent::Full));
}

#[test]
fn a_caller_that_was_not_refused_is_not_told_of_room() {
    let mut peer = client(1_000, 1 << 20);
    let call = peer.start();
    assert_eq!(send(&mut peer, call, 999), Ok(Sent::Ready));
    peer.feed(&update(1, 10_000)).unwrap();
    peer.sent();
    assert_eq!(peer.events(), []);
}

#[test]
fn the_calls_of_a_connection_share_its_limit() {
    let mut peer = client(1 << 20, 1_000);
    let [one, two, three] = [0; 3].map(|_| peer.start());
    peer.sent();
    assert_eq!(send(&mut peer, one, 600), Ok(Sent::Ready));
    assert_eq!(send(&mut peer, two, 399), Ok(Sent::Ready));
    assert!(peer.core.is_writable(three));
    assert_eq!(send(&mut peer, three, 53), Ok(Sent::Full));
    for call in [one, two, three] {
        assert!(!peer.core.is_writable(call));
        let full = Misuse::NotWritable { queued: 1_052, limit: 1_000 };
        assert_eq!(send(&mut peer, call, 100), Err(full));
    }
    // Who sends itself is told as soon as there is room, the others at half of it, in the order in which they came.
    for (increment, told) in
        [(52, vec![]), (1, vec![one]), (498, vec![]), (1, vec![three, two]), (48, vec![])]
    {
        peer.feed(&update(1, increment)).unwrap();
        peer.sent();
        let told: Vec<Event> = told.into_iter().map(Event::Writable).collect();
        assert_eq!(peer.events(), told, "after {increment}");
    }
    assert!(peer.core.is_writable(two));
    peer.feed(&update(3, 1_000)).unwrap();
    peer.sent();
    assert_eq!(peer.events(), []);
}

/// Three calls of a client whose server takes one stream, and no DATA yet; the connection's buffer holds 1,000 bytes.
fn one_stream_for_three() -> (Scripted<Client>, [CallId; 3]) {
    let mut config = Config::client();
    (config.limits.send_buffer, config.limits.connection_send_buffer) = (1 << 20, 1_000);
    let entries = [(INITIAL_WINDOW_SIZE, 0), (MAX_CONCURRENT_STREAMS, 1)];
    let mut peer = Scripted::<Client>::client(config, &entries);
    let calls = [0; 3].map(|_| peer.start());
    peer.sent();
    (peer, calls)
}

#[test]
fn calls_that_wait_for_a_stream_share_a_limit_of_their_own() {
    let (mut peer, [open, first, second]) = one_stream_for_three();
    assert_eq!(send(&mut peer, first, 700), Ok(Sent::Ready));
    assert_eq!(send(&mut peer, second, 300), Ok(Sent::Full));
    assert_eq!(send(&mut peer, first, 100), Err(Misuse::NotWritable { queued: 1_000, limit: 1_000 }));
    // What waits does not keep the call that has the stream from sending.
    assert_eq!(send(&mut peer, open, 999), Ok(Sent::Ready));
    assert_eq!(send(&mut peer, open, 100), Ok(Sent::Full));
    // A call that gets a stream takes what it has queued with it: there is room among those that wait, and none among
    // those that send.
    peer.feed(&settings(&[(MAX_CONCURRENT_STREAMS, 2)])).unwrap();
    peer.sent();
    assert_eq!(peer.events(), [Event::PeerSettings, Event::Writable(second)]);
    assert!(peer.core.is_writable(second) && !peer.core.is_writable(first));
    let full = Misuse::NotWritable { queued: 1_799, limit: 1_000 };
    assert_eq!(send(&mut peer, first, 100), Err(full));
    // The end of a call gives its room back; whoever waited to send on it is told of the end (P-88).
    peer.core.cancel(open).unwrap();
    assert!(peer.core.is_writable(first));
    assert_eq!(peer.events(), [Event::Writable(open)]);
    peer.core.cancel(first).unwrap();
    peer.sent();
    assert!(peer.core.is_writable(second));
    assert_eq!(peer.events(), [Event::Writable(first)]);
}

#[test]
fn a_call_that_is_cancelled_while_it_waits_gives_its_room_back() {
    let mut config = Config::client();
    (config.limits.send_buffer, config.limits.connection_send_buffer) = (1 << 20, 1_000);
    let mut peer = Scripted::<Client>::client(config, &[(MAX_CONCURRENT_STREAMS, 0)]);
    let [first, second] = [0; 2].map(|_| peer.start());
    assert_eq!(send(&mut peer, first, 1_000), Ok(Sent::Full));
    assert!(matches!(send(&mut peer, second, 100), Err(Misuse::NotWritable { .. })));
    peer.core.cancel(first).unwrap();
    assert!(peer.core.is_writable(second));
    assert!(peer.events().contains(&Event::Writable(second)));
}

#[test]
fn room_among_calls_that_wait_is_told_at_half_of_their_limit() {
    for (moves, stays, told) in [(499, 501, false), (500, 500, true)] {
        let mut config = Config::client();
        (config.limits.send_buffer, config.limits.connection_send_buffer) = (1 << 20, 1_000);
        let entries = [(INITIAL_WINDOW_SIZE, 0), (MAX_CONCURRENT_STREAMS, 1)];
        let mut peer = Scripted::<Client>::client(config, &entries);
        let [_, first, second] = [0; 3].map(|_| peer.start());
        assert_eq!(send(&mut peer, first, moves), Ok(Sent::Ready));
        assert_eq!(send(&mut peer, second, stays), Ok(Sent::Full));
        peer.feed(&settings(&[(MAX_CONCURRENT_STREAMS, 2)])).unwrap();
        peer.sent();
        let expected = if told { vec![Event::Writable(second)] } else { Vec::new() };
        assert_eq!(peer.events()[1..], expected, "{stays} wait");
    }
}

#[test]
fn a_call_that_gets_a_stream_waits_for_room_among_those_that_have_one() {
    let (mut peer, [open, first, second]) = one_stream_for_three();
    for (call, weight, sent) in
        [(open, 499, Sent::Ready), (second, 500, Sent::Ready), (first, 500, Sent::Full)]
    {
        assert_eq!(send(&mut peer, call, weight), Ok(sent));
    }
    // Among those that wait there is room now, but that is not where it is needed.
    peer.feed(&settings(&[(MAX_CONCURRENT_STREAMS, 2)])).unwrap();
    peer.sent();
    assert_eq!(peer.events(), [Event::PeerSettings]);
    peer.feed(&update(1, 499)).unwrap();
    peer.sent();
    assert_eq!(peer.events(), [Event::Writable(first)]);
}

#[test]
fn a_strict_call_is_full_at_16_kib() {
    let mut peer = Scripted::client(Config::client().strict(), &[(INITIAL_WINDOW_SIZE, 0)]);
    let [one, two] = [0; 2].map(|_| peer.start());
    assert_eq!(send(&mut peer, one, 16 * 1024 - 1), Ok(Sent::Ready));
    assert_eq!(send(&mut peer, two, 16 * 1024), Ok(Sent::Full));
}
