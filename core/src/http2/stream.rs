//! The state of one call.

use std::sync::Arc;

use super::bdp::Turnover;
use super::role::RoleKind;
use super::send_queue::SendQueue;
use crate::grpc::compress::CodecIndex;
use crate::grpc::content_type::ContentSubtypes;
use crate::grpc::encoding::EncodingSet;
use crate::grpc::headers::{RequestHeaders, ResponseHeaders};
use crate::grpc::message::MessageBuffer;
use crate::grpc::metadata::Metadata;
use crate::grpc::status::Status;
use crate::machine::{ClientRecv, ClientSend, OneRequest, OneResponse, ServerRecv, ServerSend};
use crate::time::Time;
use crate::types::{CallType, Cause, Outcome, Request};

/// The events of one call that the caller has not polled yet, as a set of bits.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Pending(u8);

impl Pending {
    pub(crate) const REQUEST: Self = Self(1);
    pub(crate) const RESPONSE: Self = Self(2);
    pub(crate) const READABLE: Self = Self(4);
    pub(crate) const WRITABLE: Self = Self(8);
    pub(crate) const ENDED: Self = Self(16);

    #[inline]
    pub(crate) fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    #[inline]
    pub(crate) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn clear(&mut self) {
        self.0 = 0;
    }

    #[inline]
    pub(crate) fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }
}

/// The client's state of a call.
pub(crate) struct ClientCall {
    pub(crate) send: ClientSend,
    pub(crate) recv: ClientRecv,
    pub(crate) responses: OneResponse,
    pub(crate) stage: ClientStage,
    pub(crate) response: Option<Arc<ResponseHeaders>>,
    /// The content subtypes that the response may have.
    pub(crate) content_subtypes: ContentSubtypes,
    /// Whether any response header block has arrived, an interim one included.
    pub(crate) begun: bool,
    /// A response that is not gRPC, while its body is collected ([P-28](crate::manual::rules#p-28)).
    pub(crate) foreign: Option<Box<Foreign>>,
}

/// A response that is not gRPC: the status that it maps to, and the text of its body so far.
pub(crate) struct Foreign {
    pub(crate) status: Status,
    pub(crate) http_status: u16,
    pub(crate) text: Vec<u8>,
}

/// The stage of a client's call. It holds the request until its HEADERS are written, and the outcome from the end on.
pub(crate) enum ClientStage {
    Queued(Request),
    Open,
    Done(Outcome),
    /// The caller has received the outcome, or does not want it.
    Taken,
}

/// The server's state of a call.
pub(crate) struct ServerCall {
    pub(crate) send: ServerSend,
    pub(crate) recv: ServerRecv,
    pub(crate) requests: OneRequest,
    /// The request headers, until the caller takes them.
    pub(crate) request: Option<Arc<RequestHeaders>>,
    /// The encodings that the client accepts, as far as this library knows their names.
    pub(crate) accept: EncodingSet,
    /// The request headers, kept for their content subtype if they have one, and for their `grpc-accept-encoding` if this
    /// side has custom codecs.
    pub(crate) asked: Option<Arc<RequestHeaders>>,
    pub(crate) headers: ServerHeaders,
    /// The status that waits behind queued messages, with its trailing metadata.
    pub(crate) status: Option<(Status, Metadata)>,
    /// Why the call ended, which `Event::Ended` reports.
    pub(crate) cause: Option<Cause>,
}

impl ServerCall {
    /// Returns the content subtype of the request, which is also that of the response.
    #[inline]
    pub(super) fn content_subtype(&self) -> Option<&str> {
        self.asked.as_ref().and_then(|headers| headers.content_subtype())
    }
}

impl ServerHeaders {
    /// Returns whether the response is not gRPC, because the request was refused.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::RefusedHead(_) | Self::RefusalSent)
    }

    /// Commits headers whose metadata is set. Headers without metadata stay unset, so that a status is sent as
    /// Trailers-Only.
    pub(super) fn settle(&mut self) {
        if let Self::Set(metadata) = self {
            *self = Self::Ready(std::mem::take(metadata));
        }
    }
}

