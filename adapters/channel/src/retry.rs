//! The decision whether a failed call is retried (gRFC A6).

use std::time::Duration;

use halfclose::Code;

use crate::random::Random;

/// A method's policy of retries.
#[derive(Clone, PartialEq, Debug)]
pub struct RetryPolicy {
    /// The total number of attempts: 2 to 5. More count as 5 (A6, validation of retryPolicy).
    pub max_attempts: u32,
    /// The longest pause before the second attempt.
    pub initial_backoff: Duration,
    /// The longest pause of all.
    pub max_backoff: Duration,
    /// The factor by which each pause is longer than the previous one.
    pub backoff_multiplier: f64,
    /// The codes that allow another attempt.
    pub retryable: Vec<Code>,
}

/// The most attempts that a policy may request.
pub(crate) const MOST_ATTEMPTS: u32 = 5;

impl RetryPolicy {
    /// Returns the pause before the attempt after `attempts`, varied by up to a fifth (A6, exponential backoff).
    pub(crate) fn pause(&self, attempts: u32, random: &mut Random) -> Duration {
        let mut pause = self.initial_backoff;
        for _ in 1..attempts {
            pause = pause.mul_f64(self.backoff_multiplier.max(0.0)).min(self.max_backoff);
        }
        random.jittered(pause.min(self.max_backoff), 0.2)
    }

    pub(crate) fn most_attempts(&self) -> u32 {
        self.max_attempts.min(MOST_ATTEMPTS)
    }
}

/// A server's instruction in `grpc-retry-pushback-ms`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pushback {
    /// Wait exactly this long.
    After(Duration),
    /// Do not try again.
    Stop,
}

impl Pushback {
    /// Parses the field: a negative value or one that is no number stops retries (A6, pushback).
    #[must_use]
    pub fn parse(value: &[u8]) -> Self {
        let digits = value.iter().all(u8::is_ascii_digit);
        match std::str::from_utf8(value).unwrap_or_default().parse::<u32>() {
            Ok(milliseconds) if digits => Self::After(Duration::from_millis(milliseconds.into())),
            _ => Self::Stop,
        }
    }
}

/// How a failing server is spared retries (A6, throttling).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Throttling {
    /// The most tokens, in thousandths: 1 to 1,000 tokens.
    pub max_tokens: u32,
    /// The tokens that a success adds, in thousandths.
    pub token_ratio: u32,
}

/// The tokens of a channel.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    rule: Throttling,
    left: u32,
}

/// One token.
const TOKEN: u32 = 1000;

impl Tokens {
    pub(crate) const fn new(rule: Throttling) -> Self {
        Self { rule, left: rule.max_tokens }
    }

    pub(crate) fn failed(&mut self) {
        self.left = self.left.saturating_sub(TOKEN);
    }

    pub(crate) fn succeeded(&mut self) {
        self.left = self.left.saturating_add(self.rule.token_ratio).min(self.rule.max_tokens);
    }

    /// Returns whether retries are allowed: with more than half of the tokens.
    pub(crate) const fn allow(&self) -> bool {
        self.left > self.rule.max_tokens / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a6_pushback_is_a_number_of_milliseconds_or_an_end() {
        assert_eq!(Pushback::parse(b"0"), Pushback::After(Duration::ZERO));
        assert_eq!(Pushback::parse(b"1500"), Pushback::After(Duration::from_millis(1500)));
        for wrong in ["-1", "", "a", "+1", "1.5", " 1", "99999999999"] {
            assert_eq!(Pushback::parse(wrong.as_bytes()), Pushback::Stop, "{wrong}");
        }
    }

    #[test]
    fn a6_throttling_stops_retries_at_half_of_the_tokens() {
        let mut tokens = Tokens::new(Throttling { max_tokens: 10_000, token_ratio: 100 });
        for _ in 0..4 {
            tokens.failed();
            assert!(tokens.allow());
        }
        tokens.failed();
        assert!(!tokens.allow());
        tokens.succeeded();
        assert!(tokens.allow());
        (0..20).for_each(|_| tokens.failed());
        (0..50).for_each(|_| tokens.succeeded());
        assert!(!tokens.allow());
        (0..1000).for_each(|_| tokens.succeeded());
        assert_eq!(tokens.left, 10_000);
    }

    #[test]
    fn a6_backoff_grows_by_the_multiplier_to_its_limit() {
        let policy = RetryPolicy {
            max_attempts: 9,
            initial_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(1),
            backoff_multiplier: 2.0,
            retryable: vec![Code::Unavailable],
        };
        assert_eq!(policy.most_attempts(), 5);
        let mut random = Random::new(7);
        for (attempts, base) in [(1, 0.1), (2, 0.2), (3, 0.4), (4, 0.8), (5, 1.0), (50, 1.0)] {
            let met = policy.pause(attempts, &mut random).as_secs_f64();
            assert!((base * 0.8..=base * 1.2).contains(&met), "{met} after {attempts}");
        }
    }
}
