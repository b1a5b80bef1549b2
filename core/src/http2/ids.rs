//! Maps stream ids to slots, and remembers how the last streams were closed.

use std::mem;

/// The number of cells of the smallest table that is not empty.
const LEAST_CELLS: usize = 16;

/// A cell without a stream: no stream has the id 0.
const VACANT: (u32, u32) = (0, 0);

/// Maps the ids of open streams to their slots.
///
/// The ids of one side go up by two (RFC 9113 §5.1.1), so `(id >> 1) & mask` puts streams that are opened in sequence
/// into adjacent cells; collisions use linear probing. Runs are kept in the order of their home cells (Robin Hood
/// hashing), so removing the oldest of several consecutive ids moves no other cell. A peer that skips ids on purpose
/// can make all its streams share one home cell; then a look-up takes up to one step per open stream, which the limit
/// on concurrent streams bounds.
///
/// At most half of the cells are in use. The table grows by powers of two and keeps its size until
/// [`IdTable::shrink`], so it stops allocating once it has held its largest number of streams.
#[derive(Debug, Default)]
pub(crate) struct IdTable {
    /// Empty, or a power of two in length.
    cells: Vec<(u32, u32)>,
    len: usize,
    /// Cells visited by walks.
    #[cfg(test)]
    pub(super) steps: usize,
}

impl IdTable {
    /// Returns the number of streams.
    #[inline]
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns whether the table has no streams.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the slot of the stream `id`.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<u32> {
        match self.cells.get(self.home(id)) {
            Some(&(other, slot)) if other == id && id != 0 => Some(slot),
            _ => self.get_away(id),
        }
    }

    /// Returns the slot of a stream that is not in its home cell.
    #[inline(never)]
    fn get_away(&self, id: u32) -> Option<u32> {
        self.cells.get(self.find(id)?).map(|cell| cell.1)
    }

    /// Sets the slot of stream `id` and returns its previous one. Id 0 is not a stream, and is ignored.
    #[inline]
    pub(crate) fn insert(&mut self, id: u32, slot: u32) -> Option<u32> {
        let home = self.home(id);
        let room = self.len < self.cells.len() / 2;
        match self.cells.get_mut(home) {
            // The home cell is free, as it is for streams opened in sequence.
            Some(cell) if *cell == VACANT && room && id != 0 => {
                *cell = (id, slot);
                self.len += 1;
                None
            }
            _ => self.insert_among(id, slot),
        }
    }

    #[inline(never)]
    fn insert_among(&mut self, id: u32, slot: u32) -> Option<u32> {
        if id == 0 {
            return None;
        }
        if let Some(at) = self.find(id) {
            let before = self.get(id);
            self.set(at, (id, slot));
            return before;
        }
        if self.len.saturating_add(1).saturating_mul(2) > self.cells.len() {
            self.grow();
        }
        self.add((id, slot));
        self.len = self.len.saturating_add(1);
        None
    }

    /// Removes stream `id` and returns its slot.
    #[inline]
    pub(crate) fn remove(&mut self, id: u32) -> Option<u32> {
        let at = self.find(id)?;
        let slot = self.cells.get(at).map(|cell| cell.1);
        self.close_gap(at);
        self.len = self.len.saturating_sub(1);
        slot
    }

    /// Returns the slots of all streams. Shrinks an oversized table first, so that a walk which a peer can cause
    /// repeatedly costs time in proportion to the streams that are open, not to those that once were.
    pub(crate) fn slots(&mut self) -> Vec<u32> {
        self.fit();
        self.walked(self.cells.len());
        self.cells.iter().filter(|cell| cell.0 != 0).map(|cell| cell.1).collect()
    }