/// The response headers of a server's call.
pub(crate) enum ServerHeaders {
    /// No metadata was set, so a status now is sent as Trailers-Only.
    Unset,
    /// Metadata was set; the headers are sent with the first message or the status.
    Set(Metadata),
    /// To be sent; not written yet.
    Ready(Metadata),
    /// An HTTP response with this status, because the request was refused before any handler saw it.
    Refused(u16),
    /// The same without content, for a HEAD request.
    RefusedHead(u16),
    /// One of these responses has been written; the rest of the request is still read.
    RefusalSent,
    /// Written.
    Sent,
}

pub(crate) enum Side {
    Client(ClientCall),
    Server(ServerCall),
}

/// One call.
pub(crate) struct Stream {
    pub(crate) side: Side,
    /// The stream id; 0 while a client's call is queued, and again once the id is retired.
    pub(crate) id: u32,
    pub(crate) call_type: CallType,
    pub(crate) pending: Pending,
    /// Whether the last `recv` found nothing, so that the caller has to be notified when there is something.
    pub(crate) want_read: bool,
    /// Whether the last `send_message` filled the buffer, so that the caller has to be notified of free buffer space.
    pub(crate) want_write: bool,
    /// Whether the only message of a `Cardinality::One` direction was sent.
    pub(crate) sent_one: bool,
    /// Whether the caller has received a message or the half-close.
    pub(crate) received_any: bool,
    /// Whether nothing more is sent or received for this call.
    pub(crate) wire_done: bool,
    /// Whether the caller has received the end of the call, or never sees the call.
    pub(crate) caller_done: bool,
    /// The codec of the messages that this side sends compressed.
    pub(crate) codec: Option<CodecIndex>,
    /// The codec of the messages that the peer sends compressed.
    pub(crate) peer_codec: Option<CodecIndex>,

    pub(crate) queue: SendQueue,
    pub(crate) send_window: i64,

    pub(crate) inbound: MessageBuffer,
    /// Bytes that the peer may still send.
    pub(crate) recv_window: i64,
    /// Bytes that the caller has received and that have not been credited to the peer.
    pub(crate) recv_owed: u32,
    /// The size at which this stream's window is kept; it grows while its reader keeps up.
    pub(crate) recv_target: u32,
    /// Whether more than half of the window was in use at once, and the window may grow.
    pub(crate) recv_pressed: bool,
    /// Measures how long the window takes to turn over, once it is no longer small.
    pub(crate) turnover: Turnover,
    /// Bytes by which the window exceeds its target, for a message that does not fit into it. Credit is held back
    /// until the excess is gone.
    pub(crate) recv_excess: u32,
    /// The part of the excess that has not arrived yet; it counts as promised memory.
    pub(crate) promised: u32,
    /// When the stream last made progress while it held memory; `moved` counts the bytes that have moved since.
    pub(crate) progress: Time,
    pub(crate) moved: u32,
    /// Bytes that had come on the connection by then.
    pub(crate) came: u64,
    /// Whether queued messages wait for the stream's window.
    pub(crate) held_up: bool,
    /// The size of the message that the caller keeps until there is space for it.
    pub(crate) refused: usize,
    /// Since when the incoming message has waited for memory, if it does.
    pub(crate) waits_since: Time,
    /// The content-length and how much of it has arrived (RFC 9113 §8.1.1).
    pub(crate) content_length: Option<ContentLength>,
    pub(crate) deadline: Option<Time>,
    /// Server: when the request arrived.
    pub(crate) opened: Time,
}

impl Stream {
    /// Makes a stream that holds nothing, for a free slot.
    pub(super) fn blank(role: RoleKind) -> Self {
        Self {
            side: match role {
                RoleKind::Client => Side::Client(ClientCall::blank()),
                RoleKind::Server => Side::Server(ServerCall::blank()),
            },
            id: 0,
            call_type: CallType::BIDI,
            pending: Pending::default(),
            want_read: false,
            want_write: false,
            sent_one: false,
            received_any: false,
            wire_done: false,
            caller_done: false,
            codec: None,
            peer_codec: None,
            queue: SendQueue::default(),
            send_window: 0,
            inbound: MessageBuffer::new(),
            recv_window: 0,
            recv_owed: 0,
            recv_target: 0,
            recv_pressed: false,
            turnover: Turnover::default(),
            recv_excess: 0,
            promised: 0,
            progress: Time::ZERO,
            moved: 0,
            came: 0,
            held_up: false,
            refused: 0,
            waits_since: Time::ZERO,
            content_length: None,
            deadline: None,
            opened: Time::ZERO,
        }
    }

