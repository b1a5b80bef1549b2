//! Honest loads that come nearest to the limits of control frames and of frames without use, at any rate: no virtual time
//! passes unless a test says so. Each test is named after the limit that it holds (docs/limits.md).

use std::time::Duration;

use halfclose::frame::ErrorCode;
use halfclose::{CallType, Client, Request, Server};
use halfclose_security::target::flood_of;
use halfclose_security::wire::{
    ACK, Block, END_STREAM, data, frame, headers, kind, message, ping, reset, settings, update,
};
use halfclose_security::{Met, Side, Target};

const MANY: usize = 100_000;

fn server() -> Target<Server> {
    let mut t = Server::target(Server::config());
    // The answers are read and never credited: a window for all of them.
    t.send(&settings(&[(4, 0x7ff0_0000)]));
    t.send(&update(0, 0x7ff0_0000));
    t
}

fn client() -> Target<Client> {
    Client::target(Client::config())
}

/// A whole unary call with this request, and what else the peer sends once it has the answer.
fn unary(t: &mut Target<Server>, request: &[u8], after: impl Fn(u32) -> Vec<u8>) {
    let id = t.id();
    t.send(&headers(id, 0, &Block::request().0));
    t.send(&data(id, END_STREAM, &message(request)));
    assert!(t.data.remove(&id).is_some(), "an answer");
    t.send(&after(id));
}

/// The same of a client's call: the server answers, and sends this besides.
fn answered(t: &mut Target<Client>, before: &[u8], after: impl Fn(u32) -> Vec<u8>) {
    let id = t.start();
    t.send(before);
    t.send(&headers(id, 0, &Block::response().0));
    t.send(&data(id, 0, &message(b"pong")));
    t.send(&headers(id, END_STREAM, &Block::status("0").0));
    t.send(&after(id));
    assert_eq!(t.outcomes.pop().map(|outcome| outcome.status.is_ok()), Some(true));
}

#[track_caller]
fn alive<R: Side>(t: &mut Target<R>) {
    assert_eq!(t.met(), Met::Alive);
    assert!(t.serves());
}

/// grpc-go and grpc-java send a PING for each round trip in which DATA came.
#[test]
fn control_frames_a_ping_with_each_unary_round_trip() {
    let mut t = server();
    for _ in 0..MANY {
        unary(&mut t, b"ping", |_| ping(b"\x02\x04\x10\x10\x09\x0e\x07\x07"));
    }
    assert_eq!(t.acks, MANY + 2, "each is answered, and the SETTINGS");
    alive(&mut t);
    let mut t = client();
    for _ in 0..MANY {
        answered(&mut t, &ping(b"\x02\x04\x10\x10\x09\x0e\x07\x07"), |_| Vec::new());
    }
    alive(&mut t);
}

#[test]
fn control_frames_a_ping_with_each_message_of_a_stream() {
    let mut t = server();
    let id = t.open();
    for _ in 0..MANY {
        t.send(&data(id, 0, &message(b"ping")));
        t.data.clear();
        t.send(&ping(b"estimate"));
    }
    alive(&mut t);
    let mut t = client();
    let id = t.start_stream();
    for _ in 0..MANY {
        t.send(&data(id, 0, &message(b"news")));
        t.send(&ping(b"estimate"));
    }
    alive(&mut t);
}

/// A peer that has its say about windows with each round trip.
#[test]
fn control_frames_settings_with_each_unary_round_trip() {
    let mut t = server();
    for n in 0..3_000 {
        unary(&mut t, b"ping", |_| settings(&[(4, 0x7ff0_0000 + n % 2)]));
    }
    alive(&mut t);
    let mut t = client();
    for n in 0..3_000 {
        answered(&mut t, &settings(&[(4, 65_535 + n % 2)]), |_| Vec::new());
    }
    alive(&mut t);
}

/// What the useful frames paid for is no store of PINGs for later.
#[test]
fn control_frames_a_flood_after_honest_use_is_cut_as_soon() {
    let mut t = client();
    for _ in 0..2_000 {
        answered(&mut t, b"", |_| Vec::new());
    }
    assert_eq!(t.flood(&ping(b"pingpong"), MANY), 1000);
    assert_eq!(t.met(), Met::Closed(ErrorCode::ENHANCE_YOUR_CALM, "too_many_control_frames".to_owned()));
    let mut t = server();
    for _ in 0..2_000 {
        unary(&mut t, b"ping", |_| ping(b"estimate"));
    }
    assert!(t.flood(&ping(b"pingpong"), MANY) < 5);
    assert_eq!(t.met(), Met::Closed(ErrorCode::ENHANCE_YOUR_CALM, "too_many_pings".to_owned()));
}

