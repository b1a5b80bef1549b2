//! The compressed flags of a call's requests, which tonic does not expose: a body that reads the prefixes of the
//! messages that pass through it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

/// Bytes of a message's prefix: the flag and the length.
const PREFIX: usize = 5;

/// The flags of the messages that have begun and have not been asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags(Arc<Mutex<VecDeque<bool>>>);

impl Flags {
    /// Returns whether the next message was compressed.
    pub(crate) fn next(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or(false)
    }

    fn push(&self, compressed: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(compressed);
    }
}

/// A body of messages that records their flags.
pub(crate) struct Noting {
    inner: tonic::body::Body,
    flags: Flags,
    prefix: Vec<u8>,
    /// Bytes left of the message in progress.
    left: usize,
}

impl Noting {
    pub(crate) fn new(inner: tonic::body::Body, flags: Flags) -> Self {
        Self { inner, flags, prefix: Vec::new(), left: 0 }
    }

    fn note(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = if self.left > 0 {
                let taken = self.left.min(bytes.len());
                self.left -= taken;
                taken
            } else {
                let taken = (PREFIX - self.prefix.len()).min(bytes.len());
                self.prefix.extend_from_slice(&bytes[..taken]);
                taken
            };
            bytes = &bytes[taken..];
            if let &[flag, a, b, c, d] = self.prefix.as_slice() {
                self.left = u32::from_be_bytes([a, b, c, d]).try_into().unwrap_or(usize::MAX);
                self.flags.push(flag == 1);
                self.prefix.clear();
            }
        }
    }
}

impl Body for Noting {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(bytes) = frame.as_ref().and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref) {
            let bytes = bytes.clone();
            self.note(&bytes);
        }
        Poll::Ready(frame)
    }
}
