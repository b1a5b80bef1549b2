//! A client, three servers and faults, in virtual time, from seeds: no call is lost, none is processed twice unless
//! its policy says so, and none hangs. `HALFCLOSE_SEEDS` is the number of seeds; `HALFCLOSE_SEED` runs a single one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use halfclose::{Code, Seed, Time};
use halfclose_channel::{
    Address, AttemptEnd, CallKey, CallStart, ChannelConfig, ChannelMachine, ConnectionId, Connectivity,
    Output, Verdict,
};

const CALLS: u64 = 30;
const RETRYING: &str = r#"{"methodConfig": [{"name": [{"service": "sim.Retrying"}], "retryPolicy": {"maxAttempts": 3,
    "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}],
    "retryThrottling": {"maxTokens": 20, "tokenRatio": 0.5}}"#;
const IN_TURN: &str = r#"{"loadBalancingConfig": [{"round_robin": {}}]}"#;

#[derive(Clone, Copy, PartialEq, Debug)]
struct Server(usize);

impl Address for Server {
    fn is_ipv6(&self) -> bool {
        self.0 == 1
    }
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.next(bound) == 0
    }

    fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.next(bound))
    }
}

/// An event of the simulation.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Happens {
    Resolved,
    Attempted(ConnectionId, Server),
    /// The answer of a server to a call that it has processed.
    Answered(CallKey, ConnectionId, u32),
    Start(CallKey),
    Cancel(CallKey),
    Kill(usize),
    Restart(usize),
    Goodbye(usize),
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Health {
    Up,
    /// It refuses.
    Down,
    /// It does not answer.
    Silent,
}

#[derive(Debug)]
struct Sent {
    connection: ConnectionId,
    attempt: u32,
    processed: bool,
}

#[derive(Default, Debug)]
struct Book {
    waits: bool,
    retries: bool,
    deadline: Option<Time>,
    ended: Option<Code>,
    cancelled: bool,
    processed: u32,
    sent: Option<Sent>,
    /// The number of the attempt, different for every one.
    serial: u32,
    /// The number of attempts that count.
    counted: u32,
    /// Whether it was refused before.
    refused: bool,
}

