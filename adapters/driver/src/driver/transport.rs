//! The driver's side of the transport: reading, writing, and how a connection leaves it.

use std::io::IoSlice;
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

    /// Writes until the connection has nothing more, or the transport takes nothing more.
    #[inline]
    pub(super) fn write(&mut self, state: &mut State<S::Role>, cx: &mut Context<'_>, now: Time) {
        if self.severed.is_some() {
            return;
        }
        while let Some(mut transmit) = state.connection.poll_transmit(now) {
            let written = if transmit.chunk().len() == transmit.remaining() {
                self.io.poll_write(cx, &[IoSlice::new(transmit.chunk())])
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let count = transmit.chunks_vectored(&mut slices);
                self.io.poll_write(cx, slices.get(..count).unwrap_or_default())
            };
            match written {
                Poll::Ready(Ok(written)) if written > 0 => transmit.advance(written),
                // What is queued cannot leave any more. But the peer may have answered before it closed.
                Poll::Ready(_) => {
                    self.severed = Some(now + LINGER);
                    break;
                }
                Poll::Pending => {
                    self.blocked = true;
                    break;
                }
            }
        }
        // What went out has ended calls.
        self.take_events(state);
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
            self.blocked = self.blocked || self.io.poll_close(cx).is_pending();
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
