//! Percent-encoding of `grpc-message` ([P-44](crate::manual::rules#p-44)).

use std::borrow::Cow;

const HEX: [u8; 16] = *b"0123456789ABCDEF";

/// Returns whether a byte is not escaped within a message: 0x20 to 0x7E except `%`.
fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x24 | 0x26..=0x7e)
}

/// Splits off one space at each end of the message. Returns whether there was one at the start, the rest, and whether
/// there was one at the end.
///
/// RFC 9113 §8.2.1: a field value neither begins nor ends with a space, so these two are sent as `%20`.
fn without_end_spaces(message: &str) -> (bool, &str, bool) {
    let (first, rest) = match message.strip_prefix(' ') {
        Some(rest) => (true, rest),
        None => (false, message),
    };
    match rest.strip_suffix(' ') {
        Some(rest) => (first, rest, true),
        None => (first, rest, false),
    }
}

/// Appends the encoded form of `message` to `out`.
pub fn encode_into(message: &str, out: &mut Vec<u8>) {
    let (first, middle, last) = without_end_spaces(message);
    if first {
        push_escape(b' ', out);
    }
    for &byte in middle.as_bytes() {
        if is_plain(byte) {
            out.push(byte);
        } else {
            push_escape(byte, out);
        }
    }
    if last {
        push_escape(b' ', out);
    }
}

fn push_escape(byte: u8, out: &mut Vec<u8>) {
    let digit = |nibble: u8| HEX.get(usize::from(nibble & 0x0f)).copied().unwrap_or_default();
    out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte)]);
}

/// Returns the encoded form of `message`, borrowed if nothing needs escaping.
///
/// ```
/// use halfclose::grpc::percent;
///
/// assert_eq!(percent::encode("plain text").as_ref(), b"plain text");
/// assert_eq!(percent::encode("50 %\n").as_ref(), b"50 %25%0A");
/// assert_eq!(percent::encode(" a b ").as_ref(), b"%20a b%20");
/// assert_eq!(percent::decode(b"50 %25%0a"), "50 %\n");
/// ```
#[must_use]
pub fn encode(message: &str) -> Cow<'_, [u8]> {
    if message.bytes().all(is_plain) && !message.starts_with(' ') && !message.ends_with(' ') {
        return Cow::Borrowed(message.as_bytes());
    }
    let mut out = Vec::with_capacity(encoded_len(message));
    encode_into(message, &mut out);
    Cow::Owned(out)
}

/// Returns the length of the encoded form, in bytes.
#[must_use]
pub fn encoded_len(message: &str) -> usize {
    let (first, middle, last) = without_end_spaces(message);
    let spaces = 3 * (usize::from(first) + usize::from(last));
    middle.bytes().fold(spaces, |len: usize, byte| len.saturating_add(if is_plain(byte) { 1 } else { 3 }))
}

/// Returns the longest prefix of `message` whose encoded form has at most `room` bytes. No character is split.
#[must_use]
pub fn prefix_that_fits(message: &str, room: usize) -> &str {
    let mut left = room;
    let end = message.char_indices().find_map(|(index, character)| {
        let need = if character == ' ' { 1 } else { encoded_len(character.encode_utf8(&mut [0; 4])) };
        match left.checked_sub(need) {
            Some(rest) => {
                left = rest;
                None
            }
            None => Some(index),
        }
    });
    let mut fits = end.and_then(|end| message.get(..end)).unwrap_or(message);
    // A space is longer at an end than within the text, by at most four bytes in total.
    while encoded_len(fits) > room {
        let mut shorter = fits.chars();
        shorter.next_back();
        fits = shorter.as_str();
    }
    fits
}

