//! Calls before they start: what generated clients return. Each is awaited as it is, or after options were set on it.

use std::fmt;
use std::future::{Future, IntoFuture, Ready, ready};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use halfclose::grpc::content_type::ContentSubtypes;
use halfclose::grpc::encoding::Encoding;
use halfclose::{CallType, HalfStates, Message, MessagePayload, Metadata, Status};

use super::call::{CallError, ReceiveHalf};
use super::invoke::{Canceller, Invoke, OutgoingCall, RawCall};
use super::options::CallOptions;
use super::stream::{BidiStreaming, ClientStreaming, ServerStreaming};
use crate::codec::{self, Codec};
use crate::method::{Many, Method, Response};

/// What every call is before it starts.
struct Unstarted<'c, I: ?Sized> {
    carrier: &'c I,
    path: &'static str,
    content_subtypes: ContentSubtypes,
    options: CallOptions,
    message: Option<MessagePayload>,
    /// Why it cannot start.
    failure: Option<Status>,
}

impl<'c, I: Invoke + ?Sized> Unstarted<'c, I> {
    #[inline]
    fn new(carrier: &'c I, path: &'static str, content_subtypes: ContentSubtypes) -> Self {
        Self { carrier, path, content_subtypes, options: CallOptions::new(), message: None, failure: None }
    }

    #[inline]
    fn with_message(
        carrier: &'c I,
        path: &'static str,
        content_subtypes: ContentSubtypes,
        message: Result<MessagePayload, Status>,
    ) -> Self {
        let (message, failure) = match message {
            Ok(message) => (Some(message), None),
            Err(status) => (None, Some(status)),
        };
        Self { message, failure, ..Self::new(carrier, path, content_subtypes) }
    }

    #[inline]
    fn start(self, call_type: CallType) -> Result<RawCall, CallError> {
        let Self { carrier, path, content_subtypes, options, message, failure } = self;
        if let Some(status) = failure {
            return Err(CallError::unsent(status));
        }
        carrier.invoke(OutgoingCall { path, call_type, content_subtypes, options, message })
    }

    fn append(&mut self, name: &str, value: &str) {
        if let Err(error) = self.options.metadata.append(name, value) {
            self.failure.get_or_insert_with(|| error.into());
        }
    }

    fn append_bin(&mut self, name: &str, value: &[u8]) {
        if let Err(error) = self.options.metadata.append_bin(name, value) {
            self.failure.get_or_insert_with(|| error.into());
        }
    }
}

/// A unary call that has not started: awaiting it gives the response.
///
/// The call starts when it is awaited, or by [`start`](Self::start); nothing is sent before.
#[must_use = "a call does nothing until it is awaited"]
pub struct UnaryCall<'c, I: ?Sized, Res, C> {
    call: Unstarted<'c, I>,
    types: PhantomData<fn(C) -> Res>,
}

impl<'c, I: Invoke + ?Sized, Res, C: Codec<Res>> UnaryCall<'c, I, Res, C> {
    /// Makes a call of `method` with its one request, which is encoded at once.
    #[inline]
    pub fn new<Req>(carrier: &'c I, method: &Method<Req, Res, C>, request: &Req) -> Self
    where
        C: Codec<Req>,
    {
        let message = codec::encode::<Req, C>(request);
        Self {
            call: Unstarted::with_message(
                carrier,
                method.path(),
                <C as Codec<Res>>::CONTENT_SUBTYPES,
                message,
            ),
            types: PhantomData,
        }
    }

    /// Starts the call. What it returns can be awaited anywhere, and holds the call: dropped, it cancels it.
    #[inline]
    pub fn start(self) -> UnaryResponse<Res, C> {
        let state = match self.call.start(CallType::UNARY) {
            Ok(call) => UnaryState::Waiting(call.into_receive()),
            Err(error) => UnaryState::Failed(error),
        };
        UnaryResponse { state, first: None, types: PhantomData }
    }
}

impl<I: Invoke + ?Sized, Res, C: Codec<Res>> IntoFuture for UnaryCall<'_, I, Res, C> {
    type Output = Result<Response<Res>, CallError>;
    type IntoFuture = UnaryResponse<Res, C>;

    #[inline]
    fn into_future(self) -> UnaryResponse<Res, C> {
        self.start()
    }
}

