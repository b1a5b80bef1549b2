//! The connection that a driver shares with the calls on it, and how each wakes the other.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use atomic_waker::AtomicWaker;
use halfclose::{CallId, Connection, Event, Metadata, Role, Time};

/// Tells a driver that its connection has work for it.
///
/// While the driver runs, or once it has been told, telling it again costs one atomic exchange.
#[derive(Default)]
pub(crate) struct Signal {
    told: AtomicBool,
    driver: AtomicWaker,
}

impl Signal {
    /// The driver should look at its connection.
    #[inline]
    pub(crate) fn tell(&self) {
        if !self.told.swap(true, Ordering::AcqRel) {
            self.driver.wake();
        }
    }

    /// The driver is about to sleep: from now on `tell` wakes it. What was told before must be looked at after this.
    pub(crate) fn sleep(&self, waker: &Waker) {
        self.driver.register(waker);
        // An exchange, as in `tell`: of the two one comes first, and the other sees all that came before it.
        self.told.swap(false, Ordering::AcqRel);
    }

    /// The driver is awake: nobody needs to wake it.
    pub(crate) fn awake(&self) {
        self.told.store(true, Ordering::Release);
    }
}

/// Who waits for a call, and what its handler leaves for its end.
#[derive(Default)]
struct Waiting {
    receiver: Option<Waker>,
    sender: Option<Waker>,
    trailers: Option<Box<Metadata>>,
}

/// A connection, and who waits for what on it.
pub struct State<R: Role> {
    pub(crate) connection: Connection<R>,
    /// By slot of the call.
    waiting: Vec<Waiting>,
    /// Tasks that wait for the driver's end, and whether it came.
    closing: Vec<Waker>,
    gone: bool,
}

impl<R: Role> State<R> {
    fn waiting(&mut self, call: CallId) -> Option<&mut Waiting> {
        self.waiting.get_mut(call.slot())
    }

    fn waiting_or_new(&mut self, call: CallId) -> Option<&mut Waiting> {
        if self.waiting.len() <= call.slot() {
            self.waiting.resize_with(call.slot().saturating_add(1), Waiting::default);
        }
        self.waiting(call)
    }

    /// Wakes `waker` when there is something to receive.
    pub(crate) fn wait_to_receive(&mut self, call: CallId, waker: &Waker) {
        if let Some(waiting) = self.waiting_or_new(call) {
            set_waker(&mut waiting.receiver, waker);
        }
    }

    /// Wakes `waker` when there is room to send.
    pub(crate) fn wait_to_send(&mut self, call: CallId, waker: &Waker) {
        if let Some(waiting) = self.waiting_or_new(call) {
            set_waker(&mut waiting.sender, waker);
        }
    }

    /// Keeps metadata for the trailers of a server's call.
    pub(crate) fn add_trailers(&mut self, call: CallId, metadata: &Metadata) {
        if self.connection.states(call).is_ok()
            && let Some(waiting) = self.waiting_or_new(call)
        {
            waiting.trailers.get_or_insert_default().merge(metadata);
        }
    }

    /// What was kept for the trailers.
    pub(crate) fn take_trailers(&mut self, call: CallId) -> Metadata {
        let kept = self.waiting(call).and_then(|waiting| waiting.trailers.take());
        kept.map_or_else(Metadata::new, |trailers| *trailers)
    }

    /// Wakes whoever waits for what an event tells.
    pub(crate) fn wake(&mut self, event: &Event) {
        match event {
            Event::Readable(call) | Event::Response(call) => {
                wake(self.waiting(*call).and_then(|waiting| waiting.receiver.take()));
            }
            Event::Writable(call) => wake(self.waiting(*call).and_then(|waiting| waiting.sender.take())),
            Event::Ended(call, _) => self.wake_ended(*call),
            Event::Closed(_) => self.wake_all(),
            _ => {}
        }
    }

    fn wake_ended(&mut self, call: CallId) {
        if let Some(waiting) = self.waiting(call) {
            let ended = std::mem::take(waiting);
            wake(ended.receiver);
            wake(ended.sender);
        }
    }

    /// The driver has ended: the transport is closed.
    pub(crate) fn driver_gone(&mut self) {
        self.gone = true;
        for waker in self.closing.drain(..) {
            waker.wake();
        }
    }

    /// Ready when the driver has ended.
    pub(crate) fn poll_gone(&mut self, waker: &Waker) -> Poll<()> {
        if self.gone {
            return Poll::Ready(());
        }
        if !self.closing.iter().any(|waiting| waiting.will_wake(waker)) {
            self.closing.push(waker.clone());
        }
        Poll::Pending
    }

    fn wake_all(&mut self) {
        for waiting in &mut self.waiting {
            wake(waiting.receiver.take());
            wake(waiting.sender.take());
        }
    }

    /// Gives memory back that only serves speed.
    pub(crate) fn shrink(&mut self) {
        self.connection.shrink();
        if self.connection.is_idle() {
            self.waiting = Vec::new();
        }
    }
}

fn set_waker(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(old) => old.clone_from(waker),
        None => *place = Some(waker.clone()),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A connection between its driver and its calls.
pub struct Shared<R: Role> {
    state: Mutex<State<R>>,
    pub(crate) signal: Arc<Signal>,
    now: Box<dyn Fn() -> Time + Send + Sync>,
}

impl<R: Role> Shared<R> {
    pub(crate) fn new(connection: Connection<R>, now: Box<dyn Fn() -> Time + Send + Sync>) -> Arc<Self> {
        let state = Mutex::new(State { connection, waiting: Vec::new(), closing: Vec::new(), gone: false });
        Arc::new(Self { state, signal: Arc::default(), now })
    }

    /// The connection, for a moment: never across an await, and never while foreign code runs.
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<R>> {
        // A panic of foreign code cannot happen under the lock, and the core has none.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time by the driver's clock.
    pub(crate) fn now(&self) -> Time {
        (self.now)()
    }

    /// Gives orders to the connection, and tells the driver if there is something to send or to tell now.
    #[inline]
    pub(crate) fn order<T>(&self, orders: impl FnOnce(&mut State<R>) -> T) -> T {
        let mut state = self.lock();
        let result = orders(&mut state);
        let work = state.connection.wants_transmit() || state.connection.has_events();
        drop(state);
        if work {
            self.signal.tell();
        }
        result
    }
}

impl<R: Role> fmt::Debug for Shared<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
