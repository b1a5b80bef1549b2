//! Honest loads that come closest to the limits on reset streams, in virtual time. Each test is named after the limit
//! that it checks (docs/limits.md).

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use halfclose::frame::ErrorCode;
use halfclose::{CallId, Config, Connection, Event, Metadata, Needed, Seed, Server, Status, Time};
use halfclose_security::wire::{
    Block, END_STREAM, PREFACE, data, headers, message, reset, settings, settings_ack, update,
};

/// The minutes of a run: ten, and two in a debug build, which is slow.
const MINUTES: u64 = if cfg!(debug_assertions) { 2 } else { 10 };
const MILLISECOND: Duration = Duration::from_millis(1);

/// A server and its client; the server's output is ignored.
struct Load {
    server: Connection<Server>,
    now: Time,
    next_id: u32,
    /// The handlers that wait, in the order of their calls.
    waiting: VecDeque<CallId>,
    block: Vec<u8>,
}

impl Load {
    fn new(config: Config) -> Self {
        let server = Connection::new(config, Seed(1), Time::ZERO);
        let block = Block::request().0;
        let mut load = Self { server, now: Time::ZERO, next_id: 1, waiting: VecDeque::new(), block };
        load.send(&[PREFACE, &settings(&[(4, 0x7ff0_0000)]), &settings_ack()].concat());
        load.send(&update(0, 0x7ff0_0000));
        load
    }

    fn defaults() -> Self {
        Self::new(Config::server())
    }

    /// Creates a server whose clients may have more than a thousand calls open.
    fn wide() -> Self {
        let mut config = Config::server();
        config.limits.max_concurrent_streams = 2_000;
        Self::new(config)
    }

    /// Lets the server read, run its handlers, and write.
    fn send(&mut self, bytes: &[u8]) {
        let mut input = BytesMut::from(bytes);
        loop {
            let needed = self.server.receive(self.now, &mut input).expect("the connection lives");
            while let Some(event) = self.server.poll_event() {
                match event {
                    Event::Request(call) => self.waiting.push_back(call),
                    Event::Ended(call, _) => self.waiting.retain(|other| *other != call),
                    Event::Closed(reason) => panic!("{reason:?}"),
                    _ => {}
                }
            }
            while self.server.take_transmit(self.now).is_some() {}
            if needed == Needed::More {
                return;
            }
        }
    }

    fn open(&mut self, timeout: Option<&[u8]>) -> u32 {
        let id = self.next_id;
        self.next_id += 2;
        let block = timeout.map(|timeout| Block::request().field(b"grpc-timeout", timeout).0);
        self.send(&headers(id, END_STREAM, block.as_ref().unwrap_or(&self.block)));
        id
    }

    /// Lets the handler of the oldest call answer.
    fn answer(&mut self) {
        let call = self.waiting.pop_front().expect("a call");
        let _ = self.server.send_message(call, "pong".into(), false);
        self.server.finish(call, Status::ok(), Metadata::new()).expect("an open call");
        self.send(b"");
    }

    fn cancel(&mut self, id: u32) {
        self.send(&reset(id, ErrorCode::CANCEL));
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        if self.server.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
            self.server.handle_timeout(self.now);
        }
        self.send(b"");
    }

    /// Runs all the minutes, millisecond by millisecond.
    fn minutes(&mut self, mut each: impl FnMut(&mut Self, u64)) {
        for n in 0..MINUTES * 60_000 {
            each(self, n);
            self.wait(MILLISECOND);
            if n % 60_000 == 0 {
                // The server's own PINGs are answered.
                self.send(&halfclose_security::wire::frame(6, 1, 0, b"hc-alive"));
            }
        }
    }
}

/// Cancels 2,000 calls a second among as many that complete, as soon as the server has received them.
#[test]
fn resets_cancels_among_as_many_calls_that_complete() {
    let mut load = Load::defaults();
    load.minutes(|load, _| {
        for _ in 0..2 {
            let id = load.open(None);
            load.cancel(id);
            load.open(None);
            load.answer();
        }
    });
}

/// Cancels as many calls that run for 20 ms, so that 80 are open at a time.
#[test]
fn resets_cancels_of_running_calls_among_as_many_that_complete() {
    let mut load = Load::defaults();
    let mut open = VecDeque::new();
    load.minutes(|load, n| {
        for _ in 0..2 {
            open.push_back(load.open(None));
            open.push_back(load.open(None));
        }
        if n >= 20 {
            for _ in 0..2 {
                let id = open.pop_front().expect("a call");
                load.cancel(id);
                open.pop_front();
                load.answer();
            }
        }
    });
}

