//! Octets to frames.

use halfclose::frame::{FrameHead, HEAD_LEN, PREFACE};

use super::{Breach, ensure};

/// Cuts a stream of octets, as it comes, into frames.
#[derive(Default)]
pub(super) struct Splitter {
    octets: Vec<u8>,
    at: usize,
    preface: bool,
}

impl Splitter {
    pub(super) fn expect_preface(&mut self) {
        self.preface = true;
    }

    pub(super) fn push(&mut self, octets: &[u8]) {
        if self.at > 0 && self.at == self.octets.len() {
            self.octets.clear();
            self.at = 0;
        }
        self.octets.extend_from_slice(octets);
    }

    /// The next whole frame.
    pub(super) fn next(&mut self) -> Result<Option<(FrameHead, Vec<u8>)>, Breach> {
        if self.preface {
            let Some(preface) = self.octets.get(..PREFACE.len()) else { return Ok(None) };
            ensure(preface == PREFACE, "the client preface comes first", || format!("{preface:?}"))?;
            self.at = PREFACE.len();
            self.preface = false;
        }
        let rest = self.octets.get(self.at..).unwrap_or_default();
        let Some(head) = rest.first_chunk::<HEAD_LEN>() else { return Ok(None) };
        let head = FrameHead::parse(head);
        let end = HEAD_LEN + head.length as usize;
        let Some(payload) = rest.get(HEAD_LEN..end) else { return Ok(None) };
        let payload = payload.to_vec();
        self.at += end;
        Ok(Some((head, payload)))
    }
}
