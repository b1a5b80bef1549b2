//! A deadline as its server keeps it.

mod common;

use std::time::Duration;

use common::Pair;
use halfclose::frame::ErrorCode;
use halfclose::{CallType, Cause, Code, Event, Initiator, Request, Time};

#[test]
fn a_server_lets_a_client_that_counts_in_milliseconds_see_its_own_deadline_first() {
    // P-86. C-core takes a reset that comes before its own deadline for a cancel, not for a deadline that passed.
    let timeout = Duration::from_millis(1);
    let mut pair = Pair::new();
    let mut request = Request::new("/demo.Echo/Call", CallType::UNARY);
    request.deadline = Some(Time::ZERO + timeout);
    let call = pair.client.start(pair.now, request).unwrap();
    let served = pair.accept(CallType::UNARY);
    assert_eq!(pair.server.deadline(served), Some(Time::ZERO + timeout), "handlers are told the true one");

    pair.server.handle_timeout(Time::ZERO + timeout);
    assert_eq!(pair.server.poll_event(), None, "the call is cut with the client's own deadline");
    let (at, _) = pair.server.poll_timeout().unwrap();
    assert!(at > Time::ZERO + timeout && at <= Time::ZERO + 4 * timeout, "{at:?}");
    pair.server.handle_timeout(at);
    assert_eq!(pair.server.poll_event(), Some(Event::Ended(served, Cause::Deadline)));

    pair.carry_down();
    let outcome = pair.outcome(call);
    let reset = Cause::Reset { code: ErrorCode::CANCEL, by: Initiator::Remote };
    assert_eq!(
        (outcome.status.code, outcome.cause),
        (Code::Cancelled, reset),
        "the client's clock stands still"
    );
}
