//! Writes headers and trailers: fields in order, each with a hint for HPACK.

use std::time::Duration;

use crate::grpc::content_type;
use crate::grpc::metadata::{FIELD_OVERHEAD, Metadata};
use crate::grpc::status::Status;
use crate::grpc::{base64, percent, timeout};

/// The longest metadata value that may enter HPACK's dynamic table, in bytes.
///
/// The table holds 4096 bytes by default. Longer values rarely repeat, and would evict many of the fields that every
/// call repeats.
const INDEX_MAX: usize = 64;

/// How HPACK should encode a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hint {
    /// The field is likely to repeat with this value: add it to the dynamic table (RFC 7541 §6.2.1).
    Index,
    /// The field is not likely to repeat: leave the table unchanged (RFC 7541 §6.2.2).
    NoIndex,
    /// The field is sensitive: no hop may add it to a table (RFC 7541 §6.2.3, §7.1.3).
    Never,
}

/// The fields of a request's headers.
#[derive(Clone, Copy, Debug)]
pub struct RequestFields<'a> {
    /// `:scheme`: `http` or `https` ([P-3](crate::manual::rules#p-3)).
    pub scheme: &'a str,
    /// `:path`: `/service/method` ([P-4](crate::manual::rules#p-4)).
    pub path: &'a str,
    /// `:authority` ([P-5](crate::manual::rules#p-5)).
    pub authority: Option<&'a str>,
    /// The codec in the `content-type`, such as `proto` ([P-8](crate::manual::rules#p-8)).
    pub content_subtype: Option<&'a str>,
    /// `user-agent` ([P-12](crate::manual::rules#p-12)).
    pub user_agent: &'a str,
    /// `grpc-timeout` ([P-7](crate::manual::rules#p-7)); `None` means for ever.
    pub timeout: Option<Duration>,
    /// `grpc-encoding` ([P-10](crate::manual::rules#p-10)); `None` for identity.
    pub encoding: Option<&'a str>,
    /// `grpc-accept-encoding` ([P-11](crate::manual::rules#p-11)).
    pub accept_encoding: Option<&'a str>,
    /// Custom metadata.
    pub metadata: &'a Metadata,
}

/// The fields of a response's headers.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponseFields<'a> {
    /// The codec in the `content-type`, such as `proto`.
    pub content_subtype: Option<&'a str>,
    /// `grpc-encoding`; `None` for identity.
    pub encoding: Option<&'a str>,
    /// `grpc-accept-encoding`.
    pub accept_encoding: Option<&'a str>,
}

/// Writes the headers of a request ([P-1](crate::manual::rules#p-1)): pseudo-header fields, the call's own fields,
/// `grpc-timeout`, metadata.
///
/// `scratch` is working memory; it is empty afterwards.
pub fn write_request(
    fields: &RequestFields<'_>,
    scratch: &mut Vec<u8>,
    mut f: impl FnMut(&[u8], &[u8], Hint),
) {
    f(b":method", b"POST", Hint::Index);
    f(b":scheme", fields.scheme.as_bytes(), Hint::Index);
    f(b":path", fields.path.as_bytes(), Hint::Index);
    if let Some(authority) = fields.authority {
        f(b":authority", authority.as_bytes(), Hint::Index);
    }
    f(b"te", b"trailers", Hint::Index);
    write_content_type(fields.content_subtype, scratch, &mut f);
    f(b"user-agent", fields.user_agent.as_bytes(), Hint::Index);
    write_encodings(fields.encoding, fields.accept_encoding, &mut f);
    if let Some(span) = fields.timeout {
        // The remaining time differs from call to call.
        f(b"grpc-timeout", timeout::format(span).as_bytes(), Hint::NoIndex);
    }
    write_metadata(fields.metadata, scratch, &mut f);
}

/// Writes Response-Headers ([P-20](crate::manual::rules#p-20)). `scratch` is working memory; it is empty afterwards.
pub fn write_response_headers(
    fields: &ResponseFields<'_>,
    metadata: &Metadata,
    scratch: &mut Vec<u8>,
    mut f: impl FnMut(&[u8], &[u8], Hint),
) {
    f(b":status", b"200", Hint::Index);
    write_content_type(fields.content_subtype, scratch, &mut f);
    write_encodings(fields.encoding, fields.accept_encoding, &mut f);
    write_metadata(metadata, scratch, &mut f);
}

/// Writes trailers ([P-21](crate::manual::rules#p-21)) within `limit` bytes, as RFC 9113 §6.5.2 counts them. Returns
/// whether everything fitted.
///
/// `limit` is the peer's SETTINGS_MAX_HEADER_LIST_SIZE ([P-45](crate::manual::rules#p-45)). What does not fit is
/// dropped in this order: the details, the end of the message, all metadata. The code is always written. `scratch` is
/// working memory; it is empty afterwards.
pub fn write_trailers(
    status: &Status,
    metadata: &Metadata,
    limit: usize,
    scratch: &mut Vec<u8>,
    mut f: impl FnMut(&[u8], &[u8], Hint),
) -> bool {
    write_status(status, metadata, limit, scratch, &mut f)
}

