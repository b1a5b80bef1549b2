//! The connection's timers, one of each kind. The deadlines of calls have a heap of their own.

use std::fmt;
use std::time::Duration;

use super::role::RoleKind;
use crate::config::{Config, Keepalive, Limits, Seed};
use crate::error::{Flood, Violation};
use crate::time::Time;

/// How long a server waits for the client to acknowledge its first GOAWAY ([P-94](crate::manual::rules#p-94)).
const DRAIN_PING_TIMEOUT: Duration = Duration::from_secs(5);

/// How long after its deadline a server ends a call ([P-86](crate::manual::rules#p-86)). This lets the client's timer
/// fire first: a client that counts in milliseconds (C-core) would take a reset within its last one for a cancel.
pub(super) const DEADLINE_GRACE: Duration = Duration::from_millis(2);

/// How long after its last keepalive PING a client sends the next one, once it has sent as many PINGs without data as
/// it may ([P-99](crate::manual::rules#p-99)): while calls are open, and while none is. Without such PINGs a call
/// that only waits would never notice that its server is dead. Servers with gRPC's default policy
/// ([P-98](crate::manual::rules#p-98)) allow a PING every five minutes, and every two hours without calls; the values
/// add a margin for PINGs that the path delays differently. (C-core sends one a minute, which such servers punish.)
const PING_WITHOUT_DATA: [Duration; 2] =
    [Duration::from_secs(5 * 60 + 10), Duration::from_secs(2 * 60 * 60 + 10)];

/// What a timer waits for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum TimerKind {
    /// The peer's preface and first SETTINGS.
    Preface,
    /// The peer's acknowledgement of our SETTINGS.
    SettingsAck,
    /// The rest of a header block.
    HeaderBlock,
    /// The peer reading some of the waiting output, while this side reads nothing more.
    Unread,
    /// Memory to become free for the messages that wait for it.
    Memory,
    /// The next keepalive PING.
    Keepalive,
    /// The answer to a keepalive PING.
    KeepaliveTimeout,
    /// The second GOAWAY of a graceful shutdown.
    DrainPing,
    /// The end of the time that open calls have after a graceful shutdown began.
    Drain,
    /// The end of the time that responses have after the client ended its side of the transport.
    HalfClose,
    /// The end of the time that a server's connection may be idle.
    Idle,
    /// The age at which a server's connection is shut down.
    Age,
    /// The deadline of a call.
    Deadline,
}

impl fmt::Display for TimerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The kinds that have one timer each; deadlines are elsewhere.
const KINDS: [TimerKind; 12] = [
    TimerKind::Preface,
    TimerKind::SettingsAck,
    TimerKind::HeaderBlock,
    TimerKind::Unread,
    TimerKind::Memory,
    TimerKind::Keepalive,
    TimerKind::KeepaliveTimeout,
    TimerKind::DrainPing,
    TimerKind::Drain,
    TimerKind::HalfClose,
    TimerKind::Idle,
    TimerKind::Age,
];

/// One timer of each kind, and the state of keepalive.
pub(crate) struct Clock {
    /// The times at which the timers fire, in the order of [`KINDS`]; `Time::MAX` if a timer is not set.
    timers: [Time; KINDS.len()],
    /// Cached minimum of `timers`: read in every turn, rarely changed.
    first: Option<(Time, TimerKind)>,
    last_heard: Time,
    /// When the last keepalive PING was sent.
    last_own_ping: Option<Time>,
    /// Whether nothing has arrived since then.
    unanswered: bool,
    pings_without_data: u32,
    last_ping: Option<Time>,
    strikes: u32,
    /// The number of useful frames when PINGs were last counted.
    useful_frames: u64,
    stopped: bool,
}

impl Clock {
    pub(super) fn new(role: RoleKind, config: &Config, seed: Seed, now: Time) -> Self {
        let mut clock = Self {
            timers: [Time::MAX; KINDS.len()],
            first: None,
            last_heard: now,
            last_own_ping: None,
            unanswered: false,
            pings_without_data: 0,
            last_ping: None,
            strikes: 0,
            useful_frames: 0,
            stopped: false,
        };
        let limits = &config.limits;
        clock.set(TimerKind::Preface, now + limits.preface_timeout);
        clock.set(TimerKind::SettingsAck, now + limits.settings_timeout);
        if config.keepalive.without_calls {
            clock.arm_keepalive(now, &config.keepalive);
        }
        if role == RoleKind::Server {
            if let Some(idle) = config.max_idle {
                clock.set(TimerKind::Idle, now + idle);
            }
            if let Some(age) = config.max_age {
                clock.set(TimerKind::Age, now + jitter(age, seed));
            }
        }
        clock
    }

    fn set(&mut self, kind: TimerKind, at: Time) {
        if !self.stopped {
            self.change(kind, at);
        }
    }

    fn clear(&mut self, kind: TimerKind) {
        self.change(kind, Time::MAX);
    }

