//! The memory of a connection's messages: what it holds, what it has promised room for, and what it was granted.
//!
//! The core does not know what other connections hold. Its caller grants it memory and takes back what it has to spare;
//! a caller that does neither has granted [`Limits::memory`] with the configuration. What counts is what is really held:
//! a window that is open costs nothing until its bytes come, except while its message is on its way.

use crate::config::Limits;
use crate::frame::MOST_PADDING;
use crate::grpc::message::{MessageBuffer, PREFIX_LEN};

/// A connection never has less than this, or its limit if that is lower: enough for small calls whatever others hold.
const FLOOR: u64 = 256 * 1024;

/// So much more than it needs a connection may keep, so that it does not take and give back memory for every message.
const SLACK: u64 = 256 * 1024;

/// The transport has enough to do with so many full send buffers.
const FLOWING: u64 = 16;

/// The most that messages larger than a window leave for those that are not.
const MOST_RESERVE: u64 = 1 << 20;

/// What a connection holds of the memory that it was granted, in bytes
/// ([`Connection::memory`](crate::Connection::memory)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Memory {
    /// Messages that came and were not taken, parts of messages, and what is queued for sending.
    pub held: u64,
    /// As much of that as is queued for sending, or waits to be queued.
    pub sending: u64,
    /// What windows were opened for messages on their way, as far as these have not come yet, and what windows have grown by.
    pub promised: u64,
    /// What messages lack that wait for memory.
    pub waiting: u64,
    /// What may be held.
    pub granted: u64,
    /// What more would be put to use now. Never so much that `granted` would go over `Limits::memory`.
    pub wanted: u64,
    /// The least of that which lets one of the messages go on that wait, 0 where none does.
    pub least: u64,
    /// What `take_back` would give.
    pub spare: u64,
}

/// The account of a connection's memory.
pub(crate) struct Ledger {
    limit: u64,
    floor: u64,
    /// What one turn may bring: so much is asked for ahead.
    turn: u64,
    granted: u64,
    /// Bytes of messages that came and were not taken, of parts of messages too.
    received: u64,
    /// Bytes that windows were opened for beyond their targets, for messages that are on their way.
    promised: u64,
    /// What windows have grown by since they began.
    grown: u64,
    /// What is queued for sending, by weight.
    sending: u64,
    /// As much of it as no stream's window holds up: it waits for the transport.
    flowing: u64,
    /// What may flow before calls queue one message at a time.
    most_flowing: u64,
    /// From here on much is queued: `most_flowing`, or half of the limit where that is less.
    much: u64,
    /// Receive buffers that messages nobody has taken may keep alive.
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

    /// Returns the least that a connection can work with: one largest message, in padded frames.
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

    /// Drops everything that came on a stream and was not taken.
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

    /// A message was queued on a stream that its window holds up, or does not.
    #[inline]
    pub(super) fn queued(&mut self, weight: usize, held_up: bool) {
        self.sending = self.sending.saturating_add(weight as u64);
        if !held_up {
            self.flowing = self.flowing.saturating_add(weight as u64);
        }
    }

    /// What was queued was sent or dropped.
    #[inline]
    pub(super) fn sent(&mut self, weight: usize, held_up: bool) {
        debug_assert!(self.sending >= weight as u64, "more is sent than was queued");
        self.sending = self.sending.saturating_sub(weight as u64);
        if !held_up {
            self.hold_up(weight);
        }
    }

    /// The window of a stream holds up what is queued on it.
    pub(super) fn hold_up(&mut self, weight: usize) {
        debug_assert!(self.flowing >= weight as u64, "more is held up than flowed");
        self.flowing = self.flowing.saturating_sub(weight as u64);
    }

    /// The window of a stream is open again.
    pub(super) fn let_flow(&mut self, weight: usize) {
        self.flowing = self.flowing.saturating_add(weight as u64);
    }

    pub(super) fn promise(&mut self, bytes: u32) {
        self.promised = self.promised.saturating_add(u64::from(bytes));
    }

    /// A promise was kept, or is one no longer. Returns whether it was the last one.
    pub(super) fn release(&mut self, bytes: u32) -> bool {
        debug_assert!(self.promised >= u64::from(bytes), "more is released than was promised");
        self.promised = self.promised.saturating_sub(u64::from(bytes));
        self.promised == 0
    }

    /// A window has grown.
    pub(super) fn grow(&mut self, bytes: u32) {
        self.grown = self.grown.saturating_add(u64::from(bytes));
    }

    /// A window is as large as when it began.
    pub(super) fn shrink(&mut self, bytes: u32) {
        debug_assert!(self.grown >= u64::from(bytes), "windows shrink by more than they grew");
        self.grown = self.grown.saturating_sub(u64::from(bytes));
    }

    /// Returns whether so many bytes more of messages may come: what this bounds is hard.
    #[inline]
    pub(super) fn admits(&self, bytes: usize) -> bool {
        self.received.saturating_add(bytes as u64) <= self.granted
    }

