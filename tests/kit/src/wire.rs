//! HTTP/2 frames by hand (RFC 9113 §4), independent of the core's encoder, so that wrong ones can be made.

use halfclose::frame::ErrorCode;

/// Frame types (RFC 9113 §6).
pub mod kind {
    #![allow(missing_docs)]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Frame flags (RFC 9113 §6).
pub mod flag {
    #![allow(missing_docs)]
    pub const NONE: u8 = 0;
    pub const ACK: u8 = 0x1;
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
    /// A whole header block that leaves the stream open.
    pub const WHOLE: u8 = END_HEADERS;
    /// A whole header block that ends the stream.
    pub const WHOLE_END: u8 = END_HEADERS | END_STREAM;
}

/// Settings (RFC 9113 §6.5.2).
pub mod setting {
    #![allow(missing_docs)]
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
}

/// The client preface (RFC 9113 §3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame with the length of its payload.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    frame_of_length(payload.len(), kind, flags, stream, payload)
}

/// One frame whose head states `length`, whatever the payload has.
#[must_use]
pub fn frame_of_length(length: usize, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(length).expect("fits").to_be_bytes();
    let mut out = vec![length[1], length[2], length[3], kind, flags];
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// A string literal without Huffman code (RFC 7541 §5.2).
#[must_use]
pub fn string(octets: impl AsRef<[u8]>) -> Vec<u8> {
    let octets = octets.as_ref();
    let mut out = integer(octets.len(), 7, 0);
    out.extend(octets);
    out
}

/// An integer with a prefix of `bits`, the bits above it set to those of `first` (RFC 7541 §5.1).
#[must_use]
pub fn integer(value: usize, bits: u8, first: u8) -> Vec<u8> {
    let max = (1_usize << bits) - 1;
    if value < max {
        return vec![first | value as u8];
    }
    let mut out = vec![first | max as u8];
    let mut rest = value - max;
    while rest >= 128 {
        out.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    out.push(rest as u8);
    out
}

/// One field as a literal without indexing and with a literal name (RFC 7541 §6.2.2): it needs and changes no table.
#[must_use]
pub fn field(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    [vec![0], string(name), string(value)].concat()
}

/// One field as a literal with incremental indexing and with a literal name (RFC 7541 §6.2.1).
#[must_use]
pub fn indexed_field(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    [vec![0x40], string(name), string(value)].concat()
}

/// A header block of literals only.
#[must_use]
pub fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| field(name, value)).collect()
}

/// The request headers of an ordinary call to `path`.
#[must_use]
pub fn request_fields(path: &str) -> Vec<(String, String)> {
    pairs(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ])
}

/// Ordinary response headers.
#[must_use]
pub fn response_fields() -> Vec<(String, String)> {
    pairs(&[(":status", "200"), ("content-type", "application/grpc")])
}

/// Trailers with a status.
#[must_use]
pub fn trailer_fields(code: u32) -> Vec<(String, String)> {
    vec![("grpc-status".to_owned(), code.to_string())]
}

/// Owned fields, to be changed by a test.
#[must_use]
pub fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A length-prefixed message.
#[must_use]
pub fn message(payload: &[u8]) -> Vec<u8> {
    flagged_message(0, payload)
}

/// A length-prefixed message with any flag octet.
#[must_use]
pub fn flagged_message(flag: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("fits").to_be_bytes();
    [&[flag], length.as_slice(), payload].concat()
}

/// A run of octets, written frame by frame.
///
/// ```
/// use halfclose_testkit::wire::Wire;
/// let octets = Wire::client().request(1, "/demo.Echo/Say", false).data(1, b"\0\0\0\0\0", true).done();
/// assert!(octets.starts_with(b"PRI * HTTP/2.0"));
/// ```
#[derive(Clone, Default, Debug)]
pub struct Wire(Vec<u8>);

impl Wire {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a client begins with: preface, empty SETTINGS, and the ACK of the server's.
    #[must_use]
    pub fn client() -> Self {
        Self::new().raw(PREFACE).settings(&[]).settings_ack()
    }

    /// What a server begins with: empty SETTINGS, and the ACK of the client's.
    #[must_use]
    pub fn server() -> Self {
        Self::new().settings(&[]).settings_ack()
    }

    /// Any octets.
    #[must_use]
    pub fn raw(mut self, octets: &[u8]) -> Self {
        self.0.extend(octets);
        self
    }

