//! Receive windows on a long path: they grow to what the path needs, not far above, and shrink again
//! (docs/decisions/windows.md).

use std::time::Duration;

use halfclose::Config;
use halfclose_sim::{Direction, LongPath};

const MS: Duration = Duration::from_millis(1);
const DIRECTIONS: [Direction; 2] = [Direction::Down, Direction::Up];
const SIZE: usize = 64 * 1024;
const MIB: u64 = 1 << 20;

fn configs() -> (Config, Config) {
    (Config::client(), Config::server())
}

fn long_path(direction: Direction, streams: usize, delay: Duration, rate: Option<u64>) -> LongPath {
    LongPath::new(configs(), direction, streams, SIZE, (delay, rate))
}

/// Returns the bytes in flight if the sender sends all that it may: what the windows allow.
fn in_flight(path: &LongPath) -> u64 {
    path.sent() - path.read
}

/// Returns the most bytes in flight during two round trips of 50 ms.
fn most_in_flight(path: &mut LongPath) -> u64 {
    let samples = (0..400).map(|_| {
        path.wait(Duration::from_micros(250));
        in_flight(path)
    });
    samples.max().unwrap_or_default()
}

/// Lets senders send all that they may at one instant. Returns the number of bytes.
fn burst(path: &mut LongPath) -> u64 {
    let before = path.sent();
    path.supply = u64::MAX;
    path.wait(Duration::from_micros(250));
    path.supply = 0;
    path.sent() - before
}

#[test]
fn windows_grow_to_the_product_of_bandwidth_and_delay_and_not_far_above() {
    for direction in DIRECTIONS {
        for streams in [1, 8] {
            for (delay, rate) in [(25, 150_000_000), (25, 10_000_000), (5, 300_000_000), (100, 30_000_000)] {
                let what = format!("{direction:?}, {streams} streams, {delay} ms, {rate} bytes a second");
                let mut path = long_path(direction, streams, delay * MS, Some(rate));
                let round_trip = 2 * delay * MS;
                // The first rounds have a window of 64 KiB; 14 are enough for the largest.
                path.wait(14 * round_trip);
                let carried = path.wait(8 * round_trip);
                let possible = rate * u64::from(8 * 2 * delay) / 1_000;
                assert!(carried * 10 >= possible * 9, "{what}: {carried} of {possible} bytes");
                // Three times the product, plus the first guess or a small window.
                let product = rate * u64::from(2 * delay) / 1_000;
                assert!(
                    in_flight(&path) <= (product * 13 / 4).max(9 * MIB),
                    "{what}: {} bytes",
                    in_flight(&path)
                );
                assert!(path.pings() <= 16, "{what}: {} PINGs", path.pings());
                assert!(path.is_alive(), "{what}");
            }
        }
    }
}

#[test]
fn windows_grow_no_further_than_their_most() {
    for direction in DIRECTIONS {
        // As fast as a sender can be: every window limits its sender.
        for (streams, stream, connection) in
            [(1, 3 << 20, 32 << 20), (1, 32 << 20, 5 << 20), (8, 2 << 20, 32 << 20)]
        {
            let (mut client, mut server) = configs();
            for config in [&mut client, &mut server] {
                (config.max_stream_window, config.max_connection_window) = (stream, connection);
            }
            let mut path = LongPath::new((client, server), direction, streams, SIZE, (25 * MS, None));
            path.wait(2_000 * MS);
            let met = most_in_flight(&mut path);
            let most = u64::from(connection).min(streams as u64 * u64::from(stream));
            // A message that has begun may be finished.
            let slack = (streams * SIZE * 2) as u64;
            assert!(
                met <= most + slack && met + most / 8 + slack >= most,
                "{direction:?}: {met} of {most} bytes"
            );
        }
    }
}

#[test]
fn without_growth_for_the_path_no_ping_is_sent() {
    for direction in DIRECTIONS {
        let (mut client, mut server) = configs();
        for config in [&mut client, &mut server] {
            (config.max_stream_window, config.max_connection_window) = (1 << 20, 1 << 20);
        }
        let mut path = LongPath::new((client, server), direction, 4, SIZE, (25 * MS, None));
        path.wait(2_000 * MS);
        assert_eq!(path.pings(), 0);
        let met = most_in_flight(&mut path);
        // Of each stream the beginning of a message, for which the connection's credit has been returned.
        assert!(met <= MIB + 4 * SIZE as u64, "{met} bytes");
        assert!(path.read > 20 * MIB, "{} bytes", path.read);
    }
}