/// Decodes a `grpc-message`. It never fails and discards nothing ([P-44](crate::manual::rules#p-44)): an invalid
/// escape is copied, and bytes that are not UTF-8 afterwards are replaced by U+FFFD.
#[must_use]
pub fn decode(value: &[u8]) -> Cow<'_, str> {
    if !value.contains(&b'%') {
        return String::from_utf8_lossy(value);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%'
            && let Some((&[high, low], after_escape)) = after.split_first_chunk::<2>()
            && let (Some(high), Some(low)) = (nibble(high), nibble(low))
        {
            bytes.push((high << 4) | low);
            rest = after_escape;
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    Cow::Owned(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn encoding_vectors() {
        let table: [(&str, &str); 11] = [
            ("", ""),
            ("! \"#$&~", "! \"#$&~"),
            // RFC 9113 §8.2.1.
            (" ", "%20"),
            ("  ", "%20%20"),
            ("   ", "%20 %20"),
            (" a", "%20a"),
            ("a  ", "a %20"),
            ("%", "%25"),
            ("\u{7f}\u{1f}", "%7F%1F"),
            ("\r\n\0", "%0D%0A%00"),
            // The message of the interop test case special_status_message.
            (
                "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n",
                "%09%0Atest with whitespace%0D%0Aand Unicode BMP %E2%98%BA and non-BMP %F0%9F%98%88%09%0A",
            ),
        ];
        for (text, wire) in table {
            assert_eq!(encode(text).as_ref(), wire.as_bytes());
            assert_eq!(encoded_len(text), wire.len());
            assert_eq!(decode(wire.as_bytes()), text);
        }
        assert!(matches!(encode("as it is"), Cow::Borrowed(_)));
    }

    #[test]
    fn decoding_keeps_what_is_not_an_escape() {
        let table: [(&[u8], &str); 9] = [
            (b"%", "%"),
            (b"%4", "%4"),
            (b"100%", "100%"),
            (b"%zz", "%zz"),
            (b"%4g%41", "%4gA"),
            (b"%%41", "%A"),
            (b"%e2%98%ba", "☺"),
            (b"a%FFb", "a\u{fffd}b"),
            (b"a\xffb", "a\u{fffd}b"),
        ];
        for (wire, text) in table {
            assert_eq!(decode(wire), text, "{wire:?}");
        }
    }

    #[test]
    fn what_fits_ends_between_characters() {
        // Encoded lengths: 1, 9, 3, 1.
        let table =
            [(0, ""), (1, "a"), (9, "a"), (10, "a☺"), (12, "a☺"), (13, "a☺%"), (14, "a☺%b"), (99, "a☺%b")];
        for (room, fits) in table {
            assert_eq!(prefix_that_fits("a☺%b", room), fits, "{room}");
        }
    }

    #[test]
    fn what_fits_does_not_end_with_a_space_that_does_not_fit() {
        let table = [
            (" a  b", 2, ""),
            (" a  b", 3, " "),
            (" a  b", 4, " a"),
            (" a  b", 6, " a"),
            (" a  b", 7, " a  b"),
            ("a   b", 5, "a   b"),
            ("a   b", 4, "a "),
            ("   ", 6, "  "),
            ("   ", 7, "   "),
        ];
        for (message, room, fits) in table {
            assert_eq!(prefix_that_fits(message, room), fits, "{message:?} in {room}");
        }
    }

    proptest! {
        #[test]
        fn the_longest_start_fits(text in "[ a%é]{0,12}", room in 0..24_usize) {
            let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            let longest = starts.filter(|&at| encoded_len(&text[..at]) <= room).max();
            prop_assert_eq!(Some(prefix_that_fits(&text, room).len()), longest);
        }

        #[test]
        fn round_trip(text in prop_oneof![any::<String>(), "[ a]{0,5}"]) {
            let wire = encode(&text);
            prop_assert!(wire.iter().all(|b| (0x20..=0x7e).contains(b)));
            prop_assert!(!wire.starts_with(b" ") && !wire.ends_with(b" "));
            prop_assert_eq!(wire.len(), encoded_len(&text));
            prop_assert_eq!(decode(&wire), text.as_str());
        }

        #[test]
        fn arbitrary_bytes_decode(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }
}
