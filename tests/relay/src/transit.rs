//! The chunks in flight in one direction, from the thread that reads to the thread that writes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::path::CutKind;

/// The most bytes that a path holds, more than any path under test has in flight. From then on the sender notices a
/// receiver that does not read.
const MOST: usize = 256 << 20;
/// Buffers that are kept for later chunks.
const SPARE: usize = 256;

/// An item at the end of a path.
#[derive(Debug)]
pub(crate) enum Arrival {
    Chunk(Vec<u8>),
    /// The end of the stream.
    End,
    Cut(CutKind),
}

/// The reason why a side stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Closed;

#[derive(Debug, Default)]
struct State {
    arrivals: VecDeque<(Instant, Arrival)>,
    bytes: usize,
    spare: Vec<Vec<u8>>,
    closed: bool,
}

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct Transit {
    state: Mutex<State>,
    changed: Condvar,
}

impl Transit {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends something, once there is space.
    pub(crate) fn send(&self, due: Instant, arrival: Arrival) -> Result<(), Closed> {
        let bytes = if let Arrival::Chunk(chunk) = &arrival { chunk.len() } else { 0 };
        let mut state = self.lock();
        while !state.closed && state.bytes >= MOST {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return Err(Closed);
        }
        state.bytes += bytes;
        state.arrivals.push_back((due, arrival));
        if state.arrivals.len() == 1 {
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Returns what arrives next, when it is due.
    pub(crate) fn receive(&self) -> Result<Arrival, Closed> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return Err(Closed);
            }
            let wait = state.arrivals.front().map(|(due, _)| due.saturating_duration_since(Instant::now()));
            state = match wait {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(wait) if !wait.is_zero() => {
                    self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                Some(_) => break,
            };
        }
        let Some((_, arrival)) = state.arrivals.pop_front() else { return Err(Closed) };
        if let Arrival::Chunk(chunk) = &arrival {
            if state.bytes >= MOST {
                self.changed.notify_all();
            }
            state.bytes -= chunk.len();
        }
        Ok(arrival)
    }

    /// Returns a buffer of `size` bytes, used before or new.
    pub(crate) fn buffer(&self, size: usize) -> Vec<u8> {
        let mut buffer = self.lock().spare.pop().unwrap_or_default();
        buffer.resize(size, 0);
        buffer
    }

    /// Keeps a buffer for later.
    pub(crate) fn recycle(&self, mut buffer: Vec<u8>, size: usize) {
        if buffer.capacity() < size {
            return;
        }
        // Its bytes need not be cleared again.
        buffer.resize(size, 0);
        let mut state = self.lock();
        if state.spare.len() < SPARE {
            state.spare.push(buffer);
        }
    }

    /// Closes the direction, after which nothing arrives.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }
}
