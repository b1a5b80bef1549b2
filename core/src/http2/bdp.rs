//! Grows receive windows to the bandwidth-delay product of the path (docs/decisions/windows.md).
//!
//! A window limits its sender if as many bytes as the window allows arrive within about one round trip. PINGs measure
//! the round trip, because the peer answers them at once (RFC 9113 §6.7). How long a window takes to turn over is
//! measured when its credit is returned. A stream returns credit when its reader takes messages, so the window of a
//! reader that does not keep up never grows.

use std::time::Duration;

use crate::config::Config;
use crate::time::Time;

/// The payload of the PINGs that measure the round trip.
pub(super) const MEASURE_PING: [u8; 8] = *b"hc-round";

/// Bytes to which every window under pressure may grow, whatever the path: the window that 1 GB/s needs with a round
/// trip of 1 ms.
const LEAST_GROWN: u32 = 1 << 20;

/// The rate assumed for a path until one has been measured, in bytes per microsecond: one gigabit per second. Windows
/// grow at once to the product of this rate and the round trip, but not beyond [`MOST_GUESSED`].
const GUESSED_BYTES_PER_MICROSECOND: u64 = 125;
const MOST_GUESSED: u32 = 8 << 20;

/// Size in bytes up to which a window grows by a larger step if the path needs a large one.
const SMALL_WINDOW: u32 = 64 * 1024;

/// A gap between received bytes from which the sender is assumed to have paused, so the gap is not a round trip.
const PAUSE: Duration = Duration::from_secs(1);

/// Time without credit after which the estimate of the path is forgotten, and windows that grew shrink.
const IDLE: Duration = Duration::from_secs(10);

/// Returns how many bytes a stream owes before it returns credit, for a window of `target` bytes: half of a window
/// that grows by pressure, and an eighth of a larger one, because owed bytes are missing from the window.
#[inline]
pub(super) const fn credit_step(target: u32) -> u32 {
    if target < LEAST_GROWN { target / 2 } else { target / 8 }
}

/// Returns how many WINDOW_UPDATEs a peer can cause at most by using `window` bytes of the connection once: on
/// streams with large windows, and for the connection itself.
pub(super) const fn updates_of_large_windows(window: u32) -> u32 {
    window / credit_step(LEAST_GROWN) + 8
}

/// Measures how long a window takes to turn over: the time until three quarters of it have been credited. Not all of
/// it, because the bytes owed are missing from each round trip.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Turnover {
    began: Time,
    /// When bytes were last credited.
    last: Time,
    bytes: u32,
}

impl Turnover {
    fn restart(&mut self, now: Time) {
        *self = Self { began: now, last: now, bytes: 0 };
    }

    /// Returns whether nothing has been credited for [`IDLE`].
    pub(super) fn is_idle(&self, now: Time) -> bool {
        now - self.last >= IDLE
    }

    /// Counts credited bytes. Returns how long the window took, once it has turned over without a pause of the
    /// sender.
    fn count(&mut self, now: Time, bytes: u32, window: u32) -> Option<Duration> {
        if now - self.last > PAUSE {
            self.restart(now);
        }
        self.last = now;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes < window - window / 4 {
            return None;
        }
        let took = now - self.began;
        self.restart(now);
        Some(took)
    }
}

/// The estimate of the path from the peer, and the connection's window, which follows from it.
#[derive(Debug)]
pub(super) struct PathEstimate {
    /// When our SETTINGS were sent, until they are acknowledged.
    settings_sent: Option<Time>,
    /// The shortest round trip that a PING has measured.
    round_trip: Option<Duration>,
    /// The last estimate of the round trip, at first from the acknowledgement of our SETTINGS. A turnover much slower
    /// than this is not worth a PING.
    rough: Duration,
    /// When the outstanding PING was sent.
    ping_sent: Option<Time>,
    /// Whether a measurement would help: a window is under pressure and the round trip is unknown, or the window has
    /// grown since it was measured.
    wants_measurement: bool,
    /// Bytes of DATA that had arrived when the last PING was answered.
    received_at_answer: u64,
    /// Bytes of DATA whose connection credit has been settled.
    settled: u64,
    /// The highest rate at which the connection's window has turned over, in bytes per second.
    fastest: u64,
    turnover: Turnover,
    /// The size at which the connection's window is kept.
    target: u32,
    /// Bytes that the peer may send beyond the target; credit is held back until they are gone.
    excess: u32,
    /// The connection's initial window, to which it also shrinks.
    least: u32,
    /// The largest window that the connection may reach.
    most: u32,
    /// The largest window that a stream may reach. `pressed_below` is the size below which a stream's window grows by
    /// pressure.
    most_stream: u32,
    pressed_below: u32,
    /// The window that the path is assumed to need until its rate has been measured.
    guess: u32,
}

