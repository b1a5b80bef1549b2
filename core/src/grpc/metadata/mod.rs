//! Custom metadata: an ordered multi-map of names and values ([P-40](crate::manual::rules#p-40) to [P-43](crate::manual::rules#p-43)).

mod convert;
mod records;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::base64::{self, Base64Error};
use super::field::{self, FieldError};
use records::{Record, Records};

pub(super) use records::push_field;

/// Bytes that HTTP/2 counts for a field besides its name and value (RFC 9113 §6.5.2).
pub const FIELD_OVERHEAD: usize = 32;

/// The longest name, in bytes.
pub const MAX_NAME_LEN: usize = 0xffff;

/// The longest value, in bytes.
pub const MAX_VALUE_LEN: usize = 0x7fff_ffff;

/// Names that metadata may not use, besides those that begin with `grpc-`: the call's own fields
/// ([P-41](crate::manual::rules#p-41)), and fields that HTTP/2 forbids or that frame the message (RFC 9113 §8.2.2).
const RESERVED: [&str; 11] = [
    "content-type",
    "content-length",
    "te",
    "user-agent",
    "host",
    "connection",
    "proxy-connection",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "trailer",
];

/// Names with the reserved prefix that an application may nevertheless set ([P-41](crate::manual::rules#p-41)).
const PERMITTED: [&str; 4] =
    ["grpc-previous-rpc-attempts", "grpc-retry-pushback-ms", "grpc-tags-bin", "grpc-trace-bin"];

/// Why an entry cannot be added.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The name is empty.
    #[error("a metadata name is empty")]
    EmptyName,
    /// The name is longer than [`MAX_NAME_LEN`].
    #[error("a metadata name has {0} bytes; at most {MAX_NAME_LEN} are allowed")]
    LongName(usize),
    /// The name has a byte other than `0-9 a-z _ - .` ([P-40](crate::manual::rules#p-40)).
    #[error("a metadata name holds byte {0:#04x}; 0-9, a-z, '_', '-' and '.' are allowed")]
    NameByte(u8),
    /// The name belongs to gRPC or HTTP/2 ([P-41](crate::manual::rules#p-41)).
    #[error("the metadata name is reserved for gRPC or HTTP/2")]
    Reserved,
    /// A text value for a name that ends with `-bin`, or a binary value for any other name
    /// ([P-43](crate::manual::rules#p-43)).
    #[error("names that end with -bin have binary values, and others have not")]
    Kind,
    /// The value has a byte outside 0x20 to 0x7E ([P-42](crate::manual::rules#p-42)).
    #[error("a metadata value holds byte {0:#04x}; 0x20 to 0x7e are allowed")]
    ValueByte(u8),
    /// The value begins or ends with a space, which may not be sent (RFC 9113 §8.2.1), and which a peer may strip
    /// ([P-42](crate::manual::rules#p-42)).
    #[error(
        "a metadata value begins or ends with a space, which HTTP/2 does not carry: trim it, or send it under a -bin name"
    )]
    Whitespace,
    /// The value is longer than [`MAX_VALUE_LEN`].
    #[error("a metadata value has {0} bytes; at most {MAX_VALUE_LEN} are allowed")]
    LongValue(usize),
    /// A value of a `-bin` name is not base64.
    #[error("a binary metadata value is malformed: {0}")]
    Base64(#[from] Base64Error),
    /// There are more entries than a `HeaderMap` can hold.
    #[error("too many entries for a header map")]
    TooMany,
}

/// Why a received field cannot become metadata.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceivedError {
    /// The field is not valid HTTP, so the request or response is malformed (RFC 9113 §8.2.1).
    #[error("{0}")]
    Field(#[from] FieldError),
    /// A `-bin` value is not base64 ([P-30](crate::manual::rules#p-30): `INTERNAL`).
    #[error("a binary metadata value is malformed: {0}")]
    Base64(#[from] Base64Error),
    /// The name or the value is longer than [`MAX_NAME_LEN`] or [`MAX_VALUE_LEN`].
    #[error("a metadata entry is too long")]
    TooLong,
}

/// The value of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value<'a> {
    /// The value of a text entry. A received one may have bytes over 0x7F ([P-42](crate::manual::rules#p-42)).
    Ascii(&'a [u8]),
    /// The decoded value of a `-bin` entry.
    Binary(&'a [u8]),
}

impl<'a> Value<'a> {
    /// Returns the bytes of the value; binary values are decoded.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Ascii(bytes) | Self::Binary(bytes) => bytes,
        }
    }

    /// Returns the value if it is text and UTF-8.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Ascii(bytes) => str::from_utf8(bytes).ok(),
            Self::Binary(_) => None,
        }
    }
}