    /// Returns the slots of the streams with ids above `low` and up to `high`, of the parity of `high`, in order of
    /// id. Takes at most as many steps as there are ids in between, and at most as many as [`slots`](Self::slots).
    pub(crate) fn slots_between(&mut self, low: u32, high: u32) -> Vec<u32> {
        if self.is_empty() || low >= high {
            return Vec::new();
        }
        self.fit();
        let between = (high - low).div_ceil(2) as usize;
        if between <= self.cells.len() {
            self.walked(between);
            let ids = (0..=between).filter_map(|nth| high.checked_sub(2 * nth as u32)).filter(|id| *id > low);
            let mut slots: Vec<u32> = ids.filter_map(|id| self.get(id)).collect();
            slots.reverse();
            return slots;
        }
        self.walked(self.cells.len());
        let is_between = |cell: &&(u32, u32)| cell.0 > low && cell.0 <= high && cell.0 % 2 == high % 2;
        let mut found: Vec<_> = self.cells.iter().filter(is_between).copied().collect();
        found.sort_unstable();
        found.into_iter().map(|cell| cell.1).collect()
    }

    /// Rebuilds a table that is much larger than its streams need.
    fn fit(&mut self) {
        let enough = self.len.saturating_mul(2).next_power_of_two().max(LEAST_CELLS);
        if self.cells.len() > enough.saturating_mul(4) {
            self.rebuild(enough);
        }
    }

    /// Counts the steps of a walk, in tests.
    fn walked(&mut self, _steps: usize) {
        #[cfg(test)]
        {
            self.steps += _steps;
        }
    }

    /// Frees the memory of an empty table.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty() {
            self.cells = Vec::new();
        }
    }

    /// Returns the cell of `id`.
    #[inline]
    fn find(&self, id: u32) -> Option<usize> {
        let home = self.home(id);
        let mut at = home;
        loop {
            let &(other, _) = self.cells.get(at)?;
            if other == id && id != 0 {
                return Some(at);
            }
            // Cells are in order of their homes, so a cell that is nearer to its home than `id` would be ends the
            // search.
            if other == 0 || self.distance(self.home(other), at) < self.distance(home, at) {
                return None;
            }
            at = self.after(at);
        }
    }

    /// Inserts a stream that is not in the table yet: before the first cell that is nearer to its home, whose stream
    /// moves on.
    fn add(&mut self, mut cell: (u32, u32)) {
        let mut at = self.home(cell.0);
        while let Some(&other) = self.cells.get(at) {
            if other == VACANT {
                return self.set(at, cell);
            }
            if self.distance(self.home(other.0), at) < self.distance(self.home(cell.0), at) {
                self.set(at, cell);
                cell = other;
            }
            at = self.after(at);
        }
    }

    /// Vacates the cell at `gap`: each stream behind it moves up by one, until one is in its home cell.
    #[inline]
    fn close_gap(&mut self, mut gap: usize) {
        let mut at = self.after(gap);
        while let Some(&cell) = self.cells.get(at)
            && cell != VACANT
            && self.home(cell.0) != at
        {
            self.set(gap, cell);
            gap = at;
            at = self.after(at);
        }
        self.set(gap, VACANT);
    }

    #[cold]
    fn grow(&mut self) {
        self.rebuild(self.cells.len().saturating_mul(2).max(LEAST_CELLS));
    }

    fn rebuild(&mut self, cells: usize) {
        self.walked(self.cells.len());
        for (id, slot) in mem::replace(&mut self.cells, vec![VACANT; cells]) {
            if id != 0 {
                self.add((id, slot));
            }
        }
    }

    #[inline]
    fn mask(&self) -> usize {
        self.cells.len().wrapping_sub(1)
    }

    #[inline]
    fn home(&self, id: u32) -> usize {
        (id >> 1) as usize & self.mask()
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        at.wrapping_add(1) & self.mask()
    }

    /// Returns the number of steps from one cell to another, wrapping at the end.
    #[inline]
    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & self.mask()
    }

    #[inline]
    fn set(&mut self, at: usize, cell: (u32, u32)) {
        if let Some(place) = self.cells.get_mut(at) {
            *place = cell;
        }
    }
}

/// How a stream was closed, which decides what a later frame on it means (RFC 9113 §5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HowClosed {
    /// Both sides sent END_STREAM.
    Ended,
    /// The peer sent RST_STREAM.
    ResetByPeer,
    /// We sent RST_STREAM; frames that the peer sent before it received that may still arrive.
    ResetByUs,
}

/// The number of streams that [`ClosedIds`] remembers.
const CLOSED: usize = 64;

