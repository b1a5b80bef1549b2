//! Types of both sides of a call: the method, the response of a call with one response, and the error of sending.

use std::fmt;
use std::marker::PhantomData;

use halfclose::{Metadata, Misuse, Status};

/// A method: its path, its message types and their codec.
///
/// ```
/// use bytes::Bytes;
/// use halfclose_driver::{Method, Raw};
///
/// const SAY: Method<Bytes, Bytes, Raw> = Method::new("/demo.Echo/Say");
/// assert_eq!(SAY.path(), "/demo.Echo/Say");
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

impl<Req, Res, C> fmt::Debug for Method<Req, Res, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Method").field(&self.path).finish()
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
}

impl From<SendError> for Status {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Ended => Self::cancelled("the call has ended"),
            SendError::Encode(status) => status,
            SendError::Misuse(misuse) => misuse.into(),
        }
    }
}