    fn change(&mut self, kind: TimerKind, at: Time) {
        let Some(timer) = self.timers.get_mut(kind as usize) else { return };
        *timer = at;
        // Otherwise the minimum has not changed.
        if self.first.is_none_or(|(first, first_kind)| at <= first || kind == first_kind) {
            let first = self.timers.iter().copied().zip(KINDS).min_by_key(|(at, _)| *at);
            self.first = first.filter(|(at, _)| *at != Time::MAX);
        }
    }

    pub(super) fn is_set(&self, kind: TimerKind) -> bool {
        self.timers.get(kind as usize).is_some_and(|timer| *timer != Time::MAX)
    }

    /// Returns the timer that fires first, and when.
    #[inline]
    pub(super) const fn earliest(&self) -> Option<(Time, TimerKind)> {
        self.first
    }

    /// Clears the earliest timer and returns it, if it is not after `now`.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<TimerKind> {
        let (at, kind) = self.earliest()?;
        if at > now {
            return None;
        }
        self.clear(kind);
        Some(kind)
    }

    /// Clears all timers for good, because the connection is over.
    pub(super) fn stop(&mut self) {
        self.timers = [Time::MAX; KINDS.len()];
        self.first = None;
        self.stopped = true;
    }

    /// Notes that bytes arrived. Bytes of any kind show that the peer is alive, as in C-core and grpc-go.
    #[inline]
    pub(super) fn heard(&mut self, now: Time) {
        self.last_heard = now;
        self.unanswered = false;
    }

    pub(super) fn preface_came(&mut self) {
        self.clear(TimerKind::Preface);
    }

    pub(super) fn settings_acked(&mut self) {
        self.clear(TimerKind::SettingsAck);
    }

    pub(super) fn block_opened(&mut self, now: Time, limits: &Limits) {
        self.set(TimerKind::HeaderBlock, now + limits.header_block_timeout);
    }

    pub(super) fn block_closed(&mut self) {
        self.clear(TimerKind::HeaderBlock);
    }

    pub(super) fn backed_up(&mut self, now: Time, limits: &Limits) {
        self.set(TimerKind::Unread, now + limits.unread_timeout);
    }

    /// Sets the memory timer to `at`, unless it runs already.
    pub(super) fn memory_short(&mut self, at: Time) {
        if !self.is_set(TimerKind::Memory) {
            self.set(TimerKind::Memory, at);
        }
    }

    pub(super) fn drain_ping_sent(&mut self, now: Time) {
        self.set(TimerKind::DrainPing, now + DRAIN_PING_TIMEOUT);
    }

    pub(super) fn drain_confirmed(&mut self) {
        self.clear(TimerKind::DrainPing);
    }

    /// Starts the time that open calls have left; there will be no new ones.
    pub(super) fn drain_started(&mut self, now: Time, config: &Config) {
        self.clear(TimerKind::Idle);
        self.clear(TimerKind::Age);
        if let Some(limit) = config.drain_timeout
            && !self.is_set(TimerKind::Drain)
        {
            self.set(TimerKind::Drain, now + limit);
        }
    }

    #[inline]
    pub(super) fn call_started(&mut self, now: Time, config: &Config) {
        if config.max_idle.is_some() {
            self.clear(TimerKind::Idle);
        }
        // Silence before the call started does not count, because the peer owed nothing.
        if config.keepalive.interval.is_some() && !self.is_set(TimerKind::Keepalive) {
            self.arm_keepalive(now, &config.keepalive);
        }
    }

    /// Handles the end of the peer's side of the transport: the peer will send nothing more and answer no PING.
    /// Responses have until `until`.
    pub(super) fn input_ended(&mut self, until: Time) {
        for kind in [
            TimerKind::Preface,
            TimerKind::SettingsAck,
            TimerKind::HeaderBlock,
            TimerKind::Unread,
            TimerKind::Keepalive,
            TimerKind::KeepaliveTimeout,
            TimerKind::DrainPing,
            TimerKind::Idle,
            TimerKind::Age,
        ] {
            self.clear(kind);
        }
        self.set(TimerKind::HalfClose, until);
    }

    #[inline]
    pub(super) fn call_ended(&mut self, now: Time, idle: bool, draining: bool, config: &Config) {
        if let Some(limit) = config.max_idle
            && idle
            && !draining
        {
            self.set(TimerKind::Idle, now + limit);
        }
    }

    /// Starts the keepalive interval at `from`.
    fn arm_keepalive(&mut self, from: Time, keepalive: &Keepalive) {
        if let Some(interval) = keepalive.interval
            && !self.is_set(TimerKind::KeepaliveTimeout)
        {
            self.set(TimerKind::Keepalive, from + interval);
        }
    }

    /// Returns whether a keepalive PING has to be sent now, and sets the next timer.
    pub(super) fn is_ping_due(
        &mut self,
        now: Time,
        role: RoleKind,
        keepalive: &Keepalive,
        has_calls: bool,
    ) -> bool {
        let Some(interval) = keepalive.interval else { return false };
        if !has_calls && !keepalive.without_calls {
            // The next call starts keepalive again.
            return false;
        }
        let mut due = self.last_heard + interval;
        let limit = keepalive.max_pings_without_data;
        if role == RoleKind::Client && limit > 0 && self.pings_without_data >= limit {
            // P-99: a strict server would count more PINGs as strikes.
            let [with_calls, without] = PING_WITHOUT_DATA;
            let least = if has_calls { with_calls } else { without };
            due = due.max(self.last_own_ping.unwrap_or_default() + least);
        }
        if due > now {
            // Sending data meanwhile allows more PINGs, so this is checked again after an interval.
            self.set(TimerKind::Keepalive, due.min(now + interval));
            return false;
        }
        self.pings_without_data = self.pings_without_data.saturating_add(1);
        (self.last_own_ping, self.unanswered) = (Some(now), true);
        self.set(TimerKind::KeepaliveTimeout, now + keepalive.timeout);
        true
    }

    pub(super) fn keepalive_acked(&mut self, keepalive: &Keepalive) {
        self.clear(TimerKind::KeepaliveTimeout);
        self.arm_keepalive(self.last_heard, keepalive);
    }

    /// Returns whether nothing at all arrived in the time for the answer to a keepalive PING. If something did, the
    /// next PING is due an interval after that.
    pub(super) fn is_peer_silent(&mut self, keepalive: &Keepalive) -> bool {
        if !self.unanswered {
            self.arm_keepalive(self.last_heard, keepalive);
        }
        self.unanswered
    }

    /// Resets the counts of PINGs if HEADERS or DATA were sent since they were last counted
    /// ([P-98](crate::manual::rules#p-98), [P-99](crate::manual::rules#p-99)), or messages were received: C-core does
    /// so for the WINDOW_UPDATEs that those cause. `useful_frames` is their total.
    pub(super) fn forgive_pings(&mut self, useful_frames: u64) {
        if self.useful_frames != useful_frames {
            self.useful_frames = useful_frames;
            (self.pings_without_data, self.strikes, self.last_ping) = (0, 0, None);
        }
    }

    /// Counts a strike if a PING arrives sooner than the policy allows ([P-98](crate::manual::rules#p-98)).
    pub(super) fn count_ping_strike(
        &mut self,
        now: Time,
        keepalive: &Keepalive,
        idle: bool,
    ) -> Result<(), Violation> {
        let Some(limit) = keepalive.max_strikes else { return Ok(()) };
        let least = if idle { keepalive.min_ping_interval_idle } else { keepalive.min_ping_interval };
        let early = self.last_ping.is_some_and(|last| now - last < least);
        self.last_ping = Some(now);
        if !early {
            return Ok(());
        }
        self.strikes = self.strikes.saturating_add(1);
        if self.strikes > limit {
            let (met, limit) = (u64::from(self.strikes), u64::from(limit));
            return Err(Violation::Flood { flood: Flood::Pings, met, limit });
        }
        Ok(())
    }
}

