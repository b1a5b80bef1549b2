//! Bytes to frames.

use halfclose::frame::{FRAME_HEADER_LEN, FrameHeader, PREFACE};

use super::{FailedProperty, ensure};

/// Cuts a stream of bytes into frames as it arrives.
#[derive(Default)]
pub(super) struct Splitter {
    bytes: Vec<u8>,
    at: usize,
    preface: bool,
}

impl Splitter {
    pub(super) fn expect_preface(&mut self) {
        self.preface = true;
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.at > 0 && self.at == self.bytes.len() {
            self.bytes.clear();
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the next complete frame.
    pub(super) fn next(&mut self) -> Result<Option<(FrameHeader, Vec<u8>)>, FailedProperty> {
        if self.preface {
            let Some(preface) = self.bytes.get(..PREFACE.len()) else { return Ok(None) };
            ensure(preface == PREFACE, "the client preface comes first", || format!("{preface:?}"))?;
            self.at = PREFACE.len();
            self.preface = false;
        }
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(header) = rest.first_chunk::<FRAME_HEADER_LEN>() else { return Ok(None) };
        let header = FrameHeader::parse(header);
        let end = FRAME_HEADER_LEN + header.length as usize;
        let Some(payload) = rest.get(FRAME_HEADER_LEN..end) else { return Ok(None) };
        let payload = payload.to_vec();
        self.at += end;
        Ok(Some((header, payload)))
    }
}
