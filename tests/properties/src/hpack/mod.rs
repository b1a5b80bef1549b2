//! HPACK: header blocks as hostile peers and honest encoders write them.

mod decode;
mod differential;
mod representations;
mod round_trip;

pub use decode::hpack_decode;
pub use differential::hpack_differential;
pub use round_trip::hpack_round_trip;

use halfclose::hpack::{BlockLimits, BlockStats, DecodeError, Decoder};

/// A field as the tests keep it: name, value, and whether it must never be indexed.
type Kept = (Vec<u8>, Vec<u8>, bool);

/// Decodes a block, keeping its fields.
fn collect(
    decoder: &mut Decoder,
    block: &[u8],
    limits: &BlockLimits,
) -> (Vec<Kept>, Result<BlockStats, DecodeError>) {
    let mut fields = Vec::new();
    let result = decoder.decode(block, limits, |field| {
        fields.push((field.name.to_vec(), field.value.to_vec(), field.sensitive));
    });
    (fields, result)
}

/// Returns the size of a list as RFC 9113 §6.5.2 counts it.
fn list_size(fields: &[Kept]) -> usize {
    fields.iter().map(|(name, value, _)| name.len() + value.len() + 32).sum()
}

/// Cuts `data` into pieces: a byte of length, then that many bytes; 255 means all that is left.
fn pieces(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (&length, rest) = data.split_first()?;
        let length = if length == 255 { rest.len() } else { rest.len().min(usize::from(length)) };
        let (piece, rest) = rest.split_at(length);
        data = rest;
        Some(piece)
    })
}