/// A unary call that has started; a future of its response. Dropped before its end, it cancels the call.
#[must_use = "a call that is dropped is cancelled"]
pub struct UnaryResponse<Res, C> {
    state: UnaryState,
    first: Option<Message>,
    types: PhantomData<fn(C) -> Res>,
}

enum UnaryState {
    Waiting(ReceiveHalf),
    Failed(CallError),
    Done,
}

impl<Res, C> UnaryResponse<Res, C> {
    /// Returns a handle that ends the call from outside; `None` if the call could not be started.
    #[must_use]
    pub fn canceller(&self) -> Option<Canceller> {
        self.half().map(ReceiveHalf::canceller)
    }

    /// Ends the call at once. It then returns its outcome.
    pub fn cancel(&self) {
        if let Some(half) = self.half() {
            half.cancel();
        }
    }

    /// Returns the states of both halves, while the call is open.
    #[must_use]
    pub fn states(&self) -> Option<HalfStates> {
        self.half()?.states()
    }

    const fn half(&self) -> Option<&ReceiveHalf> {
        match &self.state {
            UnaryState::Waiting(half) => Some(half),
            UnaryState::Failed(_) | UnaryState::Done => None,
        }
    }
}

// Nothing in it is pinned: a message is made when it is given away.
impl<Res, C> Unpin for UnaryResponse<Res, C> {}

impl<Res, C: Codec<Res>> Future for UnaryResponse<Res, C> {
    type Output = Result<Response<Res>, CallError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let result = match &mut this.state {
            UnaryState::Waiting(half) => {
                std::task::ready!(half.poll_response::<Res, C>(cx, &mut this.first))
            }
            // As a future of the standard library would: it was ready before.
            UnaryState::Done => return Poll::Pending,
            UnaryState::Failed(error) => Err(error.clone()),
        };
        this.state = UnaryState::Done;
        Poll::Ready(result)
    }
}

/// A server streaming call that has not started: awaiting it gives the stream, without waiting for the server.
#[must_use = "a call does nothing until it is awaited"]
pub struct ServerStreamingCall<'c, I: ?Sized, Res, C> {
    call: Unstarted<'c, I>,
    types: PhantomData<fn(C) -> Res>,
}

impl<'c, I: Invoke + ?Sized, Res, C: Codec<Res>> ServerStreamingCall<'c, I, Res, C> {
    /// Makes a call of `method` with its one request, which is encoded at once.
    pub fn new<Req>(carrier: &'c I, method: &Method<Req, Many<Res>, C>, request: &Req) -> Self
    where
        C: Codec<Req>,
    {
        let message = codec::encode::<Req, C>(request);
        Self {
            call: Unstarted::with_message(
                carrier,
                method.path(),
                <C as Codec<Res>>::CONTENT_SUBTYPES,
                message,
            ),
            types: PhantomData,
        }
    }

    /// Starts the call: what awaiting it does.
    ///
    /// # Errors
    ///
    /// [`CallError`] when it could not be started.
    pub fn start(self) -> Result<ServerStreaming<Res, C>, CallError> {
        self.call.start(CallType::SERVER_STREAMING).map(|call| ServerStreaming::new(call.into_receive()))
    }
}

impl<I: Invoke + ?Sized, Res, C: Codec<Res>> IntoFuture for ServerStreamingCall<'_, I, Res, C> {
    type Output = Result<ServerStreaming<Res, C>, CallError>;
    type IntoFuture = Ready<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        ready(self.start())
    }
}

/// A client streaming call that has not started: awaiting it gives the stream, without waiting for the server.
#[must_use = "a call does nothing until it is awaited"]
pub struct ClientStreamingCall<'c, I: ?Sized, Req, Res, C> {
    call: Unstarted<'c, I>,
    types: PhantomData<fn(Req, C) -> Res>,
}

impl<'c, I: Invoke + ?Sized, Req, Res, C: Codec<Req> + Codec<Res>> ClientStreamingCall<'c, I, Req, Res, C> {
    /// Makes a call of `method`.
    pub fn new(carrier: &'c I, method: &Method<Many<Req>, Res, C>) -> Self {
        Self {
            call: Unstarted::new(carrier, method.path(), <C as Codec<Res>>::CONTENT_SUBTYPES),
            types: PhantomData,
        }
    }

