//! Integers with an N-bit prefix (RFC 7541 §5.1).

use super::DecodeError;

/// The most continuation bytes of an integer: five are enough for any 32-bit integer.
const MAX_CONTINUATION: usize = 5;

/// Decodes the integer whose prefix is the bits of `first` under `mask` and which continues in `rest`. Returns it
/// with the number of bytes consumed from `rest`.
#[inline]
pub(super) fn decode(first: u8, mask: u8, rest: &[u8]) -> Result<(u32, usize), DecodeError> {
    let prefix = first & mask;
    if prefix < mask { Ok((u32::from(prefix), 0)) } else { continued(mask, rest) }
}

fn continued(mask: u8, rest: &[u8]) -> Result<(u32, usize), DecodeError> {
    let mut value = u64::from(mask);
    for (place, &byte) in rest.iter().take(MAX_CONTINUATION).enumerate() {
        // At most five groups of seven bits and a prefix: 36 bits.
        value += u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).map_err(|_| DecodeError::IntegerOverflow { value })?;
            return Ok((value, place + 1));
        }
    }
    Err(if rest.len() < MAX_CONTINUATION { DecodeError::Truncated } else { DecodeError::IntegerTooLong })
}

/// Appends `value` with a prefix under `mask`; the bits above the prefix are `pattern`.
#[inline]
pub(super) fn encode(value: usize, mask: u8, pattern: u8, out: &mut Vec<u8>) {
    match u8::try_from(value) {
        Ok(small) if small < mask => out.push(pattern | small),
        _ => encode_continued(value - usize::from(mask), mask, pattern, out),
    }
}

fn encode_continued(mut rest: usize, mask: u8, pattern: u8, out: &mut Vec<u8>) {
    out.push(pattern | mask);
    while rest >= 0x80 {
        out.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(value: usize, mask: u8, pattern: u8) -> Vec<u8> {
        let mut out = Vec::new();
        encode(value, mask, pattern, &mut out);
        out
    }

    // RFC 7541 §C.1.1 to §C.1.3.
    #[test]
    fn examples_of_the_rfc() {
        assert_eq!(encoded(10, 0x1f, 0), [0x0a]);
        assert_eq!(encoded(1337, 0x1f, 0), [0x1f, 0x9a, 0x0a]);
        assert_eq!(encoded(42, 0xff, 0), [0x2a]);
        assert_eq!(decode(0xea, 0x1f, &[]), Ok((10, 0)));
        assert_eq!(decode(0xff, 0x1f, &[0x9a, 0x0a, 0x77]), Ok((1337, 2)));
        assert_eq!(decode(0x2a, 0xff, &[]), Ok((42, 0)));
    }

    #[test]
    fn every_prefix_at_its_edges() {
        for bits in 1..=8 {
            let mask = (0xff_u32 >> (8 - bits)) as u8;
            let limit = usize::from(mask);
            let edges =
                [0, 1, limit - 1, limit, limit + 1, limit + 127, limit + 128, limit + 0x3fff, limit + 0x4000];
            for value in edges.into_iter().chain([u32::MAX as usize - 1, u32::MAX as usize]) {
                let wire = encoded(value, mask, 0);
                assert_eq!(
                    decode(wire[0], mask, &wire[1..]),
                    Ok((value as u32, wire.len() - 1)),
                    "{bits} {value}"
                );
                for cut in 1..wire.len() {
                    assert_eq!(decode(wire[0], mask, &wire[1..cut]), Err(DecodeError::Truncated));
                }
            }
        }
    }

    #[test]
    fn limits() {
        // 2^32 - 1 with a prefix of 5 bits is 31 + 0xffff_ffe0.
        let most = [0xe0, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(decode(0x1f, 0x1f, &most), Ok((u32::MAX, 5)));
        let over = [0xe1, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(decode(0x1f, 0x1f, &over), Err(DecodeError::IntegerOverflow { value: 1 << 32 }));
        // Zero groups may pad up to five bytes, never six.
        assert_eq!(decode(0x1f, 0x1f, &[0x80, 0x80, 0x80, 0x80, 0x00]), Ok((31, 5)));
        assert_eq!(decode(0x1f, 0x1f, &[0x80, 0x80, 0x80, 0x80]), Err(DecodeError::Truncated));
        assert_eq!(decode(0x1f, 0x1f, &[0x80; 5]), Err(DecodeError::IntegerTooLong));
        assert_eq!(
            decode(0x1f, 0x1f, &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]),
            Err(DecodeError::IntegerTooLong)
        );
        assert_eq!(
            decode(0xff, 0xff, &[0xff, 0xff, 0xff, 0xff, 0x7f]),
            Err(DecodeError::IntegerOverflow { value: 255 + (1 << 35) - 1 })
        );
    }
}
