//! What one side knows of one stream, and the order of frames on it.

use halfclose::frame::{FrameHeader, FrameType};

use super::flow::Credit;
use super::{FailedProperty, Wire, WireEnd, ensure};
use crate::program::Side;

/// Counts the complete gRPC messages in the DATA of a stream.
#[derive(Clone, Default, Debug)]
pub struct Messages {
    prefix: Vec<u8>,
    left: u64,
    /// The number of complete messages.
    pub whole: usize,
}

impl Messages {
    fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.prefix.len() < 5 {
                let (header, rest) = bytes.split_at(bytes.len().min(5 - self.prefix.len()));
                self.prefix.extend_from_slice(header);
                bytes = rest;
                if let [_, length @ ..] = self.prefix.as_slice()
                    && let Ok(length) = <[u8; 4]>::try_from(length)
                {
                    self.left = u64::from(u32::from_be_bytes(length));
                }
            }
            if self.prefix.len() == 5 {
                let step = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                bytes = &bytes[step..];
                self.left -= step as u64;
                if self.left == 0 {
                    self.whole += 1;
                    self.prefix.clear();
                }
            }
        }
    }
}

/// One stream as one side knows it.
#[derive(Clone, Default, Debug)]
pub struct Half {
    /// The bytes that this side may send.
    pub send_window: i64,
    /// Bytes of DATA that it has sent.
    pub sent: u64,
    /// The bytes that it has allowed its peer, less those received.
    pub recv_window: i64,
    /// The window that the stream began with.
    pub initial: i64,
    /// Bytes of DATA that it has consumed.
    pub taken: u64,
    /// The part of those that its caller has read.
    pub read: u64,
    /// Whether its caller reads no more.
    pub abandoned: bool,
    /// Messages received completely.
    pub messages: Messages,
    /// Whether HEADERS without END_STREAM arrived: a request, or response headers.
    pub headers_taken: bool,
    /// Whether it has sent END_STREAM.
    pub end_sent: bool,
    /// Whether it has sent RST_STREAM.
    pub reset_sent: bool,
    /// When it consumed the peer's END_STREAM.
    pub end_taken: Option<u64>,
    /// When it consumed the peer's RST_STREAM.
    pub reset_taken: Option<u64>,
}

impl Half {
    pub(super) fn new(credit: &Credit) -> Self {
        Self {
            send_window: credit.peer_initial,
            recv_window: credit.own_initial,
            initial: credit.own_initial,
            ..Self::default()
        }
    }

    pub(super) fn take_data(&mut self, bytes: &[u8]) {
        self.messages.push(bytes);
    }

    /// Returns whether this side has nothing more to do with the stream.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.reset_sent || self.reset_taken.is_some() || (self.end_sent && self.end_taken.is_some())
    }

    /// Returns the received bytes that the caller has still to read; abandoned bytes count as read.
    #[must_use]
    pub fn unread(&self) -> u64 {
        if self.abandoned { 0 } else { self.taken.saturating_sub(self.read) }
    }
}

impl WireEnd {
    pub(super) fn live_streams(&self) -> u32 {
        self.halves.values().filter(|half| !half.is_closed()).count() as u32
    }
}

impl Wire {
    /// Checks a new stream id: odd and increasing (RFC 9113 §5.1.1), and within the server's limit (§5.1.2).
    pub(super) fn open_stream(&mut self, id: u32) -> Result<(), FailedProperty> {
        let client = &mut self.ends[Side::Client.index()];
        ensure(id % 2 == 1 && id > client.highest_id, "stream ids increase", || {
            format!("{id} after {}", client.highest_id)
        })?;
        client.highest_id = id;
        let half = Half::new(&client.credit);
        client.halves.insert(id, half);
        let (live, most) = (client.live_streams(), client.max_streams);
        ensure(most.is_none_or(|most| live <= most), "MAX_CONCURRENT_STREAMS", || {
            format!("stream {id} is number {live} of {most:?}")
        })
    }

    /// Checks what a side may still send on a stream after an end or a reset (RFC 9113 §5.1).
    pub(super) fn check_stream_order(&self, from: Side, header: &FrameHeader) -> Result<(), FailedProperty> {
        let end = &self.ends[from.index()];
        let id = header.stream.get();
        // The rest of a block that HEADERS began.
        if header.kind == FrameType::Continuation {
            return Ok(());
        }
        let Some(half) = end.halves.get(&id) else {
            return ensure(
                from == Side::Client && header.kind == FrameType::Headers,
                "no frame on an idle stream",
                || format!("{from:?} sent {header:?}"),
            );
        };
        let detail = || format!("{from:?} sent {header:?} on {half:?}");
        ensure(!half.reset_sent, "no frame after RST_STREAM", detail)?;
        let content = matches!(header.kind, FrameType::Data | FrameType::Headers | FrameType::Continuation);
        ensure(!(content && half.end_sent), "no frame after END_STREAM", detail)?;
        // HEADERS and DATA are written when they are shown; a control frame may be older than what was consumed
        // since.
        let known = |at: Option<u64>| at.is_some_and(|at| content || at < end.looks);
        ensure(!known(half.reset_taken), "no frame after the peer's RST_STREAM", detail)?;
        ensure(!(half.end_sent && known(half.end_taken)), "no frame on a closed stream", detail)
    }
}
