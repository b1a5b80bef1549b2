//! Resets that a side commands by itself are no replies: two honest ends never stop reading each other because of
//! them. Replies that a peer causes and does not read are still bounded.

mod common;

use bytes::BytesMut;
use common::{Scripted, written};
use halfclose::{Client, Config, Event, Needed, Role, Server};
use halfclose_wire::{END_STREAM, REQUEST, block, frames, headers, kind, ping, settings};
use std::time::Duration;

/// Returns what the core asks for after one more frame, when none of its output was accepted.
fn reads<R: Role>(peer: &mut Scripted<R>, bytes: &[u8]) -> Needed {
    peer.core.receive(peer.now, &mut BytesMut::from(bytes)).expect("no violation")
}

fn server(streams: u32) -> Scripted<Server> {
    let mut config = Config::server();
    config.limits.max_concurrent_streams = streams;
    Scripted::server(config, &[])
}

/// Creates a client with `calls` calls open.
fn client(calls: u32) -> Scripted<Client> {
    let mut peer = Scripted::client(Config::client(), &[(3, 1 << 20)]);
    for _ in 0..calls {
        peer.start();
        peer.sent();
    }
    peer
}

#[test]
fn deadlines_that_pass_at_one_instant_do_not_stop_a_server_from_reading() {
    for calls in [63, 64, 200, 30_000] {
        let mut peer = server(calls);
        let fields = block(&[&REQUEST[..], &[("grpc-timeout", "10m")]].concat());
        for n in 0..calls {
            peer.feed(&headers(2 * n + 1, 0, &fields)).unwrap();
        }
        peer.events();
        peer.sent();
        peer.wait(Duration::from_millis(12));
        assert_eq!(reads(&mut peer, &ping(b"pingpong")), Needed::More, "{calls}");
        // The output is measured again for each frame that added to it.
        assert_eq!(reads(&mut peer, &ping(b"pingpong")), Needed::More, "{calls}");
        peer.events();
        // A status each, and a reset that asks the client to send nothing more (P-31).
        let sent = peer.sent();
        let count = |kind: u8| sent.iter().filter(|frame| frame.kind == kind).count();
        assert_eq!((count(kind::HEADERS), count(kind::RST_STREAM)), (calls as usize, calls as usize));
    }
}

#[test]
fn calls_that_a_client_cancels_at_once_do_not_stop_it_from_reading() {
    for calls in [64, 30_000] {
        let mut peer = client(0);
        let started: Vec<_> = (0..calls)
            .map(|_| {
                let call = peer.start();
                peer.sent();
                call
            })
            .collect();
        started.into_iter().for_each(|call| peer.core.cancel(call).unwrap());
        for _ in 0..3 {
            assert_eq!(reads(&mut peer, &ping(b"pingpong")), Needed::More, "{calls}");
        }
        let resets = peer.sent().iter().filter(|frame| frame.kind == kind::RST_STREAM).count();
        assert_eq!(resets, calls as usize);
    }
}

#[test]
fn resets_that_this_side_commands_are_forgotten_when_they_have_been_written() {
    let mut peer = client(0);
    for _ in 0..3 {
        let calls = [(); 100].map(|()| {
            let call = peer.start();
            peer.sent();
            call
        });
        calls.into_iter().for_each(|call| peer.core.cancel(call).unwrap());
        peer.sent();
    }
    // Replies alone: 64 of them, however many resets preceded.
    assert_eq!(reads(&mut peer, &ping(b"pingpong").repeat(64)), Needed::More);
    assert_eq!(reads(&mut peer, &ping(b"pingpong")), Needed::Drain);
}

#[test]
fn requests_that_are_all_cancelled_and_whose_resets_nobody_reads_end_in_back_pressure() {
    let mut peer = server(200);
    let fields = block(&REQUEST);
    let taken = (0..100_000).take_while(|n| {
        if reads(&mut peer, &headers(2 * n + 1, END_STREAM, &fields)) == Needed::Drain {
            return false;
        }
        let request = peer.events().into_iter().find_map(|event| match event {
            Event::Request(call) => Some(call),
            _ => None,
        });
        peer.core.cancel(request.expect("a request")).unwrap();
        true
    });
    // 128 KiB of what the peer has caused, and a little for each call that was open at once.
    let taken = taken.count();
    assert!((10_082..10_200).contains(&taken), "{taken}");
    let wire = written(&mut peer.core, peer.now);
    assert!(frames(&wire).iter().all(|frame| frame.kind == kind::RST_STREAM));
}

#[test]
fn resets_for_the_peers_mistakes_are_replies() {
    let mut peer = server(200);
    let malformed = block(&[&REQUEST[..], &[("Upper", "case")]].concat());
    let requests: Vec<u8> = (0..64).flat_map(|n| headers(2 * n + 1, END_STREAM, &malformed)).collect();
    assert_eq!(reads(&mut peer, &requests), Needed::More);
    assert_eq!(reads(&mut peer, &ping(b"pingpong")), Needed::Drain);
    // Streams over the limit are refused.
    let mut peer = server(1);
    peer.open(1);
    peer.sent();
    let requests: Vec<u8> = (1..65).flat_map(|n| headers(2 * n + 1, END_STREAM, &block(&REQUEST))).collect();
    assert_eq!(reads(&mut peer, &requests), Needed::More);
    assert_eq!(reads(&mut peer, &settings(&[])), Needed::Drain);
}
