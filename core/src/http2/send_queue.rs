//! The messages of one call that wait to be cut into DATA frames.

use std::collections::VecDeque;

use bytes::Bytes;

use super::outbox::Outbox;
use crate::grpc::message::{PREFIX_LEN, Prefix};

/// One message, or octets that are no message (the body of an HTTP error answer).
struct Item {
    prefix: Option<Prefix>,
    payload: Bytes,
}

impl Item {
    fn prefix_len(&self) -> usize {
        if self.prefix.is_some() { PREFIX_LEN } else { 0 }
    }

    fn len(&self) -> usize {
        self.prefix_len() + self.payload.len()
    }
}

/// A queue of messages, cut at any octet. The first one is held in place, so that a unary call allocates nothing.
#[derive(Default)]
pub(crate) struct SendQueue {
    front: Option<Item>,
    /// What stands behind it; `None` for as long as nothing ever did.
    #[allow(
        clippy::box_collection,
        reason = "eight octets in the many calls that never queue a second message"
    )]
    rest: Option<Box<VecDeque<Item>>>,
    /// Octets of `front` that are already gone.
    offset: usize,
    octets: usize,
    /// `front` and `rest` together.
    items: usize,
}

/// What a message counts for in the send buffers besides its octets: its place in the queue. Without it a buffer of
/// empty messages would take ten times its size.
const ITEM_OVERHEAD: usize = 48;

impl SendQueue {
    /// Octets that wait, prefixes included.
    #[inline]
    pub(crate) const fn octets(&self) -> usize {
        self.octets
    }

    /// What it counts for in the send buffers.
    #[inline]
    pub(crate) const fn weight(&self) -> usize {
        self.octets + self.items * ITEM_OVERHEAD
    }

    /// Queues a message and tells what it counts for.
    #[inline]
    pub(crate) fn push_message(&mut self, compressed: bool, payload: Bytes) -> usize {
        // A message longer than its 32-bit length field was refused before it came here (P-55).
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.push(Item { prefix: Some(Prefix { compressed, length }), payload })
    }

    /// Queues octets that are no message, and tells what they count for.
    pub(crate) fn push_raw(&mut self, payload: Bytes) -> usize {
        self.push(Item { prefix: None, payload })
    }

    #[inline]
    fn push(&mut self, item: Item) -> usize {
        let len = item.len();
        self.octets += len;
        self.items += 1;
        if self.front.is_none() {
            self.front = Some(item);
        } else {
            self.push_behind(item);
        }
        len + ITEM_OVERHEAD
    }

    #[inline(never)]
    fn push_behind(&mut self, item: Item) {
        self.rest.get_or_insert_default().push_back(item);
    }

    /// Moves the next `count` octets into `out`, small ones copied, large ones by reference, and tells how much less the
    /// queue counts for.
    #[inline]
    pub(crate) fn take(&mut self, count: usize, out: &mut Outbox) -> usize {
        if self.items == 1 && self.offset == 0 && count >= self.octets {
            // All of one message, which a small call's only message is.
            let weight = self.weight();
            (self.items, self.octets) = (0, 0);
            self.take_front(out);
            return weight;
        }
        let before = self.weight();
        let count = count.min(self.octets);
        self.octets -= count;
        self.take_pieces(count, out);
        before - self.weight()
    }

    /// Moves the whole of the first item: a small payload is copied where it lies, a large one is not shared.
    #[inline]
    fn take_front(&mut self, out: &mut Outbox) {
        let Some(item) = &self.front else { return };
        if let Some(prefix) = item.prefix {
            out.buf().extend_from_slice(&prefix.to_bytes());
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
                self.front = self.rest.as_mut().and_then(|rest| rest.pop_front());
                self.offset = 0;
            } else {
                self.offset += n;
            }
        }
    }

    /// Drops everything, the room for messages that stood in line too, and tells what it counted for.
    #[inline]
    pub(crate) fn clear(&mut self) -> usize {
        let weight = self.weight();
        if self.items > 0 || self.rest.is_some() {
            *self = Self::default();
        }
        weight
    }
}

/// Writes octets `offset..offset + n` of `item`, of which there are that many.
#[inline]
fn write(item: &Item, offset: usize, n: usize, out: &mut Outbox) {
    let prefix_len = item.prefix_len();
    let end = offset + n;
    if let Some(prefix) = &item.prefix
        && offset < prefix_len
    {
        let octets = prefix.to_bytes();
        out.buf().extend_from_slice(octets.get(offset..end.min(prefix_len)).unwrap_or_default());
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
        let mut octets = vec![0; transmit.remaining()];
        transmit.copy_to_slice(&mut octets);
        octets
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_octets(
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
            prop_assert_eq!(queue.octets(), expected.len());
            let mut out = Outbox::default();
            let mut met = Vec::new();
            for cut in cuts.iter().cycle() {
                if queue.octets() == 0 {
                    break;
                }
                queue.take(*cut, &mut out);
                met.extend(drain(&mut out));
            }
            prop_assert_eq!(met, expected);
        }
    }

    #[test]
    fn what_a_queue_counts_for_is_its_octets_and_the_places_of_its_messages() {
        let (mut queue, mut out) = (SendQueue::default(), Outbox::default());
        assert_eq!((queue.octets(), queue.weight()), (0, 0));
        assert_eq!(queue.push_message(false, Bytes::from_static(b"one")), PREFIX_LEN + 3 + ITEM_OVERHEAD);
        assert_eq!(queue.push_raw(Bytes::from_static(b"two")), 3 + ITEM_OVERHEAD);
        assert_eq!(queue.push_message(true, Bytes::new()), PREFIX_LEN + ITEM_OVERHEAD);
        assert_eq!((queue.octets(), queue.weight()), (16, 16 + 3 * ITEM_OVERHEAD));
        // A message has its place until its last octet is gone.
        assert_eq!(queue.take(7, &mut out), 7);
        assert_eq!(queue.take(1, &mut out), 1 + ITEM_OVERHEAD);
        assert_eq!(queue.take(5, &mut out), 5 + ITEM_OVERHEAD);
        assert_eq!(queue.take(100, &mut out), 3 + ITEM_OVERHEAD);
        assert_eq!((queue.octets(), queue.weight(), queue.take(1, &mut out)), (0, 0, 0));
        assert_eq!(drain(&mut out), b"\0\0\0\0\x03onetwo\x01\0\0\0\0");
        // Whole messages move.
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
            assert_eq!((queue.octets(), queue.weight(), queue.clear()), (0, 0, 0));
            assert!(queue.front.is_none() && queue.rest.is_none());
            queue.push_message(false, Bytes::from_static(b"next"));
            drain(&mut out);
            queue.take(100, &mut out);
            assert_eq!(drain(&mut out), b"\0\0\0\0\x04next");
        }
    }

    /// What a queue of messages of 12 octets counts for once some octets have been taken.
    fn queue_weight(messages: usize, taken: usize) -> usize {
        let octets = (messages * 12).saturating_sub(taken);
        octets + octets.div_ceil(12) * ITEM_OVERHEAD
    }
}
