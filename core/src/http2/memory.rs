//! The account of a connection's message memory: what it holds, what it has promised to its peer, and what its caller
//!
//! granted.

use crate::config::Limits;
use crate::frame::MOST_PADDING;
use crate::grpc::message::{MessageBuffer, PREFIX_LEN};

/// Bytes that every connection may hold, or its limit if that is lower: enough for small calls, however much other
/// connections hold.
const FLOOR: u64 = 256 * 1024;

/// Bytes beyond its need that a connection keeps, so that it does not request and return memory for every message.
const SLACK: u64 = 256 * 1024;

/// The number of full send buffers that keep the transport busy.
const FLOWING: u64 = 16;

/// The most bytes that messages larger than their window leave free for smaller messages.
const MOST_RESERVE: u64 = 1 << 20;

/// What a connection holds of the memory that it was granted, in bytes
/// ([`Connection::memory`](crate::Connection::memory)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Memory {
    /// Received messages that the caller has not read, parts of messages, and what is queued for sending, in bytes.
    pub held: u64,
    /// The part of `held` that is queued for sending or waits to be queued, in bytes.
    pub sending: u64,
    /// Bytes that windows were opened for beyond what has arrived of their messages, and bytes that windows have
    /// grown by.
    pub promised: u64,
    /// Bytes that messages lack which wait for memory.
    pub waiting: u64,
    /// The most that the connection may hold, in bytes.
    pub granted: u64,
    /// Bytes beyond `granted` that the connection would use now; `granted + wanted` never exceeds `Limits::memory`.
    pub wanted: u64,
    /// The smallest grant, in bytes, with which one of the waiting messages can proceed; 0 if none waits.
    pub least: u64,
    /// Bytes that `take_back` would return.
    pub spare: u64,
}

/// The account of a connection's memory.
pub(crate) struct Ledger {
    limit: u64,
    floor: u64,
    /// Bytes that one turn may receive; the connection asks for them in advance.
    turn: u64,
    granted: u64,
    /// Received bytes that the caller has not read, including parts of messages.
    received: u64,
    /// Bytes that windows were opened for beyond their targets, for messages that have not fully arrived.
    promised: u64,
    /// Bytes that windows have grown by since their streams began.
    grown: u64,
    /// Bytes queued for sending, with what each queue entry costs.
    sending: u64,
    /// The part of `sending` that no stream's window blocks: it waits for the transport.
    flowing: u64,
    /// The value of `flowing` from which calls queue one message at a time.
    most_flowing: u64,
    /// From here on much is queued: `most_flowing`, or half of the limit where that is less.
    much: u64,
    /// The number of receive buffers that unread messages may keep alive.
    pinned: u32,
}

impl Ledger {
    pub(super) fn new(limits: &Limits) -> Self {
        let limit = limits.memory;
        let most_flowing = u64::from(limits.send_buffer).saturating_mul(FLOWING).max(1);
        let turn = u64::from(limits.bytes_per_turn).saturating_add(u64::from(limits.max_frame_size));
        Self {
            limit,
            floor: limit.min(FLOOR.max(turn.saturating_mul(2))),
            turn,
            granted: limit,
            received: 0,
            promised: 0,
            grown: 0,
            sending: 0,
            flowing: 0,
            most_flowing,
            much: most_flowing.min(limit / 2),
            pinned: 0,
        }
    }

    /// Returns the smallest memory that a connection can work with: one message of the largest size, in padded
    /// frames.
    pub(crate) fn least(max_receive_message: u32) -> u64 {
        u64::from(max_receive_message) + PREFIX_LEN as u64 + u64::from(MOST_PADDING)
    }

    #[inline]
    pub(super) fn received(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(bytes as u64);
    }

    #[inline]
    pub(super) fn taken(&mut self, bytes: usize) {
        debug_assert!(self.received >= bytes as u64, "more is taken than came");
        self.received = self.received.saturating_sub(bytes as u64);
    }

    /// Drops everything that a stream received and the caller has not read.
    #[inline]
    pub(super) fn dropped(&mut self, inbound: &mut MessageBuffer) {
        self.taken(inbound.buffered());
        let pinned = inbound.clear();
        self.views_gone(pinned);
    }

    #[inline]
    pub(super) fn views_came(&mut self, pinned: u32) {
        self.pinned = self.pinned.saturating_add(pinned);
    }

    #[inline]
    pub(super) fn views_gone(&mut self, pinned: u32) {
        debug_assert!(self.pinned >= pinned, "more pinned go than there are");
        self.pinned = self.pinned.saturating_sub(pinned);
    }

    #[inline]
    pub(super) const fn pinned(&self) -> u32 {
        self.pinned
    }

