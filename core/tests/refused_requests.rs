//! Requests that are not gRPC are answered with an HTTP status (P-2, P-8), and the rest of them must still obey RFC
//! 9113.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use halfclose::frame::{ErrorCode, FRAME_HEADER_LEN, FrameHeader, FrameType};
use halfclose::{Config, Connection, Event, Seed, Server, Time};
use halfclose_wire::{
    END_HEADERS, END_STREAM, PREFACE, frame,
    kind::{DATA, HEADERS, RST_STREAM},
};

const START: Time = Time::ZERO;

/// `GET / http`, by indices of the static table, and a content-length of 10.
const GET: [u8; 3] = [0x82, 0x86, 0x84];
const GET_TEN: [u8; 8] = [0x82, 0x86, 0x84, 0x0f, 0x0d, 0x02, b'1', b'0'];

struct Peer {
    server: Connection<Server>,
}

impl Peer {
    fn new() -> Self {
        let mut server = Connection::<Server>::new(Config::server(), Seed(1), START);
        let mut hello = PREFACE.to_vec();
        hello.extend(frame(4, 0, 0, &[]));
        hello.extend(frame(4, 1, 0, &[]));
        server.receive(START, &mut BytesMut::from(&hello[..])).unwrap();
        let mut peer = Self { server };
        peer.take(START);
        assert_eq!(peer.server.poll_event(), Some(Event::PeerSettings));
        peer
    }

    fn send(&mut self, bytes: &[u8]) -> Vec<(FrameType, Vec<u8>)> {
        self.server.receive(START, &mut BytesMut::from(bytes)).unwrap();
        let frames = self.take(START);
        assert_eq!(self.server.poll_event(), None, "no handler hears of it");
        frames
    }

    fn take(&mut self, now: Time) -> Vec<(FrameType, Vec<u8>)> {
        let mut bytes = Vec::new();
        while let Some(mut out) = self.server.poll_transmit(now) {
            let mut chunk = vec![0; out.remaining()];
            out.copy_to_slice(&mut chunk);
            bytes.extend(chunk);
        }
        let mut rest = &bytes[..];
        let mut frames = Vec::new();
        while let Some(head) = rest.first_chunk::<FRAME_HEADER_LEN>() {
            let head = FrameHeader::parse(head);
            let end = FRAME_HEADER_LEN + head.length as usize;
            frames.push((head.kind, rest[FRAME_HEADER_LEN..end].to_vec()));
            rest = &rest[end..];
        }
        frames
    }
}

fn reset(frames: &[(FrameType, Vec<u8>)]) -> Option<ErrorCode> {
    frames.iter().find_map(|(kind, payload)| {
        let code = <[u8; 4]>::try_from(payload.as_slice()).ok().filter(|_| *kind == FrameType::RstStream)?;
        Some(ErrorCode(u32::from_be_bytes(code)))
    })
}

fn is_answer(frames: &[(FrameType, Vec<u8>)]) -> bool {
    frames.iter().any(|(kind, _)| *kind == FrameType::Headers)
}

#[test]
fn a_request_that_ends_well_is_forgotten() {
    let mut peer = Peer::new();
    let answer = peer.send(&frame(HEADERS, END_HEADERS, 1, &GET));
    assert!(is_answer(&answer) && reset(&answer).is_none());
    assert_eq!(reset(&peer.send(&frame(DATA, END_STREAM, 1, b"body"))), None);
    assert!(peer.server.is_idle());
}

#[test]
fn data_must_add_up_to_the_content_length() {
    let mut peer = Peer::new();
    assert!(is_answer(&peer.send(&frame(HEADERS, END_HEADERS, 1, &GET_TEN))));
    let frames = peer.send(&frame(DATA, END_STREAM, 1, b"two"));
    assert_eq!(reset(&frames), Some(ErrorCode::PROTOCOL_ERROR));
    assert!(peer.server.is_idle());
}

#[test]
fn a_second_header_block_is_malformed() {
    let mut peer = Peer::new();
    assert!(is_answer(&peer.send(&frame(HEADERS, END_HEADERS, 1, &GET))));
    let frames = peer.send(&frame(HEADERS, END_HEADERS, 1, &GET));
    assert_eq!(reset(&frames), Some(ErrorCode::PROTOCOL_ERROR));
}

#[test]
fn frames_after_the_clients_reset_meet_a_closed_stream() {
    let mut peer = Peer::new();
    assert!(is_answer(&peer.send(&frame(HEADERS, END_HEADERS, 1, &GET))));
    assert_eq!(reset(&peer.send(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes()))), None);
    assert_eq!(reset(&peer.send(&frame(DATA, 0, 1, b"late"))), Some(ErrorCode::STREAM_CLOSED));
}

