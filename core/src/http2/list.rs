//! First-in-first-out lists of slots, linked through two arrays: no allocation once warm, removal from anywhere.

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    next: u32,
    previous: u32,
    member: bool,
}

const UNLINKED: Link = Link { next: NONE, previous: NONE, member: false };

/// A queue of slot numbers in which each slot stands at most once.
pub(crate) struct SlotList {
    links: Vec<Link>,
    head: u32,
    tail: u32,
    len: u32,
}

impl SlotList {
    pub(crate) const fn new() -> Self {
        Self { links: Vec::new(), head: NONE, tail: NONE, len: 0 }
    }

    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(crate) const fn front(&self) -> Option<u32> {
        if self.head == NONE { None } else { Some(self.head) }
    }

    #[inline]
    pub(crate) fn contains(&self, slot: u32) -> bool {
        self.len > 0 && self.links.get(slot as usize).is_some_and(|link| link.member)
    }

    /// Appends `slot`; a slot that is already in the list keeps its place.
    #[inline]
    pub(crate) fn push_back(&mut self, slot: u32) {
        let index = slot as usize;
        if index >= self.links.len() {
            self.links.resize(index + 1, UNLINKED);
        }
        let tail = self.tail;
        let Some(link) = self.links.get_mut(index) else { return };
        if link.member {
            return;
        }
        *link = Link { next: NONE, previous: tail, member: true };
        match self.links.get_mut(tail as usize) {
            Some(last) => last.next = slot,
            None => self.head = slot,
        }
        self.tail = slot;
        self.len += 1;
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<u32> {
        let slot = self.front()?;
        let link = self.links.get_mut(slot as usize)?;
        let next = link.next;
        *link = UNLINKED;
        match self.links.get_mut(next as usize) {
            Some(after) => after.previous = NONE,
            None => self.tail = NONE,
        }
        self.head = next;
        self.len -= 1;
        Some(slot)
    }

    #[inline]
    pub(crate) fn remove(&mut self, slot: u32) -> bool {
        if self.len == 0 {
            return false;
        }
        let Some(link) = self.links.get_mut(slot as usize) else { return false };
        if !link.member {
            return false;
        }
        let Link { next, previous, .. } = *link;
        *link = UNLINKED;
        match self.links.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.head = next,
        }
        match self.links.get_mut(next as usize) {
            Some(after) => after.previous = previous,
            None => self.tail = previous,
        }
        self.len -= 1;
        true
    }

    /// Frees the arrays of an empty list.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty() {
            self.links = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SlotList;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[derive(Clone, Debug)]
    enum Op {
        Push(u32),
        Pop,
        Remove(u32),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![(0u32..12).prop_map(Op::Push), Just(Op::Pop), (0u32..12).prop_map(Op::Remove)]
    }

    proptest! {
        #[test]
        fn behaves_like_a_queue_without_duplicates(ops in proptest::collection::vec(op(), 0..200)) {
            let mut list = SlotList::new();
            let mut model: VecDeque<u32> = VecDeque::new();
            for op in ops {
                match op {
                    Op::Push(slot) => {
                        list.push_back(slot);
                        if !model.contains(&slot) {
                            model.push_back(slot);
                        }
                    }
                    Op::Pop => prop_assert_eq!(list.pop_front(), model.pop_front()),
                    Op::Remove(slot) => {
                        let at = model.iter().position(|&other| other == slot);
                        prop_assert_eq!(list.remove(slot), at.is_some());
                        if let Some(at) = at {
                            model.remove(at);
                        }
                    }
                }
                prop_assert_eq!((list.len() as usize, list.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(list.front(), model.front().copied());
                for slot in 0..13 {
                    prop_assert_eq!(list.contains(slot), model.contains(&slot));
                }
            }
        }
    }

    #[test]
    fn memory_is_given_back_only_where_nothing_stands_in_line() {
        let mut list = SlotList::new();
        list.push_back(3);
        list.shrink();
        assert!(list.contains(3));
        assert_eq!(list.pop_front(), Some(3));
        assert_ne!(list.links.capacity(), 0);
        list.shrink();
        assert_eq!(list.links.capacity(), 0);
    }
}
