//! The handlers that run on one connection. They live in the connection's task: a handler is polled in place when its
//! call arrives, and most are done by then. Those that wait keep their place, and only those that were woken are
//! polled again.

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

/// What the driver lends to handlers for a poll.
pub(super) struct HandlerContext<'a> {
    pub(super) shared: &'a Arc<Shared<Server>>,
    /// Where they leave the answers of their calls.
    pub(super) answers: &'a mut Vec<Answer>,
    /// When those that have not had their turn wait for the next one.
    pub(super) until: Time,
}

impl HandlerContext<'_> {
    /// Returns whether the others come first now. Asked between two handlers: one by itself is never interrupted.
    pub(super) fn is_over(&self) -> bool {
        self.shared.now() >= self.until
    }
}

/// What serves one call: a future, but for what is lent to it for each poll. A short call need not keep the connection.
pub(super) trait Serve: Send {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, lent: &mut HandlerContext<'_>) -> Poll<()>;
}

/// A future that has all it needs.
impl<F: Future<Output = ()> + Send> Serve for F {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, _: &mut HandlerContext<'_>) -> Poll<()> {
        Future::poll(self, cx)
    }
}

/// A handler that runs.
pub(super) type Handler = Pin<Box<dyn Serve>>;

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

    fn shrink(&self) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).shrink_to_fit();
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
    /// Handlers whose calls are over: to be dropped outside of the lock, since what they hold gives commands.
    ended: Vec<Handler>,
    /// The slots of handlers that were woken and have not been polled for it, in that order.
    due: VecDeque<usize>,
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
        // A slot that was woken for an earlier handler is polled once more for that: until then no wake is missed.
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

    /// The call is over, whatever its handler still meant to do.
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

    /// Returns whether the last `run` left something for the next one.
    pub(super) fn has_rest(&self) -> bool {
        !self.ended.is_empty() || !self.due.is_empty()
    }

    /// Drops the handlers whose calls are over and polls those that were woken, until the time of this turn is over. At
    /// least one of them has its turn, unless `others` had theirs.
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
            // An exchange, as in `wake_by_ref`: a wake that comes first is seen by the poll, a later one adds the slot
            // again.
            place.slot.told.swap(false, Ordering::AcqRel);
        }
        self.poll(slot, context);
    }

    /// Gives the places back, if no handler runs.
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

/// A connection that is over drops the handlers that are left on it.
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

/// Drops a handler. What it holds is foreign code too: if that panics, it concerns no other call.
fn discard(handler: Handler) {
    // There is nobody to tell.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(handler)));
}

/// A handler that panics ends its own call, and no other.
#[cold]
fn panicked(shared: &Shared<Server>, call: CallId) {
    finish(shared, call, Status::internal("the handler panicked"));
}
