//! What is counted against a peer, each class in a token bucket of its own, and what pays for it.
//!
//! A guard counts what is useless in proportion to what is useful (docs/decisions/abuse.md): messages, calls that end
//! and the passing of time put tokens back. What is useful is only added up, and put into a bucket when that is next
//! asked for a token: that comes to the same, since a bucket holds no more than its burst, and calls pay nothing for it.

use std::time::Duration;

use super::bucket::TokenBucket;
use crate::config::{Config, Rate};
use crate::error::{Flood, Violation};
use crate::grpc::message::PREFIX_LEN;
use crate::time::Time;

/// What every stream that ends puts back: an honest peer may have sent so many frames on it before it knew: two header
/// blocks, an update of its window and a reset.
const LATE_FRAMES: u64 = 4;

/// What the end of a stream that comes late is worth, in bytes of DATA.
const LATE_END: u64 = 1;

/// A call that its client resets later than this was wanted (Envoy takes the same for premature).
const WANTED: Duration = Duration::from_secs(1);
/// A call that is reset sooner than this was hardly meant to be answered.
const INSTANT: Duration = Duration::from_millis(5);

/// One class of abuse.
struct Guard {
    flood: Flood,
    bucket: TokenBucket,
    burst: u32,
    /// How much of what is useful has been put back.
    paid: u64,
}

impl Guard {
    fn new(flood: Flood, rate: Rate) -> Self {
        let bucket = TokenBucket::new(rate.burst, rate.per_second);
        Self { flood, bucket, burst: rate.burst, paid: 0 }
    }

    /// Takes so many quarters of a token, or names the flood. `useful` is what has been of use so far, in tokens.
    fn take(&mut self, now: Time, quarters: u32, useful: u64) -> Result<(), Violation> {
        self.bucket.give(useful.wrapping_sub(self.paid));
        self.paid = useful;
        if self.bucket.take_quarters(now, quarters) { Ok(()) } else { Err(self.flooded()) }
    }

    #[cold]
    fn flooded(&self) -> Violation {
        let limit = u64::from(self.burst);
        Violation::Flood { flood: self.flood, met: limit.saturating_add(1), limit }
    }
}

/// The guards of one connection, and what has been of use on it.
pub(super) struct AbuseLimits {
    control_frames: Guard,
    resets: Guard,
    internal_resets: Guard,
    empty_data: Guard,
    small_data: Guard,
    glitches: Guard,
    /// HEADERS and DATA that were sent, and DATA that brought something; one more for every 256 bytes.
    useful_frames: u64,
    /// Streams that are over.
    ended_streams: u64,
    /// Calls that ended with the status that their server meant.
    good_calls: u64,
    /// Bytes of DATA that the peer may still send on streams that are closed: what their windows allowed, and their ends.
    late_data: u64,
    /// Bytes that were sent on streams that are closed and were not credited yet.
    late_credit: u64,
    /// Calls that were reset since the caller last took an event, and whose end it has not heard of.
    pub(super) pending_resets: u32,
}

impl AbuseLimits {
    pub(super) fn new(config: &Config) -> Self {
        let limits = &config.limits;
        Self {
            control_frames: Guard::new(Flood::ControlFrames, limits.control_frames),
            resets: Guard::new(Flood::Resets, limits.resets),
            internal_resets: Guard::new(Flood::InternalResets, limits.internal_resets),
            empty_data: Guard::new(Flood::DataFrames, limits.empty_data),
            small_data: Guard::new(Flood::DataFrames, limits.small_data),
            glitches: Guard::new(Flood::Glitches, limits.glitches),
            useful_frames: 0,
            ended_streams: 0,
            good_calls: 0,
            late_data: 0,
            late_credit: 0,
            pending_resets: 0,
        }
    }

    /// Notes a frame that is of use, with so many bytes of content.
    #[inline]
    pub(super) const fn useful(&mut self, bytes: usize) {
        self.useful_frames = self.useful_frames.wrapping_add(1 + (bytes as u64 >> 8));
    }

    /// Notes the end of a stream, on which the peer may still credit so many bytes that it was sent.
    #[inline]
    pub(super) fn ended(&mut self, uncredited: i64) {
        self.ended_streams = self.ended_streams.wrapping_add(1);
        if uncredited > 0 {
            self.late_credit = self.late_credit.saturating_add(uncredited.unsigned_abs());
        }
    }

    /// Notes that the peer may still send so many bytes on a stream that this side has closed, and its end.
    pub(super) fn expect_late_data(&mut self, window: i64) {
        let window = u64::try_from(window).unwrap_or(0);
        self.late_data = self.late_data.saturating_add(window).saturating_add(LATE_END);
    }

    /// Notes a call that ended as its server meant it to.
    #[inline]
    pub(super) const fn good_call(&mut self) {
        self.good_calls = self.good_calls.wrapping_add(1);
    }

    /// Returns how many useful frames there have been.
    pub(super) const fn useful_frames(&self) -> u64 {
        self.useful_frames
    }

