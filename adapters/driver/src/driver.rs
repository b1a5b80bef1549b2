//! The loop: octets from the transport to the connection, events to the calls, octets back, and sleep.

use std::future::Future;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use halfclose::{CloseReason, Connection, ConnectionError, Event, Needed, Role, Time};

use crate::io::{Clock, Io, Timer};
use crate::shared::{Shared, State};
use crate::shutdown::{Shutdown, Watch};

mod buffer;

/// So many rounds of reading, working and writing, and other tasks get their turn.
const ROUNDS_PER_POLL: usize = 32;
/// Pieces of one vectored write.
const SLICES: usize = 64;
/// How long a peer may take to read the last frames of a closed connection.
const FLUSH: Duration = Duration::from_secs(10);
/// How long a closed connection is read on, so that the peer's kernel does not throw away our last frames.
const LINGER: Duration = Duration::from_secs(1);
/// How far a runtime's timers may be from its clock.
const TIMER_SLACK: Duration = Duration::from_millis(2);
/// A connection without calls gives its buffers back after this long.
const IDLE_SHRINK: Duration = Duration::from_secs(1);

/// What the two roles do with events.
pub trait Side {
    type Role: Role;

    /// Takes one event, under the lock: it may wake tasks and note what is to be done, no more.
    fn on_event(&mut self, state: &mut State<Self::Role>, event: Event);

    /// Does what was noted, without the lock: runs handlers.
    fn run(&mut self, shared: &Arc<Shared<Self::Role>>);

    /// Gives memory back that only serves speed: there has been no call for a while.
    fn shrink(&mut self);

    /// Whether `run` has something to do.
    fn has_work(&self) -> bool;
}

/// Where a driver stands with its transport.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Open,
    /// The connection is closed and its last octets are being written; at the latest until then.
    Flushing(Time),
    /// Our side is shut; what still comes is read and dropped until the peer closes, or until then.
    Lingering(Time),
    Done,
}

/// Joins a connection, a transport and a clock. It ends when the connection is over: with `Ok` after a graceful
/// shutdown by either side, and with the reason otherwise.
pub struct Driver<I, K: Clock, S: Side> {
    io: I,
    clock: K,
    timer: K::Timer,
    /// What the timer is set to.
    armed: Time,
    shared: Arc<Shared<S::Role>>,
    side: S,
    input: BytesMut,
    phase: Phase,
    /// The transport has nothing more to read.
    eof: bool,
    /// The transport takes nothing more for now.
    blocked: bool,
    /// When the connection last had a call or octets; `None` once its buffers were given back.
    busy: Option<Time>,
    result: Result<(), ConnectionError>,
    watch: Option<Watch>,
}

// Nothing in a driver is pinned: its parts are polled by reference.
impl<I, K: Clock, S: Side> Unpin for Driver<I, K, S> {}

impl<I, K: Clock, S: Side> std::fmt::Debug for Driver<I, K, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("phase", &self.phase).finish_non_exhaustive()
    }
}

