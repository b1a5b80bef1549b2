//! The errors of a header block.

/// Why a header block could not be decoded.
///
/// Every variant ends the connection: after it the decoder's table may differ from the peer's, so later blocks cannot
/// be decoded reliably. RFC 9113 §4.3: a decoding error is a connection error of type COMPRESSION_ERROR.
/// [`is_limit`](Self::is_limit) returns whether a variant is a matter of policy instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The block ends within an integer or a string (RFC 7541 §5).
    #[error("header block ends within a field")]
    Truncated,
    /// An integer exceeds 2^32 - 1 (RFC 7541 §5.1 leaves the limit to the implementation).
    #[error("integer {value} is over 4294967295")]
    IntegerOverflow {
        /// The integer.
        value: u64,
    },
    /// An integer continues after its fifth continuation byte (RFC 7541 §5.1 leaves the limit to the implementation).
    #[error("integer has more than 5 continuation bytes")]
    IntegerTooLong,
    /// An index is 0 or exceeds the number of entries in both tables (RFC 7541 §2.3.3 and §6.1).
    #[error("index {index} in tables of {table_len} entries")]
    InvalidIndex {
        /// The index.
        index: u32,
        /// The number of entries in the static and the dynamic table together.
        table_len: usize,
    },
    /// A Huffman-coded string contains the EOS symbol (RFC 7541 §5.2).
    #[error("Huffman string contains EOS")]
    HuffmanEos,
    /// A Huffman-coded string ends with more than 7 bits of padding, or with padding that is not a prefix of EOS (RFC
    /// 7541 §5.2).
    #[error("Huffman string is badly padded")]
    HuffmanPadding,
    /// A name or a value is longer than [`BlockLimits::max_string`](super::BlockLimits::max_string).
    #[error("string of at least {met} bytes is over the limit of {limit}")]
    StringTooLong {
        /// The limit, in bytes.
        limit: usize,
        /// The length of a plain string, or the bytes decoded so far of a Huffman-coded one.
        met: usize,
    },
    /// The header list exceeds [`BlockLimits::max_list_size`](super::BlockLimits::max_list_size).
    #[error("header list of at least {met} bytes is over the limit of {limit}")]
    ListTooLarge {
        /// The limit in bytes; each field counts 32 besides its name and value.
        limit: usize,
        /// The size of the list up to and including the field that exceeded the limit.
        met: usize,
    },
    /// A dynamic table size update exceeds the size that we announced (RFC 7541 §6.3).
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
    /// One block begins with more than two dynamic table size updates (RFC 7541 §4.2: two are always enough).
    #[error("more than two table size updates in one header block")]
    TooManySizeUpdates,
    /// The peer acknowledged a smaller table size, and the next block does not begin with a size update to at most
    /// that size (RFC 7541 §4.2).
    #[error("table of at most {met} bytes not reduced to the acknowledged {limit}")]
    MissingSizeUpdate {
        /// The smallest size acknowledged since the previous block.
        limit: usize,
        /// The table's maximum size that the peer has left unchanged.
        met: usize,
    },
}

impl DecodeError {
    /// Returns whether the block may be well-formed, but exceeds our limit on header lists or strings. The answer is
    /// then ENHANCE_YOUR_CALM (RFC 9113 §10.5.1); for all other errors it is COMPRESSION_ERROR.
    #[must_use]
    pub const fn is_limit(&self) -> bool {
        matches!(self, Self::StringTooLong { .. } | Self::ListTooLarge { .. })
    }
}
