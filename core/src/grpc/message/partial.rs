//! One message that arrives in several pieces.

use bytes::Bytes;

use super::{MessageError, PREFIX_LEN, Payload, Prefix};

/// The most bytes that are reserved ahead of those received: as many as have been received, up to this limit.
const AHEAD: usize = 16 * 1024;
/// Size in bytes from which half of the received bytes are reserved ahead instead: a message that grows by a share of
/// its size is moved only a few times. A stream that has received this much was granted a window for its whole
/// message.
const LARGE: usize = 4 * AHEAD;
/// The fewest bytes that are reserved ahead, so that a small message in two pieces takes one allocation.
const LEAST_AHEAD: usize = 512;

/// A message in progress.
///
/// Its pieces are copied as they arrive, large ones included: pinned buffers would have to be joined in the end, and
/// until then each would keep the whole buffer that it was read into.
#[derive(Debug, Default)]
pub(super) struct Partial {
    prefix_bytes: [u8; PREFIX_LEN],
    prefix_len: u8,
    prefix: Option<Prefix>,
    /// The payload received so far.
    payload: Vec<u8>,
}

/// The effect of a chunk on the message in progress.
pub(super) struct Fed {
    /// The index in the chunk at which the message's bytes end.
    pub(super) end: usize,
    /// Whether the message is complete.
    pub(super) finished: bool,
}

impl Partial {
    /// Adds the bytes of `chunk` that belong to this message, from `start` on.
    pub(super) fn feed(
        &mut self,
        chunk: &Payload<'_>,
        start: usize,
        limit: u32,
    ) -> Result<Fed, MessageError> {
        let bytes = chunk.as_slice();
        let mut end = start;
        let prefix = match self.prefix {
            Some(prefix) => prefix,
            None => {
                end = end.saturating_add(self.feed_prefix(bytes.get(start..).unwrap_or_default()));
                if usize::from(self.prefix_len) < PREFIX_LEN {
                    return Ok(Fed { end, finished: false });
                }
                *self.prefix.insert(Prefix::checked(self.prefix_bytes, limit)?)
            }
        };
        let missing = lacking(prefix, self.payload.len());
        let piece_start = end;
        end = bytes.len().min(piece_start.saturating_add(missing));
        if end > piece_start {
            self.add(bytes.get(piece_start..end).unwrap_or_default(), missing);
        }
        Ok(Fed { end, finished: lacking(prefix, self.payload.len()) == 0 })
    }

    /// Adds bytes to the prefix, and returns how many.
    fn feed_prefix(&mut self, bytes: &[u8]) -> usize {
        let have = usize::from(self.prefix_len);
        let slots = self.prefix_bytes.get_mut(have..).unwrap_or_default();
        let mut taken: u8 = 0;
        for (slot, &byte) in slots.iter_mut().zip(bytes) {
            *slot = byte;
            taken = taken.saturating_add(1);
        }
        self.prefix_len = self.prefix_len.saturating_add(taken);
        usize::from(taken)
    }

    /// Adds a piece of payload to a message that lacks `missing` bytes.
    fn add(&mut self, piece: &[u8], missing: usize) {
        let received = self.payload.len();
        if piece.len() > self.payload.capacity().saturating_sub(received) {
            let ahead = if received > LARGE { received / 2 } else { received.clamp(LEAST_AHEAD, AHEAD) };
            // Reserve only a bounded number of bytes ahead, whatever the prefix announces, and never beyond the
            // message's end.
            self.payload.reserve_exact(missing.min(piece.len().saturating_add(ahead)));
        }
        self.payload.extend_from_slice(piece);
    }

    /// Returns the complete message and starts a new one.
    pub(super) fn finish(&mut self) -> (Prefix, Bytes) {
        let partial = std::mem::take(self);
        let prefix = partial.prefix.unwrap_or(Prefix { compressed: false, length: 0 });
        (prefix, Bytes::from(partial.payload))
    }

    /// Returns the number of bytes held, including the prefix.
    pub(super) fn held(&self) -> usize {
        self.payload.len().saturating_add(usize::from(self.prefix_len))
    }

    /// Returns how many bytes are missing, as far as is known: those of the prefix, then those of the payload.
    pub(super) fn missing(&self) -> Option<u32> {
        let Some(prefix) = self.prefix else {
            let lacking = PREFIX_LEN.saturating_sub(usize::from(self.prefix_len));
            return (self.prefix_len > 0).then(|| u32::try_from(lacking).unwrap_or(0));
        };
        Some(prefix.length.saturating_sub(u32::try_from(self.payload.len()).unwrap_or(u32::MAX)))
    }

    /// Returns the number of bytes that are reserved for this message and not filled.
    #[cfg(test)]
    pub(super) fn reserved_ahead(&self) -> usize {
        self.payload.capacity() - self.payload.len()
    }
}

fn lacking(prefix: Prefix, received: usize) -> usize {
    usize::try_from(prefix.length).unwrap_or(usize::MAX).saturating_sub(received)
}
