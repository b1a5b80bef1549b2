//! Length-prefixed messages ([P-50](crate::manual::rules#p-50) to [P-61](crate::manual::rules#p-61)): the prefix, and
//! the receiving side of one stream.

mod partial;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

pub use super::arena::Arena;
use partial::{Fed, Partial};

/// The length of a prefix in bytes: one flag and four bytes of length.
pub const PREFIX_LEN: usize = 5;

/// Size in bytes from which a payload is kept as a reference to the receive buffer. Below it, a copy is cheaper than
/// keeping the whole receive buffer alive.
const ZERO_COPY_MIN: usize = 2048;

/// The block size, in bytes, for copies that queue up on a stream; the first blocks are smaller.
const BLOCK: usize = 4 * 1024;
const LEAST_BLOCK: usize = 512;
/// Size in bytes from which such a copy gets its own allocation, so that blocks do not end with much unused space.
const ALONE: usize = 512;

/// Why bytes are not a valid sequence of messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The flag is neither 0 nor 1 ([P-50](crate::manual::rules#p-50): `INTERNAL`).
    #[error("a message has the compressed flag {0}; 0 and 1 are allowed")]
    Flag(u8),
    /// The message exceeds the receive limit ([P-54](crate::manual::rules#p-54): `RESOURCE_EXHAUSTED`).
    #[error("a message of {length} bytes is over the limit of {limit}")]
    TooLarge {
        /// The length in the prefix, in bytes.
        length: u32,
        /// The limit, in bytes.
        limit: u32,
    },
    /// The stream ended inside a message ([P-56](crate::manual::rules#p-56): `INTERNAL`).
    #[error("the stream ended inside a message")]
    Truncated,
}

/// The five bytes in front of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prefix {
    /// Whether the payload is compressed with the `grpc-encoding` of its stream.
    pub compressed: bool,
    /// The length of the payload, in bytes.
    pub length: u32,
}

impl Prefix {
    /// Parses a prefix.
    ///
    /// # Errors
    /// [`MessageError::Flag`] if the flag is neither 0 nor 1.
    pub fn parse(bytes: [u8; PREFIX_LEN]) -> Result<Self, MessageError> {
        let [flag, length @ ..] = bytes;
        match flag {
            0 | 1 => Ok(Self { compressed: flag == 1, length: u32::from_be_bytes(length) }),
            _ => Err(MessageError::Flag(flag)),
        }
    }

    /// Returns the bytes of this prefix.
    #[must_use]
    pub fn to_bytes(self) -> [u8; PREFIX_LEN] {
        let [a, b, c, d] = self.length.to_be_bytes();
        [u8::from(self.compressed), a, b, c, d]
    }

    /// Parses a prefix and checks its length against the limit, before any payload is kept
    /// ([P-54](crate::manual::rules#p-54)).
    fn checked(bytes: [u8; PREFIX_LEN], limit: u32) -> Result<Self, MessageError> {
        let prefix = Self::parse(bytes)?;
        if prefix.length > limit {
            return Err(MessageError::TooLarge { length: prefix.length, limit });
        }
        Ok(prefix)
    }
}

/// The bytes of a DATA frame, as the receiver holds them.
#[derive(Clone, Debug)]
pub enum Payload<'a> {
    /// A reference to a buffer that will be reused; bytes that are kept have to be copied.
    Borrowed(&'a [u8]),
    /// A reference-counted buffer; large pieces are kept without a copy.
    Owned(Bytes),
}

impl Payload<'_> {
    /// Returns the bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }

    /// Returns the part from `start` to `end`, which the caller has found within the payload.
    fn slice(&self, start: usize, end: usize) -> Payload<'_> {
        let part = self.as_slice().get(start..end).unwrap_or_default();
        match self {
            Payload::Owned(bytes) => Payload::Owned(bytes.slice_ref(part)),
            Payload::Borrowed(_) => Payload::Borrowed(part),
        }
    }

    /// Returns a reference to the receive buffer, if that is cheaper than a copy.
    fn view(&self) -> Option<Bytes> {
        match self {
            Payload::Owned(bytes) if bytes.len() >= ZERO_COPY_MIN => Some(bytes.clone()),
            _ => None,
        }
    }
}

