//! What each side sends first (RFC 9113 §3.4): its SETTINGS that differ from the defaults, and its window.

mod common;

use common::Scripted;
use halfclose::{Client, Config, ConnectionError, Server, Violation};
use halfclose_wire::{Frame, PREFACE, frames, kind, settings};

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;

/// Returns the entries of SETTINGS, and the increment of the WINDOW_UPDATE after them.
fn said(sent: &[Frame]) -> (Vec<(u16, u32)>, Option<u32>) {
    assert_eq!((sent[0].kind, sent[0].flags, sent[0].stream), (kind::SETTINGS, 0, 0));
    let word = |bytes: &[u8]| bytes.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
    let entries =
        sent[0].payload.chunks(6).map(|entry| (word(&entry[..2]) as u16, word(&entry[2..]))).collect();
    let update = sent.get(1).map(|frame| {
        assert_eq!((frame.kind, frame.stream), (kind::WINDOW_UPDATE, 0));
        frame.word(0).unwrap()
    });
    assert!(sent.len() <= 2);
    (entries, update)
}

fn custom(mut config: Config) -> Config {
    config.limits.decoder_table = 0;
    config.limits.max_frame_size = 20_000;
    config.limits.max_header_list = u32::MAX;
    config.limits.max_concurrent_streams = u32::MAX;
    config.initial_stream_window = 1_000;
    config.connection_window = 65_535;
    config
}

#[test]
fn settings_that_are_not_the_defaults_are_said() {
    let more = (1 << 20) - 65_535;
    let client = |config| said(&Scripted::<Client>::silent(config).sent());
    let server = |config| said(&Scripted::<Server>::silent(config).sent());
    assert_eq!(
        client(Config::client()),
        (vec![(ENABLE_PUSH, 0), (MAX_HEADER_LIST_SIZE, 16_384)], Some(more))
    );
    assert_eq!(
        server(Config::server()),
        (vec![(MAX_CONCURRENT_STREAMS, 200), (MAX_HEADER_LIST_SIZE, 16_384)], Some(more))
    );
    let custom_ones = vec![(HEADER_TABLE_SIZE, 0), (INITIAL_WINDOW_SIZE, 1_000), (MAX_FRAME_SIZE, 20_000)];
    assert_eq!(server(custom(Config::server())), (custom_ones.clone(), None));
    assert_eq!(client(custom(Config::client())), ([vec![(ENABLE_PUSH, 0)], custom_ones].concat(), None));
}

#[test]
fn the_clients_preface_comes_first_of_all_and_a_server_has_none() {
    let mut peer = Scripted::<Client>::silent(Config::client());
    let bytes = common::written(&mut peer.core, peer.now);
    assert!(bytes.starts_with(PREFACE));
    assert_eq!(frames(&bytes)[0].kind, kind::SETTINGS);
    let mut peer = Scripted::<Server>::silent(Config::server());
    assert_eq!(common::written(&mut peer.core, peer.now)[3], kind::SETTINGS);
}

#[test]
fn a_server_reads_the_preface_byte_by_byte_and_nothing_else() {
    let mut peer = Scripted::<Server>::silent(Config::server());
    for byte in PREFACE {
        peer.feed(&[*byte]).unwrap();
    }
    peer.feed(&settings(&[])).unwrap();
    for wrong in 0..PREFACE.len() {
        let mut bytes = PREFACE.to_vec();
        bytes[wrong] ^= 1;
        let mut peer = Scripted::<Server>::silent(Config::server());
        let met = bytes.iter().try_for_each(|byte| peer.feed(&[*byte]));
        assert_eq!(met, Err(ConnectionError::Violation(Violation::Preface)), "byte {wrong}");
    }
}

#[test]
fn a_client_opens_a_hundred_streams_until_it_hears_how_many_the_server_takes() {
    for (entries, more) in
        [(vec![], 50), (vec![(MAX_CONCURRENT_STREAMS, 101)], 1), (vec![(MAX_CONCURRENT_STREAMS, 2)], 0)]
    {
        let mut peer = Scripted::<Client>::silent(Config::client());
        for _ in 0..150 {
            peer.start();
        }
        let opened = |sent: Vec<Frame>| sent.iter().filter(|frame| frame.kind == kind::HEADERS).count();
        assert_eq!(opened(peer.sent()), 100);
        peer.feed(&settings(&entries)).unwrap();
        assert_eq!(opened(peer.sent()), more, "{entries:?}");
    }
}

#[test]
fn only_a_client_may_enable_push() {
    // RFC 9113 §6.5.2.
    let refused = Err(ConnectionError::Violation(Violation::PushEnabledByServer));
    for (value, from_server, from_client) in [(0, Ok(()), Ok(())), (1, refused, Ok(()))] {
        let mut peer = Scripted::<Client>::silent(Config::client());
        assert_eq!(peer.feed(&settings(&[(ENABLE_PUSH, value)])), from_server);
        let mut peer = Scripted::<Server>::server(Config::server(), &[]);
        assert_eq!(peer.feed(&settings(&[(ENABLE_PUSH, value)])), from_client);
    }
}
