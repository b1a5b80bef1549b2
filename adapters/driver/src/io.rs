//! The two things that a runtime provides to the driver: a transport and a clock.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use bytes::BytesMut;
use halfclose::Time;

/// A byte transport: a TCP socket, a TLS session, a pipe.
///
/// Each method tries first, and registers the task only if it cannot proceed, as poll functions of async runtimes do.
pub trait Io {
    /// Reads into the spare capacity of `input`, behind its content; the driver provides the capacity. `Ok(0)` is the
    /// end of the stream.
    ///
    /// # Errors
    ///
    /// Any error of the transport; the connection is over then.
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>>;

    /// Writes from the front of `slices` as many bytes as the transport accepts, and returns their number.
    ///
    /// # Errors
    ///
    /// Any error of the transport; the connection is over then.
    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Sends what the transport has buffered: a buffered stream or a TLS session may hold back written bytes.
    /// Completes once everything has been sent, and at once if nothing is buffered. The driver calls it when it has
    /// nothing more to write for now, and before it sleeps.
    ///
    /// # Errors
    ///
    /// Any error of the transport; the connection is over then.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Closes the sending side, after everything that was written.
    ///
    /// # Errors
    ///
    /// Any error of the transport.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Gives memory back that only serves speed: the connection has been idle for a while.
    fn shrink(&mut self) {}
}

/// A source of time. One clock serves all connections of a program; each holds a clone.
pub trait Clock: Clone + Send + Sync + 'static {
    /// The timer that wakes a connection at a given time.
    type Timer: Timer + Send;

    /// Returns the time since some fixed point in the past; it may not run backwards.
    fn now(&self) -> Time;

    /// Returns a new timer, one for each connection.
    fn timer(&self) -> Self::Timer;
}

/// Wakes a task at a given time.
pub trait Timer {
    /// Sets the timer to `at`, replacing its previous time, and polls it: it completes at `at`.
    fn poll_at(&mut self, cx: &mut Context<'_>, at: Time) -> Poll<()>;
}
