//! The driver's loop: moves bytes from the transport to the connection, events to the calls and bytes back, and
//! sleeps.

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

/// The number of turns of [`Connection::receive`], each bounded by its own limits, after which other tasks run.
const TURNS_PER_POLL: usize = 32;
/// The time after which a poll ends with its current turn. Some bytes cost far more work than others, such as a
/// message that grows a thousandfold when it is decompressed, and the time of handlers is unknown.
const MOST_TIME: Duration = Duration::from_millis(2);
/// The largest difference between a runtime's timers and its clock.
const TIMER_SLACK: Duration = Duration::from_millis(2);
/// The time after which a connection without calls frees its buffers.
const IDLE_SHRINK: Duration = Duration::from_secs(1);

/// What the client's and the server's driver do with events.
pub trait RoleHooks {
    type Role: Role;

    /// Handles one event under the lock: it may only note what to do.
    fn on_event(&mut self, state: &mut State<Self::Role>, event: &Event);

    /// Returns why the transport does not speak HTTP/2, judged by the first received bytes: the protocol core would
    /// only report that they are not frames.
    fn refuses(&self, _first: &[u8]) -> Option<String> {
        None
    }

    /// Does what was noted, without the lock: it runs at least one handler, and starts none after `until`. Returns
    /// whether some are left.
    fn run(&mut self, shared: &Arc<Shared<Self::Role>>, until: Time) -> bool;

    /// Gives the commands that `run` has left, under the lock.
    fn settle(&mut self, state: &mut State<Self::Role>);

    /// Frees memory that only serves speed, after a time without calls.
    fn shrink(&mut self);

    /// Returns whether `run` has something to do.
    fn has_work(&self) -> bool;
}

/// The driver's use of its transport.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Open,
    /// The connection is closed and its last bytes are being written, until this time at the latest.
    Flushing(Time),
    /// The sending direction is shut down. Received bytes are dropped until the peer closes, or until this time.
    Lingering(Time),
    Done,
}

/// The driver's next step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    /// Read, since all received bytes were handled.
    Read,
    /// Handle more of the received bytes.
    Work,
    /// Wait until the transport accepts more bytes.
    Wait,
}

/// Connects a connection, a transport and a clock. The future completes when the connection is over: with `Ok` after
/// a graceful shutdown by either side, and otherwise with the reason.
pub struct Driver<I, K: Clock, S: RoleHooks> {
    shared: Arc<Shared<S::Role>>,
    works: DriverTask<I, K, S>,
}

/// The state that only the driver's task uses.
struct DriverTask<I, K: Clock, S> {
    io: I,
    clock: K,
    timer: K::Timer,
    /// The time that the timer is set to.
    armed: Time,
    /// The waker that the timer wakes.
    timer_waker: Option<Waker>,
    side: S,
    input: BytesMut,
    phase: Phase,
    next: Next,
    /// Whether nothing has been read yet.
    fresh: bool,
    /// Whether the transport's receiving direction has ended.
    eof: bool,
    /// The bytes that the connection has lent for writing.
    output: LentTransmit,
    /// Whether the transport accepted no more bytes in this poll.
    blocked: bool,
    /// Whether bytes were written that the transport may have buffered.
    unflushed: bool,
    /// Set when the transport can no longer be written to: the latest time until which the peer's earlier bytes are
    /// read.
    severed: Option<Time>,
    /// What the transport said when it failed first.
    broken: Option<String>,
    /// When the connection last had a call or something to do; `None` once its buffers were freed.
    busy: Option<Time>,
    result: Result<(), ConnectionError>,
    watch: Option<Watch>,
    /// The connection's account, if it shares memory with others.
    lease: Option<Lease>,
    /// An empty list, kept for its capacity.
    wakers: Wakers,
}

// Nothing in a driver is pinned; its parts are polled by reference.
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

    /// Sets the properties of the connection for its handlers; only the first call counts.
    #[must_use]
    pub fn info(self, info: ConnectionInfo) -> Self {
        self.shared.info.get_or_init(|| Box::new(info));
        self
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared<S::Role>> {
        &self.shared
    }

    /// Shuts the connection down gracefully when `shutdown` is triggered.
    pub(crate) fn watch(&mut self, shutdown: &Shutdown) {
        self.works.watch = Some(shutdown.watch(&self.shared.signal));
    }

    /// Shares the memory of `budget` with other connections.
    pub(crate) fn share_memory(&mut self, budget: &MemoryBudget) {
        let now = self.works.clock.now();
        let connection = &mut self.shared.lock().connection;
        self.works.lease = Some(Lease::new(budget, connection, &self.shared.signal, now));
    }

    /// Handles what was received, runs handlers, and writes.
    #[inline]
    fn round(&mut self, cx: &mut Context<'_>, now: Time, begun: Time, turns: &mut usize) {
        let Self { shared, works } = self;
        // Calls may begin and end within a round, and leave memory behind.
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
                // A handler that wakes itself gets its next turn after the transport's.
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
            // The round's decompression work is used up; the next round follows once other tasks have run.
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

    /// Sleeps until the transport, the timer or a command wakes the task. Returns `Ready` if there is work after all.
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
        // What was freed may have held wakers.
        unlock(state);
        if work || works.arm(cx, now, wake_at).is_ready() {
            shared.signal.awake();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl<I: Io, K: Clock, S: RoleHooks> DriverTask<I, K, S> {
    /// Passes received bytes and the time to the connection, and handles its events.
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
            // `Event::Closed` reports a failure, after all events that preceded it.
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
            // Replies wait for the transport, so nothing is read until they are written (CVE-2019-9512).
            (Phase::Open, Needed::Drain) => self.drain(),
            (Phase::Open, _) => Next::Read,
            _ => self.end(cx, now),
        }
    }

    /// Returns whether there is something to do although nothing was received.
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

    /// Returns the latest time at which the task wakes. A connection without calls wakes once to free memory.
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

    /// Sets the timer, unless it fires early enough already; firing too early does no harm.
    fn arm(&mut self, cx: &mut Context<'_>, now: Time, at: Time) -> Poll<()> {
        if self.armed <= now {
            self.armed = Time::MAX;
        }
        // A driver may be polled by a different task than before, so the latest waker counts.
        let same_task = self.timer_waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        // Close to its time the timer is polled again: it may have fired just now, by a clock that differs slightly.
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
            // The transport may accept more by now.
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
            // The clock is read once for each read.
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
                // The remaining handlers are dropped here, with everything that they hold.
                this.works.side.run(&this.shared, Time::MAX);
                return Poll::Ready(std::mem::replace(&mut this.works.result, Ok(())));
            }
        }
        // This poll has done enough; other tasks run before the next one.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Ends the connection with its driver, so that the calls on it learn of that.
impl<I, K: Clock, S: RoleHooks> Drop for Driver<I, K, S> {
    fn drop(&mut self) {
        // The clock is not read, because one that has panicked must not run again. The time stays that of the last
        // poll.
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