struct World {
    now: Time,
    dice: Dice,
    machine: ChannelMachine<Server>,
    events: BTreeMap<(Time, u64), Happens>,
    order: u64,
    servers: [Health; 3],
    /// Open connections, and their servers.
    open: BTreeMap<ConnectionId, usize>,
    draining: BTreeSet<ConnectionId>,
    attempts: BTreeSet<ConnectionId>,
    calls: BTreeMap<CallKey, Book>,
    /// Whether faults have ended.
    calm: bool,
    told: Connectivity,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let mut machine = ChannelMachine::new(ChannelConfig::default(), Seed(seed));
        if dice.one_in(2) {
            machine.set_service_config(Time::ZERO, RETRYING).expect("a config");
        } else if dice.one_in(2) {
            machine.set_service_config(Time::ZERO, IN_TURN).expect("a config");
        }
        let mut world = Self {
            now: Time::ZERO,
            dice,
            machine,
            events: BTreeMap::new(),
            order: 0,
            servers: [Health::Up; 3],
            open: BTreeMap::new(),
            draining: BTreeSet::new(),
            attempts: BTreeSet::new(),
            calls: BTreeMap::new(),
            calm: false,
            told: Connectivity::Idle,
        };
        for call in 0..CALLS {
            let at = world.dice.millis(60_000);
            world.at(at, Happens::Start(CallKey(call)));
        }
        for _ in 0..world.dice.next(12) {
            let (at, server) = (world.dice.millis(60_000), world.dice.next(3) as usize);
            let fault = if world.dice.one_in(3) { Happens::Goodbye(server) } else { Happens::Kill(server) };
            world.at(at, fault);
            let pause = world.dice.millis(20_000);
            world.at(at + pause, Happens::Restart(server));
        }
        world
    }

    fn at(&mut self, after: Duration, what: Happens) {
        self.order += 1;
        self.events.insert((self.now + after, self.order), what);
    }

    /// Carries out the machine's actions.
    fn obey(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Resolve => {
                    let after = self.dice.millis(100);
                    self.at(after, Happens::Resolved);
                }
                Output::Connect(id, server) => {
                    assert!(self.attempts.insert(id), "{id:?} twice");
                    let after = self.dice.millis(300);
                    self.at(after, Happens::Attempted(id, server));
                }
                Output::Abandon(id) => assert!(self.attempts.remove(&id), "{id:?} is no attempt"),
                Output::Drain(id) => drop(self.draining.insert(id)),
                Output::Assign { call, connection, previous_attempts } => {
                    self.send(call, connection, previous_attempts);
                }
                Output::Fail(call, status) => self.end(call, status.code),
                Output::State(state) => {
                    assert_ne!(state, self.told, "a state that was told already");
                    self.told = state;
                }
                other => panic!("{other:?} is new"),
            }
        }
        assert_eq!(self.told, self.machine.state(), "a state that was not told");
    }

    fn send(&mut self, key: CallKey, connection: ConnectionId, previous: u32) {
        assert!(self.open.contains_key(&connection), "{key:?} is sent on {connection:?}, which is not open");
        assert!(
            !self.draining.contains(&connection),
            "{key:?} is sent on {connection:?}, which is going away"
        );
        let book = self.calls.get_mut(&key).expect("a call that was started");
        assert!(book.ended.is_none() && book.sent.is_none(), "{key:?} is sent twice");
        assert_eq!(book.counted, previous, "grpc-previous-rpc-attempts of {key:?}");
        book.serial += 1;
        let after = Duration::from_millis(1 + self.dice.next(400));
        let attempt = book.serial;
        let processed = !self.dice.one_in(5);
        book.processed += u32::from(processed);
        book.sent = Some(Sent { connection, attempt, processed });
        // The end of its connection, or a refusal, shows what a server has not processed.
        self.at(after, Happens::Answered(key, connection, attempt));
    }

    fn end(&mut self, key: CallKey, code: Code) {
        let book = self.calls.get_mut(&key).expect("a call that was started");
        assert!(book.ended.replace(code).is_none() && !book.cancelled, "{key:?} ends twice");
        book.sent = None;
    }

    /// Ends an attempt.
    fn attempt_ended(&mut self, key: CallKey, end: AttemptEnd, code: Code) {
        let book = self.calls.get_mut(&key).expect("a call that was started");
        assert!(book.sent.take().is_some(), "an attempt");
        book.counted += match end {
            AttemptEnd::NeverSent => 0,
            AttemptEnd::NotProcessed => u32::from(std::mem::replace(&mut book.refused, true)),
            _ => 1,
        };
        if self.machine.attempt_ended(self.now, key, end) == Verdict::Deliver {
            self.end(key, code);
        }
    }

    /// Ends a connection and the calls on it.
    fn close(&mut self, id: ConnectionId) {
        self.open.remove(&id);
        self.draining.remove(&id);
        self.machine.closed(self.now, id, false);
        let on_it = |(key, book): (&CallKey, &Book)| {
            book.sent.as_ref().filter(|sent| sent.connection == id).map(|sent| (*key, sent.processed))
        };
        for (key, processed) in self.calls.iter().filter_map(on_it).collect::<Vec<_>>() {
            if processed {
                let end = AttemptEnd::Ended { code: Code::Unavailable, committed: false, pushback: None };
                self.attempt_ended(key, end, Code::Unavailable);
            } else {
                self.attempt_ended(key, AttemptEnd::NeverSent, Code::Unavailable);
            }
        }
    }

    fn happen(&mut self, what: Happens) {
        match what {
            Happens::Resolved => {
                let fails = !self.calm && self.dice.one_in(6);
                let result =
                    if fails { Err("no answer".to_owned()) } else { Ok((0..3).map(Server).collect()) };
                self.machine.resolved(self.now, result);
            }
            Happens::Attempted(id, server) => {
                if !self.attempts.contains(&id) {
                    return;
                }
                match self.servers[server.0] {
                    Health::Silent => {}
                    Health::Up => {
                        self.attempts.remove(&id);
                        self.open.insert(id, server.0);
                        self.machine.connected(self.now, id);
                    }
                    Health::Down => {
                        self.attempts.remove(&id);
                        self.machine.failed(self.now, id, "refused");
                    }
                }
            }
            Happens::Answered(key, connection, attempt) => self.answer(key, connection, attempt),
            Happens::Start(key) => self.start(key),
            Happens::Cancel(key) => {
                let book = self.calls.get_mut(&key).expect("a call that was started");
                if book.ended.is_none() {
                    (book.cancelled, book.sent) = (true, None);
                    self.machine.cancel(self.now, key);
                }
            }
            Happens::Kill(server) => {
                self.servers[server] = if self.dice.one_in(4) { Health::Silent } else { Health::Down };
                for id in self.to(server) {
                    self.close(id);
                    self.obey();
                }
            }
            Happens::Restart(server) => self.servers[server] = Health::Up,
            Happens::Goodbye(server) => {
                for id in self.to(server) {
                    self.draining.insert(id);
                    self.machine.draining(self.now, id);
                    self.obey();
                }
            }
        }
    }

    fn to(&self, server: usize) -> Vec<ConnectionId> {
        self.open.iter().filter(|(_, to)| **to == server).map(|(id, _)| *id).collect()
    }

    fn start(&mut self, key: CallKey) {
        let retries = self.dice.one_in(2);
        let mut start = CallStart::new(if retries { "/sim.Retrying/Do" } else { "/sim.Once/Do" });
        let mut book = Book { waits: self.dice.one_in(2), retries, ..Book::default() };
        start.wait_for_ready = Some(book.waits);
        if self.dice.one_in(3) {
            book.deadline = Some(self.now + Duration::from_secs(1) + self.dice.millis(30_000));
            start.deadline = book.deadline;
        }
        self.calls.insert(key, book);
        self.machine.start(self.now, key, start);
        if self.dice.one_in(10) {
            let after = self.dice.millis(1000);
            self.at(after, Happens::Cancel(key));
        }
    }

    fn answer(&mut self, key: CallKey, connection: ConnectionId, attempt: u32) {
        let book = self.calls.get(&key).expect("a call that was started");
        let current =
            book.sent.as_ref().is_some_and(|sent| sent.connection == connection && sent.attempt == attempt);
        if !current {
            return;
        }
        if !book.sent.as_ref().is_some_and(|sent| sent.processed) {
            return self.attempt_ended(key, AttemptEnd::NotProcessed, Code::Unavailable);
        }
        let fails = !self.calm && self.dice.one_in(6);
        let code = if fails { Code::Unavailable } else { Code::Ok };
        let committed = self.dice.one_in(4);
        self.attempt_ended(key, AttemptEnd::Ended { code, committed, pushback: None }, code);
    }

    /// Runs until no event is left, or until the given time.
    fn run(&mut self, until: Time) {
        let mut turns = 0;
        loop {
            turns += 1;
            assert!(turns < 200_000, "it does not come to rest");
            self.obey();
            let event = self.events.keys().next().copied();
            let timer = self.machine.poll_timeout();
            let next = event.map_or(Time::MAX, |(at, _)| at).min(timer.unwrap_or(Time::MAX));
            if next > until {
                self.now = until;
                return;
            }
            self.now = self.now.max(next);
            match event {
                Some(first) if first.0 <= self.now => {
                    let what = self.events.remove(&first).expect("it is there");
                    self.happen(what);
                }
                _ => self.machine.handle_timeout(self.now),
            }
            self.look();
        }
    }

    fn look(&self) {
        for (key, book) in &self.calls {
            let allowed = if book.retries { 3 } else { 1 };
            assert!(book.processed <= allowed, "{key:?} was processed {} times", book.processed);
        }
    }

    /// Ends all faults, so that every call gets an answer.
    fn finish(&mut self) {
        let after = |seconds| Time::ZERO + Duration::from_secs(seconds);
        self.run(after(80));
        self.calm = true;
        self.servers = [Health::Up; 3];
        // The longest backoff, and the longest one of the resolution.
        self.run(after(80 + 600));
        for (key, book) in &self.calls {
            assert!(book.cancelled || book.ended.is_some(), "{key:?} is lost: {book:?}");
            if book.waits && book.deadline.is_none() && book.processed == 0 {
                assert!(book.cancelled || book.refused, "{key:?} waited for nothing: {book:?}");
            }
        }
        assert_eq!(self.machine.calls(), 0);
        // Then the channel closes the connections that are not used.
        self.run(after(80 + 600 + 31 * 60));
        assert_eq!(self.machine.state(), Connectivity::Idle);
        assert!(self.attempts.is_empty(), "attempts that nobody wants");
        assert!(self.open.keys().all(|id| self.draining.contains(id)), "connections that nobody uses");
        assert_eq!(self.machine.poll_timeout(), None, "a timer for nothing");
    }
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("HALFCLOSE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("HALFCLOSE_SEEDS").unwrap_or(3_000),
    }
}

#[test]
fn no_call_is_lost_doubled_or_stuck() {
    let (mut calls, mut answered, mut failed, mut late) = (0u64, 0u64, 0u64, 0u64);
    for seed in seeds() {
        let done = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            world.finish();
            world.calls.into_values().map(|book| book.ended).collect::<Vec<_>>()
        });
        let Ok(ends) = done else { panic!("HALFCLOSE_SEED={seed}") };
        for end in ends {
            calls += 1;
            match end {
                Some(Code::Ok) => answered += 1,
                Some(Code::DeadlineExceeded) => late += 1,
                Some(_) => failed += 1,
                None => {}
            }
        }
    }
    println!("{calls} calls: {answered} answered, {failed} failed, {late} out of time");
    assert!(answered > calls / 2);
}
