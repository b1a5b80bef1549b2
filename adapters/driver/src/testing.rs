//! Tests without sockets: a client and a server in one process, joined by a pipe in memory, and a clock that is set by
//! hand. Everything but the sockets is what a program runs: calls pass through the protocol of both sides.
//!
//! `pair` of `halfclose_tokio::testing` and of `halfclose_smol::testing` gives a channel to a router, with its tasks on
//! the runtime. This module has the parts, for other executors.

use std::fmt;
use std::io::{self, IoSlice};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use halfclose::{Config, Seed, Time};

use crate::client::{Channel, ClientDriver};
use crate::io::{Clock, Io, Timer};
use crate::server::{Router, ServerDriver};
use crate::shutdown::Shutdown;

/// How many bytes a pipe holds in each direction: as many as a socket of an ordinary system.
const PIPE_SIZE: usize = 64 * 1024;

/// Returns a channel to a router, and the two tasks of the connection, which must be polled.
///
/// ```
/// use std::sync::Arc;
/// use halfclose_driver::Router;
/// use halfclose_driver::testing::{ManualClock, joined};
///
/// let clock = ManualClock::new();
/// let (channel, client, server) = joined(Router::new(), clock.clone());
/// # drop((channel, client, server));
/// ```
pub fn joined<K: Clock>(router: Router, clock: K) -> (Channel, ClientDriver<Pipe, K>, ServerDriver<Pipe, K>) {
    let (near, far) = pipe(PIPE_SIZE);
    let (channel, client) = Channel::new(near, clock.clone(), Config::client(), Seed(1));
    let server = Arc::new(router).serve(far, clock, Config::server(), Seed(2), &Shutdown::new());
    (channel, client, server)
}

/// One end of a pipe in memory.
pub struct Pipe {
    reads: Arc<Direction>,
    writes: Arc<Direction>,
}

/// Makes a pipe that holds up to `size` bytes in each direction.
#[must_use]
pub fn pipe(size: usize) -> (Pipe, Pipe) {
    let direction = || Arc::new(Direction { size: size.max(1), state: Mutex::default() });
    let (one, other) = (direction(), direction());
    (Pipe { reads: Arc::clone(&one), writes: Arc::clone(&other) }, Pipe { reads: other, writes: one })
}

struct Direction {
    size: usize,
    state: Mutex<DirectionState>,
}

#[derive(Default)]
struct DirectionState {
    bytes: BytesMut,
    /// The writer has closed it.
    closed: bool,
    /// The reader is gone.
    unread: bool,
    /// Who waits for bytes, or for space.
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Direction {
    fn lock(&self) -> MutexGuard<'_, DirectionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes the tasks that this concerns once the lock is free.
    fn change(&self, change: impl FnOnce(&mut DirectionState)) {
        let mut state = self.lock();
        change(&mut state);
        let wakers = (state.reader.take(), state.writer.take());
        drop(state);
        for waker in [wakers.0, wakers.1].into_iter().flatten() {
            waker.wake();
        }
    }
}

impl Io for Pipe {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        let mut state = self.reads.lock();
        if state.bytes.is_empty() && !state.closed {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let space = input.capacity().saturating_sub(input.len());
        let count = state.bytes.len().min(space);
        input.extend_from_slice(&state.bytes.split_to(count));
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let size = self.writes.size;
        let mut state = self.writes.lock();
        if state.unread || state.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut space = size.saturating_sub(state.bytes.len());
        if space == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut count = 0;
        for slice in slices {
            let mut rest: &[u8] = slice;
            let taken = rest.copy_to_bytes(rest.len().min(space));
            state.bytes.extend_from_slice(&taken);
            count += taken.len();
            space -= taken.len();
        }
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writes.change(|state| state.closed = true);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.writes.change(|state| state.closed = true);
        self.reads.change(|state| state.unread = true);
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").finish_non_exhaustive()
    }
}

/// A clock that stands still until it is moved. Clones are the same clock.
#[derive(Clone, Default)]
pub struct ManualClock {
    state: Arc<Mutex<ManualTime>>,
}

#[derive(Default)]
struct ManualTime {
    now: Duration,
    waiting: Vec<Waker>,
}

impl ManualClock {
    /// Creates a clock at its beginning.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock, and wakes every timer to look at it.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now = state.now.saturating_add(by);
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Clock for ManualClock {
    type Timer = ManualTimer;

    fn now(&self) -> Time {
        Time::from_duration(self.state.lock().unwrap_or_else(PoisonError::into_inner).now)
    }

    fn timer(&self) -> ManualTimer {
        ManualTimer { clock: self.clone() }
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("now", &self.now()).finish()
    }
}

/// A timer of a [`ManualClock`].
#[derive(Debug)]
pub struct ManualTimer {
    clock: ManualClock,
}

impl Timer for ManualTimer {
    fn poll_at(&mut self, cx: &mut Context<'_>, at: Time) -> Poll<()> {
        let mut state = self.clock.state.lock().unwrap_or_else(PoisonError::into_inner);
        if Time::from_duration(state.now) >= at {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}