    /// Counts a message that was queued; `held_up` says whether its stream's window blocks it.
    #[inline]
    pub(super) fn queued(&mut self, weight: usize, held_up: bool) {
        self.sending = self.sending.saturating_add(weight as u64);
        if !held_up {
            self.flowing = self.flowing.saturating_add(weight as u64);
        }
    }

    /// Counts queued bytes that were sent or dropped.
    #[inline]
    pub(super) fn sent(&mut self, weight: usize, held_up: bool) {
        debug_assert!(self.sending >= weight as u64, "more is sent than was queued");
        self.sending = self.sending.saturating_sub(weight as u64);
        if !held_up {
            self.hold_up(weight);
        }
    }

    /// Marks what is queued on a stream as blocked by the stream's window.
    pub(super) fn hold_up(&mut self, weight: usize) {
        debug_assert!(self.flowing >= weight as u64, "more is held up than flowed");
        self.flowing = self.flowing.saturating_sub(weight as u64);
    }

    /// Marks what is queued on a stream as waiting for the transport, since the stream's window is open again.
    pub(super) fn let_flow(&mut self, weight: usize) {
        self.flowing = self.flowing.saturating_add(weight as u64);
    }

    pub(super) fn promise(&mut self, bytes: u32) {
        self.promised = self.promised.saturating_add(u64::from(bytes));
    }

    /// Takes back promised bytes that have arrived or are no longer needed. Returns whether nothing is promised any
    /// more.
    pub(super) fn release(&mut self, bytes: u32) -> bool {
        debug_assert!(self.promised >= u64::from(bytes), "more is released than was promised");
        self.promised = self.promised.saturating_sub(u64::from(bytes));
        self.promised == 0
    }

    /// Counts the growth of a window.
    pub(super) fn grow(&mut self, bytes: u32) {
        self.grown = self.grown.saturating_add(u64::from(bytes));
    }

    /// Counts the return of a window to its first size.
    pub(super) fn shrink(&mut self, bytes: u32) {
        debug_assert!(self.grown >= u64::from(bytes), "windows shrink by more than they grew");
        self.grown = self.grown.saturating_sub(u64::from(bytes));
    }

    /// Returns whether the connection may keep `bytes` more of received messages. No received message gets past this
    /// limit.
    #[inline]
    pub(super) fn admits(&self, bytes: usize) -> bool {
        self.received.saturating_add(bytes as u64) <= self.granted
    }

    /// Returns whether a message may be promised `more` bytes of the grant.
    ///
    /// If nothing else is promised, the message may have the whole grant, whatever the caller has queued: the peer
    /// may be one that sends its message before it reads ours. Otherwise a part stays free for small messages, so
    /// that they do not wait for large ones.
    pub(super) fn fits(&self, more: u32) -> bool {
        let most = self.most_received();
        let most = if self.promised == 0 { self.granted } else { most - (most / 8).min(MOST_RESERVE) };
        self.used_with(more) <= most
    }

    /// Returns whether a promise of `more` bytes leaves space within the limit for everything that the windows allow:
    /// a call whose peer keeps within its window must not end because of what others were promised. A message that is
    /// promised memory alone does not wait for that.
    pub(super) fn fits_beside(&self, more: u32, windows: impl FnOnce() -> u64) -> bool {
        self.promised == 0 || self.used_with(more).saturating_add(windows()) <= self.limit
    }

    /// Returns the bytes that promises leave for windows: those that open windows allow, and for future streams up to
    /// half of the limit.
    pub(super) fn left_for_windows(&self, open: u64, to_come: u64) -> u64 {
        open.max(open.saturating_add(to_come).min(self.limit / 2))
    }

    /// Returns an upper bound of what windows allow, given the sum `least` of the smallest windows, without a look at
    /// each.
    pub(super) fn most_in_windows(&self, least: u64) -> u64 {
        least.saturating_add(self.grown).max(self.limit / 2)
    }

    fn used_with(&self, more: u32) -> u64 {
        self.received.saturating_add(self.promised).saturating_add(u64::from(more))
    }

    /// Returns whether half of the memory stays free with `more` bytes, counting what windows have grown by.
    pub(super) fn fits_well(&self, more: u32) -> bool {
        let used = self.received.saturating_add(self.promised).saturating_add(self.grown);
        used.saturating_add(u64::from(more)) <= self.most_received() / 2
    }

    /// Returns the bytes of received messages that may be held. What is queued for sending leaves at least half of
    /// the grant, so that the caller's messages do not keep the peer from sending.
    fn most_received(&self) -> u64 {
        self.granted - self.sending.min(self.granted / 2)
    }

    fn held(&self) -> u64 {
        self.received.saturating_add(self.sending)
    }

