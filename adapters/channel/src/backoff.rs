//! The times between attempts to connect (gRPC's connection-backoff document).

use std::time::Duration;

use crate::random::Random;

/// The times between the attempts at one address.
#[derive(Clone, Debug)]
pub struct BackoffConfig {
    /// From the first attempt to the second: 1 s by default.
    pub initial: Duration,
    /// The factor by which each pause is longer than the previous one: 1.6 by default.
    pub multiplier: f64,
    /// The longest pause: 120 s by default.
    pub max: Duration,
    /// The part of a pause by which it varies at random, in either direction: 0.2 by default.
    pub jitter: f64,
    /// The least time that an attempt gets: 20 s by default.
    pub least_attempt: Duration,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            multiplier: 1.6,
            max: Duration::from_secs(120),
            jitter: 0.2,
            least_attempt: Duration::from_secs(20),
        }
    }
}

/// The pauses of one address.
#[derive(Clone, Default, Debug)]
pub(crate) struct Backoff {
    current: Option<Duration>,
}

impl Backoff {
    /// Returns the time from the start of an attempt to that of the next one. The first is exact, the others vary.
    pub(crate) fn next(&mut self, config: &BackoffConfig, random: &mut Random) -> Duration {
        match self.current {
            None => *self.current.insert(config.initial),
            Some(last) => {
                let current = last.mul_f64(config.multiplier.max(1.0)).min(config.max);
                self.current = Some(current);
                random.jittered(current, config.jitter.clamp(0.0, 1.0))
            }
        }
    }

    /// Starts again from the first pause, because the server's SETTINGS arrived.
    pub(crate) const fn reset(&mut self) {
        self.current = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_vary_by_a_fifth() {
        let config = BackoffConfig::default();
        let mut random = Random::new(1);
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(&config, &mut random), Duration::from_secs(1));
        let mut base = 1.0f64;
        for _ in 0..20 {
            base = (base * 1.6).min(120.0);
            let met = backoff.next(&config, &mut random).as_secs_f64();
            assert!((base * 0.8..=base * 1.2).contains(&met), "{met} for {base}");
        }
        backoff.reset();
        assert_eq!(backoff.next(&config, &mut random), Duration::from_secs(1));
    }
}
