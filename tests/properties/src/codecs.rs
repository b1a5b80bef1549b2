//! The small codecs of gRPC: timeout, percent, base64, names and lists.

use std::time::Duration;

use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};
use halfclose::Code;
use halfclose::grpc::encoding::{self, EncodingSet};
use halfclose::grpc::timeout::{self, TimeoutError};
use halfclose::grpc::{base64 as ours, content_type, field, path, percent};
use percent_encoding::{AsciiSet, CONTROLS};

/// Checks any bytes as the value of each of gRPC's own text formats; crates also read two of them.
pub fn text_codecs(data: &[u8]) {
    timeouts(data);
    percents(data);
    base64s(data);
    names(data);
}

fn timeouts(data: &[u8]) {
    match timeout::parse(data) {
        Ok(span) => {
            assert!((2..=9).contains(&data.len()), "P-7: one to eight digits and a unit");
            written(span);
        }
        Err(TimeoutError::TooLong(digits)) => assert!(digits > 8),
        Err(_) => {}
    }
    if let Some((nanos, _)) = data.split_first_chunk() {
        written(Duration::from_nanos(u64::from_be_bytes(*nanos)));
    }
}

/// Checks the written form of a timeout: legal, never shorter than `span`, and longer by less than one part in a
/// hundred thousand.
fn written(span: Duration) {
    let text = timeout::format(span);
    let again = timeout::parse(text.as_bytes()).expect("what we write, we read");
    assert!(again >= span, "rounded down: {span:?} became {again:?}");
    // Eight digits lose less than one part in 10^6, but the step from a unit to the next is up to 3600.
    assert!(again - span <= span / 1_000_000 * 60 + Duration::from_nanos(1), "{span:?} became {again:?}");
    assert_eq!(timeout::format(again), text, "a rounded span is written as it is");
}

/// The bytes that are sent as `%XX` (P-44): all but 0x20 to 0x7E without `%`, and a space at an end (RFC 9113
/// §8.2.1).
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');
/// The bytes that are escaped at the ends of a text.
const ESCAPED_AT_ENDS: &AsciiSet = &ESCAPED.add(b' ');

/// Returns what crate percent-encoding makes of a text.
fn by_library(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let set = |at: usize| if at == 0 || at == last { ESCAPED_AT_ENDS } else { ESCAPED };
    let escaped = |(at, character): (usize, char)| {
        percent_encoding::utf8_percent_encode(character.encode_utf8(&mut [0; 4]), set(at)).to_string()
    };
    text.chars().enumerate().map(escaped).collect()
}

fn percents(data: &[u8]) {
    let text = percent::decode(data);
    let library = percent_encoding::percent_decode(data).decode_utf8_lossy();
    assert_eq!(text, library, "crate percent-encoding reads the same");
    let wire = percent::encode(&text);
    assert!(wire.iter().all(|byte| matches!(byte, 0x20..=0x7e)));
    assert_eq!(wire.len(), percent::encoded_len(&text));
    assert_eq!(percent::decode(&wire), text);
    assert_eq!(wire.as_ref(), by_library(&text).as_bytes(), "crate percent-encoding writes the same");
    let room = data.first().map_or(0, |&byte| usize::from(byte));
    let start = percent::prefix_that_fits(&text, room);
    assert!(text.starts_with(start) && percent::encoded_len(start) <= room);
    if let Some(next) = text[start.len()..].chars().next() {
        assert!(percent::encoded_len(start) + percent::encoded_len(next.encode_utf8(&mut [0; 4])) > room);
    }
}

/// Accepts input with or without padding, and ignores the unused bits of the last digit (RFC 4648 §3.5).
const LIBRARY: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn base64s(data: &[u8]) {
    let mut text = Vec::new();
    ours::encode(data, &mut text);
    assert_eq!(text, LIBRARY.encode(data).as_bytes(), "crate base64 writes the same");
    assert_eq!(text.len(), ours::encoded_len(data.len()));
    let mut back = b"before".to_vec();
    assert_eq!(ours::decode(&text, &mut back), Ok(()));
    assert_eq!(back.strip_prefix(b"before"), Some(data));

    let mut decoded = b"before".to_vec();
    let result = ours::decode(data, &mut decoded);
    let library = LIBRARY.decode(data);
    match result {
        Ok(()) => assert_eq!(decoded.strip_prefix(b"before"), library.as_deref().ok(), "crate base64 reads"),
        Err(error) => {
            assert_eq!(decoded, b"before", "an error leaves nothing behind: {error}");
            // The library also accepts partial padding, which no sender that follows RFC 4648 writes.
            let partly = data.ends_with(b"=") && !data.len().is_multiple_of(4);
            assert!(library.is_err() || partly, "crate base64 reads what we refuse: {error}");
        }
    }
}

fn names(data: &[u8]) {
    let set = EncodingSet::parse(data);
    assert_eq!(EncodingSet::parse(set.to_string().as_bytes()), set);
    assert!(encoding::names(data).all(|name| !name.is_empty() && !name.contains(&b',')));
    if let Some(codec) = content_type::parse(data).and_then(content_type::Subtype::codec) {
        let plain = format!("application/grpc+{codec}");
        assert_eq!(content_type::parse(plain.as_bytes()).and_then(content_type::Subtype::codec), Some(codec));
    }
    if let Some((service, method)) = str::from_utf8(data).ok().and_then(path::split) {
        assert_eq!(format!("/{service}/{method}").as_bytes(), data);
        assert!(!service.is_empty() && !method.is_empty() && !method.contains('/'));
    }
    // Crate http accepts every name and every value that we accept, and more (RFC 9113 §8.2.1).
    if field::check_name(data).is_ok() {
        assert!(http::HeaderName::from_lowercase(data).is_ok(), "{data:?}");
    }
    if field::check_value(data).is_ok() {
        assert!(http::HeaderValue::from_bytes(data).is_ok(), "{data:?}");
    }
    if let Some(code) = Code::from_wire(data) {
        assert!(data.iter().all(u8::is_ascii_digit));
        assert_eq!(Code::from_wire(code.as_wire().as_bytes()), Some(code));
    }
}