/// How the most recently closed streams were closed.
///
/// A stream is remembered until another stream closes whose id is equal modulo 128. So any 64 streams that a peer
/// opens in sequence are all remembered once they have closed, in whatever order.
#[derive(Debug)]
pub(crate) struct ClosedIds {
    ids: [u32; CLOSED],
    how: [Option<HowClosed>; CLOSED],
    /// The highest stream that we reset and have forgotten since; 0 if there is none.
    last_forgotten_reset: u32,
}

impl Default for ClosedIds {
    fn default() -> Self {
        Self { ids: [0; CLOSED], how: [None; CLOSED], last_forgotten_reset: 0 }
    }
}

impl ClosedIds {
    /// Remembers how the stream `id` was closed.
    pub(crate) fn insert(&mut self, id: u32, how: HowClosed) {
        let at = Self::place(id);
        if let (Some(place), Some(cell)) = (self.ids.get_mut(at), self.how.get_mut(at)) {
            if *cell == Some(HowClosed::ResetByUs) && *place != id {
                self.last_forgotten_reset = self.last_forgotten_reset.max(*place);
            }
            (*place, *cell) = (id, Some(how));
        }
    }

    /// Returns the highest stream that we reset and have forgotten since; 0 if there is none.
    pub(crate) const fn last_forgotten_reset(&self) -> u32 {
        self.last_forgotten_reset
    }

    /// Returns how the stream `id` was closed, if it is remembered.
    pub(crate) fn get(&self, id: u32) -> Option<HowClosed> {
        let at = Self::place(id);
        self.ids.get(at).filter(|other| **other == id)?;
        self.how.get(at).copied().flatten()
    }

