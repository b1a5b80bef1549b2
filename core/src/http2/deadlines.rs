//! The calls' deadlines, earliest first.

use crate::time::Time;

/// Children of a node. Four of them are one cache line, and the tree is half as deep as a binary one.
const ARITY: usize = 4;

/// The position of a key that has no deadline.
const ABSENT: u32 = u32::MAX;

/// Deadlines by key, earliest first: an indexed min-heap.
///
/// Keys are slot numbers, which are small and dense: `positions` takes four bytes for each key up to the largest that
/// ever had a deadline. Insertion, removal and replacement take O(log n), [`DeadlineHeap::peek`] O(1). Equal
/// deadlines are ordered by key, regardless of insertion order. Capacity grows to the largest number of deadlines and
/// the largest key, and is kept until [`DeadlineHeap::shrink`].
#[derive(Debug, Default)]
pub(crate) struct DeadlineHeap {
    heap: Vec<(Time, u32)>,
    /// The index in `heap` of each key's deadline, or [`ABSENT`].
    positions: Vec<u32>,
}

impl DeadlineHeap {
    /// Sets the deadline of `key`, replacing an earlier one.
    pub(crate) fn insert(&mut self, key: u32, deadline: Time) {
        let index = key as usize;
        if index >= self.positions.len() {
            self.positions.resize(index.saturating_add(1), ABSENT);
        }
        let entry = (deadline, key);
        match self.position(key) {
            Some(at) => self.settle(at, entry),
            None => {
                self.heap.push(entry);
                self.sift_up(self.heap.len().saturating_sub(1), entry);
            }
        }
    }

    /// Removes the deadline of `key`. Returns whether there was one.
    pub(crate) fn remove(&mut self, key: u32) -> bool {
        let Some(at) = self.position(key) else { return false };
        if let Some(position) = self.positions.get_mut(key as usize) {
            *position = ABSENT;
        }
        // The last entry fills the gap, unless it was the gap.
        if let Some(last) = self.heap.pop()
            && at < self.heap.len()
        {
            self.settle(at, last);
        }
        true
    }

    /// Returns whether `key` has a deadline.
    #[cfg(debug_assertions)]
    pub(crate) fn contains(&self, key: u32) -> bool {
        self.position(key).is_some()
    }

    /// Frees the capacity of an empty heap.
    pub(crate) fn shrink(&mut self) {
        if self.heap.is_empty() {
            *self = Self::default();
        }
    }

    /// Returns the earliest deadline and its key.
    #[inline]
    pub(crate) fn peek(&self) -> Option<(Time, u32)> {
        self.heap.first().copied()
    }