    /// Starts the call: what awaiting it does.
    ///
    /// # Errors
    ///
    /// [`CallError`] when it could not be started.
    pub fn start(self) -> Result<ClientStreaming<Req, Res, C>, CallError> {
        let (send, receive) = self.call.start(CallType::CLIENT_STREAMING)?.into_both();
        Ok(ClientStreaming::new(send, receive))
    }
}

impl<I, Req, Res, C> IntoFuture for ClientStreamingCall<'_, I, Req, Res, C>
where
    I: Invoke + ?Sized,
    C: Codec<Req> + Codec<Res>,
{
    type Output = Result<ClientStreaming<Req, Res, C>, CallError>;
    type IntoFuture = Ready<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        ready(self.start())
    }
}

/// A bidirectional call that has not started: awaiting it gives the stream, without waiting for the server.
#[must_use = "a call does nothing until it is awaited"]
pub struct BidiStreamingCall<'c, I: ?Sized, Req, Res, C> {
    call: Unstarted<'c, I>,
    types: PhantomData<fn(Req, C) -> Res>,
}

impl<'c, I: Invoke + ?Sized, Req, Res, C: Codec<Req> + Codec<Res>> BidiStreamingCall<'c, I, Req, Res, C> {
    /// Makes a call of `method`.
    pub fn new(carrier: &'c I, method: &Method<Many<Req>, Many<Res>, C>) -> Self {
        Self {
            call: Unstarted::new(carrier, method.path(), <C as Codec<Res>>::CONTENT_SUBTYPES),
            types: PhantomData,
        }
    }

    /// Starts the call: what awaiting it does.
    ///
    /// # Errors
    ///
    /// [`CallError`] when it could not be started.
    pub fn start(self) -> Result<BidiStreaming<Req, Res, C>, CallError> {
        let (send, receive) = self.call.start(CallType::BIDI)?.into_both();
        Ok(BidiStreaming::new(send, receive))
    }
}

impl<I, Req, Res, C> IntoFuture for BidiStreamingCall<'_, I, Req, Res, C>
where
    I: Invoke + ?Sized,
    C: Codec<Req> + Codec<Res>,
{
    type Output = Result<BidiStreaming<Req, Res, C>, CallError>;
    type IntoFuture = Ready<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        ready(self.start())
    }
}

/// What may be set on every call before it starts.
macro_rules! options {
    ($($name:ident<$($param:ident),+>)+) => { $(
        impl<I: Invoke + ?Sized, $($param),+> $name<'_, I, $($param),+> {
            /// Sets how long the call may take in total, from its start.
            pub const fn timeout(mut self, timeout: Duration) -> Self {
                self.call.options.timeout = Some(timeout);
                self
            }

            /// Adds one field to the initial metadata. A name or a value that no field may have ends the call before it
            /// starts, with INTERNAL.
            pub fn metadata(mut self, name: &str, value: &str) -> Self {
                self.call.append(name, value);
                self
            }

            /// Adds one binary field to the initial metadata; its name ends with `-bin`.
            pub fn metadata_bin(mut self, name: &str, value: &[u8]) -> Self {
                self.call.append_bin(name, value);
                self
            }

            /// Adds to the initial metadata.
            pub fn metadata_of(mut self, metadata: &Metadata) -> Self {
                self.call.options.metadata.merge(metadata);
                self
            }

            /// Sets the encoding of the messages that are sent.
            pub const fn encoding(mut self, encoding: Encoding) -> Self {
                self.call.options.encoding = Some(encoding);
                self
            }

            /// Sets `:authority`; the connection's by default.
            pub fn authority(mut self, authority: impl Into<Bytes>) -> Self {
                self.call.options.authority = Some(authority.into());
                self
            }

            /// Sets all options at once, in place of those that were set before.
            pub fn options(mut self, options: CallOptions) -> Self {
                self.call.options = options;
                self
            }
        }

        impl<I: ?Sized, $($param),+> fmt::Debug for $name<'_, I, $($param),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("path", &self.call.path).finish_non_exhaustive()
            }
        }
    )+ };
}

options! {
    UnaryCall<Res, C>
    ServerStreamingCall<Res, C>
    ClientStreamingCall<Req, Res, C>
    BidiStreamingCall<Req, Res, C>
}

impl<Res, C> fmt::Debug for UnaryResponse<Res, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnaryResponse").finish_non_exhaustive()
    }
}
