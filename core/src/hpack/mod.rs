//! HPACK, the header compression of HTTP/2 (RFC 7541).
//!
//! [`Encoder`] turns fields into header blocks, [`Decoder`] turns them back. Each keeps a dynamic table that the
//! other side mirrors, so every block has to be decoded, in order, even if its fields are not needed. Neither checks
//! names and values; the HTTP layer does.
//!
//! ```
//! use halfclose::hpack::{BlockLimits, Decoder, Encoder, Indexing};
//!
//! let mut block = Vec::new();
//! let mut encoder = Encoder::new(4096);
//! encoder.begin(&mut block);
//! encoder.field(b":method", b"POST", Indexing::Incremental, &mut block);
//! encoder.field(b"authorization", b"secret", Indexing::Never, &mut block);
//!
//! let mut decoder = Decoder::new(4096);
//! let limits = BlockLimits { max_string: 16_384, max_list_size: 65_536 };
//! let mut sensitive = Vec::new();
//! decoder.decode(&block, &limits, |field| sensitive.push(field.sensitive))?;
//! assert_eq!(sensitive, [false, true]);
//! # Ok::<(), halfclose::hpack::DecodeError>(())
//! ```

mod decoder;
mod encoder;
mod error;
#[cfg(test)]
mod examples;
mod huffman;
mod huffman_code;
mod index;
mod integer;
mod static_table;
mod table;

pub use decoder::{BlockLimits, BlockStats, Decoder};
pub use encoder::{Encoder, Indexing};
pub use error::DecodeError;

/// The initial size of each table in bytes (RFC 9113 §6.5.2, SETTINGS_HEADER_TABLE_SIZE).
pub const DEFAULT_TABLE_SIZE: usize = 4096;

/// A field as the decoder passes it to the sink; its bytes are valid for that call only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, as received: the decoder does not check case, characters or length.
    pub name: &'a [u8],
    /// The value, as received.
    pub value: &'a [u8],
    /// Whether it is a literal that no hop may index (RFC 7541 §6.2.3).
    pub sensitive: bool,
}
