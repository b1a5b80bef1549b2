//! What happens when memory is short: who waits for it, for how long, and who has to give it up.
//!
//! A message that is larger than its window waits where its rest would go over what was granted. It waits for
//! [`Limits::memory_timeout`](crate::Limits::memory_timeout) at most, and nothing else waits for it: what is promised to streams whose peers send
//! nothing is not counted for longer than [`Limits::stall_timeout`](crate::Limits::stall_timeout), and calls that hold memory without any progress for
//! so long are ended while others wait for it, those that stalled first before the others.

use std::fmt;
use std::time::Duration;

use super::end::CUT_BY_US;
use super::engine::Engine;
use super::memory::Memory;
use super::stream::{Pending, Stream};
use crate::grpc::status::Status;
use crate::time::Time;

/// While memory is short, it is looked after so many times in a stall.
const LOOKS: u32 = 8;

/// A stream has made progress when this part of what it holds has moved. A peer cannot hold on to memory by a few
/// bytes now and then.
const PROGRESS: usize = 256;

/// A stream whose bytes may stand behind those of others has so many times as long.
const PATIENCE: u32 = 4;

/// What the connection brings meanwhile: a stream does not stall while its bytes may stand behind those of others.
#[derive(Clone, Copy)]
struct Pace {
    now: Time,
    limit: Duration,
    /// Neither side's bytes have moved for so long as a stream may stall.
    silent: bool,
    /// Bytes that have come, and the most that may be under way.
    came: u64,
    window: u64,
}

/// Bytes that had moved on a connection when its memory was last looked after, and since when there are no more.
#[derive(Clone, Copy, Default)]
pub(super) struct Silence {
    moved: u64,
    since: Time,
}

/// What has moved on a stream that was given something to send and has not come to it yet: no time counts before that,
/// since the caller may queue a message long after the connection was last told the time.
const FRESH: u32 = u32::MAX;

impl Stream {
    /// The first message is queued.
    #[inline]
    pub(super) fn begin_to_hold(&mut self) {
        if self.queue.bytes() == 0 {
            self.moved = FRESH;
        }
    }

    /// What is queued has to wait for a window.
    pub(super) fn has_to_wait(&mut self, now: Time) {
        if self.moved == FRESH {
            self.progress = now;
            self.moved = 0;
        }
    }

    /// Bytes moved on this stream, and others are held on it.
    #[inline]
    pub(super) fn moved(&mut self, bytes: usize, now: Time, came: u64) {
        let moved = (self.moved as usize).saturating_add(bytes);
        if moved > self.held() / PROGRESS {
            self.goes_on(now, came);
        } else {
            self.moved = u32::try_from(moved).unwrap_or(FRESH);
        }
    }

    /// The stream makes progress, or may make it from now on, when so many bytes have come on the connection.
    #[inline]
    pub(super) fn goes_on(&mut self, now: Time, came: u64) {
        (self.progress, self.came) = (now, came);
        self.moved = 0;
    }

    /// Bytes that the stream holds.
    #[inline]
    fn held(&self) -> usize {
        self.inbound.buffered().saturating_add(self.queue.weight())
    }

    /// Returns whether the stream holds memory and makes no progress, because its peer sends or takes nothing: for longer than
    /// its bytes can have stood behind others.
    fn has_stalled(&self, pace: &Pace) -> bool {
        let still = pace.now - self.progress;
        if self.id == 0 || self.moved == FRESH || still < pace.limit {
            return false;
        }
        let sending = self.queue.bytes() > 0;
        let receiving = self.inbound.is_mid_message() && self.inbound.complete() == 0 && self.want_read;
        let all_came = !sending && pace.came.saturating_sub(self.came) >= pace.window;
        let alone = pace.silent || all_came || self.held_up || still >= pace.limit * PATIENCE;
        alone && (receiving || sending)
    }
}

impl Engine {
    pub(crate) fn memory(&self) -> Memory {
        let waiting =
            || self.short.iter().filter_map(|slot| self.slots.get(slot)).map(Stream::window_lacking);
        let (sum, least) = (waiting().map(u64::from).sum(), waiting().min().unwrap_or(0));
        self.ledger.memory(sum, least.into())
    }

    #[inline]
    pub(crate) fn wants_memory(&self) -> bool {
        self.ledger.lacks() || !(self.short.is_empty() || self.ledger.is_at_limit())
    }

    #[inline]
    pub(crate) fn is_memory_settled(&self) -> bool {
        self.ledger.is_settled() && (self.short.is_empty() || self.ledger.is_at_limit())
    }

    pub(crate) fn grant(&mut self, bytes: u64) {
        self.ledger.grant(bytes);
        self.serve_short();
    }

    pub(crate) fn take_back(&mut self, bytes: u64) -> u64 {
        if self.short.is_empty() { self.ledger.take_back(bytes) } else { 0 }
    }

    pub(crate) fn reclaim(&mut self, now: Time, bytes: u64) {
        self.advance_clock(now);
        self.forget_promises();
        self.serve_short();
        self.end_stalled(|engine| !engine.is_short() && engine.ledger.can_spare(bytes));
    }

    /// The message in progress on a stream waits for memory.
    #[cold]
    pub(super) fn wait_for_memory(&mut self, slot: u32) {
        self.short.push_back(slot);
        let now = self.now;
        if let Some(stream) = self.slots.get_mut(slot) {
            stream.waits_since = now;
        }
        self.on_short_memory();
    }

    /// Memory is short: looks after it at once where nobody can grant more, or else a while later.
    #[cold]
    pub(super) fn on_short_memory(&mut self) {
        if self.ledger.is_at_limit() {
            return self.look_after_memory();
        }
        self.forget_promises();
        self.serve_short();
        self.look_again();
    }

