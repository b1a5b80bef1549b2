//! The `grpc-timeout` field ([P-7](crate::manual::rules#p-7)): up to 8 digits and a unit.

use std::time::Duration;

/// The longest timeout that [`parse`] returns: 2^64 - 1 nanoseconds, 584 years, the range of [`crate::Time`].
pub const MAX: Duration = Duration::from_nanos(u64::MAX);

const MAX_DIGITS: usize = 8;
const MAX_VALUE: u64 = 99_999_999;

/// The units, beginning with the finest, and their length in nanoseconds.
const UNITS: [(u8, u64); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

/// Why the value of a `grpc-timeout` field is invalid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimeoutError {
    /// The value is empty.
    #[error("grpc-timeout is empty")]
    Empty,
    /// The last byte is not one of `H M S m u n`.
    #[error("grpc-timeout ends with byte {0:#04x}, which is not a unit (H, M, S, m, u or n)")]
    Unit(u8),
    /// There is no digit before the unit, or something other than digits.
    #[error("grpc-timeout has something else than digits before its unit")]
    Digits,
    /// There are more than 8 digits.
    #[error("grpc-timeout has {0} digits; at most 8 are allowed")]
    TooLong(usize),
}

/// Parses the value of a `grpc-timeout` field.
///
/// The grammar requires a positive integer; 0 is accepted and means that the deadline has passed. Timeouts over
/// [`MAX`] are clamped to it.
///
/// ```
/// use halfclose::grpc::timeout;
/// use std::time::Duration;
///
/// assert_eq!(timeout::parse(b"250m"), Ok(Duration::from_millis(250)));
/// assert!(timeout::parse(b"1s").is_err());
/// ```
///
/// # Errors
/// [`TimeoutError`] says what is invalid; a server answers with HTTP 400 and `INTERNAL`
/// ([P-7](crate::manual::rules#p-7)).
pub fn parse(value: &[u8]) -> Result<Duration, TimeoutError> {
    let (&unit, digits) = value.split_last().ok_or(TimeoutError::Empty)?;
    let &(_, nanos) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(TimeoutError::Unit(unit))?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(TimeoutError::Digits);
    }
    if digits.len() > MAX_DIGITS {
        return Err(TimeoutError::TooLong(digits.len()));
    }
    // Eight digits cannot overflow.
    let count = digits.iter().fold(0_u64, |n, &d| n.wrapping_mul(10).wrapping_add(u64::from(d & 0x0f)));
    Ok(Duration::from_nanos(count.saturating_mul(nanos)))
}

/// A formatted `grpc-timeout` value, stored inline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeoutValue {
    // Right-aligned: the value is the last `len` bytes.
    text: [u8; MAX_DIGITS + 1],
    len: u8,
}

impl TimeoutValue {
    /// Returns the field value, 2 to 9 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let start = self.text.len().saturating_sub(usize::from(self.len));
        self.text.get(start..).unwrap_or_default()
    }
}

/// Formats a timeout in the finest unit that fits in 8 digits, rounded up.
///
/// Rounding up keeps the server from timing out before the client does. Timeouts over [`MAX`] are clamped to it.
#[must_use]
pub fn format(timeout: Duration) -> TimeoutValue {
    let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    for (unit, size) in UNITS {
        let count = nanos.div_ceil(size);
        if count <= MAX_VALUE {
            return write(count, unit);
        }
    }
    // 2^64 nanoseconds are 5 124 096 hours, so this point is not reached; the largest value would be right here.
    write(MAX_VALUE, b'H')
}

fn write(mut count: u64, unit: u8) -> TimeoutValue {
    let mut value = TimeoutValue { text: [b'0'; MAX_DIGITS + 1], len: 1 };
    let [digits @ .., last] = &mut value.text;
    *last = unit;
    for slot in digits.iter_mut().rev() {
        // The remainder is under 10.
        *slot = b'0' | (count % 10) as u8;
        value.len = value.len.saturating_add(1);
        count /= 10;
        if count == 0 {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_that_are_read() {
        let table: [(&[u8], Duration); 10] = [
            (b"1n", Duration::from_nanos(1)),
            (b"1u", Duration::from_micros(1)),
            (b"1m", Duration::from_millis(1)),
            (b"1S", Duration::from_secs(1)),
            (b"1M", Duration::from_secs(60)),
            (b"1H", Duration::from_secs(3600)),
            (b"0n", Duration::ZERO),
            (b"00000012S", Duration::from_secs(12)),
            (b"99999999S", Duration::from_secs(99_999_999)),
            (b"99999999H", MAX),
        ];
        for (wire, span) in table {
            assert_eq!(parse(wire), Ok(span), "{wire:?}");
        }
    }

    #[test]
    fn values_that_are_refused() {
        let table: [(&[u8], TimeoutError); 11] = [
            (b"", TimeoutError::Empty),
            (b"1", TimeoutError::Unit(b'1')),
            (b"1s", TimeoutError::Unit(b's')),
            (b"1h", TimeoutError::Unit(b'h')),
            (b"1S ", TimeoutError::Unit(b' ')),
            (b"S", TimeoutError::Digits),
            (b"-1S", TimeoutError::Digits),
            (b"+1S", TimeoutError::Digits),
            (b"1.5S", TimeoutError::Digits),
            (b" 1S", TimeoutError::Digits),
            (b"000000001S", TimeoutError::TooLong(9)),
        ];
        for (wire, error) in table {
            assert_eq!(parse(wire), Err(error), "{wire:?}");
        }
    }

    #[test]
    fn the_finest_unit_that_fits_rounded_up() {
        let table = [
            (Duration::ZERO, "0n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_nanos(100_000_000), "100000u"),
            (Duration::from_nanos(100_000_001), "100001u"),
            (Duration::from_micros(99_999_999), "99999999u"),
            (Duration::from_micros(99_999_999) + Duration::from_nanos(1), "100000m"),
            (Duration::from_secs(1), "1000000u"),
            (Duration::from_secs(100_000), "100000S"),
            (Duration::from_secs(99_999_999), "99999999S"),
            (Duration::from_secs(100_000_000), "1666667M"),
            (Duration::from_secs(6_000_000_000), "1666667H"),
            (MAX, "5124096H"),
            (Duration::MAX, "5124096H"),
        ];
        for (span, text) in table {
            assert_eq!(format(span).as_bytes(), text.as_bytes(), "{span:?}");
        }
    }

    proptest! {
        #[test]
        fn never_shortened_and_close(nanos in prop_oneof![any::<u64>(), 0..10_000_000_000_u64]) {
            let span = Duration::from_nanos(nanos);
            let back = parse(format(span).as_bytes()).unwrap();
            prop_assert!(back >= span);
            // At most one unit too long; a unit is at most a millionth of the value, or an hour.
            prop_assert!(back - span <= Duration::from_nanos(nanos / 1_000_000) || back - span < Duration::from_secs(3600));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let _ = parse(&bytes);
        }
    }
}
