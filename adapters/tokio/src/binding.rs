//! The driver's traits for tokio's transports and timers.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::BytesMut;
use halfclose_driver::halfclose::{Seed, Time};
use halfclose_driver::{Clock, Io, Timer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// A stream of tokio: TCP or Unix socket, TLS session, in-memory pipe.
#[derive(Debug)]
pub struct TokioIo<T>(T);

impl<T> TokioIo<T> {
    /// Wraps a stream that is connected.
    pub const fn new(stream: T) -> Self {
        Self(stream)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for TokioIo<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        // The future has no state, so dropping it loses no bytes.
        pin!(self.0.read_buf(input)).poll(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.0);
        match slices {
            [one] => stream.poll_write(cx, one),
            _ => stream.poll_write_vectored(cx, slices),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// tokio's clock, counting from its creation.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    epoch: Instant,
}

impl TokioClock {
    /// Makes a clock that counts from now.
    #[must_use]
    pub fn new() -> Self {
        Self { epoch: Instant::now() }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    type Timer = TokioTimer;

    fn now(&self) -> Time {
        Time::from_duration(self.epoch.elapsed())
    }

    fn timer(&self) -> TokioTimer {
        TokioTimer { epoch: self.epoch, sleep: None }
    }
}

/// A timer of tokio, created when it is first needed.
#[derive(Debug)]
pub struct TokioTimer {
    epoch: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer for TokioTimer {
    fn poll_at(&mut self, cx: &mut Context<'_>, at: Time) -> Poll<()> {
        // The runtime's clock cannot express the time, so it never arrives.
        let Some(at) = self.epoch.checked_add(at.since_epoch()) else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx)
    }
}

/// Returns a seed that differs from connection to connection.
pub(crate) fn seed(stream: &TcpStream) -> Seed {
    let ports =
        [stream.peer_addr(), stream.local_addr()].map(|address| address.map_or(0, |address| address.port()));
    Seed(ports.into_iter().fold(0, |seed, port| (seed << 16) | u64::from(port)))
}