/// Custom metadata of a call.
///
/// Entries keep their order, and a name may occur several times. Names that end with `-bin` have arbitrary bytes as
/// values, which are stored decoded. A look-up visits all entries, because metadata usually has only a few.
///
/// [`append`](Self::append) and the other methods that add entries refuse reserved names
/// ([P-41](crate::manual::rules#p-41)): names that begin with `grpc-`, except `grpc-previous-rpc-attempts`,
/// `grpc-retry-pushback-ms`, `grpc-tags-bin` and `grpc-trace-bin`; `content-type`, `content-length`, `te`,
/// `user-agent`, `host`, `trailer`; and the connection-specific fields of HTTP/1.1.
///
/// ```
/// use halfclose::Metadata;
///
/// let mut metadata = Metadata::new();
/// metadata.append("x-shop", "berlin")?;
/// metadata.append_bin("x-trace-bin", &[0xab, 0xab])?;
/// assert_eq!(metadata.get_str("x-shop"), Some("berlin"));
/// assert_eq!(metadata.get_bin("x-trace-bin"), Some(&[0xab, 0xab][..]));
/// assert!(metadata.append("grpc-status", "0").is_err());
/// # Ok::<(), halfclose::grpc::MetadataError>(())
/// ```
#[derive(Clone, Default)]
pub struct Metadata {
    /// The entries; `None` if there are none. Boxed, because most calls have none, and every call has space for three
    /// of these.
    records: Option<Box<Records>>,
}

impl Metadata {
    /// Makes metadata without entries. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { records: None }
    }

    /// Makes metadata from records that the parser of a header section has written.
    pub(super) fn from_records(bytes: Bytes, count: u32) -> Self {
        Self { records: (count > 0).then(|| Box::new(Records::shared(bytes, count))) }
    }

    fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.records.iter().flat_map(|records| records.iter())
    }

    fn records_mut(&mut self) -> &mut Records {
        self.records.get_or_insert_default()
    }

    /// Adds a text entry.
    ///
    /// # Errors
    /// [`MetadataError`]; nothing is added then.
    pub fn append(&mut self, name: &str, value: &str) -> Result<(), MetadataError> {
        check_text(name, value)?;
        self.records_mut().push(name.as_bytes(), value.as_bytes(), false);
        Ok(())
    }

    /// Adds a text entry that HPACK must never index, such as a credential (RFC 7541 §7.1.3).
    ///
    /// # Errors
    /// [`MetadataError`]; nothing is added then.
    pub fn append_sensitive(&mut self, name: &str, value: &str) -> Result<(), MetadataError> {
        check_text(name, value)?;
        self.records_mut().push(name.as_bytes(), value.as_bytes(), true);
        Ok(())
    }

    /// Adds a binary entry; the name has to end with `-bin`.
    ///
    /// # Errors
    /// [`MetadataError`]; nothing is added then.
    pub fn append_bin(&mut self, name: &str, value: &[u8]) -> Result<(), MetadataError> {
        check_binary(name, value)?;
        self.records_mut().push(name.as_bytes(), value, false);
        Ok(())
    }

    /// Adds a binary entry that HPACK must never index (RFC 7541 §7.1.3).
    ///
    /// # Errors
    /// [`MetadataError`]; nothing is added then.
    pub fn append_bin_sensitive(&mut self, name: &str, value: &[u8]) -> Result<(), MetadataError> {
        check_binary(name, value)?;
        self.records_mut().push(name.as_bytes(), value, true);
        Ok(())
    }

    /// Adds a text entry, replacing all entries of its name.
    ///
    /// # Errors
    /// [`MetadataError`]; nothing changes then.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), MetadataError> {
        check_text(name, value)?;
        self.remove(name);
        self.records_mut().push(name.as_bytes(), value.as_bytes(), false);
        Ok(())
    }

    /// Adds a binary entry, replacing all entries of its name.
    ///
    /// # Errors
    /// [`MetadataError`]; nothing changes then.
    pub fn insert_bin(&mut self, name: &str, value: &[u8]) -> Result<(), MetadataError> {
        check_binary(name, value)?;
        self.remove(name);
        self.records_mut().push(name.as_bytes(), value, false);
        Ok(())
    }

    /// Returns the first value of a name; binary values are decoded.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// Returns the first value of a text name, if it is UTF-8.
    #[must_use]
    pub fn get_str(&self, name: &str) -> Option<&str> {
        if is_bin(name.as_bytes()) {
            return None;
        }
        self.get(name).and_then(|value| str::from_utf8(value).ok())
    }

    /// Returns the first value of a name that ends with `-bin`.
    #[must_use]
    pub fn get_bin(&self, name: &str) -> Option<&[u8]> {
        if is_bin(name.as_bytes()) { self.get(name) } else { None }
    }

    /// Returns all values of a name, in order.
    pub fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.records().filter(move |record| record.name == name.as_bytes()).map(|record| record.value)
    }

    /// Removes all entries of a name. Returns how many there were.
    pub fn remove(&mut self, name: &str) -> usize {
        if self.get(name).is_none() {
            return 0;
        }
        self.records_mut().retain(|record| record.name != name.as_bytes())
    }

    /// Returns all entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.records().map(|record| {
            let value =
                if is_bin(record.name) { Value::Binary(record.value) } else { Value::Ascii(record.value) };
            // Names are ASCII, whether received or set.
            (str::from_utf8(record.name).unwrap_or_default(), value)
        })
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.as_ref().map_or(0, |records| records.len())
    }

    /// Returns whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all entries and keeps the memory.
    pub fn clear(&mut self) {
        if let Some(records) = &mut self.records {
            records.clear();
        }
    }

    /// Appends all entries of `other`.
    pub fn merge(&mut self, other: &Self) {
        if let Some(records) = &other.records {
            self.records_mut().append(records);
        }
    }

    /// Returns the size of the entries in bytes, as HTTP/2 counts it (RFC 9113 §6.5.2): name, value and 32 for each.
    /// Binary values count in base64, as they are sent ([P-45](crate::manual::rules#p-45)).
    #[must_use]
    pub fn list_size(&self) -> usize {
        self.records().fold(0, |size, record| size.saturating_add(wire_size(record)))
    }

    /// Adds a received field.
    ///
    /// Any valid HTTP field is accepted; white space at the ends of its value is not part of it
    /// ([P-42](crate::manual::rules#p-42)). The value of a `-bin` name is split at commas and then decoded
    /// ([P-43](crate::manual::rules#p-43)); each part is an entry.
    ///
    /// # Errors
    /// [`ReceivedError`]; nothing is added then.
    pub fn push_received(&mut self, name: &[u8], value: &[u8]) -> Result<(), ReceivedError> {
        field::check_name(name)?;
        let value = field::trim(value);
        field::check_value(value)?;
        let (bytes, count) = self.records_mut().writer();
        push_field(bytes, count, name, value, false)
    }

    /// Passes the entries to `f` as they are sent: binary values in base64, encoded in `scratch`, which is empty
    /// afterwards.
    ///
    /// The last argument of `f` says whether HPACK may never index the field.
    pub fn for_each_wire(&self, scratch: &mut Vec<u8>, mut f: impl FnMut(&[u8], &[u8], bool)) {
        for record in self.records() {
            if is_bin(record.name) {
                scratch.clear();
                base64::encode(record.value, scratch);
                f(record.name, scratch, record.sensitive);
            } else {
                f(record.name, record.value, record.sensitive);
            }
        }
        scratch.clear();
    }
}

