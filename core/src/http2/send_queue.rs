//! The messages of one call that wait to be sent as DATA frames.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::outbox::{CHAIN_THRESHOLD, Outbox};
use crate::grpc::message::{PREFIX_LEN, Prefix};

/// What an item of the queue is.
#[derive(Clone, Copy)]
enum ItemKind {
    /// The payload of a message, or its first piece. `length` is the length of the whole payload; the prefix is
    /// written with it.
    Message { compressed: bool, length: u32 },
    /// Bytes to send unchanged: the body of an HTTP error response, later pieces of a message, or messages with their
    /// prefixes.
    Raw,
}

impl ItemKind {
    const fn prefix_len(self) -> usize {
        match self {
            Self::Message { .. } => PREFIX_LEN,
            Self::Raw => 0,
        }
    }
}

struct Item {
    kind: ItemKind,
    payload: Bytes,
}

impl Item {
    fn len(&self) -> usize {
        self.kind.prefix_len() + self.payload.len()
    }

    #[inline]
    fn prefix(&self) -> Option<[u8; PREFIX_LEN]> {
        match self.kind {
            ItemKind::Message { compressed, length } => Some(Prefix { compressed, length }.to_bytes()),
            ItemKind::Raw => None,
        }
    }
}

/// Bytes of joined small messages that become one item: a frame of the default maximum size.
const JOINED: usize = 16 * 1024;

/// Items behind the first one from which small messages are joined. With fewer, a buffer for them would cost more
/// than it saves.
const FEW: usize = 4;

/// The items behind the first one.
#[derive(Default)]
struct QueueTail {
    items: VecDeque<Item>,
    /// Small messages with their prefixes, behind all items. They are copied into the output sooner or later anyway;
    /// joining them costs that one copy, needs no item for each, and lets a frame take many at once.
    joined: BytesMut,
}

impl QueueTail {
    /// Appends an item. Returns how many items that added: none if it was joined to earlier ones.
    fn push(&mut self, item: Item) -> usize {
        let few = self.joined.is_empty() && self.items.len() < FEW;
        if few || item.payload.len() >= CHAIN_THRESHOLD {
            self.close();
            self.items.push_back(item);
            return 1;
        }
        let before = self.joined.len();
        if let Some(prefix) = item.prefix() {
            self.joined.extend_from_slice(&prefix);
        }
        self.joined.extend_from_slice(&item.payload);
        let places = usize::from(before == 0 && !self.joined.is_empty());
        if self.joined.len() >= JOINED {
            self.close();
        }
        places
    }

    fn pop(&mut self) -> Option<Item> {
        if self.items.is_empty() {
            self.close();
        }
        self.items.pop_front()
    }

    fn close(&mut self) {
        if !self.joined.is_empty() {
            self.items.push_back(Item { kind: ItemKind::Raw, payload: self.joined.split().freeze() });
        }
    }
}

/// A queue of messages that can be cut at any byte. The first item is stored inline, so that a unary call allocates
/// nothing.
#[derive(Default)]
pub(crate) struct SendQueue {
    front: Option<Item>,
    /// The items behind it; `None` as long as there never were any.
    rest: Option<Box<QueueTail>>,
    /// Bytes of `front` that have been sent.
    offset: usize,
    bytes: usize,
    /// The number of items; joined messages share one.
    items: usize,
    /// What the queue counts for in the send buffers: `bytes`, and [`ITEM_OVERHEAD`] for each item.
    weight: usize,
}

/// Bytes that each item counts for in the send buffers besides its own. Without it, a buffer full of empty messages
/// would use ten times the memory that it counts for.
const ITEM_OVERHEAD: usize = 48;

impl SendQueue {
    /// Returns the number of queued bytes, prefixes included.
    #[inline]
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the weight of the queue in the send buffers.
    #[inline]
    pub(crate) const fn weight(&self) -> usize {
        self.weight
    }

    /// Queues a message. Returns the weight that it adds.
    #[inline]
    pub(crate) fn push_message(&mut self, compressed: bool, payload: Bytes) -> usize {
        self.push(ItemKind::Message { compressed, length: length(payload.len()) }, payload)
    }

    /// Queues a message of `size` bytes that consists of several pieces. Returns the weight that it adds.
    #[cold]
    pub(crate) fn push_pieces(&mut self, size: usize, first: Bytes, rest: Vec<Bytes>) -> usize {
        let kind = ItemKind::Message { compressed: false, length: length(size) };
        let mut weight = self.push(kind, first);
        for piece in rest {
            weight += self.push(ItemKind::Raw, piece);
        }
        weight
    }

    /// Queues bytes that are not a message. Returns the weight that they add.
    pub(crate) fn push_raw(&mut self, payload: Bytes) -> usize {
        self.push(ItemKind::Raw, payload)
    }

    #[inline]
    fn push(&mut self, kind: ItemKind, payload: Bytes) -> usize {
        let len = kind.prefix_len() + payload.len();
        let places = if self.front.is_none() {
            self.front = Some(Item { kind, payload });
            1
        } else {
            self.push_behind(kind, payload)
        };
        let weight = len + places * ITEM_OVERHEAD;
        self.bytes += len;
        self.items += places;
        self.weight += weight;
        weight
    }

