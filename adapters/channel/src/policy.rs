//! The choice of a connection: the one of pick_first, or those of round_robin in turn.

use halfclose::Time;

use crate::output::ConnectionId;
use crate::pick_first::{Address, PickFirst, Shared};
use crate::service_config::Policy;
use crate::state::Connectivity;

/// The policy of a channel over its addresses.
#[derive(Debug)]
pub(crate) struct Balancer<A> {
    policy: Policy,
    /// One list for pick_first; for round_robin one list for each address.
    children: Vec<(Option<A>, PickFirst<A>)>,
    turn: usize,
    /// Whether connections are needed.
    active: bool,
}

impl<A: Address> Balancer<A> {
    pub(crate) const fn new(policy: Policy) -> Self {
        Self { policy, children: Vec::new(), turn: 0, active: false }
    }

    pub(crate) const fn policy(&self) -> Policy {
        self.policy
    }

    /// Sets the addresses of a resolution.
    pub(crate) fn set_addresses(&mut self, shared: &mut Shared<A>, mut addresses: Vec<A>) {
        match self.policy {
            Policy::PickFirst { shuffle } => {
                if shuffle {
                    shuffle_addresses(shared, &mut addresses);
                }
                if self.children.is_empty() {
                    self.children.push((None, PickFirst::new()));
                }
                for (_, child) in &mut self.children {
                    child.set_addresses(shared, std::mem::take(&mut addresses));
                }
            }
            Policy::RoundRobin => {
                let mut before = std::mem::take(&mut self.children);
                for address in addresses {
                    if self.children.iter().any(|(known, _)| known.as_ref() == Some(&address)) {
                        continue;
                    }
                    let kept = before.iter().position(|(known, _)| known.as_ref() == Some(&address));
                    let child = match kept {
                        Some(at) => before.swap_remove(at).1,
                        None => {
                            let mut child = PickFirst::new();
                            child.set_addresses(shared, vec![address.clone()]);
                            child
                        }
                    };
                    self.children.push((Some(address), child));
                }
                for (_, mut gone) in before {
                    gone.stop(shared);
                }
            }
        }
        if self.active {
            self.exit_idle(shared);
        }
    }

    pub(crate) fn exit_idle(&mut self, shared: &mut Shared<A>) {
        self.active = true;
        for (_, child) in &mut self.children {
            child.exit_idle(shared);
        }
    }

    pub(crate) fn stop(&mut self, shared: &mut Shared<A>) {
        self.active = false;
        for (_, child) in &mut self.children {
            child.stop(shared);
        }
    }

    /// Returns READY if any connection is, else CONNECTING if any may become so, else TRANSIENT_FAILURE (A61,
    /// round_robin).
    pub(crate) fn state(&self) -> Connectivity {
        let any = |state| self.children.iter().any(|(_, child)| child.state() == state);
        if any(Connectivity::Ready) {
            Connectivity::Ready
        } else if any(Connectivity::Connecting) {
            Connectivity::Connecting
        } else if any(Connectivity::TransientFailure) || (self.children.is_empty() && self.active) {
            Connectivity::TransientFailure
        } else {
            Connectivity::Idle
        }
    }

    /// Returns the connection for the next call.
    pub(crate) fn pick(&mut self) -> Option<ConnectionId> {
        let ready: Vec<ConnectionId> = self.children.iter().filter_map(|(_, child)| child.ready()).collect();
        self.turn = self.turn.wrapping_add(1);
        ready.get(self.turn.checked_rem(ready.len())?).copied()
    }

    pub(crate) fn is_ready(&self, id: ConnectionId) -> bool {
        self.children.iter().any(|(_, child)| child.ready() == Some(id))
    }

    pub(crate) fn last_error(&self) -> &str {
        let said = self.children.iter().map(|(_, child)| child.last_error()).find(|error| !error.is_empty());
        said.unwrap_or("the name has no address")
    }

    pub(crate) fn connected(&mut self, shared: &mut Shared<A>, id: ConnectionId) -> bool {
        self.children.iter_mut().any(|(_, child)| child.connected(shared, id))
    }

    pub(crate) fn failed(&mut self, shared: &mut Shared<A>, id: ConnectionId, why: &str) -> bool {
        self.children.iter_mut().any(|(_, child)| child.failed(shared, id, why))
    }

    /// Handles the loss of a ready connection. round_robin connects again at once, pick_first when a connection is
    /// needed.
    pub(crate) fn gone(&mut self, shared: &mut Shared<A>, id: ConnectionId) -> bool {
        let Some((_, child)) = self.children.iter_mut().find(|(_, child)| child.ready() == Some(id)) else {
            return false;
        };
        child.gone(shared, id);
        match self.policy {
            Policy::RoundRobin => child.exit_idle(shared),
            Policy::PickFirst { .. } => self.active = false,
        }
        true
    }

    pub(crate) fn is_idle(&self) -> bool {
        !self.active || self.children.iter().all(|(_, child)| child.is_idle())
    }

    pub(crate) fn timeout(&self) -> Time {
        self.children.iter().map(|(_, child)| child.timeout()).fold(Time::MAX, Time::min)
    }

    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared<A>) {
        for (_, child) in &mut self.children {
            child.handle_timeout(shared);
        }
    }
}

/// Shuffles the addresses by Fisher and Yates.
fn shuffle_addresses<A>(shared: &mut Shared<A>, addresses: &mut [A]) {
    for last in (1..addresses.len()).rev() {
        let other = shared.random.below(last.saturating_add(1));
        addresses.swap(last, other);
    }
}
