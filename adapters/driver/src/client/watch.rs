//! What the owner of a connection hears of it, beside its calls.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use atomic_waker::AtomicWaker;

/// How far a connection has come.
#[derive(Default, Debug)]
pub(crate) struct LinkWatch {
    settings: AtomicBool,
    going_away: AtomicBool,
    too_many_pings: AtomicBool,
    owner: AtomicWaker,
}

impl LinkWatch {
    /// Notes that the server's SETTINGS came. Returns whom to wake.
    pub(super) fn heard_settings(&self) -> Option<Waker> {
        self.settings.store(true, Ordering::Release);
        self.owner.take()
    }

    /// Notes that the server said GOAWAY. Returns whom to wake.
    pub(super) fn heard_goaway(&self, too_many_pings: bool) -> Option<Waker> {
        self.too_many_pings.fetch_or(too_many_pings, Ordering::Release);
        self.going_away.store(true, Ordering::Release);
        self.owner.take()
    }

    /// Wakes `waker` when there is news: ask for them after this.
    pub(crate) fn register(&self, waker: &Waker) {
        self.owner.register(waker);
    }

    /// Returns whether the server's SETTINGS came.
    pub(crate) fn has_settings(&self) -> bool {
        self.settings.load(Ordering::Acquire)
    }

    /// Returns whether the server said GOAWAY.
    pub(crate) fn is_going_away(&self) -> bool {
        self.going_away.load(Ordering::Acquire)
    }

    /// Returns whether it said that for too many PINGs.
    pub(crate) fn has_too_many_pings(&self) -> bool {
        self.too_many_pings.load(Ordering::Acquire)
    }
}
