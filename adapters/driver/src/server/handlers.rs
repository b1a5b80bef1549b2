//! The handlers that run on one connection. They live in the connection's task: a handler is polled in place when its
//! call arrives, and most are finished by then. A handler that waits keeps its slot, and only woken ones are polled
//! again.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use halfclose::{CallId, Server, Status, Time};

use super::call::{Answer, finish};
use crate::shared::{Shared, Signal};

/// What the driver lends to handlers for one poll.
pub(super) struct HandlerContext<'a> {
    pub(super) shared: &'a Arc<Shared<Server>>,
    /// Where handlers leave the answers of their calls.
    pub(super) answers: &'a mut Vec<Answer>,
    /// The time after which handlers that have not run wait for the next poll.
    pub(super) until: Time,
}

impl HandlerContext<'_> {
    /// Returns whether this poll's time is over. It is checked between two handlers; a single one is never
    /// interrupted.
    pub(super) fn is_over(&self) -> bool {
        self.shared.now() >= self.until
    }
}

/// The code that serves one call: a future that is lent its context for each poll, so that a short call need not hold
/// the connection.
pub(super) trait Serve: Send {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, lent: &mut HandlerContext<'_>) -> Poll<()>;
}

/// A future that needs no context.
impl<F: Future<Output = ()> + Send> Serve for F {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, _: &mut HandlerContext<'_>) -> Poll<()> {
        Future::poll(self, cx)
    }
}

/// A running handler.
pub(super) type Handler = Pin<Box<dyn Serve>>;

/// The slots of handlers that were woken.
#[derive(Default)]
struct Woken {
    /// Whether `slots` holds any, to avoid the lock: it is read more often than written.
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

