//! Encodes fields into header blocks.

use super::index::{Hashes, Index};
use super::static_table::Found;
use super::table::{self, DynamicTable, OVERHEAD};
use super::{DEFAULT_TABLE_SIZE, huffman, integer, static_table};

/// Whether a field enters the dynamic table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexing {
    /// The field is likely to repeat unchanged (RFC 7541 §6.2.1).
    Incremental,
    /// The field varies: an entry would only evict others (RFC 7541 §6.2.2).
    Without,
    /// The value is sensitive: no hop may compress it by reference (RFC 7541 §6.2.3 and §7.1.3).
    Never,
}

/// The sending side of a connection's header compression (RFC 7541).
///
/// It allocates when the first field enters the table.
///
/// ```
/// use halfclose::hpack::{Encoder, Indexing};
///
/// let mut encoder = Encoder::new(4096);
/// let (mut first, mut second) = (Vec::new(), Vec::new());
/// encoder.begin(&mut first);
/// encoder.field(b":path", b"/pkg.Service/Method", Indexing::Incremental, &mut first);
/// encoder.begin(&mut second);
/// encoder.field(b":path", b"/pkg.Service/Method", Indexing::Incremental, &mut second);
/// assert_eq!(second, [0xbe]);
/// ```
#[derive(Debug)]
pub struct Encoder {
    table: DynamicTable,
    index: Index,
    /// The largest size that the table may have, whatever the peer allows.
    cap: usize,
    pending: Option<SizeUpdates>,
}

/// Size updates for the start of the next block (RFC 7541 §4.2).
#[derive(Clone, Copy, Debug)]
struct SizeUpdates {
    smallest: usize,
    last: usize,
}

impl Encoder {
    /// Makes an encoder whose table has at most `max_table_size` bytes, and never more than the peer allows. Until
    /// [`set_peer_max_table_size`](Self::set_peer_max_table_size) the peer allows [`DEFAULT_TABLE_SIZE`] (RFC 9113
    /// §6.5.2); a smaller `max_table_size` is announced in the first block.
    #[must_use]
    pub fn new(max_table_size: usize) -> Self {
        let mut encoder = Self {
            table: DynamicTable::new(DEFAULT_TABLE_SIZE),
            index: Index::default(),
            cap: table::clamp(max_table_size),
            pending: None,
        };
        encoder.resize(DEFAULT_TABLE_SIZE);
        encoder
    }

    /// Applies the peer's SETTINGS_HEADER_TABLE_SIZE of `size` bytes. If that changes the size of our table, the next
    /// block begins with size updates: to the smallest size since the previous block, then to the current one (RFC
    /// 7541 §4.2).
    pub fn set_peer_max_table_size(&mut self, size: u32) {
        self.resize(size as usize);
    }

    fn resize(&mut self, allowed: usize) {
        let last = allowed.min(self.cap);
        if self.pending.is_none() && last == self.table.max_size() {
            return;
        }
        let smallest = self.pending.map_or(last, |pending| pending.smallest.min(last));
        self.pending = Some(SizeUpdates { smallest, last });
        self.table.touch();
    }

    /// Starts a block: appends pending size updates to `out`. Call it before the block's first field.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(pending) = self.pending.take() {
            self.update(pending, out);
        }
    }

    #[inline(never)]
    fn update(&mut self, SizeUpdates { smallest, last }: SizeUpdates, out: &mut Vec<u8>) {
        self.table.touch();
        if smallest < last {
            integer::encode(smallest, 0x1f, 0x20, out);
            self.table.set_max_size(smallest);
        }
        integer::encode(last, 0x1f, 0x20, out);
        self.table.set_max_size(last);
    }

    /// Appends a field to `out`. `name` has to be in lower case (RFC 9113 §8.2.1), which is not checked.
    ///
    /// A field that needs more than three quarters of the table never enters it, whatever `indexing` says. Strings
    /// are Huffman-coded if that is shorter.
    pub fn field(&mut self, name: &[u8], value: &[u8], indexing: Indexing, out: &mut Vec<u8>) {
        let known = static_table::find(name, value);
        if indexing == Indexing::Never {
            return self.literal_never(known, name, value, out);
        }
        if let Found::Field(index) = known {
            return integer::encode(index as usize, 0x7f, 0x80, out);
        }
        let hashes = Hashes::new(name, value);
        if let Some(nth) = self.index.find_field(&self.table, hashes, name, value) {
            return integer::encode(dynamic_index(nth), 0x7f, 0x80, out);
        }
        let name_index = match known {
            Found::Name(index) => index as usize,
            _ => self.index.find_name(&self.table, hashes, name).map_or(0, dynamic_index),
        };
        if indexing == Indexing::Incremental && self.is_worth_an_entry(name, value) {
            literal(name_index, 0x3f, 0x40, name, value, out);
            if self.table.insert(name, value) {
                self.index.add(&self.table, hashes);
            }
        } else {
            literal(name_index, 0x0f, 0x00, name, value, out);
        }
    }

    fn literal_never(&self, known: Found, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let name_index = match known {
            Found::Field(index) | Found::Name(index) => index as usize,
            Found::Nothing => {
                let hashes = Hashes::new(name, b"");
                self.index.find_name(&self.table, hashes, name).map_or(0, dynamic_index)
            }
        };
        literal(name_index, 0x0f, 0x10, name, value, out);
    }

    /// Returns whether an entry would leave at least a quarter of the table to others.
    #[inline]
    fn is_worth_an_entry(&self, name: &[u8], value: &[u8]) -> bool {
        let size = name.len().saturating_add(value.len()).saturating_add(OVERHEAD);
        size <= self.table.max_size() / 4 * 3
    }

    /// Returns a number that changes with every insertion, eviction and change of the table's size, including a
    /// change that the next [`begin`](Self::begin) will announce. A block whose encoding left it unchanged may be
    /// sent again, byte for byte, until it changes.
    #[must_use]
    #[inline]
    pub const fn generation(&self) -> u64 {
        self.table.generation()
    }

    /// Returns the size of the table's entries in bytes, 32 for each included (RFC 7541 §4.1).
    #[must_use]
    pub const fn table_size(&self) -> usize {
        self.table.size()
    }

    /// Frees all memory except the table's content.
    pub fn shrink(&mut self) {
        self.table.shrink();
        if self.table.len() == 0 {
            self.index = Index::default();
        }
    }
}

/// Returns the index of the `nth` newest entry of the dynamic table (RFC 7541 §2.3.3).
#[inline]
const fn dynamic_index(nth: u32) -> usize {
    static_table::LEN as usize + 1 + nth as usize
}

/// Appends a literal; `name_index` is 0 if neither table has the name (RFC 7541 §6.2).
fn literal(name_index: usize, mask: u8, pattern: u8, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    integer::encode(name_index, mask, pattern, out);
    if name_index == 0 {
        string(name, out);
    }
    string(value, out);
}

/// Appends a string literal, Huffman-coded if that is shorter (RFC 7541 §5.2).
fn string(text: &[u8], out: &mut Vec<u8>) {
    let coded = huffman::encoded_len(text);
    if coded < text.len() {
        integer::encode(coded, 0x7f, 0x80, out);
        out.reserve(coded);
        huffman::encode(text, out);
    } else {
        integer::encode(text.len(), 0x7f, 0x00, out);
        out.extend_from_slice(text);
    }
}

#[cfg(test)]
mod tests;
