//! The values that calls are made of: ids, call types, requests, outcomes and events.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{CloseReason, Violation};
use crate::frame::ErrorCode;
use crate::grpc::encoding::Encoding;
use crate::grpc::headers::ResponseHeaders;
use crate::grpc::metadata::Metadata;
use crate::grpc::status::Status;
use crate::machine::{ClientRecv, ClientSend, ServerRecv, ServerSend};
use crate::time::Time;

/// One call on one connection: a slot and the generation of its use.
///
/// An id is never valid again once its call has ended and its outcome was taken: a stale id is answered by
/// [`Misuse::UnknownCall`](crate::error::Misuse::UnknownCall), never by another call's data. Finding the call costs
/// an array access; no hashing is involved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl CallId {
    /// Returns the index of the call's slot: small (at most the number of calls ever open at once), dense, and unique among
    /// the calls that are open now. Useful as the index of a side table.
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
    /// Any number, also none.
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

/// What a client asks for: the request headers of one call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// `:path`, `"/package.Service/Method"` ([P-4](crate::manual::rules#p-4)).
    pub path: Bytes,
    /// `:authority`; the connection's default where it is `None` ([P-5](crate::manual::rules#p-5)).
    pub authority: Option<Bytes>,
    /// Custom metadata ([P-13](crate::manual::rules#p-13)).
    pub metadata: Metadata,
    /// When the call ends with DEADLINE_EXCEEDED wherever it stands, its wait for a stream included ([P-85](crate::manual::rules#p-85)).
    pub deadline: Option<Time>,
    /// The encoding of messages that are sent compressed; `None` sends every message as it is ([P-10](crate::manual::rules#p-10)).
    pub encoding: Option<Encoding>,
    /// How many messages go each way.
    pub call_type: CallType,
}

impl Request {
    /// Makes a call of `call_type` to `path` without metadata, deadline or compression.
    #[must_use]
    pub fn new(path: impl Into<Bytes>, call_type: CallType) -> Self {
        Self {
            path: path.into(),
            authority: None,
            metadata: Metadata::new(),
            deadline: None,
            encoding: None,
            call_type,
        }
    }
}

impl From<&'static str> for Request {
    /// Makes a call to this path, bidirectional until an opening such as
    /// [`unary`](crate::Connection::unary) says what it is.
    fn from(path: &'static str) -> Self {
        Self::new(path, CallType::BIDI)
    }
}

/// A message as it came off the wire, decompressed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The message's bytes, without prefix.
    pub payload: Bytes,
    /// Whether it came compressed ([P-50](crate::manual::rules#p-50)).
    pub compressed: bool,
}

/// What [`recv`](crate::Connection::recv) found.
#[derive(Debug)]
#[non_exhaustive]
pub enum Recv {
    /// The next message, in order. Taking it returns its window credit to the peer.
    Message(Message),
    /// Nothing yet: an [`Event::Readable`] will come when there is.
    Pending,
    /// Server: the client half-closed, and every message before that has been taken. Said each time it is asked.
    HalfClosed,
    /// Client: the call is over, with this outcome. Said once; the call's id is invalid from here on.
    End(Outcome),
}

/// How a call ended, as its client sees it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The final status; always present, made up from `cause` when the server gave none.
    pub status: Status,
    /// Trailing metadata.
    pub trailers: Arc<Metadata>,
    /// What exactly ended the call.
    pub cause: Cause,
    /// The response headers, where any came in a block of their own: also those of an answer that is not gRPC's, or that
    /// cannot be used.
    pub headers: Option<Arc<ResponseHeaders>>,
    /// Whether anything of a response came, an interim one too: then the server has seen the call.
    pub(crate) begun: bool,
}

impl Outcome {
    /// Makes the outcome of a call that ended on this side: without headers or trailers.
    #[must_use]
    pub fn new(status: Status, cause: Cause) -> Self {
        Self { status, trailers: Arc::default(), cause, headers: None, begun: false }
    }

