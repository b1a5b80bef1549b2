//! One run: two cores, their callers and the network between them, in virtual time.
//!
//! Nothing sleeps. Each turn does everything that is due now, then time advances to the next arrival, caller's
//! command or timer of a core.

use std::time::Duration;

use halfclose::frame::ErrorCode;
use halfclose::{
    Client, CloseReason, Config, Connection, ConnectionError, Event, Role, Seed, Server, Time, TimerKind,
};

use crate::check;
use crate::client::ClientCaller;
use crate::content;
use crate::end::End;
use crate::ledger::{Events, Ledger};
use crate::link::{Arrival, Link};
use crate::program::{Fault, Program, Side};
use crate::server::ServerCaller;
use crate::wire::{FailedProperty, Wire, breach, ensure};

/// Turns after which a run counts as one that never settles.
const MOST_TURNS: u64 = 4_000_000;
/// The time after the last arrival or command when a call that is still open counts as hanging.
const HANG: Duration = Duration::from_secs(6 * 60 * 60);

/// The result of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// A digest of every byte that both sides sent.
    pub digest: u64,
    /// Calls that the client started.
    pub calls: usize,
    /// Calls that ended with the server's own status.
    pub completed: usize,
    /// Messages that callers received.
    pub messages: usize,
    /// Frames on the wire.
    pub frames: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    /// Turns of the event loop.
    pub turns: u64,
    /// The virtual time that the run took.
    pub span: Duration,
}

/// Runs a program and checks every property, after every step and at the end.
///
/// # Errors
/// The first property that does not hold.
pub fn run(program: &Program) -> Result<Report, FailedProperty> {
    World::new(program).run()
}

/// Returns every byte that the two sides send in a run, the client's first.
///
/// # Errors
/// The first property that does not hold.
pub fn record(program: &Program) -> Result<[Vec<u8>; 2], FailedProperty> {
    let mut world = World::new(program);
    world.wire.record();
    world.play()?;
    Ok(world.wire.into_tapes())
}

/// Returns the configuration of one end.
#[must_use]
pub fn config(side: Side, program: &Program) -> Config {
    let tuning = &program.tuning[side.index()];
    let mut config = match side {
        Side::Client => Config::client(),
        Side::Server => Config::server(),
    };
    config.initial_stream_window = tuning.initial_window;
    config.max_stream_window = tuning.max_window;
    config.connection_window = tuning.connection_window;
    config.max_connection_window = tuning.max_window;
    config.limits.send_buffer = tuning.send_buffer;
    config.limits.max_concurrent_streams = tuning.max_streams;
    config.limits.max_receive_message = tuning.max_receive;
    config.limits.memory = tuning.memory;
    config.limits.max_frame_size = tuning.max_frame;
    config.limits.decoder_table = tuning.table;
    config.limits.encoder_table = tuning.table;
    // Space for blocks of several frames.
    config.limits.max_header_list = 1 << 16;
    config.drain_timeout = program.drain_timeout;
    config.max_age = program.max_age;
    config.limits.frames_per_turn = tuning.frames_per_turn;
    config.limits.queued_replies = tuning.queued_replies;
    if let Some(interval) = tuning.keepalive {
        config.keepalive.interval = Some(interval);
        config.keepalive.without_calls = true;
    }
    config.codecs = if tuning.codec { content::codecs() } else { halfclose::grpc::compress::Codecs::none() };
    config
}

struct World<'a> {
    program: &'a Program,
    now: Time,
    client: End<Client>,
    server: End<Server>,
    /// The links, by the side that sends.
    links: [Link; 2],
    wire: Wire,
    client_caller: ClientCaller,
    server_caller: ServerCaller,
    ledgers: Vec<Ledger>,
    events: Events,
    /// Commands to the connection that are still due.
    shutdown: Option<(Side, Time)>,
    close: Option<(Side, Time)>,
    fault: Fault,
    turns: u64,
    last_progress: Time,
}

