//! The connection that a driver shares with the calls on it, and how each wakes the other.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use atomic_waker::AtomicWaker;
use halfclose::{CallId, Client, Connection, Event, LazyRecv, Metadata, Misuse, Outcome, Recv, Role, Time};

use crate::info::ConnectionInfo;
use crate::memory::Lease;
use crate::outside::{self, Locked};
use crate::wakers::{WaitPlace, Waiter, WakerSet};

/// The decompression work of one round, in the unit of `Decompression::work`. After it the driver and its executor
/// get their turn. It takes about half a millisecond, and a few milliseconds for input made to be slow.
pub(crate) const DECOMPRESSION_PER_ROUND: u64 = 1024 * 1024;

/// Wakes a driver whose connection has work for it.
///
/// While the driver runs, or once it has been signalled, another signal costs one atomic exchange.
#[derive(Default)]
pub(crate) struct Signal {
    told: AtomicBool,
    driver: AtomicWaker,
}

impl Signal {
    /// Wakes the driver to look at its connection.
    #[inline]
    pub(crate) fn tell(&self) {
        if !self.told.swap(true, Ordering::AcqRel) {
            self.driver.take().into_iter().for_each(outside::wake);
        }
    }

    /// Returns whether a signal would have no effect.
    ///
    /// Under the connection's lock the answer holds for everything done under that lock: after the driver declares
    /// that it sleeps, it looks at the connection under the lock, so it sees what was done earlier, and later callers
    /// see that it sleeps.
    #[inline]
    fn is_told(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }

    /// Declares that the driver is about to sleep, so that `tell` wakes it. The driver has to look at the connection
    /// once more after this, for earlier signals.
    pub(crate) fn sleep(&self, waker: &Waker) {
        self.driver.register(waker);
        // A swap, as in `tell`: whichever of the two is second sees everything that preceded the first.
        self.told.swap(false, Ordering::AcqRel);
    }

    /// Declares that the driver is awake and needs no waking. Returns whether it was signalled.
    pub(crate) fn awake(&self) -> bool {
        self.told.swap(true, Ordering::AcqRel)
    }

    /// Forgets the driver's task, which has ended and needs no waking.
    pub(crate) fn leave(&self) {
        self.told.store(true, Ordering::Release);
        drop(self.driver.take());
    }
}

/// The half of a call that a task waits for.
#[derive(Clone, Copy)]
pub(crate) enum CallHalf {
    Receive,
    Send,
}

/// The tasks that wait for a call, and the trailers that its handler has set.
#[derive(Default)]
struct Waiting {
    receiver: Option<Waker>,
    sender: Option<Waker>,
    trailers: Option<Box<Metadata>>,
    /// Whether the receiver waits for the next round rather than for the peer.
    deferred: bool,
}

/// Wakers that leave the lock before they are used. Waking or dropping one runs foreign code, which may call back
/// here: an executor may drop a call's future with its last waker, and that gives a command.
#[derive(Default)]
pub(crate) struct Wakers {
    /// The wakers to wake.
    called: Vec<Waker>,
    /// The wakers to drop.
    stale: Vec<Waker>,
    /// The drivers to signal.
    told: Vec<Arc<Signal>>,
}

impl Wakers {
    fn is_empty(&self) -> bool {
        self.called.is_empty() && self.stale.is_empty() && self.told.is_empty()
    }

    /// Wakes and drops the wakers. Never called under the lock.
    #[inline]
    pub(crate) fn release(&mut self) {
        self.called.drain(..).for_each(outside::wake);
        self.stale.drain(..).for_each(outside::discard_waker);
        self.told.drain(..).for_each(|signal| signal.tell());
    }
}

/// A connection, and the tasks that wait for its calls.
pub struct State<R: Role> {
    pub(crate) connection: Connection<R>,
    /// The wakers to wake or drop once the lock is free.
    wakers: Wakers,
    /// The waiting tasks, by slot of the call.
    waiting: Vec<Waiting>,
    /// The decompression work done in this round.
    decompressed: u64,
    /// The slots of calls whose receivers wait for the next round.
    deferred: Vec<usize>,
    /// The latest time at which the sleeping driver wakes.
    wake_at: Time,
    /// The tasks that wait for the driver's end; `gone` says whether it has ended.
    closing: WakerSet,
    gone: bool,
}

impl<R: Role> State<R> {
    fn waiting(&mut self, call: CallId) -> Option<&mut Waiting> {
        self.waiting.get_mut(call.slot())
    }

