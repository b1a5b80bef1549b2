//! The parts that the builders of headers and trailers share.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use super::MalformedReason;
use crate::grpc::field::{self, FieldError};
use crate::grpc::metadata::ReceivedError;
use crate::grpc::metadata::{FIELD_OVERHEAD, Metadata, is_bin, push_field};
use crate::grpc::status::Status;

/// A range of a header section's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Span {
    start: u32,
    len: u32,
}

impl Span {
    #[inline]
    pub(super) fn of(self, text: &str) -> &str {
        let start = usize::try_from(self.start).unwrap_or(usize::MAX);
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        text.get(start..start.saturating_add(len)).unwrap_or_default()
    }
}

/// The values of a block's own fields; each [`Span`] is a range of it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct OwnText {
    text: Arc<str>,
    /// Whether HPACK may never index one of these fields, so that `Debug` shows none of the text.
    secret: bool,
}

impl Deref for OwnText {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for OwnText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(if self.secret { "(sensitive)" } else { &self.text }, f)
    }
}

/// The contents of one block as they are collected, within the limit on its size.
#[derive(Debug, Default)]
pub(super) struct Gather {
    limit: usize,
    size: usize,
    text: String,
    /// The members of a list that may be spread over several fields.
    list: Vec<u8>,
    records: Vec<u8>,
    count: u32,
    /// Whether a regular field has been seen.
    regular: bool,
    /// Whether a `-bin` value is not base64 ([P-30](crate::manual::rules#p-30)).
    bad_binary: bool,
    /// Whether a field is longer than metadata can hold.
    too_long: bool,
    /// Whether HPACK may never index the current field (RFC 7541 §7.1.3).
    pub(super) sensitive: bool,
    /// Whether the text contains the value of such a field.
    secret_text: bool,
}

impl Gather {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Clears it for the next block and keeps the memory.
    pub(super) fn reset(&mut self) {
        self.text.clear();
        self.list.clear();
        self.records.clear();
        self.size = 0;
        self.count = 0;
        self.regular = false;
        self.bad_binary = false;
        self.too_long = false;
        self.secret_text = false;
    }

    /// Counts a field and checks its value. Returns the value, and whether the block is still within the limit:
    /// fields beyond the limit are checked but not kept.
    #[inline]
    pub(super) fn admit<'v>(
        &mut self,
        name: &[u8],
        value: &'v [u8],
    ) -> Result<(&'v [u8], bool), MalformedReason> {
        let size = name.len().saturating_add(value.len()).saturating_add(FIELD_OVERHEAD);
        self.size = self.size.saturating_add(size);
        let value = match field::check_value(value) {
            Ok(()) => value,
            Err(error) => tolerate(name, value, error)?,
        };
        Ok((value, self.size <= self.limit))
    }

    /// Checks that a pseudo-header field precedes all regular fields (RFC 9113 §8.3).
    pub(super) fn pseudo(&mut self) -> Result<(), MalformedReason> {
        if self.regular { Err(MalformedReason::PseudoOrder) } else { Ok(()) }
    }

    pub(super) fn regular(&mut self) {
        self.regular = true;
    }

    /// Keeps a value as text. In a value that is not UTF-8, each byte that is not ASCII becomes one `?`: the values
    /// kept here have no meaning with such bytes, and none of them grows.
    pub(super) fn keep(&mut self, value: &[u8]) -> Span {
        self.secret_text |= self.sensitive;
        let start = self.text.len();
        match str::from_utf8(value) {
            Ok(text) => self.text.push_str(text),
            Err(_) => {
                let ascii = |&byte: &u8| if byte.is_ascii() { char::from(byte) } else { '?' };
                self.text.extend(value.iter().map(ascii));
            }
        }
        let len = self.text.len().saturating_sub(start);
        Span { start: u32::try_from(start).unwrap_or(u32::MAX), len: u32::try_from(len).unwrap_or(u32::MAX) }
    }

    /// Keeps the value of a field that may occur once; `earlier` is the value of a previous one. Two different values
    /// are joined to a list (RFC 9110 §5.3), which is not a valid value of such a field; further ones are dropped.
    pub(super) fn keep_once(&mut self, earlier: Option<Span>, value: &[u8]) -> Span {
        let Some(earlier) = earlier else { return self.keep(value) };
        let text = earlier.of(&self.text);
        if text.as_bytes() == value || text.contains(',') {
            return earlier;
        }
        let both = [text.as_bytes(), b", ", value].concat();
        self.keep(&both)
    }

    /// Adds a member to a list that a peer may send in one field or in several (RFC 9110 §5.3). The list is kept
    /// apart from the text until the block is complete, because copying it for each field would take quadratic time.
    pub(super) fn join_list(&mut self, value: &[u8]) {
        if !self.list.is_empty() {
            self.list.push(b',');
        }
        self.list.extend_from_slice(value);
    }

    /// Moves the list to the text; returns `None` if there is none.
    pub(super) fn keep_list(&mut self) -> Option<Span> {
        if self.list.is_empty() {
            return None;
        }
        let list = std::mem::take(&mut self.list);
        let span = self.keep(&list);
        self.list = list;
        Some(span)
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Keeps a field as metadata, or fails if the field is not allowed in any message.
    pub(super) fn custom(&mut self, name: &[u8], value: &[u8], keep: bool) -> Result<(), MalformedReason> {
        field::check_name(name)?;
        if field::is_connection_specific(name) {
            return Err(MalformedReason::ConnectionSpecific);
        }
        if keep && self.admit_parts(name, value) {
            match push_field(&mut self.records, &mut self.count, name, value, self.sensitive) {
                Ok(()) => {}
                Err(ReceivedError::Base64(_)) => self.bad_binary = true,
                Err(_) => self.too_long = true,
            }
        }
        Ok(())
    }

    /// Counts the entries that the commas of a `-bin` value separate ([P-43](crate::manual::rules#p-43)). Otherwise a
    /// value of commas under a long name would use memory in proportion to the product of both lengths.
    fn admit_parts(&mut self, name: &[u8], value: &[u8]) -> bool {
        if is_bin(name) {
            let more = value.iter().filter(|byte| **byte == b',').count();
            let each = name.len().saturating_add(FIELD_OVERHEAD);
            self.size = self.size.saturating_add(more.saturating_mul(each));
        }
        self.size <= self.limit
    }

    /// Returns the status for a block that is too large ([P-45](crate::manual::rules#p-45)) or has a malformed `-bin`
    /// value ([P-30](crate::manual::rules#p-30)).
    pub(super) fn failure(&self) -> Option<Status> {
        self.too_large().map(Status::resource_exhausted).or_else(|| self.bad_binary())
    }

    /// Returns the status message for a block over the limit.
    pub(super) fn too_large(&self) -> Option<String> {
        let (size, limit) = (self.size, self.limit);
        (size > limit || self.too_long)
            .then(|| format!("received metadata of {size} bytes, over the limit of {limit}"))
    }

    /// Returns the status for a block with a `-bin` value that is not base64 ([P-30](crate::manual::rules#p-30)).
    pub(super) fn bad_binary(&self) -> Option<Status> {
        self.bad_binary.then(|| Status::internal("received a malformed binary metadata value"))
    }

    /// Returns the text and the metadata, in allocations of exact size.
    pub(super) fn store(&self) -> (OwnText, Metadata) {
        (OwnText { text: Arc::from(self.text.as_str()), secret: self.secret_text }, self.metadata())
    }

    /// Returns the metadata. A block over the limit has none, because a caller could mistake a part of it for the
    /// whole.
    pub(super) fn metadata(&self) -> Metadata {
        if self.size > self.limit {
            return Metadata::new();
        }
        Metadata::from_records(Bytes::copy_from_slice(&self.records), self.count)
    }
}

