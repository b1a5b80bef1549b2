//! Checks the accounting of a connection's memory after every step, in builds with debug assertions.

use super::engine::Engine;
use super::stream::Stream;
use super::timers::TimerKind;

/// The largest table that is checked after every step; a larger one would make tests slow.
pub(super) const MOST_PLACES: usize = 40;

impl Engine {
    /// Checks that a stream accounts for every byte of memory, and that every stream which waits for memory has to
    /// wait and has a timer.
    pub(super) fn audit_memory(&self) {
        if self.slots.places() > MOST_PLACES {
            return;
        }
        let sum = |count: fn(&Self, &Stream) -> u64| {
            let streams = self.slots.occupied().filter_map(|slot| self.slots.get(slot));
            streams.map(|stream| count(self, stream)).sum::<u64>()
        };
        let sums = [
            sum(|_, stream| stream.inbound.buffered() as u64),
            sum(|_, stream| stream.promised.into()),
            sum(|engine, stream| stream.growth(engine.least_window()).into()),
            sum(|_, stream| (stream.queue.weight() + stream.refused) as u64),
            sum(|_, stream| if stream.held_up { 0 } else { stream.queue.weight() as u64 }),
            sum(|_, stream| stream.inbound.pinned().into()),
        ];
        debug_assert_eq!(sums, self.ledger.sums(), "memory is accounted for");
        for slot in self.short.iter() {
            let waits = self.slots.get(slot).is_some_and(|stream| {
                let lacking = stream.window_lacking();
                let fits =
                    self.ledger.fits(lacking) && self.ledger.fits_beside(lacking, || self.count_windows());
                !stream.wire_done && stream.want_read && !fits
            });
            debug_assert!(waits, "slot {slot} could go on, or is over");
        }
        debug_assert!(
            self.short.is_empty() || self.clock.is_set(TimerKind::Memory),
            "whoever waits for memory has a timer"
        );
    }
}
