//! The driver's side of the transport: reading, writing, and closing.

use std::io::{Error, ErrorKind, IoSlice};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use halfclose::Time;

use super::{DriverTask, Next, Phase, RoleHooks, buffer};
use crate::io::{Clock, Io};
use crate::shared::{LockedState, Shared};

/// The most pieces of one vectored write.
const SLICES: usize = 64;
/// How long a peer may take to read the last frames of a closed connection.
const FLUSH: Duration = Duration::from_secs(10);
/// How long a closed connection is still read, so that the peer's kernel does not discard our last frames; also how
/// long a connection that cannot be written to is read for what the peer sent before.
const LINGER: Duration = Duration::from_secs(1);

impl<I: Io, K: Clock, S: RoleHooks> DriverTask<I, K, S> {
    #[inline]
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.eof {
            return Poll::Pending;
        }
        buffer::take(&mut self.input);
        match self.io.poll_read(cx, &mut self.input) {
            Poll::Ready(Ok(count)) if count > 0 => {
                if self.fresh {
                    self.look_at_first();
                }
                Poll::Ready(())
            }
            Poll::Ready(read) => {
                self.eof = true;
                if let Err(error) = read {
                    // A transport that fails to read cannot be written to either.
                    self.severed.get_or_insert(Time::ZERO);
                    self.broken.get_or_insert_with(|| error.to_string());
                }
                Poll::Ready(())
            }
            Poll::Pending => {
                buffer::give_back(&mut self.input);
                Poll::Pending
            }
        }
    }

    /// Checks whether the peer's first bytes are HTTP/2.
    #[cold]
    fn look_at_first(&mut self) {
        self.fresh = false;
        if let Some(why) = self.side.refuses(&self.input) {
            self.broken = Some(why);
            self.input.clear();
            self.eof = true;
            self.severed = Some(Time::ZERO);
        }
    }

    /// Writes until the connection has nothing more, or the transport takes nothing more, and makes it leave. The
    /// connection is unlocked while the transport is at work.
    #[inline]
    pub(super) fn write<'a>(
        &mut self,
        shared: &'a Shared<S::Role>,
        mut state: LockedState<'a, S::Role>,
        cx: &mut Context<'_>,
        now: Time,
    ) -> LockedState<'a, S::Role> {
        while self.severed.is_none()
            && (self.output.has_remaining()
                || state.connection.lend_transmit(now, &mut self.output)
                || self.unflushed)
        {
            drop(state);
            let written = self.write_lent(cx, now);
            state = shared.lock();
            state.connection.lent_written(written);
            if self.blocked || !state.connection.wants_transmit() {
                break;
            }
        }
        // What went out has ended calls.
        self.take_events(&mut state);
        state
    }

    /// Writes what was lent, and makes it leave. Returns how much the transport took.
    #[inline]
    fn write_lent(&mut self, cx: &mut Context<'_>, now: Time) -> usize {
        let before = self.output.remaining();
        loop {
            self.write_some(cx, now);
            // A transport that keeps what it takes may have space only for that: after a flush it is tried once more.
            let full = self.blocked && self.unflushed;
            self.flush(cx, now);
            if !full || self.unflushed || self.severed.is_some() {
                return before.saturating_sub(self.output.remaining());
            }
            self.blocked = false;
        }
    }

    #[inline]
    fn write_some(&mut self, cx: &mut Context<'_>, now: Time) {
        while self.output.has_remaining() {
            let written = if self.output.chunk().len() == self.output.remaining() {
                self.io.poll_write(cx, &[IoSlice::new(self.output.chunk())])
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let count = self.output.chunks_vectored(&mut slices);
                self.io.poll_write(cx, slices.get(..count).unwrap_or_default())
            };
            match written {
                Poll::Ready(Ok(written)) if written > 0 => {
                    self.output.advance(written);
                    self.unflushed = true;
                }
                Poll::Ready(written) => return self.sever(now, written.err()),
                Poll::Pending => {
                    self.blocked = true;
                    return;
                }
            }
        }
    }

    /// Asks the transport to send what it has buffered. If it cannot yet, it wakes the task, and is asked again.
    #[inline]
    pub(super) fn flush(&mut self, cx: &mut Context<'_>, now: Time) {
        if self.unflushed && self.severed.is_none() {
            match self.io.poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => self.sever(now, Some(error)),
                Poll::Pending => {}
            }
        }
    }

    /// Gives up writing after an error; the peer may still have answered before it closed.
    #[cold]
    fn sever(&mut self, now: Time, error: Option<Error>) {
        self.severed = Some(now + LINGER);
        self.broken.get_or_insert_with(|| error.unwrap_or_else(|| ErrorKind::WriteZero.into()).to_string());
        self.unflushed = false;
    }

    /// Waits until the queued replies are written, before anything more is read.
    #[cold]
    pub(super) fn drain(&mut self) -> Next {
        if self.severed.is_some() {
            // The replies can never be written.
            self.input.clear();
            self.eof = true;
        }
        if self.blocked { Next::Wait } else { Next::Work }
    }

    /// Ends a connection that is over: writes its last bytes, closes our side, and gives the peer time to read them.
    #[cold]
    pub(super) fn end(&mut self, cx: &mut Context<'_>, now: Time) -> Next {
        if let Phase::Flushing(until) = self.phase {
            let until = if until == Time::MAX { now + FLUSH } else { until };
            self.phase = Phase::Flushing(until);
            if self.severed.is_some() || now >= until {
                self.phase = Phase::Done;
                return Next::Wait;
            }
            self.blocked = self.blocked || self.unflushed || self.io.poll_close(cx).is_pending();
            if self.blocked {
                return Next::Wait;
            }
            self.phase = Phase::Lingering(now + LINGER);
        }
        self.input.clear();
        if let Phase::Lingering(until) = self.phase
            && (self.eof || now >= until)
        {
            self.phase = Phase::Done;
        }
        Next::Read
    }
}
