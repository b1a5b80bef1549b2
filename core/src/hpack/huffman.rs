//! Huffman-coded strings (RFC 7541 §5.2).

use super::DecodeError;
use super::huffman_code::{CODES, LONG, PAIRS, PEEK, SORTED, SymbolPair};

/// Bytes that [`decode`] stores at once: four pairs of symbols.
const STORE: usize = 8;

/// Returns the length of `text` in the Huffman code, padding included.
#[inline]
pub(super) fn encoded_len(text: &[u8]) -> usize {
    let bits: usize = text.iter().map(|&byte| usize::from(code(byte).1)).sum();
    bits.div_ceil(8)
}

/// Appends `text` in the Huffman code, padded with ones.
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    let mut queue = 0_u64;
    let mut queued = 0;
    for &byte in text {
        let (bits, len) = code(byte);
        // At most 31 bits are queued, and a code has at most 30.
        queue = queue << len | u64::from(bits);
        queued += u32::from(len);
        if queued >= 32 {
            queued -= 32;
            out.extend_from_slice(&((queue >> queued) as u32).to_be_bytes());
        }
    }
    let padded = (queue << 32 | 0xffff_ffff) >> queued;
    let bytes = (padded as u32).to_be_bytes();
    out.extend_from_slice(bytes.get(..queued.div_ceil(8) as usize).unwrap_or_default());
}

#[inline]
fn code(byte: u8) -> (u32, u8) {
    CODES.get(usize::from(byte)).map_or((0, 0), |code| (code.bits, code.len))
}

#[inline]
fn pair(window: u64) -> SymbolPair {
    PAIRS.get((window >> (64 - PEEK)) as usize).copied().unwrap_or(SymbolPair::NONE)
}

/// Decodes the `len` bytes of `block` from `start` on into `out`, from index `at` on. Returns the number of bytes
/// decoded, at most `limit`. `out` grows as needed, but never beyond what the string can fill.
///
/// The string lies completely within `block`; passing the whole block allows wide loads at its ends.
#[inline(never)]
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
    let mut bits = Bits::new(block, start, len);
    let mut filled = 0;
    while bits.left > 0 {
        bits.refill();
        let (bytes, count, ended) = bits.four_pairs();
        let Some(place) = out.get_mut(filled..).and_then(|rest| rest.first_chunk_mut::<STORE>()) else {
            return Err(too_long(limit, filled));
        };
        *place = bytes.to_le_bytes();
        filled += count;
        if ended {
            bits.refill();
            if bits.at_padding() {
                bits.left = 0;
            } else if let Some(place) = out.get_mut(filled) {
                *place = bits.long()?;
                filled += 1;
            }
        }
        if filled > limit {
            return Err(too_long(limit, filled));
        }
    }
    // A code that extends past the end of the string used padding bits that do not exist.
    if bits.left < 0 { Err(DecodeError::HuffmanPadding) } else { Ok(filled) }
}

#[cold]
fn too_long(limit: usize, met: usize) -> DecodeError {
    DecodeError::StringTooLong { limit, met }
}

/// The bits of a string that is being decoded.
struct Bits<'a> {
    block: &'a [u8],
    /// The index in `block` of the next byte to load.
    next: usize,
    /// The index in `block` of the string's end.
    end: usize,
    /// The next bits, first bit highest; ones after the end of the string.
    window: u64,
    /// How many bits of the window are valid.
    ready: u32,
    /// Bits of the string that are not decoded yet; negative once a code has extended past the end.
    left: isize,
}

impl<'a> Bits<'a> {
    fn new(block: &'a [u8], start: usize, len: usize) -> Self {
        let left = isize::try_from(len.saturating_mul(8)).unwrap_or(isize::MAX);
        Self { block, next: start, end: start.saturating_add(len), window: 0, ready: 0, left }
    }

    /// Fills the window to at least 56 valid bits.
    #[inline]
    fn refill(&mut self) {
        // The address of the load does not depend on the last decoded symbol, so the load need not wait for it.
        let ahead = self.end.saturating_sub(self.next);
        let mut bytes = load(self.block, self.next);
        if ahead < 8 {
            bytes |= u64::MAX >> (8 * ahead);
        }
        self.window |= bytes >> self.ready;
        self.next += (63 - self.ready) as usize / 8;
        self.ready |= 56;
    }

    #[inline]
    fn skip(&mut self, bits: u32) {
        self.window <<= bits;
        self.ready -= bits;
        self.left -= bits as isize;
    }

    /// Decodes up to eight symbols. Returns them, the first one lowest, their number, and whether a code longer than
    /// [`PEEK`] or the padding is next. May read past the end.
    #[inline]
    fn four_pairs(&mut self) -> (u64, usize, bool) {
        let mut window = self.window;
        let first = pair(window);
        window = first.shift(window);
        let second = pair(window);
        window = second.shift(window);
        let third = pair(window);
        window = third.shift(window);
        let fourth = pair(window);
        self.window = fourth.shift(window);
        let two = first.and(second);
        let three = two.and(third);
        let four = three.and(fourth);
        self.ready -= four.bits();
        self.left -= four.bits() as isize;
        let symbols = first.symbols() | first.behind(second) | two.behind(third) | three.behind(fourth);
        (symbols, four.count(), fourth.bits() == 0)
    }

    /// Returns whether only padding is left, given that the next [`PEEK`] bits do not begin with a complete code: at
    /// most 7 bits. They are all ones, because such a sequence begins with ten ones.
    #[inline]
    fn at_padding(&self) -> bool {
        (0..8).contains(&self.left)
    }

    /// Decodes a symbol whose code is longer than [`PEEK`] bits.
    fn long(&mut self) -> Result<u8, DecodeError> {
        let window = self.window >> 32;
        let Some(row) = LONG.iter().find(|row| window < row.end) else {
            // 30 ones are EOS; fewer are padding that is too long.
            return Err(if self.left >= 30 { DecodeError::HuffmanEos } else { DecodeError::HuffmanPadding });
        };
        let nth = (window >> (32 - row.len)).saturating_sub(u64::from(row.first));
        self.skip(u32::from(row.len));
        let symbol = SORTED.get(usize::from(row.rank).saturating_add(nth as usize));
        symbol.copied().ok_or(DecodeError::HuffmanEos)
    }
}

/// Returns the eight bytes of `block` from `at` on, with zeros after its end.
#[inline]
fn load(block: &[u8], at: usize) -> u64 {
    match block.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(&bytes) => u64::from_be_bytes(bytes),
        None => load_end(block, at),
    }
}

fn load_end(block: &[u8], at: usize) -> u64 {
    let Some(rest) = block.get(at..) else { return 0 };
    let missing = 8_usize.saturating_sub(rest.len()) as u32;
    match block.last_chunk() {
        Some(&bytes) => u64::from_be_bytes(bytes).unbounded_shl(8 * missing),
        None => rest.iter().fold(0, |window, &byte| window << 8 | u64::from(byte)).unbounded_shl(8 * missing),
    }
}

#[cfg(test)]
mod tests;
