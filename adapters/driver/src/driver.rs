//! The loop: bytes from the transport to the connection, events to the calls, bytes back, and sleep.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use halfclose::{CloseReason, Connection, ConnectionError, Event, LentTransmit, Needed, Role, Time};

use crate::info::ConnectionInfo;
use crate::io::{Clock, Io, Timer};
use crate::memory::{Lease, MemoryBudget};
use crate::shared::{Shared, State, Wakers, unlock};
use crate::shutdown::{Shutdown, Watch};

pub(crate) mod buffer;
#[cfg(test)]
mod tests;
mod transport;

/// So many turns of [`Connection::receive`], each bounded by its own limits, and other tasks get theirs.
const TURNS_PER_POLL: usize = 32;
/// A poll that has taken this long is over with the turn that it is in: some bytes are far more work than others, such as
/// a message that is a thousand times as long when it is decompressed, and what handlers do is theirs to say.
const MOST_TIME: Duration = Duration::from_millis(2);
/// How far a runtime's timers may be from its clock.
const TIMER_SLACK: Duration = Duration::from_millis(2);
/// A connection without calls gives its buffers back after this long.
const IDLE_SHRINK: Duration = Duration::from_secs(1);

/// What the two roles do with events.
pub trait RoleHooks {
    type Role: Role;

    /// Takes one event, under the lock: it may note what is to be done, no more.
    fn on_event(&mut self, state: &mut State<Self::Role>, event: &Event);

    /// Returns why the transport is not one for us, as the first bytes that came tell: the protocol core would only say that
    /// they are no frames.
    fn refuses(&self, _first: &[u8]) -> Option<String> {
        None
    }

    /// Does what was noted, without the lock: runs handlers, one at least, and no other from `until` on. Returns whether
    /// some are left.
    fn run(&mut self, shared: &Arc<Shared<Self::Role>>, until: Time) -> bool;

    /// Gives the commands that `run` has left, under the lock.
    fn settle(&mut self, state: &mut State<Self::Role>);

    /// Gives memory back that only serves speed: there has been no call for a while.
    fn shrink(&mut self);

    /// Returns whether `run` has something to do.
    fn has_work(&self) -> bool;
}

/// Where a driver stands with its transport.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Open,
    /// The connection is closed and its last bytes are being written; at the latest until then.
    Flushing(Time),
    /// Our side is shut; what still comes is read and dropped until the peer closes, or until then.
    Lingering(Time),
    Done,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    /// Everything that came was handled.
    Read,
    /// There is more to handle.
    Work,
    /// Nothing can be done before the transport takes more.
    Wait,
}

/// Joins a connection, a transport and a clock. It ends when the connection is over: with `Ok` after a graceful
/// shutdown by either side, and with the reason otherwise.
pub struct Driver<I, K: Clock, S: RoleHooks> {
    shared: Arc<Shared<S::Role>>,
    works: DriverTask<I, K, S>,
}

/// What only the driver's task knows.
struct DriverTask<I, K: Clock, S> {
    io: I,
    clock: K,
    timer: K::Timer,
    /// What the timer is set to.
    armed: Time,
    /// Whom the timer wakes.
    timer_waker: Option<Waker>,
    side: S,
    input: BytesMut,
    phase: Phase,
    next: Next,
    /// Nothing has been read yet.
    fresh: bool,
    /// The transport has nothing more to read.
    eof: bool,
    /// What the connection has lent to be written.
    output: LentTransmit,
    /// The transport took nothing more in this turn of the task.
    blocked: bool,
    /// Bytes were written that the transport may have kept.
    unflushed: bool,
    /// The transport cannot be written to; what the peer sent before that is read on, at the latest until then.
    severed: Option<Time>,
    /// What the transport said when it failed first.
    broken: Option<String>,
    /// When the connection last had a call or something to do; `None` once its buffers were given back.
    busy: Option<Time>,
    result: Result<(), ConnectionError>,
    watch: Option<Watch>,
    /// The connection's account, where it shares memory with others.
    lease: Option<Lease>,
    /// Empty, but for its memory.
    wakers: Wakers,
}

// Nothing in a driver is pinned: its parts are polled by reference.
impl<I, K: Clock, S: RoleHooks> Unpin for Driver<I, K, S> {}

impl<I, K: Clock, S: RoleHooks> std::fmt::Debug for Driver<I, K, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("phase", &self.works.phase).finish_non_exhaustive()
    }
}

impl<I: Io, K: Clock, S: RoleHooks> Driver<I, K, S> {
    pub(crate) fn new(io: I, clock: K, connection: Connection<S::Role>, side: S) -> Self {
        let source = clock.clone();
        let works = DriverTask {
            timer: clock.timer(),
            armed: Time::MAX,
            timer_waker: None,
            busy: Some(clock.now()),
            io,
            clock,
            side,
            input: BytesMut::new(),
            output: LentTransmit::default(),
            phase: Phase::Open,
            next: Next::Read,
            fresh: true,
            eof: false,
            blocked: false,
            unflushed: false,
            severed: None,
            broken: None,
            result: Ok(()),
            watch: None,
            lease: None,
            wakers: Wakers::default(),
        };
        Self { shared: Shared::new(connection, Box::new(move || source.now())), works }
    }

