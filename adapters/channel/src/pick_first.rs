//! One connection at a time, to the first address that answers: pick_first with Happy Eyeballs (gRFC A61, A62; RFC 8305).

use std::collections::VecDeque;
use std::time::Duration;

use halfclose::Time;

use crate::backoff::{Backoff, BackoffConfig};
use crate::output::{ConnectionId, Output};
use crate::random::Random;
use crate::state::Connectivity;

/// The operations of a server's address.
pub trait Address: Clone + PartialEq {
    /// Returns whether it is an IPv6 address; the families take turns (RFC 8305 §4).
    fn is_ipv6(&self) -> bool;
}

impl Address for std::net::SocketAddr {
    fn is_ipv6(&self) -> bool {
        Self::is_ipv6(self)
    }
}

/// The state that all policies of a channel share.
#[derive(Debug)]
pub(crate) struct Shared<A> {
    pub(crate) now: Time,
    pub(crate) random: Random,
    pub(crate) backoff: BackoffConfig,
    pub(crate) attempt_delay: Duration,
    pub(crate) outputs: VecDeque<Output<A>>,
    /// Whether a policy needs the name to be resolved again.
    pub(crate) wants_addresses: bool,
    next: u64,
}

impl<A> Shared<A> {
    pub(crate) const fn new(random: Random, backoff: BackoffConfig, attempt_delay: Duration) -> Self {
        Self {
            now: Time::ZERO,
            random,
            backoff,
            attempt_delay,
            outputs: VecDeque::new(),
            wants_addresses: false,
            next: 0,
        }
    }

    fn new_connection(&mut self) -> ConnectionId {
        self.next = self.next.wrapping_add(1);
        ConnectionId(self.next)
    }
}

/// The state of the connection to one address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Subchannel {
    Idle,
    Connecting {
        id: ConnectionId,
        /// When the attempt times out.
        until: Time,
        /// When the next attempt may start.
        again: Time,
    },
    Ready(ConnectionId),
    /// It failed, and is not tried before this time.
    Failed(Time),
}

#[derive(Clone, Debug)]
struct Candidate<A> {
    address: A,
    subchannel: Subchannel,
    backoff: Backoff,
    /// Whether it has failed since the pass began.
    failed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Idle,
    /// The first pass over the addresses (A61): the next address, and when it is tried although other attempts are
    /// pending.
    Pass {
        next: usize,
        at: Time,
    },
    Ready(ConnectionId),
    /// All have failed; each is tried again at its own time (A61).
    Failing,
}

/// The policy, for one list of addresses.
#[derive(Clone, Debug)]
pub(crate) struct PickFirst<A> {
    candidates: Vec<Candidate<A>>,
    phase: Phase,
    /// Whether TRANSIENT_FAILURE is reported until a connection is ready (A62).
    sticky: bool,
    /// Attempts that failed since the end of the pass.
    failures: usize,
    last_error: String,
}

impl<A: Address> PickFirst<A> {
    pub(crate) const fn new() -> Self {
        Self {
            candidates: Vec::new(),
            phase: Phase::Idle,
            sticky: false,
            failures: 0,
            last_error: String::new(),
        }
    }

    pub(crate) const fn state(&self) -> Connectivity {
        match self.phase {
            Phase::Ready(_) => Connectivity::Ready,
            _ if self.sticky => Connectivity::TransientFailure,
            Phase::Pass { .. } => Connectivity::Connecting,
            Phase::Failing => Connectivity::TransientFailure,
            Phase::Idle => Connectivity::Idle,
        }
    }

    /// Returns whether no attempt is pending, whatever state is reported.
    pub(crate) fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    pub(crate) const fn ready(&self) -> Option<ConnectionId> {
        match self.phase {
            Phase::Ready(id) => Some(id),
            _ => None,
        }
    }

    pub(crate) fn last_error(&self) -> &str {
        &self.last_error
    }

    /// Sets the addresses of a resolution. A ready connection to an address that remains is kept.
    pub(crate) fn set_addresses(&mut self, shared: &mut Shared<A>, addresses: Vec<A>) {
        let mut before = std::mem::take(&mut self.candidates);
        for address in interleaved(addresses) {
            if self.candidates.iter().any(|known| known.address == address) {
                continue;
            }
            let kept = before.iter().position(|known| known.address == address);
            let candidate = kept.map(|at| before.swap_remove(at)).unwrap_or(Candidate {
                address,
                subchannel: Subchannel::Idle,
                backoff: Backoff::default(),
                failed: false,
            });
            self.candidates.push(candidate);
        }
        for gone in before {
            match gone.subchannel {
                Subchannel::Connecting { id, .. } => shared.outputs.push_back(Output::Abandon(id)),
                Subchannel::Ready(id) => {
                    shared.outputs.push_back(Output::Drain(id));
                    self.phase = Phase::Idle;
                }
                _ => {}
            }
        }
        match self.phase {
            Phase::Pass { .. } | Phase::Failing => self.begin(shared),
            Phase::Idle | Phase::Ready(_) => {}
        }
    }

