//! What is kept of one call.

use std::sync::Arc;

use super::bdp::Turnover;
use super::role::RoleKind;
use super::send_queue::SendQueue;
use crate::grpc::compress::CodecIndex;
use crate::grpc::encoding::EncodingSet;
use crate::grpc::headers::{RequestHeaders, ResponseHeaders};
use crate::grpc::message::MessageBuffer;
use crate::grpc::metadata::Metadata;
use crate::grpc::status::Status;
use crate::machine::{ClientRecv, ClientSend, OneRequest, OneResponse, ServerRecv, ServerSend};
use crate::time::Time;
use crate::types::{CallType, Cause, Outcome, Request};

/// The events of one call that the caller has not heard yet.
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

/// What a client's call holds beside its halves.
pub(crate) struct ClientCall {
    pub(crate) send: ClientSend,
    pub(crate) recv: ClientRecv,
    pub(crate) responses: OneResponse,
    pub(crate) stage: ClientStage,
    pub(crate) response: Option<Arc<ResponseHeaders>>,
    /// Something of a response came, an interim one or its headers.
    pub(crate) begun: bool,
    /// An answer that is not gRPC's, while its text is gathered ([P-28](crate::manual::rules#p-28)).
    pub(crate) foreign: Option<Box<Foreign>>,
}

/// An HTTP answer that is not gRPC's: the status that it will give, and the text of its body so far.
pub(crate) struct Foreign {
    pub(crate) status: Status,
    pub(crate) http_status: u16,
    pub(crate) text: Vec<u8>,
}

/// How far a client's call has come. The request is needed until its HEADERS are cut, the outcome from the end on.
pub(crate) enum ClientStage {
    Queued(Request),
    Open,
    Done(Outcome),
    /// The outcome was taken, or nobody wants it.
    Taken,
}

/// What a server's call holds beside its halves.
pub(crate) struct ServerCall {
    pub(crate) send: ServerSend,
    pub(crate) recv: ServerRecv,
    pub(crate) requests: OneRequest,
    /// Until the caller takes it.
    pub(crate) request: Option<Arc<RequestHeaders>>,
    /// The encodings that the client takes, as far as they are known by name.
    pub(crate) accept: EncodingSet,
    /// The request that names all encodings that the client takes, where this side has codecs for others.
    pub(crate) accept_names: Option<Arc<RequestHeaders>>,
    pub(crate) headers: ServerHeaders,
    /// The status that waits behind queued messages, with its trailing metadata.
    pub(crate) status: Option<(Status, Metadata)>,
    /// Why the call ended; told to the caller by `Event::Ended`.
    pub(crate) cause: Option<Cause>,
}

impl ServerHeaders {
    /// Returns whether they are an HTTP answer that is not gRPC's.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::RefusedHead(_) | Self::RefusalSent)
    }

    /// Makes headers whose metadata is set ready to go. Those that are not set stay so: a status is Trailers-Only then.
    pub(super) fn settle(&mut self) {
        if let Self::Set(metadata) = self {
            *self = Self::Ready(std::mem::take(metadata));
        }
    }
}

/// The response headers of a server's call.
pub(crate) enum ServerHeaders {
    /// None were set: a status now is Trailers-Only.
    Unset,
    /// Their metadata is set; they go with the first message or the status.
    Set(Metadata),
    /// Ordered, not cut yet.
    Ready(Metadata),
    /// An HTTP answer that is not gRPC's: the request was refused before any handler could hear of it.
    Refused(u16),
    /// The same without content, to a HEAD request.
    RefusedHead(u16),
    /// One of these on its way: the rest of the request is still listened to.
    RefusalSent,
    /// On their way.
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
    /// The last `recv` found nothing: tell the caller when there is something.
    pub(crate) want_read: bool,
    /// The last `send_message` filled the buffer: tell the caller when there is buffer space.
    pub(crate) want_write: bool,
    /// The one message of a `One` direction was sent.
    pub(crate) sent_one: bool,
    /// Nothing more goes over the wire for this call.
    pub(crate) wire_done: bool,
    /// The caller has been told of the end, or never heard of the call.
    pub(crate) caller_done: bool,
    /// The codec of the messages that are sent compressed.
    pub(crate) codec: Option<CodecIndex>,
    /// The codec of the messages that come compressed.
    pub(crate) peer_codec: Option<CodecIndex>,

