//! The Huffman code of RFC 7541 appendix B, built at compile time from the lengths of its codes.
//!
//! The code is canonical: codes rise with their length and, within a length, with the symbol. So the 257 lengths are
//! the whole of it.
// Everything here but the constants runs at compile time, where an index out of range is a build error.
#![allow(clippy::indexing_slicing)]

/// The symbol that ends a string; never sent whole, its first bits are the padding.
const EOS: usize = 256;

/// Length in bits of each byte's code and, last, of EOS (RFC 7541 appendix B).
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// Bits by which [`PAIRS`] is indexed.
pub(super) const PEEK: u32 = 12;

/// Codes longer than [`PEEK`] bits, by rising length.
pub(super) const LONG_ROWS: usize = 14;

/// All symbols but EOS by rising code; `CODES` and `LONG` follow from it.
pub(super) static SORTED: [u8; 256] = sorted();

/// HuffmanCode of each byte, right-aligned, and its length in bits.
pub(super) static CODES: [HuffmanCode; 256] = codes();

/// For each run of [`PEEK`] bits the one or two symbols whose codes lie whole at its start.
pub(super) static PAIRS: [SymbolPair; 1 << PEEK] = pairs();

/// The codes that [`PAIRS`] is too short for.
pub(super) static LONG: [LongRow; LONG_ROWS] = long_rows();

/// A code: its bits, right-aligned, and how many there are.
#[derive(Clone, Copy)]
pub(super) struct HuffmanCode {
    pub(super) bits: u32,
    pub(super) len: u8,
}

/// What a run of [`PEEK`] bits begins with, packed: from the lowest byte, the bits that the symbols' codes take, eight
/// times the number of symbols, the first symbol, the second. All zero where the first code is longer than the run.
///
/// The lower half of the sum of a few is the same for all of them.
#[derive(Clone, Copy)]
pub(super) struct SymbolPair(u32);

impl SymbolPair {
    pub(super) const NONE: Self = Self(0);

    const fn new(symbols: u32, count: u32, bits: u32) -> Self {
        Self(symbols << 16 | (count * 8) << 8 | bits)
    }

    /// Bits that the codes take.
    #[inline]
    pub(super) const fn bits(self) -> u32 {
        self.0 & 0xff
    }

    /// Returns the number of symbols.
    #[inline]
    pub(super) const fn count(self) -> usize {
        (self.0 >> 11 & 0x1f) as usize
    }

    /// Shifts the codes, which have fewer than 64 bits, out of `window`.
    #[inline]
    pub(super) const fn shift(self, window: u64) -> u64 {
        window.wrapping_shl(self.0)
    }

    /// Bits and number of both; the symbols are lost.
    #[inline]
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// Returns the symbols, the first in the lowest byte; zero where there is none.
    #[inline]
    pub(super) const fn symbols(self) -> u64 {
        (self.0 >> 16) as u64
    }

    /// Returns the symbols of `self`, fewer than eight, followed by those of `other`.
    #[inline]
    pub(super) const fn behind(self, other: Self) -> u64 {
        other.symbols().wrapping_shl(self.0 >> 8)
    }
}

/// All codes of one length over [`PEEK`].
#[derive(Clone, Copy)]
pub(super) struct LongRow {
    /// First 32 bits that are past this length's codes, the codes being left-aligned.
    pub(super) end: u64,
    /// The first code, right-aligned.
    pub(super) first: u32,
    /// The position of the first code's symbol in [`SORTED`].
    pub(super) rank: u16,
    /// Length in bits.
    pub(super) len: u8,
}

const fn sorted() -> [u8; 256] {
    let mut sorted = [0; 256];
    let mut rank = 0;
    let mut len = 1;
    while len <= 30 {
        let mut symbol = 0;
        while symbol < EOS {
            if LENGTHS[symbol] == len {
                sorted[rank] = symbol as u8;
                rank += 1;
            }
            symbol += 1;
        }
        len += 1;
    }
    assert!(rank == 256);
    sorted
}

const fn codes() -> [HuffmanCode; 256] {
    let sorted = sorted();
    let mut codes = [HuffmanCode { bits: 0, len: 0 }; 256];
    let mut next = 0;
    let mut len = 0;
    let mut rank = 0;
    while rank < 256 {
        let symbol = sorted[rank] as usize;
        next <<= LENGTHS[symbol] - len;
        len = LENGTHS[symbol];
        codes[symbol] = HuffmanCode { bits: next, len };
        next += 1;
        rank += 1;
    }
    // EOS is the last code of all, and all ones.
    assert!(len == LENGTHS[EOS] && next == (1 << len) - 1);
    codes
}

