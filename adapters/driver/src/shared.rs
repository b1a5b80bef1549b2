//! The connection that a driver shares with the calls on it, and how each wakes the other.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, Waker};

use atomic_waker::AtomicWaker;
use halfclose::{
    CallId, Client, Connection, Event, MessagePayload, Metadata, Misuse, Outcome, Recv, Role, Sent, Time,
};

use crate::info::ConnectionInfo;
use crate::memory::Lease;
use crate::wakers::{WaitPlace, WakerSet};

/// Messages are taken until they have come to so many bytes by decompression; then the driver and its executor have
/// their turn. It takes about half a millisecond, and what brings it may be a thousand times shorter.
const DECOMPRESSED_PER_ROUND: u64 = 1024 * 1024;

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
            self.driver.wake();
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
pub(crate) enum Half {
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
        for waker in self.called.drain(..) {
            waker.wake();
        }
        self.stale.clear();
        for signal in self.told.drain(..) {
            signal.tell();
        }
    }
}

/// A connection, and who waits for what on it.
pub struct State<R: Role> {
    pub(crate) connection: Connection<R>,
    /// What is woken and dropped when the lock is free.
    wakers: Wakers,
    /// By slot of the call.
    waiting: Vec<Waiting>,
    /// What decompression had brought when this round began.
    decompressed_before: u64,
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

    /// Returns what is next on a call, never [`Recv::Pending`]. `Poll::Pending` wakes `waker` when there is something, or when more
    /// may be decompressed.
    #[inline]
    pub(crate) fn poll_recv(&mut self, call: CallId, waker: &Waker) -> Poll<Result<Recv, Misuse>> {
        if self.is_sated() && self.connection.states(call).is_ok() {
            return self.defer(call, waker);
        }
        match self.connection.recv(call) {
            Ok(Recv::Pending) => {
                self.wait_to_receive(call, waker);
                Poll::Pending
            }
            received => {
                // One that was polled without being woken waits no longer. The slot of a call that is gone may be another's.
                if received.is_ok() && !self.waiting.is_empty() {
                    self.forget(call, Half::Receive);
                }
                Poll::Ready(received)
            }
        }
    }

    /// Returns whether enough was decompressed in this round. Without a driver there are no rounds.
    #[inline]
    pub(crate) fn is_sated(&self) -> bool {
        let decompressed = self.connection.decompressed().saturating_sub(self.decompressed_before);
        decompressed >= DECOMPRESSED_PER_ROUND && !self.gone
    }

    #[cold]
    fn defer<T>(&mut self, call: CallId, waker: &Waker) -> Poll<T> {
        self.wait_to_receive(call, waker);
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
        self.decompressed_before = self.connection.decompressed();
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

    /// Wakes `waker` when there is something to receive.
    fn wait_to_receive(&mut self, call: CallId, waker: &Waker) {
        if let Some(waiting) = self.waiting_or_new(call) {
            let stale = set_waker(&mut waiting.receiver, waker);
            self.wakers.stale.extend(stale);
        }
    }

    /// Wakes `waker` when there is buffer space.
    fn wait_to_send(&mut self, call: CallId, waker: &Waker) {
        if let Some(waiting) = self.waiting_or_new(call) {
            let stale = set_waker(&mut waiting.sender, waker);
            self.wakers.stale.extend(stale);
        }
    }

    /// Forgets whoever waits on one half of a call.
    fn forget(&mut self, call: CallId, half: Half) {
        if let Some(waiting) = self.waiting(call) {
            let waker = match half {
                Half::Receive => waiting.receiver.take(),
                Half::Send => waiting.sender.take(),
            };
            self.wakers.stale.extend(waker);
        }
    }

    /// Queues a message, once there is space for it, and is done once there is space for the next one where much is queued:
    /// a caller that makes its messages one after the other then does not make one that has to wait besides.
    #[inline]
    pub(crate) fn poll_send(
        &mut self,
        call: CallId,
        waker: &Waker,
        payload: &mut Option<MessagePayload>,
        compress: bool,
    ) -> Poll<Result<(), Misuse>> {
        let waits = match payload {
            Some(message) => match self.connection.send_message_from(call, message, compress) {
                Ok(sent) => {
                    *payload = None;
                    sent == Sent::Full && self.connection.sends_much()
                }
                Err(Misuse::NotWritable { .. }) => true,
                Err(misuse) => return Poll::Ready(Err(misuse)),
            },
            None => self.connection.awaits_space(call),
        };
        if waits {
            self.wait_to_send(call, waker);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
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
    pub(crate) fn poll_gone(&mut self, place: &mut WaitPlace, waker: &Waker) -> Poll<()> {
        if self.gone {
            return Poll::Ready(());
        }
        let stale = self.closing.wait(place, waker);
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

/// Sets a waker and gives the one that was there, unless it is the same.
fn set_waker(place: &mut Option<Waker>, waker: &Waker) -> Option<Waker> {
    match place {
        Some(old) if old.will_wake(waker) => None,
        _ => place.replace(waker.clone()),
    }
}

/// Leaves the lock, and wakes and drops what is to be woken and dropped.
#[inline]
pub(crate) fn unlock<R: Role>(state: MutexGuard<'_, State<R>>) {
    if state.has_wakers() {
        release(state);
    }
}

#[cold]
fn release<R: Role>(mut state: MutexGuard<'_, State<R>>) {
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
            decompressed_before: 0,
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
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<R>> {
        // A panic of foreign code cannot happen under the lock, and the core has none.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Forgets whoever waited on one half of a call: its future was dropped.
    pub(crate) fn forget_waker(&self, call: CallId, half: Half) {
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
