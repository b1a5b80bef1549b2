//! The limits leave honest heavy use alone.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use halfclose::frame::ErrorCode;
use halfclose::{Client, Metadata, Needed, Server, Status};
use halfclose_security::wire::{
    ACK, Block, END_HEADERS, END_STREAM, PADDED, data, frame, headers, kind, message, prefixed, reset,
    settings, update,
};
use halfclose_security::{Met, Side, Target};

fn server() -> Target<Server> {
    Server::target(Server::config())
}

#[test]
fn a_burst_of_cancelled_calls_and_then_the_rate_for_two_hours() {
    let mut t = server();
    let cancelled = |t: &mut Target<Server>, count: usize| {
        let mut bytes = Vec::new();
        for _ in 0..count {
            let id = t.id();
            bytes.extend(headers(id, 0, &Block::request().0));
            bytes.extend(data(id, 0, &message(b"wanted no more")));
            bytes.extend(reset(id, ErrorCode::CANCEL));
        }
        t.send(&bytes);
    };
    cancelled(&mut t, 500);
    assert_eq!(t.met(), Met::Alive);
    for _ in 0..7_200 {
        t.wait(Duration::from_secs(1));
        cancelled(&mut t, 50);
        t.fields.clear();
        t.data.clear();
    }
    assert_eq!(t.met(), Met::Alive);
    assert!(t.serves());
}

#[test]
fn calls_that_the_server_ends_early_while_messages_are_under_way() {
    let mut t = server();
    t.answers = false;
    for _ in 0..20 {
        let ids: Vec<u32> = (0..200).map(|_| t.open()).collect();
        for (n, call) in t.running.clone().into_iter().enumerate() {
            if n % 2 == 0 {
                t.conn.cancel(call).unwrap();
            } else {
                t.conn.finish(call, Status::unavailable("busy"), Metadata::new()).unwrap();
            }
        }
        t.settle();
        // Everything that was in flight: small messages, the half-close, an update.
        for id in ids {
            (0..20).for_each(|_| {
                t.send(&data(id, 0, &message(b"a small message")));
            });
            t.send(&data(id, END_STREAM, b""));
            t.send(&update(id, 1_000));
        }
    }
    assert_eq!(t.met(), Met::Alive);
    assert_eq!(t.resets.get(&ErrorCode::STREAM_CLOSED.0), None, "none of it is an error");
    assert!(t.serves());
}

#[test]
fn keepalives_for_three_days() {
    let ping = frame(kind::PING, 0, 0, b"are you?");
    let (minutes, hours) = (Duration::from_secs(60), Duration::from_secs(3_600));
    // What the server asks itself is answered.
    let alive = frame(kind::PING, ACK, 0, b"hc-alive");
    let wait = |t: &mut Target<Server>, time: Duration| {
        t.wait(time);
        t.send(&alive);
    };
    // A client without calls, every two hours.
    let mut idle = server();
    (0..36).for_each(|_| {
        idle.send(&ping);
        wait(&mut idle, 2 * hours);
    });
    assert!(idle.serves());
    // A client with a call that says nothing, every five minutes.
    let mut silent = server();
    silent.open();
    (0..3 * 24 * 12).for_each(|_| {
        silent.send(&ping);
        wait(&mut silent, 5 * minutes);
    });
    assert_eq!((silent.met(), silent.acks), (Met::Alive, 1 + 3 * 24 * 12), "and the SETTINGS");
    // A client that measures its bandwidth asks with every message that it gets.
    let mut busy = server();
    let id = busy.open();
    for _ in 0..3 * 24 * 60 {
        busy.send(&data(id, 0, &message(b"tell me")));
        busy.send(&ping);
        wait(&mut busy, minutes);
        busy.data.clear();
    }
    assert!(busy.serves());
}

#[test]
fn header_blocks_in_as_many_frames_as_are_allowed() {
    let mut t = server();
    for _ in 0..1_000 {
        let id = t.id();
        let block = Block::request().field(b"x-long", &[b'x'; 10_000]).0;
        let pieces: Vec<&[u8]> = block.chunks(block.len().div_ceil(9)).collect();
        assert_eq!(pieces.len(), 9);
        for (i, piece) in pieces.iter().enumerate() {
            let (kind, flags) = if i == 0 { (kind::HEADERS, END_STREAM) } else { (kind::CONTINUATION, 0) };
            t.send(&frame(kind, flags | if i == 8 { END_HEADERS } else { 0 }, id, piece));
        }
        assert!(t.end_of(id).is_some());
    }
    assert!(t.serves());
}

#[test]
fn a_stream_of_a_hundred_thousand_tiny_messages() {
    let mut t = server();
    t.send(&settings(&[(4, 0x7fff_ffff)]));
    t.send(&update(0, 0x7ff0_0000));
    let id = t.open();
    for n in 0..100_000_u32 {
        // One in ten has its prefix in a frame of its own.
        if n % 10 == 0 {
            t.send(&data(id, 0, &prefixed(0, 1, b"")));
            t.send(&data(id, 0, b"x"));
        } else {
            t.send(&data(id, 0, &message(b"x")));
        }
    }
    t.send(&data(id, END_STREAM, b""));
    assert_eq!(t.met(), Met::Alive);
    assert_eq!(t.data[&id].1.len(), 600_000, "each came back");
    assert_eq!(t.end_of(id).and_then(|fields| fields.get("grpc-status")), Some("0"));
}

