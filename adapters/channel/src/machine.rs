//! The channel: calls on one side, connections on the other.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use halfclose::{Code, Seed, Status, Time};

use crate::backoff::{Backoff, BackoffConfig};
use crate::output::{CallKey, ConnectionId, Output};
use crate::pick_first::{Address, Shared};
use crate::policy::Balancer;
use crate::random::Random;
use crate::retry::{Pushback, Tokens};
use crate::service_config::{BadServiceConfig, MethodConfig, Policy, ServiceConfig};
use crate::state::Connectivity;

/// The settings of a channel. A value out of its range counts as the nearest one in it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChannelConfig {
    /// The connection policy if the service config sets none: pick_first by default.
    pub policy: Policy,
    /// The times between failed attempts.
    pub backoff: BackoffConfig,
    /// The time after which the next address is tried although the last has not failed: 250 ms by default; 100 ms to
    /// 2 s (A61).
    pub attempt_delay: Duration,
    /// The time after which a channel without calls closes its connections: 30 min by default; 1 s at least. `None`
    /// means never.
    pub idle_timeout: Option<Duration>,
    /// The least time from one resolution of the name to the next: 30 s by default.
    pub resolution_interval: Duration,
    /// Client keepalive: the interval of PINGs, which doubles each time a server sends too_many_pings (A8). Off by
    /// default; 10 s at least.
    pub keepalive: Option<Duration>,
    /// Whether calls are retried by the policies of a service config: true by default. A call that no server
    /// processed is retried in any case.
    pub retries: bool,
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            backoff: BackoffConfig::default(),
            attempt_delay: Duration::from_millis(250),
            idle_timeout: Some(Duration::from_secs(30 * 60)),
            resolution_interval: Duration::from_secs(30),
            keepalive: None,
            retries: true,
        }
    }
}

impl ChannelConfig {
    fn in_range(mut self) -> Self {
        self.attempt_delay = self.attempt_delay.clamp(Duration::from_millis(100), Duration::from_secs(2));
        self.idle_timeout = self.idle_timeout.map(|time| time.max(Duration::from_secs(1)));
        self.keepalive = self.keepalive.map(|time| time.max(Duration::from_secs(10)));
        self
    }
}

/// The properties of a new call.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CallStart {
    /// Its method, `/package.Service/Method`.
    pub path: String,
    /// Whether the call waits while the channel is in TRANSIENT_FAILURE. If it is `None`, the service config decides,
    /// and otherwise the call fails at once.
    pub wait_for_ready: Option<bool>,
    /// The time at which it ends at the latest.
    pub deadline: Option<Time>,
}

impl CallStart {
    /// Creates a call of this method, with no options of its own.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }
}

/// The end of an attempt at a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AttemptEnd {
    /// Nothing of it was sent.
    NeverSent,
    /// The server certainly did not process it: REFUSED_STREAM, or an id above that of a GOAWAY.
    NotProcessed,
    /// It ended with a status, the server's or the client's own.
    Ended {
        /// Its code.
        code: Code,
        /// Whether response headers arrived, or more was sent than can be sent again; such a call is not retried
        /// (A6).
        committed: bool,
        /// The server's answer about a retry.
        pushback: Option<Pushback>,
    },
}

/// What follows from the end of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "whoever holds the call has to know"]
pub enum Verdict {
    /// The caller receives the result. The machine has forgotten the call.
    Deliver,
    /// The call is retried: an [`Output::Assign`] or [`Output::Fail`] follows.
    Again,
}

/// The state of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Queued,
    Assigned(ConnectionId),
    /// It is retried at this time.
    Pausing(Time),
}

#[derive(Clone, Debug)]
struct Call {
    stage: Stage,
    wait_for_ready: bool,
    deadline: Time,
    method: Option<MethodConfig>,
    /// Attempts that count: those that a server may have processed.
    attempts: u32,
    /// Whether the server refused it unprocessed once, after which it is retried only once for that.
    refused: bool,
}

/// The state of the name's resolution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Resolution {
    Idle,
    UnderWay,
    /// It failed; the next one follows at this time.
    Failed(Time),
}

