//! The values that calls are made of: ids, call types, requests, outcomes and events.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{CloseReason, Violation};
use crate::frame::ErrorCode;
use crate::grpc::compress::Decompression;
use crate::grpc::content_type::ContentSubtypes;
use crate::grpc::encoding::Encoding;
use crate::grpc::headers::ResponseHeaders;
use crate::grpc::metadata::Metadata;
use crate::grpc::status::Status;
use crate::machine::{ClientRecv, ClientSend, ServerRecv, ServerSend};
use crate::time::Time;

/// The id of one call on one connection: a slot, and the generation of its use.
///
/// An id is never valid again once its call has ended and the caller has received the outcome: a stale id leads to
/// [`Misuse::UnknownCall`](crate::Misuse::UnknownCall), never to another call's data. Finding the call costs
/// one array access and no hashing.
///
/// A connection answers an id of another connection in the same way. Ids are compared, ordered and hashed by their slot and
/// generation alone, which are the same whenever a connection is given the same input: a table for the calls of several
/// connections needs something beside them.
#[derive(Clone, Copy)]
pub struct CallId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    /// Whose call it is.
    pub(crate) tag: ConnectionTag,
}

/// What tells connections apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ConnectionTag(pub(crate) u32);

impl CallId {
    const fn place(self) -> (u32, u32) {
        (self.slot, self.generation)
    }
}

impl PartialEq for CallId {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for CallId {}

impl PartialOrd for CallId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CallId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl Hash for CallId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place().hash(state);
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallId").field("slot", &self.slot).field("generation", &self.generation).finish()
    }
}

impl CallId {
    /// Returns the index of the call's slot. It is less than the largest number of calls that were ever open at once,
    /// and unique among the calls that are open now, so it can index a side table.
    #[must_use]
    pub const fn slot(self) -> usize {
        self.slot as usize
    }
}

/// How many messages one direction of a call carries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cardinality {
    /// Exactly one (for a response: one, or none with an error status).
    One,
    /// Any number, including none.
    Many,
}

/// The four call types: two cardinalities, squared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CallType {
    /// What the client sends.
    pub requests: Cardinality,
    /// What the server sends.
    pub responses: Cardinality,
}

impl CallType {
    /// One request, one response.
    pub const UNARY: Self = Self { requests: Cardinality::One, responses: Cardinality::One };
    /// Many requests, one response.
    pub const CLIENT_STREAMING: Self = Self { requests: Cardinality::Many, responses: Cardinality::One };
    /// One request, many responses.
    pub const SERVER_STREAMING: Self = Self { requests: Cardinality::One, responses: Cardinality::Many };
    /// Many requests, many responses, in any interleaving.
    pub const BIDI: Self = Self { requests: Cardinality::Many, responses: Cardinality::Many };
}

/// The request headers of one call, as its client passes them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// `:path`, `"/package.Service/Method"` ([P-4](crate::manual::rules#p-4)).
    pub path: Bytes,
    /// `:authority`; `None` uses the connection's default ([P-5](crate::manual::rules#p-5)).
    pub authority: Option<Bytes>,
    /// Custom metadata ([P-13](crate::manual::rules#p-13)).
    pub metadata: Metadata,
    /// When the call ends with DEADLINE_EXCEEDED, in whatever state it is; waiting for a stream counts
    /// ([P-85](crate::manual::rules#p-85)).
    pub deadline: Option<Time>,
    /// The encoding of messages that are sent compressed; `None` sends all messages uncompressed
    /// ([P-10](crate::manual::rules#p-10)).
    pub encoding: Option<Encoding>,
    /// The content subtypes that the response may have, and the first of them in the `content-type` of the request
    /// ([P-8](crate::manual::rules#p-8)). A response with another ends the call with INTERNAL, as one whose messages do not
    /// decode ends it for C-core, which looks at no subtype.
    pub content_subtypes: ContentSubtypes,
    /// How many messages go each way.
    pub call_type: CallType,
}

impl Request {
    /// Makes a request for a call of `call_type` to `path`, without metadata, deadline or compression, for messages of
    /// any content subtype.
    #[must_use]
    pub fn new(path: impl Into<Bytes>, call_type: CallType) -> Self {
        Self {
            path: path.into(),
            authority: None,
            metadata: Metadata::new(),
            deadline: None,
            encoding: None,
            content_subtypes: ContentSubtypes::ANY,
            call_type,
        }
    }
}

impl From<&'static str> for Request {
    /// Makes a request for a call to this path. It is bidirectional until a method such as
    /// [`unary`](crate::Connection::unary) sets its call type.
    fn from(path: &'static str) -> Self {
        Self::new(path, CallType::BIDI)
    }
}

/// A received message, decompressed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The message's bytes, without prefix.
    pub payload: Bytes,
    /// Whether the peer sent it compressed ([P-50](crate::manual::rules#p-50)).
    pub compressed: bool,
}

/// The result of [`recv`](crate::Connection::recv).
#[derive(Debug)]
#[non_exhaustive]
pub enum Recv {
    /// The next message, in order. Receiving it returns its window credit to the peer.
    Message(Message),
    /// Nothing yet; an [`Event::Readable`] follows once there is something.
    Pending,
    /// Server: the client half-closed, and every message before that has been received. Returned by every later call,
    /// too.
    HalfClosed,
    /// Client: the call is over, with this outcome. Returned once; the call's id is invalid afterwards.
    End(Outcome),
}

/// What [`recv_lazily`](crate::Connection::recv_lazily) found. There will be no other variants in this version.
#[derive(Debug)]
pub enum LazyRecv {
    /// What [`recv`](crate::Connection::recv) gives: a message that did not come compressed, or no message.
    Plain(Recv),
    /// The next message as it came, in order. Taking it returns its window credit to the peer.
    Compressed(Decompression),
}

