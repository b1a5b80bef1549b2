//! Two cores and clients that cancel, drop and run out of time, in virtual time: no limit may fire, and every other call
//! is served. Each test is named after the limit that it holds (docs/limits.md).

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use halfclose::{CallId, CallType, Cause, Code, Config, Metadata, Recv, Request, Status, Time};
use halfclose_sim::Duet;

/// The minutes of a run: ten, and one in a debug build, which is slow.
const MINUTES: u64 = if cfg!(debug_assertions) { 1 } else { 10 };

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A client and a server, and the server's handlers that wait.
struct Load {
    duet: Duet,
    handlers: VecDeque<CallId>,
}

impl Load {
    fn new() -> Self {
        Self::with(Config::client(), Config::server())
    }

    fn with(client: Config, server: Config) -> Self {
        Self { duet: Duet::new(client, server), handlers: VecDeque::new() }
    }

    fn start(&mut self, timeout: Option<Duration>) -> CallId {
        let mut request = Request::new("/sim.Service/Method", CallType::UNARY);
        request.deadline = timeout.map(|timeout| self.duet.now + timeout);
        let call = self.duet.client.start(self.duet.now, request).expect("calls are taken");
        self.duet.client.send_message(call, Bytes::from_static(b"ping"), false).expect("room");
        self.duet.client.half_close(call).expect("an open call");
        call
    }

    /// Delivers everything that was sent.
    fn exchange(&mut self) {
        self.duet.exchange();
        self.handlers.extend(self.duet.requests());
        assert!(self.duet.is_alive(), "{:?} {:?}", self.duet.client_events(), self.duet.server_events());
    }

    /// Lets the handler of the oldest remaining call answer.
    fn answer(&mut self) {
        while let Some(call) = self.handlers.pop_front() {
            let sent = self.duet.server.send_message(call, Bytes::from_static(b"pong"), false);
            if sent.is_ok() && self.duet.server.finish(call, Status::ok(), Metadata::new()).is_ok() {
                return;
            }
        }
        panic!("a handler waits");
    }

    /// Checks a call that was answered.
    fn is_answered(&mut self, call: CallId) {
        assert_eq!(self.duet.read(call), 1);
        let end = self.duet.client.recv(call);
        assert!(end.is_err(), "the end was taken with the message: {end:?}");
    }

    fn cancel(&mut self, call: CallId) {
        self.duet.client.cancel(call).expect("an open call");
        assert!(matches!(self.duet.client.recv(call), Ok(Recv::End(_))));
    }

    /// Lets a millisecond pass.
    fn tick(&mut self) {
        let until = self.duet.now + ms(1);
        self.duet.wait_until(until);
        self.exchange();
    }

    fn ticks(&mut self, mut each: impl FnMut(&mut Self)) {
        for _ in 0..MINUTES * 60_000 {
            each(self);
            self.tick();
        }
    }
}

/// Cancels 2,000 calls a second, at once or after 20 ms, while as many complete.
#[test]
fn resets_cancels_among_as_many_calls_that_complete() {
    for age in [0, 20] {
        let mut load = Load::new();
        let mut open = VecDeque::new();
        load.ticks(|load| {
            let calls = [(); 4].map(|()| load.start(None));
            load.exchange();
            open.push_back(calls);
            if open.len() <= age {
                return;
            }
            let [first, second, third, fourth] = open.pop_front().expect("calls that are old enough");
            // The handlers of cancelled calls are dropped, so the oldest remaining ones answer.
            load.cancel(first);
            load.cancel(third);
            load.exchange();
            load.answer();
            load.answer();
            load.exchange();
            [second, fourth].into_iter().for_each(|call| load.is_answered(call));
        });
    }
}

/// Runs 2,000 calls a second into their deadline, while as many complete.
#[test]
fn resets_deadlines_among_as_many_calls_that_complete() {
    let mut load = Load::new();
    let mut late = VecDeque::new();
    load.ticks(|load| {
        let hopeless = [(); 2].map(|()| load.start(Some(ms(10))));
        load.exchange();
        load.handlers.clear();
        let quick = [(); 2].map(|()| load.start(None));
        load.exchange();
        load.answer();
        load.answer();
        load.exchange();
        quick.into_iter().for_each(|call| load.is_answered(call));
        late.push_back(hopeless);
        if late.len() > 11 {
            late.pop_front().into_iter().flatten().for_each(|call| is_late(load, call));
        }
    });
}

fn is_late(load: &mut Load, call: CallId) {
    let Ok(Recv::End(outcome)) = load.duet.client.recv(call) else { panic!("no end") };
    assert_eq!((outcome.status.code, outcome.cause), (Code::DeadlineExceeded, Cause::Deadline));
}

/// Runs an overloaded service: 1,000 calls a second, all of which exceed their deadline.
#[test]
fn resets_deadlines_and_nothing_else() {
    let mut load = Load::new();
    let mut open = VecDeque::new();
    load.ticks(|load| {
        open.push_back(load.start(Some(ms(50))));
        load.exchange();
        load.handlers.clear();
        if open.len() > 51 {
            let call = open.pop_front().expect("a call");
            is_late(load, call);
        }
    });
}

/// Stops a job: 1,000 calls of 10 ms are cancelled at one instant, every minute.
#[test]
fn resets_a_thousand_calls_at_once() {
    let mut server = Config::server();
    server.limits.max_concurrent_streams = 1_000;
    let mut load = Load::with(Config::client(), server);
    for minute in 1..=10 {
        let calls: Vec<CallId> = (0..1_000).map(|_| load.start(None)).collect();
        load.exchange();
        load.duet.wait_until(load.duet.now + ms(10));
        assert_eq!(load.handlers.len(), 1_000);
        load.handlers.clear();
        calls.into_iter().for_each(|call| load.cancel(call));
        load.exchange();
        load.duet.wait_until(Time::ZERO + Duration::from_secs(60 * minute));
        load.exchange();
    }
}

/// Drops 500 streams a second: after the client's first message, or after the server's.
#[test]
fn resets_streams_dropped_after_their_first_message() {
    for answered in [false, true] {
        let mut load = Load::new();
        let mut odd = false;
        load.ticks(|load| {
            odd = !odd;
            if odd {
                return;
            }
            let call = load.duet.start(CallType::BIDI);
            load.duet.client.send_message(call, Bytes::from_static(b"hello"), false).expect("room");
            load.exchange();
            let handler = load.handlers.pop_front().expect("a handler");
            if answered {
                load.duet.server.send_message(handler, Bytes::from_static(b"hi"), false).expect("room");
                load.exchange();
                assert_eq!(load.duet.read(call), 1);
            }
            load.duet.client.release(call);
            load.exchange();
        });
    }
}

/// Drops each of a client's calls at once, before the server has received it.
#[test]
fn resets_calls_that_are_dropped_at_once() {
    let mut load = Load::new();
    load.ticks(|load| {
        let call = load.start(None);
        load.duet.depart();
        load.cancel(call);
        load.exchange();
    });
}