    #[inline(never)]
    fn push_behind(&mut self, kind: ItemKind, payload: Bytes) -> usize {
        self.rest.get_or_insert_default().push(Item { kind, payload })
    }

    /// Moves the next `count` bytes into `out`, copying small payloads and referencing large ones. Returns by how
    /// much the weight of the queue falls.
    #[inline]
    pub(crate) fn take(&mut self, count: usize, out: &mut Outbox) -> usize {
        if self.items == 1 && self.offset == 0 && count >= self.bytes {
            // The whole of a single message, as in a unary call.
            (self.items, self.bytes) = (0, 0);
            self.take_front(out);
            return std::mem::take(&mut self.weight);
        }
        let (before, items) = (self.weight, self.items);
        let count = count.min(self.bytes);
        self.bytes -= count;
        self.take_pieces(count, out);
        self.weight -= count + (items - self.items) * ITEM_OVERHEAD;
        before - self.weight
    }

    /// Moves the whole first item: copies a small payload without moving it first, and hands over a large one
    /// unshared.
    #[inline]
    fn take_front(&mut self, out: &mut Outbox) {
        let Some(item) = &self.front else { return };
        if let Some(prefix) = item.prefix() {
            out.buf().extend_from_slice(&prefix);
        }
        if !out.copy_payload(&item.payload)
            && let Some(item) = self.front.take()
        {
            out.chain(item.payload);
        }
        self.front = None;
    }

    #[inline(never)]
    fn take_pieces(&mut self, mut count: usize, out: &mut Outbox) {
        while count > 0 {
            let Some(item) = &self.front else { return };
            let left = item.len() - self.offset;
            let n = left.min(count);
            write(item, self.offset, n, out);
            count -= n;
            if n == left {
                self.items -= 1;
                self.front = self.rest.as_mut().and_then(|rest| rest.pop());
                self.offset = 0;
            } else {
                self.offset += n;
            }
        }
    }

    /// Drops all messages and frees their memory. Returns their weight.
    #[inline]
    pub(crate) fn clear(&mut self) -> usize {
        let weight = self.weight;
        if self.items > 0 || self.rest.is_some() {
            *self = Self::default();
        }
        weight
    }
}

