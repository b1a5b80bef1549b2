//! One message that comes in several pieces.

use bytes::{Bytes, BytesMut};

use super::{MessageError, PREFIX_LEN, Payload, Prefix};

/// How far ahead of the octets received memory is reserved: as far as they are many, but no further than this.
const AHEAD: usize = 16 * 1024;
/// And no less far than this, so that a small message in two pieces takes one allocation.
const LEAST_AHEAD: usize = 512;

/// A message in progress.
///
/// The payload is a list of segments, joined once when it is complete: nothing is moved while it grows, and a
/// message that fits in one segment is not moved at all.
#[derive(Debug, Default)]
pub(super) struct Partial {
    prefix_octets: [u8; PREFIX_LEN],
    prefix_len: u8,
    prefix: Option<Prefix>,
    /// Octets of payload received.
    received: usize,
    segments: Vec<Bytes>,
    /// The segment that copies go to.
    open: BytesMut,
}

/// What a chunk did to the message in progress.
pub(super) struct Fed {
    /// Where in the chunk the message's octets end.
    pub(super) end: usize,
    /// Whether the message is complete.
    pub(super) finished: bool,
}

impl Partial {
    /// Takes what belongs to this message from `chunk`, from `start` on.
    pub(super) fn feed(
        &mut self,
        chunk: &Payload<'_>,
        start: usize,
        limit: u32,
    ) -> Result<Fed, MessageError> {
        let octets = chunk.as_slice();
        let mut end = start;
        let prefix = match self.prefix {
            Some(prefix) => prefix,
            None => {
                end = end.saturating_add(self.feed_prefix(octets.get(start..).unwrap_or_default()));
                if usize::from(self.prefix_len) < PREFIX_LEN {
                    return Ok(Fed { end, finished: false });
                }
                *self.prefix.insert(Prefix::checked(self.prefix_octets, limit)?)
            }
        };
        let missing = lacking(prefix, self.received);
        let piece_start = end;
        end = octets.len().min(piece_start.saturating_add(missing));
        if end > piece_start {
            self.add(&chunk.slice(piece_start, end), missing);
        }
        Ok(Fed { end, finished: lacking(prefix, self.received) == 0 })
    }

    /// Takes octets of the prefix and says how many.
    fn feed_prefix(&mut self, octets: &[u8]) -> usize {
        let have = usize::from(self.prefix_len);
        let slots = self.prefix_octets.get_mut(have..).unwrap_or_default();
        let mut taken: u8 = 0;
        for (slot, &octet) in slots.iter_mut().zip(octets) {
            *slot = octet;
            taken = taken.saturating_add(1);
        }
        self.prefix_len = self.prefix_len.saturating_add(taken);
        usize::from(taken)
    }

    /// Adds a piece of payload; `missing` octets lacked before it.
    fn add(&mut self, piece: &Payload<'_>, missing: usize) {
        self.received = self.received.saturating_add(piece.as_slice().len());
        if let Payload::Owned(octets) = piece
            && piece.is_worth_keeping()
        {
            self.close_segment();
            self.segments.push(octets.clone());
            return;
        }
        let room = self.open.capacity().saturating_sub(self.open.len());
        let (fits, over) = piece.as_slice().split_at_checked(room).unwrap_or((piece.as_slice(), &[]));
        self.open.extend_from_slice(fits);
        if !over.is_empty() {
            self.close_segment();
            // What lies behind `fits` and no more, and not far ahead of what has come: no promise reserves anything.
            let lacking = missing.saturating_sub(fits.len());
            let ahead = self.received.clamp(LEAST_AHEAD, AHEAD);
            self.open = BytesMut::with_capacity(lacking.min(over.len().saturating_add(ahead)));
            self.open.extend_from_slice(over);
        }
    }

    fn close_segment(&mut self) {
        if !self.open.is_empty() {
            self.segments.push(std::mem::take(&mut self.open).freeze());
        }
    }

    /// Hands the complete message over and starts anew.
    pub(super) fn finish(&mut self) -> (Prefix, Bytes) {
        self.close_segment();
        let payload = match self.segments.len() {
            0 => Bytes::new(),
            1 => self.segments.pop().unwrap_or_default(),
            _ => Bytes::from(self.segments.concat()),
        };
        let prefix = self.prefix.take().unwrap_or(Prefix { compressed: false, length: 0 });
        *self = Self::default();
        (prefix, payload)
    }

    /// Octets held, those of the prefix included.
    pub(super) fn held(&self) -> usize {
        self.received.saturating_add(usize::from(self.prefix_len))
    }

    /// Octets that lack as far as is known: those of the prefix, then those of the payload.
    pub(super) fn missing(&self) -> Option<u32> {
        let Some(prefix) = self.prefix else {
            let lacking = PREFIX_LEN.saturating_sub(usize::from(self.prefix_len));
            let begun = self.prefix_len > 0 && lacking > 0;
            return begun.then(|| u32::try_from(lacking).unwrap_or(0));
        };
        Some(prefix.length.saturating_sub(u32::try_from(self.received).unwrap_or(u32::MAX)))
    }

    /// Octets of memory reserved for this message and not filled.
    #[cfg(test)]
    pub(super) fn reserved_ahead(&self) -> usize {
        self.open.capacity() - self.open.len()
    }
}

fn lacking(prefix: Prefix, received: usize) -> usize {
    usize::try_from(prefix.length).unwrap_or(usize::MAX).saturating_sub(received)
}
