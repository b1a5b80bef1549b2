//! Base64 for `-bin` metadata ([P-43](crate::manual::rules#p-43)): RFC 4648 §4, standard alphabet, written without
//! padding.

const ALPHABET: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const INVALID: u8 = 0xff;
const REVERSE: [u8; 256] = reverse();

const fn reverse() -> [u8; 256] {
    let mut table = [INVALID; 256];
    let mut i = 0;
    while i < 64 {
        #[allow(clippy::indexing_slicing)]
        // Evaluated by the compiler, where an index out of range fails the build.
        {
            table[ALPHABET[i] as usize] = i as u8;
        }
        i += 1;
    }
    table
}

/// Why text is not valid base64.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Base64Error {
    /// A byte outside the alphabet.
    #[error("byte {byte:#04x} at {index} is not in the base64 alphabet")]
    Byte {
        /// The byte.
        byte: u8,
        /// Its index, in bytes from the start.
        index: usize,
    },
    /// No input encodes to this many digits, or the padding does not complete the last group of four.
    #[error("base64 of {0} bytes is cut short or wrongly padded")]
    Length(usize),
}

/// Returns the length of `len` bytes when encoded without padding.
#[must_use]
pub const fn encoded_len(len: usize) -> usize {
    // 4 digits for every 3 bytes; 2 or 3 digits for a remainder of 1 or 2 bytes.
    let rest = len % 3;
    (len / 3).saturating_mul(4).saturating_add(if rest == 0 { 0 } else { rest + 1 })
}

fn digit(bits: u32) -> u8 {
    ALPHABET.get((bits & 0x3f) as usize).copied().unwrap_or_default()
}

/// Appends the unpadded encoding of `bytes` to `out`.
pub fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(encoded_len(bytes.len()));
    let (groups, rest) = bytes.as_chunks::<3>();
    for &[a, b, c] in groups {
        let bits = u32::from_be_bytes([0, a, b, c]);
        out.extend_from_slice(&[digit(bits >> 18), digit(bits >> 12), digit(bits >> 6), digit(bits)]);
    }
    match *rest {
        [a] => out.extend_from_slice(&[digit(u32::from(a) >> 2), digit(u32::from(a) << 4)]),
        [a, b] => {
            let bits = u32::from_be_bytes([0, 0, a, b]);
            out.extend_from_slice(&[digit(bits >> 10), digit(bits >> 4), digit(bits << 2)]);
        }
        _ => {}
    }
}

