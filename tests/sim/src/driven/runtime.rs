//! A runtime that helps nobody: tasks run only when the waker of their last poll was woken, and time jumps to the next
//! timer when no task can run.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use halfclose::Time;
use halfclose_driver::{Clock, Timer};

/// Locks what no other thread holds.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A clock whose timers wake their tasks when the time is set past them.
#[derive(Clone, Default)]
pub(super) struct VirtualClock(Arc<Mutex<Timers>>);

#[derive(Default)]
struct Timers {
    now: Time,
    /// By timer: when, and whom it wakes.
    timers: Vec<Option<(Time, Waker)>>,
    free: Vec<usize>,
}

impl VirtualClock {
    /// Goes to the next timer and wakes whoever waits for that time. Returns whether there is one by `until`.
    fn tick(&self, until: Time) -> bool {
        let mut all = lock(&self.0);
        let next = all.timers.iter().flatten().map(|(at, _)| *at).min();
        let Some(at) = next.filter(|at| *at <= until) else { return false };
        all.now = all.now.max(at);
        let due: Vec<_> =
            all.timers.iter_mut().filter_map(|timer| timer.take_if(|(due, _)| *due <= at)).collect();
        drop(all);
        due.into_iter().for_each(|(_, waker)| waker.wake());
        true
    }

    /// Sleeps until `at`.
    pub(super) async fn sleep_until(&self, at: Time) {
        let mut timer = self.timer();
        std::future::poll_fn(|cx| timer.poll_at(cx, at)).await;
    }
}

impl Clock for VirtualClock {
    type Timer = VirtualTimer;

    fn now(&self) -> Time {
        lock(&self.0).now
    }

    fn timer(&self) -> VirtualTimer {
        let mut all = lock(&self.0);
        let index = all.free.pop().unwrap_or_else(|| {
            all.timers.push(None);
            all.timers.len() - 1
        });
        VirtualTimer { clock: self.clone(), index }
    }
}

pub(super) struct VirtualTimer {
    clock: VirtualClock,
    index: usize,
}

impl Timer for VirtualTimer {
    fn poll_at(&mut self, cx: &mut Context<'_>, at: Time) -> Poll<()> {
        let mut all = lock(&self.clock.0);
        if all.now >= at {
            all.timers[self.index] = None;
            return Poll::Ready(());
        }
        all.timers[self.index] = Some((at, cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for VirtualTimer {
    fn drop(&mut self) {
        let mut all = lock(&self.clock.0);
        let waker = all.timers[self.index].take();
        all.free.push(self.index);
        drop(all);
        drop(waker);
    }
}

/// The waker of one poll. It wakes its task as long as it is the last one.
struct PollWaker {
    woken: AtomicBool,
    /// How many of them there are.
    alive: Arc<AtomicUsize>,
}

impl Wake for PollWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
    }
}

impl Drop for PollWaker {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

struct VirtualTask {
    name: String,
    future: Pin<Box<dyn Future<Output = ()>>>,
    waker: Arc<PollWaker>,
}

/// The tasks of one run.
#[derive(Default)]
pub(super) struct Executor {
    pub(super) clock: VirtualClock,
    tasks: Vec<VirtualTask>,
    alive: Arc<AtomicUsize>,
    polls: u64,
}

impl Executor {
    fn waker(&self, woken: bool) -> Arc<PollWaker> {
        self.alive.fetch_add(1, Ordering::Relaxed);
        Arc::new(PollWaker { woken: AtomicBool::new(woken), alive: Arc::clone(&self.alive) })
    }

    pub(super) fn spawn(&mut self, name: String, future: impl Future<Output = ()> + 'static) {
        let waker = self.waker(true);
        self.tasks.push(VirtualTask { name, future: Box::pin(future), waker });
    }

    /// Polls every task that was woken, until none is.
    fn settle(&mut self) {
        let mut at = 0;
        let mut idle = 0;
        while idle < self.tasks.len() {
            at = if at >= self.tasks.len() { 0 } else { at };
            if !self.tasks[at].waker.woken.load(Ordering::Relaxed) {
                (at, idle) = (at + 1, idle + 1);
                continue;
            }
            idle = 0;
            self.polls += 1;
            // A waker of its own for each poll: whoever keeps an older one wakes nobody.
            let fresh = self.waker(false);
            let task = &mut self.tasks[at];
            task.waker = Arc::clone(&fresh);
            let waker = Waker::from(fresh);
            if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                drop(self.tasks.remove(at));
            } else {
                at += 1;
            }
        }
    }

    /// Runs until every task whose name begins with `name` is done, or the time is over. Returns those that are not done.
    pub(super) fn run(&mut self, name: &str, span: Duration) -> Vec<String> {
        let until = self.clock.now() + span;
        loop {
            self.settle();
            let open = || self.tasks.iter().map(|task| &task.name).filter(|task| task.starts_with(name));
            if open().next().is_none() || !self.clock.tick(until) {
                return open().cloned().collect();
            }
        }
    }

    /// Returns how often tasks were polled.
    pub(super) const fn polls(&self) -> u64 {
        self.polls
    }

    /// Returns the number of wakers that are kept apart from the tasks.
    pub(super) fn kept_wakers(&self) -> usize {
        self.alive.load(Ordering::Relaxed) - self.tasks.len()
    }
}