    fn waiting_or_new(&mut self, call: CallId) -> Option<&mut Waiting> {
        if self.waiting.len() <= call.slot() {
            self.waiting.resize_with(call.slot().saturating_add(1), Waiting::default);
        }
        self.waiting(call)
    }

    /// Returns what the caller of a call receives next, never [`Recv::Pending`](halfclose::Recv::Pending). On
    /// `Poll::Pending` the waiter is woken when there is something, or when more may be decompressed.
    #[inline]
    pub(crate) fn poll_recv(
        &mut self,
        call: CallId,
        waiter: &mut Waiter<'_>,
    ) -> Poll<Result<LazyRecv, Misuse>> {
        if self.is_sated() && self.connection.states(call).is_ok() {
            return self.defer(call, waiter);
        }
        match self.connection.recv_lazily(call) {
            Ok(LazyRecv::Plain(Recv::Pending)) => {
                self.wait_to_receive(call, waiter);
                Poll::Pending
            }
            received => {
                // A receiver that was polled without a wake no longer waits. The slot of a call that is gone may
                // belong to another.
                if received.is_ok() && !self.waiting.is_empty() {
                    self.forget(call, CallHalf::Receive);
                }
                Poll::Ready(received)
            }
        }
    }

    /// Returns how much more may be decompressed in this round, in the unit of `Decompression::work`. On
    /// `Poll::Pending` the waiter is woken in the next round.
    pub(crate) fn poll_decompress(
        &mut self,
        call: CallId,
        waiter: &mut Waiter<'_>,
    ) -> Poll<Result<u64, Misuse>> {
        if let Err(misuse) = self.connection.states(call) {
            return Poll::Ready(Err(misuse));
        }
        if self.is_sated() {
            return self.defer(call, waiter);
        }
        Poll::Ready(Ok(DECOMPRESSION_PER_ROUND.saturating_sub(self.decompressed).max(1)))
    }

    /// Counts decompression work.
    pub(crate) fn add_decompressed(&mut self, work: u64) {
        self.decompressed = self.decompressed.saturating_add(work);
    }

    /// Returns whether this round's decompression work is used up. Without a driver there are no rounds.
    #[inline]
    pub(crate) fn is_sated(&self) -> bool {
        self.decompressed >= DECOMPRESSION_PER_ROUND && !self.gone
    }

    #[cold]
    fn defer<T>(&mut self, call: CallId, waiter: &mut Waiter<'_>) -> Poll<T> {
        self.wait_to_receive(call, waiter);
        if let Some(waiting) = self.waiting(call)
            && !std::mem::replace(&mut waiting.deferred, true)
        {
            self.deferred.push(call.slot());
        }
        Poll::Pending
    }

    /// Returns whether calls wait for the next round.
    #[inline]
    pub(crate) fn is_deferring(&self) -> bool {
        !self.deferred.is_empty()
    }

    /// Begins a round of the driver, in which more may be decompressed.
    #[inline]
    pub(crate) fn begin_round(&mut self) {
        self.decompressed = 0;
        if self.is_deferring() {
            self.wake_deferred();
        }
    }

    #[cold]
    fn wake_deferred(&mut self) {
        // Only the deferred calls are visited, because a peer decides how often that happens.
        for slot in self.deferred.drain(..) {
            if let Some(waiting) = self.waiting.get_mut(slot)
                && std::mem::take(&mut waiting.deferred)
            {
                self.wakers.called.extend(waiting.receiver.take());
            }
        }
    }

    /// Registers the waiter for when there is something to receive.
    fn wait_to_receive(&mut self, call: CallId, waiter: &mut Waiter<'_>) {
        if let Some(waiting) = self.waiting_or_new(call) {
            let stale = waiter.wait_in(&mut waiting.receiver);
            self.wakers.stale.extend(stale);
        }
    }

    /// Registers the waiter for when there is buffer space.
    pub(crate) fn wait_to_send(&mut self, call: CallId, waiter: &mut Waiter<'_>) {
        if let Some(waiting) = self.waiting_or_new(call) {
            let stale = waiter.wait_in(&mut waiting.sender);
            self.wakers.stale.extend(stale);
        }
    }

    /// Forgets the task that waits for one half of a call.
    fn forget(&mut self, call: CallId, half: CallHalf) {
        if let Some(waiting) = self.waiting(call) {
            let waker = match half {
                CallHalf::Receive => waiting.receiver.take(),
                CallHalf::Send => waiting.sender.take(),
            };
            self.wakers.stale.extend(waker);
        }
    }

