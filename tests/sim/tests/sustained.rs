//! Honest heavy use, for hours of virtual time: no limit may fire.

use std::time::Duration;

use bytes::Bytes;
use halfclose::{CallType, Config, Metadata, Recv, Sent, Status, Time};
use halfclose_sim::Duet;

const HOUR: u64 = 3_600;

fn seconds(count: u64) -> Time {
    Time::ZERO + Duration::from_secs(count)
}

fn alive(duet: &mut Duet, what: &str) {
    assert!(duet.is_alive(), "{what}: {:?} {:?}", duet.client_events(), duet.server_events());
}

/// Checks P-98: a PING at the shortest interval that the server allows, with and without calls, for a thousand hours.
#[test]
fn keepalive_at_the_legal_rate_is_no_strike() {
    for with_call in [false, true] {
        let mut config = Config::client();
        let policy = Config::server().keepalive;
        let least = if with_call { policy.min_ping_interval } else { policy.min_ping_interval_idle };
        config.keepalive.interval = Some(least);
        config.keepalive.without_calls = true;
        config.keepalive.max_pings_without_data = 0;
        let mut duet = Duet::new(config, Config::server());
        if with_call {
            duet.start(CallType::BIDI);
            duet.exchange();
        }
        for hour in 1..=1_000 {
            duet.wait_until(seconds(hour * HOUR));
            alive(&mut duet, "keepalive");
        }
    }
}

/// Checks P-99: without data a client stops after two PINGs, so that a strict server has nothing to count.
#[test]
fn keepalive_faster_than_a_server_allows_is_held_back_without_data() {
    let mut config = Config::client();
    config.keepalive.interval = Some(Duration::from_secs(10));
    config.keepalive.without_calls = true;
    let mut duet = Duet::new(config, Config::server());
    duet.wait_until(seconds(100 * HOUR));
    alive(&mut duet, "keepalive");
}

#[test]
fn a_reader_slower_than_its_sender_holds_only_itself_up() {
    let (client, server) = (Config::client(), Config::server());
    let most = client.max_stream_window as usize + server.limits.send_buffer as usize + 2 * 30_000;
    let mut duet = Duet::new(client, server);
    let slow = duet.start(CallType::SERVER_STREAMING);
    duet.exchange();
    let [answer] = duet.requests()[..] else { panic!("the call came") };
    let (mut sent, mut received) = (0, 0);
    for second in 1..=4 * HOUR {
        while duet.server.is_writable(answer) {
            duet.server.send_message(answer, vec![7; 30_000].into(), false).expect("there is room");
            sent += 1;
        }
        duet.exchange();
        duet.requests();
        // One message a second, however many have arrived.
        received += usize::from(matches!(duet.client.recv(slow), Ok(Recv::Message(_))));
        assert!((sent - received) * 30_000 <= most, "{sent} sent, {received} received");
        // Other calls are not blocked.
        if second % 60 == 0 {
            let quick = duet.start(CallType::UNARY);
            duet.client.half_close(quick).expect("the call is open");
            duet.exchange();
            for call in duet.requests() {
                duet.server.send_message(call, vec![1; 50_000].into(), false).expect("the call is open");
                duet.server.finish(call, Status::ok(), Metadata::new()).expect("the call is open");
            }
            duet.exchange();
            assert_eq!(duet.read(quick), 1);
        }
        duet.wait_until(seconds(second));
        alive(&mut duet, "a slow reader");
    }
    assert!(received > 4 * HOUR as usize - 60);
}

/// Sends tiny frames, each of which completes a message.
#[test]
fn a_stream_of_tiny_messages_is_no_flood() {
    let mut duet = Duet::new(Config::client(), Config::server());
    let call = duet.start(CallType::BIDI);
    duet.exchange();
    let [answer] = duet.requests()[..] else { panic!("the call came") };
    for _ in 0..200_000 {
        let sent = duet.client.send_message(call, Bytes::from_static(b"x"), false);
        assert_eq!(sent, Ok(Sent::Ready));
        duet.exchange();
        assert!(matches!(duet.server.recv(answer), Ok(Recv::Message(_))));
    }
    alive(&mut duet, "tiny messages, all at one instant");
}

/// Checks a receiver whose tiny window makes an honest sender's frames tiny.
#[test]
fn tiny_frames_that_a_tiny_window_forces_are_no_flood() {
    let mut server = Config::server();
    server.initial_stream_window = 100;
    server.max_stream_window = 100;
    let mut duet = Duet::new(Config::client(), server);
    let call = duet.start(CallType::CLIENT_STREAMING);
    duet.exchange();
    let [answer] = duet.requests()[..] else { panic!("the call came") };
    for second in 1..=HOUR {
        for size in [10, 150, 300, 5_000, 1, 0, 99] {
            duet.client.send_message(call, vec![3; size].into(), false).expect("there is room");
            duet.exchange();
            assert!(matches!(duet.server.recv(answer), Ok(Recv::Message(_))), "second {second}, size {size}");
            duet.exchange();
        }
        duet.wait_until(seconds(second));
        alive(&mut duet, "tiny frames");
    }
}

/// Checks P-31: a server that answers before the client has finished; each call causes an RST_STREAM both ways.
#[test]
fn streaming_calls_that_the_server_ends_early_are_no_flood() {
    let mut duet = Duet::new(Config::client(), Config::server());
    for second in 1..=60 {
        for _ in 0..50 {
            let calls: Vec<_> = (0..100).map(|_| duet.start(CallType::CLIENT_STREAMING)).collect();
            duet.exchange();
            for call in duet.requests() {
                let status = Status::unauthenticated("who are you?");
                duet.server.finish(call, status, Metadata::new()).expect("the call is open");
            }
            duet.exchange();
            duet.requests();
            for call in calls {
                assert!(matches!(duet.client.recv(call), Ok(Recv::End(_))), "second {second}");
            }
        }
        alive(&mut duet, "calls ended early, 5,000 a second");
        duet.wait_until(seconds(second));
    }
}