/// A client's channel of gRPC.
/// Every input is a method that receives the time. Afterwards call [`poll_output`](Self::poll_output) until it
/// returns nothing, and wake at [`poll_timeout`](Self::poll_timeout) to call
/// [`handle_timeout`](Self::handle_timeout).
#[derive(Debug)]
pub struct ChannelMachine<A> {
    config: ChannelConfig,
    service: ServiceConfig,
    shared: Shared<A>,
    balancer: Balancer<A>,
    addresses: Option<Vec<A>>,
    resolution: Resolution,
    resolved_at: Option<Time>,
    resolver_backoff: Backoff,
    resolver_error: Option<String>,
    tokens: Option<Tokens>,
    calls: BTreeMap<CallKey, Call>,
    /// Calls that wait for a connection, in their order.
    queue: VecDeque<CallKey>,
    told: Connectivity,
    keepalive: Option<Duration>,
    /// When the last call ended, or `connect` was called.
    active_at: Time,
    over: bool,
}

impl<A: Address> ChannelMachine<A> {
    /// Creates a channel that is IDLE.
    #[must_use]
    pub fn new(config: ChannelConfig, seed: Seed) -> Self {
        let config = config.in_range();
        Self {
            shared: Shared::new(Random::new(seed.0), config.backoff.clone(), config.attempt_delay),
            balancer: Balancer::new(config.policy),
            keepalive: config.keepalive,
            config,
            service: ServiceConfig::default(),
            addresses: None,
            resolution: Resolution::Idle,
            resolved_at: None,
            resolver_backoff: Backoff::default(),
            resolver_error: None,
            tokens: None,
            calls: BTreeMap::new(),
            queue: VecDeque::new(),
            told: Connectivity::Idle,
            active_at: Time::ZERO,
            over: false,
        }
    }

    /// Returns the channel's state.
    #[must_use]
    pub fn state(&self) -> Connectivity {
        if self.over {
            return Connectivity::Shutdown;
        }
        match self.addresses {
            Some(_) => self.balancer.state(),
            None if self.resolver_error.is_some() => Connectivity::TransientFailure,
            None if self.resolution == Resolution::UnderWay => Connectivity::Connecting,
            None => Connectivity::Idle,
        }
    }

    /// Returns the keepalive interval of connections that are made from now on.
    #[must_use]
    pub const fn keepalive(&self) -> Option<Duration> {
        self.keepalive
    }

    /// Returns the next action.
    pub fn poll_output(&mut self) -> Option<Output<A>> {
        self.shared.outputs.pop_front()
    }

    /// Leaves IDLE, as a call would.
    pub fn connect(&mut self, now: Time) {
        self.shared.now = now;
        self.active_at = now;
        self.exit_idle();
        self.settle();
    }

    /// Applies a service config of the application or of a resolver. An invalid one changes nothing (A21).
    ///
    /// # Errors
    ///
    /// [`BadServiceConfig`], which names the invalid field.
    pub fn set_service_config(&mut self, now: Time, text: &str) -> Result<(), BadServiceConfig> {
        let service = ServiceConfig::parse(text)?;
        self.shared.now = now;
        let policy = service.policy.unwrap_or(self.config.policy);
        if policy != self.balancer.policy() {
            let was_idle = self.balancer.is_idle();
            self.balancer.stop(&mut self.shared);
            self.balancer = Balancer::new(policy);
            if let Some(addresses) = self.addresses.clone() {
                self.balancer.set_addresses(&mut self.shared, addresses);
                if !was_idle {
                    self.balancer.exit_idle(&mut self.shared);
                }
            }
        }
        if service.throttling != self.service.throttling {
            self.tokens = service.throttling.map(Tokens::new);
        }
        self.service = service;
        self.settle();
        Ok(())
    }

    /// Handles a result of name resolution: the answer to [`Output::Resolve`], or an update of a resolver that
    /// pushes. After a failure the previous addresses stay in use.
    pub fn resolved(&mut self, now: Time, result: Result<Vec<A>, String>) {
        self.shared.now = now;
        if self.over {
            return;
        }
        self.resolved_at = Some(now);
        match result {
            Ok(addresses) => {
                self.resolution = Resolution::Idle;
                self.resolver_backoff.reset();
                self.resolver_error = None;
                let first = self.addresses.is_none();
                self.addresses = Some(addresses.clone());
                self.balancer.set_addresses(&mut self.shared, addresses);
                if first {
                    // The name was resolved because a connection is needed.
                    self.balancer.exit_idle(&mut self.shared);
                }
            }
            Err(why) => {
                let pause = self.resolver_backoff.next(&self.config.backoff, &mut self.shared.random);
                self.resolution = Resolution::Failed(now + pause);
                if self.addresses.is_none() {
                    self.resolver_error = Some(why);
                }
            }
        }
        self.settle();
    }

