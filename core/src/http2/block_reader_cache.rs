//! Header blocks that repeat are recognised on the way in; `templates` does the same on the way out.
//!
//! A block made only of indexed fields changes no table (RFC 7541 §3.2) and means the same for as long as the table has
//! not changed. So the headers that such a block gave is kept beside its bytes and the table's generation.

use std::sync::Arc;

/// Longer blocks are not kept.
const MAX_BLOCK: usize = 128;

struct CachedBlock<T> {
    generation: u64,
    block: Vec<u8>,
    value: Arc<T>,
}

/// What the last few distinct blocks meant.
pub(super) struct ReaderCache<T> {
    entries: Vec<CachedBlock<T>>,
    capacity: usize,
    next: usize,
}

impl<T> ReaderCache<T> {
    pub(super) const fn new(capacity: usize) -> Self {
        Self { entries: Vec::new(), capacity, next: 0 }
    }

    #[inline]
    pub(super) fn get(&self, block: &[u8], generation: u64) -> Option<Arc<T>> {
        let known =
            self.entries.iter().find(|entry| entry.generation == generation && entry.block == block)?;
        Some(Arc::clone(&known.value))
    }

    /// Keeps `value` as the meaning of `block`, if a block like it can come again with the same meaning.
    pub(super) fn put(&mut self, block: &[u8], generation: u64, value: &Arc<T>) {
        if block.len() > MAX_BLOCK || !is_indexed_only(block) {
            return;
        }
        let entry = CachedBlock { generation, block: block.to_vec(), value: Arc::clone(value) };
        if self.entries.len() < self.capacity {
            self.entries.push(entry);
        } else if let Some(oldest) = self.entries.get_mut(self.next) {
            *oldest = entry;
            self.next = (self.next + 1) % self.capacity;
        }
    }
}

/// RFC 7541 §6.1: indexed fields begin with a one bit; 127 (all ones) begins a longer integer.
fn is_indexed_only(block: &[u8]) -> bool {
    block.iter().all(|&byte| byte >= 0x80 && byte != 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_indexed_blocks_are_remembered_and_only_for_their_generation() {
        let mut memo = ReaderCache::new(2);
        let cases: [(&[u8], bool); 5] = [
            (&[0x82, 0x86, 0xbe], true),
            (&[0x82, 0x0f, 0x01, b'a'], false),
            (&[0x40, 0x81], false),
            (&[0xff, 0x00], false),
            (&[0x82; 129], false),
        ];
        for (block, remembered) in cases {
            memo.put(block, 7, &Arc::new(block.len()));
            assert_eq!(memo.get(block, 7).is_some(), remembered, "{block:?}");
            assert!(memo.get(block, 8).is_none());
        }
    }

    #[test]
    fn the_oldest_entry_makes_room() {
        let mut memo = ReaderCache::new(3);
        for newest in 0x81..=0x90 {
            memo.put(&[newest], 0, &Arc::new(newest));
            for byte in 0x81..=0x90 {
                let kept = (byte..byte + 3).contains(&newest);
                let known = memo.get(&[byte], 0).map(|value| *value);
                assert_eq!(known, kept.then_some(byte), "{byte:#x} after {newest:#x}");
            }
        }
    }
}
