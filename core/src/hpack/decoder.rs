//! Decodes header blocks into fields.

use std::ops::Range;

use super::table::{self, DynamicTable, OVERHEAD};
use super::{DecodeError, Field, huffman, integer, static_table};

/// Size updates with which one block may begin (RFC 7541 §4.2: the smallest and the final size).
const MAX_SIZE_UPDATES: usize = 2;

/// Bytes of scratch for Huffman-coded strings that are kept between blocks; the strings of usual headers need less.
const KEPT_SCRATCH: usize = 32 * 1024;

/// The limits for one header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLimits {
    /// The most bytes in one decoded name or value; more is [`DecodeError::StringTooLong`].
    pub max_string: usize,
    /// The largest size of the whole list in bytes, where each field counts its name, its value and 32 (RFC 9113
    /// §6.5.2, SETTINGS_MAX_HEADER_LIST_SIZE); more is [`DecodeError::ListTooLarge`].
    pub max_list_size: usize,
}

/// The size of a decoded header block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockStats {
    /// The size of the header list in bytes: all names and values, and 32 for each field (RFC 9113 §6.5.2).
    pub list_size: usize,
    /// The number of fields.
    pub fields: usize,
}

/// The receiving side of a connection's header compression (RFC 7541).
///
/// It allocates when a block first needs memory, and then only for the table and one buffer for Huffman-coded
/// strings. Memory grows with the bytes received, never with a number that the peer sends.
///
/// ```
/// use halfclose::hpack::{BlockLimits, Decoder};
///
/// let mut decoder = Decoder::new(4096);
/// let limits = BlockLimits { max_string: 16_384, max_list_size: 65_536 };
/// let mut list = Vec::new();
/// let block = [0x82, 0x86, 0x84, 0x41, 0x0f, b'w', b'w', b'w', b'.', b'e', b'x', b'a', b'm', b'p', b'l', b'e', b'.', b'c', b'o', b'm'];
/// let stats = decoder.decode(&block, &limits, |field| list.push((field.name.to_vec(), field.value.to_vec())))?;
/// assert_eq!(list[3], (b":authority".to_vec(), b"www.example.com".to_vec()));
/// assert_eq!((stats.fields, stats.list_size, decoder.table_size()), (4, 180, 57));
/// # Ok::<(), halfclose::hpack::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    table: DynamicTable,
    /// The decoded Huffman strings of the current field; its length is memory kept, not content.
    scratch: Vec<u8>,
    /// The largest table size that the peer may choose, in bytes.
    announced: usize,
    /// The smallest size acknowledged since the last block, if the table was larger.
    reduce_to: Option<usize>,
}

impl Decoder {
    /// Makes a decoder whose table has at most `max_table_size` bytes, the size that both sides agree on at first.
    /// For HTTP/2 that is [`DEFAULT_TABLE_SIZE`](super::DEFAULT_TABLE_SIZE), whatever our first SETTINGS say, because
    /// these apply only once they are acknowledged (RFC 9113 §4.3.1); then call
    /// [`set_max_table_size`](Self::set_max_table_size). Sizes over 2^30 count as 2^30.
    #[must_use]
    pub fn new(max_table_size: usize) -> Self {
        let announced = table::clamp(max_table_size);
        Self { table: DynamicTable::new(announced), scratch: Vec::new(), announced, reduce_to: None }
    }

    /// Applies a SETTINGS_HEADER_TABLE_SIZE of `size` bytes that the peer has acknowledged (RFC 7541 §4.2).
    ///
    /// If `size` is less than the table's current maximum, the next block has to begin with a size update to at most
    /// `size`, or it fails with [`DecodeError::MissingSizeUpdate`]. If it is more, nothing changes until the peer
    /// chooses a larger size. Sizes over 2^30 count as 2^30.
    pub fn set_max_table_size(&mut self, size: usize) {
        self.announced = table::clamp(size);
        let agreed = self.reduce_to.unwrap_or(self.table.max_size());
        if self.announced < agreed {
            self.reduce_to = Some(self.announced);
            // Invalidates cached blocks: they lack the size update that is due now.
            self.table.touch();
        }
    }