    /// Returns whether a message may be promised so many bytes more of what was granted.
    ///
    /// The only large one may have everything, whatever the caller has queued: its peer may be one that sends its message
    /// before it takes ours. Every other one leaves room for small messages, which must not have to wait for large ones.
    pub(super) fn fits(&self, more: u32) -> bool {
        let most = self.most_received();
        let most = if self.promised == 0 { self.granted } else { most - (most / 8).min(MOST_RESERVE) };
        self.used_with(more) <= most
    }

    /// Returns whether so many bytes more leave the limit room for all that windows let in besides: a call whose peer keeps
    /// to its window must not end because of what others were promised. The only large one need not wait for that.
    pub(super) fn fits_beside(&self, more: u32, windows: impl FnOnce() -> u64) -> bool {
        self.promised == 0 || self.used_with(more).saturating_add(windows()) <= self.limit
    }

    /// Returns what promises leave for windows: what those that are open let in, and as much for those of streams that are
    /// to come as is left of half of the limit.
    pub(super) fn left_for_windows(&self, open: u64, to_come: u64) -> u64 {
        open.max(open.saturating_add(to_come).min(self.limit / 2))
    }

    /// Returns the most that windows can let in where the least ones come to `least`, without a look at each of them.
    pub(super) fn most_in_windows(&self, least: u64) -> u64 {
        least.saturating_add(self.grown).max(self.limit / 2)
    }

    fn used_with(&self, more: u32) -> u64 {
        self.received.saturating_add(self.promised).saturating_add(u64::from(more))
    }

    /// Returns whether so many bytes more leave half of the memory free, of windows that have grown too.
    pub(super) fn fits_well(&self, more: u32) -> bool {
        let used = self.received.saturating_add(self.promised).saturating_add(self.grown);
        used.saturating_add(u64::from(more)) <= self.most_received() / 2
    }

    /// Returns what may be held of received messages. What is queued for sending leaves at least half: what the caller sends
    /// must not keep the peer from sending.
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

    /// Returns whether calls queue one message at a time: the transport has enough to do, or memory is short. Calls that their peer
    /// holds up by their windows do not count for the first.
    #[inline]
    pub(super) fn is_congested(&self) -> bool {
        self.sends_much() && (self.flowing >= self.most_flowing || self.sending >= self.most_sending())
    }

    /// Returns whether so much is queued that callers had better not make their next messages before there is space for them: it may
    /// be held up for long, and other messages stand outside as well.
    #[inline]
    pub(super) fn sends_much(&self) -> bool {
        self.sending >= self.much
    }

    /// What may be queued for sending before calls queue one message at a time: what receiving leaves of the grant, and half
    /// of the limit at most; but what the transport has enough to do with in any case, until the caller has granted more.
    fn most_sending(&self) -> u64 {
        let left = self.granted.saturating_sub(self.received).saturating_sub(self.promised);
        left.max(self.most_flowing).min(self.limit / 2)
    }

    /// What of what is queued for sending is too much, and its limit.
    pub(super) fn congestion(&self) -> (usize, usize) {
        let told = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        if self.flowing >= self.most_flowing {
            (told(self.flowing), told(self.most_flowing))
        } else {
            (told(self.sending), told(self.most_sending()))
        }
    }

    /// What the streams must add up to (`audit`).
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

    /// What was granted beyond what is needed.
    pub(super) fn spare(&self) -> u64 {
        self.granted.saturating_sub(self.needed(0))
    }

    /// Returns whether so many bytes more were granted than is needed.
    pub(super) fn can_spare(&self, bytes: u64) -> bool {
        self.granted >= self.needed(0).saturating_add(bytes)
    }

    /// Returns whether more is needed than was granted, where no message waits.
    #[inline]
    pub(super) fn lacks(&self) -> bool {
        self.granted < self.needed(0)
    }

    /// Returns whether as much was granted as is needed, and little more: less than is worth taking back.
    #[inline]
    pub(super) fn is_settled(&self) -> bool {
        let needed = self.needed(0);
        self.granted.checked_sub(needed).is_some_and(|spare| spare <= SLACK.max(needed / 4))
    }

    /// What is needed where messages wait for `waiting` bytes: room for one more turn on top of everything.
    fn needed(&self, waiting: u64) -> u64 {
        let used = self.receiving(waiting).saturating_add(self.grown).saturating_add(self.sending);
        used.saturating_add(self.reserve(waiting).max(self.turn)).clamp(self.floor, self.limit)
    }

    /// Returns the least that lets a message go on that waits for `waiting` bytes (see `fits`): half of it is for receiving in
    /// any case, and all of it for the only large one.
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

    /// What is to stay free so that an eighth of the whole does (see `fits`).
    fn reserve(&self, waiting: u64) -> u64 {
        if self.promised + waiting > 0 { (self.receiving(waiting) / 7).min(MOST_RESERVE) } else { 0 }
    }

    /// What there is, where messages wait for `waiting` bytes, and the shortest of them for `least`.
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