    /// Begins to connect, unless an attempt is pending.
    pub(crate) fn exit_idle(&mut self, shared: &mut Shared<A>) {
        if self.phase == Phase::Idle {
            self.begin(shared);
        }
    }

    /// Begins a pass.
    fn begin(&mut self, shared: &mut Shared<A>) {
        for candidate in &mut self.candidates {
            candidate.failed = false;
        }
        self.phase = Phase::Pass { next: 0, at: Time::MAX };
        self.advance(shared);
    }

    /// Proceeds to the next address that can be tried.
    fn advance(&mut self, shared: &mut Shared<A>) {
        let Phase::Pass { mut next, .. } = self.phase else { return };
        let mut under_way = false;
        while let (Some(candidate), false) = (self.candidates.get_mut(next), under_way) {
            next = next.saturating_add(1);
            match candidate.subchannel {
                Subchannel::Idle => {
                    candidate.connect(shared);
                    under_way = true;
                }
                // Another pass has started this attempt, which gets its time.
                Subchannel::Connecting { .. } => under_way = true,
                // A61: an address that has failed is skipped at once.
                Subchannel::Failed(_) => candidate.failed = true,
                Subchannel::Ready(id) => return self.select(shared, id),
            }
        }
        let timed = under_way && next < self.candidates.len();
        let at = if timed { shared.now + shared.attempt_delay } else { Time::MAX };
        self.phase = Phase::Pass { next, at };
        self.end_pass(shared);
    }

    /// Ends the pass, if every address has failed in it.
    fn end_pass(&mut self, shared: &mut Shared<A>) {
        if !self.candidates.iter().all(|candidate| candidate.failed) {
            return;
        }
        self.phase = Phase::Failing;
        self.sticky = true;
        self.failures = 0;
        shared.wants_addresses = true;
        if self.candidates.is_empty() {
            self.last_error = "the name has no address".to_owned();
        }
        for candidate in &mut self.candidates {
            if candidate.subchannel == Subchannel::Idle {
                candidate.connect(shared);
            }
        }
    }

    /// Handles a successful attempt. Returns whether it was one of these.
    pub(crate) fn connected(&mut self, shared: &mut Shared<A>, id: ConnectionId) -> bool {
        let Some(candidate) = self.candidates.iter_mut().find(|candidate| candidate.is_connecting(id)) else {
            return false;
        };
        candidate.subchannel = Subchannel::Ready(id);
        candidate.backoff.reset();
        self.select(shared, id);
        true
    }

    /// Selects the first connection that is ready, and gives up the others (A61).
    fn select(&mut self, shared: &mut Shared<A>, id: ConnectionId) {
        self.phase = Phase::Ready(id);
        self.sticky = false;
        for candidate in &mut self.candidates {
            candidate.failed = false;
            match candidate.subchannel {
                Subchannel::Ready(selected) if selected == id => continue,
                Subchannel::Connecting { id, .. } => shared.outputs.push_back(Output::Abandon(id)),
                _ => {}
            }
            candidate.subchannel = Subchannel::Idle;
            candidate.backoff.reset();
        }
    }

    /// Handles a failed attempt. Returns whether it was one of these.
    pub(crate) fn failed(&mut self, shared: &mut Shared<A>, id: ConnectionId, why: &str) -> bool {
        let Some(index) = self.candidates.iter().position(|candidate| candidate.is_connecting(id)) else {
            return false;
        };
        self.last_error = why.to_owned();
        if let Some(candidate) = self.candidates.get_mut(index) {
            candidate.fail();
        }
        match self.phase {
            // It was the last attempt that was started, so there is nothing to wait for.
            Phase::Pass { next, .. } if next == index.saturating_add(1) => self.advance(shared),
            Phase::Pass { .. } => self.end_pass(shared),
            Phase::Failing => {
                self.failures = self.failures.saturating_add(1);
                // A61: once as many attempts have failed as there are addresses.
                if self.failures >= self.candidates.len() {
                    self.failures = 0;
                    shared.wants_addresses = true;
                }
            }
            Phase::Idle | Phase::Ready(_) => {}
        }
        true
    }