/// Returns the length field of a message. Longer messages have been refused before
/// ([P-55](crate::manual::rules#p-55)).
#[inline]
fn length(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Writes the `n` bytes of `item` from `offset` on.
#[inline]
fn write(item: &Item, offset: usize, n: usize, out: &mut Outbox) {
    let prefix_len = item.kind.prefix_len();
    let end = offset + n;
    if offset < prefix_len
        && let Some(prefix) = item.prefix()
    {
        out.buf().extend_from_slice(prefix.get(offset..end.min(prefix_len)).unwrap_or_default());
    }
    let from = offset.saturating_sub(prefix_len);
    let to = end.saturating_sub(prefix_len);
    if from == 0 && to == item.payload.len() {
        out.push_payload(item.payload.clone());
    } else if from < to {
        out.push_payload(item.payload.slice(from..to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf;
    use proptest::prelude::*;

    fn drain(out: &mut Outbox) -> Vec<u8> {
        let mut transmit = out.transmit();
        let mut bytes = vec![0; transmit.remaining()];
        transmit.copy_to_slice(&mut bytes);
        bytes
    }

    /// Generates empty, small and large messages.
    fn message() -> impl Strategy<Value = Vec<u8>> {
        let bytes = prop_oneof![Just(0..1), Just(1..200), Just(1900..2200), Just(0..9000)];
        bytes.prop_flat_map(|bytes| proptest::collection::vec(any::<u8>(), bytes))
    }

    proptest! {
        #[test]
        fn messages_keep_their_order_and_their_count_whenever_bytes_are_taken(
            steps in proptest::collection::vec((message(), any::<bool>(), 0usize..30_000), 1..60),
        ) {
            let (mut queue, mut out) = (SendQueue::default(), Outbox::default());
            let (mut expected, mut met, mut weight) = (Vec::new(), Vec::new(), 0);
            for (message, compressed, count) in steps {
                expected.push(u8::from(compressed));
                expected.extend_from_slice(&(message.len() as u32).to_be_bytes());
                expected.extend_from_slice(&message);
                weight += queue.push_message(compressed, message.into());
                // Most of the time nothing is sent.
                weight -= queue.take(count.saturating_sub(20_000), &mut out);
                met.extend(drain(&mut out));
                prop_assert_eq!(queue.weight(), weight);
                prop_assert_eq!(queue.bytes(), expected.len() - met.len());
            }
            prop_assert_eq!(queue.take(usize::MAX, &mut out), weight);
            met.extend(drain(&mut out));
            prop_assert_eq!((met, queue.weight()), (expected, 0));
        }

        #[test]
        fn any_cut_gives_the_same_bytes(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9000), 0..6),
            cuts in proptest::collection::vec(1usize..5000, 1..40),
        ) {
            let mut queue = SendQueue::default();
            let mut expected = Vec::new();
            for message in &messages {
                expected.push(0);
                expected.extend_from_slice(&(message.len() as u32).to_be_bytes());
                expected.extend_from_slice(message);
                queue.push_message(false, Bytes::from(message.clone()));
            }
            prop_assert_eq!(queue.bytes(), expected.len());
            let mut out = Outbox::default();
            let mut met = Vec::new();
            for cut in cuts.iter().cycle() {
                if queue.bytes() == 0 {
                    break;
                }
                queue.take(*cut, &mut out);
                met.extend(drain(&mut out));
            }
            prop_assert_eq!(met, expected);
        }
    }

    #[test]
    fn what_a_queue_counts_for_is_its_bytes_and_its_places() {
        let (mut queue, mut out) = (SendQueue::default(), Outbox::default());
        assert_eq!((queue.bytes(), queue.weight()), (0, 0));
        assert_eq!(queue.push_message(false, Bytes::from_static(b"one")), PREFIX_LEN + 3 + ITEM_OVERHEAD);
        assert_eq!(queue.push_raw(Bytes::from_static(b"two")), 3 + ITEM_OVERHEAD);
        assert_eq!(queue.push_message(true, Bytes::new()), PREFIX_LEN + ITEM_OVERHEAD);
        assert_eq!((queue.bytes(), queue.weight()), (16, 16 + 3 * ITEM_OVERHEAD));
        // An item counts until its last byte has been sent.
        assert_eq!(queue.take(7, &mut out), 7);
        assert_eq!(queue.take(1, &mut out), 1 + ITEM_OVERHEAD);
        assert_eq!(queue.take(5, &mut out), 5 + ITEM_OVERHEAD);
        assert_eq!(queue.take(100, &mut out), 3 + ITEM_OVERHEAD);
        assert_eq!((queue.bytes(), queue.weight(), queue.take(1, &mut out)), (0, 0, 0));
        assert_eq!(drain(&mut out), b"\0\0\0\0\x03onetwo\x01\0\0\0\0");
        // Messages that are sent whole.
        queue.push_message(false, Bytes::from_static(b"one"));
        assert_eq!(queue.take(8, &mut out), 8 + ITEM_OVERHEAD);
        queue.push_raw(Bytes::from_static(b"two"));
        assert_eq!(queue.take(3, &mut out), 3 + ITEM_OVERHEAD);
        assert_eq!(drain(&mut out), b"\0\0\0\0\x03onetwo");
    }

    #[test]
    fn large_payloads_are_neither_copied_nor_shared() {
        let payload = Bytes::from(vec![7; 10_000]);
        let (mut queue, mut out) = (SendQueue::default(), Outbox::default());
        let place = payload.as_ptr();
        queue.push_message(false, payload);
        queue.take(usize::MAX, &mut out);
        let owned = out.take();
        assert_eq!((owned.segments()[1].as_ptr(), owned.segments()[1].is_unique()), (place, true));
    }

    #[test]
    fn a_queue_that_is_cleared_holds_nothing() {
        let (mut queue, mut out) = (SendQueue::default(), Outbox::default());
        for taken in [0, 3, 300] {
            for _ in 0..20 {
                queue.push_message(false, Bytes::from_static(b"message"));
            }
            queue.take(taken, &mut out);
            assert_eq!(queue.clear(), queue_weight(20, taken));
            assert_eq!((queue.bytes(), queue.weight(), queue.clear()), (0, 0, 0));
            assert!(queue.front.is_none() && queue.rest.is_none());
            queue.push_message(false, Bytes::from_static(b"next"));
            drain(&mut out);
            queue.take(100, &mut out);
            assert_eq!(drain(&mut out), b"\0\0\0\0\x04next");
        }
    }

    #[test]
    fn small_messages_of_a_queue_that_backs_up_share_a_place() {
        let mut queue = SendQueue::default();
        for _ in 0..=FEW {
            assert_eq!(queue.push_message(false, Bytes::from_static(b"small")), 10 + ITEM_OVERHEAD);
        }
        assert_eq!(queue.push_message(false, Bytes::from_static(b"small")), 10 + ITEM_OVERHEAD);
        for _ in 0..100 {
            assert_eq!(queue.push_message(false, Bytes::from_static(b"small")), 10);
        }
        let large = Bytes::from(vec![7; CHAIN_THRESHOLD]);
        assert_eq!(queue.push_message(false, large), PREFIX_LEN + CHAIN_THRESHOLD + ITEM_OVERHEAD);
        assert_eq!(queue.push_message(false, Bytes::from_static(b"small")), 10 + ITEM_OVERHEAD);
    }

    /// Returns the weight of a queue of `messages` messages of 12 bytes after `taken` bytes of it were sent: nothing,
    /// everything, or a part of the first message. The first messages have an item each; the rest share one.
    fn queue_weight(messages: usize, taken: usize) -> usize {
        match (messages * 12).saturating_sub(taken) {
            0 => 0,
            bytes => bytes + (1 + FEW + 1) * ITEM_OVERHEAD,
        }
    }
}
