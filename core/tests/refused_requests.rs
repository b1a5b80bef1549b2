//! Requests that are not gRPC's are answered with an HTTP status (P-2, P-8), and the rest of them is still judged by
//! RFC 9113.

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
