//! Settings out of their range, and settings that the peer has not acknowledged yet.

mod common;

use bytes::{Bytes, BytesMut};
use common::{Pair, message};
use halfclose::hpack::{Encoder, Indexing};
use halfclose::{
    CallType, Client, Config, Connection, Event, Metadata, Misuse, Recv, Request, Seed, Server, Status, Time,
    TimerKind,
};
use std::time::Duration;

#[test]
fn keepalive_of_each_side_by_default() {
    // P-96 to P-99.
    let (client, server) = (Config::client().keepalive, Config::server().keepalive);
    let (hours, minutes) = (Duration::from_secs(2 * 60 * 60), Duration::from_secs(5 * 60));
    assert_eq!((client.interval, server.interval), (None, Some(hours)));
    assert_eq!((client.without_calls, server.without_calls), (false, true));
    assert_eq!((client.max_strikes, server.max_strikes), (None, Some(2)));
    for side in [client, server] {
        assert_eq!((side.timeout, side.max_pings_without_data), (Duration::from_secs(20), 2));
        assert_eq!((side.min_ping_interval, side.min_ping_interval_idle), (minutes, hours));
    }
}

/// Runs one call with a message of `size` bytes each way, in as many turns as the limits require.
fn echo(pair: &mut Pair, size: usize) {
    let payload: Bytes = (0..size).map(|n| n as u8).collect::<Vec<_>>().into();
    let call = pair.start(CallType::UNARY);
    pair.client.send_message(call, payload.clone(), false).unwrap();
    pair.client.half_close(call).unwrap();
    let at_server = pair.accept(CallType::UNARY);
    let request = message(pair.server.recv(at_server).unwrap());
    assert_eq!(request, payload);
    pair.server.send_message(at_server, request, false).unwrap();
    pair.server.finish(at_server, Status::ok(), Metadata::new()).unwrap();
    pair.exchange();
    assert!(matches!(pair.server.poll_event(), Some(Event::Ended(..))));
    assert_eq!(message(pair.client.recv(call).unwrap()), payload);
    assert!(pair.outcome(call).status.is_ok());
}

#[test]
fn values_out_of_range_are_taken_for_the_nearest_that_work() {
    for extreme in [0, 1, u32::MAX] {
        let mut configs = [Config::client(), Config::server()];
        for config in &mut configs {
            config.initial_stream_window = extreme;
            config.max_stream_window = extreme;
            config.connection_window = extreme;
            config.limits.max_frame_size = extreme;
            config.limits.decoder_table = extreme;
            config.limits.encoder_table = extreme;
            config.limits.queued_replies = extreme;
            config.limits.frames_per_turn = extreme;
            config.limits.bytes_per_turn = extreme;
            config.limits.send_buffer = extreme;
            config.limits.memory = extreme.into();
            (config.limits.memory_timeout, config.limits.stall_timeout) = <_>::default();
        }
        let [client, server] = configs;
        let mut pair = Pair::with(client, server);
        for size in [0, 1, 1_000, 300_000] {
            echo(&mut pair, size);
        }
        assert!(!pair.client.is_closed() && !pair.server.is_closed(), "{extreme}");
    }
}

#[test]
fn a_sender_finds_room_again_however_small_the_buffers_are() {
    let mut config = Config::client();
    config.limits.send_buffer = 0;
    let mut pair = Pair::with(config, Config::server());
    let call = pair.start(CallType::CLIENT_STREAMING);
    for _ in 0..5 {
        pair.client.send_message(call, Bytes::from_static(b"x"), false).unwrap();
        pair.exchange();
        assert_eq!(pair.client.poll_event(), Some(Event::Writable(call)));
    }
}

#[test]
fn an_interval_of_nothing_does_not_spin() {
    let mut config = Config::client();
    config.keepalive.interval = Some(Duration::ZERO);
    config.keepalive.without_calls = true;
    let mut pair = Pair::with(config, Config::server());
    for _ in 0..10 {
        let (at, kind) = pair.client.poll_timeout().unwrap();
        assert_eq!(kind, TimerKind::Keepalive);
        assert!(at > pair.now, "each PING is later than the one before");
        pair.now = at;
        pair.client.handle_timeout(at);
        pair.exchange();
    }
}

#[test]
fn what_a_client_says_about_itself_is_checked() {
    let mut config = Config::client();
    config.authority = Bytes::from_static(b"a\r\nb");
    let mut client = Connection::<Client>::new(config, Seed(1), Time::ZERO);
    let refused = client.start(Time::ZERO, Request::new("/demo.Echo/Call", CallType::UNARY));
    assert_eq!(refused, Err(Misuse::InvalidAuthority));
    let mut request = Request::new("/demo.Echo/Call", CallType::UNARY);
    request.authority = Some(Bytes::from_static(b"example.org:80"));
    assert!(client.start(Time::ZERO, request).is_ok());
    let mut request = Request::new("/demo.Echo/Call", CallType::UNARY);
    request.authority = Some(Bytes::from_static(b"user@example.org"));
    assert_eq!(client.start(Time::ZERO, request), Err(Misuse::InvalidAuthority));

    let mut config = Config::client();
    config.user_agent = Bytes::from_static(b"bad\n");
    config.authority = Bytes::new();
    let mut pair = Pair::with(config, Config::server());
    pair.start(CallType::UNARY);
    let call = pair.accept(CallType::UNARY);
    let head = pair.server.request(call).unwrap();
    assert_eq!(head.metadata.get_str("user-agent"), Some(halfclose::grpc::user_agent::DEFAULT));
    assert_eq!(head.authority(), None);
}