/// Changes `age` by up to a tenth, so that connections which began together do not end together
/// ([P-100](crate::manual::rules#p-100)).
fn jitter(age: Duration, seed: Seed) -> Duration {
    // SplitMix64: one step is enough to spread neighbouring seeds.
    let mut x = seed.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let thousandths = u32::try_from((x ^ (x >> 31)) % 201).unwrap_or(100);
    (age / 1000).saturating_mul(900 + thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_earliest_timer_is_the_least_of_all(
            changes in prop::collection::vec((0..KINDS.len(), prop::option::of(0_u64..20)), 1..60),
        ) {
            let mut clock = Clock::new(RoleKind::Server, &Config::server(), Seed(1), Time::ZERO);
            for (kind, at) in changes {
                match at {
                    Some(at) => clock.set(KINDS[kind], Time::ZERO + Duration::from_secs(at)),
                    None => clock.clear(KINDS[kind]),
                }
                let set = clock.timers.iter().copied().zip(KINDS).filter(|(at, _)| *at != Time::MAX);
                prop_assert_eq!(clock.earliest(), set.min_by_key(|(at, _)| *at));
            }
        }
    }

    #[test]
    fn the_age_at_which_a_connection_ends_follows_from_its_seed() {
        // SplitMix64's first outputs for these seeds, as its author's code and other implementations give them.
        for (seed, number) in [(0, 0xe220_a839_7b1d_cdaf_u64), (1_234_567, 6_457_827_717_110_365_317)] {
            let thousandths = 900 + number % 201;
            assert_eq!(jitter(Duration::from_secs(1), Seed(seed)), Duration::from_millis(thousandths));
            assert_eq!(
                jitter(Duration::from_millis(10), Seed(seed)),
                Duration::from_micros(10 * thousandths)
            );
        }
        assert_eq!(
            jitter(Duration::MAX, Seed(1_234_567)),
            Duration::MAX / 1000 * (900 + 6_457_827_717_110_365_317_u64 % 201) as u32
        );
    }
}