    /// Keeps metadata for the trailers of a server's call.
    pub(crate) fn add_trailers(&mut self, call: CallId, metadata: &Metadata) {
        if self.connection.states(call).is_ok()
            && let Some(waiting) = self.waiting_or_new(call)
        {
            waiting.trailers.get_or_insert_default().merge(metadata);
        }
    }

    /// Returns the metadata that was kept for the trailers.
    pub(crate) fn take_trailers(&mut self, call: CallId) -> Metadata {
        let kept = self.waiting(call).and_then(|waiting| waiting.trailers.take());
        kept.map_or_else(Metadata::new, |trailers| *trailers)
    }

    /// Wakes the tasks that an event concerns, once the lock is free.
    #[inline]
    pub(crate) fn wake(&mut self, event: &Event) {
        // If handlers answer at once, no task ever waits.
        if !self.waiting.is_empty() {
            self.wake_waiting(event);
        }
    }

    fn wake_waiting(&mut self, event: &Event) {
        match event {
            Event::Readable(call) | Event::Response(call) => {
                let waker = self.waiting(*call).and_then(|waiting| waiting.receiver.take());
                self.wakers.called.extend(waker);
            }
            Event::Writable(call) => {
                let waker = self.waiting(*call).and_then(|waiting| waiting.sender.take());
                self.wakers.called.extend(waker);
            }
            Event::Ended(call, _) => self.wake_ended(*call),
            Event::Closed(_) => self.wake_all(),
            _ => {}
        }
    }

    /// Wakes both halves of a call that is over.
    pub(crate) fn wake_ended(&mut self, call: CallId) {
        if let Some(waiting) = self.waiting(call) {
            let Waiting { receiver, sender, .. } = std::mem::take(waiting);
            self.wakers.called.extend(receiver);
            self.wakers.called.extend(sender);
        }
    }

    /// Settles the connection's memory with its budget, if that is due.
    #[inline]
    pub(crate) fn settle_memory(&mut self, lease: &mut Lease, now: Time) {
        if lease.is_due(&self.connection) {
            lease.settle(&mut self.connection, now, &mut self.wakers.told);
        }
    }

    /// Adds a waker to those that are woken once the lock is free.
    pub(crate) fn wake_later(&mut self, waker: Option<Waker>) {
        self.wakers.called.extend(waker);
    }

    /// Returns whether there are wakers to wake or drop.
    #[inline]
    pub(crate) fn has_wakers(&self) -> bool {
        !self.wakers.is_empty()
    }

    /// Moves the wakers to wake or drop into `into`, which is empty.
    #[inline]
    pub(crate) fn take_wakers(&mut self, into: &mut Wakers) {
        if !self.wakers.is_empty() {
            std::mem::swap(&mut self.wakers, into);
        }
    }

    /// Records that the driver has ended and the transport is closed.
    pub(crate) fn driver_gone(&mut self) {
        self.gone = true;
        self.wake_deferred();
        self.wakers.called.extend(self.closing.take());
    }

    /// Waits until the driver has ended.
    pub(crate) fn poll_gone(&mut self, place: &mut WaitPlace, waiter: &mut Waiter<'_>) -> Poll<()> {
        if self.gone {
            return Poll::Ready(());
        }
        let stale = self.closing.wait(place, waiter);
        self.wakers.stale.extend(stale);
        Poll::Pending
    }

    /// Forgets a task that no longer waits for the driver's end.
    pub(crate) fn leave_closing(&mut self, place: &mut WaitPlace) {
        let waker = self.closing.leave(place);
        self.wakers.stale.extend(waker);
    }

    /// Returns whether the driver has something to do. That includes a timer earlier than the one that it sleeps for:
    /// a command may set one and write nothing.
    #[inline]
    fn has_work(&self) -> bool {
        self.connection.wants_transmit()
            || self.connection.has_events()
            || self.is_deferring()
            || self.connection.wants_memory()
            || self.connection.poll_timeout().is_some_and(|(at, _)| at < self.wake_at)
    }

    /// Records the latest time at which the driver wakes.
    #[inline]
    pub(crate) fn sleeps_until(&mut self, at: Time) {
        self.wake_at = at;
    }

    fn wake_all(&mut self) {
        for waiting in &mut self.waiting {
            self.wakers.called.extend(waiting.receiver.take());
            self.wakers.called.extend(waiting.sender.take());
        }
    }

    /// Frees memory that only serves speed.
    pub(crate) fn shrink(&mut self) {
        self.connection.shrink();
        if self.connection.is_idle() {
            for waiting in std::mem::take(&mut self.waiting) {
                self.wakers.stale.extend(waiting.receiver);
                self.wakers.stale.extend(waiting.sender);
            }
            self.deferred = Vec::new();
        }
        self.wakers.called.shrink_to_fit();
        self.wakers.stale.shrink_to_fit();
    }
}

