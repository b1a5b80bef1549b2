//! A bump allocator for small messages.

use std::mem;

use bytes::{Bytes, BytesMut};

/// Size of a block, in bytes.
const BLOCK: usize = 4096;

/// Copies small byte strings into a shared block and returns references to it.
///
/// A connection has one. When a block is full, the arena fills the spare block instead, reusing it without an
/// allocation if none of its bytes are referenced any more. So a connection whose small messages are consumed as they
/// arrive allocates nothing. A reference that is kept alive keeps its whole block of 4 KiB;
/// [`MessageBuffer`](super::message::MessageBuffer) therefore keeps at most one message per stream here, and stores
/// those that queue up behind it elsewhere.
#[derive(Debug, Default)]
pub struct Arena {
    block: BytesMut,
    /// The remainder of the previous block, which keeps that block alive.
    spare: BytesMut,
}

impl Arena {
    /// Makes an arena without a block; the first [`copy`](Self::copy) allocates it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a reference-counted copy of `bytes`. More than a quarter of a block gets its own allocation.
    ///
    /// `inline(always)`: the caller moves the returned `Bytes` straight away; inlined, it stays in registers instead
    /// of going through the stack.
    #[inline(always)]
    pub fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.is_empty() || bytes.len() > BLOCK / 4 {
            return alone(bytes);
        }
        if self.block.capacity() < bytes.len() {
            self.next_block();
        }
        self.block.extend_from_slice(bytes);
        self.block.split().freeze()
    }

    /// Replaces a full block: reuses it if nothing refers to it any more, else the previous one, else allocates a new
    /// one.
    #[cold]
    fn next_block(&mut self) {
        if self.block.try_reclaim(BLOCK) {
            return;
        }
        mem::swap(&mut self.block, &mut self.spare);
        // Allocates if this block is still referenced, too.
        self.block.reserve(BLOCK);
    }

    /// Frees the blocks; those that are still referenced live on until the last reference is dropped.
    pub fn shrink(&mut self) {
        *self = Self::default();
    }
}

#[cold]
fn alone(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_without_views_is_used_again() {
        let mut arena = Arena::new();
        let first = arena.copy(&[7; 100]).as_ptr();
        let mut blocks_seen = 1;
        let mut last = first;
        for i in 0..10_000_u32 {
            let view = arena.copy(&[i as u8; 100]);
            assert!(view.iter().all(|&b| b == i as u8));
            if view.as_ptr() < last || view.as_ptr() as usize > first as usize + BLOCK {
                // Back at the start of the only block.
                assert_eq!(view.as_ptr(), first);
                blocks_seen += 1;
            }
            last = view.as_ptr();
        }
        assert!(blocks_seen > 200, "{blocks_seen}");
    }

    #[test]
    fn two_blocks_are_enough_where_views_live_for_less_than_a_block() {
        let mut arena = Arena::new();
        let mut alive = std::collections::VecDeque::new();
        let mut blocks: Vec<usize> = Vec::new();
        for i in 0..10_000_u32 {
            let view = arena.copy(&[i as u8; 100]);
            let at = view.as_ptr() as usize;
            if !blocks.iter().any(|block| (*block..block + BLOCK).contains(&at)) {
                blocks.push(at);
            }
            alive.push_back((i, view));
            if alive.len() > 20 {
                alive.pop_front();
            }
            assert!(alive.iter().all(|(n, view)| view.iter().all(|&byte| byte == *n as u8)));
        }
        assert_eq!(blocks.len(), 2);
    }

    #[test]
    fn a_block_is_used_to_its_last_byte() {
        let mut arena = Arena::new();
        let views: Vec<Bytes> = (0..4).map(|_| arena.copy(&[1; BLOCK / 4])).collect();
        for (nth, view) in views.iter().enumerate() {
            assert_eq!(view.as_ptr() as usize, views[0].as_ptr() as usize + nth * BLOCK / 4);
        }
        assert_eq!(arena.block.capacity(), 0);
    }

    #[test]
    fn views_that_are_kept_stay_as_they_are() {
        let mut arena = Arena::new();
        let kept: Vec<Bytes> = (0..500_u32).map(|i| arena.copy(&i.to_be_bytes().repeat(25))).collect();
        arena.shrink();
        assert_eq!(arena.block.capacity(), 0);
        for (i, view) in (0_u32..).zip(&kept) {
            assert_eq!(view.as_ref(), i.to_be_bytes().repeat(25));
        }
    }

    #[test]
    fn large_and_empty_copies_leave_the_block_alone() {
        let mut arena = Arena::new();
        assert_eq!(arena.copy(&[1; BLOCK / 4 + 1]).len(), BLOCK / 4 + 1);
        assert!(arena.copy(&[]).is_empty());
        assert_eq!(arena.block.capacity(), 0);
        assert_eq!(arena.copy(&[1; BLOCK / 4]).len(), BLOCK / 4);
        assert_eq!(arena.block.capacity(), BLOCK - BLOCK / 4);
    }
}
