//! Finds fields in the encoder's dynamic table.
//!
//! Every entry is in two chains, newest first: one of entries with the same hash of name and value, one of entries
//! with the same hash of the name. A chain ends at the first entry that the table has evicted, so eviction costs
//! nothing here. The hashes are fixed and weak on purpose: a search compares the bytes of each candidate, and the
//! candidates are limited to the table's content, a few kibibytes.

use super::table::DynamicTable;

/// Chains and links of the smallest index, a power of two.
const FEWEST: usize = 8;

#[derive(Clone, Copy, Default, Debug)]
struct ChainLink {
    field_hash: u32,
    name_hash: u32,
    /// The number of the next older entry in each chain; ignored unless that entry is live and older.
    older_field: u32,
    older_name: u32,
}

/// The hashes of a field.
#[derive(Clone, Copy)]
pub(super) struct Hashes {
    field: u32,
    name: u32,
}

impl Hashes {
    #[inline]
    pub(super) fn new(name: &[u8], value: &[u8]) -> Self {
        let name = digest(name);
        let field = digest(value) ^ name.rotate_left(29);
        Self { field: field as u32, name: name as u32 }
    }
}

/// Returns a hash of the length, the first eight bytes and the last eight bytes.
#[inline]
fn digest(text: &[u8]) -> u64 {
    let (first, last) = match (text.first_chunk(), text.last_chunk()) {
        (Some(&first), Some(&last)) => (u64::from_le_bytes(first), u64::from_le_bytes(last)),
        _ => digest_short(text),
    };
    // Combining both halves of the product lets every bit of either factor reach the low bits.
    let product = u128::from(first ^ 0x9e37_79b9_7f4a_7c15 ^ text.len() as u64)
        * u128::from(last ^ 0xbf58_476d_1ce4_e5b9);
    (product >> 64) as u64 ^ product as u64
}

#[inline]
fn digest_short(text: &[u8]) -> (u64, u64) {
    match (text.first_chunk(), text.last_chunk()) {
        (Some(&first), Some(&last)) => {
            (u64::from(u32::from_le_bytes(first)), u64::from(u32::from_le_bytes(last)))
        }
        _ => (text.iter().fold(0, |all, &byte| all << 8 | u64::from(byte)), 0),
    }
}

/// The chains of a [`DynamicTable`]. Owns no memory until the first insertion.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The number of the newest entry of each chain; there are as many chains as links.
    fields: Vec<u32>,
    names: Vec<u32>,
    /// Indexed by entry number; a power of two in length.
    links: Vec<ChainLink>,
}

impl Index {
    /// Returns the position of the newest entry with this name and value, counted from the newest entry.
    #[inline]
    pub(super) fn find_field(
        &self,
        table: &DynamicTable,
        hashes: Hashes,
        name: &[u8],
        value: &[u8],
    ) -> Option<u32> {
        let mut walk = ChainWalk::new(&self.fields, hashes.field);
        while let Some((nth, link)) = walk.next(table, &self.links) {
            if link.field_hash == hashes.field && table.get(nth) == Some((name, value)) {
                return Some(nth);
            }
            walk.number = link.older_field;
        }
        None
    }

    /// Returns the position of the newest entry with this name, counted from the newest entry.
    #[inline]
    pub(super) fn find_name(&self, table: &DynamicTable, hashes: Hashes, name: &[u8]) -> Option<u32> {
        let mut walk = ChainWalk::new(&self.names, hashes.name);
        while let Some((nth, link)) = walk.next(table, &self.links) {
            if link.name_hash == hashes.name && table.get(nth).is_some_and(|(same, _)| same == name) {
                return Some(nth);
            }
            walk.number = link.older_name;
        }
        None
    }

    /// Adds the table's newest entry.
    #[inline]
    pub(super) fn add(&mut self, table: &DynamicTable, hashes: Hashes) {
        if table.len() as usize > self.links.len() {
            self.grow(table);
        }
        self.link(table.inserted().wrapping_sub(1), hashes);
    }

    #[inline]
    fn link(&mut self, number: u32, hashes: Hashes) {
        let mask = self.links.len().wrapping_sub(1);
        let (Some(field), Some(name), Some(link)) = (
            self.fields.get_mut(hashes.field as usize & mask),
            self.names.get_mut(hashes.name as usize & mask),
            self.links.get_mut(number as usize & mask),
        ) else {
            return;
        };
        *link = ChainLink {
            field_hash: hashes.field,
            name_hash: hashes.name,
            older_field: *field,
            older_name: *name,
        };
        *field = number;
        *name = number;
    }

    /// Doubles the chains and links, and adds the older entries again.
    #[inline(never)]
    fn grow(&mut self, table: &DynamicTable) {
        let old = std::mem::take(&mut self.links);
        let count = (2 * old.len()).max(FEWEST);
        self.links = vec![ChainLink::default(); count];
        // No live entry has this number, so it ends a chain.
        let none = table.inserted();
        self.fields = vec![none; count];
        self.names = vec![none; count];
        for nth in (1..table.len()).rev() {
            let number = table.inserted().wrapping_sub(nth).wrapping_sub(1);
            if let Some(link) = old.get(number as usize & old.len().wrapping_sub(1)) {
                self.link(number, Hashes { field: link.field_hash, name: link.name_hash });
            }
        }
    }
}

/// A walk along a chain.
struct ChainWalk {
    /// The number of the next entry.
    number: u32,
    /// The age of the previous entry, where the newest one has age 1; ages have to rise along a chain.
    age: u32,
}

impl ChainWalk {
    #[inline]
    fn new(heads: &[u32], hash: u32) -> Self {
        // An empty index belongs to a table without live entries, so this number ends the walk.
        let number = heads.get(hash as usize & heads.len().wrapping_sub(1)).copied().unwrap_or_default();
        Self { number, age: 0 }
    }

    /// Returns the entry's position from the newest, and its link; `None` at the end of the chain.
    #[inline]
    fn next<'a>(&mut self, table: &DynamicTable, links: &'a [ChainLink]) -> Option<(u32, &'a ChainLink)> {
        let age = table.inserted().wrapping_sub(self.number);
        if age <= self.age || age > table.len() {
            return None;
        }
        self.age = age;
        let link = links.get(self.number as usize & links.len().wrapping_sub(1))?;
        Some((age - 1, link))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that fields which differ in one digit at either end, or in length only, spread over the chains.
    #[test]
    fn hashes_spread() {
        let values: [fn(usize) -> String; 4] = [
            |nth| format!("value-{nth:08}"),
            |nth| format!("{nth:08}-value"),
            |nth| format!("{nth}"),
            |nth| "v".repeat(8 + nth),
        ];
        for value in values {
            let mut chains = [0; 128];
            for nth in 0..1280 {
                let hashes = Hashes::new(b"x-request-id", value(nth).as_bytes());
                chains[hashes.field as usize % 128] += 1;
            }
            let longest = chains.iter().max().unwrap();
            assert!(*longest <= 30, "{longest} of 1280 fields in one of 128 chains");
        }
    }

    #[test]
    fn name_and_value_are_told_apart() {
        let hash = |name: &[u8], value: &[u8]| Hashes::new(name, value).field;
        assert_ne!(hash(b"a", b"b"), hash(b"b", b"a"));
        assert_ne!(hash(b"ab", b""), hash(b"a", b"b"));
        assert_ne!(hash(b"same", b"same"), hash(b"other", b"other"));
    }
}