/// How a call ended, as its client sees it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The final status; derived from `cause` if the server sent none.
    pub status: Status,
    /// Trailing metadata.
    pub trailers: Arc<Metadata>,
    /// What exactly ended the call.
    pub cause: Cause,
    /// The response headers, if any arrived in a header block of their own, even those of a response that is not gRPC
    /// or cannot be used.
    pub headers: Option<Arc<ResponseHeaders>>,
    /// Whether any response header block arrived, an interim one included: then the server has seen the call.
    pub(crate) begun: bool,
}

impl Outcome {
    /// Makes the outcome of a call that ended on this side, without headers or trailers.
    #[must_use]
    pub fn new(status: Status, cause: Cause) -> Self {
        Self { status, trailers: Arc::default(), cause, headers: None, begun: false }
    }

    /// Returns the HTTP status of the response, if one arrived: 200 for a gRPC response.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        match (&self.headers, &self.cause) {
            (Some(head), _) => Some(head.http_status),
            (None, Cause::TrailersOnly) => Some(200),
            (None, Cause::Http(status)) => Some(*status),
            (None, _) => None,
        }
    }

    /// Returns whether the server certainly did not process the call, so that a retry is safe whatever the method
    /// does. A server that has begun to respond has processed the call, whatever it says later.
    #[must_use]
    pub fn not_processed(&self) -> bool {
        let refused = matches!(
            self.cause,
            Cause::NeverSent
                | Cause::GoAway { processed: false, .. }
                | Cause::Reset { code: ErrorCode::REFUSED_STREAM, by: Initiator::Remote }
        );
        refused && !self.begun
    }
}

/// Who caused something.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Initiator {
    /// The caller of this library.
    User,
    /// This library, because of a limit, a deadline or a violation.
    Library,
    /// The peer.
    Remote,
}

/// The reason why a call ended.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// Trailers with a status; on a server, a status that was sent completely.
    Trailers,
    /// One HEADERS frame that was both response headers and trailers ([P-22](crate::manual::rules#p-22)).
    TrailersOnly,
    /// The server ended the stream without trailers ([P-26](crate::manual::rules#p-26)).
    MissingTrailers,
    /// An HTTP response that is not gRPC, with this status ([P-28](crate::manual::rules#p-28),
    /// [P-29](crate::manual::rules#p-29)).
    Http(u16),
    /// RST_STREAM.
    Reset {
        /// The error code in the frame.
        code: ErrorCode,
        /// The side that sent it.
        by: Initiator,
    },
    /// The peer sent GOAWAY.
    GoAway {
        /// The error code in the frame.
        code: ErrorCode,
        /// Whether the peer may have processed the call, because GOAWAY's last stream id is not below its id
        /// ([P-93](crate::manual::rules#p-93)).
        processed: bool,
    },
    /// The deadline passed.
    Deadline,
    /// The caller cancelled.
    Cancelled,
    /// The call was never sent: the connection ended before its HEADERS were written.
    NeverSent,
    /// The connection ended.
    Connection,
    /// The peer broke a rule of this call.
    Violation(Violation),
}

/// Whether more may be sent on a call now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// The message is queued, and there is buffer space for more.
    Ready,
    /// The message is queued; wait for [`Event::Writable`] before the next one.
    Full,
}

/// What happened on a connection, in order for each call.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Server: a call's request headers arrived. See [`Connection::request`](crate::Connection::request).
    ///
    /// A request that arrived before the connection failed or ended is still delivered, and so are its messages,
    /// although [`Event::Ended`] follows at once. A request is not delivered at all if, before this event is polled,
    /// its client resets it, breaks a rule on it, or its deadline passes.
    Request(CallId),
    /// Client: response headers arrived. See [`Connection::response`](crate::Connection::response).
    Response(CallId),
    /// After [`Recv::Pending`]: `recv` has something now, a message or the end.
    Readable(CallId),
    /// After [`Sent::Full`]: there is buffer space again, or the call has ended and sending reports that.
    Writable(CallId),
    /// Server: the call is over, for this cause; its id is invalid afterwards. `Cause::Trailers` and
    /// `Cause::TrailersOnly` mean that the status was sent; any other cause means that the handler may stop working.
    /// Delivered once.
    Ended(CallId, Cause),
    /// The peer's SETTINGS arrived and apply now. The first one shows that the peer speaks HTTP/2. If several arrive
    /// before the caller polls, only the last one is delivered.
    PeerSettings,
    /// The peer sent GOAWAY. A server that sends it accepts no new calls; calls that it has accepted go on
    /// ([P-93](crate::manual::rules#p-93)). A client that sends it is about to leave. If several arrive before the
    /// caller polls, only the last one is delivered.
    GoAway {
        /// The error code in the frame.
        code: ErrorCode,
        /// The highest stream id that the peer may have processed.
        last_stream: u32,
        /// The frame's debug data, at most 256 bytes of it.
        debug: Bytes,
    },
    /// The connection is over. This is the last event.
    Closed(CloseReason),
}

/// The states of both halves of a call, from the tables in [`machine`](crate::machine).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HalfStates {
    /// The states on the client.
    Client {
        /// The client's sending half.
        send: ClientSend,
        /// The client's receiving half.
        recv: ClientRecv,
    },
    /// The states on the server.
    Server {
        /// The server's sending half.
        send: ServerSend,
        /// The server's receiving half.
        recv: ServerRecv,
    },
}

impl fmt::Display for HalfStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client { send, recv } => write!(f, "send={send:?} recv={recv:?}"),
            Self::Server { send, recv } => write!(f, "send={send:?} recv={recv:?}"),
        }
    }
}
