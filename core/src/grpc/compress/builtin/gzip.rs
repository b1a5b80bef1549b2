//! The members of a gzip file (RFC 1952 §2.2), a piece of input at a time.

use flate2::{Crc, Decompress};

use super::{Format, Ran, inflate};
use crate::grpc::compress::DecompressError;

/// Flags of a member's header (RFC 1952 §2.3.1).
const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;
/// RFC 1952 §2.3.1.2: a decompressor must give an error where one of these is set.
const RESERVED: u8 = 0xe0;

/// Where in a member the next byte stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// The ten bytes that every member begins with.
    Start,
    ExtraLength,
    Extra(u16),
    Name,
    Comment,
    HeaderCrc,
    Body,
    Trailer,
}

/// Any number of members behind each other; what follows the last one is an error.
pub(super) struct Members {
    part: Part,
    /// Bytes of a field that is not complete yet, and how many.
    field: [u8; 10],
    filled: usize,
    flags: u8,
    /// Of the header, then of what comes out.
    crc: Crc,
    state: Decompress,
    /// Whether a member has ended and no other one begun.
    complete: bool,
}

impl Members {
    pub(super) fn new() -> Self {
        Self {
            part: Part::Start,
            field: [0; 10],
            filled: 0,
            flags: 0,
            crc: Crc::new(),
            state: Decompress::new(false),
            complete: false,
        }
    }

    /// Collects a field of `N` bytes. Returns it once it is complete.
    fn collect<const N: usize>(&mut self, byte: u8) -> Option<[u8; N]> {
        if let Some(place) = self.field.get_mut(self.filled) {
            *place = byte;
        }
        self.filled = self.filled.saturating_add(1);
        if self.filled < N {
            return None;
        }
        self.filled = 0;
        self.field.first_chunk::<N>().copied()
    }

    /// Returns the first part from `after` on that the flags say is there.
    const fn next_part(&self, after: Part) -> Part {
        match after {
            Part::Start if self.flags & FEXTRA != 0 => Part::ExtraLength,
            Part::Start | Part::Extra(_) | Part::ExtraLength if self.flags & FNAME != 0 => Part::Name,
            Part::Start | Part::Extra(_) | Part::ExtraLength | Part::Name if self.flags & FCOMMENT != 0 => {
                Part::Comment
            }
            Part::HeaderCrc => Part::Body,
            _ if self.flags & FHCRC != 0 => Part::HeaderCrc,
            _ => Part::Body,
        }
    }

    fn leave(&mut self, part: Part) {
        self.part = self.next_part(part);
        if self.part == Part::Body {
            self.crc.reset();
        }
    }

    /// Takes one byte of a header.
    fn header_byte(&mut self, byte: u8) -> Result<(), DecompressError> {
        self.complete = false;
        let part = self.part;
        // RFC 1952 §2.3.1: the header's check covers all that stands before it.
        let check = self.crc.sum();
        if part != Part::HeaderCrc {
            self.crc.update(&[byte]);
        }
        match part {
            Part::Start => {
                let Some([first, second, method, flags, ..]) = self.collect::<10>(byte) else {
                    return Ok(());
                };
                if [first, second, method] != [0x1f, 0x8b, 8] || flags & RESERVED != 0 {
                    return Err(DecompressError::Corrupt);
                }
                self.flags = flags;
                self.leave(part);
            }
            Part::ExtraLength => match self.collect(byte).map(u16::from_le_bytes) {
                Some(0) => self.leave(part),
                Some(length) => self.part = Part::Extra(length),
                None => {}
            },
            Part::Extra(1) => self.leave(part),
            Part::Extra(left) => self.part = Part::Extra(left.saturating_sub(1)),
            Part::Name | Part::Comment if byte == 0 => self.leave(part),
            Part::HeaderCrc => {
                let Some(stated) = self.collect(byte).map(u16::from_le_bytes) else { return Ok(()) };
                if u32::from(stated) != check & 0xffff {
                    return Err(DecompressError::Corrupt);
                }
                self.leave(part);
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes one byte behind the compressed blocks: their check and their length (RFC 1952 §2.3.1).
    fn trailer_byte(&mut self, byte: u8) -> Result<(), DecompressError> {
        let Some(trailer) = self.collect::<8>(byte) else { return Ok(()) };
        let [a, b, c, d, length @ ..] = trailer;
        let stated = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(length));
        if stated != (self.crc.sum(), self.crc.amount()) {
            return Err(DecompressError::Corrupt);
        }
        self.crc.reset();
        self.state.reset(false);
        (self.part, self.complete) = (Part::Start, true);
        Ok(())
    }
}

impl Format for Members {
    fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<Ran, DecompressError> {
        let mut taken = 0_usize;
        for byte in input {
            match self.part {
                Part::Body => break,
                Part::Trailer => self.trailer_byte(*byte)?,
                _ => self.header_byte(*byte)?,
            }
            taken = taken.saturating_add(1);
        }
        if self.part != Part::Body {
            return Ok(Ran { taken, given: 0 });
        }
        let (ran, ended) = inflate(&mut self.state, input.get(taken..).unwrap_or_default(), out)?;
        self.crc.update(out.get(..ran.given).unwrap_or_default());
        if ended {
            self.part = Part::Trailer;
        }
        Ok(Ran { taken: taken.saturating_add(ran.taken), given: ran.given })
    }

    fn is_complete(&self) -> bool {
        self.complete
    }
}
