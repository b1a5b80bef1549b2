//! Types of both sides of a call: the method, the response of a call with one response, and the error of sending.

use std::fmt;
use std::marker::PhantomData;

use halfclose::{CallType, Metadata, Misuse, Status};

/// Marks any number of messages among the types of a [`Method`], as `stream` does in a `.proto` file.
pub struct Many<T> {
    types: PhantomData<fn() -> T>,
}

/// A method: its path, its message types and their codec. A side that sends any number of messages is [`Many`] of them,
/// so the call type is a part of the type: a method can be neither called nor served as one of another call type.
///
/// ```
/// use bytes::Bytes;
/// use halfclose_driver::{Many, Method, Raw};
///
/// const SAY: Method<Bytes, Bytes, Raw> = Method::new("/demo.Echo/Say");
/// const CHAT: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new("/demo.Echo/Chat");
/// assert_eq!(SAY.path(), "/demo.Echo/Say");
/// ```
///
/// ```compile_fail,E0277
/// # use bytes::Bytes;
/// # use halfclose_driver::{CallOptions, Channel, Many, Method, Raw};
/// const CHAT: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new("/demo.Echo/Chat");
/// fn start(channel: &Channel) {
///     let _ = channel.client_streaming(&CHAT, CallOptions::new()); // not a client streaming method
/// }
/// ```
pub struct Method<Req, Res, C> {
    path: &'static str,
    types: PhantomData<fn(Req, Res, C)>,
}

impl<Req, Res, C> Method<Req, Res, C> {
    /// Returns the method at `path`, `"/package.Service/Method"` ([P-4](halfclose::manual::rules#p-4)).
    #[must_use]
    pub const fn new(path: &'static str) -> Self {
        Self { path, types: PhantomData }
    }

    /// Returns the path.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }
}

impl<Req, Res, C> Clone for Method<Req, Res, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Req, Res, C> Copy for Method<Req, Res, C> {}

impl<T> fmt::Debug for Many<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Many").finish_non_exhaustive()
    }
}

impl<Req, Res, C> fmt::Debug for Method<Req, Res, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Method").field(&self.path).finish()
    }
}

/// Whether calling a method twice does the same as calling it once: `option idempotency_level` of a `.proto` file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Idempotency {
    /// The definition does not say.
    #[default]
    Unknown,
    /// The method changes nothing.
    NoSideEffects,
    /// The method may change something, and a second time changes nothing more.
    Idempotent,
}

/// What the definition of a service says of one of its methods, for code that does not know the types: interceptors,
/// reflection, statistics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MethodInfo {
    /// Its name in the `.proto` file.
    pub name: &'static str,
    /// Its path, `"/package.Service/Method"`.
    pub path: &'static str,
    /// How many messages go each way.
    pub call_type: CallType,
    /// Whether calling it twice does the same as calling it once.
    pub idempotency: Idempotency,
    /// Whether it should no longer be called.
    pub deprecated: bool,
}

impl MethodInfo {
    /// Describes a method that is not deprecated, and of whose idempotency nothing is said.
    #[must_use]
    pub const fn new(name: &'static str, path: &'static str, call_type: CallType) -> Self {
        Self { name, path, call_type, idempotency: Idempotency::Unknown, deprecated: false }
    }

    /// Sets the idempotency.
    #[must_use]
    pub const fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = idempotency;
        self
    }

    /// Sets whether it should no longer be called.
    #[must_use]
    pub const fn deprecated(mut self, deprecated: bool) -> Self {
        self.deprecated = deprecated;
        self
    }
}

/// The response of a unary or client streaming call, with its metadata.
///
/// Servers make it with [`Response::new`] and may add metadata; clients receive it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response<T> {
    /// The message.
    pub message: T,
    /// Initial metadata. On a server it is added to what [`Context::set_headers`](crate::Context::set_headers) has
    /// set; if the response headers have been sent already, the call ends with INTERNAL, because the metadata can no
    /// longer be sent.
    pub headers: Metadata,
    /// Trailing metadata.
    pub trailers: Metadata,
    /// Server: whether the message is sent compressed, if the call has an encoding. Client: whether it arrived
    /// compressed.
    pub compressed: bool,
}

impl<T> Response<T> {
    /// Makes a response without metadata, compressed if the call has an encoding.
    #[must_use]
    pub fn new(message: T) -> Self {
        Self { message, headers: Metadata::new(), trailers: Metadata::new(), compressed: true }
    }
}

impl<T> From<T> for Response<T> {
    fn from(message: T) -> Self {
        Self::new(message)
    }
}

/// Why a message was not sent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The other side has ended the call, or the connection is over. On a client the receiving half has the status
    /// ([P-88](halfclose::manual::rules#p-88)); on a server the client no longer waits for the response.
    #[error("the call has ended; its status comes from the receiving side")]
    Ended,
    /// The call has failed, with this status: the server's, or what became of the connection. It is what the receiving
    /// half returns in the end, so a handler that forwards a call may return it as it is.
    #[error("the call has failed: {0}")]
    CallFailed(Status),
    /// The message could not be encoded.
    #[error("the message was not sent: {0}")]
    Encode(Status),
    /// The command was illegal, or exceeded a limit of this side.
    #[error("the message was not sent: {0}")]
    Misuse(#[from] Misuse),
}

impl SendError {
    pub(crate) fn from_misuse(misuse: Misuse) -> Self {
        match misuse {
            Misuse::CallEnded | Misuse::UnknownCall | Misuse::Closed => Self::Ended,
            other => Self::Misuse(other),
        }
    }

    /// Adds the status of the call, if that is known and no success: a server that answers early with OK has not failed.
    pub(crate) fn with_status(self, status: Option<&Status>) -> Self {
        match (self, status) {
            (Self::Ended, Some(status)) if !status.is_ok() => Self::CallFailed(status.clone()),
            (error, _) => error,
        }
    }
}

impl From<SendError> for Status {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Ended => Self::cancelled("the call has ended"),
            SendError::CallFailed(status) | SendError::Encode(status) => status,
            SendError::Misuse(misuse) => misuse.into(),
        }
    }
}