    /// Says what is known of the connection, for its handlers; the first time counts.
    #[must_use]
    pub fn info(self, info: ConnectionInfo) -> Self {
        self.shared.info.get_or_init(|| Box::new(info));
        self
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared<S::Role>> {
        &self.shared
    }

    /// Shuts the connection down gracefully when `shutdown` says so.
    pub(crate) fn watch(&mut self, shutdown: &Shutdown) {
        self.works.watch = Some(shutdown.watch(&self.shared.signal));
    }

    /// Shares the memory of `budget` with other connections.
    pub(crate) fn share_memory(&mut self, budget: &MemoryBudget) {
        let now = self.works.clock.now();
        let connection = &mut self.shared.lock().connection;
        self.works.lease = Some(Lease::new(budget, connection, &self.shared.signal, now));
    }

    /// What came is handled, answered and written.
    #[inline]
    fn round(&mut self, cx: &mut Context<'_>, now: Time, begun: Time, turns: &mut usize) {
        let Self { shared, works } = self;
        // Calls may come and go within a round, and leave their memory behind.
        works.busy = Some(now);
        let mut state = shared.lock();
        state.begin_round();
        let needed = loop {
            *turns = turns.saturating_sub(1);
            let needed = works.feed(&mut state, now);
            if works.side.has_work() || state.has_wakers() {
                state.take_wakers(&mut works.wakers);
                drop(state);
                works.wakers.release();
                // A handler that wakes itself gets its next turn after the transport had its own.
                if works.side.run(shared, begun + MOST_TIME) {
                    *turns = 0;
                }
                state = shared.lock();
                works.side.settle(&mut state);
            }
            if let Some(lease) = &mut works.lease {
                state.settle_memory(lease, now);
            }
            if needed != Needed::Again || *turns == 0 {
                break needed;
            }
            // The clock is foreign code, as the transport is.
            drop(state);
            if works.clock.now() - now > MOST_TIME {
                *turns = 0;
            }
            state = shared.lock();
            if *turns == 0 {
                break needed;
            }
        };
        state = works.write(shared, state, cx, now);
        if state.is_deferring() {
            // Calls have taken what a round may cost; there is a next one once others had their turn.
            *turns = 0;
        }
        if state.has_wakers() {
            state.take_wakers(&mut works.wakers);
            drop(state);
            works.wakers.release();
        } else {
            drop(state);
        }
        works.next = works.what_is_next(cx, now, needed);
    }

    /// Sleeps until the transport, the timer or a command wakes the task. Returns `Ready` when there is work after all.
    fn sleep(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<()> {
        let Self { shared, works } = self;
        works.flush(cx, now);
        shared.signal.sleep(cx.waker());
        let mut state = shared.lock();
        if let Some(lease) = &mut works.lease {
            state.settle_memory(lease, now);
        }
        let wake_at = works.wake_at(&mut state, now);
        state.sleeps_until(wake_at);
        let work = works.has_work(&state);
        // What was given back may have held wakers.
        unlock(state);
        if work || works.arm(cx, now, wake_at).is_ready() {
            shared.signal.awake();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl<I: Io, K: Clock, S: RoleHooks> DriverTask<I, K, S> {
    /// Tells the connection what came and what time it is, and takes its events.
    #[inline]
    fn feed(&mut self, state: &mut State<S::Role>, now: Time) -> Needed {
        if self.phase != Phase::Open {
            return Needed::Closed;
        }
        if self.watch.as_mut().is_some_and(Watch::is_news) {
            state.connection.shutdown(now);
        }
        if state.connection.poll_timeout().is_some_and(|(at, _)| at <= now) {
            state.connection.handle_timeout(now);
        }
        let mut needed = Needed::More;
        if !self.input.is_empty() {
            // A failure is told by `Event::Closed`, after everything that came before it.
            needed = state.connection.receive(now, &mut self.input).unwrap_or(Needed::Closed);
        }
        self.eof |= self.severed.is_some_and(|until| until <= now);
        if self.eof && needed == Needed::More {
            if self.severed.is_some() {
                // Neither direction works any more.
                let why = self.broken.clone().unwrap_or_default();
                state.connection.transport_failed_because(now, why);
            } else {
                state.connection.receive_eof(now);
            }
        }
        self.take_events(state);
        needed
    }

    #[inline]
    fn take_events(&mut self, state: &mut State<S::Role>) {
        while let Some(event) = &state.connection.poll_event() {
            state.wake(event);
            if let Event::Closed(reason) = event {
                self.phase = Phase::Flushing(Time::MAX);
                if let CloseReason::Error(error) = reason {
                    self.result = Err(error.clone());
                }
            }
            self.side.on_event(state, event);
        }
    }

    #[inline]
    fn what_is_next(&mut self, cx: &mut Context<'_>, now: Time, needed: Needed) -> Next {
        match (self.phase, needed) {
            (Phase::Open, Needed::Again) => Next::Work,
            // Replies wait for the transport: nothing more is read before they are out (CVE-2019-9512).
            (Phase::Open, Needed::Drain) => self.drain(),
            (Phase::Open, _) => Next::Read,
            _ => self.end(cx, now),
        }
    }

    /// Returns whether there is something to do although nothing came.
    fn has_work(&self, state: &State<S::Role>) -> bool {
        if self.side.has_work() || state.is_deferring() {
            return true;
        }
        let connection = &state.connection;
        self.phase == Phase::Open
            && (connection.has_events()
                || (self.eof && self.severed.is_some())
                || (!self.blocked && self.severed.is_none() && connection.wants_transmit())
                || self.watch.as_ref().is_some_and(Watch::has_news))
    }

    /// Returns when the task is to wake at the latest. A connection without calls gives memory back in the end.
    fn wake_at(&mut self, state: &mut State<S::Role>, now: Time) -> Time {
        let mut wake_at = match self.phase {
            Phase::Flushing(until) | Phase::Lingering(until) => until,
            _ => state.connection.poll_timeout().map_or(Time::MAX, |(at, _)| at),
        };
        wake_at = self.severed.map_or(wake_at, |until| wake_at.min(until));
        if !state.connection.is_idle() {
            self.busy = Some(now);
        } else if let Some(busy) = self.busy {
            let rest_at = busy + IDLE_SHRINK;
            if now < rest_at {
                return wake_at.min(rest_at);
            }
            state.shrink();
            self.output.shrink();
            self.side.shrink();
            self.io.shrink();
            self.wakers = Wakers::default();
            self.busy = None;
        }
        wake_at
    }

    /// Sets the timer, unless it fires early enough already: firing too early does no harm.
    fn arm(&mut self, cx: &mut Context<'_>, now: Time, at: Time) -> Poll<()> {
        if self.armed <= now {
            self.armed = Time::MAX;
        }
        // A driver may be polled by another task than before: the latest waker counts.
        let same_task = self.timer_waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        // Near its time it is asked again: it may have fired just now, by a clock that differs a little.
        if same_task && at >= self.armed && self.armed - now > TIMER_SLACK {
            return Poll::Pending;
        }
        self.armed = at.min(self.armed);
        let fired = self.timer.poll_at(cx, self.armed);
        if fired.is_ready() {
            self.armed = Time::MAX;
        } else if !same_task {
            self.timer_waker = Some(cx.waker().clone());
        }
        fired
    }
}

impl<I: Io, K: Clock, S: RoleHooks> Future for Driver<I, K, S> {
    type Output = Result<(), ConnectionError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut told = this.shared.signal.awake();
        if std::mem::take(&mut this.works.blocked) {
            // Perhaps the transport takes more now.
            this.works.next = Next::Work;
        }
        let mut turns = TURNS_PER_POLL;
        let mut now = None;
        let mut begun = None;
        while turns > 0 {
            let ready = match this.works.next {
                Next::Read => this.works.read(cx).is_ready(),
                Next::Work => true,
                Next::Wait => false,
            };
            // One look at the clock for each read.
            let time = now.filter(|_| !ready).unwrap_or_else(|| this.works.clock.now());
            now = Some(time);
            let began = *begun.get_or_insert(time);
            if time - began > MOST_TIME {
                turns = 1;
            }
            if !ready && !std::mem::take(&mut told) && this.sleep(cx, time).is_pending() {
                return Poll::Pending;
            }
            this.round(cx, time, began, &mut turns);
            if this.works.phase == Phase::Done {
                // Handlers that are still there are dropped, and with them what they hold.
                this.works.side.run(&this.shared, Time::MAX);
                return Poll::Ready(std::mem::replace(&mut this.works.result, Ok(())));
            }
        }
        // Enough for one turn: the others come first, then we go on.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A driver that is dropped takes its connection with it: the calls on it must hear of that.
impl<I, K: Clock, S: RoleHooks> Drop for Driver<I, K, S> {
    fn drop(&mut self) {
        // No clock here: one that has panicked must not do so again. The connection stands at the time of the last poll.
        let mut state = self.shared.lock();
        state.connection.transport_failed(Time::ZERO);
        while let Some(event) = state.connection.poll_event() {
            state.wake(&event);
        }
        state.driver_gone();
        unlock(state);
        self.shared.signal.leave();
    }
}
