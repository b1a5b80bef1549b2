//! Frames as bytes (RFC 9113 §4.1), with any content.

use halfclose::frame::ErrorCode;

/// The client's preface (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types (RFC 9113 §6).
pub mod kind {
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
}

/// ACK, on SETTINGS and PING.
pub const ACK: u8 = 1;
/// END_STREAM, on DATA and HEADERS.
pub const END_STREAM: u8 = 1;
/// END_HEADERS, on HEADERS and CONTINUATION.
pub const END_HEADERS: u8 = 4;
/// PADDED, on DATA and HEADERS.
pub const PADDED: u8 = 8;

/// Bytes of a frame's header.
const HEAD: usize = 9;

/// Returns a frame of any type, with any flags, on any stream.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).expect("a short payload").to_be_bytes()[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Returns HEADERS with a whole block.
#[must_use]
pub fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(kind::HEADERS, END_HEADERS | flags, stream, block)
}

/// Returns DATA.
#[must_use]
pub fn data(stream: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(kind::DATA, flags, stream, payload)
}

/// Returns RST_STREAM.
#[must_use]
pub fn reset(stream: u32, code: ErrorCode) -> Vec<u8> {
    frame(kind::RST_STREAM, 0, stream, &code.0.to_be_bytes())
}

/// Returns WINDOW_UPDATE.
#[must_use]
pub fn update(stream: u32, increment: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

/// Returns GOAWAY.
#[must_use]
pub fn goaway(last: u32, code: ErrorCode) -> Vec<u8> {
    frame(kind::GOAWAY, 0, 0, &[last.to_be_bytes(), code.0.to_be_bytes()].concat())
}

/// Returns PING.
#[must_use]
pub fn ping(payload: &[u8; 8]) -> Vec<u8> {
    frame(kind::PING, 0, 0, payload)
}

/// Returns SETTINGS with these entries.
#[must_use]
pub fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    let entry = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat();
    frame(kind::SETTINGS, 0, 0, &entries.iter().flat_map(entry).collect::<Vec<_>>())
}

/// Returns SETTINGS with ACK.
#[must_use]
pub fn settings_ack() -> Vec<u8> {
    frame(kind::SETTINGS, ACK, 0, &[])
}

/// Returns a gRPC message with its prefix, not compressed.
#[must_use]
pub fn message(payload: &[u8]) -> Vec<u8> {
    flagged(0, payload)
}

/// Returns a gRPC message whose prefix has this flag.
#[must_use]
pub fn flagged(flag: u8, payload: &[u8]) -> Vec<u8> {
    prefixed(flag, u32::try_from(payload.len()).expect("a short payload"), payload)
}

/// Returns a payload after a prefix of any kind.
#[must_use]
pub fn prefixed(flag: u8, length: u32, payload: &[u8]) -> Vec<u8> {
    [&[flag][..], &length.to_be_bytes(), payload].concat()
}

/// A frame that a connection sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Returns the first frame in `bytes` and its length there, if it is complete.
    fn first(bytes: &[u8]) -> Option<(Self, usize)> {
        let header: &[u8; HEAD] = bytes.first_chunk()?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let payload = bytes.get(HEAD..HEAD + length)?.to_vec();
        let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
        Some((Self { kind: header[3], flags: header[4], stream, payload }, HEAD + length))
    }

    /// Returns whether the frame ends its stream.
    #[must_use]
    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.flags & END_STREAM != 0
    }

    /// Returns whether the frame is the acknowledgement of a frame of its type.
    #[must_use]
    pub fn is_ack(&self) -> bool {
        matches!(self.kind, kind::SETTINGS | kind::PING) && self.flags & ACK != 0
    }

    /// Returns four bytes of the payload from `at`, as a number.
    #[must_use]
    pub fn word(&self, at: usize) -> Option<u32> {
        Some(u32::from_be_bytes(self.payload.get(at..at + 4)?.try_into().ok()?))
    }

    /// Returns the code of an RST_STREAM or a GOAWAY.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self.kind {
            kind::RST_STREAM => self.word(0),
            kind::GOAWAY => self.word(4),
            _ => None,
        }
        .map(ErrorCode)
    }
}

/// Removes the first frame, if it is complete.
pub fn take_frame(bytes: &mut Vec<u8>) -> Option<Frame> {
    let (frame, length) = Frame::first(bytes)?;
    bytes.drain(..length);
    Some(frame)
}

/// Returns the frames in `bytes`, which hold only complete ones, after a preface or not.
///
/// # Panics
///
/// If a frame is incomplete.
#[must_use]
pub fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut rest = bytes.strip_prefix(PREFACE).unwrap_or(bytes);
    let mut frames = Vec::new();
    while let Some((frame, length)) = Frame::first(rest) {
        frames.push(frame);
        rest = &rest[length..];
    }
    assert!(rest.is_empty(), "a connection sends whole frames");
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let bytes =
            [PREFACE, &settings(&[(4, 1)]), &reset(3, ErrorCode::CANCEL), &goaway(5, ErrorCode(9))].concat();
        let read = frames(&bytes);
        assert_eq!(read[0].payload, [0, 4, 0, 0, 0, 1]);
        let codes: Vec<_> = read.iter().map(|frame| (frame.kind, frame.stream, frame.code())).collect();
        let expected = [
            (kind::SETTINGS, 0, None),
            (kind::RST_STREAM, 3, Some(ErrorCode::CANCEL)),
            (kind::GOAWAY, 0, Some(ErrorCode(9))),
        ];
        assert_eq!(codes, expected);
        assert_eq!(read[2].word(0), Some(5));
    }

    #[test]
    fn a_frame_is_taken_when_it_is_whole() {
        let whole = data(1, END_STREAM, &message(b"whole"));
        for at in 0..whole.len() {
            let mut bytes = whole[..at].to_vec();
            assert_eq!((take_frame(&mut bytes), bytes.len()), (None, at));
        }
        let mut bytes = [whole.clone(), whole[..3].to_vec()].concat();
        let frame = take_frame(&mut bytes).expect("a whole frame");
        assert!(frame.ends_stream() && bytes == whole[..3]);
    }

    #[test]
    #[should_panic(expected = "whole frames")]
    fn a_frame_that_is_cut_is_none() {
        let _ = frames(&ping(b"question")[..16]);
    }
}