impl PathEstimate {
    pub(super) fn new(config: &Config, now: Time) -> Self {
        let least = config.connection_window;
        Self {
            settings_sent: Some(now),
            round_trip: None,
            ping_sent: None,
            rough: Duration::ZERO,
            wants_measurement: false,
            received_at_answer: 0,
            settled: 0,
            fastest: 0,
            turnover: Turnover { began: now, last: now, bytes: 0 },
            target: least,
            excess: 0,
            least,
            most: config.max_connection_window,
            most_stream: config.max_stream_window,
            pressed_below: config.max_stream_window.min(LEAST_GROWN),
            guess: LEAST_GROWN,
        }
    }

    /// Sets the guess from a round trip and an assumed rate.
    fn guess_from(&mut self, round_trip: Duration) {
        let micros = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
        let product = micros.saturating_mul(GUESSED_BYTES_PER_MICROSECOND).min(u64::from(MOST_GUESSED));
        self.guess = u32::try_from(product).unwrap_or(MOST_GUESSED).max(LEAST_GROWN);
    }

    /// Takes a first estimate of the round trip from the acknowledgement of our SETTINGS.
    pub(super) fn settings_acked(&mut self, now: Time) {
        if let Some(sent) = self.settings_sent.take() {
            self.rough = now - sent;
            self.guess_from(self.rough);
        }
    }

    /// Returns how many bytes the connection may owe before it returns credit.
    #[inline]
    pub(super) const fn credit_step(&self) -> u32 {
        self.target / 8
    }

    /// Returns the size below which a stream's window grows by how much of it is in use.
    #[inline]
    pub(super) const fn pressed_below(&self) -> u32 {
        self.pressed_below
    }

    /// Returns the connection's window plus unsent credit: the target and the excess over it.
    #[cfg(debug_assertions)]
    pub(super) fn allowed(&self) -> i64 {
        i64::from(self.target) + i64::from(self.excess)
    }

    /// Settles `owed` bytes that arrived on the connection. Returns the credit for them: more if the window grows,
    /// less if it shrinks.
    pub(super) fn settle(&mut self, now: Time, owed: u32) -> u32 {
        self.settled = self.settled.saturating_add(u64::from(owed));
        if self.turnover.is_idle(now) {
            self.forget();
        }
        let guessed = self.guess.min(self.most);
        let growth = if self.target < guessed {
            self.grow_connection(now, guessed - self.target)
        } else if let Some(took) = self.turnover.count(now, owed, self.target) {
            self.judge_connection(now, took)
        } else {
            0
        };
        // Growth first cancels an excess that has not been held back yet.
        let kept = growth.min(self.excess);
        self.excess -= kept;
        let held_back = owed.min(self.excess);
        self.excess -= held_back;
        (owed - held_back).saturating_add(growth - kept)
    }