impl<'a> World<'a> {
    fn new(program: &'a Program) -> Self {
        let now = Time::ZERO;
        let seed = program.seed;
        let [client, server] = Side::BOTH.map(|side| config(side, program));
        let split = program.net.resplit;
        let mut wire = Wire::default();
        for (side, config) in [(Side::Client, &client), (Side::Server, &server)] {
            wire.may_grow(side, config.max_connection_window.max(config.connection_window));
        }
        Self {
            program,
            now,
            client: End::new(Side::Client, Connection::new(client, Seed(seed), now), seed ^ 1, split),
            server: End::new(Side::Server, Connection::new(server, Seed(seed), now), seed ^ 2, split),
            links: Side::BOTH.map(|side| Link::new(side, &program.net, seed ^ (3 + side.index() as u64))),
            wire,
            client_caller: ClientCaller::new(program),
            server_caller: ServerCaller::new(program),
            ledgers: program.calls.iter().map(|_| Ledger::default()).collect(),
            events: Events::default(),
            shutdown: program.shutdown.map(|(side, at)| (side, Time::ZERO + at)),
            close: program.close.map(|(side, at)| (side, Time::ZERO + at)),
            fault: program.net.fault,
            turns: 0,
            last_progress: now,
        }
    }

    fn run(mut self) -> Result<Report, FailedProperty> {
        self.play()?;
        self.finish()
    }

    /// Runs until every call has ended, or nothing can happen any more.
    fn play(&mut self) -> Result<(), FailedProperty> {
        loop {
            self.settle()?;
            if self.is_over() {
                return Ok(());
            }
            let Some(next) = self.next_time() else { return Ok(()) };
            if next - self.last_progress > HANG {
                return Ok(());
            }
            self.now = self.now.max(next);
            self.advance()?;
        }
    }

    /// Returns whether every call has ended and nothing is in flight.
    fn is_over(&self) -> bool {
        self.client_caller.wake(self.program).is_none()
            && self.client_caller.tasks.open().next().is_none()
            && self.server_caller.tasks.open().next().is_none()
            && self.links.iter().all(|link| link.next_arrival().is_none())
            && self.shutdown.is_none()
            && self.close.is_none()
            && self.fault_time().is_none()
    }

    fn fault_time(&self) -> Option<Time> {
        match self.fault {
            Fault::None => None,
            Fault::Cut(at) | Fault::HalfOpen(_, at) => Some(Time::ZERO + at),
        }
    }

    fn next_time(&self) -> Option<Time> {
        let timers = [self.client.core.poll_timeout(), self.server.core.poll_timeout()];
        let callers = [self.client_caller.wake(self.program), self.server_caller.tasks.wake()];
        let orders = [self.shutdown.map(|(_, at)| at), self.close.map(|(_, at)| at), self.fault_time()];
        let links = self.links.iter().filter_map(Link::next_arrival);
        timers
            .iter()
            .flatten()
            .map(|(at, _)| *at)
            .chain(callers.into_iter().flatten())
            .chain(orders.into_iter().flatten())
            .chain(links)
            .min()
    }

    /// Does what is due at the new time: timers, faults, arrivals, commands.
    fn advance(&mut self) -> Result<(), FailedProperty> {
        let now = self.now;
        fire(&mut self.client, now)?;
        fire(&mut self.server, now)?;
        if self.fault_time().is_some_and(|at| at <= now) {
            self.break_transport();
        }
        for side in Side::BOTH {
            while let Some(arrival) = self.links[side.index()].take(now) {
                self.arrive(side.peer(), arrival)?;
            }
        }
        if let Some((side, at)) = self.shutdown
            && at <= now
        {
            self.shutdown = None;
            self.events.going_away = true;
            match side {
                Side::Client => self.client.core.shutdown(now),
                Side::Server => self.server.core.shutdown(now),
            }
        }
        if let Some((side, at)) = self.close
            && at <= now
        {
            self.close = None;
            self.events.broken = true;
            let code = ErrorCode::NO_ERROR;
            match side {
                Side::Client => self.client.core.close(now, code, "the caller closes"),
                Side::Server => self.server.core.close(now, code, "the caller closes"),
            }
        }
        Ok(())
    }