    /// Decodes one complete header block and calls `sink` for every field in order. The table stays in step with the
    /// peer's, whatever the sink does with the fields.
    ///
    /// # Errors
    ///
    /// See [`DecodeError`]. Fields before the faulty one have been passed to `sink`. After an error the decoder is
    /// permanently out of step with the peer.
    pub fn decode<F>(
        &mut self,
        block: &[u8],
        limits: &BlockLimits,
        mut sink: F,
    ) -> Result<BlockStats, DecodeError>
    where
        F: FnMut(Field<'_>),
    {
        let mut cursor = Cursor { block, at: 0 };
        self.size_updates(&mut cursor)?;
        let mut stats = BlockStats::default();
        while let Some(first) = cursor.byte() {
            if first & 0x80 != 0 {
                // RFC 7541 §6.1.
                let index = cursor.integer(first, 0x7f)?;
                let Some((name, value)) = lookup(&self.table, index) else {
                    return Err(self.invalid_index(index));
                };
                stats.add(name, value, limits)?;
                sink(Field { name, value, sensitive: false });
            } else {
                let literal = Literal::read(first, &mut cursor, &mut self.scratch, limits)?;
                let Some(name) = literal.name(&self.table, &self.scratch) else {
                    return Err(self.invalid_index(literal.name_index()));
                };
                let value = literal.value.of(&self.scratch);
                stats.add(name, value, limits)?;
                sink(Field { name, value, sensitive: literal.kind == LiteralKind::Never });
                if literal.kind == LiteralKind::Incremental {
                    self.insert(&literal);
                }
            }
        }
        if self.scratch.len() > KEPT_SCRATCH {
            self.scratch = Vec::new();
        }
        Ok(stats)
    }

    /// Returns a number that changes with every insertion, eviction and change of the table's size, including a
    /// change that is still due. While it is unchanged, a block of indexed fields alone keeps its meaning.
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
        self.scratch = Vec::new();
        self.table.shrink();
    }

    /// Reads the size updates at the start of a block (RFC 7541 §4.2 and §6.3).
    #[inline]
    fn size_updates(&mut self, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
        let update = cursor.block.first().is_some_and(|&first| is_size_update(first));
        if update || self.reduce_to.is_some() { self.read_size_updates(cursor) } else { Ok(()) }
    }

    #[inline(never)]
    fn read_size_updates(&mut self, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
        let mut updates = 0;
        while let Some(first) = cursor.block.get(cursor.at).copied().filter(|&first| is_size_update(first)) {
            cursor.at += 1;
            if updates == MAX_SIZE_UPDATES {
                return Err(DecodeError::TooManySizeUpdates);
            }
            updates += 1;
            let size = cursor.integer(first, 0x1f)? as usize;
            if size > self.announced {
                return Err(DecodeError::SizeUpdateTooLarge { limit: self.announced, met: size });
            }
            if let Some(limit) = self.reduce_to.take_if(|&mut limit| size > limit) {
                return Err(DecodeError::MissingSizeUpdate { limit, met: size });
            }
            self.reduce_to = None;
            self.table.set_max_size(size);
        }
        match self.reduce_to {
            Some(limit) => Err(DecodeError::MissingSizeUpdate { limit, met: self.table.max_size() }),
            None => Ok(()),
        }
    }

    fn insert(&mut self, literal: &Literal<'_>) {
        let value = literal.value.of(&self.scratch);
        match &literal.name {
            Name::Index(index) => match static_table::get(*index) {
                Some((name, _)) => {
                    self.table.insert(name, value);
                }
                None => self.table.insert_named_as(index.wrapping_sub(static_table::LEN + 1), value),
            },
            Name::StringLiteral(text) => {
                self.table.insert(text.of(&self.scratch), value);
            }
        }
    }

    #[cold]
    fn invalid_index(&self, index: u32) -> DecodeError {
        DecodeError::InvalidIndex { index, table_len: (static_table::LEN + self.table.len()) as usize }
    }
}

impl BlockStats {
    /// Counts a field, and checks the size of the list.
    #[inline]
    fn add(&mut self, name: &[u8], value: &[u8], limits: &BlockLimits) -> Result<(), DecodeError> {
        self.fields = self.fields.wrapping_add(1);
        self.list_size =
            self.list_size.saturating_add(name.len()).saturating_add(value.len()).saturating_add(OVERHEAD);
        if self.list_size > limits.max_list_size {
            return Err(list_too_large(limits.max_list_size, self.list_size));
        }
        Ok(())
    }
}

#[cold]
fn list_too_large(limit: usize, met: usize) -> DecodeError {
    DecodeError::ListTooLarge { limit, met }
}

#[inline]
fn is_size_update(first: u8) -> bool {
    first & 0xe0 == 0x20
}

