//! Send-buffer space: which calls may send, which wait, and which are notified when there is space again.

mod common;

use common::Scripted;
use halfclose::{CallId, Client, Config, Event, Misuse, Sent};
use halfclose_wire::update;

const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
/// Bytes that a message uses in a buffer beside its payload: its prefix, and its queue entry.
const MORE: usize = 5 + 48;

/// Creates a client that may send nothing yet, with buffer space of `call` bytes for each call, and this memory.
fn client(call: u32, memory: u64) -> Scripted<Client> {
    let mut config = Config::client();
    (config.limits.send_buffer, config.limits.memory) = (call, memory);
    config.limits.max_receive_message = 0;
    Scripted::client(config, &[(INITIAL_WINDOW_SIZE, 0)])
}

/// Sends a message that uses `weight` bytes in the buffers.
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
    // One message of any size may exceed the limit.
    assert_eq!(send(&mut peer, call, 5_000), Ok(Sent::Full));
    assert!(!peer.core.is_writable(call));
    let full = Misuse::NotWritable { queued: 5_999, limit: 1_000 };
    assert_eq!(send(&mut peer, call, 100), Err(full));
    // The first message is removed together with its queue entry.
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
fn a_call_whose_queue_is_empty_may_queue_a_message_whatever_others_hold() {
    // Calls that have a stream, and calls that wait for one.
    for streams in [u32::MAX, 1] {
        let mut config = Config::client();
        (config.limits.memory, config.limits.max_receive_message) = (10_000, 0);
        let entries = [(INITIAL_WINDOW_SIZE, 0), (MAX_CONCURRENT_STREAMS, streams)];
        let mut peer = Scripted::<Client>::client(config, &entries);
        let calls = [0; 20].map(|_| peer.start());
        peer.sent();
        for call in calls {
            assert!(peer.core.is_writable(call));
            assert!(send(&mut peer, call, 1 << 20).is_ok());
        }
    }
}

#[test]
fn a_call_queues_one_message_at_a_time_while_memory_is_short() {
    let mut peer = client(1 << 20, 2_105);
    let [one, two] = [0; 2].map(|_| peer.start());
    peer.sent();
    assert_eq!(send(&mut peer, one, 600), Ok(Sent::Ready));
    assert_eq!(send(&mut peer, one, 399), Ok(Sent::Ready));
    assert_eq!(send(&mut peer, two, 53), Ok(Sent::Full));
    // The refused message of 47 bytes counts as memory as well.
    for (call, queued) in [(one, 1_052), (two, 1_052 + 47)] {
        assert!(!peer.core.is_writable(call));
        let short = Misuse::NotWritable { queued, limit: 1_052 };
        assert_eq!(send(&mut peer, call, 100), Err(short));
    }
    // An empty queue of its own is space for a call in any case, and so is the end of the shortage.
    peer.feed(&update(3, 1_000)).unwrap();
    peer.sent();
    assert_eq!(peer.events(), [Event::Writable(two)]);
    assert!(peer.core.is_writable(one) && peer.core.is_writable(two));
    assert_eq!(send(&mut peer, two, 100), Ok(Sent::Full));
    assert_eq!(peer.events(), [Event::Writable(two)]);
    assert!(peer.core.is_writable(one), "what the other one kept is gone");
    peer.feed(&update(1, 1)).unwrap();
    peer.sent();
    assert_eq!(peer.events(), [Event::Writable(one)]);
}

#[test]
fn a_call_that_is_refused_a_second_message_is_told_when_its_first_has_left() {
    let mut peer = client(1 << 20, 1_000);
    let [one, two] = [0; 2].map(|_| peer.start());
    peer.sent();
    for call in [one, two] {
        assert!(send(&mut peer, call, 1_001).is_ok());
        assert!(matches!(send(&mut peer, call, 100), Err(Misuse::NotWritable { .. })));
    }
    // The other call holds more than the memory.
    for (increment, told) in [(952, vec![]), (1, vec![Event::Writable(one)])] {
        peer.feed(&update(1, increment)).unwrap();
        peer.sent();
        assert_eq!(peer.events(), told, "after {increment}");
    }
}

#[test]
fn a_call_that_is_cancelled_gives_what_it_holds_back() {
    let mut peer = client(1 << 20, 1_000);
    let [one, two] = [0; 2].map(|_| peer.start());
    peer.sent();
    for (call, weight) in [(one, 1_000), (two, 499)] {
        assert!(send(&mut peer, call, weight).is_ok());
    }
    assert!(!peer.core.is_writable(two));
    peer.core.cancel(one).unwrap();
    assert!(peer.core.is_writable(two));
    assert_eq!(peer.core.memory().held, 499);
}

#[test]
fn a_strict_call_is_full_at_16_kib() {
    let mut peer = Scripted::client(Config::client().strict(), &[(INITIAL_WINDOW_SIZE, 0)]);
    let [one, two] = [0; 2].map(|_| peer.start());
    assert_eq!(send(&mut peer, one, 16 * 1024 - 1), Ok(Sent::Ready));
    assert_eq!(send(&mut peer, two, 16 * 1024), Ok(Sent::Full));
}