    /// Returns the HTTP status of the answer, where one came: 200 for an answer of gRPC.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        match (&self.headers, &self.cause) {
            (Some(head), _) => Some(head.http_status),
            (None, Cause::TrailersOnly) => Some(200),
            (None, Cause::Http(status)) => Some(*status),
            (None, _) => None,
        }
    }

    /// Returns whether the server certainly did not process the call, so that trying again is safe whatever the method does.
    /// A server that has begun to answer has processed it, whatever it says later.
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

/// Which side did it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Initiator {
    /// The caller of this library.
    User,
    /// This library, because of a limit, a deadline or a broken rule.
    Library,
    /// The peer.
    Remote,
}

/// What ended a call.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// Trailers with a status, or a server's status that went out whole.
    Trailers,
    /// One HEADERS frame that was both head and trailers ([P-22](crate::manual::rules#p-22)).
    TrailersOnly,
    /// The server ended the stream without trailers ([P-26](crate::manual::rules#p-26)).
    MissingTrailers,
    /// An HTTP answer that is not gRPC's, with this status ([P-28](crate::manual::rules#p-28), [P-29](crate::manual::rules#p-29)).
    Http(u16),
    /// RST_STREAM.
    Reset {
        /// Its code.
        code: ErrorCode,
        /// Who sent it.
        by: Initiator,
    },
    /// The peer went away.
    GoAway {
        /// GOAWAY's code.
        code: ErrorCode,
        /// Whether the peer may have processed the call: its stream id is not above GOAWAY's last ([P-93](crate::manual::rules#p-93)).
        processed: bool,
    },
    /// The deadline passed.
    Deadline,
    /// The caller cancelled.
    Cancelled,
    /// The call never left this side: the connection ended before its HEADERS did.
    NeverSent,
    /// The connection ended.
    Connection,
    /// The peer broke a rule of this call.
    Violation(Violation),
}

/// Whether more may be sent on a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// The message is queued, and there is buffer space for more.
    Ready,
    /// The message is queued; wait for [`Event::Writable`] before the next one.
    Full,
}

/// What a connection has to say, in the order in which it happened for each call.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Server: a call's request headers arrived. See [`Connection::request`](crate::Connection::request).
    ///
    /// A request that came before the connection failed or ended is told too, and its messages can be taken, although its
    /// [`Event::Ended`] is the next thing to hear. One that its client reset, that broke a rule, or whose deadline passed
    /// before it was told, is not told at all.
    Request(CallId),
    /// Client: response headers arrived. See [`Connection::response`](crate::Connection::response).
    Response(CallId),
    /// After [`Recv::Pending`]: there is something to receive now, a message or the end.
    Readable(CallId),
    /// After [`Sent::Full`]: there is buffer space again, or the call has ended and sending says so.
    Writable(CallId),
    /// Server: the call is over, once, for this cause; its id is invalid from here on. `Cause::Trailers` and
    /// `Cause::TrailersOnly` mean that the status went out; anything else means that the handler's work is unwanted.
    Ended(CallId, Cause),
    /// The peer's SETTINGS arrived and are in force (the first ones tell that the peer speaks HTTP/2). Of several that were
    /// not told yet the last one is.
    PeerSettings,
    /// The peer sent GOAWAY. From a server: it takes no new calls; the open ones that it accepted go on ([P-93](crate::manual::rules#p-93)). From a
    /// client: it is about to leave. Of several that were not told yet the last one is.
    GoAway {
        /// GOAWAY's code.
        code: ErrorCode,
        /// The highest stream id that the peer may have processed.
        last_stream: u32,
        /// GOAWAY's debug data, at most 256 bytes of it.
        debug: Bytes,
    },
    /// The connection is over. The last event, and said once.
    Closed(CloseReason),
}

/// The states of both halves of a call, from the tables in [`machine`](crate::machine).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HalfStates {
    /// As the client sees its call.
    Client {
        /// Its sending half.
        send: ClientSend,
        /// Its receiving half.
        recv: ClientRecv,
    },
    /// As the server sees its call.
    Server {
        /// Its sending half.
        send: ServerSend,
        /// Its receiving half.
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
