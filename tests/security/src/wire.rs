//! Frames and header blocks, written octet by octet: nothing of the code under attack has a part in it.

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

/// END_STREAM on DATA and HEADERS, ACK on SETTINGS and PING.
pub const END_STREAM: u8 = 1;
/// ACK.
pub const ACK: u8 = 1;
/// END_HEADERS.
pub const END_HEADERS: u8 = 4;
/// PADDED.
pub const PADDED: u8 = 8;

/// One frame.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(payload.len()).expect("a short payload").to_be_bytes()[1..].to_vec();
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// SETTINGS with these entries.
#[must_use]
pub fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (id, value) in entries {
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    frame(kind::SETTINGS, 0, 0, &payload)
}

/// RST_STREAM.
#[must_use]
pub fn reset(stream: u32, code: ErrorCode) -> Vec<u8> {
    frame(kind::RST_STREAM, 0, stream, &code.0.to_be_bytes())
}

/// WINDOW_UPDATE.
#[must_use]
pub fn update(stream: u32, increment: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

/// HEADERS with a whole block.
#[must_use]
pub fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(kind::HEADERS, END_HEADERS | flags, stream, block)
}

/// DATA.
#[must_use]
pub fn data(stream: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(kind::DATA, flags, stream, payload)
}

/// A gRPC message with its prefix.
#[must_use]
pub fn message(payload: &[u8]) -> Vec<u8> {
    prefixed(0, u32::try_from(payload.len()).expect("a short payload"), payload)
}

/// A prefix of any kind before a payload.
#[must_use]
pub fn prefixed(flag: u8, length: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![flag];
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// An HPACK integer (RFC 7541 §5.1).
fn integer(first: u8, prefix: u32, value: usize, out: &mut Vec<u8>) {
    let most = (1_usize << prefix) - 1;
    if value < most {
        out.push(first | u8::try_from(value).expect("below the prefix"));
        return;
    }
    out.push(first | u8::try_from(most).expect("at most 8 bits"));
    let mut rest = value - most;
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).expect("7 bits") | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).expect("7 bits"));
}

/// A header block of literals without Huffman coding.
#[derive(Clone, Default, Debug)]
pub struct Block(pub Vec<u8>);

impl Block {
    /// An empty block.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn string(&mut self, octets: &[u8]) {
        integer(0, 7, octets.len(), &mut self.0);
        self.0.extend_from_slice(octets);
    }

    /// A literal without indexing (RFC 7541 §6.2.2).
    #[must_use]
    pub fn field(mut self, name: &[u8], value: &[u8]) -> Self {
        self.0.push(0);
        self.string(name);
        self.string(value);
        self
    }

    /// A literal with incremental indexing (RFC 7541 §6.2.1).
    #[must_use]
    pub fn indexing(mut self, name: &[u8], value: &[u8]) -> Self {
        self.0.push(0x40);
        self.string(name);
        self.string(value);
        self
    }

    /// An indexed field (RFC 7541 §6.1); the newest of the dynamic table is 62.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        integer(0x80, 7, index, &mut self.0);
        self
    }

    /// A size update (RFC 7541 §6.3).
    #[must_use]
    pub fn resize(mut self, size: usize) -> Self {
        integer(0x20, 5, size, &mut self.0);
        self
    }

    /// Octets as they are.
    #[must_use]
    pub fn raw(mut self, octets: &[u8]) -> Self {
        self.0.extend_from_slice(octets);
        self
    }

    /// The fields of a call.
    #[must_use]
    pub fn request() -> Self {
        Self::request_to(b"/sec.Test/Call")
    }

    /// The fields of a call to `path`.
    #[must_use]
    pub fn request_to(path: &[u8]) -> Self {
        // :method POST and :scheme http of the static table.
        Self::new()
            .index(3)
            .index(6)
            .field(b":path", path)
            .field(b":authority", b"localhost")
            .field(b"te", b"trailers")
            .field(b"content-type", b"application/grpc")
    }

    /// The head of a response.
    #[must_use]
    pub fn response() -> Self {
        // :status 200 of the static table.
        Self::new().index(8).field(b"content-type", b"application/grpc")
    }

    /// Trailers with a status.
    #[must_use]
    pub fn status(code: &str) -> Self {
        Self::new().field(b"grpc-status", code.as_bytes())
    }
}

/// One frame of the output of a connection.
#[derive(Clone, Debug)]
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

/// Takes the first frame off, when it is whole.
pub fn take_frame(octets: &mut Vec<u8>) -> Option<Frame> {
    let head: [u8; 9] = octets.get(..9)?.try_into().ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let payload = octets.get(9..9 + length)?.to_vec();
    octets.drain(..9 + length);
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some(Frame { kind: head[3], flags: head[4], stream, payload })
}
