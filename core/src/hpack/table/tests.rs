use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// The table as RFC 7541 §4 describes it.
#[derive(Default)]
struct Model {
    entries: VecDeque<(Vec<u8>, Vec<u8>)>,
    max_size: usize,
}

impl Model {
    fn size(&self) -> usize {
        self.entries.iter().map(|(name, value)| name.len() + value.len() + OVERHEAD).sum()
    }

    fn evict_to(&mut self, size: usize) {
        while self.size() > size {
            self.entries.pop_back();
        }
    }

    fn insert(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + OVERHEAD;
        self.evict_to(self.max_size.saturating_sub(size));
        if size <= self.max_size {
            self.entries.push_front((name.to_vec(), value.to_vec()));
        }
    }

    fn check(&self, table: &DynamicTable) {
        assert_eq!(table.len() as usize, self.entries.len());
        assert_eq!(table.size(), self.size());
        assert!(table.size() <= table.max_size());
        for (nth, (name, value)) in self.entries.iter().enumerate() {
            assert_eq!(table.get(nth as u32), Some((&name[..], &value[..])));
        }
        assert_eq!(table.get(table.len()), None);
        assert!(table.store.capacity() <= SMALLEST_STORE.max(table.max_size() * 3 / 2));
    }
}

#[derive(Clone, Debug)]
enum TableOp {
    Insert(usize, usize),
    InsertNamedAs(usize, usize),
    SetMaxSize(usize),
    Shrink,
}

fn order() -> impl Strategy<Value = TableOp> {
    prop_oneof![
        6 => (0..40_usize, 0..80_usize).prop_map(|(name, value)| TableOp::Insert(name, value)),
        1 => (0..400_usize, 0..400_usize).prop_map(|(name, value)| TableOp::Insert(name, value)),
        4 => (0..40_usize, 0..80_usize).prop_map(|(nth, value)| TableOp::InsertNamedAs(nth, value)),
        1 => (0..700_usize).prop_map(TableOp::SetMaxSize),
        1 => Just(TableOp::Shrink),
    ]
}

fn text(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + seed) as u8).collect()
}

fn follow(order: &TableOp, seed: usize, table: &mut DynamicTable, model: &mut Model) {
    let before = (table.generation(), table.max_size());
    match *order {
        TableOp::Insert(name, value) => {
            let (name, value) = (text(name, seed), text(value, seed + 1));
            let fits = name.len() + value.len() + OVERHEAD <= table.max_size();
            assert_eq!(table.insert(&name, &value), fits);
            model.insert(&name, &value);
        }
        TableOp::InsertNamedAs(nth, value) => {
            let value = text(value, seed);
            let Some((name, _)) = model.entries.get(nth).cloned() else { return };
            table.insert_named_as(nth as u32, &value);
            model.insert(&name, &value);
        }
        TableOp::SetMaxSize(size) => {
            table.set_max_size(size);
            model.max_size = size;
            model.evict_to(size);
        }
        TableOp::Shrink => table.shrink(),
    }
    let changed = match order {
        TableOp::Insert(..) | TableOp::InsertNamedAs(..) => true,
        TableOp::SetMaxSize(size) => *size != before.1,
        TableOp::Shrink => false,
    };
    assert_eq!(table.generation() != before.0, changed);
}

proptest! {
    #[test]
    fn follows_the_model(start in 0..1000_usize, orders in vec(order(), 0..200)) {
        let mut table = DynamicTable::new(start);
        // Positions and numbers wrap around at 32 bits.
        (table.base, table.head, table.inserted) = (u32::MAX - 500, u32::MAX - 500, u32::MAX - 20);
        let mut model = Model { max_size: start, ..Model::default() };
        for (seed, order) in orders.iter().enumerate() {
            follow(order, seed, &mut table, &mut model);
            model.check(&table);
        }
    }
}

#[test]
fn owns_nothing_until_the_first_insertion() {
    let mut table = DynamicTable::new(4096);
    table.set_max_size(100);
    table.set_max_size(4096);
    assert_eq!((table.store.capacity(), table.ring.capacity(), table.spare.capacity()), (0, 0, 0));
    table.insert(b"name", b"value");
    assert_eq!((table.store.capacity(), table.ring.len()), (SMALLEST_STORE, FEWEST_SLOTS));
}

#[test]
fn the_store_is_no_larger_than_its_bytes_need() {
    // 124 entries of one byte fill the table, so half of 256 bytes is enough space.
    let mut table = DynamicTable::new(4096);
    for _ in 0..10_000 {
        table.insert(b"n", b"");
    }
    assert_eq!((table.len(), table.store.capacity()), (124, 256));
}

/// Checks that the insertion of at least a third of the bytes moved pays for each move, once the store has its full
/// size.
#[test]
fn bytes_are_moved_seldom() {
    for len in [1, 10, 100, 1000] {
        let mut table = DynamicTable::new(4096);
        let (mut inserted, mut moved) = (0, 0);
        for turn in 0..20_000 {
            let base = table.base;
            table.insert(&vec![b'n'; len], b"");
            inserted += len;
            if table.base != base && turn > 1000 {
                // Before the insertion, which followed the move.
                moved += table.store.len() - len;
            }
        }
        assert!(moved > 0 && moved <= 3 * inserted, "{moved} bytes moved for {inserted} of {len}");
    }
}

#[test]
fn an_entry_is_shown_by_where_its_bytes_are() {
    let mut table = DynamicTable::new(4096);
    table.insert(b"name", b"value");
    let shown = format!("{table:?}");
    assert!(shown.contains("ring: [0+4+5, 0+0+0,"), "{shown}");
}

#[test]
fn gives_memory_back() {
    let mut table = DynamicTable::new(4096);
    for nth in 0..100_u8 {
        table.insert(&[nth; 10], &[nth; 200]);
    }
    table.insert_named_as(table.len() - 1, &[1; 200]);
    let live = table.size() - table.len() as usize * OVERHEAD;
    table.shrink();
    assert_eq!((table.store.capacity(), table.spare.capacity()), (live, 0));
    table.set_max_size(0);
    assert_eq!((table.store.capacity(), table.ring.capacity()), (0, 0));
}

/// Reads the name of the oldest entry, which the insertion evicts, at every fill of the store, including those where
/// the bytes move.
#[test]
fn a_name_outlives_its_entry() {
    let mut moved = false;
    for len in 1..200 {
        let mut table = DynamicTable::new(256);
        let name = text(17, len);
        table.insert(&name, b"first");
        for turn in 0..40 {
            let oldest = table.len() - 1;
            assert_eq!(table.get(oldest).unwrap().0, name);
            table.insert_named_as(oldest, &text(len, turn));
            assert_eq!(table.get(0), Some((&name[..], &text(len, turn)[..])));
        }
        moved |= !table.spare.is_empty();
    }
    assert!(moved, "no case reached the spare buffer");
}

#[test]
fn sizes_are_capped() {
    assert_eq!(DynamicTable::new(usize::MAX).max_size(), CEILING);
    assert_eq!(clamp(CEILING - 1), CEILING - 1);
    let mut table = DynamicTable::new(0);
    table.set_max_size(CEILING + 1);
    assert_eq!(table.max_size(), CEILING);
}