/// Appends the decoded bytes of `text`, with or without padding, to `out`.
///
/// Unused bits of the last digit are ignored (RFC 4648 §3.5 lets a decoder choose; grpc-go ignores them).
///
/// # Errors
/// [`Base64Error`]; `out` is unchanged then.
pub fn decode(text: &[u8], out: &mut Vec<u8>) -> Result<(), Base64Error> {
    let start = out.len();
    let result = decode_unpadded(strip_padding(text)?, out);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Removes one or two `=` from a text of complete groups of four.
fn strip_padding(text: &[u8]) -> Result<&[u8], Base64Error> {
    let stripped = match text {
        [headers @ .., b'=', b'='] | [headers @ .., b'='] => headers,
        _ => return Ok(text),
    };
    if text.len().is_multiple_of(4) { Ok(stripped) } else { Err(Base64Error::Length(text.len())) }
}

fn value(digit: u8) -> u8 {
    REVERSE.get(usize::from(digit)).copied().unwrap_or(INVALID)
}

fn decode_unpadded(text: &[u8], out: &mut Vec<u8>) -> Result<(), Base64Error> {
    let (groups, rest) = text.as_chunks::<4>();
    out.reserve(groups.len().saturating_mul(3).saturating_add(2));
    for &group in groups {
        let [a, b, c, d] = group.map(value);
        if (a | b | c | d) & 0xc0 != 0 {
            return Err(bad_byte(text));
        }
        out.extend_from_slice(&[(a << 2) | (b >> 4), (b << 4) | (c >> 2), (c << 6) | d]);
    }
    match *rest {
        [] => Ok(()),
        [a, b] => {
            let (a, b) = (value(a), value(b));
            if (a | b) & 0xc0 != 0 {
                return Err(bad_byte(text));
            }
            out.push((a << 2) | (b >> 4));
            Ok(())
        }
        [a, b, c] => {
            let (a, b, c) = (value(a), value(b), value(c));
            if (a | b | c) & 0xc0 != 0 {
                return Err(bad_byte(text));
            }
            out.extend_from_slice(&[(a << 2) | (b >> 4), (b << 4) | (c >> 2)]);
            Ok(())
        }
        _ => Err(Base64Error::Length(text.len())),
    }
}

#[cold]
fn bad_byte(text: &[u8]) -> Base64Error {
    let found = text.iter().enumerate().find(|&(_, &byte)| value(byte) == INVALID);
    found.map_or(Base64Error::Length(text.len()), |(index, &byte)| Base64Error::Byte { byte, index })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(text: &[u8]) -> Result<Vec<u8>, Base64Error> {
        let mut out = b"kept".to_vec();
        let result = decode(text, &mut out);
        assert_eq!(&out[..4], b"kept");
        result.map(|()| out[4..].to_vec()).inspect_err(|_| assert_eq!(out.len(), 4))
    }

    #[test]
    fn vectors_of_rfc_4648() {
        let table: [(&[u8], &[u8], &[u8]); 8] = [
            (b"", b"", b""),
            (b"f", b"Zg", b"Zg=="),
            (b"fo", b"Zm8", b"Zm8="),
            (b"foo", b"Zm9v", b"Zm9v"),
            (b"foob", b"Zm9vYg", b"Zm9vYg=="),
            (b"fooba", b"Zm9vYmE", b"Zm9vYmE="),
            (b"foobar", b"Zm9vYmFy", b"Zm9vYmFy"),
            (b"\xab\xab\xab", b"q6ur", b"q6ur"),
        ];
        for (bytes, unpadded, padded) in table {
            let mut out = Vec::new();
            encode(bytes, &mut out);
            assert_eq!(out, unpadded);
            assert_eq!(encoded_len(bytes.len()), unpadded.len());
            assert_eq!(decoded(unpadded).as_deref(), Ok(bytes));
            assert_eq!(decoded(padded).as_deref(), Ok(bytes));
        }
        assert_eq!(decoded(b"+/+/"), Ok(vec![0xfb, 0xff, 0xbf]));
    }

    #[test]
    fn each_digit_has_its_value_and_other_bytes_none() {
        for (byte, value) in (0..=255_u8).zip(reverse()) {
            let place = ALPHABET.iter().position(|&digit| digit == byte);
            assert_eq!(usize::from(value), place.unwrap_or(usize::from(INVALID)), "{byte:#x}");
        }
    }

    type Case<'a> = (&'a [u8], Result<Vec<u8>, Base64Error>);

    #[test]
    fn garbage_is_refused() {
        let byte = |byte, index| Err(Base64Error::Byte { byte, index });
        let table: [Case<'_>; 19] = [
            (b"A", Err(Base64Error::Length(1))),
            (b"AAAAA", Err(Base64Error::Length(5))),
            (b"Zg=", Err(Base64Error::Length(3))),
            (b"Zm9v=", Err(Base64Error::Length(5))),
            (b"Zm9vZ===", byte(b'=', 5)),
            (b"====", byte(b'=', 0)),
            (b"=", Err(Base64Error::Length(1))),
            (b"Zg==Zg==", byte(b'=', 2)),
            (b"Z-_v", byte(b'-', 1)),
            (b"Zm9 v", byte(b' ', 3)),
            (b"Zm9v\n", Err(Base64Error::Length(5))),
            (b"Z\xff", byte(0xff, 1)),
            (b"!!!", byte(b'!', 0)),
            (b"!!A", byte(b'!', 0)),
            (b"A!!", byte(b'!', 1)),
            (b"!!", byte(b'!', 0)),
            (b"!!AA", byte(b'!', 0)),
            (b"A!!A", byte(b'!', 1)),
            (b"AA!!", byte(b'!', 2)),
        ];
        for (text, expected) in table {
            assert_eq!(decoded(text), expected, "{text:?}");
        }
        // Unused bits are ignored.
        assert_eq!(decoded(b"Zh").as_deref(), Ok(b"f".as_slice()));
    }

    proptest! {
        #[test]
        fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut text = Vec::new();
            encode(&bytes, &mut text);
            prop_assert_eq!(text.len(), encoded_len(bytes.len()));
            prop_assert_eq!(decoded(&text).unwrap(), bytes.clone());
            while !text.len().is_multiple_of(4) { text.push(b'='); }
            prop_assert_eq!(decoded(&text).unwrap(), bytes);
        }

        #[test]
        fn what_decodes_encodes_back(text in proptest::collection::vec(proptest::sample::select(&b"ABab01+/=,"[..]), 0..12)) {
            if let Ok(bytes) = decoded(&text) {
                let mut back = Vec::new();
                encode(&bytes, &mut back);
                let bare: Vec<u8> = text.iter().copied().filter(|&b| b != b'=').collect();
                prop_assert_eq!(back.len(), bare.len());
                prop_assert_eq!(decoded(&back).unwrap(), bytes);
            }
        }
    }
}
