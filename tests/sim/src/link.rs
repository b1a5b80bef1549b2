//! One direction of the simulated transport.

use std::collections::VecDeque;
use std::time::Duration;

use halfclose::Time;

use crate::program::{Net, Side};

/// An arrival.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    /// Bytes.
    Bytes(Vec<u8>),
    /// The end of the transport.
    End,
}

/// Bytes on their way, in order.
pub(crate) struct Link {
    from: Side,
    net: Net,
    rng: fastrand::Rng,
    on_way: VecDeque<(Time, Arrival)>,
    bytes: usize,
    /// When the link is free for the next byte.
    free: Time,
    last_arrival: Time,
    /// Whether what is sent is lost.
    lost: bool,
    ended: bool,
}

impl Link {
    pub(crate) fn new(from: Side, net: &Net, seed: u64) -> Self {
        Self {
            from,
            net: net.clone(),
            rng: fastrand::Rng::with_seed(seed),
            on_way: VecDeque::new(),
            bytes: 0,
            free: Time::ZERO,
            last_arrival: Time::ZERO,
            lost: false,
            ended: false,
        }
    }

    /// Returns how many bytes the transport accepts now.
    pub(crate) fn room(&self) -> usize {
        if self.ended {
            return 0;
        }
        let room = (self.net.capacity as usize).saturating_sub(self.bytes);
        if self.net.piece == 0 { room } else { room.min(self.net.piece as usize) }
    }

    pub(crate) fn send(&mut self, now: Time, bytes: Vec<u8>) {
        if self.lost {
            return;
        }
        self.bytes += bytes.len();
        self.free = self.free.max(now);
        if self.net.bandwidth > 0 {
            let micros = bytes.len() as u64 * 1_000 / u64::from(self.net.bandwidth);
            self.free = self.free + Duration::from_micros(micros);
        }
        let arrival = self.arrival(self.free);
        self.on_way.push_back((arrival, Arrival::Bytes(bytes)));
    }

    /// Returns when a byte sent at `leaves` arrives: not before earlier ones, and not during a stall.
    fn arrival(&mut self, leaves: Time) -> Time {
        let jitter = u64::try_from(self.net.jitter.as_nanos()).unwrap_or(0);
        let mut at = leaves + self.net.latency + Duration::from_nanos(self.rng.u64(0..=jitter));
        for &(side, start, span) in &self.net.stalls {
            let (start, end) = (Time::ZERO + start, Time::ZERO + start + span);
            if side == self.from && at >= start && at < end {
                at = end;
            }
        }
        at = at.max(self.last_arrival);
        self.last_arrival = at;
        at
    }

    /// Sends the end of the transport after what was sent.
    pub(crate) fn end(&mut self, now: Time) {
        if !self.ended && !self.lost {
            let arrival = self.arrival(self.free.max(now));
            self.on_way.push_back((arrival, Arrival::End));
        }
        self.ended = true;
    }

    /// Loses what is in flight and what follows. The receiver sees an end if `tell`.
    pub(crate) fn cut(&mut self, now: Time, tell: bool) {
        self.on_way.clear();
        self.bytes = 0;
        self.lost = true;
        if tell {
            self.ended = true;
            self.on_way.push_back((now, Arrival::End));
        }
    }

    pub(crate) fn next_arrival(&self) -> Option<Time> {
        self.on_way.front().map(|(at, _)| *at)
    }

    /// Returns what has arrived by `now`, with pieces of one instant joined.
    pub(crate) fn take(&mut self, now: Time) -> Option<Arrival> {
        let mut joined = Vec::new();
        while let Some((at, arrival)) = self.on_way.front() {
            if *at > now || (*arrival == Arrival::End && !joined.is_empty()) {
                break;
            }
            match self.on_way.pop_front() {
                Some((_, Arrival::Bytes(bytes))) => {
                    self.bytes -= bytes.len();
                    joined.extend(bytes);
                }
                _ => return Some(Arrival::End),
            }
        }
        (!joined.is_empty()).then_some(Arrival::Bytes(joined))
    }
}
