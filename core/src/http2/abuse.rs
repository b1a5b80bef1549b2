//! The classes of abuse that are counted, each in a token bucket of its own.

use super::bucket::TokenBucket;
use crate::config::{Config, Rate};
use crate::error::{Flood, Violation};
use crate::time::Time;

/// The token buckets, one a class of abuse.
pub(super) struct AbuseLimits {
    pub(super) control_frames: TokenBucket,
    pub(super) resets: TokenBucket,
    pub(super) internal_resets: TokenBucket,
    pub(super) empty_data: TokenBucket,
    pub(super) small_data: TokenBucket,
    pub(super) glitches: TokenBucket,
    /// Calls that were reset before the caller heard of them, since it last took an event.
    pub(super) pending_resets: u32,
}

impl AbuseLimits {
    pub(super) fn new(config: &Config) -> Self {
        let limits = &config.limits;
        let bucket = |rate: Rate| TokenBucket::new(rate.burst, rate.per_second);
        Self {
            control_frames: bucket(limits.control_frames),
            resets: bucket(limits.resets),
            internal_resets: bucket(limits.internal_resets),
            empty_data: bucket(limits.empty_data),
            small_data: bucket(limits.small_data),
            glitches: bucket(limits.glitches),
            pending_resets: 0,
        }
    }
}

/// Takes one token, or names the flood.
#[inline]
pub(super) fn guard(bucket: &mut TokenBucket, now: Time, flood: Flood, rate: Rate) -> Result<(), Violation> {
    if bucket.take(now, 1) { Ok(()) } else { Err(flooded(flood, rate)) }
}

#[cold]
fn flooded(flood: Flood, rate: Rate) -> Violation {
    let limit = u64::from(rate.burst);
    Violation::Flood { flood, met: limit.saturating_add(1), limit }
}
