//! The bytes of a message to send.

use bytes::{Bytes, BytesMut};

/// The bytes of one message to send, in one piece or several.
///
/// The pieces are sent one after the other, large ones by reference: a message that wraps a large field is sent
/// without copying the field. A payload of a single [`Bytes`] costs no allocation.
///
/// ```
/// use bytes::Bytes;
/// use halfclose::MessagePayload;
///
/// let mut payload = MessagePayload::from(Bytes::from_static(b"field 1: "));
/// payload.push(Bytes::from_static(b"a large value"));
/// assert_eq!(payload.len(), 22);
/// assert_eq!(payload.into_bytes(), "field 1: a large value");
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[allow(clippy::box_collection, reason = "a second piece is rare, and a payload is moved often")]
pub struct MessagePayload {
    first: Bytes,
    /// The pieces behind `first`; boxed, because most payloads have one piece.
    rest: Option<Box<Vec<Bytes>>>,
}

impl MessagePayload {
    /// Appends a piece.
    pub fn push(&mut self, piece: Bytes) {
        if self.first.is_empty() && self.rest.is_none() {
            self.first = piece;
        } else if !piece.is_empty() {
            self.rest.get_or_insert_default().push(piece);
        }
    }

    /// Returns the total length of all pieces, in bytes.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        let rest = self.rest.as_ref().map_or(0, |rest| rest.iter().map(Bytes::len).sum());
        self.first.len() + rest
    }

    /// Returns whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the pieces, in order.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(self.rest.iter().flat_map(|rest| rest.iter()))
    }

    /// Returns all pieces as one, copying only if there are several.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        if self.rest.is_none() {
            return self.first;
        }
        let mut joined = BytesMut::with_capacity(self.len());
        for piece in self.pieces() {
            joined.extend_from_slice(piece);
        }
        joined.freeze()
    }

    /// Joins the pieces into one, and returns it.
    pub(crate) fn join(&mut self) -> &Bytes {
        if self.rest.is_some() {
            self.first = std::mem::take(self).into_bytes();
        }
        &self.first
    }

    /// Takes the pieces: the first one, and those behind it.
    #[inline]
    #[allow(clippy::box_collection, reason = "as it is kept")]
    pub(crate) fn take(&mut self) -> (Bytes, Option<Box<Vec<Bytes>>>) {
        (std::mem::take(&mut self.first), self.rest.take())
    }
}

impl From<Bytes> for MessagePayload {
    #[inline]
    fn from(first: Bytes) -> Self {
        Self { first, rest: None }
    }
}

impl From<Vec<u8>> for MessagePayload {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}