    /// Handles a connection that is made: its handshakes are over and the server's SETTINGS have arrived.
    pub fn connected(&mut self, now: Time, id: ConnectionId) {
        self.shared.now = now;
        if !self.balancer.connected(&mut self.shared, id) {
            // The connection was given up meanwhile.
            self.shared.outputs.push_back(Output::Drain(id));
        }
        self.settle();
    }

    /// Handles a failed attempt to connect.
    pub fn failed(&mut self, now: Time, id: ConnectionId, why: &str) {
        self.shared.now = now;
        self.balancer.failed(&mut self.shared, id, why);
        self.settle();
    }

    /// Handles a connection that accepts no new calls: its server sent GOAWAY, or its stream ids run out.
    pub fn draining(&mut self, now: Time, id: ConnectionId) {
        self.shared.now = now;
        self.balancer.gone(&mut self.shared, id);
        self.settle();
    }

    /// Handles the end of a connection. Each of its calls ends by [`attempt_ended`](Self::attempt_ended).
    /// `too_many_pings` says that the server sent GOAWAY with ENHANCE_YOUR_CALM and that text, which makes keepalive
    /// slower (A8).
    pub fn closed(&mut self, now: Time, id: ConnectionId, too_many_pings: bool) {
        self.shared.now = now;
        if too_many_pings {
            self.keepalive = self.keepalive.map(|interval| interval.saturating_mul(2));
        }
        self.balancer.gone(&mut self.shared, id);
        self.settle();
    }

    /// Starts a call. `call` must not be in use; a call that is in use is left unchanged.
    pub fn start(&mut self, now: Time, call: CallKey, start: CallStart) {
        self.shared.now = now;
        if self.over {
            self.fail(call, Status::unavailable("the channel was shut down"));
            return;
        }
        let method = self.service.method(&start.path).cloned();
        let timeout = method.as_ref().and_then(|method| method.timeout);
        let deadline = timeout.map_or(Time::MAX, |timeout| now + timeout);
        let wait = start.wait_for_ready.or_else(|| method.as_ref().and_then(|method| method.wait_for_ready));
        let entry = Call {
            stage: Stage::Queued,
            wait_for_ready: wait.unwrap_or(false),
            deadline: start.deadline.map_or(deadline, |own| own.min(deadline)),
            method,
            attempts: 0,
            refused: false,
        };
        if self.calls.contains_key(&call) {
            return;
        }
        self.calls.insert(call, entry);
        self.queue.push_back(call);
        self.exit_idle();
        self.settle();
    }

    /// Returns the settings of a call's method, and the call's deadline.
    #[must_use]
    pub fn settings(&self, call: CallKey) -> Option<(Option<&MethodConfig>, Option<Time>)> {
        let call = self.calls.get(&call)?;
        Some((call.method.as_ref(), Some(call.deadline).filter(|deadline| *deadline != Time::MAX)))
    }

    /// Handles a call that its caller gave up.
    pub fn cancel(&mut self, now: Time, call: CallKey) {
        self.shared.now = now;
        self.forget(call);
        self.settle();
    }

    /// Handles the end of an attempt. If its connection caused the end, report that first by
    /// [`draining`](Self::draining) or [`closed`](Self::closed), so that the call is not assigned to it again.
    pub fn attempt_ended(&mut self, now: Time, call: CallKey, end: AttemptEnd) -> Verdict {
        self.shared.now = now;
        let verdict = self.judge(call, end);
        if verdict == Verdict::Deliver {
            self.forget(call);
        }
        self.settle();
        verdict
    }