/// Builds [`PAIRS`]: for each run of bits the first symbol and its length, zero if that exceeds [`PEEK`].
const fn singles() -> [(u8, u32); 1 << PEEK] {
    let codes = codes();
    let mut singles = [(0, 0); 1 << PEEK];
    let mut symbol = 0;
    while symbol < 256 {
        let code = codes[symbol];
        let len = code.len as u32;
        if len <= PEEK {
            let mut run = code.bits << (PEEK - len);
            let end = (code.bits + 1) << (PEEK - len);
            while run < end {
                singles[run as usize] = (symbol as u8, len);
                run += 1;
            }
        }
        symbol += 1;
    }
    singles
}

const fn pairs() -> [SymbolPair; 1 << PEEK] {
    let singles = singles();
    let mut pairs = [SymbolPair::NONE; 1 << PEEK];
    let mut run = 0;
    while run < singles.len() {
        let (first, len) = singles[run];
        if len > 0 {
            let (second, more) = singles[(run << len) & ((1 << PEEK) - 1)];
            // Zeros stand behind the run, so there is a second code; one that takes some of them is too long here.
            pairs[run] = if len + more <= PEEK {
                SymbolPair::new(first as u32 | (second as u32) << 8, 2, len + more)
            } else {
                SymbolPair::new(first as u32, 1, len)
            };
        }
        run += 1;
    }
    pairs
}

const fn long_rows() -> [LongRow; LONG_ROWS] {
    let sorted = sorted();
    let codes = codes();
    let mut rows = [LongRow { end: 0, first: 0, rank: 0, len: 0 }; LONG_ROWS];
    let mut row = 0;
    let mut rank = 0;
    while rank < 256 {
        let code = codes[sorted[rank] as usize];
        if code.len as u32 > PEEK {
            if rows[row].len != 0 && rows[row].len != code.len {
                row += 1;
            }
            if rows[row].len == 0 {
                rows[row] = LongRow { end: 0, first: code.bits, rank: rank as u16, len: code.len };
            }
            rows[row].end = (code.bits as u64 + 1) << (32 - code.len);
        }
        rank += 1;
    }
    assert!(row == LONG_ROWS - 1);
    rows
}

#[cfg(test)]
mod tests {
    //! The builders run here as they ran in the compiler, and each table is compared with what it is by definition.

    use super::*;

    /// Returns the canonical code: the next number of each length, in the order of lengths and symbols.
    fn canonical() -> Vec<(u8, u32, u8)> {
        let mut symbols: Vec<u8> = (0..=255).collect();
        symbols.sort_by_key(|&symbol| LENGTHS[usize::from(symbol)]);
        let (mut next, mut len) = (0_u32, 0);
        let mut codes = Vec::new();
        for symbol in symbols {
            next <<= LENGTHS[usize::from(symbol)] - len;
            len = LENGTHS[usize::from(symbol)];
            codes.push((symbol, next, len));
            next += 1;
        }
        codes
    }

    #[test]
    fn symbols_rise_with_their_codes() {
        assert_eq!(sorted().to_vec(), canonical().iter().map(|code| code.0).collect::<Vec<_>>());
        assert_eq!(sorted()[..], SORTED[..]);
    }

    #[test]
    fn codes_are_canonical() {
        let codes = codes();
        for (symbol, bits, len) in canonical() {
            let code = codes[usize::from(symbol)];
            assert_eq!((code.bits, code.len), (bits, len), "{symbol}");
        }
    }

    /// Returns the symbol whose code stands whole at the start of `run`, from its bit `from` on, and where the code ends.
    fn whole(run: u32, from: u32) -> Option<(u8, u32)> {
        canonical().into_iter().find_map(|(symbol, bits, len)| {
            let end = from + u32::from(len);
            (end <= PEEK && run >> (PEEK - end) & ((1 << len) - 1) == bits).then_some((symbol, end))
        })
    }

    #[test]
    fn pairs_are_the_whole_codes_at_the_start_of_a_run() {
        for (run, pair) in (0..).zip(pairs()) {
            let first = whole(run, 0);
            let second = first.and_then(|(_, end)| whole(run, end));
            let expected = match (first, second) {
                (None, _) => (0, 0, 0),
                (Some((symbol, end)), None) => (1, end, u64::from(symbol)),
                (Some((symbol, _)), Some((other, end))) => {
                    (2, end, u64::from(symbol) | u64::from(other) << 8)
                }
            };
            assert_eq!((pair.count(), pair.bits(), pair.symbols()), expected, "{run:012b}");
        }
    }

    #[test]
    fn rows_lead_to_every_long_code() {
        let rows = long_rows();
        for (rank, (symbol, bits, len)) in canonical().into_iter().enumerate() {
            let start = u64::from(bits) << (32 - len);
            let row = rows.iter().find(|row| start < row.end);
            if u32::from(len) <= PEEK {
                continue;
            }
            let row = row.unwrap();
            assert_eq!(
                (row.len, usize::from(row.rank) + (bits - row.first) as usize),
                (len, rank),
                "{symbol}"
            );
        }
    }
}
