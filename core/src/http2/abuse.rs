//! The abuse limits: each class of useless work has a token bucket of its own.
//!
//! A guard limits useless work in proportion to useful work (docs/decisions/abuse.md): messages, ended calls and the
//! passing of time put tokens back. Useful work is only summed up as it happens; its tokens enter a bucket the next
//! time that the bucket is charged. The result is the same, because a bucket never holds more than its burst, and
//! ordinary calls do not pay for the bookkeeping.

use std::time::Duration;

use super::bucket::TokenBucket;
use crate::config::{Config, Rate};
use crate::error::{Flood, Violation};
use crate::grpc::message::PREFIX_LEN;
use crate::time::Time;

/// Tokens that every ended stream puts back. An honest peer may have this many frames in flight for a stream that has
/// just ended: two header blocks, a WINDOW_UPDATE and an RST_STREAM.
const LATE_FRAMES: u64 = 4;

/// The allowance for a late END_STREAM flag, counted as if it were this many bytes of DATA.
const LATE_END: u64 = 1;

/// Age from which a reset call counts as one that its client really wanted. Envoy draws the same line for premature
/// resets.
const WANTED: Duration = Duration::from_secs(1);
/// Age below which the client of a reset call cannot have waited for an answer.
const INSTANT: Duration = Duration::from_millis(5);

/// One class of abuse.
struct Guard {
    flood: Flood,
    bucket: TokenBucket,
    burst: u32,
    /// The total of useful work, in tokens, that has been credited to `bucket` so far.
    paid: u64,
}

impl Guard {
    fn new(flood: Flood, rate: Rate) -> Self {
        let bucket = TokenBucket::new(rate.burst, rate.per_second);
        Self { flood, bucket, burst: rate.burst, paid: 0 }
    }

    /// Charges `quarters` quarters of a token, or returns the flood. `useful` is the total of useful work so far, in
    /// tokens.
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

/// The guards of one connection, and the useful work that refills them.
pub(super) struct AbuseLimits {
    control_frames: Guard,
    resets: Guard,
    internal_resets: Guard,
    empty_data: Guard,
    small_data: Guard,
    glitches: Guard,
    /// HEADERS frames sent, and DATA frames received that carried content; plus one for every 256 bytes of that
    /// content.
    useful_frames: u64,
    /// Streams that have ended.
    ended_streams: u64,
    /// Calls that ended with the status that their server sent.
    good_calls: u64,
    /// Bytes of DATA that the peer may still send on streams that this side reset: what was left of their windows,
    /// and their END_STREAM flags.
    late_data: u64,
    /// Bytes that were sent on streams which are closed now, and that the peer may still credit by WINDOW_UPDATE.
    late_credit: u64,
    /// Calls that were reset since the caller last polled an event, and whose end the caller has not seen.
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

    /// Counts a useful frame with `bytes` bytes of content.
    #[inline]
    pub(super) const fn useful(&mut self, bytes: usize) {
        self.useful_frames = self.useful_frames.wrapping_add(1 + (bytes as u64 >> 8));
    }

    /// Counts the end of a stream for which the peer may still send WINDOW_UPDATE frames of up to `uncredited` bytes.
    #[inline]
    pub(super) fn ended(&mut self, uncredited: i64) {
        self.ended_streams = self.ended_streams.wrapping_add(1);
        if uncredited > 0 {
            self.late_credit = self.late_credit.saturating_add(uncredited.unsigned_abs());
        }
    }

    /// Expects up to `window` more bytes of DATA and an END_STREAM flag on a stream that this side has reset.
    pub(super) fn expect_late_data(&mut self, window: i64) {
        let window = u64::try_from(window).unwrap_or(0);
        self.late_data = self.late_data.saturating_add(window).saturating_add(LATE_END);
    }

    /// Counts a call that ended with the status that its server sent.
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

    /// Charges a PING or SETTINGS frame, or work that costs as much as `cost` of them.
    pub(super) fn control_frame(&mut self, now: Time, cost: u32) -> Result<(), Violation> {
        let useful = self.useful_so_far();
        // One frame alone never trips the limit, however much work it causes.
        let cost = cost.min((self.control_frames.burst / 16).max(1));
        self.control_frames.take(now, cost.saturating_mul(4), useful)
    }

    /// Charges a frame that had no effect.
    pub(super) fn glitch(&mut self, now: Time) -> Result<(), Violation> {
        let useful = self.useful_so_far();
        self.glitches.take(now, 4, useful)
    }

    /// Charges a DATA frame that carries no content, or next to none.
    pub(super) fn useless_data(&mut self, now: Time, bytes: u32) -> Result<(), Violation> {
        let useful = self.useful_so_far();
        let guard = if bytes == 0 { &mut self.empty_data } else { &mut self.small_data };
        guard.take(now, 4, useful)
    }

    /// Charges a DATA frame on a closed stream. It is free as long as the peer may have sent it before it learnt of
    /// the reset.
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

    /// Charges a WINDOW_UPDATE for a closed stream. It is free as long as it credits bytes that were sent on such
    /// streams.
    pub(super) fn late_credit(&mut self, now: Time, bytes: u32) -> Result<(), Violation> {
        match self.late_credit.checked_sub(u64::from(bytes)) {
            Some(left) if bytes > 0 => {
                self.late_credit = left;
                Ok(())
            }
            _ => self.glitch(now),
        }
    }

    /// Charges a stream that this side resets because the peer broke a rule on it.
    pub(super) fn internal_reset(&mut self, now: Time) -> Result<(), Violation> {
        self.internal_resets.take(now, 4, self.good_calls)
    }

    /// Charges a call that its client resets.
    pub(super) fn reset(&mut self, now: Time, call: &ResetCall) -> Result<(), Violation> {
        match call.cost() {
            0 => Ok(()),
            quarters => self.resets.take(now, quarters, self.good_calls),
        }
    }
}

/// What decides whether a client's reset of a call came too soon to be honest.
pub(super) struct ResetCall {
    /// How long the call was open.
    pub(super) age: Duration,
    /// The timeout that the client set, if any.
    pub(super) timeout: Option<Duration>,
    /// Whether the response had begun.
    pub(super) answered: bool,
}

impl ResetCall {
    /// Returns what the reset costs, in quarters of a token.
    ///
    /// A reset is free once the response has begun, once the call is a second old, and once its timeout has passed;
    /// an eighth is allowed for a client whose clock runs ahead or that rounds its timeout. A call that lasted for at
    /// least 5 ms costs a quarter, because the limit on concurrent streams bounds how many of those there can be.
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
