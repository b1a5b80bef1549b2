//! Strings in the Huffman code (RFC 7541 §5.2).

use super::DecodeError;
use super::huffman_code::{CODES, LONG, PAIRS, PEEK, Pair, SORTED};

/// Octets that [`decode`] stores at once: four pairs.
const STORE: usize = 8;

/// Octets that `text` takes in the code, padding included.
#[inline]
pub(super) fn encoded_len(text: &[u8]) -> usize {
    let bits: usize = text.iter().map(|&octet| usize::from(code(octet).1)).sum();
    bits.div_ceil(8)
}

/// Appends `text` in the code, padded with ones.
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    let mut queue = 0_u64;
    let mut queued = 0;
    for &octet in text {
        let (bits, len) = code(octet);
        // At most 31 bits wait, and a code has at most 30.
        queue = queue << len | u64::from(bits);
        queued += u32::from(len);
        if queued >= 32 {
            queued -= 32;
            out.extend_from_slice(&((queue >> queued) as u32).to_be_bytes());
        }
    }
    let padded = (queue << 32 | 0xffff_ffff) >> queued;
    let octets = (padded as u32).to_be_bytes();
    out.extend_from_slice(octets.get(..queued.div_ceil(8) as usize).unwrap_or_default());
}

#[inline]
fn code(octet: u8) -> (u32, u8) {
    CODES.get(usize::from(octet)).map_or((0, 0), |code| (code.bits, code.len))
}

#[inline]
fn pair(window: u64) -> Pair {
    PAIRS.get((window >> (64 - PEEK)) as usize).copied().unwrap_or(Pair::NONE)
}

/// Decodes the `len` octets of `block` from `start` into `out` from `at`, where it grows `out` as needed but never by
/// more than the string can fill; gives the number of octets decoded, at most `limit`.
///
/// The string lies whole within `block`; what surrounds it there lets the loads be wide.
pub(super) fn decode(
    block: &[u8],
    start: usize,
    len: usize,
    limit: usize,
    out: &mut Vec<u8>,
    at: usize,
) -> Result<usize, DecodeError> {
    // The shortest code has 5 bits.
    let most = (len.saturating_mul(8) / 5).min(limit);
    let room = at.saturating_add(most).saturating_add(2 * STORE);
    if out.len() < room {
        out.resize(room, 0);
    }
    let out = out.get_mut(at..).unwrap_or_default();
    let mut reader =
        Reader { block, bit: start.saturating_mul(8), end: start.saturating_add(len).saturating_mul(8) };
    let mut filled = 0;
    while reader.bit < reader.end {
        let (octets, width, last) = reader.four_pairs();
        let Some(place) = out.get_mut(filled..).and_then(|rest| rest.first_chunk_mut::<STORE>()) else {
            return Err(too_long(limit, filled));
        };
        *place = octets.to_le_bytes();
        filled += width as usize / 8;
        if last.bits() == 0 {
            if reader.at_padding()? {
                reader.bit = reader.end;
            } else if let Some(place) = out.get_mut(filled) {
                *place = reader.long()?;
                filled += 1;
            }
        }
        if filled > limit {
            return Err(too_long(limit, filled));
        }
    }
    // A code that runs past the string's end took bits of padding that are not there.
    if reader.bit > reader.end { Err(DecodeError::HuffmanPadding) } else { Ok(filled) }
}

#[cold]
fn too_long(limit: usize, met: usize) -> DecodeError {
    DecodeError::StringTooLong { limit, met }
}

struct Reader<'a> {
    block: &'a [u8],
    /// The next bit, counted from the block's start.
    bit: usize,
    /// The string's end likewise.
    end: usize,
}

impl Reader<'_> {
    /// The next bits, at least 57 of them, the first highest; past the string's end there are ones.
    #[inline]
    fn window(&self) -> u64 {
        let window = load(self.block, self.bit / 8) << (self.bit % 8);
        let left = self.end.saturating_sub(self.bit);
        if left < 64 { window | u64::MAX >> left } else { window }
    }

    /// Decodes up to eight symbols: them, the first lowest, eight times their number, and the last pair, which is
    /// empty if a code longer than [`PEEK`] or the padding stands next. May run past the end.
    #[inline]
    fn four_pairs(&mut self) -> (u64, u32, Pair) {
        let mut window = self.window();
        let first = pair(window);
        window <<= first.bits();
        let second = pair(window);
        window <<= second.bits();
        let third = pair(window);
        window <<= third.bits();
        let fourth = pair(window);
        let mut width = first.width();
        let mut symbols = first.symbols() | second.symbols() << width;
        width += second.width();
        symbols |= third.symbols() << width;
        width += third.width();
        symbols |= fourth.symbols() << width;
        width += fourth.width();
        self.bit += (first.bits() + second.bits() + third.bits() + fourth.bits()) as usize;
        (symbols, width, fourth)
    }

    /// Whether only padding is left: at most 7 bits, all ones.
    #[inline]
    fn at_padding(&self) -> Result<bool, DecodeError> {
        match self.end.checked_sub(self.bit) {
            None => Err(DecodeError::HuffmanPadding),
            Some(0) => Ok(true),
            Some(1..=7) => Ok(self.window() == u64::MAX),
            Some(_) => Ok(false),
        }
    }

    /// Decodes a symbol whose code is longer than [`PEEK`].
    fn long(&mut self) -> Result<u8, DecodeError> {
        let left = self.end.saturating_sub(self.bit);
        let window = self.window() >> 32;
        let row = LONG.iter().find(|row| window < row.end);
        let Some(row) = row else {
            // 30 ones are EOS; fewer are padding, and `at_padding` has refused it.
            return Err(if left >= 30 { DecodeError::HuffmanEos } else { DecodeError::HuffmanPadding });
        };
        if usize::from(row.len) > left {
            return Err(DecodeError::HuffmanPadding);
        }
        self.bit += usize::from(row.len);
        let nth = (window >> (32 - row.len)).saturating_sub(u64::from(row.first));
        let symbol = SORTED.get(usize::from(row.rank).saturating_add(nth as usize));
        symbol.copied().ok_or(DecodeError::HuffmanEos)
    }
}

/// The eight octets of `block` from `at`, zeros after its end.
#[inline]
fn load(block: &[u8], at: usize) -> u64 {
    match block.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(&octets) => u64::from_be_bytes(octets),
        None => load_end(block, at),
    }
}

fn load_end(block: &[u8], at: usize) -> u64 {
    let Some(rest) = block.get(at..) else { return 0 };
    let missing = 8_usize.saturating_sub(rest.len()) as u32;
    match block.last_chunk() {
        Some(&octets) => u64::from_be_bytes(octets).unbounded_shl(8 * missing),
        None => {
            rest.iter().fold(0, |window, &octet| window << 8 | u64::from(octet)).unbounded_shl(8 * missing)
        }
    }
}

#[cfg(test)]
mod tests;