impl PartialEq for Metadata {
    /// Returns whether both have the same entries in the same order; whether entries are sensitive does not matter.
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Metadata {}

impl std::fmt::Debug for Metadata {
    /// Formats the entries, hiding sensitive values.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut map = f.debug_map();
        for record in self.records() {
            let name = String::from_utf8_lossy(record.name);
            if record.sensitive {
                map.entry(&name, &"(sensitive)");
            } else {
                map.entry(&name, &format_args!("\"{}\"", record.value.escape_ascii()));
            }
        }
        map.finish()
    }
}

/// Returns whether the values of a name are binary ([P-43](crate::manual::rules#p-43)).
#[inline]
pub(in crate::grpc) fn is_bin(name: &[u8]) -> bool {
    name.ends_with(b"-bin")
}

fn wire_size(record: Record<'_>) -> usize {
    let value =
        if is_bin(record.name) { base64::encoded_len(record.value.len()) } else { record.value.len() };
    record.name.len().saturating_add(value).saturating_add(FIELD_OVERHEAD)
}

/// Returns whether a name is reserved for gRPC or HTTP/2 ([P-41](crate::manual::rules#p-41)).
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || (name.starts_with("grpc-") && !PERMITTED.contains(&name))
}

fn check_application_name(name: &str) -> Result<(), MetadataError> {
    if name.is_empty() {
        return Err(MetadataError::EmptyName);
    }
    if name.len() > MAX_NAME_LEN {
        return Err(MetadataError::LongName(name.len()));
    }
    let allowed = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'_' | b'-' | b'.');
    if let Some(byte) = name.bytes().find(|&byte| !allowed(byte)) {
        return Err(MetadataError::NameByte(byte));
    }
    if is_reserved(name) { Err(MetadataError::Reserved) } else { Ok(()) }
}

fn check_text(name: &str, value: &str) -> Result<(), MetadataError> {
    check_application_name(name)?;
    if is_bin(name.as_bytes()) {
        return Err(MetadataError::Kind);
    }
    check_value_len(value.len())?;
    if let Some(byte) = value.bytes().find(|byte| !matches!(byte, 0x20..=0x7e)) {
        return Err(MetadataError::ValueByte(byte));
    }
    if value.starts_with(' ') || value.ends_with(' ') { Err(MetadataError::Whitespace) } else { Ok(()) }
}

fn check_binary(name: &str, value: &[u8]) -> Result<(), MetadataError> {
    check_application_name(name)?;
    if !is_bin(name.as_bytes()) {
        return Err(MetadataError::Kind);
    }
    check_value_len(value.len())
}

const fn check_value_len(len: usize) -> Result<(), MetadataError> {
    if len > MAX_VALUE_LEN { Err(MetadataError::LongValue(len)) } else { Ok(()) }
}
