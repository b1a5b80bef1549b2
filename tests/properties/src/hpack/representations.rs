//! A third reader of RFC 7541's syntax alone: where each representation of a block ends.
//!
//! The decoders that ours is compared with panic on blocks that end within a representation (RUSTSEC-2023-0085 for
//! crate `hpack`), so they get only what this walk has found complete.

/// One representation of a block (RFC 7541 §6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Indexed,
    Literal,
    SizeUpdate(u64),
}

/// The result of a walk over a block.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) kinds: Vec<Kind>,
    /// The most bytes after the prefix of one integer.
    pub(super) longest_integer: usize,
}

/// Walks over a block. Returns `None` if it ends within a representation, or an integer needs more than nine bytes.
pub(super) fn walk(block: &[u8]) -> Option<Walk> {
    let mut walk = Walk::default();
    let mut at = 0;
    while let Some(&first) = block.get(at) {
        at = walk.representation(block, at, first)?;
    }
    Some(walk)
}

impl Walk {
    fn representation(&mut self, block: &[u8], at: usize, first: u8) -> Option<usize> {
        let (kind, bits) = match first {
            0x80.. => (Kind::Indexed, 7),
            0x40.. => (Kind::Literal, 6),
            0x20.. => (Kind::SizeUpdate(0), 5),
            _ => (Kind::Literal, 4),
        };
        let (value, mut at) = self.integer(block, at, bits)?;
        self.kinds.push(if bits == 5 { Kind::SizeUpdate(value) } else { kind });
        if kind == Kind::Literal {
            for _ in 0..if value == 0 { 2 } else { 1 } {
                at = self.string(block, at)?;
            }
        }
        Some(at)
    }

    /// Reads an integer (RFC 7541 §5.1).
    fn integer(&mut self, block: &[u8], at: usize, bits: u32) -> Option<(u64, usize)> {
        let mask = (1_u64 << bits) - 1;
        let mut value = u64::from(*block.get(at)?) & mask;
        if value < mask {
            return Some((value, at + 1));
        }
        for more in 0..9 {
            let byte = *block.get(at + 1 + more)?;
            value += u64::from(byte & 0x7f) << (7 * more);
            if byte & 0x80 == 0 {
                self.longest_integer = self.longest_integer.max(more + 1);
                return Some((value, at + 2 + more));
            }
        }
        None
    }

    /// Reads a string (RFC 7541 §5.2).
    fn string(&mut self, block: &[u8], at: usize) -> Option<usize> {
        let (length, at) = self.integer(block, at, 7)?;
        let end = at.checked_add(usize::try_from(length).ok()?)?;
        block.get(at..end).map(|_| end)
    }
}