impl State<Client> {
    /// Releases a call and wakes its other half, which may belong to another task.
    pub(crate) fn release(&mut self, call: CallId) -> Option<Outcome> {
        let outcome = self.connection.release(call)?;
        self.wake_ended(call);
        Some(outcome)
    }
}

/// A locked connection.
///
/// No foreign code runs while it is locked. Messages whose owners are foreign code are dropped just after it is
/// unlocked.
pub(crate) struct LockedState<'a, R: Role> {
    // The fields are dropped in this order.
    state: MutexGuard<'a, State<R>>,
    _locked: Locked,
}

impl<R: Role> Deref for LockedState<'_, R> {
    type Target = State<R>;

    #[inline]
    fn deref(&self) -> &State<R> {
        &self.state
    }
}

impl<R: Role> DerefMut for LockedState<'_, R> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State<R> {
        &mut self.state
    }
}

/// Unlocks the connection, and then wakes and drops the pending wakers.
#[inline]
pub(crate) fn unlock<R: Role>(state: LockedState<'_, R>) {
    if state.has_wakers() {
        release(state);
    }
}

#[cold]
fn release<R: Role>(mut state: LockedState<'_, R>) {
    let mut wakers = Wakers::default();
    state.take_wakers(&mut wakers);
    drop(state);
    wakers.release();
}

/// A connection shared by its driver and its calls.
pub struct Shared<R: Role> {
    state: Mutex<State<R>>,
    pub(crate) signal: Arc<Signal>,
    now: Box<dyn Fn() -> Time + Send + Sync>,
    /// The properties of the connection, if they were set.
    pub(crate) info: OnceLock<Box<ConnectionInfo>>,
}

impl<R: Role> Shared<R> {
    pub(crate) fn new(connection: Connection<R>, now: Box<dyn Fn() -> Time + Send + Sync>) -> Arc<Self> {
        let state = Mutex::new(State {
            connection,
            wakers: Wakers::default(),
            waiting: Vec::new(),
            decompressed: 0,
            deferred: Vec::new(),
            wake_at: Time::MAX,
            closing: WakerSet::default(),
            gone: false,
        });
        Arc::new(Self { state, signal: Arc::default(), now, info: OnceLock::new() })
    }

    /// Locks the connection for a short time: never across an await, and never while foreign code runs. A caller that
    /// causes wakers to leave takes them with [`State::take_wakers`]; any that remain leave with the next command or
    /// round.
    #[inline]
    pub(crate) fn lock(&self) -> LockedState<'_, R> {
        let locked = Locked::new();
        // Foreign code does not run under the lock and the core does not panic, so the lock cannot be poisoned.
        LockedState { state: self.state.lock().unwrap_or_else(PoisonError::into_inner), _locked: locked }
    }

    /// Returns whether the lock is held.
    #[cfg(test)]
    pub(crate) fn is_locked(&self) -> bool {
        self.state.try_lock().is_err()
    }

    /// Returns the time by the driver's clock.
    pub(crate) fn now(&self) -> Time {
        (self.now)()
    }

    /// Runs a command on the connection, and signals the driver if it has something to send or report now.
    #[inline]
    pub(crate) fn command<T>(&self, command: impl FnOnce(&mut State<R>) -> T) -> T {
        let mut state = self.lock();
        let result = command(&mut state);
        let work = !self.signal.is_told() && state.has_work();
        unlock(state);
        if work {
            self.signal.tell();
        }
        result
    }
}

impl<R: Role> Shared<R> {
    /// Runs a command that may have to wait, and then leaves the task's waker. It runs once more if it needs a waker
    /// that has not been cloned yet, because cloning runs foreign code, which is not allowed under the lock.
    #[inline]
    pub(crate) fn poll_command<T>(
        &self,
        cx: &Context<'_>,
        mut command: impl FnMut(&mut State<R>, &mut Waiter<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let mut waiter = Waiter::new(cx.waker());
        loop {
            let polled = self.command(|state| command(state, &mut waiter));
            if polled.is_ready() || !waiter.clone_if_wanted() {
                return polled;
            }
        }
    }

    /// Forgets the task that waited for one half of a call, because its future was dropped.
    pub(crate) fn forget_waker(&self, call: CallId, half: CallHalf) {
        self.command(|state| {
            // The slot of a call that is gone may belong to another call now.
            if state.connection.states(call).is_ok() {
                state.forget(call, half);
            }
        });
    }
}

impl<R: Role> fmt::Debug for Shared<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
