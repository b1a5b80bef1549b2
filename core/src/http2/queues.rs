//! First-in-first-out queues of slots, linked through one array: no allocation once warm, and removal from any place.

const NONE: u32 = u32::MAX;
/// The `list` of a slot that is in no queue.
const OUT: u8 = u8::MAX;

#[derive(Clone, Copy)]
struct QueueLink {
    next: u32,
    previous: u32,
    list: u8,
}

const UNLINKED: QueueLink = QueueLink { next: NONE, previous: NONE, list: OUT };

#[derive(Clone, Copy)]
struct QueueEnds {
    head: u32,
    tail: u32,
    len: u32,
}

const EMPTY: QueueEnds = QueueEnds { head: NONE, tail: NONE, len: 0 };

/// `N` queues of slot numbers. Each slot is in at most one of them, and only once.
pub(crate) struct SlotQueues<const N: usize> {
    links: Vec<QueueLink>,
    ends: [QueueEnds; N],
}

/// A single queue.
pub(crate) type SlotQueue = SlotQueues<1>;

impl<const N: usize> SlotQueues<N> {
    pub(crate) const fn new() -> Self {
        Self { links: Vec::new(), ends: [EMPTY; N] }
    }

    #[inline]
    fn ends(&self, list: u8) -> QueueEnds {
        self.ends.get(usize::from(list)).copied().unwrap_or(EMPTY)
    }

    #[inline]
    pub(crate) fn len_of(&self, list: u8) -> u32 {
        self.ends(list).len
    }

    #[inline]
    pub(crate) fn front_of(&self, list: u8) -> Option<u32> {
        let head = self.ends(list).head;
        if head == NONE { None } else { Some(head) }
    }

    /// Appends `slot` to a queue, unless it is in one of the queues already.
    #[inline]
    pub(crate) fn join(&mut self, list: u8, slot: u32) {
        let index = slot as usize;
        if index >= self.links.len() {
            self.grow(index);
        }
        let (Some(ends), Some(link)) = (self.ends.get_mut(usize::from(list)), self.links.get_mut(index))
        else {
            debug_assert!(false, "queue {list} has no place for slot {slot}");
            return;
        };
        if link.list != OUT {
            return;
        }
        let tail = std::mem::replace(&mut ends.tail, slot);
        ends.len += 1;
        *link = QueueLink { next: NONE, previous: tail, list };
        match self.links.get_mut(tail as usize) {
            Some(last) => last.next = slot,
            None => ends.head = slot,
        }
    }

    #[cold]
    fn grow(&mut self, index: usize) {
        self.links.resize(index + 1, UNLINKED);
    }

    #[inline]
    pub(crate) fn pop_from(&mut self, list: u8) -> Option<u32> {
        let ends = self.ends.get_mut(usize::from(list))?;
        let slot = ends.head;
        // No link has the index `NONE`, so an empty queue ends here.
        let link = self.links.get_mut(slot as usize)?;
        let next = std::mem::replace(link, UNLINKED).next;
        ends.head = next;
        ends.len -= 1;
        match self.links.get_mut(next as usize) {
            Some(after) => after.previous = NONE,
            None => ends.tail = NONE,
        }
        Some(slot)
    }

    /// Removes `slot` from its queue. Returns whether it was in one.
    #[inline]
    pub(crate) fn remove(&mut self, slot: u32) -> bool {
        let Some(link) = self.links.get_mut(slot as usize) else { return false };
        let QueueLink { next, previous, list } = *link;
        let Some(ends) = self.ends.get_mut(usize::from(list)) else { return false };
        *link = UNLINKED;
        ends.len -= 1;
        match self.links.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => ends.head = next,
        }
        match self.links.get_mut(next as usize) {
            Some(after) => after.previous = previous,
            None => ends.tail = previous,
        }
        true
    }

    /// Returns the slots in a queue, in order.
    pub(crate) fn iter_of(&self, list: u8) -> impl Iterator<Item = u32> + '_ {
        let next =
            |slot: &u32| self.links.get(*slot as usize).map(|link| link.next).filter(|next| *next != NONE);
        std::iter::successors(self.front_of(list), next)
    }

    /// Frees the array if all queues are empty.
    pub(crate) fn shrink(&mut self) {
        if self.ends.iter().all(|ends| ends.len == 0) {
            self.links = Vec::new();
        }
    }
}

impl SlotQueue {
    pub(crate) fn len(&self) -> u32 {
        self.len_of(0)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len_of(0) == 0
    }

    #[cfg(test)]
    pub(crate) fn front(&self) -> Option<u32> {
        self.front_of(0)
    }

    pub(crate) fn back(&self) -> Option<u32> {
        self.ends.first().map(|ends| ends.tail).filter(|tail| *tail != NONE)
    }

    /// Returns the slots in the queue, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.iter_of(0)
    }

    pub(crate) fn contains(&self, slot: u32) -> bool {
        self.links.get(slot as usize).is_some_and(|link| link.list == 0)
    }

    #[inline]
    pub(crate) fn push_back(&mut self, slot: u32) {
        self.join(0, slot);
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<u32> {
        self.pop_from(0)
    }
}

#[cfg(test)]
mod tests {
    use super::SlotQueue;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[derive(Clone, Debug)]
    enum QueueOp {
        Push(u32),
        Pop,
        Remove(u32),
    }

    fn op() -> impl Strategy<Value = QueueOp> {
        prop_oneof![
            (0u32..12).prop_map(QueueOp::Push),
            Just(QueueOp::Pop),
            (0u32..12).prop_map(QueueOp::Remove)
        ]
    }

    proptest! {
        #[test]
        fn behaves_like_a_queue_without_duplicates(ops in proptest::collection::vec(op(), 0..200)) {
            let mut list = SlotQueue::new();
            let mut model: VecDeque<u32> = VecDeque::new();
            for op in ops {
                match op {
                    QueueOp::Push(slot) => {
                        list.push_back(slot);
                        if !model.contains(&slot) {
                            model.push_back(slot);
                        }
                    }
                    QueueOp::Pop => prop_assert_eq!(list.pop_front(), model.pop_front()),
                    QueueOp::Remove(slot) => {
                        let at = model.iter().position(|&other| other == slot);
                        prop_assert_eq!(list.remove(slot), at.is_some());
                        if let Some(at) = at {
                            model.remove(at);
                        }
                    }
                }
                prop_assert_eq!((list.len() as usize, list.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(list.front(), model.front().copied());
                prop_assert_eq!(list.back(), model.back().copied());
                prop_assert_eq!(list.iter().collect::<Vec<_>>(), Vec::from(model.clone()));
                for slot in 0..13 {
                    prop_assert_eq!(list.contains(slot), model.contains(&slot));
                }
            }
        }
    }

    #[test]
    fn memory_is_given_back_only_where_nothing_stands_in_line() {
        let mut list = SlotQueue::new();
        list.push_back(3);
        list.shrink();
        assert!(list.contains(3));
        assert_eq!(list.pop_front(), Some(3));
        assert_ne!(list.links.capacity(), 0);
        list.shrink();
        assert_eq!(list.links.capacity(), 0);
    }
}