/// Runs an overloaded service: a thousand calls a second exceed their deadline, and none completes.
#[test]
fn resets_deadlines_of_fifty_milliseconds_and_nothing_else() {
    for timeout in [Some(&b"50m"[..]), Some(b"51m"), None] {
        let mut load = Load::defaults();
        let mut open = VecDeque::new();
        load.minutes(|load, n| {
            // The client's clock started slightly earlier than the server's.
            if n >= 50
                && let Some(id) = open.pop_front()
            {
                load.cancel(id);
            }
            open.push_back(load.open(timeout));
        });
    }
}

/// Stops a job: a thousand calls that are 10 ms old are cancelled at once, every minute.
#[test]
fn resets_a_thousand_at_once_every_minute() {
    let mut load = Load::wide();
    for _ in 0..MINUTES {
        let ids: Vec<u32> = (0..1_000).map(|_| load.open(None)).collect();
        load.wait(10 * MILLISECOND);
        let bytes: Vec<u8> = ids.iter().flat_map(|id| reset(*id, ErrorCode::CANCEL)).collect();
        load.send(&bytes);
        assert!(load.waiting.is_empty());
        load.wait(60_000 * MILLISECOND);
        load.send(&halfclose_security::wire::frame(6, 1, 0, b"hc-alive"));
    }
}

/// Drops 500 streams a second after the client's first message, which the server has not answered.
#[test]
fn resets_streams_dropped_after_their_first_message() {
    let mut load = Load::defaults();
    load.minutes(|load, n| {
        if n % 2 == 0 {
            let id = load.next_id;
            load.next_id += 2;
            load.send(&[headers(id, 0, &load.block), data(id, 0, &message(b"never mind"))].concat());
            load.cancel(id);
        }
    });
}

/// Drops streams once the client has the server's first message, as many as it can.
#[test]
fn resets_streams_dropped_after_their_first_answer() {
    let mut load = Load::defaults();
    for _ in 0..200_000 {
        let id = load.open(None);
        let call = load.waiting[0];
        load.server.send_message(call, "news".into(), false).expect("an open call");
        load.send(b"");
        load.cancel(id);
    }
}

/// Runs a hedging client: four of five copies of a call are cancelled when the first is answered, at any rate.
#[test]
fn resets_copies_of_hedged_calls() {
    let mut load = Load::defaults();
    for _ in 0..20_000 {
        let ids: Vec<u32> = (0..5).map(|_| load.open(None)).collect();
        load.wait(5 * MILLISECOND);
        load.answer();
        ids[1..].iter().for_each(|id| load.cancel(*id));
    }
}

/// Checks calls and their cancels that arrive in one read, as after a pause of the server.
#[test]
fn pending_resets_of_one_read() {
    let mut config = Config::server();
    config.limits.frames_per_turn = 10_000;
    config.limits.max_concurrent_streams = 400;
    let mut load = Load::new(config);
    for _ in 0..20 {
        let ids: Vec<u32> = (0..400).map(|n| load.next_id + 2 * n).collect();
        load.next_id += 800;
        let opened: Vec<u8> = ids.iter().flat_map(|id| headers(*id, 0, &load.block)).collect();
        let cancelled: Vec<u8> = ids.iter().flat_map(|id| reset(*id, ErrorCode::CANCEL)).collect();
        load.send(&opened);
        load.wait(10 * MILLISECOND);
        load.send(&cancelled);
        let both = opened_and_cancelled(&mut load, 400);
        load.send(&both);
        load.wait(Duration::from_secs(1));
    }
}

/// Returns `count` calls that are opened and cancelled in the same read.
fn opened_and_cancelled(load: &mut Load, count: u32) -> Vec<u8> {
    let ids: Vec<u32> = (0..count).map(|n| load.next_id + 2 * n).collect();
    load.next_id += 2 * count;
    let opened = ids.iter().flat_map(|id| headers(*id, 0, &load.block));
    opened.chain(ids.iter().flat_map(|id| reset(*id, ErrorCode::CANCEL))).collect()
}

/// Runs a proxy for many users, half of whom send requests that break a rule.
#[test]
fn internal_resets_of_a_proxys_users() {
    let mut load = Load::defaults();
    for _ in 0..100_000 {
        load.open(None);
        load.answer();
        let id = load.next_id;
        load.next_id += 2;
        load.send(&headers(id, END_STREAM, &Block::request().field(b"te", b"gzip").0));
    }
    // And one user alone, a hundred times a second.
    let mut load = Load::defaults();
    load.minutes(|load, n| {
        if n % 10 == 0 {
            let id = load.next_id;
            load.next_id += 2;
            load.send(&headers(id, END_STREAM, &Block::request().field(b"te", b"gzip").0));
        }
    });
}