    #[inline]
    fn place(id: u32) -> usize {
        (id >> 1) as usize % CLOSED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Copy, Debug)]
    enum IdOp {
        Insert(u32, u32),
        Remove(u32),
        Get(u32),
        Walk,
        Between(u32, u32),
        Shrink,
    }

    /// Generates ids in sequence, ids that share a home cell in every table of this size, and arbitrary ones.
    fn any_id() -> impl Strategy<Value = u32> {
        prop_oneof![
            4 => 1..200u32,
            4 => (0..40u32).prop_map(|n| (n << 12) | 1),
            2 => (0..40u32).prop_map(|n| 0x7fff_ffff - n),
            1 => any::<u32>(),
            1 => Just(0),
        ]
    }

    fn any_op() -> impl Strategy<Value = IdOp> {
        prop_oneof![
            6 => (any_id(), any::<u32>()).prop_map(|(id, slot)| IdOp::Insert(id, slot)),
            5 => any_id().prop_map(IdOp::Remove),
            2 => any_id().prop_map(IdOp::Get),
            1 => Just(IdOp::Walk),
            2 => (any_id(), any_id()).prop_map(|(low, high)| IdOp::Between(low, high)),
            1 => Just(IdOp::Shrink),
        ]
    }

    fn check_shape(table: &IdTable, model: &BTreeMap<u32, u32>) {
        assert_eq!((table.len(), table.is_empty()), (model.len(), model.is_empty()));
        assert!(table.cells.is_empty() || table.cells.len().is_power_of_two());
        assert!(table.len * 2 <= table.cells.len());
        let held: BTreeMap<_, _> = table.cells.iter().copied().filter(|cell| cell.0 != 0).collect();
        assert_eq!(held, *model);
        for (id, slot) in model {
            assert_eq!(table.get(*id), Some(*slot));
        }
    }

    proptest! {
        #[test]
        fn the_table_does_what_a_map_does(ops in vec(any_op(), 0..400)) {
            let (mut table, mut model) = (IdTable::default(), BTreeMap::new());
            for op in ops {
                match op {
                    IdOp::Insert(0, slot) => prop_assert_eq!(table.insert(0, slot), None),
                    IdOp::Insert(id, slot) => prop_assert_eq!(table.insert(id, slot), model.insert(id, slot)),
                    IdOp::Remove(id) => prop_assert_eq!(table.remove(id), model.remove(&id)),
                    IdOp::Get(id) => prop_assert_eq!(table.get(id), model.get(&id).copied()),
                    IdOp::Walk => {
                        let mut slots = table.slots();
                        slots.sort_unstable();
                        let mut expected: Vec<u32> = model.values().copied().collect();
                        expected.sort_unstable();
                        prop_assert_eq!(slots, expected);
                        prop_assert!(table.cells.len() <= (16 * model.len()).max(4 * LEAST_CELLS));
                    }
                    IdOp::Between(low, high) => {
                        let between = model.iter().filter(|(id, _)| **id > low && **id <= high);
                        let expected: Vec<u32> =
                            between.filter(|(id, _)| **id % 2 == high % 2).map(|(_, slot)| *slot).collect();
                        prop_assert_eq!(table.slots_between(low, high), expected);
                    }
                    IdOp::Shrink => {
                        table.shrink();
                        prop_assert!(!model.is_empty() || table.cells.capacity() == 0);
                    }
                }
                check_shape(&table, &model);
            }
        }

        #[test]
        fn closed_streams_are_forgotten_by_their_residue_alone(closed in vec((any_id(), 0..3u8), 0..300)) {
            let (mut ids, mut model) = (ClosedIds::default(), BTreeMap::new());
            for (id, how) in closed {
                let how = [HowClosed::Ended, HowClosed::ResetByPeer, HowClosed::ResetByUs][usize::from(how)];
                ids.insert(id, how);
                model.insert((id >> 1) % 64, (id, how));
                for other in [id, id ^ 1, id.wrapping_add(128), 0, 1] {
                    let expected = model.get(&((other >> 1) % 64)).filter(|(kept, _)| *kept == other);
                    prop_assert_eq!(ids.get(other), expected.map(|(_, how)| *how));
                }
            }
        }
    }

    #[test]
    fn streams_in_sequence_never_collide_or_allocate() {
        let mut table = IdTable::default();
        for id in (1..=199).step_by(2) {
            table.insert(id, id);
        }
        let cells = table.cells.capacity();
        for id in (201..200_001).step_by(2) {
            assert_eq!(table.remove(id - 200), Some(id - 200));
            table.insert(id, id);
            assert_eq!(table.cells[table.home(id)], (id, id));
        }
        assert_eq!((table.len(), table.cells.capacity()), (100, cells));
    }

    #[test]
    fn half_of_the_cells_are_used_before_it_grows() {
        let mut table = IdTable::default();
        let mut cells = Vec::new();
        for id in (1..=33).step_by(2) {
            table.insert(id, id);
            cells.push(table.cells.len());
        }
        assert_eq!(cells, [[16; 8].as_slice(), &[32; 8], &[64]].concat());
    }

    #[test]
    fn streams_of_one_home_stand_in_the_order_in_which_they_came() {
        let mut table = IdTable::default();
        for id in [1, 33, 65] {
            table.insert(id, id);
        }
        assert_eq!(table.cells[..4], [(1, 1), (33, 33), (65, 65), VACANT]);
        // A stream whose home is further on makes way for them.
        table.insert(3, 3);
        table.insert(97, 97);
        assert_eq!(table.cells[..6], [(1, 1), (33, 33), (65, 65), (97, 97), (3, 3), VACANT]);
    }

    #[test]
    fn memory_is_given_back_only_where_there_is_no_stream() {
        let mut table = IdTable::default();
        table.insert(1, 7);
        table.shrink();
        assert_eq!(table.get(1), Some(7));
        table.remove(1);
        assert_ne!(table.cells.capacity(), 0);
        table.shrink();
        assert_eq!(table.cells.capacity(), 0);
    }

    #[test]
    fn sixty_four_streams_in_sequence_are_remembered() {
        let mut closed = ClosedIds::default();
        for id in (1..1001).step_by(2).rev() {
            closed.insert(id, HowClosed::Ended);
        }
        for id in (2001..2129).step_by(2).rev() {
            closed.insert(id, HowClosed::ResetByUs);
        }
        assert!((2001..2129).step_by(2).all(|id| closed.get(id) == Some(HowClosed::ResetByUs)));
        assert!((1..1001).step_by(2).all(|id| closed.get(id).is_none()));
    }
}
