//! Frames as octets (RFC 9113 §4.1), whatever they hold.

use halfclose::frame::ErrorCode;

/// The client's preface (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// DATA.
pub const DATA: u8 = 0;
/// HEADERS.
pub const HEADERS: u8 = 1;
/// PRIORITY.
pub const PRIORITY: u8 = 2;
/// RST_STREAM.
pub const RST_STREAM: u8 = 3;
/// SETTINGS.
pub const SETTINGS: u8 = 4;
/// PUSH_PROMISE.
pub const PUSH_PROMISE: u8 = 5;
/// PING.
pub const PING: u8 = 6;
/// GOAWAY.
pub const GOAWAY: u8 = 7;
/// WINDOW_UPDATE.
pub const WINDOW_UPDATE: u8 = 8;
/// CONTINUATION.
pub const CONTINUATION: u8 = 9;

/// ACK, on SETTINGS and PING.
pub const ACK: u8 = 1;
/// END_STREAM, on DATA and HEADERS.
pub const END_STREAM: u8 = 1;
/// END_HEADERS, on HEADERS and CONTINUATION.
pub const END_HEADERS: u8 = 4;
/// PADDED, on DATA and HEADERS.
pub const PADDED: u8 = 8;

/// A frame of any type, with any flags, on any stream.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut octets = length[1..].to_vec();
    octets.extend_from_slice(&[kind, flags]);
    octets.extend_from_slice(&stream.to_be_bytes());
    octets.extend_from_slice(payload);
    octets
}

/// HEADERS with a whole block.
#[must_use]
pub fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, stream, block)
}

/// DATA.
#[must_use]
pub fn data(stream: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, payload)
}

/// RST_STREAM.
#[must_use]
pub fn reset(stream: u32, code: ErrorCode) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.0.to_be_bytes())
}

/// WINDOW_UPDATE.
#[must_use]
pub fn update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

/// GOAWAY.
#[must_use]
pub fn goaway(last: u32, code: ErrorCode) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.0.to_be_bytes()].concat())
}

/// SETTINGS.
#[must_use]
pub fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    let entry = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat();
    frame(SETTINGS, 0, 0, &entries.iter().flat_map(entry).collect::<Vec<_>>())
}

/// SETTINGS with ACK.
#[must_use]
pub fn settings_ack() -> Vec<u8> {
    frame(SETTINGS, ACK, 0, &[])
}

/// A message of gRPC with its prefix.
#[must_use]
pub fn message(flag: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    [&[flag][..], &length.to_be_bytes()[..], payload].concat()
}

/// A frame that a connection sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Sent {
    /// Whether it ends its stream.
    #[must_use]
    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// The code of an RST_STREAM or a GOAWAY.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        let at = match self.kind {
            RST_STREAM => 0,
            GOAWAY => 4,
            _ => return None,
        };
        let octets = self.payload.get(at..at + 4)?;
        Some(ErrorCode(u32::from_be_bytes(octets.try_into().ok()?)))
    }
}

/// The frames in `octets`, which hold whole ones only.
#[must_use]
pub fn frames(mut octets: &[u8]) -> Vec<Sent> {
    octets = octets.strip_prefix(PREFACE).unwrap_or(octets);
    let mut frames = Vec::new();
    while let Some((head, rest)) = octets.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let (payload, rest) = rest.split_at(length);
        frames.push(Sent { kind: head[3], flags: head[4], stream, payload: payload.to_vec() });
        octets = rest;
    }
    assert!(octets.is_empty(), "a connection sends whole frames");
    frames
}
