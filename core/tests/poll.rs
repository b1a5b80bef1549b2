//! `Connection::poll`: one answer at a time, and nothing left undone when it says to wait.

mod common;

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use common::{Pair, Scripted};
use halfclose::frame::ErrorCode;
use halfclose::{
    CallId, CallType, Client, CloseReason, Config, Connection, Event, Metadata, Misuse, Needed, Next, Recv,
    Role, Sent, Server, Status, Time, Wait,
};
use halfclose_wire::{frame, kind, ping, update};

const SECOND: Duration = Duration::from_secs(1);

/// Returns what `poll` answers until it says to wait, with a transport that accepts everything.
fn drain<R: Role>(core: &mut Connection<R>, now: Time) -> (Vec<Event>, BytesMut, Wait) {
    let (mut events, mut wire) = (Vec::new(), BytesMut::new());
    loop {
        match core.poll(now) {
            Next::Event(event) => events.push(event),
            Next::Transmit(mut out) => wire.extend_from_slice(&out.copy_to_bytes(out.remaining())),
            Next::Wait(wait) => return (events, wire, wait),
            other => panic!("{other:?}"),
        }
    }
}

fn wait<R: Role>(core: &mut Connection<R>, now: Time) -> Wait {
    match core.poll(now) {
        Next::Wait(wait) => wait,
        other => panic!("{other:?}"),
    }
}

/// Makes a call's server answer with messages of 30,000 bytes until the buffer is full. Returns their number.
fn fill(server: &mut Connection<Server>, call: CallId) -> usize {
    let mut sent = 0;
    while server.want_write(call) == Ok(true) {
        server.send_message(call, Bytes::from(vec![7; 30_000]), false).expect("buffer space");
        sent += 1;
    }
    sent
}

#[test]
fn buffer_space_that_writing_makes_is_told_before_the_wait() {
    let mut pair = Pair::new();
    pair.start(CallType::BIDI);
    let call = pair.accept(CallType::BIDI);
    assert_eq!(fill(&mut pair.server, call), 3);
    // The windows and the transport accept all of it.
    let (events, wire, wait) = drain(&mut pair.server, pair.now);
    assert!(wire.len() > 60_000 && events == [Event::Writable(call)], "{} {events:?}", wire.len());
    assert!(!pair.server.has_events() && wait.may_read && !wait.wants_write, "{wait:?}");
}

#[test]
fn asking_for_buffer_space_is_enough_to_be_told_of_it() {
    // Both bounds: the call's own, and the connection's memory.
    for (own, memory) in [(1_000, 128 << 20), (1 << 20, 8_000)] {
        let mut config = Config::client();
        (config.limits.send_buffer, config.limits.memory) = (own, memory);
        config.limits.max_receive_message = 1_000;
        let mut peer = Scripted::<Client>::client(config, &[(4, 0)]);
        let call = peer.start();
        assert_eq!(peer.core.want_write(call), Ok(true));
        peer.core.send_message(call, vec![0; 5_000].into(), false).unwrap();
        peer.sent();
        assert_eq!(peer.core.want_write(call), Ok(false));
        assert_eq!(peer.core.want_write(call), Ok(false), "asked twice, told once");
        assert_eq!(peer.events(), []);
        peer.feed(&update(1, 10_000)).unwrap();
        let (events, _, _) = drain(&mut peer.core, peer.now);
        assert_eq!(events, [Event::Writable(call)], "{own} {memory}");
        assert_eq!(peer.core.want_write(call), Ok(true));
        assert_eq!(peer.events(), [], "whoever was told there is space waits for nothing");
    }
}

#[test]
fn asking_on_a_call_that_may_not_send_says_why() {
    let mut pair = Pair::new();
    let call = pair.start(CallType::UNARY);
    assert_eq!(pair.client.want_write(call), Ok(true));
    pair.client.send_message(call, "one".into(), false).unwrap();
    assert_eq!(pair.client.want_write(call), Err(Misuse::SecondMessage));
    let many = pair.start(CallType::BIDI);
    pair.client.half_close(many).unwrap();
    assert_eq!(pair.client.want_write(many), Err(Misuse::AfterHalfClose));
    pair.exchange();
    let at_server = pair.accept(CallType::UNARY);
    pair.server.finish(at_server, Status::ok(), Metadata::new()).unwrap();
    assert_eq!(pair.server.want_write(at_server), Err(Misuse::AfterStatus));
    pair.client.cancel(call).unwrap();
    assert_eq!(pair.client.want_write(call), Err(Misuse::CallEnded));
    pair.client.release(call);
    assert_eq!(pair.client.want_write(call), Err(Misuse::UnknownCall));
}

#[test]
fn the_end_of_a_call_is_told_to_whoever_asked_for_buffer_space() {
    let mut peer = Scripted::<Client>::client(Config::client(), &[(4, 0)]);
    let call = peer.start();
    assert_eq!(peer.core.send_message(call, vec![0; 100_000].into(), false), Ok(Sent::Full));
    peer.sent();
    assert_eq!(peer.core.want_write(call), Ok(false));
    peer.core.cancel(call).unwrap();
    let (events, _, _) = drain(&mut peer.core, peer.now);
    assert_eq!(events, [Event::Writable(call)]);
}

