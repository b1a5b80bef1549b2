//! What a connection does when memory is short: which messages wait, for how long, and which calls end.
//!
//! A message larger than its window waits if the rest of it would exceed the grant. It waits at most
//! [`Limits::memory_timeout`](crate::Limits::memory_timeout), and nothing else waits with it. Promises to streams
//! whose peer sends nothing lapse after [`Limits::stall_timeout`](crate::Limits::stall_timeout). While messages wait,
//! calls that hold memory and make no progress for that long are ended, the longest-stalled first.

use std::fmt;
use std::time::Duration;

use super::end::CUT_BY_US;
use super::engine::Engine;
use super::memory::Memory;
use super::stream::{Pending, Stream};
use crate::grpc::status::Status;
use crate::time::Time;

/// The number of checks per stall timeout while memory is short.
const LOOKS: u32 = 8;

/// A stream has made progress when this fraction, 1/256, of what it holds has moved. A peer cannot hold memory by
/// sending a few bytes now and then.
const PROGRESS: usize = 256;

/// The multiple of the stall timeout that a stream gets if its bytes may be queued behind those of other streams.
const PATIENCE: u32 = 4;

/// The connection's traffic at the time of a check: a stream has not stalled while its bytes may be queued behind
/// others.
#[derive(Clone, Copy)]
struct Pace {
    now: Time,
    limit: Duration,
    /// Whether neither direction's bytes have moved for the stall timeout.
    silent: bool,
    /// Bytes of DATA frames received on the connection, and the most that the peer may have in flight.
    came: u64,
    window: u64,
}

/// The bytes that had moved on a connection at the last check, and the time since when none has moved.
#[derive(Clone, Copy, Default)]
pub(super) struct Silence {
    moved: u64,
    since: Time,
}

/// The value of `moved` for a stream that has something queued and has not been scheduled: its stall time has not
/// started, since the caller may queue a message long after the connection was last told the time.
const FRESH: u32 = u32::MAX;

impl Stream {
    /// Starts to count progress when the first message is queued.
    #[inline]
    pub(super) fn begin_to_hold(&mut self) {
        if self.queue.bytes() == 0 {
            self.moved = FRESH;
        }
    }

    /// Starts the stall time of what is queued, since it has to wait for a window.
    pub(super) fn has_to_wait(&mut self, now: Time) {
        if self.moved == FRESH {
            self.progress = now;
            self.moved = 0;
        }
    }

    /// Counts bytes that moved on this stream while it holds others.
    #[inline]
    pub(super) fn moved(&mut self, bytes: usize, now: Time, came: u64) {
        let moved = (self.moved as usize).saturating_add(bytes);
        if moved > self.held() / PROGRESS {
            self.goes_on(now, came);
        } else {
            self.moved = u32::try_from(moved).unwrap_or(FRESH);
        }
    }

    /// Marks progress at `now`, when the connection has received `came` bytes.
    #[inline]
    pub(super) fn goes_on(&mut self, now: Time, came: u64) {
        (self.progress, self.came) = (now, came);
        self.moved = 0;
    }

    /// Returns the bytes that the stream holds.
    #[inline]
    fn held(&self) -> usize {
        self.inbound.buffered().saturating_add(self.queue.weight())
    }

    /// Returns whether the stream holds memory and makes no progress because its peer neither sends nor reads, for longer
    /// than its bytes can have been queued behind others.
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

    /// Makes the message in progress on a stream wait for memory.
    #[cold]
    pub(super) fn wait_for_memory(&mut self, slot: u32) {
        self.short.push_back(slot);
        let now = self.now;
        if let Some(stream) = self.slots.get_mut(slot) {
            stream.waits_since = now;
        }
        self.on_short_memory();
    }

    /// Handles a shortage: at once if the connection is at its limit, and otherwise after a while, since the caller
    /// may grant more.
    #[cold]
    pub(super) fn on_short_memory(&mut self) {
        if self.ledger.is_at_limit() {
            return self.look_after_memory();
        }
        self.forget_promises();
        self.serve_short();
        self.look_again();
    }

    /// Schedules the next check of memory.
    #[inline]
    pub(super) fn look_again(&mut self) {
        self.clock.memory_short(self.now + self.config.limits.stall_timeout / LOOKS);
    }

    /// Lets waiting messages proceed after memory was returned.
    #[inline]
    pub(super) fn memory_freed(&mut self) {
        if !self.short.is_empty() {
            self.serve_short();
        }
    }

    /// Serves waiting messages in the order of their arrival. A message too large for what is free does not block
    /// smaller ones.
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

    /// Frees memory where that is possible, and schedules the next check.
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

    /// Lets callers queue their next message once they have waited for the stall timeout: the peer may be waiting for
    /// that message.
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

    /// Returns the connection's traffic, and notes whether any bytes have moved since the last check.
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

    /// Returns the bytes of DATA frames received on the connection.
    #[inline]
    pub(super) fn bytes_that_came(&self) -> u64 {
        self.credited.saturating_add(self.recv_owed.into())
    }

    /// Stops counting the memory that was promised to streams which do not use it, and the growth of windows which do
    /// not need it, so that no other message waits for it. The peer may still send what it was allowed.
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

    /// Ends calls that hold memory and have stalled, the longest-stalled first, until `enough` returns true.
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

    /// Ends the calls that have waited for longer than the memory timeout.
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

    /// Frees memory for `bytes` that arrived beyond the grant: ends calls that stalled, then calls that wait for
    /// memory, the last one first, and finally the call that the bytes belong to. Returns whether the bytes may be
    /// kept.
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

    /// Ends a call for lack of memory, and returns what it holds.
    fn end_for_memory(&mut self, slot: u32, why: fmt::Arguments<'_>) {
        self.short.remove(slot);
        let Memory { held, granted, .. } = self.ledger.memory(0, 0);
        let text = format!("over the limit `memory`: {held} bytes of {granted} are in use, and {why}");
        self.overrule(slot, Status::resource_exhausted(text), CUT_BY_US);
    }
}