    fn break_transport(&mut self) {
        self.events.broken = true;
        match self.fault {
            Fault::Cut(_) => self.links.iter_mut().for_each(|link| link.cut(self.now, true)),
            Fault::HalfOpen(side, _) => self.links[side.index()].cut(self.now, false),
            Fault::None => {}
        }
        self.fault = Fault::None;
    }

    fn arrive(&mut self, to: Side, arrival: Arrival) -> Result<(), FailedProperty> {
        let (now, wire) = (self.now, &mut self.wire);
        if arrival == Arrival::End {
            self.events.broken |= !self.events.going_away;
        }
        match (to, arrival) {
            (Side::Client, Arrival::Bytes(bytes)) => self.client.arrive(now, &bytes, wire),
            (Side::Server, Arrival::Bytes(bytes)) => self.server.arrive(now, &bytes, wire),
            (Side::Client, Arrival::End) => self.client.end(now, wire),
            (Side::Server, Arrival::End) => self.server.end(now, wire),
        }
    }

    /// Runs events, callers and output until nothing moves at this time.
    fn settle(&mut self) -> Result<(), FailedProperty> {
        loop {
            self.turns += 1;
            ensure(self.turns < MOST_TURNS, "the run comes to rest", || format!("{} turns", self.turns))?;
            let told = self.tell_client()? | self.tell_server()?;
            let (program, now) = (self.program, self.now);
            self.client_caller.run(program, &mut self.client, &mut self.wire, &mut self.ledgers, now)?;
            self.server_caller.run(program, &mut self.server, &mut self.wire, &mut self.ledgers, now)?;
            let [up, down] = &mut self.links;
            let moved =
                self.client.pump(now, up, &mut self.wire)? | self.server.pump(now, down, &mut self.wire)?;
            self.check_step()?;
            if told {
                self.last_progress = now;
            }
            if !told && !moved {
                if self.program.shrink {
                    self.client.core.shrink();
                    self.server.core.shrink();
                }
                return Ok(());
            }
        }
    }

    fn tell_client(&mut self) -> Result<bool, FailedProperty> {
        let mut told = false;
        while let Some(event) = self.client.core.poll_event() {
            told = true;
            note_closed(&mut self.client, &event, &mut self.events)?;
            self.client_caller.event(
                &event,
                &self.client,
                &self.wire,
                self.program,
                &mut self.ledgers,
                self.now,
            )?;
        }
        Ok(told)
    }

    fn tell_server(&mut self) -> Result<bool, FailedProperty> {
        let mut told = false;
        while let Some(event) = self.server.core.poll_event() {
            told = true;
            note_closed(&mut self.server, &event, &mut self.events)?;
            let (wire, ledgers) = (&mut self.wire, &mut self.ledgers);
            self.server_caller.event(&event, &mut self.server, wire, self.program, ledgers, self.now)?;
        }
        Ok(told)
    }

    /// Checks the properties of every step.
    fn check_step(&mut self) -> Result<(), FailedProperty> {
        for side in Side::BOTH {
            let (closed, drained, memory) = match side {
                Side::Client => {
                    (self.client.core.is_closed(), self.client.is_drained(), self.client.core.memory())
                }
                Side::Server => {
                    (self.server.core.is_closed(), self.server.is_drained(), self.server.core.memory())
                }
            };
            if closed || !drained {
                continue;
            }
            self.wire.check_debts(side, memory.granted)?;
            check::output_flows(side, &self.wire, self.open(side), &self.ledgers)?;
        }
        if !self.client.core.is_closed() && self.client.is_drained() && !self.events.going_away {
            check::calls_start(&self.wire, self.open(Side::Client), &self.ledgers, self.now)?;
        }
        Ok(())
    }

