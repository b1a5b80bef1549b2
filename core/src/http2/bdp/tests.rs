use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);
const MIB: u32 = 1 << 20;

fn at(ms: u64) -> Time {
    Time::ZERO + Duration::from_millis(ms)
}

/// Returns an estimate with the default windows, made a minute after the epoch began.
fn estimate() -> PathEstimate {
    PathEstimate::new(&Config::server().in_range(false), at(60_000))
}

/// Returns the same after a PING that took `round_trip` milliseconds.
fn measured(round_trip: u64) -> PathEstimate {
    let mut path = estimate();
    path.settle(at(60_000), 1);
    path.wants_measurement = true;
    assert!(path.begin_measurement(at(60_000), 0));
    path.end_measurement(at(60_000 + round_trip), 0);
    path
}

#[test]
fn small_windows_return_credit_by_halves_and_large_ones_by_eighths() {
    for (target, step) in
        [(1, 0), (10_000, 5_000), (MIB - 1, MIB / 2 - 1), (MIB, MIB / 8), (32 * MIB, 4 * MIB)]
    {
        assert_eq!(credit_step(target), step, "{target}");
    }
    assert_eq!(estimate().credit_step(), MIB / 8);
}

#[test]
fn a_turnover_is_three_quarters_of_a_window_without_a_pause() {
    let mut turnover = Turnover::default();
    turnover.restart(at(1_000));
    assert_eq!(turnover.count(at(1_010), 749, 1_000), None);
    assert_eq!(turnover.count(at(1_020), 1, 1_000), Some(20 * MS));
    // A second is not a pause yet.
    assert_eq!(turnover.count(at(2_020), 500, 1_000), None);
    assert_eq!(turnover.count(at(3_020), 250, 1_000), Some(2_000 * MS));
    assert_eq!(turnover.count(at(3_030), 700, 1_000), None);
    // Neither the bytes before the pause nor its time count.
    assert_eq!(turnover.count(at(4_031), 700, 1_000), None);
    assert_eq!(turnover.count(at(4_041), 50, 1_000), Some(10 * MS));
}

#[test]
fn a_window_grows_where_it_is_used_up_within_about_a_round_trip() {
    for (took, grows) in [(68, true), (69, false), (1_000, false)] {
        let mut path = measured(50);
        let mut turnover = Turnover::default();
        turnover.restart(at(61_000));
        let growth = path.stream_growth(&mut turnover, at(61_000 + took), 3 * MIB, 4 * MIB, false);
        assert_eq!(growth > 0, grows, "{took} ms");
        // The connection's window begins with a guess.
        path.settle(at(61_000), MIB);
        let target = path.target;
        path.settle(at(61_000 + took), target);
        assert_eq!(path.target > target, grows, "{took} ms");
    }
}

#[test]
fn without_a_round_trip_only_the_use_of_a_small_window_makes_it_grow() {
    let path = estimate();
    let mut turnover = Turnover::default();
    for (target, pressed, growth) in [
        (65_535, false, 0),
        (65_535, true, 65_535),
        (MIB - 1, true, 1),
        (MIB, true, 0),
        (MIB, false, 0),
        (8 * MIB, true, 0),
    ] {
        assert_eq!(
            path.stream_growth(&mut turnover, at(61_000), target, target, pressed),
            growth,
            "{target}"
        );
    }
}

#[test]
fn on_a_long_path_windows_grow_by_larger_steps() {
    let path = measured(50);
    let mut turnover = Turnover::default();
    let mut grow = |target, pressed| {
        turnover.restart(at(61_000));
        target + path.stream_growth(&mut turnover, at(61_050), target, target, pressed)
    };
    // 50 ms at a gigabit a second are 6,250,000 bytes.
    assert_eq!([grow(65_535, true), grow(65_537, true), grow(524_280, true)], [524_280, 131_074, 1_048_560]);
    assert_eq!([grow(MIB, false), grow(2 * MIB, false)], [4 * MIB, 6_250_000]);
    assert_eq!(
        [grow(4 * MIB, false), grow(16 * MIB, false), grow(20 * MIB, false)],
        [8 * MIB, 32 * MIB, 32 * MIB]
    );
    assert_eq!(grow(32 * MIB, false), 32 * MIB);
}

#[test]
fn the_acknowledgement_of_our_settings_is_the_first_guess() {
    for (round_trip, guess) in
        [(0, MIB), (1, MIB), (8, MIB), (9, 1_125_000), (50, 6_250_000), (68, 8 * MIB), (100_000, 8 * MIB)]
    {
        let mut path = estimate();
        path.settings_acked(at(60_000 + round_trip));
        assert_eq!(path.guess, guess, "{round_trip} ms");
        assert_eq!(path.round_trip, None, "no window is judged by it");
        // The connection's window, which holds no memory, grows to it at once.
        assert_eq!(path.settle(at(61_000), MIB / 8), MIB / 8 + guess - MIB);
        // Later acknowledgements are not measured.
        path.settings_acked(at(1_000_000));
        assert_eq!(path.guess, guess);
    }
}

