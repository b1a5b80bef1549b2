//! Calls that wait for a stream (P-19, P-83, P-85, P-109).

mod common;

use common::Pair;
use halfclose::{CallType, Cause, Code, Config, Event, Metadata, Recv, Request, Status, Time};
use std::time::Duration;

fn one_at_a_time() -> Pair {
    let mut config = Config::server();
    config.limits.max_concurrent_streams = 1;
    Pair::with(Config::client(), config)
}

/// Lets the server answer its one open call and the client receive the outcome.
fn answer_one(pair: &mut Pair) {
    let call = pair.accept(CallType::BIDI);
    pair.server.finish(call, Status::ok(), Metadata::new()).unwrap();
    pair.exchange();
    assert!(matches!(pair.server.poll_event(), Some(Event::Ended(..))));
}

#[test]
fn a_call_cancelled_while_it_holds_the_free_stream_lets_the_next_one_start() {
    let mut pair = one_at_a_time();
    let [first, second, third] = [0; 3].map(|_| pair.start(CallType::BIDI));
    let call = pair.accept(CallType::BIDI);
    pair.server.finish(call, Status::ok(), Metadata::new()).unwrap();
    pair.carry_down();
    assert!(matches!(pair.server.poll_event(), Some(Event::Ended(..))));
    assert!(pair.outcome(first).status.is_ok());
    // The free stream belongs to `second`, whose request has not been written.
    pair.client.cancel(second).unwrap();
    assert_eq!(pair.outcome(second).cause, Cause::Cancelled);
    answer_one(&mut pair);
    assert!(pair.outcome(third).status.is_ok());
}

#[test]
fn a_request_over_the_peers_header_limit_lets_the_next_one_start() {
    let mut config = Config::server();
    config.limits.max_concurrent_streams = 1;
    config.limits.max_header_list = 1_024;
    let mut pair = Pair::with(Config::client(), config);
    let first = pair.start(CallType::BIDI);
    let mut large = Request::new("/demo.Echo/Call", CallType::BIDI);
    large.metadata.append("x-large", &"x".repeat(1_024)).unwrap();
    let large = pair.client.start(Time::ZERO, large).unwrap();
    let third = pair.start(CallType::BIDI);
    answer_one(&mut pair);
    assert!(pair.outcome(first).status.is_ok());
    pair.exchange();
    // P-15: the call fails here and is not sent.
    let outcome = pair.outcome(large);
    assert_eq!((outcome.status.code, outcome.cause), (Code::Internal, Cause::NeverSent));
    answer_one(&mut pair);
    assert!(pair.outcome(third).status.is_ok());
}

#[test]
fn calls_start_in_the_order_in_which_they_were_made() {
    let mut config = Config::server();
    config.limits.max_concurrent_streams = 2;
    let mut pair = Pair::with(Config::client(), config);
    for n in 0..7 {
        pair.client.start(Time::ZERO, Request::new(format!("/demo.Echo/{n}"), CallType::BIDI)).unwrap();
    }
    let (mut paths, mut open) = (Vec::new(), Vec::new());
    while paths.len() < 7 {
        pair.exchange();
        while let Some(event) = pair.server.poll_event() {
            let Event::Request(call) = event else { continue };
            paths.push(pair.server.request(call).unwrap().path().to_owned());
            open.push(call);
        }
        // Every open stream becomes free before the client writes again.
        for call in open.drain(..) {
            pair.server.finish(call, Status::ok(), Metadata::new()).unwrap();
        }
    }
    let expected: Vec<String> = (0..7).map(|n| format!("/demo.Echo/{n}")).collect();
    assert_eq!(paths, expected);
}

#[test]
fn a_limit_of_no_streams_that_is_raised_later_starts_what_waits() {
    // P-109. The frames of a server that allows no streams at first, then two.
    let mut pair = Pair::apart(Config::client(), Config::server());
    let calls = [0; 3].map(|_| pair.start(CallType::BIDI));
    let settings = |limit: u8| [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, limit];
    let mut wire = bytes::BytesMut::from(settings(0).as_slice());
    common::feed(&mut pair.client, pair.now, &mut wire);
    common::written(&mut pair.client, pair.now);
    assert!(!pair.client.wants_transmit());
    let mut wire = bytes::BytesMut::from(settings(2).as_slice());
    common::feed(&mut pair.client, pair.now, &mut wire);
    common::written(&mut pair.client, pair.now);
    let states = calls.map(|call| pair.client.states(call).unwrap().to_string());
    assert_eq!(
        states,
        ["send=Open", "send=Open", "send=Queued"].map(|send| format!("{send} recv=AwaitHeaders"))
    );
}

#[test]
fn a_shutdown_lets_calls_finish_that_have_not_been_written() {
    let mut pair = Pair::new();
    let call = pair.start(CallType::BIDI);
    pair.client.shutdown(Time::ZERO);
    assert!(!pair.client.is_closed());
    answer_one(&mut pair);
    assert!(pair.outcome(call).status.is_ok());
    assert!(pair.client.is_closed());
}

#[test]
fn a_call_whose_deadline_has_passed_is_not_sent() {
    // P-7: a timeout is positive, so a request cannot express that no time is left. P-83: nothing is sent.
    let mut pair = Pair::new();
    pair.now = Time::ZERO + Duration::from_secs(5);
    let mut request = Request::new("/demo.Echo/Call", CallType::UNARY);
    request.deadline = Some(Time::ZERO + Duration::from_secs(4));
    let call = pair.client.start(pair.now, request).unwrap();
    pair.exchange();
    let outcome = pair.outcome(call);
    assert_eq!((outcome.status.code, outcome.cause), (Code::DeadlineExceeded, Cause::Deadline));
    assert_eq!(pair.server.poll_event(), None);
}

#[test]
fn the_deadline_covers_the_wait_for_a_stream() {
    // P-85.
    let mut pair = one_at_a_time();
    pair.start(CallType::BIDI);
    let mut request = Request::new("/demo.Echo/Call", CallType::UNARY);
    request.deadline = Some(Time::ZERO + Duration::from_secs(1));
    let call = pair.client.start(Time::ZERO, request).unwrap();
    pair.exchange();
    assert!(matches!(pair.client.recv(call), Ok(Recv::Pending)));
    pair.client.handle_timeout(Time::ZERO + Duration::from_secs(1));
    assert_eq!(pair.client.poll_event(), Some(Event::Readable(call)));
    assert_eq!(pair.outcome(call).status.code, Code::DeadlineExceeded);
}