    /// Removes the earliest deadline if it is not after `now`, and returns its key.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<u32> {
        let (deadline, key) = self.peek()?;
        if deadline > now {
            return None;
        }
        self.remove(key);
        Some(key)
    }

    fn position(&self, key: u32) -> Option<usize> {
        self.positions.get(key as usize).filter(|at| **at != ABSENT).map(|at| *at as usize)
    }

    /// Places `entry` in the gap at `at`, or moves it up or down from there to where it belongs.
    fn settle(&mut self, at: usize, entry: (Time, u32)) {
        match self.parent(at) {
            Some((_, above)) if entry < above => self.sift_up(at, entry),
            _ => self.sift_down(at, entry),
        }
    }

    fn sift_up(&mut self, mut at: usize, entry: (Time, u32)) {
        while let Some((parent, above)) = self.parent(at)
            && entry < above
        {
            self.place(at, above);
            at = parent;
        }
        self.place(at, entry);
    }

    fn sift_down(&mut self, mut at: usize, entry: (Time, u32)) {
        while let Some((child, below)) = self.least_child(at)
            && below < entry
        {
            self.place(at, below);
            at = child;
        }
        self.place(at, entry);
    }

    fn parent(&self, at: usize) -> Option<(usize, (Time, u32))> {
        let parent = at.checked_sub(1)? / ARITY;
        self.heap.get(parent).map(|entry| (parent, *entry))
    }

    fn least_child(&self, at: usize) -> Option<(usize, (Time, u32))> {
        let first = at.saturating_mul(ARITY).saturating_add(1);
        let end = first.saturating_add(ARITY).min(self.heap.len());
        // Without a child the range is reversed, so `get` returns `None`.
        let children = self.heap.get(first..end)?;
        (first..).zip(children.iter().copied()).min_by_key(|(_, entry)| *entry)
    }

    fn place(&mut self, at: usize, entry: (Time, u32)) {
        if let (Some(cell), Some(position)) =
            (self.heap.get_mut(at), self.positions.get_mut(entry.1 as usize))
        {
            *cell = entry;
            // The heap has no more entries than there are keys, so an index fits in a `u32`.
            *position = at as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[derive(Clone, Copy, Debug)]
    enum DeadlineOp {
        Insert(u32, u64),
        Remove(u32),
        PopDue(u64),
    }

    fn any_op() -> impl Strategy<Value = DeadlineOp> {
        // Few times and few keys make ties and replacements common.
        prop_oneof![
            4 => (0..60u32, 0..20u64).prop_map(|(key, time)| DeadlineOp::Insert(key, time)),
            2 => (0..60u32).prop_map(DeadlineOp::Remove),
            1 => (0..20u64).prop_map(DeadlineOp::PopDue),
        ]
    }

    fn check_shape(heap: &DeadlineHeap, model: &BTreeSet<(Time, u32)>) {
        assert_eq!(heap.peek(), model.first().copied());
        assert_eq!(heap.heap.iter().copied().collect::<BTreeSet<_>>(), *model);
        for (at, entry) in heap.heap.iter().enumerate() {
            assert_eq!(heap.position(entry.1), Some(at));
            if at > 0 {
                assert!(heap.heap[(at - 1) / ARITY] < *entry);
            }
        }
        let held = heap.positions.iter().filter(|at| **at != ABSENT).count();
        assert_eq!(held, model.len());
    }

    proptest! {
        #[test]
        fn it_does_what_a_sorted_set_does(ops in vec(any_op(), 0..400)) {
            let (mut heap, mut model) = (DeadlineHeap::default(), BTreeSet::new());
            for op in ops {
                match op {
                    DeadlineOp::Insert(key, time) => {
                        let time = Time::from_nanos(time);
                        model.retain(|(_, other)| *other != key);
                        model.insert((time, key));
                        heap.insert(key, time);
                    }
                    DeadlineOp::Remove(key) => {
                        let before = model.len();
                        model.retain(|(_, other)| *other != key);
                        prop_assert_eq!(heap.remove(key), model.len() < before);
                    }
                    DeadlineOp::PopDue(now) => {
                        let due = model.first().copied().filter(|(time, _)| *time <= Time::from_nanos(now));
                        if let Some(due) = &due {
                            model.remove(due);
                        }
                        prop_assert_eq!(heap.pop_due(Time::from_nanos(now)), due.map(|(_, key)| key));
                    }
                }
                check_shape(&heap, &model);
            }
        }
    }

    #[test]
    fn no_memory_is_taken_once_it_has_seen_the_most() {
        let mut heap = DeadlineHeap::default();
        let fill = |heap: &mut DeadlineHeap| {
            for key in 0..100 {
                heap.insert(key, Time::from_nanos(u64::from(key * 37 % 100)));
            }
            while heap.pop_due(Time::MAX).is_some() {}
        };
        fill(&mut heap);
        let before = (heap.heap.capacity(), heap.positions.capacity());
        fill(&mut heap);
        assert_eq!((heap.heap.capacity(), heap.positions.capacity()), before);
    }

    #[test]
    fn memory_is_given_back_only_where_there_is_no_deadline() {
        let mut heap = DeadlineHeap::default();
        heap.insert(3, Time::from_nanos(5));
        heap.shrink();
        assert_eq!(heap.peek(), Some((Time::from_nanos(5), 3)));
        assert!(heap.remove(3));
        assert_ne!((heap.heap.capacity(), heap.positions.capacity()), (0, 0));
        heap.shrink();
        assert_eq!((heap.heap.capacity(), heap.positions.capacity()), (0, 0));
    }

    #[test]
    fn a_key_out_of_range_has_no_deadline() {
        let mut heap = DeadlineHeap::default();
        assert!(!heap.remove(u32::MAX));
        assert_eq!(heap.pop_due(Time::MAX), None);
    }
}