/// Returns the entry with this index in either table (RFC 7541 §2.3.3).
#[inline]
fn lookup(table: &DynamicTable, index: u32) -> Option<(&[u8], &[u8])> {
    match index.checked_sub(static_table::LEN + 1) {
        Some(nth) => table.get(nth),
        None => static_table::get(index),
    }
}

/// A position in a block.
struct Cursor<'b> {
    block: &'b [u8],
    at: usize,
}

impl<'b> Cursor<'b> {
    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let byte = self.block.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn integer(&mut self, first: u8, mask: u8) -> Result<u32, DecodeError> {
        let (value, taken) = integer::decode(first, mask, self.block.get(self.at..).unwrap_or_default())?;
        self.at += taken;
        Ok(value)
    }

    /// Reads a string literal (RFC 7541 §5.2), decoding Huffman code into `scratch` from index `used` on.
    #[inline]
    fn string(
        &mut self,
        scratch: &mut Vec<u8>,
        used: usize,
        limit: usize,
    ) -> Result<StringLiteral<'b>, DecodeError> {
        let first = self.byte().ok_or(DecodeError::Truncated)?;
        let len = self.integer(first, 0x7f)? as usize;
        let start = self.at;
        let bytes = self.block.get(start..).and_then(|rest| rest.get(..len)).ok_or(DecodeError::Truncated)?;
        self.at += len;
        if first & 0x80 != 0 {
            let decoded = huffman::decode(self.block, start, len, limit, scratch, used)?;
            Ok(StringLiteral::Scratch(used..used + decoded))
        } else if len > limit {
            Err(DecodeError::StringTooLong { limit, met: len })
        } else {
            Ok(StringLiteral::Block(bytes))
        }
    }
}

/// A string, by the place of its bytes.
enum StringLiteral<'b> {
    Block(&'b [u8]),
    Scratch(Range<usize>),
}

impl<'b> StringLiteral<'b> {
    #[inline]
    fn of<'a>(&self, scratch: &'a [u8]) -> &'a [u8]
    where
        'b: 'a,
    {
        match self {
            Self::Block(bytes) => bytes,
            Self::Scratch(range) => scratch.get(range.clone()).unwrap_or_default(),
        }
    }

    /// Returns the end of the scratch bytes that it occupies.
    fn used(&self) -> usize {
        match self {
            Self::Block(_) => 0,
            Self::Scratch(range) => range.end,
        }
    }
}

/// The name of a literal.
enum Name<'b> {
    Index(u32),
    StringLiteral(StringLiteral<'b>),
}

/// Whether the receiver and later hops may index a literal (RFC 7541 §6.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum LiteralKind {
    Incremental,
    Without,
    Never,
}

/// A literal field (RFC 7541 §6.2).
struct Literal<'b> {
    kind: LiteralKind,
    name: Name<'b>,
    value: StringLiteral<'b>,
}

impl<'b> Literal<'b> {
    /// Reads the literal that begins with `first`.
    #[inline]
    fn read(
        first: u8,
        cursor: &mut Cursor<'b>,
        scratch: &mut Vec<u8>,
        limits: &BlockLimits,
    ) -> Result<Self, DecodeError> {
        let (kind, mask) = match first >> 4 {
            0b0100.. => (LiteralKind::Incremental, 0x3f),
            0b0010 | 0b0011 => return Err(DecodeError::SizeUpdateLate),
            0b0001 => (LiteralKind::Never, 0x0f),
            0b0000 => (LiteralKind::Without, 0x0f),
        };
        let (name, used) = match cursor.integer(first, mask)? {
            0 => {
                let text = cursor.string(scratch, 0, limits.max_string)?;
                let used = text.used();
                (Name::StringLiteral(text), used)
            }
            index => (Name::Index(index), 0),
        };
        let value = cursor.string(scratch, used, limits.max_string)?;
        Ok(Self { kind, name, value })
    }

    #[inline]
    fn name<'a>(&self, table: &'a DynamicTable, scratch: &'a [u8]) -> Option<&'a [u8]>
    where
        'b: 'a,
    {
        match &self.name {
            Name::Index(index) => lookup(table, *index).map(|(name, _)| name),
            Name::StringLiteral(text) => Some(text.of(scratch)),
        }
    }

    fn name_index(&self) -> u32 {
        match self.name {
            Name::Index(index) => index,
            Name::StringLiteral(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests;