#[test]
fn a_reader_that_leaves_messages_lie_gets_no_more_than_it_has() {
    for direction in DIRECTIONS {
        let mut path = long_path(direction, 1, 25 * MS, Some(200_000_000));
        path.appetite = 0;
        path.wait(1_000 * MS);
        assert!(path.sent() <= 2 * SIZE as u64 + 20_000, "{} bytes", path.sent());
        // A reader that stops later keeps the window that it had.
        path.appetite = usize::MAX;
        path.wait(1_000 * MS);
        path.appetite = 0;
        path.wait(200 * MS);
        let held = in_flight(&path);
        path.wait(2_000 * MS);
        assert_eq!(in_flight(&path), held);
    }
}

#[test]
fn the_window_of_a_slow_reader_is_about_what_it_reads_in_a_round_trip() {
    for direction in DIRECTIONS {
        let mut path = long_path(direction, 1, 25 * MS, Some(200_000_000));
        // A message every ten milliseconds: 328 kB in a round trip, of the 10 MB that the path could carry.
        for _ in 0..500 {
            path.appetite = 1;
            path.wait(Duration::from_micros(250));
            path.appetite = 0;
            path.wait(Duration::from_micros(9_750));
        }
        // Every stream that once kept up may have a window of a mebibyte.
        assert!(in_flight(&path) <= MIB + 2 * SIZE as u64, "{direction:?}: {} bytes", in_flight(&path));
        assert!(path.read >= 400 * SIZE as u64, "{direction:?}: {} bytes were read", path.read);
    }
}

/// Checks the PINGs against gRFC A8: a server counts PINGs without DATA or HEADERS of its own between them, and
/// disconnects the client.
#[test]
fn the_pings_are_never_too_many() {
    for size in [SIZE, 1_000_000] {
        let (client, mut server) = configs();
        server.keepalive.max_strikes = Some(0);
        server.keepalive.min_ping_interval = Duration::from_secs(1_000_000);
        let mut path =
            LongPath::new((client, server), Direction::Down, 3, size, (25 * MS, Some(100_000_000)));
        for round in 1..60_u64 {
            // Readers and senders that stop and continue, paths that become longer and shorter, and long pauses.
            path.appetite = if round % 7 == 3 { 0 } else { usize::MAX };
            path.supply = if round % 5 == 4 { 0 } else { u64::MAX };
            path.delay = MS * u32::try_from(round * 13 % 90).unwrap_or(0);
            path.wait(if round % 20 == 0 { 15_000 * MS } else { 300 * MS });
            assert!(path.is_alive(), "{size}: round {round}, {} PINGs", path.pings());
        }
        assert!(path.pings() >= 5, "{size}: {} PINGs", path.pings());
    }
}

#[test]
fn a_path_that_becomes_longer_gets_larger_windows() {
    for direction in DIRECTIONS {
        let mut path = long_path(direction, 1, 5 * MS, Some(100_000_000));
        path.wait(1_000 * MS);
        assert!(in_flight(&path) <= 4 * MIB, "{} bytes", in_flight(&path));
        path.delay = 50 * MS;
        path.wait(4_000 * MS);
        let carried = path.wait(1_000 * MS);
        assert!(carried >= 90_000_000, "{direction:?}: {carried} bytes a second");
    }
}

#[test]
fn windows_come_back_after_a_pause_as_they_are_used() {
    for direction in DIRECTIONS {
        let (client, server) = configs();
        let mut path = LongPath::new((client, server), direction, 1, 8_000, (25 * MS, Some(200_000_000)));
        path.wait(2_000 * MS);
        path.supply = 0;
        path.wait(1_000 * MS);
        let grown = burst(&mut path);
        assert!(grown > 10 * MIB, "{grown} bytes");
        path.wait(11_000 * MS);
        // Credit cannot be withdrawn: it is not granted again once it is used.
        for _ in 0..40 * MIB / 8_000 {
            path.supply = 1;
            path.wait(40 * MS);
        }
        path.wait(1_000 * MS);
        let left = burst(&mut path);
        assert!(left <= MIB, "{direction:?}: {left} bytes");
    }
}

#[test]
fn the_same_path_gives_the_same_bytes() {
    let runs = [(); 2].map(|()| {
        let mut path = long_path(Direction::Down, 8, 25 * MS, Some(150_000_000));
        let rounds: Vec<u64> = (0..40).map(|_| path.wait(25 * MS)).collect();
        (rounds, path.sent(), path.pings())
    });
    assert_eq!(runs[0], runs[1]);
}

/// Checks that a new stream on a known path starts with a suitable window.
#[test]
fn a_stream_on_a_known_path_gets_its_window_in_a_few_round_trips() {
    for direction in DIRECTIONS {
        let mut path = long_path(direction, 1, 25 * MS, Some(200_000_000));
        path.wait(1_000 * MS);
        path.cancel_all();
        path.open(1);
        path.wait(10 * 50 * MS);
        let carried = path.wait(200 * MS);
        assert!(carried >= 30_000_000, "{direction:?}: {carried} bytes");
    }
}