/// Writes Trailers-Only ([P-22](crate::manual::rules#p-22)): a complete response in one block, or the refusal of a
/// request with its HTTP status. `limit` and the result are as in [`write_trailers`].
pub fn write_trailers_only(
    http_status: u16,
    fields: &ResponseFields<'_>,
    (status, metadata): (&Status, &Metadata),
    limit: usize,
    scratch: &mut Vec<u8>,
    mut f: impl FnMut(&[u8], &[u8], Hint),
) -> bool {
    let mut left = limit;
    let mut counted = |name: &[u8], value: &[u8], hint: Hint| {
        left = left.saturating_sub(field_size(name, value.len()));
        f(name, value, hint);
    };
    counted(b":status", &status_digits(http_status), Hint::Index);
    write_content_type(fields.content_subtype, scratch, &mut counted);
    write_encodings(None, fields.accept_encoding, &mut counted);
    write_status(status, metadata, left, scratch, &mut f)
}

/// Returns the three digits of an HTTP status; any status that does not have three digits is written as 500.
fn status_digits(http_status: u16) -> [u8; 3] {
    // Every remainder is less than 10.
    let digit = |n: u16| b'0' | (n % 10) as u8;
    match http_status {
        100..=999 => [digit(http_status / 100), digit(http_status / 10), digit(http_status)],
        _ => *b"500",
    }
}

fn write_content_type(subtype: Option<&str>, scratch: &mut Vec<u8>, f: &mut impl FnMut(&[u8], &[u8], Hint)) {
    match subtype {
        None => f(b"content-type", content_type::TYPE, Hint::Index),
        Some("proto") => f(b"content-type", b"application/grpc+proto", Hint::Index),
        Some(other) => {
            scratch.clear();
            for part in [content_type::TYPE, b"+", other.as_bytes()] {
                scratch.extend_from_slice(part);
            }
            f(b"content-type", scratch, Hint::Index);
            scratch.clear();
        }
    }
}

fn write_encodings(encoding: Option<&str>, accept: Option<&str>, f: &mut impl FnMut(&[u8], &[u8], Hint)) {
    if let Some(encoding) = encoding {
        f(b"grpc-encoding", encoding.as_bytes(), Hint::Index);
    }
    if let Some(accept) = accept {
        f(b"grpc-accept-encoding", accept.as_bytes(), Hint::Index);
    }
}

/// Writes custom metadata ([P-13](crate::manual::rules#p-13)), with `-bin` values in base64. `scratch` is working
/// memory; it is empty afterwards.
pub fn write_metadata(metadata: &Metadata, scratch: &mut Vec<u8>, mut f: impl FnMut(&[u8], &[u8], Hint)) {
    if metadata.is_empty() {
        return;
    }
    metadata.for_each_wire(scratch, |name, value, sensitive| {
        let hint = match value.len() {
            _ if sensitive => Hint::Never,
            0..=INDEX_MAX => Hint::Index,
            _ => Hint::NoIndex,
        };
        f(name, value, hint);
    });
}

fn field_size(name: &[u8], value_len: usize) -> usize {
    name.len().saturating_add(value_len).saturating_add(FIELD_OVERHEAD)
}

const STATUS: &[u8] = b"grpc-status";
const MESSAGE: &[u8] = b"grpc-message";
const DETAILS: &[u8] = b"grpc-status-details-bin";

fn write_status(
    status: &Status,
    metadata: &Metadata,
    limit: usize,
    scratch: &mut Vec<u8>,
    f: &mut impl FnMut(&[u8], &[u8], Hint),
) -> bool {
    let code = status.code.as_wire().as_bytes();
    f(STATUS, code, Hint::Index);
    let left = limit.saturating_sub(field_size(STATUS, code.len()));
    let metadata_size = metadata.list_size();
    let with_metadata = metadata_size <= left;
    let left = if with_metadata { left.saturating_sub(metadata_size) } else { left };

    let (message_complete, left) = write_message(status.message(), left, scratch, f);
    let details_complete = write_details(status.details(), left, scratch, f);
    if with_metadata {
        write_metadata(metadata, scratch, f);
    }
    with_metadata & message_complete & details_complete
}

/// Writes as much of the message as fits. Returns whether that is all of it, and how many bytes are left.
fn write_message(
    message: &str,
    left: usize,
    scratch: &mut Vec<u8>,
    f: &mut impl FnMut(&[u8], &[u8], Hint),
) -> (bool, usize) {
    if message.is_empty() {
        return (true, left);
    }
    let Some(room) = left.checked_sub(field_size(MESSAGE, 0)) else {
        return (false, left);
    };
    let fits = percent::prefix_that_fits(message, room);
    if fits.is_empty() {
        return (false, left);
    }
    scratch.clear();
    percent::encode_into(fits, scratch);
    f(MESSAGE, scratch, Hint::NoIndex);
    let left = room.saturating_sub(scratch.len());
    scratch.clear();
    (fits.len() == message.len(), left)
}

/// Writes the details if they fit. Returns whether they do.
fn write_details(
    details: &[u8],
    left: usize,
    scratch: &mut Vec<u8>,
    f: &mut impl FnMut(&[u8], &[u8], Hint),
) -> bool {
    if details.is_empty() {
        return true;
    }
    if field_size(DETAILS, base64::encoded_len(details.len())) > left {
        return false;
    }
    scratch.clear();
    base64::encode(details, scratch);
    f(DETAILS, scratch, Hint::NoIndex);
    scratch.clear();
    true
}