/// Returns the meaning of an invalid value, if that is certain and harmless: a purely informational field should not
/// cost a call its status.
///
/// C-core, grpc-go and connect-go send messages and metadata unchanged, including white space at the ends. RFC 9113
/// §8.2.1 calls that malformed; gRPC allows stripping it ([P-42](crate::manual::rules#p-42)). Fields that frame or
/// route a message stay malformed.
#[cold]
#[inline(never)]
fn tolerate<'v>(name: &[u8], value: &'v [u8], error: FieldError) -> Result<&'v [u8], MalformedReason> {
    let decides = name.starts_with(b":") || matches!(name, b"content-length" | b"host" | b"te");
    match error {
        FieldError::Whitespace if !decides => Ok(field::trim(value)),
        // RFC 9110 §5.5: CR, LF and NUL are always dangerous; other control characters may be kept if they are safe,
        // as in this field, whose percent-encoding can express any character.
        FieldError::ValueByte(_)
            if name == b"grpc-message" && !value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) =>
        {
            Ok(field::trim(value))
        }
        _ => Err(error.into()),
    }
}

/// Checks a `te` field (RFC 9113 §8.2.2).
pub(super) fn check_te(value: &[u8]) -> Result<(), MalformedReason> {
    if value.eq_ignore_ascii_case(b"trailers") { Ok(()) } else { Err(MalformedReason::Te) }
}

/// Parses a `content-length` field; `earlier` is the value of a previous one (RFC 9110 §8.6).
pub(super) fn content_length(earlier: Option<u64>, value: &[u8]) -> Result<Option<u64>, MalformedReason> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(MalformedReason::ContentLength);
    }
    let length = value
        .iter()
        .try_fold(0_u64, |n, &digit| n.checked_mul(10)?.checked_add(u64::from(digit & 0x0f)))
        .ok_or(MalformedReason::ContentLength)?;
    match earlier {
        Some(earlier) if earlier != length => Err(MalformedReason::ContentLength),
        _ => Ok(Some(length)),
    }
}

/// Returns the first bytes of a peer's value, escaped, for the message of a status.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    bytes.get(..64).unwrap_or(bytes).escape_ascii().to_string()
}
