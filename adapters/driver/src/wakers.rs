//! Waiting tasks: those that wait for one event together, and futures that wait for a half of a call.

use std::collections::BTreeMap;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// The wakers of tasks that wait for one event. Each future has its own place and gives it up when it is dropped, so
/// that no waker of a dropped future stays.
///
/// Waking or dropping a waker runs foreign code, so the methods return wakers to their caller, to be handled without
/// the lock held.
#[derive(Default)]
pub(crate) struct WakerSet {
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

/// The place of one future in a [`WakerSet`].
#[derive(Default)]
pub(crate) struct WaitPlace(Option<u64>);

impl WakerSet {
    /// Registers the waker of a future's last poll. Returns the waker that it replaces.
    #[must_use = "a waker is dropped when the lock is free"]
    pub(crate) fn wait(&mut self, place: &mut WaitPlace, waker: &Waker) -> Option<Waker> {
        let id = *place.0.get_or_insert_with(|| {
            self.next = self.next.wrapping_add(1);
            self.next
        });
        match self.wakers.get_mut(&id) {
            Some(known) if known.will_wake(waker) => None,
            Some(known) => Some(mem::replace(known, waker.clone())),
            None => self.wakers.insert(id, waker.clone()),
        }
    }

    /// Removes the waker of a future that is being dropped, and returns it.
    #[must_use = "a waker is dropped when the lock is free"]
    pub(crate) fn leave(&mut self, place: &mut WaitPlace) -> Option<Waker> {
        self.wakers.remove(&place.0.take()?)
    }

    /// Takes all wakers, because their event has happened.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        mem::take(&mut self.wakers).into_values()
    }
}

/// A half of a call that keeps the waker of the future that waits for it.
pub(crate) trait HoldsWaker {
    /// Forgets that waker, because the future was dropped.
    fn forget_waker(&mut self);
}

/// Polls a half of a call until it is ready. If the future is dropped before that, no waker stays behind.
pub(crate) fn poll_half<'a, H, F, T>(half: &'a mut H, poll: F) -> impl Future<Output = T> + use<'a, H, F, T>
where
    H: HoldsWaker,
    F: FnMut(&mut H, &mut Context<'_>) -> Poll<T> + Unpin,
{
    PollHalf { half, poll, pending: false }
}

struct PollHalf<'a, H: HoldsWaker, F> {
    half: &'a mut H,
    poll: F,
    /// Whether the last poll left a waker.
    pending: bool,
}

impl<H: HoldsWaker, F, T> Future for PollHalf<'_, H, F>
where
    F: FnMut(&mut H, &mut Context<'_>) -> Poll<T> + Unpin,
{
    type Output = T;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Self { half, poll, pending } = self.get_mut();
        let polled = poll(half, cx);
        *pending = polled.is_pending();
        polled
    }
}

impl<H: HoldsWaker, F> Drop for PollHalf<'_, H, F> {
    fn drop(&mut self) {
        if self.pending {
            self.half.forget_waker();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    struct Ignored;

    impl Wake for Ignored {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_place_has_the_last_waker_and_none_when_it_is_given_up() {
        let mut set = WakerSet::default();
        let counted = [Arc::new(Ignored), Arc::new(Ignored)];
        let [first, second] = [0, 1].map(|nth: usize| Waker::from(Arc::clone(&counted[nth])));
        let kept = || counted.each_ref().map(|counted| Arc::strong_count(counted) - 2);
        let (mut one, mut other) = (WaitPlace::default(), WaitPlace::default());
        assert!(set.wait(&mut one, &first).is_none() && set.wait(&mut one, &first).is_none());
        assert_eq!(kept(), [1, 0]);
        drop(set.wait(&mut one, &second));
        assert_eq!(kept(), [0, 1]);
        // Two futures of one task have a place each.
        assert!(set.wait(&mut other, &second).is_none());
        assert_eq!(kept(), [0, 2]);
        drop(set.leave(&mut one));
        assert!(set.leave(&mut one).is_none());
        assert_eq!(kept(), [0, 1]);
        assert_eq!(set.take().count(), 1);
        assert_eq!(kept(), [0, 0]);
        // A place can be used again after `take`.
        assert!(set.wait(&mut other, &first).is_none());
        assert_eq!((kept(), set.take().count()), ([1, 0], 1));
    }
}
