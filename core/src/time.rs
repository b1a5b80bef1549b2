//! Time as the core sees it: a duration since an epoch that the caller chooses.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time, in nanoseconds since an epoch that the caller chooses.
///
/// The core never reads a clock: every entry point that needs the time takes it as an argument. Only differences
/// matter, so the epoch may be the start of the process, of the connection or of a simulation. Times should not run
/// backwards; a time earlier than the last is treated as if no time had passed. Arithmetic saturates: the range is
/// 584 years.
///
/// ```
/// use halfclose::Time;
/// use std::time::Duration;
///
/// let start = Time::ZERO;
/// let later = start + Duration::from_millis(5);
/// assert_eq!(later - start, Duration::from_millis(5));
/// assert_eq!(start - later, Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);
    /// The end of time: a deadline that never passes.
    pub const MAX: Self = Self(u64::MAX);

    /// Returns the time `nanos` nanoseconds after the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns the time `span` after the epoch; spans over 584 years saturate.
    #[must_use]
    pub fn from_duration(span: Duration) -> Self {
        Self(saturating_nanos(span))
    }

    /// Returns the nanoseconds since the epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the span since the epoch.
    #[must_use]
    pub const fn since_epoch(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

fn saturating_nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(saturating_nanos(span)))
    }
}

impl Sub for Time {
    type Output = Duration;

    /// Returns the span from `earlier` to `self`, or zero if `earlier` is later.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.since_epoch(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_points_convert_and_saturate() {
        let span = Duration::new(3, 7);
        let time = Time::from_duration(span);
        assert_eq!((time.as_nanos(), time.since_epoch()), (3_000_000_007, span));
        assert_eq!(time, Time::from_nanos(3_000_000_007));
        assert_eq!(format!("{time:?}"), "3.000000007s");
        assert_eq!((Time::ZERO + span, time - Time::ZERO, Time::ZERO - time), (time, span, Duration::ZERO));
        assert_eq!((Time::from_duration(Duration::MAX), time + Duration::MAX), (Time::MAX, Time::MAX));
    }
}
