//! Read buffers: each thread keeps a few and lends one to the connection that is reading. A connection keeps a buffer
//! only while it holds an incomplete frame, so idle connections have none.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::BytesMut;

/// Bytes that a read requests: 64 KiB plus the headers of the frames in them. A message of that length fits, and the
/// incomplete frame at the end, which has to move to the next buffer, is rarely a long one.
const READ: usize = 72 * 1024;
/// The smallest space for which a read is worth a system call, in bytes.
const LEAST: usize = 16 * 1024;
/// Buffers that a thread keeps. A large message pins the buffers that it was read into until it is complete. With
/// this many, the first is usually free again when the last has been filled, so nothing is allocated.
const KEPT: usize = 4;

thread_local! {
    static SPARE: RefCell<VecDeque<BytesMut>> = const { RefCell::new(VecDeque::new()) };
}

/// Makes space in `input` for a read.
pub(crate) fn take(input: &mut BytesMut) {
    if input.capacity() - input.len() >= LEAST {
        return;
    }
    if input.len() > LEAST {
        // A frame that is longer than usual: its buffer grows with it.
        return input.reserve(READ);
    }
    // The space of bytes that were consumed is free again, unless messages still refer to it.
    if input.try_reclaim(READ.saturating_sub(input.len())) {
        return;
    }
    let mut next = spare(input.len() + LEAST);
    next.extend_from_slice(input);
    input.clear();
    keep(std::mem::replace(input, next));
}

/// Returns the buffer to the thread's spare ones, if it is empty.
pub(crate) fn give_back(input: &mut BytesMut) {
    if input.is_empty() {
        keep(std::mem::take(input));
    }
}

/// Returns an empty buffer with a capacity of at least `room` bytes.
fn spare(room: usize) -> BytesMut {
    // A thread that is shutting down has no spare buffers, so a new one is made.
    let found = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        // The buffer that was used last usually has space left, so that nothing has to be reclaimed.
        if spare.back().is_some_and(|buffer| buffer.capacity() >= room) {
            return spare.pop_back();
        }
        let free = spare.iter_mut().position(|buffer| buffer.try_reclaim(READ))?;
        spare.remove(free)
    });
    found.ok().flatten().unwrap_or_else(|| BytesMut::with_capacity(READ))
}

/// Keeps an empty buffer, even if messages still refer to it. If there are too many, the oldest is dropped.
fn keep(buffer: BytesMut) {
    if buffer.capacity() == 0 {
        // There was no buffer yet, or it was filled to its very last byte, which is rare.
        return;
    }
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() == KEPT {
            spare.pop_front();
        }
        spare.push_back(buffer);
    });
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use bytes::Bytes;

    use super::*;

    /// Reads to fill the buffer, and returns all of it but the last `left` bytes.
    fn read(input: &mut BytesMut, left: usize) -> Bytes {
        take(input);
        assert!(input.capacity() - input.len() >= LEAST);
        input.resize(input.capacity(), 7);
        input.split_to(input.len() - left).freeze()
    }

    #[test]
    fn buffers_are_used_again_when_the_messages_in_them_are_gone() {
        let mut input = BytesMut::new();
        let mut places = HashSet::new();
        let mut pieces = VecDeque::new();
        for _ in 0..100 {
            let piece = read(&mut input, 100);
            places.insert(piece.as_ptr() as usize);
            pieces.push_back(piece);
            // Three pieces are alive at a time.
            pieces.drain(..pieces.len().saturating_sub(3));
        }
        assert!(places.len() <= 2 * KEPT, "{} buffers", places.len());
    }

    #[test]
    fn messages_that_are_kept_stay_as_they_are_and_keep_no_more_than_their_buffers() {
        let mut input = BytesMut::new();
        let kept: Vec<Bytes> = (0..20)
            .map(|nth| {
                take(&mut input);
                input.extend_from_slice(&[nth; LEAST]);
                input.split_to(LEAST).freeze()
            })
            .collect();
        for (nth, piece) in (0..).zip(&kept) {
            assert!(piece.iter().all(|byte| *byte == nth));
        }
        assert!(SPARE.with_borrow(VecDeque::len) <= KEPT);
    }

    #[test]
    fn a_connection_that_waits_has_no_buffer_unless_a_frame_is_unfinished() {
        let mut input = BytesMut::new();
        drop(read(&mut input, 0));
        give_back(&mut input);
        assert_eq!(input.capacity(), 0);
        drop(read(&mut input, 9));
        give_back(&mut input);
        assert_eq!(input.as_ref(), [7; 9]);
    }

    #[test]
    fn a_frame_larger_than_a_buffer_gets_its_room() {
        let mut input = BytesMut::new();
        for _ in 0..10 {
            take(&mut input);
            input.resize(input.capacity(), 7);
        }
        assert!(input.len() >= 4 * READ && input.iter().all(|byte| *byte == 7));
    }
}
