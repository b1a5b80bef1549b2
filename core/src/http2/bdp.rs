//! How far receive windows grow: as far as the bandwidth-delay product of the path asks for (docs/decisions/windows.md).
//!
//! A window holds its sender up where as many bytes as it allows come within about one round trip. The round trip is
//! measured by PINGs, which the peer answers at once (RFC 9113 §6.7); how long a window takes to turn over is seen where
//! its credit is returned. For a stream that is where its reader takes messages, so the window of a reader that does
//! not keep up never grows.

use std::time::Duration;

use crate::config::Config;
use crate::time::Time;

/// The payload of the PINGs that measure the round trip.
pub(super) const MEASURE_PING: [u8; 8] = *b"hc-round";

/// Windows grow to this whatever the path is: what one of a millisecond needs for a gigabyte a second.
const LEAST_GROWN: u32 = 1 << 20;

/// Until it is seen what a path carries, it is taken for one of a gigabit a second: windows grow to what that needs in its
/// round trip at once, and no further than [`MOST_GUESSED`].
const GUESSED_BYTES_PER_MICROSECOND: u64 = 125;
const MOST_GUESSED: u32 = 8 << 20;

/// A window of this size grows by a larger step where the path needs a large one.
const SMALL_WINDOW: u32 = 64 * 1024;

/// Between bytes that are so far apart lies a pause of the sender's, and no round trip.
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of a path is forgotten when nothing was credited for so long, and windows that grew shrink.
const IDLE: Duration = Duration::from_secs(10);

/// Returns how many bytes a stream is owed before credit returns, for a window of `target` bytes: half of one that grows by
/// how much of it is used, and a small part of a larger one, since what is owed is missing from the window.
#[inline]
pub(super) const fn credit_step(target: u32) -> u32 {
    if target < LEAST_GROWN { target / 2 } else { target / 8 }
}

/// Returns how many updates at most a peer can call for by using up `window` of the connection once, on streams with large
/// windows, and for the connection's own.
pub(super) const fn updates_of_large_windows(window: u32) -> u32 {
    window / credit_step(LEAST_GROWN) + 8
}

/// How long a window takes to turn over: until three quarters of what it allows were credited. Not all of it, since what
/// is owed for is missing from each round trip.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Turnover {
    began: Time,
    /// When bytes were credited last.
    last: Time,
    bytes: u32,
}

impl Turnover {
    fn restart(&mut self, now: Time) {
        *self = Self { began: now, last: now, bytes: 0 };
    }

    /// Returns whether nothing was credited for a long time.
    pub(super) fn is_idle(&self, now: Time) -> bool {
        now - self.last >= IDLE
    }

    /// Counts credited bytes. Returns how long the window took, once it turned over without a pause of the sender's.
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

/// What is known of the path from the peer, and the connection's window, which follows from it.
#[derive(Debug)]
pub(super) struct PathEstimate {
    /// When our SETTINGS were sent, until they are acknowledged.
    settings_sent: Option<Time>,
    /// The shortest round trip that was measured by a PING.
    round_trip: Option<Duration>,
    /// What the round trip was when it was last seen, by our SETTINGS at first: the least that it takes to be worth a PING.
    rough: Duration,
    /// When the PING was sent that is under way.
    ping_sent: Option<Time>,
    /// Whether a measurement would serve: a window is under pressure and the round trip is not known, or it has grown
    /// since.
    wants_measurement: bool,
    /// Bytes of DATA that had come when the last PING was answered.
    received_at_answer: u64,
    /// Bytes of DATA for which the connection's credit is settled.
    settled: u64,
    /// The most bytes a second at which the connection's window turned over.
    fastest: u64,
    turnover: Turnover,
    /// The window that the connection is kept at.
    target: u32,
    /// What the peer may send beyond the target, until credit is held back for it.
    excess: u32,
    /// Where the connection's window begins, and comes back to.
    least: u32,
    /// How far it may grow.
    most: u32,
    /// How far a stream's may grow, and below which size it does so by how much of it is used.
    most_stream: u32,
    pressed_below: u32,
    /// What the path is taken to need until its rate is seen.
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

    /// Takes the path for one of this round trip and an ordinary rate.
    fn guess_from(&mut self, round_trip: Duration) {
        let micros = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
        let product = micros.saturating_mul(GUESSED_BYTES_PER_MICROSECOND).min(u64::from(MOST_GUESSED));
        self.guess = u32::try_from(product).unwrap_or(MOST_GUESSED).max(LEAST_GROWN);
    }

    /// The peer has acknowledged our SETTINGS: it took a round trip at least.
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

    /// Returns below which size a stream's window grows by how much of it is used.
    #[inline]
    pub(super) const fn pressed_below(&self) -> u32 {
        self.pressed_below
    }

    /// Settles `owed` bytes that came on the connection. Returns the credit for them: more where the window is to grow,
    /// less where it shrinks.
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
        // A window that shrinks and grows at once stays.
        let kept = growth.min(self.excess);
        self.excess -= kept;
        let held_back = owed.min(self.excess);
        self.excess -= held_back;
        (owed - held_back).saturating_add(growth - kept)
    }

    /// Returns by how much the window of a stream is to grow, of which `credited` bytes return now. `pressed` tells that
    /// more than half of it was used at once, and its reader keeps up.
    ///
    /// It doubles, or goes faster to what the path is taken to need, since each step costs a round trip.
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
            // The first step is the largest: a reader that keeps up with so little is no sign that it will with much.
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

    /// A stream's window has grown from `target`: it is judged anew.
    pub(super) fn stream_grew(&mut self, turnover: &mut Turnover, now: Time, target: u32) {
        self.wants_measurement |= self.round_trip.is_none() || target >= LEAST_GROWN;
        turnover.restart(now);
    }

    /// Returns whether a PING is to go out now to measure the round trip, and notes it as sent. `owed` are the bytes that
    /// came on the connection and are not settled.
    ///
    /// There is one under way at a time, and none before DATA has come since the last was answered: between two of them
    /// the peer has sent DATA after it received the first, so that a server that counts PINGs without DATA (gRFC A8)
    /// counts none of them.
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

    /// The PING was answered.
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

    /// Returns whether a window holds its sender up, three quarters of which were used in so long.
    ///
    /// Where it does, that takes a round trip at most, and one and a quarter just after the window has doubled, when the
    /// first round trip still brings what the old one allowed. Growth ends where the window is 1.8 times the
    /// bandwidth-delay product.
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
            // The path may have become longer: what was measured on the old one would keep the window too small.
            self.round_trip = None;
            self.wants_measurement = true;
            self.fastest = rate;
        }
        self.fastest = self.fastest.max(rate);
        0
    }

    /// After a while without traffic the path is a new one.
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