impl<I: Io, K: Clock, S: Side> Driver<I, K, S> {
    pub(crate) fn new(io: I, clock: K, connection: Connection<S::Role>, side: S) -> Self {
        let source = clock.clone();
        let shared = Shared::new(connection, Box::new(move || source.now()));
        Self {
            timer: clock.timer(),
            armed: Time::MAX,
            busy: Some(clock.now()),
            io,
            clock,
            shared,
            side,
            input: BytesMut::new(),
            phase: Phase::Open,
            eof: false,
            blocked: false,
            result: Ok(()),
            watch: None,
        }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared<S::Role>> {
        &self.shared
    }

    /// Shuts the connection down gracefully when `shutdown` says so.
    pub(crate) fn watch(&mut self, shutdown: &Shutdown) {
        self.watch = Some(shutdown.watch(&self.shared.signal));
    }

    /// One round: everything that is there is taken, answered and written, then more is read. `Pending` when there is
    /// nothing more to do.
    fn round(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<()> {
        match self.phase {
            Phase::Open => {
                let needed = self.work(now);
                let written = self.write(cx, now);
                match (self.phase, needed) {
                    // Replies wait for the transport: nothing more is read before they are out (CVE-2019-9512).
                    (Phase::Open, Needed::Drain) => written,
                    (Phase::Open, _) => self.read(cx),
                    _ => Poll::Ready(()),
                }
            }
            Phase::Flushing(until) => self.flush(cx, now, until),
            Phase::Lingering(until) => self.linger(cx, now, until),
            Phase::Done => Poll::Ready(()),
        }
    }

    /// Feeds the connection, and does what its events ask for, until neither has anything left.
    fn work(&mut self, now: Time) -> Needed {
        loop {
            let mut state = self.shared.lock();
            if self.watch.as_mut().is_some_and(Watch::is_news) {
                state.connection.shutdown(now);
            }
            if state.connection.poll_timeout().is_some_and(|(at, _)| at <= now) {
                state.connection.handle_timeout(now);
            }
            let needed = feed(&mut state, &mut self.input, self.eof, now);
            take_events(&mut state, &mut self.side, &mut self.phase, &mut self.result);
            drop(state);
            if !self.side.has_work() && needed != Needed::Again {
                return needed;
            }
            self.side.run(&self.shared);
            // A handler that wakes itself gets its next turn after the transport had its own.
            if needed != Needed::Again {
                return needed;
            }
        }
    }

    /// Writes until the connection has nothing more, or the transport takes nothing more (`Pending`).
    fn write(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<()> {
        let mut state = self.shared.lock();
        self.blocked = false;
        while let Some(mut transmit) = state.connection.poll_transmit(now) {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = transmit.chunks_vectored(&mut slices);
            match self.io.poll_write(cx, slices.get(..count).unwrap_or_default()) {
                Poll::Ready(Ok(written)) if written > 0 => transmit.advance(written),
                Poll::Ready(_) => {
                    // The transport is gone: what was queued is lost, and nothing more will come.
                    state.connection.receive_eof(now);
                    take_events(&mut state, &mut self.side, &mut self.phase, &mut self.result);
                    self.phase = Phase::Done;
                    return Poll::Ready(());
                }
                Poll::Pending => {
                    self.blocked = true;
                    break;
                }
            }
        }
        // What went out has ended calls.
        take_events(&mut state, &mut self.side, &mut self.phase, &mut self.result);
        if self.blocked { Poll::Pending } else { Poll::Ready(()) }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.eof {
            return Poll::Pending;
        }
        buffer::take(&mut self.input);
        match self.io.poll_read(cx, &mut self.input) {
            Poll::Ready(Ok(count)) if count > 0 => Poll::Ready(()),
            // A transport that fails to read has nothing more to give, as one that ended.
            Poll::Ready(_) => {
                self.eof = true;
                Poll::Ready(())
            }
            Poll::Pending => {
                buffer::give_back(&mut self.input);
                Poll::Pending
            }
        }
    }

    /// The connection is over: what it still has to say is written, then our side is shut, and the peer gets the time
    /// to read it.
    fn flush(&mut self, cx: &mut Context<'_>, now: Time, until: Time) -> Poll<()> {
        if until == Time::MAX {
            self.phase = Phase::Flushing(now + FLUSH);
        } else if now >= until {
            self.phase = Phase::Done;
            return Poll::Ready(());
        }
        let written = self.write(cx, now);
        if written.is_ready() && self.phase != Phase::Done {
            self.phase = Phase::Lingering(now + LINGER);
        }
        written
    }

    fn linger(&mut self, cx: &mut Context<'_>, now: Time, until: Time) -> Poll<()> {
        self.input.clear();
        if self.io.poll_close(cx).is_pending() {
            return Poll::Pending;
        }
        if self.eof || now >= until {
            self.phase = Phase::Done;
            return Poll::Ready(());
        }
        self.read(cx)
    }

    /// Sleeps until the transport, the timer or an order wakes the task. `Ready` when there is work after all.
    fn sleep(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<()> {
        self.shared.signal.sleep(cx.waker());
        let mut state = self.shared.lock();
        let connection = &state.connection;
        let work = connection.has_events() || (!self.blocked && connection.wants_transmit());
        if self.phase == Phase::Open && (work || self.side.has_work() || self.is_told_to_stop()) {
            self.shared.signal.awake();
            return Poll::Ready(());
        }
        let idle = connection.is_idle();
        let mut wake_at = match self.phase {
            Phase::Flushing(until) | Phase::Lingering(until) => until,
            _ => connection.poll_timeout().map_or(Time::MAX, |(at, _)| at),
        };
        if !idle {
            self.busy = Some(now);
        } else if let Some(busy) = self.busy {
            let rest_at = busy + IDLE_SHRINK;
            if now < rest_at {
                wake_at = wake_at.min(rest_at);
            } else {
                state.shrink();
                self.side.shrink();
                self.busy = None;
            }
        }
        drop(state);
        self.arm(cx, now, wake_at)
    }

    fn is_told_to_stop(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::has_news)
    }

    /// Sets the timer, unless it fires early enough already: firing too early does no harm.
    fn arm(&mut self, cx: &mut Context<'_>, now: Time, at: Time) -> Poll<()> {
        // Near its time it is asked again: it may have fired just now, by a clock that differs a little.
        if at >= self.armed && self.armed - now > TIMER_SLACK {
            return Poll::Pending;
        }
        self.armed = at.min(self.armed);
        let fired = self.timer.poll_at(cx, self.armed);
        if fired.is_ready() {
            self.armed = Time::MAX;
        }
        fired
    }
}

fn feed<R: Role>(state: &mut State<R>, input: &mut BytesMut, eof: bool, now: Time) -> Needed {
    let mut needed = Needed::More;
    if !input.is_empty() {
        // A failure is told by `Event::Closed`, after everything that came before it.
        needed = state.connection.receive(now, input).unwrap_or(Needed::Closed);
    }
    if eof && needed == Needed::More {
        state.connection.receive_eof(now);
    }
    needed
}

#[inline]
fn take_events<S: Side>(
    state: &mut State<S::Role>,
    side: &mut S,
    phase: &mut Phase,
    result: &mut Result<(), ConnectionError>,
) {
    while let Some(event) = state.connection.poll_event() {
        state.wake(&event);
        if let Event::Closed(reason) = &event {
            *phase = Phase::Flushing(Time::MAX);
            if let CloseReason::Error(error) = reason {
                *result = Err(error.clone());
            }
        }
        side.on_event(state, event);
    }
}

impl<I: Io, K: Clock, S: Side> Future for Driver<I, K, S> {
    type Output = Result<(), ConnectionError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.shared.signal.awake();
        for _ in 0..ROUNDS_PER_POLL {
            let now = this.clock.now();
            if this.armed <= now {
                this.armed = Time::MAX;
            }
            let round = this.round(cx, now);
            if this.phase == Phase::Done {
                // Handlers that are still there are dropped, and with them what they hold.
                this.side.run(&this.shared);
                return Poll::Ready(std::mem::replace(&mut this.result, Ok(())));
            }
            if round.is_pending() && this.sleep(cx, now).is_pending() {
                return Poll::Pending;
            }
        }
        // Enough for one turn: the others come first, then we go on.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A driver that is dropped takes its connection with it: the calls on it must hear of that.
impl<I, K: Clock, S: Side> Drop for Driver<I, K, S> {
    fn drop(&mut self) {
        let now = self.clock.now();
        let mut state = self.shared.lock();
        state.connection.receive_eof(now);
        take_events(&mut state, &mut self.side, &mut self.phase, &mut self.result);
        state.driver_gone();
    }
}
