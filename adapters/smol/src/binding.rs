//! The driver's traits for smol's transports and timers.

use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Instant;

use atomic_waker::AtomicWaker;
use bytes::{Bytes, BytesMut};
use halfclose_driver::halfclose::{Seed, Time};
use halfclose_driver::{Clock, Io, Timer as DriverTimer};
use rustix::buffer::spare_capacity;
use rustix::net::Shutdown;
use smol::{Async, Timer};

/// A socket that smol can watch: a TCP or Unix socket.
#[derive(Debug)]
pub struct SmolIo<T> {
    socket: Async<T>,
    /// Whether the last read returned less than it could, so that another read before the socket is readable would be
    /// useless.
    drained: bool,
    readable: Readable,
}

/// Whether the reactor has reported that a socket is readable.
#[derive(Debug)]
struct Readable {
    wake: Arc<ReadableWake>,
    /// A waker that calls `wake`.
    waker: Waker,
}

/// Records a wake, and passes it on to the task.
#[derive(Default, Debug)]
struct ReadableWake {
    woken: AtomicBool,
    task: AtomicWaker,
}

impl Wake for ReadableWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl Readable {
    fn new() -> Self {
        let wake = Arc::new(ReadableWake::default());
        Self { waker: Waker::from(Arc::clone(&wake)), wake }
    }

    /// Returns whether the reactor has reported it since the last call; a later report wakes `task`.
    fn woken(&self, task: &Waker) -> bool {
        self.wake.task.register(task);
        self.wake.woken.swap(false, Ordering::AcqRel)
    }
}

impl<T: AsFd> SmolIo<T> {
    /// Wraps a socket that is connected.
    pub fn new(socket: Async<T>) -> Self {
        Self { socket, drained: false, readable: Readable::new() }
    }

    /// Completes when a read is worth a system call.
    ///
    /// When it is polled again, the reactor cannot tell a new event from an older one and may report that the socket
    /// is not ready, again and again on an executor that is never idle. So a recorded wake overrules the reactor's
    /// answer.
    fn poll_readable(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let woken = self.readable.woken(cx.waker());
        match self.socket.poll_readable(&mut Context::from_waker(&self.readable.waker)) {
            Poll::Pending if woken => Poll::Ready(Ok(())),
            polled => polled,
        }
    }

    /// Reads into the spare capacity of `input`.
    ///
    /// rustix reads into the spare capacity of a vector without filling it first; converting the buffer to a vector
    /// and back copies nothing if nothing else refers to it. If a message still does, the vector is a copy of the
    /// rest and has to get the same capacity: a read into an empty buffer would look like the end of the stream.
    fn read(&self, input: &mut BytesMut, room: usize) -> io::Result<usize> {
        let mut bytes = Vec::from(mem::take(input));
        bytes.reserve(room);
        let before = bytes.len();
        let result = rustix::io::read(&self.socket, spare_capacity(&mut bytes));
        let count = bytes.len().saturating_sub(before);
        *input = BytesMut::from(Bytes::from(bytes));
        result.map(|_| count).map_err(io::Error::from)
    }
}

impl<T: AsFd> Io for SmolIo<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        loop {
            if self.drained {
                ready!(self.poll_readable(cx))?;
                self.drained = false;
            }
            let room = input.capacity().saturating_sub(input.len());
            match self.read(input, room) {
                Ok(count) => {
                    self.drained = count < room && count > 0;
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.drained = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            let written = match slices {
                [one] => rustix::io::write(&self.socket, one),
                _ => rustix::io::writev(&self.socket, slices),
            };
            match written {
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(rustix::io::Errno::AGAIN) => ready!(self.socket.poll_writable(cx))?,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket does not buffer on this side.
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(rustix::net::shutdown(&self.socket, Shutdown::Write).map_err(io::Error::from))
    }
}

/// The system's clock, counting from its creation.
#[derive(Clone, Copy, Debug)]
pub struct SmolClock {
    epoch: Instant,
}

impl SmolClock {
    /// Makes a clock that counts from now.
    #[must_use]
    pub fn new() -> Self {
        Self { epoch: Instant::now() }
    }
}

impl Default for SmolClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SmolClock {
    type Timer = SmolTimer;

    fn now(&self) -> Time {
        Time::from_duration(self.epoch.elapsed())
    }

    fn timer(&self) -> SmolTimer {
        SmolTimer { epoch: self.epoch, timer: Timer::never() }
    }
}

/// A timer of smol.
#[derive(Debug)]
pub struct SmolTimer {
    epoch: Instant,
    timer: Timer,
}

impl DriverTimer for SmolTimer {
    fn poll_at(&mut self, cx: &mut Context<'_>, at: Time) -> Poll<()> {
        // The system's clock cannot express the time, so it never arrives.
        let Some(at) = self.epoch.checked_add(at.since_epoch()) else { return Poll::Pending };
        self.timer.set_at(at);
        Pin::new(&mut self.timer).poll(cx).map(drop)
    }
}

/// Returns a seed that differs from connection to connection.
pub(crate) fn seed(stream: &TcpStream) -> Seed {
    let ports =
        [stream.peer_addr(), stream.local_addr()].map(|address| address.map_or(0, |address| address.port()));
    Seed(ports.into_iter().fold(0, |seed, port| (seed << 16) | u64::from(port)))
}
