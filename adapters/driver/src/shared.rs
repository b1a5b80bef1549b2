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

/// Messages are taken until they have cost so much to decompress, in the unit of `Decompression::work`; then the driver
/// and its executor have their turn. It takes half a millisecond as a rule, and a few where a peer means to.
pub(crate) const DECOMPRESSION_PER_ROUND: u64 = 1024 * 1024;

/// Tells a driver that its connection has work for it.
///
/// While the driver runs, or once it has been told, telling it again costs one atomic exchange.
#[derive(Default)]
pub(crate) struct Signal {
    told: AtomicBool,
    driver: AtomicWaker,
}

impl Signal {
    /// The driver should look at its connection.
    #[inline]
    pub(crate) fn tell(&self) {
        if !self.told.swap(true, Ordering::AcqRel) {
            self.driver.take().into_iter().for_each(outside::wake);
        }
    }

    /// Returns whether telling would be for nothing. Asked under the connection's lock, the answer holds for what was done under
    /// it: the driver looks at the connection under that lock after it says that it sleeps, so it sees what was done
    /// before, and who comes later sees that it sleeps.
    #[inline]
    fn is_told(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }

    /// The driver is about to sleep: from now on `tell` wakes it. What was told before must be looked at after this.
    pub(crate) fn sleep(&self, waker: &Waker) {
        self.driver.register(waker);
        // An exchange, as in `tell`: of the two one comes first, and the other sees all that came before it.
        self.told.swap(false, Ordering::AcqRel);
    }

    /// Notes that the driver is awake, so that nobody needs to wake it. Returns whether it was told of something.
    pub(crate) fn awake(&self) -> bool {
        self.told.swap(true, Ordering::AcqRel)
    }

    /// Forgets the driver's task: it has ended, and nobody needs to wake it.
    pub(crate) fn leave(&self) {
        self.told.store(true, Ordering::Release);
        drop(self.driver.take());
    }
}

/// Which half of a call somebody waits on.
#[derive(Clone, Copy)]
pub(crate) enum CallHalf {
    Receive,
    Send,
}

/// Who waits for a call, and what its handler leaves for its end.
#[derive(Default)]
struct Waiting {
    receiver: Option<Waker>,
    sender: Option<Waker>,
    trailers: Option<Box<Metadata>>,
    /// The receiver waits for the next round, and not for the peer.
    deferred: bool,
}

/// Wakers on their way out of the lock. What a waker does when it is woken or dropped is foreign code, and may come
/// back here: an executor may drop the future of a call with its last waker, and that gives a command.
#[derive(Default)]
pub(crate) struct Wakers {
    /// Those to wake.
    called: Vec<Waker>,
    /// Those to drop.
    stale: Vec<Waker>,
    /// Drivers to tell.
    told: Vec<Arc<Signal>>,
}

impl Wakers {
    fn is_empty(&self) -> bool {
        self.called.is_empty() && self.stale.is_empty() && self.told.is_empty()
    }

    /// Wakes and drops them: never under the lock.
    #[inline]
    pub(crate) fn release(&mut self) {
        self.called.drain(..).for_each(outside::wake);
        self.stale.drain(..).for_each(outside::discard_waker);
        self.told.drain(..).for_each(|signal| signal.tell());
    }
}

/// A connection, and who waits for what on it.
pub struct State<R: Role> {
    pub(crate) connection: Connection<R>,
    /// What is woken and dropped when the lock is free.
    wakers: Wakers,
    /// By slot of the call.
    waiting: Vec<Waiting>,
    /// What decompression has cost in this round.
    decompressed: u64,
    /// The slots of calls whose receivers wait for the next round.
    deferred: Vec<usize>,
    /// When the driver that sleeps wakes at the latest.
    wake_at: Time,
    /// Tasks that wait for the driver's end, and whether it came.
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