    pub(crate) queue: SendQueue,
    pub(crate) send_window: i64,

    pub(crate) inbound: MessageBuffer,
    /// What the peer may still send.
    pub(crate) recv_window: i64,
    /// Bytes taken by the caller and not yet credited to the peer.
    pub(crate) recv_owed: u32,
    /// The window that this stream is kept at; grows while its reader keeps up.
    pub(crate) recv_target: u32,
    /// More than half of the window was under way at once, and the window may grow.
    pub(crate) recv_pressed: bool,
    /// How long the window takes to turn over, once it is no longer small.
    pub(crate) turnover: Turnover,
    /// What the window is larger by than its target, for a message that does not fit into it. Credit for what is taken
    /// is held back for it.
    pub(crate) recv_excess: u32,
    /// How much of the excess is still to come, and counts as promised.
    pub(crate) promised: u32,
    /// When the stream last made progress while it held memory, and bytes that have moved since.
    pub(crate) progress: Time,
    pub(crate) moved: u32,
    /// What is queued waits for the stream's window.
    pub(crate) held_up: bool,
    /// The size of the message that the caller keeps until there is space for it.
    pub(crate) refused: usize,
    /// Since when its message has waited for memory, where it does.
    pub(crate) waits_since: Time,
    /// Bytes that content-length still promises (RFC 9113 §8.1.1).
    pub(crate) content_length: Option<ContentLength>,
    pub(crate) deadline: Option<Time>,
    /// Server: when the request came.
    pub(crate) opened: Time,
}

impl Stream {
    /// Makes a stream that holds nothing, for the slots that are free.
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
            held_up: false,
            refused: 0,
            waits_since: Time::ZERO,
            content_length: None,
            deadline: None,
            opened: Time::ZERO,
        }
    }

    /// Makes the stream blank where it stands: its memory is given back, and nothing is left of its call.
    pub(super) fn wipe(&mut self) {
        // By name, so that no field can be forgotten.
        let Self {
            side,
            id,
            call_type,
            pending,
            want_read,
            want_write,
            sent_one,
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
        // What it held was counted out before.
        let _ = inbound.clear();
        (*id, *call_type, *pending) = (0, CallType::BIDI, Pending::default());
        (*want_read, *want_write, *sent_one) = (false, false, false);
        (*wire_done, *caller_done) = (false, false);
        (*codec, *peer_codec) = (None, None);
        (*send_window, *recv_window, *recv_target) = (0, 0, 0);
        (*recv_owed, *recv_pressed, *recv_excess, *promised) = (0, false, 0, 0);
        *turnover = Turnover::default();
        (*progress, *moved, *waits_since) = (Time::ZERO, 0, Time::ZERO);
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
            begun: false,
            foreign: None,
        }
    }

    fn wipe(&mut self) {
        let Self { send, recv, responses, stage, response, begun, foreign } = self;
        (*send, *recv, *responses) = (ClientSend::Queued, ClientRecv::AwaitHeaders, OneResponse::Missing);
        *stage = ClientStage::Taken;
        *response = None;
        *begun = false;
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
            accept_names: None,
            headers: ServerHeaders::Unset,
            status: None,
            cause: None,
        }
    }

    fn wipe(&mut self) {
        let Self { send, recv, requests, request, accept, accept_names, headers, status, cause } = self;
        (*send, *recv, *requests) = (ServerSend::AwaitHeaders, ServerRecv::Idle, OneRequest::Missing);
        *request = None;
        *accept = EncodingSet::EMPTY;
        *accept_names = None;
        *headers = ServerHeaders::Unset;
        if status.is_some() {
            *status = None;
        }
        *cause = None;
    }
}

/// A content-length and what came of it.
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