#[test]
fn bytes_that_the_transport_does_not_take_are_offered_once_a_wait() {
    let mut peer = Scripted::<Server>::server(Config::server(), &[]);
    let call = peer.open(1);
    peer.core.send_message(call, vec![7; 1_000].into(), false).unwrap();
    for _ in 0..3 {
        let Next::Transmit(out) = peer.core.poll(peer.now) else { panic!("bytes") };
        assert!(out.remaining() > 1_000);
        // The transport accepts nothing. Meanwhile events are still reported, and new output is queued after the old.
        peer.feed(&ping(b"question")).unwrap();
        assert!(matches!(peer.core.recv(call), Ok(Recv::Pending)));
        assert!(wait(&mut peer.core, peer.now).wants_write);
    }
    // Accepted in part, it is offered again at once.
    let Next::Transmit(mut out) = peer.core.poll(peer.now) else { panic!("bytes") };
    let all = out.remaining();
    out.advance(1);
    let Next::Transmit(mut out) = peer.core.poll(peer.now) else { panic!("bytes") };
    assert_eq!(out.remaining(), all - 1);
    out.advance(all - 1);
    assert!(!wait(&mut peer.core, peer.now).wants_write);
}

#[test]
fn buffers_that_are_handed_over_are_written() {
    let mut peer = Scripted::<Server>::server(Config::server(), &[]);
    let call = peer.open(1);
    peer.core.send_message(call, vec![7; 1_000].into(), false).unwrap();
    let Next::Transmit(out) = peer.core.poll(peer.now) else { panic!("bytes") };
    assert!(out.into_owned().remaining() > 1_000);
    assert!(!wait(&mut peer.core, peer.now).wants_write);
}

#[test]
fn input_that_did_not_fit_into_a_turn_is_asked_for() {
    let mut peer = Scripted::<Server>::server(Config::server(), &[]);
    let mut input = BytesMut::from(frame(0x77, 0, 0, b"unknown").repeat(130).as_slice());
    assert_eq!(peer.core.receive(peer.now, &mut input), Ok(Needed::Again));
    for needed in [Needed::Again, Needed::More] {
        assert!(matches!(peer.core.poll(peer.now), Next::Receive));
        assert!(matches!(peer.core.poll(peer.now), Next::Receive), "until it is received");
        assert_eq!(peer.core.receive(peer.now, &mut input), Ok(needed));
    }
    assert!(wait(&mut peer.core, peer.now).may_read && input.is_empty());
}

#[test]
fn reading_stops_at_replies_that_nobody_reads_and_at_nothing_else() {
    let mut config = Config::server();
    config.keepalive.max_strikes = None;
    let mut peer = Scripted::<Server>::server(config, &[]);
    let mut input = BytesMut::from(ping(b"question").repeat(100).as_slice());
    assert_eq!(peer.core.receive(peer.now, &mut input), Ok(Needed::Drain));
    for _ in 0..2 {
        assert!(matches!(peer.core.poll(peer.now), Next::Transmit(_)), "which is not taken");
        let stopped = wait(&mut peer.core, peer.now);
        assert!(!stopped.may_read && stopped.wants_write && stopped.until.is_some(), "{stopped:?}");
    }
    // The first answer leaves, which makes space for another.
    let Next::Transmit(mut out) = peer.core.poll(peer.now) else { panic!("bytes") };
    out.advance(ping(b"question").len());
    assert!(matches!(peer.core.poll(peer.now), Next::Transmit(_)), "the others, which are not taken");
    assert!(matches!(peer.core.poll(peer.now), Next::Receive));
    let left = input.len();
    assert_eq!(peer.core.receive(peer.now, &mut input), Ok(Needed::Drain));
    assert_eq!(left - input.len(), ping(b"question").len());
}

#[test]
fn timers_that_are_due_fire_by_themselves() {
    let mut peer = Scripted::<Client>::client(Config::client(), &[]);
    let mut request = halfclose::Request::new("/demo.Echo/Call", CallType::BIDI);
    request.deadline = Some(Time::ZERO + SECOND);
    let call = peer.core.start(peer.now, request).unwrap();
    assert!(matches!(peer.core.recv(call), Ok(Recv::Pending)));
    let (_, _, wait) = drain(&mut peer.core, peer.now);
    assert_eq!(wait.until, Some(Time::ZERO + SECOND));
    let (events, wire, wait) = drain(&mut peer.core, Time::ZERO + SECOND);
    assert_eq!((events, wait.until), (vec![Event::Readable(call)], None));
    assert!(!wire.is_empty(), "RST_STREAM");
}

#[test]
fn a_transport_that_has_ended_is_not_read() {
    let mut pair = Pair::new();
    pair.client.receive_eof(pair.now);
    assert_eq!(pair.client.poll_event(), Some(Event::Closed(CloseReason::Graceful)));
    assert!(matches!(pair.client.poll(pair.now), Next::Close));
    assert!(matches!(pair.client.poll(pair.now), Next::Close), "said each time");
}

#[test]
fn the_last_bytes_are_offered_for_a_while() {
    let mut pair = Pair::new();
    let now = pair.now;
    pair.client.close(now, ErrorCode::NO_ERROR, "over");
    assert!(matches!(pair.client.poll(now), Next::Event(Event::Closed(_))));
    let give_up = now + 10 * SECOND;
    for time in [now, now + 5 * SECOND, now + 9 * SECOND] {
        assert!(matches!(pair.client.poll(time), Next::Transmit(_)), "GOAWAY");
        let left = wait(&mut pair.client, time);
        assert_eq!((left.until, left.may_read, left.wants_write), (Some(give_up), true, true));
    }
    assert!(matches!(pair.client.poll(give_up), Next::Transmit(_)));
    assert!(matches!(pair.client.poll(give_up), Next::Close));

    let mut pair = Pair::new();
    pair.client.close(now, ErrorCode::NO_ERROR, "over");
    assert!(matches!(pair.client.poll(now), Next::Event(Event::Closed(_))));
    let Next::Transmit(mut out) = pair.client.poll(now) else { panic!("GOAWAY") };
    let sent = out.copy_to_bytes(out.remaining());
    assert_eq!(sent[3], kind::GOAWAY);
    assert!(matches!(pair.client.poll(now), Next::Close));
}