    fn shrink(&self) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).shrink_to_fit();
    }

    fn take(&self, into: &mut Vec<usize>) {
        if self.any.swap(false, Ordering::AcqRel) {
            mem::swap(into, &mut *self.slots.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// The waker of the handler in a slot, whichever that is. A wake meant for an earlier handler costs the next one a
/// poll.
struct SlotWaker {
    slot: usize,
    woken: Arc<Woken>,
    /// Whether the slot was woken and not polled since.
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

struct HandlerSlot {
    running: Option<(CallId, Handler)>,
    waker: Waker,
    slot: Arc<SlotWaker>,
}

/// The handlers of one connection, by the slots of their calls.
#[derive(Default)]
pub(super) struct Handlers {
    woken: Option<Arc<Woken>>,
    places: Vec<HandlerSlot>,
    running: usize,
    /// Handlers whose calls are over, to be dropped outside the lock, because what they hold gives commands when it
    /// is dropped.
    ended: Vec<Handler>,
    /// The slots of handlers that were woken and not polled yet, in the order of the wakes.
    due: VecDeque<usize>,
    scratch: Vec<usize>,
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers").field("running", &self.running).finish_non_exhaustive()
    }
}

impl Handlers {
    /// Sets the signal to send when a handler is woken.
    pub(super) fn attach(&mut self, signal: &Arc<Signal>) {
        if self.woken.is_none() {
            self.woken = Some(Arc::new(Woken { signal: Arc::clone(signal), ..Woken::default() }));
        }
    }

    /// Runs a new handler in place, and keeps it if it waits.
    #[inline]
    pub(super) fn start(
        &mut self,
        call: CallId,
        lent: &mut HandlerContext<'_>,
        handler: impl FnOnce() -> Option<Handler>,
    ) {
        let handler = match catch_unwind(AssertUnwindSafe(handler)) {
            Ok(Some(handler)) => handler,
            Ok(None) => return,
            Err(_) => return panicked(lent.shared, call),
        };
        let Some(place) = self.place(call.slot()) else { return };
        if let Some((_, stale)) = place.running.replace((call, handler)) {
            discard(stale);
        } else {
            self.running = self.running.saturating_add(1);
        }
        // A slot that was woken for an earlier handler is polled once more for that, so that no wake is lost.
        self.poll(call.slot(), lent);
    }

    fn place(&mut self, slot: usize) -> Option<&mut HandlerSlot> {
        let woken = self.woken.as_ref()?;
        while self.places.len() <= slot {
            let slot = self.places.len();
            let slot = Arc::new(SlotWaker { slot, woken: Arc::clone(woken), told: AtomicBool::new(false) });
            self.places.push(HandlerSlot { running: None, waker: Waker::from(Arc::clone(&slot)), slot });
        }
        self.places.get_mut(slot)
    }

    /// Ends the handler of a call that is over.
    pub(super) fn end(&mut self, call: CallId) {
        let Some(place) = self.places.get_mut(call.slot()) else { return };
        if let Some((_, handler)) = place.running.take_if(|(running, _)| *running == call) {
            self.running = self.running.saturating_sub(1);
            self.ended.push(handler);
        }
    }

    pub(super) fn has_work(&self) -> bool {
        self.has_rest() || self.woken.as_ref().is_some_and(|woken| woken.any.load(Ordering::Acquire))
    }

    /// Returns whether the last `run` left handlers for the next one.
    pub(super) fn has_rest(&self) -> bool {
        !self.ended.is_empty() || !self.due.is_empty()
    }

    /// Drops the handlers whose calls are over, and polls those that were woken until this poll's time is over: at
    /// least one, unless `others` ran already.
    pub(super) fn run(&mut self, context: &mut HandlerContext<'_>, others: bool) {
        if let Some(woken) = &self.woken {
            woken.take(&mut self.scratch);
            self.due.extend(self.scratch.drain(..));
        }
        let mut any = others;
        while self.has_rest() && !(any && context.is_over()) {
            any = true;
            if let Some(ended) = self.ended.pop() {
                discard(ended);
            } else if let Some(slot) = self.due.pop_front() {
                self.poll_woken(slot, context);
            }
        }
    }

    fn poll_woken(&mut self, slot: usize, context: &mut HandlerContext<'_>) {
        if let Some(place) = self.places.get(slot) {
            // A swap, as in `wake_by_ref`: the poll sees an earlier wake, and a later one adds the slot again.
            place.slot.told.swap(false, Ordering::AcqRel);
        }
        self.poll(slot, context);
    }

    /// Frees the slots, if no handler runs.
    pub(super) fn shrink(&mut self) {
        if self.running == 0 {
            self.places = Vec::new();
            self.scratch = Vec::new();
            self.due = VecDeque::new();
            self.ended = Vec::new();
            if let Some(woken) = &self.woken {
                woken.shrink();
            }
        }
    }

    fn poll(&mut self, slot: usize, lent: &mut HandlerContext<'_>) {
        let Some(place) = self.places.get_mut(slot) else { return };
        let Some((call, handler)) = &mut place.running else { return };
        let mut cx = Context::from_waker(&place.waker);
        let polled = catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(&mut cx, lent)));
        if matches!(polled, Ok(Poll::Pending)) {
            return;
        }
        if polled.is_err() {
            panicked(lent.shared, *call);
        }
        self.running = self.running.saturating_sub(1);
        if let Some((_, done)) = place.running.take() {
            discard(done);
        }
    }
}

/// Drops the remaining handlers when the connection is over.
impl Drop for Handlers {
    fn drop(&mut self) {
        self.ended.drain(..).for_each(discard);
        for place in &mut self.places {
            if let Some((_, handler)) = place.running.take() {
                discard(handler);
            }
        }
    }
}

/// Drops a handler. What it holds is foreign code, whose panic must not affect other calls.
fn discard(handler: Handler) {
    // The panic cannot be reported to any caller.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(handler)));
}

/// Ends the call of a handler that panicked, and no other.
#[cold]
fn panicked(shared: &Shared<Server>, call: CallId) {
    finish(shared, call, Status::internal("the handler panicked"));
}