    /// Returns what is next on a call, never [`Recv::Pending`](halfclose::Recv::Pending). `Poll::Pending` wakes the
    /// waiter when there is something, or when more may be decompressed.
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
                // One that was polled without being woken waits no longer. The slot of a call that is gone may be another's.
                if received.is_ok() && !self.waiting.is_empty() {
                    self.forget(call, CallHalf::Receive);
                }
                Poll::Ready(received)
            }
        }
    }

    /// Returns how much more may be decompressed in this round, in the unit of `Decompression::work`. `Poll::Pending` wakes the waiter in the next
    /// round.
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

    /// Counts what was decompressed.
    pub(crate) fn add_decompressed(&mut self, work: u64) {
        self.decompressed = self.decompressed.saturating_add(work);
    }

    /// Returns whether enough was decompressed in this round. Without a driver there are no rounds.
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

    /// The driver begins a round: more may be decompressed.
    #[inline]
    pub(crate) fn begin_round(&mut self) {
        self.decompressed = 0;
        if self.is_deferring() {
            self.wake_deferred();
        }
    }

    #[cold]
    fn wake_deferred(&mut self) {
        // Those that wait, and not all calls: a peer chooses how often they wait.
        for slot in self.deferred.drain(..) {
            if let Some(waiting) = self.waiting.get_mut(slot)
                && std::mem::take(&mut waiting.deferred)
            {
                self.wakers.called.extend(waiting.receiver.take());
            }
        }
    }

    /// Wakes the waiter when there is something to receive.
    fn wait_to_receive(&mut self, call: CallId, waiter: &mut Waiter<'_>) {
        if let Some(waiting) = self.waiting_or_new(call) {
            let stale = waiter.wait_in(&mut waiting.receiver);
            self.wakers.stale.extend(stale);
        }
    }

    /// Wakes the waiter when there is buffer space.
    pub(crate) fn wait_to_send(&mut self, call: CallId, waiter: &mut Waiter<'_>) {
        if let Some(waiting) = self.waiting_or_new(call) {
            let stale = waiter.wait_in(&mut waiting.sender);
            self.wakers.stale.extend(stale);
        }
    }

    /// Forgets whoever waits on one half of a call.
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

    /// Returns what was kept for the trailers.
    pub(crate) fn take_trailers(&mut self, call: CallId) -> Metadata {
        let kept = self.waiting(call).and_then(|waiting| waiting.trailers.take());
        kept.map_or_else(Metadata::new, |trailers| *trailers)
    }

    /// Wakes whoever waits for what an event tells, once the lock is free.
    #[inline]
    pub(crate) fn wake(&mut self, event: &Event) {
        // Where handlers answer at once, nobody ever waits.
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

    /// Settles the connection's memory with its budget, where that is due.
    #[inline]
    pub(crate) fn settle_memory(&mut self, lease: &mut Lease, now: Time) {
        if lease.is_due(&self.connection) {
            lease.settle(&mut self.connection, now, &mut self.wakers.told);
        }
    }

    /// Wakes a waker once the lock is free.
    pub(crate) fn wake_later(&mut self, waker: Option<Waker>) {
        self.wakers.called.extend(waker);
    }

    /// Returns whether there are wakers that are to be woken and dropped.
    #[inline]
    pub(crate) fn has_wakers(&self) -> bool {
        !self.wakers.is_empty()
    }

    /// Takes the wakers that are to be woken and dropped; `into` was emptied.
    #[inline]
    pub(crate) fn take_wakers(&mut self, into: &mut Wakers) {
        if !self.wakers.is_empty() {
            std::mem::swap(&mut self.wakers, into);
        }
    }

    /// The driver has ended: the transport is closed.
    pub(crate) fn driver_gone(&mut self) {
        self.gone = true;
        self.wake_deferred();
        self.wakers.called.extend(self.closing.take());
    }

    /// Ready when the driver has ended.
    pub(crate) fn poll_gone(&mut self, place: &mut WaitPlace, waiter: &mut Waiter<'_>) -> Poll<()> {
        if self.gone {
            return Poll::Ready(());
        }
        let stale = self.closing.wait(place, waiter);
        self.wakers.stale.extend(stale);
        Poll::Pending
    }

    /// Forgets a task that waits for the driver's end no longer.
    pub(crate) fn leave_closing(&mut self, place: &mut WaitPlace) {
        let waker = self.closing.leave(place);
        self.wakers.stale.extend(waker);
    }

    /// Returns whether the driver has something to do: also where it would sleep for too long, since a command may bring the next
    /// timer forward and write nothing.
    #[inline]
    fn has_work(&self) -> bool {
        self.connection.wants_transmit()
            || self.connection.has_events()
            || self.is_deferring()
            || self.connection.wants_memory()
            || self.connection.poll_timeout().is_some_and(|(at, _)| at < self.wake_at)
    }

    /// Notes when the driver wakes at the latest.
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

    /// Gives memory back that only serves speed.
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
    /// Forgets a call; its other half, on another task perhaps, hears of that.
    pub(crate) fn release(&mut self, call: CallId) -> Option<Outcome> {
        let outcome = self.connection.release(call)?;
        self.wake_ended(call);
        Some(outcome)
    }
}

/// A connection that is locked.
///
/// No foreign code runs until it is unlocked. Messages whose owners are foreign are dropped right after that.
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

/// Leaves the lock, and wakes and drops what is to be woken and dropped.
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

/// A connection between its driver and its calls.
pub struct Shared<R: Role> {
    state: Mutex<State<R>>,
    pub(crate) signal: Arc<Signal>,
    now: Box<dyn Fn() -> Time + Send + Sync>,
    /// What is known of the connection, where somebody said.
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

    /// Returns the connection, for a moment: never across an await, and never while foreign code runs. Whoever makes wakers
    /// leave takes them along ([`State::take_wakers`]); those that stay leave with the next command or round.
    #[inline]
    pub(crate) fn lock(&self) -> LockedState<'_, R> {
        let locked = Locked::new();
        // A panic of foreign code cannot happen under the lock, and the core has none.
        LockedState { state: self.state.lock().unwrap_or_else(PoisonError::into_inner), _locked: locked }
    }

    /// Returns whether somebody holds the lock.
    #[cfg(test)]
    pub(crate) fn is_locked(&self) -> bool {
        self.state.try_lock().is_err()
    }

    /// Returns the time by the driver's clock.
    pub(crate) fn now(&self) -> Time {
        (self.now)()
    }

    /// Gives commands to the connection, and tells the driver if there is something to send or to tell now.
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
    /// Gives commands that may have to wait, and leave the task's waker then. They are given once more where a waker is
    /// needed that is not there: cloning one is foreign code, and not for the lock.
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

    /// Forgets whoever waited on one half of a call: its future was dropped.
    pub(crate) fn forget_waker(&self, call: CallId, half: CallHalf) {
        self.command(|state| {
            // The slot of a call that is gone may be another call's by now.
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