    /// Resets the stream in place: frees its memory and clears everything of its call.
    pub(super) fn wipe(&mut self) {
        // Naming every field makes the compiler catch a forgotten one.
        let Self {
            side,
            id,
            call_type,
            pending,
            want_read,
            want_write,
            sent_one,
            received_any,
            wire_done,
            caller_done,
            codec,
            peer_codec,
            queue,
            send_window,
            inbound,
            recv_window,
            recv_owed,
            recv_target,
            recv_pressed,
            turnover,
            recv_excess,
            promised,
            progress,
            moved,
            came,
            held_up,
            refused,
            waits_since,
            content_length,
            deadline,
            opened,
        } = self;
        match side {
            Side::Client(call) => call.wipe(),
            Side::Server(call) => call.wipe(),
        }
        queue.clear();
        // The ledger no longer counts what it held.
        let _ = inbound.clear();
        (*id, *call_type, *pending) = (0, CallType::BIDI, Pending::default());
        (*want_read, *want_write) = (false, false);
        (*sent_one, *received_any) = (false, false);
        (*wire_done, *caller_done) = (false, false);
        (*codec, *peer_codec) = (None, None);
        (*send_window, *recv_window, *recv_target) = (0, 0, 0);
        (*recv_owed, *recv_pressed, *recv_excess, *promised) = (0, false, 0, 0);
        *turnover = Turnover::default();
        (*progress, *moved, *came, *waits_since) = (Time::ZERO, 0, 0, Time::ZERO);
        (*held_up, *refused) = (false, 0);
        (*content_length, *deadline, *opened) = (None, None, Time::ZERO);
    }
}

impl ClientCall {
    const fn blank() -> Self {
        Self {
            send: ClientSend::Queued,
            recv: ClientRecv::AwaitHeaders,
            responses: OneResponse::Missing,
            stage: ClientStage::Taken,
            response: None,
            content_subtypes: ContentSubtypes::ANY,
            begun: false,
            foreign: None,
        }
    }

    fn wipe(&mut self) {
        let Self { send, recv, responses, stage, response, content_subtypes, begun, foreign } = self;
        (*send, *recv, *responses) = (ClientSend::Queued, ClientRecv::AwaitHeaders, OneResponse::Missing);
        *stage = ClientStage::Taken;
        *response = None;
        (*content_subtypes, *begun) = (ContentSubtypes::ANY, false);
        *foreign = None;
    }
}

impl ServerCall {
    const fn blank() -> Self {
        Self {
            send: ServerSend::AwaitHeaders,
            recv: ServerRecv::Idle,
            requests: OneRequest::Missing,
            request: None,
            accept: EncodingSet::EMPTY,
            asked: None,
            headers: ServerHeaders::Unset,
            status: None,
            cause: None,
        }
    }

    fn wipe(&mut self) {
        let Self { send, recv, requests, request, accept, asked, headers, status, cause } = self;
        (*send, *recv, *requests) = (ServerSend::AwaitHeaders, ServerRecv::Idle, OneRequest::Missing);
        *request = None;
        *accept = EncodingSet::EMPTY;
        *asked = None;
        *headers = ServerHeaders::Unset;
        if status.is_some() {
            *status = None;
        }
        *cause = None;
    }
}

/// An announced content-length and the bytes that have arrived.
#[derive(Clone, Copy)]
pub(crate) struct ContentLength {
    pub(crate) expected: u64,
    pub(crate) met: u64,
}

#[cfg(test)]
mod tests {
    use super::Pending;

    #[test]
    fn each_event_is_noted_for_itself() {
        let all = [Pending::REQUEST, Pending::RESPONSE, Pending::READABLE, Pending::WRITABLE, Pending::ENDED];
        let mut pending = Pending::default();
        for (n, event) in all.into_iter().enumerate() {
            pending.insert(event);
            pending.insert(event);
            assert!(all[..=n].iter().all(|noted| pending.contains(*noted)));
            assert!(!all[n + 1..].iter().any(|other| pending.contains(*other)));
        }
        for (n, event) in all.into_iter().enumerate() {
            pending.remove(event);
            assert!(all[n + 1..].iter().all(|noted| pending.contains(*noted)) && !pending.contains(event));
        }
        assert!(pending == Pending::default());
        pending.insert(Pending::READABLE);
        pending.clear();
        assert!(pending == Pending::default());
    }
}