    /// Returns by how much a stream's window grows, now that `credited` bytes are returned. `pressed` says that more
    /// than half of it was in use at once and its reader keeps up.
    ///
    /// The window doubles, or grows faster towards what the path is assumed to need, because each step costs a round
    /// trip.
    pub(super) fn stream_growth(
        &self,
        turnover: &mut Turnover,
        now: Time,
        credited: u32,
        target: u32,
        pressed: bool,
    ) -> u32 {
        let goal = if target < LEAST_GROWN {
            turnover.restart(now);
            if !pressed {
                return 0;
            }
            // Only the first step is larger: a reader that keeps up with a small window may not keep up with a large
            // one.
            let factor = if self.guess > LEAST_GROWN && target <= SMALL_WINDOW { 8 } else { 2 };
            target.saturating_mul(factor).min(LEAST_GROWN)
        } else {
            let took = turnover.count(now, credited, target);
            if !took.is_some_and(|took| self.holds_up(took)) {
                return 0;
            }
            target.saturating_mul(4).min(self.guess).max(target.saturating_mul(2))
        };
        goal.min(self.most_stream).saturating_sub(target)
    }

    /// Starts a new measurement for a stream whose window has grown from `target`.
    pub(super) fn stream_grew(&mut self, turnover: &mut Turnover, now: Time, target: u32) {
        self.wants_measurement |= self.round_trip.is_none() || target >= LEAST_GROWN;
        turnover.restart(now);
    }

    /// Returns whether a PING has to be sent now to measure the round trip, and records it as sent. `owed` is the
    /// number of bytes that arrived on the connection and are not settled.
    ///
    /// One PING is outstanding at a time, and the next waits for DATA that arrives after the answer to the last. So
    /// the peer has always sent DATA between two PINGs, and a server that counts PINGs without DATA (gRFC A8) counts
    /// none of them.
    pub(super) fn begin_measurement(&mut self, now: Time, owed: u32) -> bool {
        let may_grow = self.most_stream > LEAST_GROWN || self.most > self.least.max(LEAST_GROWN);
        let due = may_grow
            && self.wants_measurement
            && self.ping_sent.is_none()
            && self.received(owed) > self.received_at_answer;
        if due {
            self.ping_sent = Some(now);
            self.wants_measurement = false;
        }
        due
    }

    /// Records the round trip, now that the PING has been answered.
    pub(super) fn end_measurement(&mut self, now: Time, owed: u32) {
        let Some(sent) = self.ping_sent.take() else { return };
        let round_trip = now - sent;
        let shortest = self.round_trip.map_or(round_trip, |shortest| shortest.min(round_trip));
        (self.round_trip, self.rough) = (Some(shortest), shortest);
        self.guess_from(shortest);
        self.received_at_answer = self.received(owed);
    }

    fn received(&self, owed: u32) -> u64 {
        self.settled.saturating_add(u64::from(owed))
    }

    /// Returns whether a window limits its sender, given that three quarters of it turned over in `took`.
    ///
    /// If it does, that takes at most one round trip, or one and a quarter just after the window has doubled, when
    /// the first round trip still carries what the old window allowed. Growth ends at 1.8 times the bandwidth-delay
    /// product.
    fn holds_up(&self, took: Duration) -> bool {
        self.round_trip.is_some_and(|round_trip| took.saturating_mul(8) < round_trip.saturating_mul(11))
    }

    fn grow_connection(&mut self, now: Time, growth: u32) -> u32 {
        self.target += growth;
        self.wants_measurement = true;
        self.turnover.restart(now);
        growth
    }

    fn judge_connection(&mut self, now: Time, took: Duration) -> u32 {
        let rate = u64::from(self.target).saturating_mul(1_000_000)
            / u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        if self.holds_up(took) {
            self.fastest = self.fastest.max(rate);
            let growth = self.target.min(self.most - self.target);
            return if growth > 0 { self.grow_connection(now, growth) } else { 0 };
        }
        if self.round_trip.is_none() {
            self.wants_measurement |= took < self.rough.saturating_mul(2);
        } else if rate < self.fastest / 2 {
            // The path may have become longer: the round trip of the old one would keep the window too small.
            self.round_trip = None;
            self.wants_measurement = true;
            self.fastest = rate;
        }
        self.fastest = self.fastest.max(rate);
        0
    }

    /// Forgets the path after a time without traffic, because it may have changed.
    fn forget(&mut self) {
        self.round_trip = None;
        self.wants_measurement = false;
        self.fastest = 0;
        self.excess = self.excess.saturating_add(self.target - self.least);
        self.target = self.least;
    }
}

#[cfg(test)]
mod tests;