    /// Memory is looked after in a while.
    #[inline]
    pub(super) fn look_again(&mut self) {
        self.clock.memory_short(self.now + self.config.limits.stall_timeout / LOOKS);
    }

    /// Memory was given back: messages that wait for it may go on.
    #[inline]
    pub(super) fn memory_freed(&mut self) {
        if !self.short.is_empty() {
            self.serve_short();
        }
    }

    /// In the order in which they came; a message that is too large for what there is does not keep smaller ones waiting.
    #[inline(never)]
    fn serve_short(&mut self) {
        self.windows = None;
        for _ in 0..self.short.len() {
            let Some(slot) = self.short.pop_front() else { return };
            if !self.open_window(slot) {
                self.short.push_back(slot);
            }
        }
    }

    /// Memory is short: makes room where it can, and looks again a while later.
    #[cold]
    pub(super) fn look_after_memory(&mut self) {
        self.forget_promises();
        self.serve_short();
        self.end_stalled(|engine| !engine.is_short());
        self.end_waiting();
        self.release_senders();
        if self.is_short() || self.ledger.sends_much() {
            self.look_again();
        }
    }

    /// Callers that wait with their next message do so for no longer than a stall: their peer may be one that waits for
    /// them.
    fn release_senders(&mut self) {
        let (now, limit) = (self.now, self.config.limits.stall_timeout);
        for slot in self.ids.slots() {
            if let Some(stream) = self.slots.get_mut(slot)
                && stream.want_write
                && stream.moved != FRESH
                && now - stream.progress >= limit
            {
                stream.want_write = false;
                stream.accept_refused(&mut self.ledger);
                self.tell(slot, Pending::WRITABLE);
            }
        }
    }

    /// Returns what the connection has brought, and looks whether anything moves on it.
    fn pace(&mut self) -> Pace {
        let limit = self.config.limits.stall_timeout;
        let came = self.bytes_that_came();
        let moved = came.saturating_add(self.outbox.written());
        if moved != self.silence.moved {
            self.silence = Silence { moved, since: self.now };
        }
        let window = self.recv_window.saturating_add(i64::from(self.recv_owed));
        let silent = self.now - self.silence.since >= limit;
        Pace { now: self.now, limit, silent, came, window: u64::try_from(window).unwrap_or(0) }
    }

    /// Returns how many bytes of DATA frames have come on the connection.
    #[inline]
    pub(super) fn bytes_that_came(&self) -> u64 {
        self.credited.saturating_add(self.recv_owed.into())
    }

    /// What was promised to streams that do not make use of it is no reason to keep others waiting, and what windows have
    /// grown by neither. They may still use it.
    fn forget_promises(&mut self) {
        let (now, limit) = (self.now, self.config.limits.stall_timeout);
        let own = self.least_window();
        for slot in self.ids.slots() {
            let Some(stream) = self.slots.get_mut(slot) else { continue };
            self.ledger.shrink(stream.shrink_after_pause(now, own));
            if stream.promised > 0 && now - stream.progress >= limit {
                self.ledger.release(std::mem::take(&mut stream.promised));
            }
        }
    }

    /// Ends calls that hold memory and have stalled, those first that stalled first, until there is `enough`.
    fn end_stalled(&mut self, enough: impl Fn(&Self) -> bool) {
        if enough(self) {
            return;
        }
        let pace = self.pace();
        let mut stalled: Vec<(Time, u32)> = Vec::new();
        for slot in self.ids.slots() {
            if let Some(stream) = self.slots.get(slot)
                && stream.has_stalled(&pace)
                && !self.short.contains(slot)
            {
                stalled.push((stream.progress, slot));
            }
        }
        stalled.sort_unstable();
        for (_, slot) in stalled {
            if enough(self) {
                return;
            }
            self.end_for_memory(slot, format_args!("this call stalled for {:?}", pace.limit));
        }
    }

    /// Returns whether messages wait for memory, or more is held than was granted.
    fn is_short(&self) -> bool {
        !self.short.is_empty() || self.ledger.is_over()
    }

    /// Ends the calls that have waited for too long.
    fn end_waiting(&mut self) {
        let limit = self.config.limits.memory_timeout;
        let now = self.now;
        let waited =
            |slot: &u32| self.slots.get(*slot).is_some_and(|stream| now - stream.waits_since >= limit);
        let late: Vec<u32> = self.short.iter().filter(waited).collect();
        for slot in late {
            self.end_for_memory(slot, format_args!("too little came free in {limit:?}"));
        }
    }

    /// More bytes of a message came than there is memory for: calls that stalled give theirs up, then those that wait for
    /// memory, the last one first, and then the call that they came for. Whether they may be kept.
    #[cold]
    pub(super) fn make_room(&mut self, slot: u32, bytes: usize) -> bool {
        self.end_stalled(|engine| engine.ledger.admits(bytes));
        while !self.ledger.admits(bytes)
            && let Some(last) = self.short.back()
            && last != slot
        {
            self.end_for_memory(last, format_args!("others need it"));
        }
        if self.ledger.admits(bytes) {
            return true;
        }
        self.end_for_memory(slot, format_args!("{bytes} bytes more came"));
        false
    }

    /// Ends a call for want of memory, and gives back what it holds.
    fn end_for_memory(&mut self, slot: u32, why: fmt::Arguments<'_>) {
        self.short.remove(slot);
        let Memory { held, granted, .. } = self.ledger.memory(0, 0);
        let text = format!("over the limit `memory`: {held} bytes of {granted} are in use, and {why}");
        self.overrule(slot, Status::resource_exhausted(text), CUT_BY_US);
    }
}
