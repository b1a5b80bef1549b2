//! The machine of a channel, shared by its driver and its calls.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use atomic_waker::AtomicWaker;
use halfclose::{Seed, Status, Time};
use halfclose_channel::{
    CallKey, CallStart, ChannelConfig, ChannelMachine, ConnectionId, Connectivity, Output,
};

use crate::client::Channel;

/// The connection that a call is assigned to.
#[derive(Clone, Debug)]
pub(super) struct Assigned {
    pub(super) channel: Channel,
    pub(super) connection: ConnectionId,
    pub(super) previous_attempts: u32,
}

/// A call that waits, or has its answer.
#[derive(Default)]
struct WaitingCall {
    answer: Option<Result<Assigned, Status>>,
    waker: Option<Waker>,
}

pub(super) struct Inside {
    machine: ChannelMachine<SocketAddr>,
    /// The connections that are open.
    channels: BTreeMap<ConnectionId, Channel>,
    calls: BTreeMap<CallKey, WaitingCall>,
    next: u64,
    /// The actions that the driver has still to carry out.
    todo: VecDeque<Output<SocketAddr>>,
    /// Tasks that wait for another state.
    watching: Vec<Waker>,
}

/// The state that a channel and its driver share.
pub(super) struct ManagedShared {
    inside: Mutex<Inside>,
    driver: AtomicWaker,
    now: Box<dyn Fn() -> Time + Send + Sync>,
}

impl ManagedShared {
    pub(super) fn new(config: ChannelConfig, seed: Seed, now: Box<dyn Fn() -> Time + Send + Sync>) -> Self {
        let inside = Inside {
            machine: ChannelMachine::new(config, seed),
            channels: BTreeMap::new(),
            calls: BTreeMap::new(),
            next: 0,
            todo: VecDeque::new(),
            watching: Vec::new(),
        };
        Self { inside: Mutex::new(inside), driver: AtomicWaker::new(), now }
    }

    pub(super) fn now(&self) -> Time {
        (self.now)()
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        // No foreign code runs under the lock.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the machine an input, and distributes its actions.
    pub(super) fn input<T>(&self, input: impl FnOnce(&mut ChannelMachine<SocketAddr>, Time) -> T) -> T {
        self.with(|inside, now| input(&mut inside.machine, now))
    }

    /// Runs `input` as [`input`](Self::input) does, with the whole state.
    pub(super) fn with<T>(&self, input: impl FnOnce(&mut Inside, Time) -> T) -> T {
        let now = self.now();
        let mut inside = self.lock();
        let timer = inside.machine.poll_timeout();
        let result = input(&mut inside, now);
        let mut woken = inside.pass_on();
        // The driver sleeps until the timer that it knows.
        let work = !inside.todo.is_empty() || inside.machine.poll_timeout() != timer;
        drop(inside);
        woken.drain(..).for_each(Waker::wake);
        if work {
            self.driver.wake();
        }
        result
    }

    /// Starts a call.
    pub(super) fn start(&self, start: CallStart) -> CallKey {
        self.with(|inside, now| {
            inside.next = inside.next.wrapping_add(1);
            let key = CallKey(inside.next);
            inside.calls.insert(key, WaitingCall::default());
            inside.machine.start(now, key, start);
            key
        })
    }

    pub(super) fn cancel(&self, key: CallKey) {
        let gone = self.with(|inside, now| {
            inside.machine.cancel(now, key);
            inside.calls.remove(&key)
        });
        drop(gone);
    }

    pub(super) fn forget(&self, key: CallKey) {
        let gone = self.lock().calls.remove(&key);
        drop(gone);
    }

    pub(super) fn deadline(&self, key: CallKey) -> Option<Time> {
        self.lock().machine.settings(key)?.1
    }

    /// Waits until a call has a connection, or an end.
    pub(super) fn poll_assigned(&self, key: CallKey, waker: &Waker) -> Poll<Result<Assigned, Status>> {
        let mut inside = self.lock();
        let Some(call) = inside.calls.get_mut(&key) else {
            return Poll::Ready(Err(Status::internal("the call is not known to its channel")));
        };
        if let Some(answer) = call.answer.take() {
            let stale = call.waker.take();
            let gone = if answer.is_err() { inside.calls.remove(&key) } else { None };
            drop(inside);
            drop((stale, gone));
            return Poll::Ready(answer);
        }
        let stale = match &call.waker {
            Some(known) if known.will_wake(waker) => None,
            _ => call.waker.replace(waker.clone()),
        };
        drop(inside);
        drop(stale);
        Poll::Pending
    }

    /// Waits until the state differs from `last`.
    pub(super) fn poll_state(&self, last: Connectivity, waker: &Waker) -> Poll<Connectivity> {
        let mut inside = self.lock();
        let state = inside.machine.state();
        if state != last {
            return Poll::Ready(state);
        }
        if !inside.watching.iter().any(|known| known.will_wake(waker)) {
            inside.watching.push(waker.clone());
        }
        Poll::Pending
    }

    /// Registers the driver's waker for the next action; check for actions after this.
    pub(super) fn register(&self, waker: &Waker) {
        self.driver.register(waker);
    }

    /// Returns the next action for the driver.
    pub(super) fn next_todo(&self) -> Option<Output<SocketAddr>> {
        self.lock().todo.pop_front()
    }

    pub(super) fn has_todo(&self) -> bool {
        !self.lock().todo.is_empty()
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.lock().machine.poll_timeout()
    }

    /// Records that a connection is made.
    pub(super) fn connected(&self, id: ConnectionId, channel: Channel) {
        self.with(|inside, now| {
            inside.channels.insert(id, channel);
            inside.machine.connected(now, id);
        });
    }

    /// Removes a connection that accepts no new calls, or is over. Returns it.
    pub(super) fn remove(&self, id: ConnectionId) -> Option<Channel> {
        self.lock().channels.remove(&id)
    }
}

impl Inside {
    /// Answers calls, and leaves the other actions to the driver. Returns the wakers to wake.
    fn pass_on(&mut self) -> Vec<Waker> {
        let mut woken = Vec::new();
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Assign { call, connection, previous_attempts } => {
                    let channel = self.channels.get(&connection).cloned();
                    let answer = channel
                        .map(|channel| Assigned { channel, connection, previous_attempts })
                        .ok_or_else(|| Status::internal("the call was given to a connection that is gone"));
                    self.answer(call, answer, &mut woken);
                }
                Output::Fail(call, status) => self.answer(call, Err(status), &mut woken),
                Output::State(_) => woken.append(&mut self.watching),
                other => self.todo.push_back(other),
            }
        }
        woken
    }

    fn answer(&mut self, call: CallKey, answer: Result<Assigned, Status>, woken: &mut Vec<Waker>) {
        if let Some(waiting) = self.calls.get_mut(&call) {
            waiting.answer = Some(answer);
            woken.extend(waiting.waker.take());
        }
    }
}
