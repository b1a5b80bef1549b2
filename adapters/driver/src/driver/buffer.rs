//! Where octets are read to: one buffer for each thread, lent to the connection that is reading. A connection keeps a
//! buffer only while it holds an unfinished frame, so that idle connections have none.

use std::cell::Cell;

use bytes::BytesMut;

/// What is asked of the transport at once.
const READ: usize = 64 * 1024;
/// Less room than this is not worth a read.
const LEAST: usize = 16 * 1024;

thread_local! {
    static SPARE: Cell<BytesMut> = Cell::new(BytesMut::new());
}

/// Gives `input` room for a read.
pub(super) fn take(input: &mut BytesMut) {
    if input.is_empty() && input.capacity() == 0 {
        // A thread that is going away has no spare buffer: a new one is made.
        *input = SPARE.try_with(Cell::take).unwrap_or_default();
    }
    if input.capacity() - input.len() < LEAST {
        // Reuses the memory that has been read already, unless messages still look into it.
        input.reserve(READ);
    }
}

/// Takes the buffer back, if nothing is left in it.
pub(super) fn give_back(input: &mut BytesMut) {
    if input.is_empty() {
        let spare = std::mem::take(input);
        let _ = SPARE.try_with(|place| place.set(spare));
    }
}
