//! Graceful shutdown of many connections at once.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use crate::outside;
use crate::shared::Signal;
use crate::wakers::{WaitPlace, Waiter, WakerSet};

/// A switch that shuts down any number of connections gracefully ([P-94](halfclose::manual::rules#p-94)): they accept
/// no new calls and close after the last one. It also reports when they have. Clones are the same switch.
///
/// ```
/// use halfclose_driver::Shutdown;
///
/// let shutdown = Shutdown::new();
/// assert!(!shutdown.is_triggered());
/// shutdown.trigger();
/// assert!(shutdown.is_triggered());
/// ```
#[derive(Clone, Default)]
pub struct Shutdown {
    switch: Arc<Switch>,
}

#[derive(Default)]
struct Switch {
    triggered: AtomicBool,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    /// The open connections, in the order in which they were opened.
    connections: BTreeMap<u64, Arc<Signal>>,
    /// Tasks that wait for the trigger or for the last connection. They are woken without the lock held, because an
    /// executor may drop a connection's driver with its last waker, which takes this lock.
    waiting: WakerSet,
}

impl Switch {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_triggered(&self) -> bool {
        self.triggered.load(Ordering::Acquire)
    }
}

impl Shutdown {
    /// Makes a switch that has not been triggered.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Triggers the shutdown.
    pub fn trigger(&self) {
        self.switch.triggered.store(true, Ordering::Release);
        let mut open = self.switch.lock();
        let connections: Vec<_> = open.connections.values().map(Arc::clone).collect();
        let waiting = open.waiting.take();
        drop(open);
        for signal in connections {
            signal.tell();
        }
        waiting.for_each(outside::wake);
    }

    /// Returns whether the shutdown was triggered.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        self.switch.is_triggered()
    }

    /// Waits until the shutdown is triggered.
    pub fn triggered(&self) -> impl Future<Output = ()> + Send + Unpin + use<> {
        Until::new(&self.switch, |switch, _| switch.is_triggered())
    }

    /// Waits until the shutdown is triggered and every connection has closed.
    pub fn drained(&self) -> impl Future<Output = ()> + Send + Unpin + use<> {
        Until::new(&self.switch, |switch, open| switch.is_triggered() && open.connections.is_empty())
    }

    /// Returns the number of open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.switch.lock().connections.len()
    }

    pub(crate) fn watch(&self, signal: &Arc<Signal>) -> Watch {
        let mut open = self.switch.lock();
        let id = open.next;
        open.next = id.wrapping_add(1);
        open.connections.insert(id, Arc::clone(signal));
        Watch { switch: Arc::clone(&self.switch), id, heard: false }
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").field("triggered", &self.is_triggered()).finish_non_exhaustive()
    }
}

/// A connection's registration at the switch; the connection counts as open until this is dropped.
pub(crate) struct Watch {
    switch: Arc<Switch>,
    id: u64,
    heard: bool,
}

impl Watch {
    /// Returns whether the shutdown was triggered and the connection does not know yet.
    pub(crate) fn has_news(&self) -> bool {
        !self.heard && self.switch.is_triggered()
    }

    /// Returns the same as `has_news`, once: the connection knows afterwards.
    pub(crate) fn is_news(&mut self) -> bool {
        let news = self.has_news();
        self.heard |= news;
        news
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut open = self.switch.lock();
        let signal = open.connections.remove(&self.id);
        let waiting = open.connections.is_empty().then(|| open.waiting.take());
        drop(open);
        // Dropping the signal may drop its waker, which runs foreign code.
        drop(signal);
        waiting.into_iter().flatten().for_each(outside::wake);
    }
}

struct Until {
    switch: Arc<Switch>,
    reached: fn(&Switch, &Open) -> bool,
    place: WaitPlace,
}

impl Until {
    fn new(switch: &Arc<Switch>, reached: fn(&Switch, &Open) -> bool) -> Self {
        Self { switch: Arc::clone(switch), reached, place: WaitPlace::default() }
    }
}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { switch, reached, place } = self.get_mut();
        let mut waiter = Waiter::new(cx.waker());
        loop {
            let mut open = switch.lock();
            if reached(switch, &open) {
                return Poll::Ready(());
            }
            let stale = open.waiting.wait(place, &mut waiter);
            drop(open);
            stale.into_iter().for_each(outside::discard_waker);
            if !waiter.clone_if_wanted() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Until {
    fn drop(&mut self) {
        let mut open = self.switch.lock();
        let waker = open.waiting.leave(&mut self.place);
        drop(open);
        waker.into_iter().for_each(outside::discard_waker);
    }
}
