//! The handlers that run on one connection. They live in the connection's task: a handler is polled in place when its
//! call arrives, and most are done by then. Those that wait keep their place, and only those that were woken are
//! polled again.

use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use halfclose::CallId;

use crate::shared::Signal;

/// A handler that runs.
pub(super) type HandlerFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The slots of handlers that were woken.
#[derive(Default)]
struct Woken {
    /// Whether `slots` holds any: looked at more often than written.
    any: AtomicBool,
    slots: Mutex<Vec<usize>>,
    signal: Arc<Signal>,
}

impl Woken {
    fn add(&self, slot: usize) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
        self.any.store(true, Ordering::Release);
        self.signal.tell();
    }

    fn take(&self, into: &mut Vec<usize>) {
        if self.any.swap(false, Ordering::AcqRel) {
            mem::swap(into, &mut *self.slots.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// The waker of whatever handler runs in a slot. A wake of an earlier handler costs the next one a poll, no more.
struct SlotWaker {
    slot: usize,
    woken: Arc<Woken>,
    /// Woken and not polled since.
    told: AtomicBool,
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.told.swap(true, Ordering::AcqRel) {
            self.woken.add(self.slot);
        }
    }
}

struct Place {
    running: Option<(CallId, HandlerFuture)>,
    waker: Waker,
    slot: Arc<SlotWaker>,
}

/// The handlers of one connection, by the slots of their calls.
#[derive(Default)]
pub(super) struct Handlers {
    woken: Option<Arc<Woken>>,
    places: Vec<Place>,
    running: usize,
    /// Handlers whose calls are over: to be dropped outside of the lock, since what they hold gives orders.
    ended: Vec<HandlerFuture>,
    scratch: Vec<usize>,
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers").field("running", &self.running).finish_non_exhaustive()
    }
}

impl Handlers {
    /// Says whom to tell when a handler is woken.
    pub(super) fn attach(&mut self, signal: &Arc<Signal>) {
        if self.woken.is_none() {
            self.woken = Some(Arc::new(Woken { signal: Arc::clone(signal), ..Woken::default() }));
        }
    }

    /// Runs a new handler in place, and keeps it if it waits.
    #[inline]
    pub(super) fn start(&mut self, call: CallId, future: impl FnOnce() -> Option<HandlerFuture>) {
        // A handler that panics ends its own call (UNKNOWN, by the guard that it holds), and no other.
        let Ok(Some(future)) = catch_unwind(AssertUnwindSafe(future)) else { return };
        let Some(place) = self.place(call.slot()) else { return };
        if let Some((_, stale)) = place.running.replace((call, future)) {
            discard(stale);
        } else {
            self.running = self.running.saturating_add(1);
        }
        self.poll(call.slot());
    }

    fn place(&mut self, slot: usize) -> Option<&mut Place> {
        let woken = self.woken.as_ref()?;
        while self.places.len() <= slot {
            let slot = self.places.len();
            let slot = Arc::new(SlotWaker { slot, woken: Arc::clone(woken), told: AtomicBool::new(false) });
            self.places.push(Place { running: None, waker: Waker::from(Arc::clone(&slot)), slot });
        }
        self.places.get_mut(slot)
    }

    /// The call is over, whatever its handler still meant to do.
    pub(super) fn end(&mut self, call: CallId) {
        let Some(place) = self.places.get_mut(call.slot()) else { return };
        if let Some((_, future)) = place.running.take_if(|(running, _)| *running == call) {
            self.running = self.running.saturating_sub(1);
            self.ended.push(future);
        }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.ended.is_empty() || self.woken.as_ref().is_some_and(|woken| woken.any.load(Ordering::Acquire))
    }

    /// Polls every handler that was woken, and drops those whose calls are over.
    pub(super) fn run(&mut self) {
        self.ended.drain(..).for_each(discard);
        let Some(woken) = &self.woken else { return };
        let mut slots = mem::take(&mut self.scratch);
        woken.take(&mut slots);
        for slot in slots.drain(..) {
            self.poll(slot);
        }
        self.scratch = slots;
    }

    /// Gives the places back, if no handler runs.
    pub(super) fn shrink(&mut self) {
        if self.running == 0 {
            self.places = Vec::new();
            self.scratch = Vec::new();
            self.ended = Vec::new();
        }
    }

    fn poll(&mut self, slot: usize) {
        let Some(place) = self.places.get_mut(slot) else { return };
        // An exchange, as in `wake_by_ref`: a wake that comes first is seen by the poll, a later one adds the slot again.
        place.slot.told.swap(false, Ordering::AcqRel);
        let Some((_, future)) = &mut place.running else { return };
        let mut cx = Context::from_waker(&place.waker);
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)));
        if !matches!(polled, Ok(Poll::Pending)) {
            self.running = self.running.saturating_sub(1);
            if let Some((_, done)) = place.running.take() {
                discard(done);
            }
        }
    }
}

/// A connection that is over drops the handlers that are left on it.
impl Drop for Handlers {
    fn drop(&mut self) {
        self.ended.drain(..).for_each(discard);
        for place in &mut self.places {
            if let Some((_, future)) = place.running.take() {
                discard(future);
            }
        }
    }
}

/// Drops a handler. What it holds is foreign code too: if that panics, it concerns no other call.
fn discard(future: HandlerFuture) {
    // There is nobody to tell.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
}
