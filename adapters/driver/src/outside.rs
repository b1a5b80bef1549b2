//! Code of others that the driver runs: codecs, wakers, the owners of messages. None of it runs while a connection is
//! locked, since it may come back to the connection, and none of its panics ends more than it must.

use std::cell::{Cell, RefCell};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use bytes::Bytes;
use halfclose::Status;

thread_local! {
    /// How many connections this thread has locked.
    static LOCKED: Cell<usize> = const { Cell::new(0) };
    /// Whether there is anything in `DROPPED`, which costs more to look at.
    static ANY_DROPPED: Cell<bool> = const { Cell::new(false) };
    /// What was dropped under a lock.
    static DROPPED: RefCell<Vec<Bytes>> = const { RefCell::new(Vec::new()) };
}

/// Runs foreign code. Returns `None` if it panics.
#[inline]
pub(crate) fn contained<T>(code: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(code)).ok()
}

/// Wakes a task. Whose executor panics is not woken, and nobody else suffers.
#[inline]
pub(crate) fn wake(waker: Waker) {
    let _ = contained(|| waker.wake());
}

/// Drops a waker.
#[inline]
pub(crate) fn discard_waker(waker: Waker) {
    let _ = contained(|| drop(waker));
}

/// Notes that this thread has locked a connection. Dropped once it is unlocked.
pub(crate) struct Locked(());

impl Locked {
    #[inline]
    pub(crate) fn new() -> Self {
        LOCKED.with(|locked| locked.set(locked.get().saturating_add(1)));
        Self(())
    }
}

impl Drop for Locked {
    #[inline]
    fn drop(&mut self) {
        let left = LOCKED.with(|locked| {
            locked.set(locked.get().saturating_sub(1));
            locked.get()
        });
        if left == 0 && ANY_DROPPED.get() {
            drop_dropped();
        }
    }
}

#[cold]
fn drop_dropped() {
    ANY_DROPPED.set(false);
    // A thread that is ending has none left.
    let dropped = DROPPED.try_with(|dropped| mem::take(&mut *dropped.borrow_mut())).unwrap_or_default();
    for bytes in dropped {
        let _ = contained(|| drop(bytes));
    }
}

/// Bytes whose owner is dropped when no connection is locked: the connection drops them whenever it has no more use for
/// them.
struct OutsideBytes(Bytes);

impl AsRef<[u8]> for OutsideBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for OutsideBytes {
    fn drop(&mut self) {
        let bytes = mem::take(&mut self.0);
        if LOCKED.with(Cell::get) == 0 {
            let _ = contained(|| drop(bytes));
            return;
        }
        let mut bytes = Some(bytes);
        let kept = DROPPED.try_with(|dropped| dropped.borrow_mut().extend(bytes.take()));
        ANY_DROPPED.set(kept.is_ok());
    }
}

/// Returns the same bytes, to be given to a connection: whatever their owner does when it is dropped, it does not do it
/// while the connection is locked.
pub(crate) fn guard(bytes: Bytes) -> Bytes {
    if bytes.is_empty() { Bytes::new() } else { Bytes::from_owner(OutsideBytes(bytes)) }
}

/// Returns the same status, to be given to a connection.
pub(crate) fn guard_status(status: Status) -> Status {
    if status.details().is_empty() {
        return status;
    }
    let details = guard(status.details().clone());
    status.with_details(details)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Owner(Arc<AtomicUsize>);

    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            b"owned"
        }
    }

    impl Drop for Owner {
        fn drop(&mut self) {
            self.0.fetch_add(1 + LOCKED.get() * 1_000, Ordering::Relaxed);
            panic!("by intention");
        }
    }

    #[test]
    fn an_owner_is_dropped_when_the_last_lock_is_gone() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let count = || dropped.load(Ordering::Relaxed);
        let bytes = || guard(Bytes::from_owner(Owner(Arc::clone(&dropped))));
        let (first, second, third) = (bytes(), bytes(), bytes());
        assert_eq!(first, "owned");
        drop(first);
        assert_eq!(count(), 1, "nothing is locked");
        let outer = Locked::new();
        let inner = Locked::new();
        drop((second, third));
        drop(inner);
        assert_eq!(count(), 1);
        drop(outer);
        assert_eq!(count(), 3);
        assert!(guard(Bytes::new()).is_empty());
    }
}
