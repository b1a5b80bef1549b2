//! Send-buffer space: how much a call may queue for sending, and when its caller learns that there is space again.
//!
//! A call whose queue is empty may always queue one message, however much other calls have queued.

use super::engine::Engine;
use super::memory::Ledger;
use super::stream::{Pending, Stream};
use crate::config::Limits;
use crate::error::Misuse;

impl Stream {
    /// Checks whether another message may be queued: if the queue is below the call's limit or, while memory is
    /// short, if it is empty.
    #[inline]
    pub(super) fn check_room(&self, limits: &Limits, ledger: &Ledger) -> Result<(), Misuse> {
        let (queued, limit) = (self.queue.weight(), limits.send_buffer as usize);
        if queued > 0 && (queued >= limit || ledger.is_congested()) {
            return Err(not_writable(queued, limit, ledger));
        }
        Ok(())
    }

    /// Counts the memory of a message that was refused and waits at the caller.
    #[cold]
    pub(super) fn refuse(&mut self, length: usize, ledger: &mut Ledger) {
        self.want_write = true;
        self.accept_refused(ledger);
        self.refused = length;
        ledger.queued(length, true);
    }

    /// Stops counting a refused message, since the caller has queued it or given it up.
    #[inline]
    pub(super) fn accept_refused(&mut self, ledger: &mut Ledger) {
        if self.refused > 0 {
            ledger.sent(std::mem::take(&mut self.refused), true);
        }
    }

    /// Drops what is queued.
    #[inline]
    pub(super) fn drop_queue(&mut self, ledger: &mut Ledger) {
        self.accept_refused(ledger);
        ledger.sent(self.queue.clear(), std::mem::take(&mut self.held_up));
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
    /// Queues `Writable` for a call whose send queue has drained to half of its limit, rather than for every frame
    /// that leaves, so that the sender is not woken each time.
    #[inline(never)]
    pub(super) fn tell_writable(&mut self, slot: u32) {
        let half = self.config.limits.send_buffer as usize / 2;
        let is_congested = self.ledger.is_congested();
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let queued = stream.queue.weight();
        if queued == 0 || (queued <= half && !is_congested) {
            stream.want_write = false;
            // The caller queues the refused message now, or has given it up.
            stream.accept_refused(&mut self.ledger);
            self.tell(slot, Pending::WRITABLE);
        }
    }
}
