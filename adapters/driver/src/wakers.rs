//! Waiting tasks: those that wait for one event together, and futures that wait for a half of a call.

use std::collections::BTreeMap;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// The waker of a task that may have to wait. It is cloned between two visits to whatever it waits for: that is foreign
/// code, and not for a lock.
pub(crate) struct Waiter<'a> {
    waker: &'a Waker,
    clone: Option<Waker>,
    wanted: bool,
}

impl<'a> Waiter<'a> {
    #[inline]
    pub(crate) fn new(waker: &'a Waker) -> Self {
        Self { waker, clone: None, wanted: false }
    }

    /// Waits in a place, if the clone for that is there. Returns the waker that it replaces.
    #[must_use = "a waker is dropped when the lock is free"]
    #[inline]
    pub(crate) fn wait_in(&mut self, place: &mut Option<Waker>) -> Option<Waker> {
        if place.as_ref().is_some_and(|waits| waits.will_wake(self.waker)) {
            return None;
        }
        match self.clone.take() {
            Some(clone) => place.replace(clone),
            None => {
                self.wanted = true;
                None
            }
        }
    }

    /// Clones the waker if one was wanted. Returns whether that was so: then the visit is to be repeated.
    #[inline]
    pub(crate) fn clone_if_wanted(&mut self) -> bool {
        let wanted = mem::take(&mut self.wanted);
        if wanted {
            self.clone = Some(self.waker.clone());
        }
        wanted
    }
}

/// The wakers of such tasks. A future has a place of its own and gives it up when it is dropped, so that nothing is kept
/// of futures that are gone.
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
    pub(crate) fn wait(&mut self, place: &mut WaitPlace, waiter: &mut Waiter<'_>) -> Option<Waker> {
        let id = *place.0.get_or_insert_with(|| {
            self.next = self.next.wrapping_add(1);
            self.next
        });
        let mut waker = self.wakers.remove(&id);
        let stale = waiter.wait_in(&mut waker);
        self.wakers.extend(waker.map(|waker| (id, waker)));
        stale
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
        let wait = |set: &mut WakerSet, place: &mut WaitPlace, waker: &Waker| {
            let mut waiter = Waiter::new(waker);
            let stale = set.wait(place, &mut waiter);
            if waiter.clone_if_wanted() { set.wait(place, &mut waiter) } else { stale }
        };
        assert!(wait(&mut set, &mut one, &first).is_none() && wait(&mut set, &mut one, &first).is_none());
        assert_eq!(kept(), [1, 0]);
        drop(wait(&mut set, &mut one, &second));
        assert_eq!(kept(), [0, 1]);
        // Two futures of one task have a place each.
        assert!(wait(&mut set, &mut other, &second).is_none());
        assert_eq!(kept(), [0, 2]);
        drop(set.leave(&mut one));
        assert!(set.leave(&mut one).is_none());
        assert_eq!(kept(), [0, 1]);
        assert_eq!(set.take().count(), 1);
        assert_eq!(kept(), [0, 0]);
        // A place outlives what was taken.
        assert!(wait(&mut set, &mut other, &first).is_none());
        assert_eq!((kept(), set.take().count()), ([1, 0], 1));
    }
}