/// An upload without an answer: its WINDOW_UPDATE frames forgive a client's keepalive, as in C-core.
#[test]
fn keepalive_during_an_upload_that_is_not_answered_yet() {
    let mut t = server();
    t.answers = false;
    let id = t.open();
    let call = t.running[0];
    for _ in 0..600 {
        for _ in 0..4 {
            t.send(&data(id, 0, &message(&[7; 16_000])));
            assert!(t.conn.recv(call).is_ok(), "{:?}", t.met());
        }
        t.send(&ping(b"are you?"));
        t.wait(Duration::from_secs(10));
    }
    alive(&mut t);
}

/// A client whose reader takes 4 KiB at a time credits the answer in as many frames, long after the server's end.
#[test]
fn glitches_credit_for_large_answers_that_have_ended() {
    let mut t = Server::target(Server::config());
    t.send(&settings(&[(4, 4 << 20)]));
    t.send(&update(0, 0x7ff0_0000));
    let mut credit = Vec::new();
    let ids: Vec<u32> = (0..200).map(|_| t.open()).collect();
    for id in ids {
        for _ in 0..16 {
            t.send(&data(id, 0, &message(&[7; 16_000])));
        }
        t.send(&data(id, END_STREAM, b""));
        let bytes = t.data.remove(&id).map_or(0, |(_, bytes)| bytes.len());
        assert_eq!(bytes, 16 * 16_005);
        credit.extend(update(id, 1_000).repeat(bytes / 1_000));
    }
    // 51,200 frames at one instant.
    t.send(&credit);
    alive(&mut t);
}

/// A server that takes an upload piece by piece credits it after the client's end of the call.
#[test]
fn glitches_credit_for_large_requests_that_have_ended() {
    let mut t = client();
    t.send(&settings(&[(4, 4 << 20)]));
    t.send(&update(0, 0x7ff0_0000));
    let mut credit = Vec::new();
    for _ in 0..50 {
        let call = t.conn.start(t.now, Request::new("/sec.Test/Call", CallType::UNARY)).expect("a call");
        t.conn.send_message(call, vec![7; 1 << 20].into(), false).expect("room");
        t.conn.half_close(call).expect("open");
        t.drain(call);
        t.settle();
        let id = t.id();
        t.send(&headers(id, END_STREAM, &Block::response().field(b"grpc-status", b"0").0));
        credit.extend(update(id, 1_000).repeat((1 << 20) / 1_000));
    }
    t.outcomes.clear();
    t.send(&credit);
    alive(&mut t);
}

/// Extension frames (RFC 9113 §5.5), one with each message.
#[test]
fn glitches_an_unknown_frame_with_each_message() {
    let extension = frame(0x4d, 0, 1, b"metadata of some proxy");
    let mut t = server();
    let id = t.open();
    for _ in 0..20_000 {
        t.send(&data(id, 0, &message(b"ping")));
        t.send(&extension);
        t.data.clear();
    }
    alive(&mut t);
    let mut t = client();
    let id = t.start_stream();
    for _ in 0..20_000 {
        t.send(&data(id, 0, &message(b"news")));
        t.send(&extension);
    }
    alive(&mut t);
}

/// An early hint, a reset and an update that cross the end of each call.
#[test]
fn glitches_frames_that_cross_the_end_of_each_call() {
    let mut t = server();
    for _ in 0..5_000 {
        unary(&mut t, b"ping", |id| {
            [update(id, 9), update(id, 9), update(id, 9), reset(id, ErrorCode::CANCEL)].concat()
        });
    }
    alive(&mut t);
    let mut t = client();
    let hint = Block::new().field(b":status", b"103").0;
    for _ in 0..5_000 {
        answered(&mut t, b"", |id| [update(id, 9), reset(id, ErrorCode::NO_ERROR)].concat());
        let next = t.start();
        t.send(&headers(next, 0, &hint).repeat(2));
        t.send(&headers(next, END_STREAM, &Block::response().field(b"grpc-status", b"0").0));
        t.outcomes.clear();
    }
    alive(&mut t);
}

/// A first SETTINGS frame with every entry there is, and as many again that are unknown (RFC 8701 greases).
#[test]
fn settings_entries_of_a_first_frame() {
    let known = [(1, 4096), (2, 0), (3, 100), (4, 65_535), (5, 16_384), (6, 16_384), (8, 1), (9, 1)];
    let unknown = (0..8).map(|n| (0x0a0a + 0x1010 * n, 7));
    let entries: Vec<(u16, u32)> = known.into_iter().chain(unknown).collect();
    let mut t = Target::<Client>::fresh(Client::config());
    t.send(&settings(&entries));
    t.send(&frame(kind::SETTINGS, ACK, 0, b""));
    assert_eq!(flood_of(&t), None);
    alive(&mut t);
}