    fn judge(&mut self, key: CallKey, end: AttemptEnd) -> Verdict {
        let now = self.shared.now;
        let Some(call) = self.calls.get_mut(&key) else { return Verdict::Deliver };
        if self.over || call.deadline <= now || !matches!(call.stage, Stage::Assigned(_)) {
            return Verdict::Deliver;
        }
        let transparent = match end {
            AttemptEnd::NeverSent => true,
            // A6, transparent retries: what was sent is retried once, and no more.
            AttemptEnd::NotProcessed => !std::mem::replace(&mut call.refused, true),
            AttemptEnd::Ended { .. } => false,
        };
        if transparent {
            call.stage = Stage::Queued;
            // It was first when it was assigned.
            self.queue.push_front(key);
            return Verdict::Again;
        }
        let (code, committed, pushback) = match end {
            AttemptEnd::Ended { code, committed, pushback } => (code, committed, pushback),
            _ => (Code::Unavailable, false, None),
        };
        call.attempts = call.attempts.saturating_add(1);
        self.retry(key, code, committed, pushback)
    }

    /// Decides by the method's policy whether another attempt is allowed (A6).
    fn retry(&mut self, key: CallKey, code: Code, committed: bool, pushback: Option<Pushback>) -> Verdict {
        let Some(call) = self.calls.get_mut(&key) else { return Verdict::Deliver };
        if code == Code::Ok {
            self.tokens.iter_mut().for_each(Tokens::succeeded);
            return Verdict::Deliver;
        }
        let policy =
            call.method.as_ref().and_then(|method| method.retry.as_ref()).filter(|_| self.config.retries);
        let Some(policy) = policy else { return Verdict::Deliver };
        let retryable = policy.retryable.contains(&code);
        if retryable || pushback == Some(Pushback::Stop) {
            self.tokens.iter_mut().for_each(Tokens::failed);
        }
        let allowed = self.tokens.as_ref().is_none_or(Tokens::allow);
        if !retryable || committed || !allowed || call.attempts >= policy.most_attempts() {
            return Verdict::Deliver;
        }
        let pause = match pushback {
            Some(Pushback::Stop) => return Verdict::Deliver,
            Some(Pushback::After(pause)) => pause,
            None => policy.pause(call.attempts, &mut self.shared.random),
        };
        call.stage = Stage::Pausing(self.shared.now + pause);
        Verdict::Again
    }

