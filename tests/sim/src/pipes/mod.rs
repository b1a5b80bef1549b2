//! Two cores over pipes of a few bytes, each driven by nothing but the contract of [`Connection::poll`]: whether two
//! busy ends that obey it can deadlock.
//!
//! A pipe accepts bytes only while it has space, as a socket does. The seed decides which end runs next, and how much
//! of what it may read or write it does; an end that was told to wait runs again only for one of the reasons that it
//! was given. When neither end has one, everything must be finished: that is the property.

mod app;
mod plan;

use bytes::{Buf, BytesMut};
use halfclose::{Client, CloseReason, Connection, Event, Next, Role, Seed, Server, Time, Wait};
use std::collections::VecDeque;
use std::time::Duration;

pub use app::Tally;
use app::{ClientApp, ServerApp};
pub use plan::{CallPlan, Ending, Plan};

use crate::wire::{FailedProperty, breach, ensure};

/// The time that passes with each turn of an end.
const TICK: Duration = Duration::from_micros(1);
/// Turns after which a run counts as one that never settles.
const MOST_TURNS: u64 = 20_000_000;

/// One direction of the transport.
struct Pipe {
    bytes: VecDeque<u8>,
    capacity: usize,
    /// Whether no more bytes follow.
    ended: bool,
    /// Whether its reader has gone, so that written bytes are dropped.
    abandoned: bool,
}

impl Pipe {
    fn new(capacity: usize) -> Self {
        Self { bytes: VecDeque::new(), capacity, ended: false, abandoned: false }
    }

    /// Returns whether a read returns something: bytes, or their end.
    fn is_readable(&self) -> bool {
        !self.bytes.is_empty() || self.ended
    }

    fn space(&self) -> usize {
        if self.abandoned { usize::MAX } else { self.capacity - self.bytes.len() }
    }

    fn write(&mut self, bytes: &[u8]) {
        if !self.abandoned {
            self.bytes.extend(bytes);
        }
    }

    fn abandon(&mut self) {
        self.bytes.clear();
        self.abandoned = true;
    }
}

/// How an end handles the events of its connection.
trait App<R: Role> {
    fn on_event(&mut self, core: &mut Connection<R>, event: Event) -> Result<(), FailedProperty>;

    /// Gives the commands that are due. Returns when the next ones are.
    fn act(&mut self, core: &mut Connection<R>, now: Time) -> Result<Option<Time>, FailedProperty>;
}

/// One end: a connection, its input, and what it was told to wait for.
struct Terminal<R: Role, A> {
    core: Connection<R>,
    app: A,
    input: BytesMut,
    /// `None` until the end has been told to wait, and again after commands.
    wait: Option<Wait>,
    /// When the application has its next commands.
    app_due: Option<Time>,
    closed: Option<CloseReason>,
    /// Whether the transport may be closed.
    done: bool,
}

impl<R: Role, A: App<R>> Terminal<R, A> {
    fn new(core: Connection<R>, app: A) -> Self {
        let (input, app_due) = (BytesMut::new(), Some(Time::ZERO));
        Self { core, app, input, wait: None, app_due, closed: None, done: false }
    }

    /// Returns whether one of the reasons that it waits for has occurred.
    fn is_ready(&self, now: Time, inbound: &Pipe, outbound: &Pipe) -> bool {
        if self.done {
            return false;
        }
        let Some(wait) = self.wait else { return true };
        (wait.may_read && inbound.is_readable())
            || (wait.wants_write && outbound.space() > 0)
            || self.next_time().is_some_and(|at| at <= now)
    }

    /// Returns when it runs if nothing arrives.
    fn next_time(&self) -> Option<Time> {
        let until = self.wait.and_then(|wait| wait.until);
        until.into_iter().chain(self.app_due).min()
    }

    /// Runs one turn: due commands, received bytes, and everything that `poll` asks for until it says to wait.
    fn turn(
        &mut self,
        now: Time,
        inbound: &mut Pipe,
        outbound: &mut Pipe,
        rng: &mut fastrand::Rng,
    ) -> Result<(), FailedProperty> {
        if self.app_due.is_some_and(|at| at <= now) {
            self.app_due = self.app.act(&mut self.core, now)?;
        }
        if self.wait.is_none_or(|wait| wait.may_read) && inbound.is_readable() {
            self.read(now, inbound, rng);
        }
        for _ in 0..MOST_TURNS {
            match self.core.poll(now) {
                Next::Event(event) => self.on_event(event, now)?,
                Next::Transmit(mut out) => {
                    let space = outbound.space().min(out.remaining());
                    let count = if space > 1 { rng.usize(1..=space) } else { space };
                    outbound.write(&out.copy_to_bytes(count));
                }
                Next::Receive => self.receive(now),
                Next::Wait(wait) => {
                    self.wait = Some(wait);
                    return Ok(());
                }
                Next::Close => {
                    self.done = true;
                    outbound.ended = true;
                    inbound.abandon();
                    return ensure(self.closed.is_some(), "Close follows Closed", || "it did not".into());
                }
            }
        }
        breach("poll comes to a Wait", format!("{now:?}"))
    }

