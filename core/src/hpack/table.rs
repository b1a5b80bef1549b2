//! The dynamic table (RFC 7541 §2.3.2 and §4): a ring of entries over one store of bytes.

/// Bytes that an entry counts for besides its name and value (RFC 7541 §4.1).
pub(super) const OVERHEAD: usize = 32;

/// The largest size of a table, whatever is announced, so that positions fit in 32 bits.
const CEILING: usize = 1 << 30;

/// Returns `size`, or the largest size that a table can have.
pub(super) const fn clamp(size: usize) -> usize {
    if size < CEILING { size } else { CEILING }
}

/// Slots of the smallest ring, a power of two.
const FEWEST_SLOTS: usize = 8;

/// Size of the smallest store, in bytes.
const SMALLEST_STORE: usize = 128;

/// The place of an entry's bytes: the name, followed by the value.
#[derive(Clone, Copy, Default)]
struct TableEntry {
    /// The position of the name among all bytes ever stored, modulo 2^32.
    at: u32,
    name_len: u32,
    value_len: u32,
}

impl TableEntry {
    const fn end(self) -> u32 {
        self.at.wrapping_add(self.name_len).wrapping_add(self.value_len)
    }

    const fn size(self) -> usize {
        self.name_len as usize + self.value_len as usize + OVERHEAD
    }
}

/// The dynamic table. Entries are numbered from the newest, which is 0. It allocates with the first insertion.
///
/// New bytes are appended to the store; eviction advances its beginning. When the store is full, the live bytes move
/// to its front, or to a larger store, which never exceeds one and a half of the maximum size. So each move is
/// preceded by insertions of at least a third of the bytes moved.
#[derive(Debug, Default)]
pub(super) struct DynamicTable {
    store: Vec<u8>,
    /// The position of the first byte of the store.
    base: u32,
    /// The position of the first byte of the oldest entry.
    head: u32,
    /// Empty, or a power of two in length.
    ring: Vec<TableEntry>,
    /// The number of insertions modulo 2^32, which gives the slot of the next entry.
    inserted: u32,
    len: u32,
    size: usize,
    max_size: usize,
    generation: u64,
    /// Holds the name for an insertion that both refers to it and evicts it, while the store moves.
    spare: Vec<u8>,
}

impl std::fmt::Debug for TableEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}+{}+{}", self.at, self.name_len, self.value_len)
    }
}

impl DynamicTable {
    pub(super) fn new(max_size: usize) -> Self {
        Self { max_size: clamp(max_size), ..Self::default() }
    }

    /// Returns the number of entries.
    #[inline]
    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// Returns the size of the entries in bytes, [`OVERHEAD`] included.
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    pub(super) const fn max_size(&self) -> usize {
        self.max_size
    }

    /// Returns the number of insertions modulo 2^32; the newest entry has the number before it.
    #[inline]
    pub(super) const fn inserted(&self) -> u32 {
        self.inserted
    }

    /// Returns a number that changes with every insertion, eviction and change of the maximum size.
    #[inline]
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Changes the generation.
    #[inline]
    pub(super) const fn touch(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    /// Returns name and value of the `nth` newest entry.
    #[inline]
    pub(super) fn get(&self, nth: u32) -> Option<(&[u8], &[u8])> {
        let entry = self.entry(nth)?;
        let bytes = self.store.get(entry.at.wrapping_sub(self.base) as usize..)?;
        let (name, rest) = bytes.split_at_checked(entry.name_len as usize)?;
        Some((name, rest.get(..entry.value_len as usize)?))
    }

    #[inline]
    fn entry(&self, nth: u32) -> Option<TableEntry> {
        if nth >= self.len {
            return None;
        }
        self.ring.get(self.slot(self.inserted.wrapping_sub(nth).wrapping_sub(1))).copied()
    }

    #[inline]
    fn slot(&self, number: u32) -> usize {
        number as usize & self.ring.len().wrapping_sub(1)
    }

    /// Sets the maximum size, evicting entries that no longer fit (RFC 7541 §4.3).
    pub(super) fn set_max_size(&mut self, max_size: usize) {
        let max_size = clamp(max_size);
        if max_size == self.max_size {
            return;
        }
        self.max_size = max_size;
        self.touch();
        self.evict_to(max_size);
        if self.store.capacity() > self.largest_store() {
            self.shrink();
        }
    }

    /// Inserts an entry, evicting others as needed. An entry larger than the table empties it instead (RFC 7541
    /// §4.4). Returns whether the entry was inserted.
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) -> bool {
        if !self.make_way(name.len(), value.len()) {
            return false;
        }
        self.make_room(name.len() + value.len());
        self.store.extend_from_slice(name);
        self.store.extend_from_slice(value);
        self.record(name.len(), value.len());
        true
    }

