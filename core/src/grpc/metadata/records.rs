//! The memory layout of entries: one string of bytes, in which each entry has a header of seven bytes.

use bytes::Bytes;

use super::{MAX_NAME_LEN, ReceivedError, check_value_len, is_bin};
use crate::grpc::base64;

/// Length of an entry's header: two bytes of name length, four of value length, one of flags.
const HEAD: usize = 7;
const SENSITIVE: u8 = 1;

/// One entry.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) sensitive: bool,
}

/// The entries of one metadata map.
///
/// Received entries share their bytes with the headers in which they arrived, and are copied when they change. One of
/// the two stores is always empty.
#[derive(Clone, Default)]
pub(super) struct Records {
    owned: Vec<u8>,
    shared: Bytes,
    count: u32,
}

impl Records {
    pub(super) fn shared(bytes: Bytes, count: u32) -> Self {
        Self { owned: Vec::new(), shared: bytes, count }
    }

    fn bytes(&self) -> &[u8] {
        if self.shared.is_empty() { &self.owned } else { &self.shared }
    }

    /// Returns the bytes and the count, for [`push_field`].
    pub(super) fn writer(&mut self) -> (&mut Vec<u8>, &mut u32) {
        if !self.shared.is_empty() {
            self.owned.extend_from_slice(&std::mem::take(&mut self.shared));
        }
        (&mut self.owned, &mut self.count)
    }

    pub(super) fn push(&mut self, name: &[u8], value: &[u8], sensitive: bool) {
        let (bytes, count) = self.writer();
        push(bytes, count, Record { name, value, sensitive });
    }

    pub(super) fn append(&mut self, other: &Self) {
        let added = other.count;
        let (bytes, count) = self.writer();
        bytes.extend_from_slice(other.bytes());
        *count = count.saturating_add(added);
    }

    pub(super) fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    pub(super) fn clear(&mut self) {
        self.owned.clear();
        self.shared = Bytes::new();
        self.count = 0;
    }

    pub(super) fn iter(&self) -> Iter<'_> {
        Iter(self.bytes())
    }

    /// Keeps the entries for which `keep` returns true. Returns how many were removed.
    pub(super) fn retain(&mut self, keep: impl Fn(Record<'_>) -> bool) -> usize {
        let mut kept = Vec::with_capacity(self.bytes().len());
        let mut count = 0;
        for record in self.iter().filter(|&record| keep(record)) {
            push(&mut kept, &mut count, record);
        }
        let removed = self.count.saturating_sub(count);
        *self = Self { owned: kept, shared: Bytes::new(), count };
        usize::try_from(removed).unwrap_or(usize::MAX)
    }
}

/// Iterates over the entries.
pub(super) struct Iter<'a>(&'a [u8]);

impl<'a> Iterator for Iter<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let (&[n0, n1, v0, v1, v2, v3, flags], rest) = self.0.split_first_chunk::<HEAD>()?;
        let name_len = usize::from(u16::from_le_bytes([n0, n1]));
        let value_len = usize::try_from(u32::from_le_bytes([v0, v1, v2, v3])).ok()?;
        let (name, rest) = rest.split_at_checked(name_len)?;
        let (value, rest) = rest.split_at_checked(value_len)?;
        self.0 = rest;
        Some(Record { name, value, sensitive: flags & SENSITIVE != 0 })
    }
}

/// Appends an entry whose lengths have been checked.
fn push(bytes: &mut Vec<u8>, count: &mut u32, record: Record<'_>) {
    let Record { name, value, sensitive } = record;
    bytes.reserve(HEAD.saturating_add(name.len()).saturating_add(value.len()));
    push_headers(bytes, name.len(), value.len(), sensitive);
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(value);
    *count = count.saturating_add(1);
}

fn push_headers(bytes: &mut Vec<u8>, name_len: usize, value_len: usize, sensitive: bool) {
    let [n0, n1] = u16::try_from(name_len).unwrap_or(u16::MAX).to_le_bytes();
    let [v0, v1, v2, v3] = u32::try_from(value_len).unwrap_or(u32::MAX).to_le_bytes();
    bytes.extend_from_slice(&[n0, n1, v0, v1, v2, v3, if sensitive { SENSITIVE } else { 0 }]);
}

/// Appends a received field whose bytes are valid; each part of a `-bin` value becomes an entry.
///
/// After an error nothing has been added.
pub(in crate::grpc) fn push_field(
    bytes: &mut Vec<u8>,
    count: &mut u32,
    name: &[u8],
    value: &[u8],
    sensitive: bool,
) -> Result<(), ReceivedError> {
    if name.len() > MAX_NAME_LEN || check_value_len(value.len()).is_err() {
        return Err(ReceivedError::TooLong);
    }
    if !is_bin(name) {
        push(bytes, count, Record { name, value, sensitive });
        return Ok(());
    }
    let (len_before, count_before) = (bytes.len(), *count);
    // P-43: commas join values, so they are split before decoding.
    for part in value.split(|&byte| byte == b',') {
        if let Err(error) = push_encoded(bytes, name, part.trim_ascii(), sensitive) {
            bytes.truncate(len_before);
            *count = count_before;
            return Err(error.into());
        }
        *count = count.saturating_add(1);
    }
    Ok(())
}

/// Appends an entry with the bytes that `part` encodes, decoding in place.
fn push_encoded(
    bytes: &mut Vec<u8>,
    name: &[u8],
    part: &[u8],
    sensitive: bool,
) -> Result<(), base64::Base64Error> {
    let start = bytes.len();
    push_headers(bytes, name.len(), 0, sensitive);
    bytes.extend_from_slice(name);
    let value_start = bytes.len();
    base64::decode(part, bytes)?;
    let value_len = u32::try_from(bytes.len().saturating_sub(value_start)).unwrap_or(u32::MAX);
    // The value's length is known only now; its field follows the two bytes of name length.
    let slot = bytes.get_mut(start..).and_then(|record| record.get_mut(2..6));
    if let Some(slot) = slot {
        slot.copy_from_slice(&value_len.to_le_bytes());
    }
    Ok(())
}
