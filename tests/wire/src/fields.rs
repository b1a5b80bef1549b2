//! Reads header blocks with a decoder that is not halfclose's.

use std::fmt;

use crate::frame::{END_HEADERS, Frame, kind};

/// A block of fields that a connection sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fields {
    /// Its stream.
    pub stream: u32,
    /// Whether it ended the stream.
    pub end: bool,
    /// The fields.
    pub list: Vec<(String, String)>,
}

impl Fields {
    /// Returns the value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.list.iter().find(|(met, _)| met == name).map(|(_, value)| value.as_str())
    }
}

/// Reads the header blocks of one direction of a connection, from its beginning.
pub struct Reader {
    decoder: hpack::Decoder<'static>,
    /// The incomplete block that CONTINUATION frames add to.
    open: Option<(u32, bool, Vec<u8>)>,
}

impl Reader {
    /// Creates a reader that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self { decoder: hpack::Decoder::new(), open: None }
    }

    /// Reads the next frame of any type. Returns the block that it completes.
    ///
    /// # Panics
    ///
    /// If a block cannot be decoded.
    pub fn read(&mut self, frame: &Frame) -> Option<Fields> {
        match (frame.kind, self.open.as_mut()) {
            (kind::HEADERS, _) => {
                self.open = Some((frame.stream, frame.ends_stream(), frame.payload.clone()));
            }
            (kind::CONTINUATION, Some((_, _, block))) => block.extend_from_slice(&frame.payload),
            _ => return None,
        }
        if frame.flags & END_HEADERS == 0 {
            return None;
        }
        let (stream, end, block) = self.open.take()?;
        let fields = self.decoder.decode(&block).expect("a block that can be decoded");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let list = fields.into_iter().map(|(name, value)| (text(name), text(value))).collect();
        Some(Fields { stream, end, list })
    }
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("open", &self.open).finish_non_exhaustive()
    }
}
