//! Room for what is queued: how much a call and the connection hold for sending, who waits for room, and who is told.
//!
//! Calls that have a stream share one bound, calls that wait for one share another: what waits moves only when a call
//! with a stream ends, so if both counted together, what waits could keep that call from ever ending.

use super::engine::Engine;
use super::stream::{Pending, Stream};
use crate::config::Limits;
use crate::error::Misuse;

/// Whether a call that has `own` bytes queued may queue a message, where `shared` bytes share the connection's buffer.
/// An empty queue always takes a message, however little the limit is; the connection's is at least 1.
#[inline]
pub(super) fn room(limits: &Limits, own: usize, shared: usize) -> Result<(), Misuse> {
    let (own_limit, shared_limit) = (limits.send_buffer as usize, limits.connection_send_buffer as usize);
    if own > 0 && own >= own_limit {
        return Err(not_writable(own, own_limit));
    }
    if shared >= shared_limit {
        return Err(not_writable(shared, shared_limit));
    }
    Ok(())
}

#[cold]
fn not_writable(queued: usize, limit: usize) -> Misuse {
    Misuse::NotWritable { queued, limit }
}

impl Engine {
    /// The bytes that share the connection's send buffer with those of `stream`: of all calls that have a stream, or
    /// of all that wait for one.
    fn shared_bytes(&self, stream: &Stream) -> usize {
        if stream.id == 0 { self.waiting_bytes } else { self.queued_bytes }
    }

    fn is_congested(&self, slot: u32) -> bool {
        let queued = self.slots.get(slot).map_or(0, |stream| self.shared_bytes(stream));
        queued >= self.config.limits.connection_send_buffer as usize
    }

    #[inline]
    pub(super) fn send_space(&self, stream: &Stream) -> Result<(), Misuse> {
        room(&self.config.limits, stream.queue.weight(), self.shared_bytes(stream))
    }

    #[cold]
    pub(super) fn wait_for_space(&mut self, slot: u32) {
        let congested = self.is_congested(slot);
        if let Some(stream) = self.slots.get_mut(slot) {
            stream.want_write = true;
        }
        if congested {
            self.await_others(slot);
        }
    }

    fn await_others(&mut self, slot: u32) {
        let has_stream = self.slots.get(slot).is_some_and(|stream| stream.id != 0);
        let line = if has_stream { &mut self.congested } else { &mut self.congested_waiting };
        line.push_back(slot);
    }

    /// After bytes left a queue: tells those who wait that there is room again, at half the limit, so that a sender
    /// is not woken for every frame.
    #[inline]
    pub(super) fn relieve(&mut self, slot: u32) {
        let limit = self.config.limits.send_buffer as usize / 2;
        let waits = |stream: &Stream| stream.want_write && stream.queue.weight() <= limit;
        if !self.slots.get(slot).is_some_and(waits) {
            return;
        }
        if self.is_congested(slot) {
            return self.await_others(slot);
        }
        if let Some(stream) = self.slots.get_mut(slot) {
            stream.want_write = false;
        }
        self.tell(slot, Pending::WRITABLE);
    }

    #[inline]
    pub(super) fn relieve_congestion(&mut self) {
        if self.congested.is_empty() && self.congested_waiting.is_empty() {
            return;
        }
        self.relieve_queues();
    }

    #[inline(never)]
    fn relieve_queues(&mut self) {
        let half = self.config.limits.connection_send_buffer as usize / 2;
        if !self.congested.is_empty() && self.queued_bytes <= half {
            for _ in 0..self.congested.len() {
                let Some(slot) = self.congested.pop_front() else { break };
                self.relieve(slot);
            }
        }
        if !self.congested_waiting.is_empty() && self.waiting_bytes <= half {
            for _ in 0..self.congested_waiting.len() {
                let Some(slot) = self.congested_waiting.pop_front() else { break };
                self.relieve(slot);
            }
        }
    }

    /// A call has its stream: what it has queued counts with that of the others that have one.
    #[inline]
    pub(super) fn move_to_stream(&mut self, slot: u32, queued: usize) {
        self.waiting_bytes = self.waiting_bytes.saturating_sub(queued);
        self.queued_bytes = self.queued_bytes.saturating_add(queued);
        if !self.congested_waiting.is_empty() && self.congested_waiting.remove(slot) {
            self.congested.push_back(slot);
        }
        self.relieve_congestion();
    }
}
