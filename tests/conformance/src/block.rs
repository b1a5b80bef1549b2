//! Header blocks (RFC 7541): literals without indexing and without Huffman coding, which every decoder knows and which
//! leave the table alone.

/// A block of these fields.
#[must_use]
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(name.as_bytes(), value.as_bytes())).collect()
}

/// One literal field without indexing (RFC 7541 §6.2.2).
#[must_use]
pub fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut octets = vec![0];
    string(&mut octets, name);
    string(&mut octets, value);
    octets
}

/// RFC 7541 §5.1 and §5.2, for lengths below 16,383.
fn string(octets: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        short @ ..127 => octets.push(short as u8),
        long => {
            let rest = long - 127;
            octets.push(127);
            if rest >= 128 {
                octets.push((rest % 128) as u8 | 128);
                octets.push((rest / 128) as u8);
            } else {
                octets.push(rest as u8);
            }
        }
    }
    octets.extend_from_slice(text);
}

/// The fields of a request as gRPC wants it.
pub const REQUEST: [(&str, &str); 6] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/demo.Echo/Call"),
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
