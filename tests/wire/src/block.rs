//! Header blocks (RFC 7541) without Huffman coding.

/// Writes an HPACK integer (RFC 7541 §5.1).
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

/// A header block, written from left to right.
#[derive(Clone, Default, Debug)]
pub struct Block(pub Vec<u8>);

impl Block {
    /// Creates an empty block.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn string(&mut self, bytes: &[u8]) {
        integer(0, 7, bytes.len(), &mut self.0);
        self.0.extend_from_slice(bytes);
    }

    /// Adds a literal without indexing (RFC 7541 §6.2.2).
    #[must_use]
    pub fn field(mut self, name: &[u8], value: &[u8]) -> Self {
        self.0.push(0);
        self.string(name);
        self.string(value);
        self
    }

    /// Adds a literal with incremental indexing (RFC 7541 §6.2.1).
    #[must_use]
    pub fn indexing(mut self, name: &[u8], value: &[u8]) -> Self {
        self.0.push(0x40);
        self.string(name);
        self.string(value);
        self
    }

    /// Adds an indexed field (RFC 7541 §6.1); the newest of the dynamic table is 62.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        integer(0x80, 7, index, &mut self.0);
        self
    }

    /// Adds a size update (RFC 7541 §6.3).
    #[must_use]
    pub fn resize(mut self, size: usize) -> Self {
        integer(0x20, 5, size, &mut self.0);
        self
    }

    /// Adds bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Adds the fields of a call to [`PATH`].
    #[must_use]
    pub fn request() -> Self {
        Self::request_to(PATH.as_bytes())
    }

    /// Adds the fields of a call to `path`.
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

    /// Returns the headers of a response.
    #[must_use]
    pub fn response() -> Self {
        // :status 200 of the static table.
        Self::new().index(8).field(b"content-type", b"application/grpc")
    }

    /// Returns trailers with a status.
    #[must_use]
    pub fn status(code: &str) -> Self {
        Self::new().field(b"grpc-status", code.as_bytes())
    }
}

/// Returns a block of these fields as literals without indexing, which do not change the decoder's table.
#[must_use]
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let add = |block: Block, (name, value): &(&str, &str)| block.field(name.as_bytes(), value.as_bytes());
    fields.iter().fold(Block::new(), add).0
}

/// Writes one literal field without indexing (RFC 7541 §6.2.2).
#[must_use]
pub fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    Block::new().field(name, value).0
}

/// The method that the tests call.
pub const PATH: &str = "/demo.Echo/Call";

/// The fields of a valid gRPC request.
pub const REQUEST: [(&str, &str); 6] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", PATH),
    (":authority", "localhost"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
];

/// The fields of response headers.
pub const RESPONSE: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/grpc")];

/// The fields of trailers with status OK.
pub const TRAILERS: [(&str, &str); 1] = [("grpc-status", "0")];

/// The fields of a Trailers-Only answer.
pub const TRAILERS_ONLY: [(&str, &str); 3] =
    [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "5")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_independent_decoder_reads_strings_of_any_length() {
        for length in [0, 1, 126, 127, 128, 254, 255, 16_510, 16_511, 70_000] {
            let value = vec![b'x'; length];
            let fields =
                hpack::Decoder::new().decode(&Block::new().field(b"name", &value).0).expect("a block");
            assert_eq!(fields, [(b"name".to_vec(), value)], "{length}");
        }
    }

    #[test]
    fn an_independent_decoder_reads_what_enters_the_table() {
        let block =
            Block::new().resize(4_096).indexing(b"a", b"1").indexing(b"b", b"2").index(63).index(62).index(2);
        let fields = hpack::Decoder::new().decode(&block.0).expect("a block");
        let names: Vec<_> = fields.iter().map(|field| field.0.as_slice()).collect();
        assert_eq!(names, [&b"a"[..], b"b", b"a", b"b", b":method"]);
    }
}