    fn read(&mut self, now: Time, inbound: &mut Pipe, rng: &mut fastrand::Rng) {
        if inbound.bytes.is_empty() {
            return self.core.receive_eof(now);
        }
        let count = rng.usize(1..=inbound.bytes.len());
        self.input.extend(inbound.bytes.drain(..count));
        self.receive(now);
    }

    fn receive(&mut self, now: Time) {
        // `Event::Closed` reports what was wrong.
        let _ = self.core.receive(now, &mut self.input);
    }

    fn on_event(&mut self, event: Event, now: Time) -> Result<(), FailedProperty> {
        if let Event::Closed(reason) = &event {
            self.closed = Some(reason.clone());
        }
        self.app.on_event(&mut self.core, event)?;
        self.app_due = self.app_due.min(self.app.act(&mut self.core, now)?);
        Ok(())
    }
}

/// The result of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Turns of both ends.
    pub turns: u64,
    /// What the client's application has seen.
    pub client: Tally,
    /// What the server's application has seen.
    pub server: Tally,
}

/// Plays a plan and checks that it finishes.
///
/// # Errors
/// The first property that does not hold.
pub fn run(plan: &Plan) -> Result<Outcome, FailedProperty> {
    let (client, server) = plan.configs();
    let now = Time::ZERO;
    let mut world = Joined {
        client: Terminal::new(Connection::<Client>::new(client, Seed(1), now), ClientApp::new(plan)),
        server: Terminal::new(Connection::<Server>::new(server, Seed(2), now), ServerApp::new(plan)),
        up: Pipe::new(plan.capacity[0]),
        down: Pipe::new(plan.capacity[1]),
        now,
        rng: fastrand::Rng::with_seed(plan.seed),
        short_of_memory: plan.is_short_of_memory(),
        turns: 0,
    };
    world.play()?;
    world.judge(plan)
}

struct Joined {
    client: Terminal<Client, ClientApp>,
    server: Terminal<Server, ServerApp>,
    up: Pipe,
    down: Pipe,
    now: Time,
    rng: fastrand::Rng,
    short_of_memory: bool,
    turns: u64,
}

impl Joined {
    fn play(&mut self) -> Result<(), FailedProperty> {
        loop {
            let ready = (
                self.client.is_ready(self.now, &self.down, &self.up),
                self.server.is_ready(self.now, &self.up, &self.down),
            );
            let client_runs = match ready {
                (true, true) => self.rng.bool(),
                (client, true) => client,
                (true, false) => true,
                (false, false) => match self.jump() {
                    true => continue,
                    false => return Ok(()),
                },
            };
            self.turns += 1;
            ensure(self.turns < MOST_TURNS, "the run comes to rest", || format!("{:?}", self.now))?;
            self.now = self.now + TICK;
            if client_runs {
                self.client.turn(self.now, &mut self.down, &mut self.up, &mut self.rng)?;
            } else {
                self.server.turn(self.now, &mut self.up, &mut self.down, &mut self.rng)?;
            }
        }
    }

    /// Advances to the next command of an application. Returns whether there was one. Timers of the connections do
    /// not count, because an end that waits for one is deadlocked, unless memory is short: the wait for memory is
    /// bounded.
    fn jump(&mut self) -> bool {
        let mut next = self.client.app_due.into_iter().chain(self.server.app_due).min();
        if self.short_of_memory && !self.client.app.open().is_empty() {
            next = next.into_iter().chain(self.client.next_time()).chain(self.server.next_time()).min();
        }
        let Some(at) = next.filter(|_| !(self.client.done && self.server.done)) else { return false };
        self.now = self.now.max(at);
        true
    }

    fn judge(self, plan: &Plan) -> Result<Outcome, FailedProperty> {
        let Self { client, server, up, down, .. } = self;
        let open = client.app.open();
        let ended = client.done && server.done;
        ensure(open.is_empty() && ended, "two honest ends never stand still", || {
            format!(
                "open calls {open:?}, after {} turns; client {:?} {:?}, server {:?} {:?}; {} and {} bytes in the pipes",
                self.turns,
                client.wait,
                client.closed,
                server.wait,
                server.closed,
                up.bytes.len(),
                down.bytes.len()
            )
        })?;
        for (name, closed) in [("client", &client.closed), ("server", &server.closed)] {
            ensure(*closed == Some(CloseReason::Graceful), "the connection ends as ordered", || {
                format!("{name}: {closed:?}")
            })?;
        }
        client.app.judge(plan)?;
        let (client, server) = (client.app.tally(), server.app.tally());
        Ok(Outcome { turns: self.turns, client, server })
    }
}
