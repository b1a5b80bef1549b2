//! The driver's side of the transport: reading, writing, and how a connection leaves it.

use std::io::{Error, ErrorKind, IoSlice};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use halfclose::Time;

use super::{DriverTask, Next, Phase, RoleHooks, buffer};
use crate::io::{Clock, Io};
use crate::shared::State;

/// Pieces of one vectored write.
const SLICES: usize = 64;
/// How long a peer may take to read the last frames of a closed connection.
const FLUSH: Duration = Duration::from_secs(10);
/// How long a closed connection is read on, so that the peer's kernel does not throw away our last frames; and how long
/// one that cannot be written to, for what the peer sent before.
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
                    // What fails to read takes nothing either.
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

    /// Looks whether it is HTTP/2 that came.
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

    /// Writes until the connection has nothing more, or the transport takes nothing more, and makes it leave.
    #[inline]
    pub(super) fn write(&mut self, state: &mut State<S::Role>, cx: &mut Context<'_>, now: Time) {
        if self.severed.is_some() {
            return;
        }
        loop {
            self.write_some(state, cx, now);
            // A transport that keeps what it takes may have space only for that: after a flush it is tried once more.
            let full = self.blocked && self.unflushed;
            self.flush(cx, now);
            if !full || self.unflushed || self.severed.is_some() {
                break;
            }
            self.blocked = false;
        }
        // What went out has ended calls.
        self.take_events(state);
    }

    #[inline]
    fn write_some(&mut self, state: &mut State<S::Role>, cx: &mut Context<'_>, now: Time) {
        while let Some(mut transmit) = state.connection.poll_transmit(now) {
            let written = if transmit.chunk().len() == transmit.remaining() {
                self.io.poll_write(cx, &[IoSlice::new(transmit.chunk())])
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let count = transmit.chunks_vectored(&mut slices);
                self.io.poll_write(cx, slices.get(..count).unwrap_or_default())
            };
            match written {
                Poll::Ready(Ok(written)) if written > 0 => {
                    transmit.advance(written);
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

    /// Asks the transport to let go of what it may have kept of the bytes that were written. It wakes the task where it
    /// cannot yet, and is asked again then.
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

    /// What is queued cannot leave any more. But the peer may have answered before it closed.
    #[cold]
    fn sever(&mut self, now: Time, error: Option<Error>) {
        self.severed = Some(now + LINGER);
        self.broken.get_or_insert_with(|| error.unwrap_or_else(|| ErrorKind::WriteZero.into()).to_string());
        self.unflushed = false;
    }

    /// Nothing more is read before the replies that are queued are out.
    #[cold]
    pub(super) fn drain(&mut self) -> Next {
        if self.severed.is_some() {
            // They never will be.
            self.input.clear();
            self.eof = true;
        }
        if self.blocked { Next::Wait } else { Next::Work }
    }

    /// Writes what a connection that is over still has to say, then our side is shut, and the peer gets the time
    /// to read it.
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
