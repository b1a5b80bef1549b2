//! A transport in memory, a clock that the test sets, a peer that is a bare protocol core, and wakers that count.

use std::future::Future;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use halfclose::{
    Client, Config, Connection, Event, Metadata, Needed, Recv, Role, Seed, Server, Status, Time,
};

use crate::io::{Clock, Io, Timer};

/// Polls once, with a waker that does nothing.
pub(super) fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A transport in memory. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Wire(Arc<Mutex<Line>>);

#[derive(Default)]
pub(super) struct Line {
    /// Bytes that the driver has not read yet.
    pub(super) coming: BytesMut,
    /// Bytes that follow, repeated without end.
    pub(super) endless: Vec<u8>,
    /// Whether the end follows.
    pub(super) eof: bool,
    /// The most bytes of one read; 0 means any number.
    pub(super) most_read: usize,
    /// Bytes that the driver wrote.
    pub(super) written: BytesMut,
    /// Whether writes fail.
    pub(super) broken: bool,
}

impl Wire {
    pub(super) fn lock(&self) -> MutexGuard<'_, Line> {
        self.0.lock().expect("no test panicked with it")
    }
}

impl Io for Wire {
    fn poll_read(&mut self, _: &mut Context<'_>, input: &mut BytesMut) -> Poll<Result<usize>> {
        let mut line = self.lock();
        let room = input.capacity() - input.len();
        if line.coming.is_empty() && !line.endless.is_empty() {
            line.coming = line.endless.repeat(room / line.endless.len() + 1).as_slice().into();
        }
        if line.coming.is_empty() {
            return if line.eof { Poll::Ready(Ok(0)) } else { Poll::Pending };
        }
        let most = if line.most_read == 0 { room } else { line.most_read.min(room) };
        let count = line.coming.len().min(most);
        input.extend_from_slice(&line.coming.split_to(count));
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        let mut line = self.lock();
        if line.broken {
            return Poll::Ready(Err(Error::from(ErrorKind::BrokenPipe)));
        }
        for slice in slices {
            line.written.extend_from_slice(slice);
        }
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A clock that the test sets.
#[derive(Clone, Default)]
pub(super) struct Still(Arc<Mutex<Duration>>);

impl Still {
    pub(super) fn advance(&self, time: Duration) {
        *self.0.lock().expect("no test panicked with it") += time;
    }
}

impl Clock for Still {
    type Timer = Self;

    fn now(&self) -> Time {
        Time::from_duration(*self.0.lock().expect("no test panicked with it"))
    }

    fn timer(&self) -> Self {
        self.clone()
    }
}

impl Timer for Still {
    fn poll_at(&mut self, _: &mut Context<'_>, at: Time) -> Poll<()> {
        if self.now() >= at { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// The other end: a protocol core that the test drives.
pub(super) struct Peer<R: Role> {
    pub(super) connection: Connection<R>,
}

impl Peer<Client> {
    pub(super) fn new(config: Config) -> Self {
        Self { connection: Connection::<Client>::new(config, Seed(2), Time::ZERO) }
    }
}

impl Peer<Server> {
    pub(super) fn new(config: Config) -> Self {
        Self { connection: Connection::<Server>::new(config, Seed(2), Time::ZERO) }
    }

    /// Answers each unary call that has arrived.
    pub(super) fn answer_every_call(&mut self, wire: &Wire, answer: &'static [u8]) {
        self.read(wire);
        while let Some(event) = self.connection.poll_event() {
            let Event::Request(call) = event else { continue };
            assert!(matches!(self.connection.recv(call), Ok(Recv::Message(_))), "a request");
            let answer = Bytes::from_static(answer);
            self.connection.send_message(call, answer, false).expect("room");
            self.connection.finish(call, Status::ok(), Metadata::new()).expect("an open call");
        }
        self.write(wire);
    }
}

impl<R: Role> Peer<R> {
    fn read(&mut self, wire: &Wire) {
        let mut came = wire.lock().written.split();
        while self.connection.receive(Time::ZERO, &mut came).expect("no error") == Needed::Again {}
    }

    fn write(&mut self, wire: &Wire) {
        while let Some(mut out) = self.connection.poll_transmit(Time::ZERO) {
            let bytes = out.copy_to_bytes(out.remaining());
            wire.lock().coming.extend_from_slice(&bytes);
        }
    }

    /// Reads what the driver wrote, and sends the reply.
    pub(super) fn exchange(&mut self, wire: &Wire) {
        self.read(wire);
        self.write(wire);
    }
}

/// A counter of its own wakes.
#[derive(Default)]
pub(super) struct Counted(AtomicUsize);

impl Counted {
    pub(super) fn new() -> (Waker, Arc<Self>) {
        let counted = Arc::new(Self::default());
        (Waker::from(Arc::clone(&counted)), counted)
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A counter of the times when it was woken or dropped at a forbidden moment.
pub(super) struct Suspicious<F: Fn() -> bool + Send + Sync> {
    wrong: F,
    times: Arc<AtomicUsize>,
}

impl<F: Fn() -> bool + Send + Sync + 'static> Suspicious<F> {
    pub(super) fn waker(wrong: F) -> (Waker, Arc<AtomicUsize>) {
        let times = Arc::new(AtomicUsize::new(0));
        (Waker::from(Arc::new(Self { wrong, times: Arc::clone(&times) })), times)
    }
}

impl<F: Fn() -> bool + Send + Sync> Suspicious<F> {
    fn look(&self) {
        if (self.wrong)() {
            self.times.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<F: Fn() -> bool + Send + Sync> Wake for Suspicious<F> {
    fn wake(self: Arc<Self>) {
        self.look();
    }
}

impl<F: Fn() -> bool + Send + Sync> Drop for Suspicious<F> {
    fn drop(&mut self) {
        self.look();
    }
}