#[test]
fn one_ping_at_a_time_and_none_before_data_came_since_the_last_answer() {
    let mut path = estimate();
    assert!(!path.begin_measurement(at(60_000), 100), "no window is under pressure");
    path.wants_measurement = true;
    assert!(!path.begin_measurement(at(60_000), 0), "nothing has come");
    assert!(path.begin_measurement(at(60_000), 100));
    path.wants_measurement = true;
    assert!(!path.begin_measurement(at(60_010), 200), "one is under way");
    path.end_measurement(at(60_020), 300);
    assert_eq!(path.round_trip, Some(20 * MS));
    assert!(!path.begin_measurement(at(60_030), 300), "nothing has come since");
    path.settle(at(60_040), 300);
    assert!(!path.begin_measurement(at(60_040), 0));
    assert!(path.begin_measurement(at(60_040), 1));
    // An answer without a PING gives no estimate.
    path.end_measurement(at(60_100), 1);
    path.end_measurement(at(60_101), 1);
    assert_eq!(path.round_trip, Some(20 * MS), "the shortest");
}

#[test]
fn small_calls_however_many_send_no_ping() {
    let mut path = estimate();
    path.settings_acked(at(60_001));
    for ms in 0..10_000 {
        // 100 MB a second on a path of a millisecond.
        path.settle(at(61_000 + ms), 100_000);
        assert!(!path.begin_measurement(at(61_000 + ms), 0));
    }
    // What fills the window within about one round trip does.
    path.settle(at(71_000), MIB);
    assert!(path.begin_measurement(at(71_000), 0));
}

#[test]
fn nothing_is_sent_where_no_window_may_grow_for_the_path() {
    for (stream, connection, sends) in
        [(MIB, MIB, false), (MIB + 1, MIB, true), (MIB, MIB + 1, true), (65_535, 65_535, false)]
    {
        let mut config = Config::server();
        config.connection_window = 65_535;
        (config.max_stream_window, config.max_connection_window) = (stream, connection);
        let mut path = PathEstimate::new(&config.in_range(false), at(0));
        path.wants_measurement = true;
        assert_eq!(path.begin_measurement(at(1), 1), sends, "{stream}, {connection}");
    }
}

#[test]
fn a_rate_that_falls_by_half_makes_the_path_a_new_one() {
    for (took, forgotten) in [(400, false), (1_700, true)] {
        let mut path = measured(10);
        path.settle(at(61_000), MIB);
        assert!(path.begin_measurement(at(61_000), 1));
        path.end_measurement(at(61_010), 1);
        let target = path.target;
        // Used up in most of a second, so the window does not limit the sender.
        path.settle(at(61_800), target);
        assert_eq!((path.round_trip, path.fastest > 0), (Some(10 * MS), true));
        path.settle(at(61_800 + took / 2), target / 4);
        path.settle(at(61_800 + took), target / 2);
        assert_eq!(path.round_trip.is_none(), forgotten, "{took} ms");
        assert_eq!(path.begin_measurement(at(64_000), 1), forgotten);
    }
}

#[test]
fn after_a_pause_the_connection_comes_back_to_where_it_began_as_it_is_used() {
    let mut path = measured(1);
    path.settle(at(61_000), MIB);
    for ms in 1..10 {
        path.settle(at(61_000 + ms), 32 * MIB);
    }
    assert_eq!((path.target, path.excess), (32 * MIB, 0));
    assert_eq!(path.settle(at(71_008), 5), 5, "not long enough");
    let idle = at(81_009);
    assert_eq!(path.settle(idle, 5), 0);
    assert_eq!((path.target, path.excess, path.round_trip), (MIB, 31 * MIB - 5, None));
    assert_eq!(path.settle(idle + 100 * MS, 30 * MIB), 0);
    assert_eq!(path.settle(idle + 200 * MS, MIB), 5);
}

/// An event of a connection that its estimate handles.
#[derive(Clone, Debug)]
enum Act {
    Wait(u64),
    Settle(u32),
    Begin,
    Answer,
    SettingsAck,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..30_000_u64).prop_map(Act::Wait),
        (0..200_u64).prop_map(Act::Wait),
        (0..=1_000_u32).prop_map(Act::Settle),
        Just(Act::Begin),
        Just(Act::Answer),
        Just(Act::SettingsAck),
    ]
}

proptest! {
    /// Checks in any order of events: what the peer may send is the target plus the excess, never beyond the bounds;
    /// credit is conserved; one PING is outstanding at a time.
    #[test]
    fn credit_is_conserved_and_the_window_within_its_bounds(
        acts in prop::collection::vec(act(), 1..200),
        least in 65_535..4 * MIB,
        more in 0..64 * MIB,
    ) {
        let mut config = Config::client();
        (config.connection_window, config.max_connection_window) = (least, least + more);
        let mut path = PathEstimate::new(&config.in_range(true), Time::ZERO);
        let (mut now, mut window, mut owed, mut pings) = (Time::ZERO, u64::from(least), 0_u32, 0);
        for act in acts {
            match act {
                Act::Wait(ms) => now = now + Duration::from_millis(ms),
                Act::Settle(thousandths) => {
                    // A sender sends no more than it may.
                    let sent = (window * u64::from(thousandths) / 1_000) as u32;
                    window -= u64::from(sent);
                    owed += sent;
                    if owed >= path.credit_step() {
                        window += u64::from(path.settle(now, std::mem::take(&mut owed)));
                    }
                }
                Act::Begin => pings += i32::from(path.begin_measurement(now, owed)),
                Act::Answer => {
                    path.end_measurement(now, owed);
                    pings = 0;
                }
                Act::SettingsAck => path.settings_acked(now),
            }
            prop_assert_eq!(window + u64::from(owed), u64::from(path.target) + u64::from(path.excess));
            prop_assert!(path.target >= least && window <= u64::from(least) + u64::from(more));
            prop_assert!(pings <= 1);
        }
    }
}
