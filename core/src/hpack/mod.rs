//! HPACK, the header compression of HTTP/2 (RFC 7541).
//!
//! [`Encoder`] turns fields into header blocks, [`Decoder`] turns them back. Each keeps a dynamic table that the other
//! side mirrors, so every block must be decoded, in order, even one whose fields nobody wants. Neither looks at what
//! names and values say: that is the HTTP layer's.
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

/// Size in bytes that each table has until SETTINGS say otherwise (RFC 9113 §6.5.2, SETTINGS_HEADER_TABLE_SIZE).
pub const DEFAULT_TABLE_SIZE: usize = 4096;

/// A field as the decoder passes it on; its bytes last as long as the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, as sent: nothing here checks case, characters or that there are any.
    pub name: &'a [u8],
    /// The value, as sent.
    pub value: &'a [u8],
    /// True for a literal that must never be indexed, here or on any hop after (RFC 7541 §6.2.3).
    pub sensitive: bool,
}
