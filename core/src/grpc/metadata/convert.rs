//! Conversions from and to the header map of the `http` crate.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::{Metadata, MetadataError, is_bin};
use crate::grpc::base64;

impl TryFrom<&HeaderMap> for Metadata {
    type Error = MetadataError;

    /// Converts all entries. Values of names that end with `-bin` are decoded from base64. Values marked as sensitive
    /// stay so. White space at the ends of a value is not part of it (RFC 9110 §5.5).
    ///
    /// A map groups the values of a name; different names keep the order of the map.
    fn try_from(map: &HeaderMap) -> Result<Self, MetadataError> {
        let mut metadata = Self::new();
        for (name, value) in map {
            let name = name.as_str();
            if is_bin(name.as_bytes()) {
                add_bin(&mut metadata, name, value)?;
                continue;
            }
            let text = value.to_str().map_err(|_| first_bad(value))?.trim_matches([' ', '\t']);
            if value.is_sensitive() {
                metadata.append_sensitive(name, text)?;
            } else {
                metadata.append(name, text)?;
            }
        }
        Ok(metadata)
    }
}

fn add_bin(metadata: &mut Metadata, name: &str, value: &HeaderValue) -> Result<(), MetadataError> {
    for part in value.as_bytes().split(|&byte| byte == b',') {
        let mut bytes = Vec::new();
        base64::decode(part.trim_ascii(), &mut bytes)?;
        if value.is_sensitive() {
            metadata.append_bin_sensitive(name, &bytes)?;
        } else {
            metadata.append_bin(name, &bytes)?;
        }
    }
    Ok(())
}

/// Returns the error for the byte at which `to_str` failed.
fn first_bad(value: &HeaderValue) -> MetadataError {
    let found = value.as_bytes().iter().copied().find(|byte| !matches!(byte, b'\t' | 0x20..=0x7e));
    MetadataError::ValueByte(found.unwrap_or_default())
}

impl Metadata {
    /// Converts to a header map with the same entries, binary values in base64.
    ///
    /// # Errors
    /// [`MetadataError::TooMany`] if the map is full; another error for a name or value that the map cannot hold,
    /// which only received metadata can have.
    pub fn to_header_map(&self) -> Result<HeaderMap, MetadataError> {
        let mut map = HeaderMap::new();
        let mut result = Ok(());
        self.for_each_wire(&mut Vec::new(), |name, value, sensitive| {
            if result.is_ok() {
                result = add_header(&mut map, name, value, sensitive);
            }
        });
        result.map(|()| map)
    }
}

fn add_header(map: &mut HeaderMap, name: &[u8], value: &[u8], sensitive: bool) -> Result<(), MetadataError> {
    let name = HeaderName::from_bytes(name).map_err(|_| MetadataError::LongName(name.len()))?;
    let mut value = HeaderValue::from_bytes(value).map_err(|_| MetadataError::Whitespace)?;
    value.set_sensitive(sensitive);
    map.try_append(name, value).map(drop).map_err(|_| MetadataError::TooMany)
}
