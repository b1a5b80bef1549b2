//! Token buckets, which limit the rate of events.

use crate::time::Time;

/// Parts in a token, chosen so that each nanosecond adds a whole number of parts at any rate.
const PARTS: u64 = 1_000_000_000;

/// A token bucket: `burst` events at once, `per_second` over time.
///
/// It starts full and refills when it is used. The count is exact: in a span of `s` seconds it grants at most
/// `burst + per_second * s` tokens, and it never refuses events that stay within that bound. If the period of a token is not
/// a whole number of nanoseconds, events at exactly the mean rate need a `burst` of two, since some of them are less
/// than a period apart. A time earlier than the last one adds nothing.
#[derive(Clone, Debug)]
pub(crate) struct TokenBucket {
    /// Tokens left, in parts; at most `full`.
    level: u64,
    full: u64,
    per_second: u32,
    /// The latest time seen.
    last: Time,
}

impl TokenBucket {
    /// Makes a full bucket of `burst` tokens that gains `per_second` of them each second.
    pub(crate) fn new(burst: u32, per_second: u32) -> Self {
        // 2^32 * 10^9 is less than 2^62.
        let full = u64::from(burst).saturating_mul(PARTS);
        Self { level: full, full, per_second, last: Time::ZERO }
    }

    /// Takes `n` quarters of a token and returns true, or takes nothing and returns false if fewer are left.
    pub(crate) fn take_quarters(&mut self, now: Time, n: u32) -> bool {
        self.refill(now);
        match self.level.checked_sub(u64::from(n).saturating_mul(PARTS / 4)) {
            Some(level) => {
                self.level = level;
                true
            }
            None => false,
        }
    }

    /// Puts `n` tokens back, up to the burst.
    pub(crate) fn give(&mut self, n: u64) {
        self.level = self.level.saturating_add(n.saturating_mul(PARTS)).min(self.full);
    }

    fn refill(&mut self, now: Time) {
        if now <= self.last {
            return;
        }
        let nanos = now.as_nanos().saturating_sub(self.last.as_nanos());
        // Tokens per second equal parts per nanosecond. Saturation is far above `full`.
        let gained = nanos.saturating_mul(u64::from(self.per_second));
        self.level = self.level.saturating_add(gained).min(self.full);
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    impl TokenBucket {
        /// Takes `n` whole tokens.
        fn take(&mut self, now: Time, n: u32) -> bool {
            self.take_quarters(now, 4 * n)
        }
    }

    /// Returns the first nanosecond at which `count` tokens have accumulated at `per_second`.
    fn at_rate(count: u64, per_second: u32) -> u64 {
        (u128::from(count) * u128::from(PARTS)).div_ceil(u128::from(per_second)) as u64
    }

    proptest! {
        #[test]
        fn no_span_grants_more_than_burst_and_rate(
            burst in 0..50u32,
            per_second in 0..1000u32,
            steps in vec((0..30_000_000u64, 1..8u32), 1..200),
        ) {
            let mut bucket = TokenBucket::new(burst, per_second);
            let mut now = 0;
            let mut grants = Vec::new();
            for (step, n) in steps {
                now += step;
                if bucket.take(Time::from_nanos(now), n) {
                    grants.push((now, u128::from(n)));
                }
            }
            for (first, (start, _)) in grants.iter().enumerate() {
                let mut granted = 0;
                for (end, n) in &grants[first..] {
                    granted += n;
                    let allowed = u128::from(burst) * u128::from(PARTS)
                        + u128::from(per_second) * u128::from(end - start);
                    prop_assert!(granted * u128::from(PARTS) <= allowed);
                }
            }
        }

        #[test]
        fn a_token_does_not_come_a_nanosecond_early(per_second in 1..100_000u32, start in 0..u64::MAX / 4) {
            let mut bucket = TokenBucket::new(3, per_second);
            prop_assert!(bucket.take(Time::from_nanos(start), 3));
            let due = start + at_rate(1, per_second);
            prop_assert!(!bucket.take(Time::from_nanos(due - 1), 1));
            prop_assert!(bucket.take(Time::from_nanos(due), 1));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        /// Runs for an hour and a half from an empty bucket, with an event at the first nanosecond of each token. The
        /// mean spacing is exactly the rate, so any rounding loss would show as a refusal later.
        #[test]
        fn the_exact_rate_is_never_refused(burst in 2..5u32, per_second in 1..50u32, start in 0..u64::MAX / 4) {
            let mut bucket = TokenBucket::new(burst, per_second);
            prop_assert!(bucket.take(Time::from_nanos(start), burst));
            for count in 1..=u64::from(per_second) * 5400 {
                let now = Time::from_nanos(start + at_rate(count, per_second));
                prop_assert!(bucket.take(now, 1), "token {count}");
            }
        }

        /// Checks that with a burst of one each gap has to be a whole period; rounded up to nanoseconds, it is
        /// slightly longer.
        #[test]
        fn a_period_apart_is_never_refused(per_second in 1..50u32, start in 0..u64::MAX / 4) {
            let mut bucket = TokenBucket::new(1, per_second);
            for count in 0..u64::from(per_second) * 5400 {
                let now = Time::from_nanos(start + count * at_rate(1, per_second));
                prop_assert!(bucket.take(now, 1), "event {count}");
            }
        }
    }

    #[test]
    fn it_holds_no_more_than_the_burst() {
        let mut bucket = TokenBucket::new(10, u32::MAX);
        assert!(!bucket.take(Time::MAX, 11));
        assert!(bucket.take(Time::MAX, 10));
        assert!(!bucket.take(Time::MAX, 1));
        assert!(bucket.take(Time::MAX, 0));
    }

    #[test]
    fn what_is_given_back_can_be_taken_once() {
        let mut bucket = TokenBucket::new(5, 0);
        bucket.give(1);
        assert!(!bucket.take(Time::ZERO, 6), "it holds no more than the burst");
        assert!(bucket.take(Time::ZERO, 5));
        bucket.give(2);
        assert!(!bucket.take(Time::ZERO, 3));
        assert!(bucket.take(Time::ZERO, 2));
        bucket.give(u64::MAX);
        assert!(!bucket.take(Time::ZERO, 6));
        assert!(bucket.take(Time::ZERO, 5));
    }

    #[test]
    fn a_token_has_four_quarters() {
        let mut bucket = TokenBucket::new(2, 1);
        assert!((0..8).all(|_| bucket.take_quarters(Time::ZERO, 1)));
        assert!(!bucket.take_quarters(Time::ZERO, 1));
        assert!(!bucket.take_quarters(Time::from_nanos(PARTS / 4 - 1), 1));
        assert!(bucket.take_quarters(Time::from_nanos(PARTS / 4), 1));
    }

    #[test]
    fn going_back_in_time_gains_nothing() {
        let second = |n: u64| Time::from_nanos(n * PARTS);
        let mut bucket = TokenBucket::new(1, 1);
        assert!(bucket.take(second(10), 1));
        for _ in 0..5 {
            assert!(!bucket.take(second(1), 1));
            assert!(!bucket.take(second(10), 1));
        }
        assert!(bucket.take(second(11), 1));
    }
}
