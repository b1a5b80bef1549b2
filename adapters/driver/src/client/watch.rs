//! Notices of a connection to its owner, apart from its calls.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use atomic_waker::AtomicWaker;

/// The state of a connection.
#[derive(Default, Debug)]
pub(crate) struct LinkWatch {
    settings: AtomicBool,
    going_away: AtomicBool,
    too_many_pings: AtomicBool,
    owner: AtomicWaker,
}

impl LinkWatch {
    /// Notes that the server's SETTINGS arrived. Returns the waker to wake.
    pub(super) fn heard_settings(&self) -> Option<Waker> {
        self.settings.store(true, Ordering::Release);
        self.owner.take()
    }

    /// Notes that the server sent GOAWAY. Returns the waker to wake.
    pub(super) fn heard_goaway(&self, too_many_pings: bool) -> Option<Waker> {
        self.too_many_pings.fetch_or(too_many_pings, Ordering::Release);
        self.going_away.store(true, Ordering::Release);
        self.owner.take()
    }

    /// Registers a waker for the next notice; check the state after this.
    pub(crate) fn register(&self, waker: &Waker) {
        self.owner.register(waker);
    }

    /// Returns whether the server's SETTINGS arrived.
    pub(crate) fn has_settings(&self) -> bool {
        self.settings.load(Ordering::Acquire)
    }

    /// Returns whether the server sent GOAWAY.
    pub(crate) fn is_going_away(&self) -> bool {
        self.going_away.load(Ordering::Acquire)
    }

    /// Returns whether that GOAWAY was for too many PINGs.
    pub(crate) fn has_too_many_pings(&self) -> bool {
        self.too_many_pings.load(Ordering::Acquire)
    }
}
