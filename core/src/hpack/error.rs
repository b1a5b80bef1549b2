//! What can be wrong with a header block.

/// Why a header block could not be decoded.
///
/// Every variant ends the connection: after it the decoder's table may differ from the peer's, and nothing that
/// the decoder says about later blocks can be trusted. RFC 9113 §4.3: a decoding error is a connection error of type
/// COMPRESSION_ERROR; [`is_limit`](Self::is_limit) tells those that are a matter of policy instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The block ends within an integer, or before the last byte of a string (RFC 7541 §5).
    #[error("header block ends within a field")]
    Truncated,
    /// An integer is over 2^32 - 1 (RFC 7541 §5.1 leaves the limit to the implementation).
    #[error("integer {value} is over 4294967295")]
    IntegerOverflow {
        /// The integer.
        value: u64,
    },
    /// An integer goes on after its fifth continuation byte (RFC 7541 §5.1 leaves the limit to the implementation).
    #[error("integer has more than 5 continuation bytes")]
    IntegerTooLong,
    /// An index is 0 or over the number of entries in both tables (RFC 7541 §2.3.3 and §6.1).
    #[error("index {index} in tables of {table_len} entries")]
    InvalidIndex {
        /// The index.
        index: u32,
        /// Entries in the static and the dynamic table together.
        table_len: usize,
    },
    /// A Huffman-coded string contains the EOS symbol (RFC 7541 §5.2).
    #[error("Huffman string contains EOS")]
    HuffmanEos,
    /// A Huffman-coded string ends with more than 7 bits of padding, or with bits that are not the start of EOS
    /// (RFC 7541 §5.2).
    #[error("Huffman string is badly padded")]
    HuffmanPadding,
    /// A name or a value has more bytes than [`BlockLimits::max_string`](super::BlockLimits::max_string).
    #[error("string of at least {met} bytes is over the limit of {limit}")]
    StringTooLong {
        /// The limit in bytes.
        limit: usize,
        /// Bytes met: all of a plain string's, those decoded so far of a Huffman-coded one's.
        met: usize,
    },
    /// The fields so far take more than [`BlockLimits::max_list_size`](super::BlockLimits::max_list_size).
    #[error("header list of at least {met} bytes is over the limit of {limit}")]
    ListTooLarge {
        /// The limit in bytes, each field counting 32 more than its name and value.
        limit: usize,
        /// The list's size up to and with the field that went over the limit.
        met: usize,
    },
    /// A dynamic table size update is over the size that we announced (RFC 7541 §6.3).
    #[error("table size update to {met} is over the announced {limit}")]
    SizeUpdateTooLarge {
        /// The size that we announced.
        limit: usize,
        /// The size in the update.
        met: usize,
    },
    /// A dynamic table size update follows a field (RFC 7541 §4.2).
    #[error("table size update after a field")]
    SizeUpdateLate,
    /// More than two dynamic table size updates begin one block (RFC 7541 §4.2: two always do).
    #[error("more than two table size updates in one header block")]
    TooManySizeUpdates,
    /// We reduced the size below the table's, the peer has acknowledged it, and the next block does not begin with a
    /// size update to at most that size (RFC 7541 §4.2).
    #[error("table of at most {met} bytes not reduced to the acknowledged {limit}")]
    MissingSizeUpdate {
        /// The smallest size acknowledged since the block before.
        limit: usize,
        /// The table's maximum size as the peer has left it.
        met: usize,
    },
}

impl DecodeError {
    /// True for a block that may be well-formed but is over our limit on header lists or on one string of them, which is
    /// answered by ENHANCE_YOUR_CALM (RFC 9113 §10.5.1); false for all that is answered by COMPRESSION_ERROR.
    #[must_use]
    pub const fn is_limit(&self) -> bool {
        matches!(self, Self::StringTooLong { .. } | Self::ListTooLarge { .. })
    }
}