    const fn useful_so_far(&self) -> u64 {
        self.useful_frames.wrapping_add(self.ended_streams.wrapping_mul(LATE_FRAMES))
    }

    /// PING or SETTINGS, or what costs as much as so many of them.
    pub(super) fn control_frame(&mut self, now: Time, cost: u32) -> Result<(), Violation> {
        let useful = self.useful_so_far();
        // A single frame is no flood, however much it costs.
        let cost = cost.min((self.control_frames.burst / 16).max(1));
        self.control_frames.take(now, cost.saturating_mul(4), useful)
    }

    /// A frame without use.
    pub(super) fn glitch(&mut self, now: Time) -> Result<(), Violation> {
        let useful = self.useful_so_far();
        self.glitches.take(now, 4, useful)
    }

    /// DATA that brings nothing: with hardly a byte, or with none.
    pub(super) fn useless_data(&mut self, now: Time, bytes: u32) -> Result<(), Violation> {
        let useful = self.useful_so_far();
        let guard = if bytes == 0 { &mut self.empty_data } else { &mut self.small_data };
        guard.take(now, 4, useful)
    }

    /// DATA on a closed stream: of no use any more, and no abuse as far as the peer did not know.
    pub(super) fn late_data(&mut self, now: Time, bytes: u32, ends: bool) -> Result<(), Violation> {
        let cost = if bytes == 0 && ends { LATE_END } else { u64::from(bytes) };
        match self.late_data.checked_sub(cost) {
            Some(left) if cost > 0 => {
                self.late_data = left;
                if bytes as usize >= PREFIX_LEN {
                    self.useful(bytes as usize);
                }
                Ok(())
            }
            _ => self.useless_data(now, bytes),
        }
    }

    /// WINDOW_UPDATE for a closed stream.
    pub(super) fn late_credit(&mut self, now: Time, bytes: u32) -> Result<(), Violation> {
        match self.late_credit.checked_sub(u64::from(bytes)) {
            Some(left) if bytes > 0 => {
                self.late_credit = left;
                Ok(())
            }
            _ => self.glitch(now),
        }
    }

    /// A stream that this side resets for the peer's mistake.
    pub(super) fn internal_reset(&mut self, now: Time) -> Result<(), Violation> {
        self.internal_resets.take(now, 4, self.good_calls)
    }

    /// A call that its client resets.
    pub(super) fn reset(&mut self, now: Time, call: &ResetCall) -> Result<(), Violation> {
        match call.cost() {
            0 => Ok(()),
            quarters => self.resets.take(now, quarters, self.good_calls),
        }
    }
}

/// A call that its client resets, as far as it matters whether that came too soon to be honest.
pub(super) struct ResetCall {
    /// For how long it was open.
    pub(super) age: Duration,
    /// How long it had, where its client said so.
    pub(super) timeout: Option<Duration>,
    /// Whether the answer had begun.
    pub(super) answered: bool,
}

impl ResetCall {
    /// Returns what the reset costs, in quarters of a token.
    ///
    /// Nothing where the answer had begun, after a second, and where the call ran out of time: its client may be a
    /// little ahead, and round what it says. What lasts for 5 ms and more is bounded by the streams that may be open
    /// at once, hence cheap.
    fn cost(&self) -> u32 {
        let expired = self.timeout.is_some_and(|timeout| self.age >= timeout - timeout / 8);
        let instant = self.age < INSTANT;
        match (expired, instant) {
            _ if self.answered || self.age >= WANTED => 0,
            (true, false) => 0,
            (true, true) | (false, false) => 1,
            (false, true) => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_reset_costs_as_much_as_it_came_too_soon() {
        for (age, timeout, answered, cost) in [
            (ms(0), None, false, 4),
            (ms(5) - Duration::from_nanos(1), None, false, 4),
            (ms(5), None, false, 1),
            (ms(1_000) - Duration::from_nanos(1), None, false, 1),
            (ms(1_000), None, false, 0),
            (ms(0), None, true, 0),
            (ms(80), Some(ms(80)), false, 0),
            (ms(70), Some(ms(80)), false, 0),
            (ms(70) - Duration::from_nanos(1), Some(ms(80)), false, 1),
            (ms(0), Some(Duration::ZERO), false, 1),
            (ms(4), Some(ms(4)), false, 1),
            (ms(3), Some(ms(4)), false, 4),
            (ms(0), Some(Duration::MAX), false, 4),
        ] {
            assert_eq!(ResetCall { age, timeout, answered }.cost(), cost, "{age:?} {timeout:?} {answered}");
        }
    }

    #[test]
    fn what_is_useful_is_paid_once_and_not_stored_beyond_the_burst() {
        let rate = Rate { burst: 2, per_second: 0 };
        let mut guard = Guard::new(Flood::Glitches, rate);
        let mut take = |useful| guard.take(Time::ZERO, 4, useful).is_ok();
        assert!(take(100) && take(100));
        assert!(!take(100));
        assert!(take(101));
        assert!(!take(101));
        assert!(take(500) && take(500) && !take(500));
    }
}
