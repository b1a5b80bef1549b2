//! When each chunk is due, and after which byte the path stands still or is cut.

use std::time::{Duration, Instant};

use crate::path::{CutKind, Path};

/// Of a path with a rate, a chunk is what passes in about this time, so that bytes trickle and do not come in heaps.
const GRAIN: Duration = Duration::from_millis(1);
/// No chunk is smaller than this for the sake of [`GRAIN`]: the payload of a packet.
const LEAST_CHUNK: u64 = 1_460;

/// One direction of one connection.
#[derive(Debug)]
pub(crate) struct Schedule {
    path: Path,
    /// Bytes that went on their way.
    passed: u64,
    /// The byte after which the path stands still next.
    next_stall: u64,
    /// When the path takes the next chunk.
    free_at: Option<Instant>,
    random: u64,
}

impl Schedule {
    /// The schedule of a direction: `number` tells directions with the same path apart.
    pub(crate) fn new(path: Path, number: u64) -> Self {
        let mut schedule = Self {
            path,
            passed: 0,
            next_stall: u64::MAX,
            free_at: None,
            random: path.seed ^ number.wrapping_mul(0xff51_afd7_ed55_8ccd),
        };
        schedule.plan_stall();
        schedule
    }

    fn plan_stall(&mut self) {
        let Some(stalls) = self.path.stalls else { return };
        let every = stalls.every.max(2);
        let bytes = every / 2 + self.next_random() % every;
        self.next_stall = self.passed.saturating_add(bytes);
    }

    /// `SplitMix64`.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.random;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// How many bytes the next chunk may have, of `most`: it ends where something happens. Zero where the path is cut.
    pub(crate) fn room(&self, most: usize) -> usize {
        let grain = self.path.rate.map_or(u64::MAX, |rate| {
            (u128::from(rate) * GRAIN.as_micros() / 1_000_000).min(u128::from(u64::MAX)) as u64
        });
        let to_cut = self.path.cut.map_or(u64::MAX, |cut| cut.after.saturating_sub(self.passed));
        let to_stall = self.next_stall.saturating_sub(self.passed);
        let room = grain.max(LEAST_CHUNK).min(to_cut).min(to_stall);
        let most = self.path.piece.map_or(most, |piece| piece.max(1).min(most));
        usize::try_from(room).map_or(most, |room| room.min(most))
    }

    /// How the connection is cut, where everything before the cut is on its way.
    pub(crate) fn cut(&self) -> Option<CutKind> {
        self.path.cut.filter(|cut| self.passed >= cut.after).map(|cut| cut.kind)
    }

    /// A chunk goes on its way: when it is due at the other end.
    pub(crate) fn depart(&mut self, now: Instant, bytes: usize) -> Instant {
        let mut free_at = self.free_at.map_or(now, |free_at| free_at.max(now));
        if let Some(rate) = self.path.rate {
            free_at += Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
        }
        let due = free_at + self.path.delay;
        self.passed = self.passed.saturating_add(bytes as u64);
        if let Some(stalls) = self.path.stalls
            && self.passed >= self.next_stall
        {
            free_at += stalls.pause;
            self.plan_stall();
        }
        self.free_at = Some(free_at);
        due
    }

    /// When the end of the stream is due, that has been met now.
    pub(crate) fn end(&self, now: Instant) -> Instant {
        self.free_at.map_or(now, |free_at| free_at.max(now)) + self.path.delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::{Cut, Stalls};

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_delay_is_added_to_every_chunk() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Path::of_delay(25 * MS), 0);
        assert_eq!(schedule.room(1 << 20), 1 << 20);
        assert_eq!(schedule.depart(start, 1_000), start + 25 * MS);
        assert_eq!(schedule.depart(start + MS, 1 << 20), start + 26 * MS);
        assert_eq!(schedule.end(start + MS), start + 26 * MS);
    }

    #[test]
    fn a_rate_spreads_the_chunks() {
        let start = Instant::now();
        let path = Path { rate: Some(10_000_000), ..Path::of_delay(5 * MS) };
        let mut schedule = Schedule::new(path, 0);
        assert_eq!(schedule.room(1 << 20), 10_000);
        assert_eq!(schedule.depart(start, 10_000), start + 6 * MS);
        assert_eq!(schedule.depart(start, 10_000), start + 7 * MS);
        assert_eq!(schedule.end(start), start + 7 * MS);
        // The path was free for a while: nothing of that is made up for.
        assert_eq!(schedule.depart(start + 50 * MS, 10_000), start + 56 * MS);
    }

    #[test]
    fn a_piece_is_as_small_as_is_asked_for() {
        let mut schedule = Schedule::new(Path { piece: Some(1), ..Path::default() }, 0);
        assert_eq!(schedule.room(1 << 20), 1);
        schedule.depart(Instant::now(), 1);
        assert_eq!(schedule.room(1 << 20), 1);
        assert_eq!(Schedule::new(Path { piece: Some(0), ..Path::default() }, 0).room(1 << 20), 1);
    }

    #[test]
    fn stalls_are_where_the_seed_says() {
        let places = |seed, number| {
            let stalls = Some(Stalls { every: 1_000, pause: 10 * MS });
            let mut schedule = Schedule::new(Path { stalls, seed, ..Path::default() }, number);
            let mut places = Vec::new();
            let mut now = Instant::now();
            for _ in 0..100 {
                let room = schedule.room(usize::MAX);
                assert!((500..1_500).contains(&room), "{room}");
                now = now.max(schedule.depart(now, room));
                assert_eq!(schedule.depart(now, 0), now + 10 * MS, "it stands still");
                now += 10 * MS;
                places.push(schedule.passed);
            }
            places
        };
        assert_eq!(places(7, 0), places(7, 0));
        assert_ne!(places(7, 0), places(8, 0));
        assert_ne!(places(7, 0), places(7, 1));
    }

    #[test]
    fn a_cut_is_after_its_byte_exactly() {
        let cut = Cut { after: 2_500, kind: CutKind::Reset };
        let mut schedule = Schedule::new(Path { cut: Some(cut), ..Path::default() }, 0);
        let now = Instant::now();
        for (room, bytes) in [(2_500, 1_000), (1_500, 1_499), (1, 1)] {
            assert_eq!((schedule.room(1 << 20), schedule.cut()), (room, None));
            schedule.depart(now, bytes);
        }
        assert_eq!((schedule.room(1 << 20), schedule.cut()), (0, Some(CutKind::Reset)));
    }
}