    /// Handles the end of the ready connection, or that it accepts no new calls. Returns whether it was one of these.
    pub(crate) fn gone(&mut self, shared: &mut Shared<A>, id: ConnectionId) -> bool {
        if self.phase != Phase::Ready(id) {
            return false;
        }
        self.phase = Phase::Idle;
        shared.wants_addresses = true;
        for candidate in &mut self.candidates {
            candidate.subchannel = Subchannel::Idle;
        }
        true
    }

    /// Ends all attempts; the ready connection ends with its last call.
    pub(crate) fn stop(&mut self, shared: &mut Shared<A>) {
        for candidate in &mut self.candidates {
            match candidate.subchannel {
                Subchannel::Connecting { id, .. } => shared.outputs.push_back(Output::Abandon(id)),
                Subchannel::Ready(id) => shared.outputs.push_back(Output::Drain(id)),
                _ => {}
            }
            candidate.subchannel = Subchannel::Idle;
        }
        self.phase = Phase::Idle;
        self.sticky = false;
    }

    pub(crate) fn timeout(&self) -> Time {
        let delay = match self.phase {
            Phase::Pass { at, .. } => at,
            _ => Time::MAX,
        };
        self.candidates.iter().map(Candidate::timeout).fold(delay, Time::min)
    }

    /// Handles everything that is due.
    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared<A>) {
        let now = shared.now;
        let late: Vec<_> = self.candidates.iter().filter_map(|candidate| candidate.late(now)).collect();
        for id in late {
            shared.outputs.push_back(Output::Abandon(id));
            self.failed(shared, id, "the attempt to connect took too long");
        }
        if matches!(self.phase, Phase::Pass { at, .. } if at <= now) {
            self.advance(shared);
        }
        for candidate in &mut self.candidates {
            if matches!(candidate.subchannel, Subchannel::Failed(until) if until <= now) {
                candidate.subchannel = Subchannel::Idle;
            }
            if self.phase == Phase::Failing && candidate.subchannel == Subchannel::Idle {
                candidate.connect(shared);
            }
        }
    }

    /// Returns the number of pending attempts.
    #[cfg(test)]
    pub(crate) fn attempts(&self) -> Vec<ConnectionId> {
        let id = |candidate: &Candidate<A>| match candidate.subchannel {
            Subchannel::Connecting { id, .. } => Some(id),
            _ => None,
        };
        self.candidates.iter().filter_map(id).collect()
    }
}

impl<A: Address> Candidate<A> {
    fn connect(&mut self, shared: &mut Shared<A>) {
        let id = shared.new_connection();
        let pause = self.backoff.next(&shared.backoff, &mut shared.random);
        let until = shared.now + pause.max(shared.backoff.least_attempt);
        self.subchannel = Subchannel::Connecting { id, until, again: shared.now + pause };
        shared.outputs.push_back(Output::Connect(id, self.address.clone()));
    }

    fn is_connecting(&self, which: ConnectionId) -> bool {
        matches!(self.subchannel, Subchannel::Connecting { id, .. } if id == which)
    }

    fn fail(&mut self) {
        self.failed = true;
        if let Subchannel::Connecting { again, .. } = self.subchannel {
            self.subchannel = Subchannel::Failed(again);
        }
    }

    const fn timeout(&self) -> Time {
        match self.subchannel {
            Subchannel::Connecting { until, .. } => until,
            Subchannel::Failed(until) => until,
            Subchannel::Idle | Subchannel::Ready(_) => Time::MAX,
        }
    }

    fn late(&self, now: Time) -> Option<ConnectionId> {
        match self.subchannel {
            Subchannel::Connecting { id, until, .. } if until <= now => Some(id),
            _ => None,
        }
    }
}

/// Returns the addresses with the families taking turns, starting with that of the first (RFC 8305 §4).
fn interleaved<A: Address>(addresses: Vec<A>) -> Vec<A> {
    let first = addresses.first().is_some_and(Address::is_ipv6);
    let (one, other): (Vec<A>, Vec<A>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut mixed = Vec::new();
    loop {
        let (next, after) = (one.next(), other.next());
        if next.is_none() && after.is_none() {
            return mixed;
        }
        mixed.extend(next);
        mixed.extend(after);
    }
}

#[cfg(test)]
#[path = "pick_first/tests.rs"]
mod tests;