    /// Any frame.
    #[must_use]
    pub fn frame(self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Self {
        self.raw(&frame(kind, flags, stream, payload))
    }

    /// SETTINGS.
    #[must_use]
    pub fn settings(self, entries: &[(u16, u32)]) -> Self {
        let mut payload = Vec::new();
        for (id, value) in entries {
            payload.extend(id.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        self.frame(kind::SETTINGS, flag::NONE, 0, &payload)
    }

    /// SETTINGS with ACK.
    #[must_use]
    pub fn settings_ack(self) -> Self {
        self.frame(kind::SETTINGS, flag::ACK, 0, &[])
    }

    /// A whole header block of literals in one HEADERS frame.
    #[must_use]
    pub fn headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(self, stream: u32, fields: &[(N, V)], end: bool) -> Self {
        self.headers_block(stream, &block(fields), end)
    }

    /// A whole encoded block in one HEADERS frame.
    #[must_use]
    pub fn headers_block(self, stream: u32, block: &[u8], end: bool) -> Self {
        let flags = if end { flag::WHOLE_END } else { flag::WHOLE };
        self.frame(kind::HEADERS, flags, stream, block)
    }

    /// A header block in one HEADERS frame and as many CONTINUATION frames as `piece` octets each call for.
    #[must_use]
    pub fn headers_in_pieces(mut self, stream: u32, block: &[u8], end: bool, piece: usize) -> Self {
        let pieces: Vec<&[u8]> = block.chunks(piece.max(1)).collect();
        for (at, octets) in pieces.iter().enumerate() {
            let last = if at + 1 == pieces.len() { flag::END_HEADERS } else { flag::NONE };
            let end = if end && at == 0 { flag::END_STREAM } else { flag::NONE };
            let kind = if at == 0 { kind::HEADERS } else { kind::CONTINUATION };
            self = self.frame(kind, last | end, stream, octets);
        }
        self
    }

    /// The request headers of an ordinary call.
    #[must_use]
    pub fn request(self, stream: u32, path: &str, end: bool) -> Self {
        self.headers(stream, &request_fields(path), end)
    }

    /// Ordinary response headers.
    #[must_use]
    pub fn response(self, stream: u32) -> Self {
        self.headers(stream, &response_fields(), false)
    }

    /// Trailers with a status.
    #[must_use]
    pub fn trailers(self, stream: u32, code: u32) -> Self {
        self.headers(stream, &trailer_fields(code), true)
    }

    /// DATA.
    #[must_use]
    pub fn data(self, stream: u32, payload: &[u8], end: bool) -> Self {
        self.frame(kind::DATA, u8::from(end), stream, payload)
    }

    /// DATA with padding: the pad length octet and `padding` zeros.
    #[must_use]
    pub fn padded_data(self, stream: u32, payload: &[u8], padding: u8, end: bool) -> Self {
        let payload = [&[padding], payload, &vec![0; usize::from(padding)]].concat();
        self.frame(kind::DATA, u8::from(end) | flag::PADDED, stream, &payload)
    }

    /// DATA with one message.
    #[must_use]
    pub fn message(self, stream: u32, payload: &[u8], end: bool) -> Self {
        self.data(stream, &message(payload), end)
    }

    /// RST_STREAM.
    #[must_use]
    pub fn reset(self, stream: u32, code: ErrorCode) -> Self {
        self.frame(kind::RST_STREAM, flag::NONE, stream, &code.0.to_be_bytes())
    }

    /// PING.
    #[must_use]
    pub fn ping(self, data: [u8; 8], ack: bool) -> Self {
        self.frame(kind::PING, u8::from(ack), 0, &data)
    }

    /// GOAWAY.
    #[must_use]
    pub fn goaway(self, last_stream: u32, code: ErrorCode, debug: &[u8]) -> Self {
        let payload = [&last_stream.to_be_bytes(), &code.0.to_be_bytes(), debug].concat();
        self.frame(kind::GOAWAY, flag::NONE, 0, &payload)
    }

    /// WINDOW_UPDATE.
    #[must_use]
    pub fn window_update(self, stream: u32, increment: u32) -> Self {
        self.frame(kind::WINDOW_UPDATE, flag::NONE, stream, &increment.to_be_bytes())
    }

    /// PRIORITY.
    #[must_use]
    pub fn priority(self, stream: u32, depends_on: u32, weight: u8) -> Self {
        let payload = [depends_on.to_be_bytes().as_slice(), &[weight]].concat();
        self.frame(kind::PRIORITY, flag::NONE, stream, &payload)
    }

    /// The octets.
    #[must_use]
    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

impl AsRef<[u8]> for Wire {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