    /// Returns whether more is held than was granted.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.held() > self.granted
    }

    /// Returns whether calls queue one message at a time, because the transport is busy or memory is short. Calls
    /// that wait for their peer's window do not count towards the transport's load.
    #[inline]
    pub(super) fn is_congested(&self) -> bool {
        self.sends_much() && (self.flowing >= self.most_flowing || self.sending >= self.most_sending())
    }

    /// Returns whether callers should not build their next messages before `Writable`, because much is queued: a
    /// message may be blocked for long, and other messages wait outside the queue as well.
    #[inline]
    pub(super) fn sends_much(&self) -> bool {
        self.sending >= self.much
    }

    /// Returns the bytes queued for sending from which calls queue one message at a time: what receiving leaves of
    /// the grant, at most half of the limit, and at least what keeps the transport busy.
    fn most_sending(&self) -> u64 {
        let left = self.granted.saturating_sub(self.received).saturating_sub(self.promised);
        left.max(self.most_flowing).min(self.limit / 2)
    }

    /// Returns the bytes queued that cause congestion, and their limit.
    pub(super) fn congestion(&self) -> (usize, usize) {
        let told = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        if self.flowing >= self.most_flowing {
            (told(self.flowing), told(self.most_flowing))
        } else {
            (told(self.sending), told(self.most_sending()))
        }
    }

    /// Returns the sums that `audit` compares with the streams.
    #[cfg(debug_assertions)]
    pub(super) fn sums(&self) -> [u64; 6] {
        [self.received, self.promised, self.grown, self.sending, self.flowing, self.pinned.into()]
    }

    pub(super) fn grant(&mut self, bytes: u64) {
        self.granted = self.granted.saturating_add(bytes);
    }

    pub(super) fn take_back(&mut self, bytes: u64) -> u64 {
        let given = bytes.min(self.spare());
        self.granted -= given;
        given
    }

    /// Returns whether there is no more to ask for.
    pub(super) fn is_at_limit(&self) -> bool {
        self.granted >= self.limit
    }

    /// Returns the bytes of the grant beyond what is needed.
    pub(super) fn spare(&self) -> u64 {
        self.granted.saturating_sub(self.needed(0))
    }

    /// Returns whether the grant exceeds what is needed by at least `bytes`.
    pub(super) fn can_spare(&self, bytes: u64) -> bool {
        self.granted >= self.needed(0).saturating_add(bytes)
    }

    /// Returns whether the grant is smaller than what is needed when no message waits.
    #[inline]
    pub(super) fn lacks(&self) -> bool {
        self.granted < self.needed(0)
    }

    /// Returns whether the grant covers what is needed and exceeds it by less than is worth returning.
    #[inline]
    pub(super) fn is_settled(&self) -> bool {
        let needed = self.needed(0);
        self.granted.checked_sub(needed).is_some_and(|spare| spare <= SLACK.max(needed / 4))
    }

    /// Returns the bytes that are needed if messages wait for `waiting` bytes: everything in use, and space for one
    /// more turn.
    fn needed(&self, waiting: u64) -> u64 {
        let used = self.receiving(waiting).saturating_add(self.grown).saturating_add(self.sending);
        used.saturating_add(self.reserve(waiting).max(self.turn)).clamp(self.floor, self.limit)
    }

    /// Returns the least grant with which a message that waits for `waiting` bytes can proceed (see `fits`): half of
    /// the grant is for receiving in any case, and all of it for a message that is promised memory alone.
    fn least_needed(&self, waiting: u64) -> u64 {
        if self.promised == 0 {
            return self.receiving(waiting).min(self.limit);
        }
        let received = self.receiving(waiting).saturating_add(self.reserve(waiting));
        received.saturating_add(self.sending.min(received)).min(self.limit)
    }

    fn receiving(&self, waiting: u64) -> u64 {
        self.received.saturating_add(self.promised).saturating_add(waiting)
    }

    /// Returns the bytes that stay free next to promised memory, an eighth of the whole (see `fits`).
    fn reserve(&self, waiting: u64) -> u64 {
        if self.promised + waiting > 0 { (self.receiving(waiting) / 7).min(MOST_RESERVE) } else { 0 }
    }

    /// Returns the account, given that messages wait for `waiting` bytes and the shortest of them for `least`.
    pub(super) fn memory(&self, waiting: u64, least: u64) -> Memory {
        Memory {
            held: self.held(),
            sending: self.sending,
            promised: self.promised.saturating_add(self.grown),
            waiting,
            granted: self.granted,
            wanted: self.needed(waiting).saturating_sub(self.granted),
            least: if waiting > 0 { self.least_needed(least).saturating_sub(self.granted) } else { 0 },
            spare: if waiting > 0 { 0 } else { self.spare() },
        }
    }
}