#[test]
fn a_server_that_answers_in_tiny_frames() {
    let mut t = Client::target(Client::config());
    let id = t.start();
    t.send(&headers(id, 0, &Block::response().0));
    let answer = message(&[7; 50_000]);
    answer.iter().for_each(|byte| {
        t.send(&data(id, 0, &[*byte]));
    });
    t.send(&headers(id, END_STREAM, &Block::status("0").0));
    assert!(t.outcomes[0].status.is_ok(), "{:?}", t.outcomes[0]);
    assert!(t.serves());
}

#[test]
fn a_client_that_cancels_thousands_of_calls_whose_answers_are_under_way() {
    let mut t = Client::target(Client::config());
    for _ in 0..100 {
        let ids: Vec<u32> = (0..100).map(|_| t.start()).collect();
        for call in t.running.clone() {
            t.conn.cancel(call).unwrap();
            t.drain(call);
        }
        t.settle();
        t.outcomes.clear();
        for id in ids {
            t.send(&headers(id, 0, &Block::response().0));
            t.send(&data(id, 0, &message(b"late")));
            t.send(&headers(id, END_STREAM, &Block::status("0").0));
        }
    }
    assert_eq!(t.met(), Met::Alive);
    assert!(t.serves());
}

#[test]
fn a_priority_frame_with_every_request() {
    let mut t = server();
    for _ in 0..20_000 {
        let id = t.id();
        t.send(&frame(kind::PRIORITY, 0, id, &[0, 0, 0, 0, 15]));
        t.send(&headers(id, END_STREAM, &Block::request().0));
    }
    assert!(t.serves());
}

#[test]
fn updates_for_every_call_that_has_just_ended() {
    let mut t = server();
    for _ in 0..20_000 {
        let id = t.open();
        t.send(&data(id, END_STREAM, &message(b"ping")));
        t.send(&update(id, 9));
        t.send(&update(0, 9));
        t.data.clear();
    }
    assert!(t.serves());
}

/// A bulk sender over a slow transport always has something to write: replies that have gone must not add up.
#[test]
fn replies_behind_a_writer_that_is_never_done() {
    let mut t = server();
    (t.answers, t.reads) = (false, false);
    t.send(&settings(&[(4, 0x7fff_ffff)]));
    t.send(&update(0, 0x7ff0_0000));
    t.open();
    let bulk = t.running[0];
    let ack = frame(kind::SETTINGS, 0, 0, b"");
    for n in 0..900 {
        while t.conn.is_writable(bulk) {
            t.conn.send_message(bulk, vec![0; 64 * 1024].into(), false).unwrap();
        }
        let mut input = BytesMut::from(ack.as_slice());
        let needed = t.conn.receive(t.now, &mut input);
        assert_eq!(needed, Ok(Needed::More), "after {n}");
        // The transport takes a part, and never all.
        for _ in 0..2 {
            let mut out = t.conn.poll_transmit(t.now).expect("there is always more");
            let part = out.remaining().min(20_000);
            out.advance(part);
        }
        assert!(t.conn.poll_transmit(t.now).is_some());
    }
}

/// What was sent and what was given back, for the connection: no byte of credit is lost or given twice.
fn conserved(t: &Target<Server>, sent: u64) {
    let given = t.credit.get(&0).copied().unwrap_or(0) - ((1 << 20) - 65_535);
    assert!(given <= sent, "{given} for {sent}");
    assert!(sent - given <= 1 << 19, "{given} for {sent}: credit leaks");
}

#[test]
fn credit_of_padding_returns_once() {
    let mut t = server();
    let id = t.open();
    let padded = [&[200][..], &message(&[1; 300]), &[0; 200]].concat();
    let mut sent = 0;
    for _ in 0..20_000 {
        t.send(&data(id, PADDED, &padded));
        sent += padded.len() as u64;
        t.data.clear();
    }
    conserved(&t, sent);
    assert!(t.credit[&id] + 65_535 >= sent && t.credit[&id] <= sent + (1 << 20), "the stream's credit too");
}

#[test]
fn credit_of_reset_calls_returns_once() {
    let mut t = server();
    t.answers = false;
    let mut sent = 0;
    for _ in 0..400 {
        let id = t.open();
        (0..3).for_each(|_| {
            t.send(&data(id, 0, &message(&[1; 16_000])));
        });
        sent += 3 * 16_005;
        t.send(&reset(id, ErrorCode::CANCEL));
    }
    conserved(&t, sent);
    assert!(t.serves());
}

#[test]
fn credit_of_refused_and_late_data_returns_once() {
    let mut t = server();
    t.answers = false;
    for _ in 0..200 {
        t.open();
    }
    let mut sent = 0;
    let mut refused = Vec::new();
    for _ in 0..300 {
        refused.push(t.open());
    }
    for id in refused {
        (0..3).for_each(|_| {
            t.send(&data(id, 0, &message(&[1; 16_000])));
        });
        sent += 3 * 16_005;
    }
    // Late: the server has cancelled them.
    for call in t.running.clone() {
        t.conn.cancel(call).unwrap();
    }
    t.settle();
    for id in (1..400).step_by(2) {
        (0..3).for_each(|_| {
            t.send(&data(id, 0, &message(&[1; 16_000])));
        });
        sent += 3 * 16_005;
    }
    conserved(&t, sent);
    assert!(t.serves());
}
