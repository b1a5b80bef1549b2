//! Recognises received header blocks that repeat; `block_writer_cache` does the same for those that are sent.
//!
//! A block of indexed fields alone does not change the dynamic table (RFC 7541 §3.2), and means the same for as long
//! as the table does not change. So the cache keeps the decoded headers with the block's bytes and the table's
//! generation.

use std::sync::Arc;

/// The longest block that is cached, in bytes.
const MAX_BLOCK: usize = 128;

struct CachedBlock<T> {
    generation: u64,
    block: Vec<u8>,
    value: Arc<T>,
}

/// The decoded values of the last few distinct blocks.
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

    /// Caches `value` as the meaning of `block`, if the same bytes can mean the same again.
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

/// Returns whether a block has nothing but indexed fields. RFC 7541 §6.1: these have the top bit set; seven one bits
/// below it begin a longer integer.
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