/// One received message as it was on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawMessage {
    /// Whether the payload is compressed with the `grpc-encoding` of its stream.
    pub compressed: bool,
    /// The payload.
    pub payload: Bytes,
    /// Length of prefix and payload, in bytes: the credit that the stream's window gets back for it.
    pub wire_len: u32,
}

/// Complete messages that are stored together.
#[derive(Debug)]
struct Run {
    bytes: Bytes,
    form: Form,
    /// Whether they pin a receive buffer.
    is_view: bool,
}

/// The format of a run's bytes.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// Complete messages, each with its prefix.
    Framed,
    /// The payload of one message.
    Lone { compressed: bool },
}

impl Run {
    const fn framed(bytes: Bytes, is_view: bool) -> Self {
        Self { bytes, form: Form::Framed, is_view }
    }
}

/// The runs behind the first one. Only a stream whose messages are not received at once has it.
#[derive(Debug, Default)]
struct Backlog {
    runs: VecDeque<Run>,
    /// Copies of small runs, all framed. They are joined, so that a message of five bytes does not need a run of its
    /// own.
    tail: BytesMut,
    /// The size of the block that `tail` is in, in bytes.
    block: usize,
}

impl Backlog {
    /// Keeps a run of complete messages. Returns whether it pins a receive buffer.
    fn push_framed(&mut self, run: &Payload<'_>) -> bool {
        if let Some(view) = run.view() {
            self.push(Run::framed(view, true));
            return true;
        }
        let bytes = run.as_slice();
        if bytes.len() >= ALONE {
            self.push(Run::framed(Bytes::copy_from_slice(bytes), false));
            return false;
        }
        if self.tail.capacity().saturating_sub(self.tail.len()) < bytes.len() {
            self.close_tail();
            self.block = self.block.saturating_mul(2).clamp(LEAST_BLOCK, BLOCK);
            self.tail = BytesMut::with_capacity(self.block);
        }
        self.tail.extend_from_slice(bytes);
        false
    }

    fn push(&mut self, run: Run) {
        self.close_tail();
        self.runs.push_back(run);
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.runs.push_back(Run::framed(self.tail.split().freeze(), false));
        }
    }

    fn pop(&mut self) -> Option<Run> {
        if self.runs.is_empty() {
            self.close_tail();
        }
        self.runs.pop_front()
    }
}

/// The receiving side of one stream: turns DATA payloads into messages.
///
/// Prefixes are checked as soon as their five bytes have arrived. Memory grows with the bytes received, whatever
/// length a prefix announces: at most 16 KiB, or half of the received bytes, are reserved ahead. How the bytes are
/// split into DATA frames makes no difference to the messages ([P-59](crate::manual::rules#p-59)).
///
/// ```
/// use halfclose::internals::{Arena, MessageBuffer, Payload};
///
/// let mut arena = Arena::new();
/// let mut buffer = MessageBuffer::new();
/// buffer.push(Payload::Borrowed(b"\0\0\0\0\x05hel"), 4096, &mut arena).unwrap();
/// assert_eq!(buffer.missing(), Some(2));
/// buffer.push(Payload::Borrowed(b"lo\0\0\0\0\0"), 4096, &mut arena).unwrap();
/// assert_eq!(buffer.complete(), 2);
/// assert_eq!(buffer.pop().unwrap().payload.as_ref(), b"hello");
/// assert_eq!(buffer.pop().unwrap().wire_len, 5);
/// ```
#[derive(Debug, Default)]
pub struct MessageBuffer {
    front: Option<Run>,
    backlog: Option<Box<Backlog>>,
    partial: Option<Box<Partial>>,
    complete: usize,
    buffered: usize,
    /// Runs that pin receive buffers.
    pinned: u32,
    failed: Option<MessageError>,
}

