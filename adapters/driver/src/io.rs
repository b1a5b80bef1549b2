//! What a runtime gives the driver: a transport and a clock.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use bytes::BytesMut;
use halfclose::Time;

/// A transport of bytes: a TCP socket, a TLS session, a pipe.
///
/// Each method tries first and registers the task only when there is nothing to do, as the poll functions of every
/// runtime do.
pub trait Io {
    /// Reads into the spare capacity of `input`, which the driver provides, behind what is there already. `Ok(0)` is the
    /// end of the stream.
    ///
    /// # Errors
    ///
    /// Whatever the transport says; the connection is over then.
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>>;

    /// Writes the front of `slices`, as much as the transport takes, and gives how many bytes that were.
    ///
    /// # Errors
    ///
    /// Whatever the transport says; the connection is over then.
    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Makes what was written leave, where the transport keeps some of it: a buffered stream, a TLS session. Ready once
    /// everything has left, and at once where nothing is kept. It is asked for whenever nothing more is to be written for
    /// now, and before the driver sleeps.
    ///
    /// # Errors
    ///
    /// Whatever the transport says; the connection is over then.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends the sending side, after everything that was written.
    ///
    /// # Errors
    ///
    /// Whatever the transport says.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Gives memory back that only serves speed: the connection has been idle for a while.
    fn shrink(&mut self) {}
}

/// A source of time. One clock serves all connections of a program; it is cloned into each.
pub trait Clock: Clone + Send + Sync + 'static {
    /// What wakes a connection at a given time.
    type Timer: Timer + Send;

    /// Returns the time since some fixed point in the past; it must not run backwards.
    fn now(&self) -> Time;

    /// Returns a new timer, one for each connection.
    fn timer(&self) -> Self::Timer;
}

/// Wakes a task at a given time.
pub trait Timer {
    /// Sets the timer to `at`, in place of what it was set to, and polls it: ready when `at` has come.
    fn poll_at(&mut self, cx: &mut Context<'_>, at: Time) -> Poll<()>;
}