#[test]
fn windows_below_the_default_hold_from_their_acknowledgement_on() {
    // RFC 9113 §6.9.2: until the acknowledgement the peer may send 65,535 bytes on each stream.
    let mut config = Config::server();
    config.initial_stream_window = 1_000;
    let mut pair = Pair::apart(Config::client(), config);
    let call = pair.start(CallType::CLIENT_STREAMING);
    for _ in 0..6 {
        pair.client.send_message(call, Bytes::from(vec![7; 10_000]), false).unwrap();
    }
    pair.exchange();
    pair.server.poll_event();
    let at_server = pair.accept(CallType::CLIENT_STREAMING);
    let late = pair.client.send_message(call, Bytes::from(vec![8; 10_000]), false);
    assert!(late.is_ok(), "{late:?}");
    for _ in 0..6 {
        assert_eq!(message(pair.server.recv(at_server).unwrap()), vec![7; 10_000]);
        pair.exchange();
    }
    assert_eq!(message(pair.server.recv(at_server).unwrap()), vec![8; 10_000]);
    assert!(matches!(pair.server.recv(at_server), Ok(Recv::Pending)));
}

#[test]
fn header_tables_other_than_the_default_hold_from_their_acknowledgement_on() {
    // RFC 9113 §4.3.1: until the acknowledgement the peer's encoder uses 4,096 bytes.
    for table in [0, 64, 100_000] {
        let mut client = Config::client();
        let mut server = Config::server();
        client.limits.decoder_table = table;
        server.limits.decoder_table = table;
        let mut pair = Pair::apart(client, server);
        for n in 0..40 {
            let mut request = Request::new("/demo.Echo/Call", CallType::UNARY);
            // Enough distinct fields to replace all entries of a table of 4,096 bytes.
            request.metadata.append(&format!("x-name-{n}"), &"v".repeat(60)).unwrap();
            request.metadata.append("x-same", "always").unwrap();
            pair.client.start(pair.now, request).unwrap();
        }
        pair.carry_up();
        for n in 0..40 {
            let call = pair.accept(CallType::UNARY);
            let head = pair.server.request(call).unwrap();
            assert_eq!(head.metadata.get_str(&format!("x-name-{n}")), Some("v".repeat(60).as_str()));
        }
    }
}

/// Creates a server that has received a preface and SETTINGS.
fn server(config: Config) -> Connection<Server> {
    let mut server = Connection::new(config, Seed(1), Time::ZERO);
    let mut bytes = BytesMut::from(halfclose::frame::PREFACE.as_slice());
    bytes.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
    common::feed(&mut server, Time::ZERO, &mut bytes);
    common::written(&mut server, Time::ZERO);
    server
}

fn pings_taken(config: Config, open_call: bool, apart: Duration) -> usize {
    let mut server = server(config);
    if open_call {
        let mut block = Vec::new();
        let mut encoder = Encoder::new(0);
        encoder.begin(&mut block);
        for (name, value) in [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/a/b"),
            ("content-type", "application/grpc"),
        ] {
            encoder.field(name.as_bytes(), value.as_bytes(), Indexing::Without, &mut block);
        }
        let mut bytes = BytesMut::from([0, 0, block.len() as u8, 1, 4, 0, 0, 0, 1].as_slice());
        bytes.extend_from_slice(&block);
        common::feed(&mut server, Time::ZERO, &mut bytes);
    }
    let mut now = Time::ZERO;
    for taken in 0..20 {
        now = now + apart;
        let mut ping = BytesMut::from([0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8].as_slice());
        if server.receive(now, &mut ping).is_err() {
            return taken;
        }
        common::written(&mut server, now);
    }
    20
}

#[test]
fn pings_without_calls_are_strikes_unless_they_are_permitted() {
    // P-98: every five minutes with a call open, every two hours without one; the third strike ends the connection.
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let mut config = Config::server();
    config.keepalive.interval = None;
    assert_eq!(pings_taken(config.clone(), true, minutes(5)), 20);
    assert_eq!(pings_taken(config.clone(), true, minutes(4)), 3);
    assert_eq!(pings_taken(config.clone(), false, minutes(5)), 3);
    assert_eq!(pings_taken(config.clone(), false, minutes(120)), 20);
    config.keepalive.min_ping_interval_idle = config.keepalive.min_ping_interval;
    assert_eq!(pings_taken(config.clone(), false, minutes(5)), 20);
    assert_eq!(pings_taken(config, false, minutes(4)), 3);
}
