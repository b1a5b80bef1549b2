//! Validity of HTTP fields (RFC 9113 §8.2, RFC 9110 §5).

/// Why a field name or value is invalid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// The name is empty (RFC 9110 §5.1: a token has at least one byte).
    #[error("a field name is empty")]
    EmptyName,
    /// The name has an upper-case letter (RFC 9113 §8.2.1).
    #[error("a field name holds the upper-case letter {0:#04x}")]
    UpperCase(u8),
    /// The name has a byte that a token may not have (RFC 9113 §8.2.1, RFC 9110 §5.6.2).
    #[error("a field name holds byte {0:#04x}")]
    NameByte(u8),
    /// The value has a control character, such as NUL, CR or LF (RFC 9113 §8.2.1, RFC 9110 §5.5).
    #[error("a field value holds byte {0:#04x}")]
    ValueByte(u8),
    /// The value begins or ends with a space or a tab (RFC 9113 §8.2.1).
    #[error("a field value begins or ends with white space")]
    Whitespace,
}

/// A table with 1 for bytes of a lower-case token: `tchar` of RFC 9110 §5.6.2 without upper-case letters.
const NAME: [u8; 256] = name_table();

const fn name_table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0_u8;
    while i < 0x80 {
        if matches!(i, b'a'..=b'z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        {
            #[allow(clippy::indexing_slicing)]
            // Evaluated by the compiler, where an index out of range fails the build.
            {
                table[i as usize] = 1;
            }
        }
        i += 1;
    }
    table
}

#[inline]
fn is_name_byte(byte: u8) -> bool {
    NAME.get(usize::from(byte)).is_some_and(|&class| class != 0)
}

/// Checks the name of a regular field.
///
/// # Errors
/// [`FieldError`] for the first invalid byte. A name that begins with `:` is invalid here, too.
#[inline]
pub fn check_name(name: &[u8]) -> Result<(), FieldError> {
    if !name.is_empty() && name.iter().all(|&byte| is_name_byte(byte)) { Ok(()) } else { Err(bad_name(name)) }
}

#[cold]
#[inline(never)]
fn bad_name(name: &[u8]) -> FieldError {
    match name.iter().copied().find(|&byte| !is_name_byte(byte)) {
        None => FieldError::EmptyName,
        Some(byte) if byte.is_ascii_uppercase() => FieldError::UpperCase(byte),
        Some(byte) => FieldError::NameByte(byte),
    }
}

#[inline]
fn is_control(byte: u8) -> bool {
    ((byte < 0x20) & (byte != b'\t')) | (byte == 0x7f)
}

/// Checks the value of a field or pseudo-header field. Bytes over 0x7F are valid (RFC 9110 §5.5).
///
/// # Errors
/// [`FieldError`] for the first invalid byte.
#[inline]
pub fn check_value(value: &[u8]) -> Result<(), FieldError> {
    // Without an early exit the loop vectorises, and a bad value is rare.
    let controls = value.iter().fold(false, |bad, &byte| bad | is_control(byte));
    let padded = matches!(value, [b' ' | b'\t', ..] | [.., b' ' | b'\t']);
    if controls | padded { Err(bad_value(value)) } else { Ok(()) }
}

#[cold]
#[inline(never)]
fn bad_value(value: &[u8]) -> FieldError {
    let control = value.iter().copied().find(|&byte| is_control(byte));
    control.map_or(FieldError::Whitespace, FieldError::ValueByte)
}

/// Returns a value without the white space at its ends, which is not part of it (RFC 9110 §5.5).
#[must_use]
pub fn trim(value: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_space(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last.saturating_add(1));
    value.get(start..end).unwrap_or_default()
}

/// Returns whether a field is specific to an HTTP/1.1 connection, so that it may not appear in HTTP/2 (RFC 9113
/// §8.2.2, [P-14](crate::manual::rules#p-14)).
///
/// `te` is not among these: it may appear with the value `trailers`.
#[inline]
#[must_use]
pub fn is_connection_specific(name: &[u8]) -> bool {
    matches!(name, b"connection" | b"proxy-connection" | b"keep-alive" | b"transfer-encoding" | b"upgrade")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_name() {
        for byte in 0..=255_u8 {
            let lower_token =
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let expected = match byte {
                b'A'..=b'Z' => Err(FieldError::UpperCase(byte)),
                _ if lower_token => Ok(()),
                _ => Err(FieldError::NameByte(byte)),
            };
            assert_eq!(check_name(&[b'x', byte]), expected, "{byte:#x}");
            assert_eq!(name_table()[usize::from(byte)] == 1, lower_token);
        }
        assert_eq!(check_name(b""), Err(FieldError::EmptyName));
        assert_eq!(check_name(b":path"), Err(FieldError::NameByte(b':')));
    }

    #[test]
    fn every_byte_of_a_value() {
        for byte in 0..=255_u8 {
            let expected = match byte {
                b'\t' | 0x20..=0x7e | 0x80..=0xff => Ok(()),
                _ => Err(FieldError::ValueByte(byte)),
            };
            assert_eq!(check_value(&[b'a', byte, b'b']), expected, "{byte:#x}");
        }
        for padded in [&b" a"[..], b"a ", b"\ta", b"a\t", b" "] {
            assert_eq!(check_value(padded), Err(FieldError::Whitespace));
        }
        // Neither white space at an end nor an earlier control character hides a control character.
        assert_eq!(check_value(b" \0"), Err(FieldError::ValueByte(0)));
        assert_eq!(check_value(b"a\n\r"), Err(FieldError::ValueByte(b'\n')));
        assert_eq!(check_value(b""), Ok(()));
        assert_eq!(check_value(b"a b"), Ok(()));
    }

    #[test]
    fn white_space_at_the_ends_is_no_part_of_a_value() {
        for (value, trimmed) in [
            (&b""[..], &b""[..]),
            (b" ", b""),
            (b" \t ", b""),
            (b"a", b"a"),
            (b" a", b"a"),
            (b"a\t", b"a"),
            (b"\t a b \t", b"a b"),
            (b"\na\n", b"\na\n"),
        ] {
            assert_eq!(trim(value), trimmed);
        }
    }

    #[test]
    fn connection_specific_names() {
        for name in ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"] {
            assert!(is_connection_specific(name.as_bytes()));
        }
        assert!(!is_connection_specific(b"te"));
        assert!(!is_connection_specific(b"connections"));
    }
}