impl MessageBuffer {
    /// Makes an empty buffer. Allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the payload of one DATA frame. `max_message` is the longest payload of a message that is accepted, in
    /// bytes.
    ///
    /// # Errors
    /// [`MessageError`] at the first invalid prefix. Messages that were complete before it can still be popped; the
    /// rest is dropped, and every later call returns the same error.
    #[inline]
    pub fn push(
        &mut self,
        chunk: Payload<'_>,
        max_message: u32,
        arena: &mut Arena,
    ) -> Result<(), MessageError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.front.is_none() && !self.is_mid_message() && self.push_whole(&chunk, max_message, arena) {
            return Ok(());
        }
        let result = self.push_checked(&chunk, max_message, arena);
        self.failed = result.err();
        result
    }

    /// Adds `bytes` as [`push`](Self::push) does, if they are exactly one message and the buffer is empty; returns whether
    /// they are. Otherwise it changes nothing.
    #[inline]
    pub(crate) fn push_lone(&mut self, bytes: &[u8], max_message: u32, arena: &mut Arena) -> bool {
        self.failed.is_none()
            && self.front.is_none()
            && !self.is_mid_message()
            && self.push_whole(&Payload::Borrowed(bytes), max_message, arena)
    }

    /// Adds a chunk that is exactly one message to an empty buffer, as the fast path of `push`. Returns whether it was
    /// one.
    // Always: out of line it costs a tenth of what it does.
    #[inline(always)]
    fn push_whole(&mut self, chunk: &Payload<'_>, limit: u32, arena: &mut Arena) -> bool {
        let bytes = chunk.as_slice();
        let Some((prefix, payload)) = bytes.split_first_chunk::<PREFIX_LEN>() else { return false };
        let Ok(prefix) = Prefix::checked(*prefix, limit) else { return false };
        if usize::try_from(prefix.length) != Ok(payload.len()) {
            return false;
        }
        self.complete = self.complete.saturating_add(1);
        self.buffered = self.buffered.saturating_add(bytes.len());
        let form = Form::Lone { compressed: prefix.compressed };
        self.front = Some(match chunk.view() {
            Some(view) => {
                self.pinned = self.pinned.saturating_add(1);
                Run { bytes: view.slice(PREFIX_LEN..), form, is_view: true }
            }
            None => Run { bytes: arena.copy(payload), form, is_view: false },
        });
        true
    }

    #[inline(never)]
    fn push_checked(
        &mut self,
        chunk: &Payload<'_>,
        limit: u32,
        arena: &mut Arena,
    ) -> Result<(), MessageError> {
        let bytes = chunk.as_slice();
        let start = if self.is_mid_message() { self.feed_partial(chunk, 0, limit)? } else { 0 };
        let rest = bytes.get(start..).unwrap_or_default();
        let walk = walk(rest, limit);
        if walk.count > 0 {
            let end = start.saturating_add(walk.len);
            let run = if start == 0 && end == bytes.len() { chunk.clone() } else { chunk.slice(start, end) };
            self.complete = self.complete.saturating_add(walk.count);
            self.buffered = self.buffered.saturating_add(walk.len);
            self.keep(&run, arena);
        }
        if let Some(error) = walk.error {
            return Err(error);
        }
        let end = start.saturating_add(walk.len);
        if end < bytes.len() {
            self.feed_partial(chunk, end, limit)?;
        }
        Ok(())
    }

    /// Adds the bytes of the message in progress from `start` on. Returns where it ended in the chunk.
    fn feed_partial(&mut self, chunk: &Payload<'_>, start: usize, limit: u32) -> Result<usize, MessageError> {
        let partial = self.partial.get_or_insert_default();
        let held = partial.held();
        let Fed { end, finished } = match partial.feed(chunk, start, limit) {
            Ok(fed) => fed,
            Err(error) => {
                self.partial = None;
                self.buffered = self.buffered.saturating_sub(held);
                return Err(error);
            }
        };
        self.buffered = self.buffered.saturating_add(end.saturating_sub(start));
        if finished {
            let (prefix, payload) = partial.finish();
            self.complete = self.complete.saturating_add(1);
            let form = Form::Lone { compressed: prefix.compressed };
            self.enqueue(Run { bytes: payload, form, is_view: false });
        }
        Ok(end)
    }

    /// Keeps a run of complete messages: the first one in the arena or by reference, further ones in the backlog.
    fn keep(&mut self, run: &Payload<'_>, arena: &mut Arena) {
        let is_view = if self.front.is_some() {
            self.backlog.get_or_insert_default().push_framed(run)
        } else {
            let view = run.view();
            let is_view = view.is_some();
            let bytes = view.unwrap_or_else(|| arena.copy(run.as_slice()));
            self.front = Some(Run::framed(bytes, is_view));
            is_view
        };
        self.pinned = self.pinned.saturating_add(u32::from(is_view));
    }

    fn enqueue(&mut self, run: Run) {
        if self.front.is_none() {
            self.front = Some(run);
        } else {
            self.backlog.get_or_insert_default().push(run);
        }
    }

    /// Removes and returns the next complete message.
    #[inline]
    pub fn pop(&mut self) -> Option<RawMessage> {
        let Run { bytes, form, is_view } = self.front.take()?;
        let (compressed, payload) = match form {
            Form::Lone { compressed } => {
                self.next_run(is_view);
                (compressed, bytes)
            }
            Form::Framed => self.pop_framed(bytes, is_view)?,
        };
        let wire_len = payload.len().saturating_add(PREFIX_LEN);
        self.complete = self.complete.saturating_sub(1);
        self.buffered = self.buffered.saturating_sub(wire_len);
        Some(RawMessage { compressed, payload, wire_len: u32::try_from(wire_len).unwrap_or(u32::MAX) })
    }

    #[inline(never)]
    fn pop_framed(&mut self, mut run: Bytes, is_view: bool) -> Option<(bool, Bytes)> {
        // `push` has checked these prefixes, so neither step fails.
        let prefix = Prefix::parse(*run.first_chunk::<PREFIX_LEN>()?).ok()?;
        run.advance(PREFIX_LEN);
        let length = usize::try_from(prefix.length).ok().filter(|&length| length <= run.len())?;
        if length == run.len() {
            self.next_run(is_view);
            return Some((prefix.compressed, run));
        }
        let payload = run.split_to(length);
        self.front = Some(Run::framed(run, is_view));
        Some((prefix.compressed, payload))
    }

    /// Moves the next run of the backlog to the front, and frees the backlog when it is empty.
    #[inline]
    fn next_run(&mut self, was_view: bool) {
        self.pinned = self.pinned.saturating_sub(u32::from(was_view));
        if self.backlog.is_some() {
            self.next_of_backlog();
        }
    }

    #[inline(never)]
    fn next_of_backlog(&mut self) {
        self.front = self.backlog.as_mut().and_then(|backlog| backlog.pop());
        if self.front.is_none() {
            self.backlog = None;
        }
    }

    /// Returns the number of complete messages.
    #[must_use]
    pub fn complete(&self) -> usize {
        self.complete
    }

    /// Returns the number of bytes held, including prefixes and the message in progress.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// Returns how many bytes the message in progress lacks, or its prefix while that is incomplete. The stream's
    /// window has to allow that many for the message to go on ([P-103](crate::manual::rules#p-103)).
    #[must_use]
    pub fn missing(&self) -> Option<u32> {
        self.partial.as_ref().and_then(|partial| partial.missing())
    }

    /// Returns whether a message has begun and is not complete: a stream that ended now would be truncated
    /// ([P-56](crate::manual::rules#p-56)).
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        self.partial.as_ref().is_some_and(|partial| partial.held() > 0)
    }

    /// Returns the number of receive buffers that complete messages keep alive, at most.
    #[must_use]
    pub fn pinned(&self) -> u32 {
        self.pinned
    }

    /// Drops all messages and any error. Returns how many receive buffers were [`pinned`](Self::pinned).
    #[inline]
    #[must_use]
    pub fn clear(&mut self) -> u32 {
        let pinned = self.pinned;
        // There is no backlog without a front, so all bytes are in one of these.
        if self.front.is_some() || self.partial.is_some() {
            *self = Self::new();
        }
        self.failed = None;
        pinned
    }
}

/// The complete messages at the start of some bytes.
struct PrefixWalk {
    /// The number of complete messages.
    count: usize,
    /// Their length in bytes, prefixes included.
    len: usize,
    /// The error of the prefix behind them, if it is invalid.
    error: Option<MessageError>,
}

/// Walks over the complete messages at the start of `bytes`.
fn walk(bytes: &[u8], limit: u32) -> PrefixWalk {
    let mut walk = PrefixWalk { count: 0, len: 0, error: None };
    let mut rest = bytes;
    while let Some((prefix, after)) = rest.split_first_chunk::<PREFIX_LEN>() {
        let length = match Prefix::checked(*prefix, limit) {
            Ok(prefix) => usize::try_from(prefix.length).unwrap_or(usize::MAX),
            Err(error) => {
                walk.error = Some(error);
                return walk;
            }
        };
        let Some((_, next)) = after.split_at_checked(length) else { break };
        walk.count = walk.count.saturating_add(1);
        rest = next;
        walk.len = bytes.len().saturating_sub(rest.len());
    }
    walk
}
