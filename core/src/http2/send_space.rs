//! Buffer space: how much a call may queue for sending, and who is told that there is space again.
//!
//! A call whose queue is empty may always queue a message, whatever others hold: what waits costs its own call only.

use super::engine::Engine;
use super::memory::Ledger;
use super::stream::{Pending, Stream};
use crate::config::Limits;
use crate::error::Misuse;

impl Stream {
    /// Whether a message may be queued behind what is queued already: up to the limit of a call, and only one message at a
    /// time while memory is short.
    #[inline]
    pub(super) fn check_room(&self, limits: &Limits, ledger: &Ledger) -> Result<(), Misuse> {
        let (queued, limit) = (self.queue.weight(), limits.send_buffer as usize);
        if queued > 0 && (queued >= limit || ledger.is_congested()) {
            return Err(not_writable(queued, limit, ledger));
        }
        Ok(())
    }
}

#[cold]
fn not_writable(queued: usize, limit: usize, ledger: &Ledger) -> Misuse {
    if queued >= limit {
        return Misuse::NotWritable { queued, limit };
    }
    let (queued, limit) = ledger.congestion();
    Misuse::NotWritable { queued, limit }
}

impl Engine {
    /// After bytes left the queue of a call that waits: tells it of space at half of the limit, so that a sender is not
    /// woken for every frame.
    #[inline(never)]
    pub(super) fn tell_writable(&mut self, slot: u32) {
        let half = self.config.limits.send_buffer as usize / 2;
        let is_congested = self.ledger.is_congested();
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let queued = stream.queue.weight();
        if queued == 0 || (queued <= half && !is_congested) {
            stream.want_write = false;
            self.tell(slot, Pending::WRITABLE);
        }
    }
}