    /// Inserts an entry with the name of the `nth` newest entry, which the insertion itself may evict (RFC 7541
    /// §4.4).
    pub(super) fn insert_named_as(&mut self, nth: u32, value: &[u8]) {
        let Some(TableEntry { at, name_len, .. }) = self.entry(nth) else { return };
        let name_len = name_len as usize;
        if !self.make_way(name_len, value.len()) {
            return;
        }
        // Evicted bytes stay in the store until it moves.
        let wanted = name_len + value.len();
        let evicted = at.wrapping_sub(self.base) < self.head.wrapping_sub(self.base);
        if evicted && self.lacks_room(wanted) {
            self.save_name(at, name_len);
            self.make_room(wanted);
            self.store.extend_from_slice(&self.spare);
        } else {
            self.make_room(wanted);
            let start = at.wrapping_sub(self.base) as usize;
            self.store.extend_from_within(start..start + name_len);
        }
        self.store.extend_from_slice(value);
        self.record(name_len, value.len());
    }

    fn save_name(&mut self, at: u32, name_len: usize) {
        let start = at.wrapping_sub(self.base) as usize;
        self.spare.clear();
        self.spare.extend_from_slice(self.store.get(start..start + name_len).unwrap_or_default());
    }

    /// Frees memory that holds no entry.
    pub(super) fn shrink(&mut self) {
        self.compact();
        self.store.shrink_to_fit();
        self.spare = Vec::new();
        if self.len == 0 {
            self.ring = Vec::new();
        }
    }

    /// Evicts entries to fit a new one. Returns false if it is larger than the table, which is then empty.
    #[inline]
    fn make_way(&mut self, name_len: usize, value_len: usize) -> bool {
        self.touch();
        let size = name_len.saturating_add(value_len).saturating_add(OVERHEAD);
        match self.max_size.checked_sub(size) {
            Some(rest) => {
                self.evict_to(rest);
                true
            }
            None => {
                self.evict_to(0);
                false
            }
        }
    }

    /// Evicts the oldest entries until the size is at most `size`.
    #[inline]
    fn evict_to(&mut self, size: usize) {
        while self.size > size
            && let Some(oldest) = self.len.checked_sub(1)
            && let Some(entry) = self.entry(oldest)
        {
            self.len = oldest;
            self.size -= entry.size();
            self.head = entry.end();
            self.touch();
        }
    }

    #[inline]
    fn lacks_room(&self, wanted: usize) -> bool {
        self.store.capacity() - self.store.len() < wanted
    }

    #[inline]
    fn make_room(&mut self, wanted: usize) {
        if self.lacks_room(wanted) {
            self.move_store(wanted);
        }
    }

    const fn largest_store(&self) -> usize {
        self.max_size + self.max_size / 2
    }

    /// Moves the live bytes to the front of the store, or to a larger store if it is nearly full.
    #[inline(never)]
    fn move_store(&mut self, wanted: usize) {
        self.compact();
        let needed = self.store.len() + wanted;
        let capacity = self.store.capacity();
        if needed > capacity / 4 * 3 && capacity < self.largest_store() {
            let target = (2 * capacity).max(needed.next_power_of_two()).max(SMALLEST_STORE);
            // At least `needed`, which is at most the maximum size.
            self.store.reserve_exact(target.min(self.largest_store()) - self.store.len());
        }
    }

    fn compact(&mut self) {
        let dead = self.head.wrapping_sub(self.base) as usize;
        self.store.drain(..dead.min(self.store.len()));
        self.base = self.head;
    }

    /// Adds an entry for the bytes that were just stored.
    #[inline]
    fn record(&mut self, name_len: usize, value_len: usize) {
        if self.len as usize == self.ring.len() {
            self.grow_ring();
        }
        let bytes = name_len + value_len;
        // Positions and lengths fit in 32 bits: the table holds at most `CEILING` bytes.
        let at = self.base.wrapping_add((self.store.len() - bytes) as u32);
        let slot = self.slot(self.inserted);
        if let Some(entry) = self.ring.get_mut(slot) {
            *entry = TableEntry { at, name_len: name_len as u32, value_len: value_len as u32 };
        }
        if self.len == 0 {
            self.head = at;
        }
        self.inserted = self.inserted.wrapping_add(1);
        self.len += 1;
        self.size += bytes + OVERHEAD;
    }

    #[inline(never)]
    fn grow_ring(&mut self) {
        let mut ring = vec![TableEntry::default(); (2 * self.ring.len()).max(FEWEST_SLOTS)];
        let mask = ring.len() - 1;
        for nth in 0..self.len {
            let number = self.inserted.wrapping_sub(nth).wrapping_sub(1);
            if let (Some(entry), Some(place)) = (self.entry(nth), ring.get_mut(number as usize & mask)) {
                *place = entry;
            }
        }
        self.ring = ring;
    }
}

#[cfg(test)]
mod tests;
