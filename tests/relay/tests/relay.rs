//! The relay forwards every byte after its delay, and does what its path says. There are no upper bounds of time,
//! because the machine may be busy.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use halfclose_relay::{Cut, CutKind, Path, Relay, Stalls};

const MS: Duration = Duration::from_millis(1);

/// Returns a relay, and both ends of a connection over it.
fn connected(path: Path) -> (Relay, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Relay::start(listener.local_addr().unwrap(), path).unwrap();
    let near = TcpStream::connect(relay.address()).unwrap();
    let (far, _) = listener.accept().unwrap();
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    (relay, near, far)
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n * 31 + n / 251) as u8).collect()
}

/// Sends `bytes` one way. Returns what arrived, and how long it took.
fn carry(from: &TcpStream, to: &TcpStream, bytes: &[u8]) -> (Vec<u8>, Duration) {
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut from = from;
            from.write_all(bytes).unwrap();
        });
        let (mut to, mut met) = (to, vec![0; bytes.len()]);
        to.read_exact(&mut met).unwrap();
        (met, start.elapsed())
    })
}

#[test]
fn every_byte_comes_through_both_ways_at_once() {
    let (_relay, near, far) = connected(Path::of_delay(2 * MS));
    let bytes = pattern(20_000_000);
    thread::scope(|scope| {
        let up = scope.spawn(|| carry(&near, &far, &bytes));
        let down = scope.spawn(|| carry(&far, &near, &bytes));
        for way in [up, down] {
            let (met, took) = way.join().unwrap();
            assert!(met == bytes, "in order, unmodified");
            assert!(took >= 2 * MS, "{took:?}");
        }
    });
}

#[test]
fn a_byte_is_late_by_the_delay_each_way() {
    let (_relay, near, far) = connected(Path::of_delay(20 * MS));
    for _ in 0..3 {
        let (_, up) = carry(&near, &far, b"x");
        let (_, down) = carry(&far, &near, b"x");
        assert!(up >= 20 * MS && down >= 20 * MS, "{up:?} {down:?}");
    }
}

#[test]
fn a_rate_is_kept() {
    let (_relay, near, far) = connected(Path { rate: Some(1_000_000), ..Path::default() });
    let bytes = pattern(100_000);
    let (met, took) = carry(&near, &far, &bytes);
    assert!(met == bytes && took >= 100 * MS, "{took:?}");
}

#[test]
fn stalls_take_their_time() {
    let stalls = Some(Stalls { every: 10_000, pause: 10 * MS });
    let (_relay, near, far) = connected(Path { stalls, seed: 3, ..Path::default() });
    let bytes = pattern(100_000);
    let (met, took) = carry(&near, &far, &bytes);
    // Two stalls are at most 15,000 bytes apart.
    assert!(met == bytes && took >= 60 * MS, "{took:?}");
}

#[test]
fn the_end_of_one_direction_is_passed_on_and_the_other_goes_on() {
    let (_relay, near, far) = connected(Path::of_delay(5 * MS));
    (&near).write_all(b"request").unwrap();
    near.shutdown(std::net::Shutdown::Write).unwrap();
    let mut met = Vec::new();
    (&far).read_to_end(&mut met).unwrap();
    assert_eq!(met, b"request");
    let (met, _) = carry(&far, &near, b"answer");
    assert_eq!(met, b"answer");
    drop(far);
    assert_eq!((&near).read(&mut [0; 8]).unwrap(), 0);
}

/// Returns both ends of a path that is cut after 5,000 bytes.
fn cut(kind: CutKind) -> (Relay, TcpStream, TcpStream) {
    let (relay, near, far) =
        connected(Path { cut: Some(Cut { after: 5_000, kind }), ..Path::of_delay(2 * MS) });
    let bytes = pattern(20_000);
    (&near).write_all(&bytes).unwrap();
    let mut met = vec![0; 5_000];
    (&far).read_exact(&mut met).unwrap();
    assert!(met == bytes[..5_000]);
    (relay, near, far)
}

#[test]
fn a_path_is_closed_after_its_byte() {
    let (_relay, near, far) = cut(CutKind::Close);
    assert_eq!((&far).read(&mut [0; 8]).unwrap(), 0);
    // Bytes that the relay had not read when it closed cause a reset for the sender.
    assert!(matches!((&near).read(&mut [0; 8]), Ok(0) | Err(_)));
}

#[test]
fn a_path_is_reset_after_its_byte() {
    let (_relay, near, far) = cut(CutKind::Reset);
    for mut end in [&far, &near] {
        assert_eq!(end.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

#[test]
fn a_silent_path_tells_nobody() {
    let (relay, near, far) = cut(CutKind::Silence);
    far.set_read_timeout(Some(50 * MS)).unwrap();
    let error = (&far).read(&mut [0; 8]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    // The other direction still works, and the sender continues unaware.
    (&near).write_all(&pattern(1_000_000)).unwrap();
    let (met, _) = carry(&far, &near, b"back");
    assert_eq!(met, b"back");
    drop(relay);
    far.set_read_timeout(None).unwrap();
    assert!(matches!((&far).read(&mut [0; 8]), Ok(0) | Err(_)));
}

#[test]
fn who_resets_resets_the_other_end() {
    let (_relay, near, far) = connected(Path::default());
    let (met, _) = carry(&far, &near, b"unread");
    assert_eq!(met, b"unread");
    // Unread bytes turn the end into a reset.
    (&far).write_all(b"more").unwrap();
    near.peek(&mut [0; 4]).unwrap();
    drop(near);
    assert_eq!((&far).read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_relay_that_is_dropped_ends_its_connections() {
    let (relay, near, far) = connected(Path::of_delay(Duration::from_secs(3_600)));
    (&near).write_all(b"never comes").unwrap();
    drop(relay);
    assert!(matches!((&far).read(&mut [0; 8]), Ok(0) | Err(_)));
    assert!(matches!((&near).read(&mut [0; 8]), Ok(0) | Err(_)));
}

#[test]
fn a_target_that_does_not_listen_ends_the_connection() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let relay = Relay::start(gone, Path::default()).unwrap();
    let mut near = TcpStream::connect(relay.address()).unwrap();
    assert!(matches!(near.read(&mut [0; 8]), Ok(0) | Err(_)));
}