#[test]
fn nobody_is_listened_to_for_ever() {
    let mut peer = Peer::new();
    assert!(is_answer(&peer.send(&frame(HEADERS, END_HEADERS, 1, &GET))));
    let later = START + Duration::from_secs(5);
    peer.server.handle_timeout(later);
    assert_eq!(reset(&peer.take(later)), Some(ErrorCode::NO_ERROR));
    assert!(peer.server.is_idle());
}

#[test]
fn a_refused_upload_is_stopped_when_its_window_is_full() {
    let mut peer = Peer::new();
    assert!(is_answer(&peer.send(&frame(HEADERS, END_HEADERS, 1, &GET))));
    let mut sent = 0;
    let stopped = loop {
        let size = (65_535 - sent).min(16_384);
        let frames = peer.send(&frame(DATA, 0, 1, &vec![0; size]));
        sent += size;
        if let Some(code) = reset(&frames) {
            break code;
        }
    };
    assert_eq!((stopped, sent), (ErrorCode::NO_ERROR, 65_535));
    assert!(peer.server.is_idle());
}

/// `HEAD / http`: a literal method over the static table's name.
const HEAD: [u8; 8] = [0x02, 0x04, b'H', b'E', b'A', b'D', 0x86, 0x84];

#[test]
fn head_is_answered_without_content() {
    // RFC 9110 §9.3.2: the headers that another method would get, and no content.
    let mut peer = Peer::new();
    let answer = peer.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &HEAD));
    let kinds: Vec<_> = answer.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [FrameType::Headers]);
    let fields = hpack::Decoder::new().decode(&answer[0].1).unwrap();
    let value = |name: &str| fields.iter().find(|field| field.0 == name.as_bytes()).map(|field| &field.1[..]);
    assert_eq!((value(":status"), value("grpc-status")), (Some(&b"405"[..]), Some(&b"13"[..])));
    assert_eq!(value("content-type"), Some(&b"text/plain; charset=utf-8"[..]));
    assert!(peer.server.is_idle());
    // A request that continues is read like any other.
    let answer = peer.send(&frame(HEADERS, END_HEADERS, 3, &HEAD));
    assert!(is_answer(&answer) && reset(&answer).is_none() && !peer.server.is_idle());
    assert_eq!(reset(&peer.send(&frame(DATA, END_STREAM, 3, b"body"))), None);
    assert!(peer.server.is_idle());
}

#[test]
fn trailers_end_a_refused_request() {
    let trailers = [0x00, 0x01, b'x', 0x01, b'y'];
    let mut peer = Peer::new();
    assert!(is_answer(&peer.send(&frame(HEADERS, END_HEADERS, 1, &GET))));
    assert_eq!(reset(&peer.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers))), None);
    assert!(peer.server.is_idle(), "nobody is listened to that has ended");
    // No timer is left that could reset the stream later.
    let later = START + Duration::from_secs(60);
    peer.server.handle_timeout(later);
    assert!(peer.take(later).iter().all(|(kind, _)| *kind != FrameType::RstStream));
}

/// Creates a server whose client has windows of zero (4 = SETTINGS_INITIAL_WINDOW_SIZE).
fn without_windows() -> Peer {
    let mut peer = Peer::new();
    peer.server.receive(START, &mut BytesMut::from(&frame(4, 0, 0, &[0, 4, 0, 0, 0, 0])[..])).unwrap();
    peer.take(START);
    while peer.server.poll_event().is_some() {}
    peer
}

#[test]
fn an_answer_that_waits_for_its_window_is_given_whole() {
    // The request ends before the content of its answer can be sent.
    for ends in [frame(DATA, END_STREAM, 1, b""), frame(HEADERS, END_HEADERS | END_STREAM, 1, &[])] {
        let mut peer = without_windows();
        assert!(is_answer(&peer.send(&frame(HEADERS, END_HEADERS, 1, &GET))));
        assert!(peer.send(&ends).is_empty());
        let rest = peer.send(&frame(8, 0, 1, &1_000_u32.to_be_bytes()));
        let kinds: Vec<_> = rest.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [FrameType::Data, FrameType::Headers]);
        assert!(peer.server.is_idle());
    }
}

#[test]
fn an_answer_whose_window_never_opens_is_given_up() {
    let mut peer = without_windows();
    assert!(is_answer(&peer.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &GET))));
    assert!(!peer.server.is_idle());
    let later = START + Duration::from_secs(5);
    peer.server.handle_timeout(later);
    assert_eq!(reset(&peer.take(later)), Some(ErrorCode::CANCEL));
    assert!(peer.server.is_idle());
}