    /// Ends the channel: waiting calls fail, sent ones continue, and each connection ends with its last call.
    pub fn shutdown(&mut self, now: Time) {
        self.shared.now = now;
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        self.balancer.stop(&mut self.shared);
        self.queue.clear();
        let waiting =
            |(key, call): (&CallKey, &Call)| (!matches!(call.stage, Stage::Assigned(_))).then_some(*key);
        let waiting: Vec<_> = self.calls.iter().filter_map(waiting).collect();
        for call in waiting {
            self.calls.remove(&call);
            self.fail(call, Status::unavailable("the channel was shut down"));
        }
        self.settle();
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) has to be called, unless another input precedes it.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let calls = self.calls.values().filter_map(|call| match call.stage {
            Stage::Queued => Some(call.deadline),
            Stage::Pausing(until) => Some(until.min(call.deadline)),
            // The connection enforces the deadline.
            Stage::Assigned(_) => None,
        });
        let mut first = calls.fold(Time::MAX, Time::min);
        if !self.over {
            first = first.min(self.balancer.timeout());
            first = first.min(self.resolution_due().unwrap_or(Time::MAX));
            first = first.min(self.idle_at().unwrap_or(Time::MAX));
        }
        (first != Time::MAX).then_some(first)
    }

    /// Handles everything that is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.shared.now = now;
        if !self.over {
            self.balancer.handle_timeout(&mut self.shared);
            if self.resolution_due().is_some_and(|due| due <= now) {
                self.resolve();
            }
            if self.idle_at().is_some_and(|at| at <= now) {
                self.balancer.stop(&mut self.shared);
                self.addresses = None;
                self.resolver_error = None;
                self.resolution = Resolution::Idle;
                self.shared.wants_addresses = false;
            }
        }
        self.end_late_calls();
        self.settle();
    }

    fn end_late_calls(&mut self) {
        let now = self.shared.now;
        let late = |(key, call): (&CallKey, &Call)| {
            (call.deadline <= now && !matches!(call.stage, Stage::Assigned(_))).then_some(*key)
        };
        for call in self.calls.iter().filter_map(late).collect::<Vec<_>>() {
            self.forget(call);
            let why = match self.last_error() {
                Some(error) => format!("waited for a connection; the last attempt: {error}"),
                None => "waited for a connection".to_owned(),
            };
            self.fail(call, Status::deadline_exceeded(why));
        }
        for (key, call) in &mut self.calls {
            if matches!(call.stage, Stage::Pausing(until) if until <= now) {
                call.stage = Stage::Queued;
                self.queue.push_back(*key);
            }
        }
    }

    /// Returns when an idle channel closes its connections.
    fn idle_at(&self) -> Option<Time> {
        let timeout = self.config.idle_timeout?;
        let connected = self.addresses.is_some() || self.resolution != Resolution::Idle;
        (self.calls.is_empty() && connected).then(|| self.active_at + timeout)
    }

    /// Returns when the name is resolved again, if a connection is needed.
    fn resolution_due(&self) -> Option<Time> {
        match self.resolution {
            Resolution::UnderWay => None,
            Resolution::Failed(until) => Some(until),
            Resolution::Idle if self.shared.wants_addresses => {
                Some(self.resolved_at.map_or(Time::ZERO, |at| at + self.config.resolution_interval))
            }
            Resolution::Idle => None,
        }
    }

    fn resolve(&mut self) {
        self.shared.wants_addresses = false;
        self.resolution = Resolution::UnderWay;
        self.shared.outputs.push_back(Output::Resolve);
    }

    fn exit_idle(&mut self) {
        if self.over {
            return;
        }
        if self.addresses.is_some() {
            self.balancer.exit_idle(&mut self.shared);
        } else if self.resolution == Resolution::Idle {
            self.resolve();
        }
    }

    fn last_error(&self) -> Option<&str> {
        if self.addresses.is_none() {
            return self.resolver_error.as_deref();
        }
        Some(self.balancer.last_error()).filter(|error| !error.is_empty())
    }

    /// Updates waiting calls, the reported state and the resolution after a change.
    fn settle(&mut self) {
        if !self.queue.is_empty() && self.addresses.is_some() && self.balancer.is_idle() {
            self.exit_idle();
        }
        let state = self.state();
        if state == Connectivity::Ready {
            self.assign();
        } else if state == Connectivity::TransientFailure {
            self.fail_fast();
        }
        if !self.over && self.resolution_due().is_some_and(|due| due <= self.shared.now) {
            self.resolve();
        }
        let state = self.state();
        if std::mem::replace(&mut self.told, state) != state {
            self.shared.outputs.push_back(Output::State(state));
        }
    }

    /// Assigns waiting calls to connections.
    fn assign(&mut self) {
        while let Some(key) = self.queue.pop_front() {
            let Some(call) = self.calls.get_mut(&key) else { continue };
            let Some(connection) = self.balancer.pick() else {
                self.queue.push_front(key);
                return;
            };
            call.stage = Stage::Assigned(connection);
            let previous_attempts = call.attempts;
            self.shared.outputs.push_back(Output::Assign { call: key, connection, previous_attempts });
        }
    }

    /// Ends the calls that do not wait for a connection.
    fn fail_fast(&mut self) {
        let why = self.last_error().unwrap_or("no connection").to_owned();
        let waits = |key: &CallKey| self.calls.get(key).is_none_or(|call| call.wait_for_ready);
        let (waiting, failing): (VecDeque<_>, VecDeque<_>) = self.queue.drain(..).partition(waits);
        self.queue = waiting;
        for call in failing {
            self.calls.remove(&call);
            self.active_at = self.shared.now;
            self.fail(call, Status::unavailable(format!("no connection: {why}")));
        }
    }

    fn fail(&mut self, call: CallKey, status: Status) {
        self.shared.outputs.push_back(Output::Fail(call, status));
    }

    fn forget(&mut self, call: CallKey) {
        if self.calls.remove(&call).is_some() {
            self.active_at = self.shared.now;
            self.queue.retain(|waiting| *waiting != call);
        }
    }

    /// Returns whether new calls go to this connection.
    #[must_use]
    pub fn is_ready(&self, id: ConnectionId) -> bool {
        self.balancer.is_ready(id)
    }

    /// Returns the number of calls, waiting and sent.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.len()
    }
}