    fn open(&self, side: Side) -> Vec<usize> {
        match side {
            Side::Client => self.client_caller.tasks.open().collect(),
            Side::Server => self.server_caller.tasks.open().collect(),
        }
    }

    /// Checks the properties of a finished run, and of the end of its transport.
    fn finish(mut self) -> Result<Report, FailedProperty> {
        let silent = self.events.broken;
        let left = self.open(Side::Client);
        ensure(left.is_empty() || silent, "with a fair network every call ends", || {
            format!("calls {left:?} hang at {:?}: {:?}", self.now, self.describe(&left))
        })?;
        let span = self.now.since_epoch();
        // The transport ends: nothing may stay open, and nothing may be reported twice.
        self.events.broken = true;
        for link in &mut self.links {
            link.cut(self.now, true);
        }
        self.last_progress = self.now;
        self.advance()?;
        self.play()?;
        let left = [self.open(Side::Client), self.open(Side::Server)];
        ensure(left.iter().all(Vec::is_empty), "the end of the transport ends every call", || {
            format!("{left:?}")
        })?;
        for (side, closed, idle) in [
            (Side::Client, self.client.closed, self.client.core.is_idle()),
            (Side::Server, self.server.closed, self.server.core.is_idle()),
        ] {
            ensure(closed && idle, "Closed comes last, once, and nothing is kept", || format!("{side:?}"))?;
        }
        for (k, ledger) in self.ledgers.iter().enumerate() {
            check::judge(k, self.program, ledger, &self.wire, silent || self.events.going_away)?;
        }
        let digests = Side::BOTH.map(|side| self.wire.digest(side));
        Ok(Report {
            digest: digests[0].0 ^ digests[1].0.rotate_left(1),
            calls: self.ledgers.iter().filter(|ledger| ledger.started.is_some()).count(),
            completed: self.ledgers.iter().filter(|ledger| check::is_complete(ledger)).count(),
            messages: self.ledgers.iter().map(|it| it.client.received + it.server.received).sum(),
            frames: self.wire.frames,
            bytes: digests[0].1 + digests[1].1,
            turns: self.turns,
            span,
        })
    }

    fn describe(&self, calls: &[usize]) -> Vec<String> {
        calls
            .iter()
            .map(|k| {
                let stream = self.wire.stream_of(*k).unwrap_or(0);
                let halves = Side::BOTH.map(|side| self.wire.half(side, stream));
                format!("{:?} {halves:?}", self.ledgers[*k])
            })
            .collect()
    }
}

/// Fires a timer that is due, which must then move.
fn fire<R: Role>(end: &mut End<R>, now: Time) -> Result<(), FailedProperty> {
    if end.core.poll_timeout().is_none_or(|(at, _)| at > now) {
        return Ok(());
    }
    end.core.handle_timeout(now);
    let next: Option<(Time, TimerKind)> = end.core.poll_timeout();
    ensure(next.is_none_or(|(at, _)| at > now), "a timer that fired moves", || {
        format!("{:?}: {next:?}", end.side)
    })
}

/// Checks that `Closed` is the last event, and reported once.
fn note_closed<R: Role>(end: &mut End<R>, event: &Event, events: &mut Events) -> Result<(), FailedProperty> {
    if end.closed {
        return breach("Closed comes last, once", format!("{:?}: {event:?}", end.side));
    }
    match event {
        Event::GoAway { .. } => events.going_away = true,
        Event::Closed(reason) => {
            end.closed = true;
            if let CloseReason::Error(ConnectionError::Violation(violation)) = reason {
                // Silence is the only reason to give up on an honest peer.
                let timeout = matches!(violation, halfclose::Violation::Timeout(_));
                ensure(timeout && events.broken, "an honest peer breaks no rule", || {
                    format!("{:?} closed: {violation}", end.side)
                })?;
            }
        }
        _ => {}
    }
    Ok(())
}
