//! The carriers of calls: a channel, or a substitute for one.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::task::{Context, Poll};

use halfclose::grpc::ResponseHeaders;
use halfclose::grpc::content_type::ContentSubtypes;
use halfclose::{CallType, HalfStates, Message, MessagePayload, Outcome};

use super::call::{CallError, CallOnConnection, ReceiveHalf, SendHalf};
use super::options::CallOptions;
use crate::method::SendError;

/// Carries calls. Generated clients are generic over it: `GreeterClient<Channel>` calls a server, and the same client
/// calls a mock, a router in the same process, or a channel with something around it.
///
/// The trait is object safe, and `Arc<dyn Invoke>` carries calls too, for code that needs one type for several
/// carriers.
///
/// ```
/// use halfclose_driver::{CallError, Invoke, OutgoingCall, RawCall};
///
/// /// Adds a token to every call.
/// #[derive(Clone)]
/// struct WithToken<I>(I);
///
/// impl<I: Invoke> Invoke for WithToken<I> {
///     fn invoke(&self, mut call: OutgoingCall) -> Result<RawCall, CallError> {
///         call.options.metadata.append("authorization", "Bearer 17")?;
///         self.0.invoke(call)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not carry calls",
    note = "a `Channel`, a reference to what carries calls, and an `Arc` of it do"
)]
pub trait Invoke: Send + Sync {
    /// Starts a call. It returns before the server has sent anything; the call itself reports its end.
    ///
    /// # Errors
    ///
    /// [`CallError`] if the call could not be started.
    fn invoke(&self, call: OutgoingCall) -> Result<RawCall, CallError>;
}

impl<I: Invoke + ?Sized> Invoke for &I {
    #[inline]
    fn invoke(&self, call: OutgoingCall) -> Result<RawCall, CallError> {
        (**self).invoke(call)
    }
}

impl<I: Invoke + ?Sized> Invoke for Arc<I> {
    #[inline]
    fn invoke(&self, call: OutgoingCall) -> Result<RawCall, CallError> {
        self.deref().invoke(call)
    }
}

/// A call that is about to start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutgoingCall {
    /// Its path, `"/package.Service/Method"`.
    pub path: &'static str,
    /// The number of messages each way.
    pub call_type: CallType,
    /// The content subtypes that the codec of its messages supports.
    pub content_subtypes: ContentSubtypes,
    /// Its options.
    pub options: CallOptions,
    /// The one request of a unary or server streaming call, which is half-closed after it; `None` if requests are
    /// sent later.
    pub message: Option<MessagePayload>,
}

impl OutgoingCall {
    /// Creates a call whose requests are sent later, of any content subtype.
    #[must_use]
    pub const fn new(path: &'static str, call_type: CallType, options: CallOptions) -> Self {
        Self { path, call_type, content_subtypes: ContentSubtypes::ANY, options, message: None }
    }
}

/// A started call, in bytes. Typed handles are made from it; code between a client and its channel can take it apart
/// and build another.
pub struct RawCall {
    send: Option<SendHalf>,
    receive: ReceiveHalf,
}

impl RawCall {
    /// Creates a call from two halves. `send` is `None` if the call began with its one request.
    #[must_use]
    pub fn new(send: Option<Box<dyn SendMessages>>, receive: Box<dyn ReceiveMessages>) -> Self {
        Self { send: send.map(SendHalf::other), receive: ReceiveHalf::other(receive) }
    }

    pub(super) const fn with_message(receive: ReceiveHalf) -> Self {
        Self { send: None, receive }
    }

    pub(super) const fn with_stream(send: SendHalf, receive: ReceiveHalf) -> Self {
        Self { send: Some(send), receive }
    }

    pub(super) fn into_receive(self) -> ReceiveHalf {
        self.receive
    }

    pub(super) fn into_both(self) -> (SendHalf, ReceiveHalf) {
        (self.send.unwrap_or_else(|| SendHalf::other(Box::new(NothingToSend))), self.receive)
    }

    /// Returns both halves, as passed to [`new`](Self::new).
    #[must_use]
    pub fn into_parts(self) -> (Option<Box<dyn SendMessages>>, Box<dyn ReceiveMessages>) {
        let send = self.send.map(|half| Box::new(half) as Box<dyn SendMessages>);
        (send, Box::new(self.receive))
    }
}

impl fmt::Debug for RawCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawCall").finish_non_exhaustive()
    }
}

/// The sending half of a call, in bytes. Dropped before the half-close, it cancels the call.
pub trait SendMessages: Send {
    /// Accepts the message once there is buffer space for it, leaving `None`, and completes once there is space for
    /// the next one. `compress` matters only if the call has an encoding.
    ///
    /// # Errors
    ///
    /// [`SendError::Ended`] if the call has ended.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        payload: &mut Option<MessagePayload>,
        compress: bool,
    ) -> Poll<Result<(), SendError>>;

    /// Half-closes the call, after which no request follows.
    ///
    /// # Errors
    ///
    /// [`SendError::Ended`] if the call has ended.
    fn close_send(&mut self) -> Result<(), SendError>;

    /// Forgets the waker of the last poll, because its future was dropped.
    fn forget_waker(&mut self) {}
}

/// The receiving half of a call, in bytes. Dropped before the end, it cancels the call.
pub trait ReceiveMessages: Send {
    /// Returns the next response, or how the call ended.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Outcome>>;

    /// Completes when the response headers have arrived, or the call has ended without any.
    fn poll_headers(&mut self, cx: &mut Context<'_>) -> Poll<Option<Arc<ResponseHeaders>>>;

    /// Returns a handle that ends the call from outside.
    fn canceller(&self) -> Canceller;

    /// Forgets the waker of the last poll, because its future was dropped.
    fn forget_waker(&mut self) {}

    /// Returns the states of both halves while the call is open, if the carrier has them.
    fn states(&self) -> Option<HalfStates> {
        None
    }
}

/// The sending half of a call whose carrier returned none.
struct NothingToSend;

impl SendMessages for NothingToSend {
    fn poll_send(
        &mut self,
        _: &mut Context<'_>,
        _: &mut Option<MessagePayload>,
        _: bool,
    ) -> Poll<Result<(), SendError>> {
        Poll::Ready(Err(SendError::Ended))
    }

    fn close_send(&mut self) -> Result<(), SendError> {
        Err(SendError::Ended)
    }
}

/// Ends a call from outside, whatever its handle is doing. Clones end the same call.
#[derive(Clone)]
pub struct Canceller {
    kind: CancelBy,
}

#[derive(Clone)]
enum CancelBy {
    Connection(CallOnConnection),
    Function(Arc<dyn Fn() + Send + Sync>),
}

impl Canceller {
    pub(super) const fn of(call: CallOnConnection) -> Self {
        Self { kind: CancelBy::Connection(call) }
    }

    /// Creates a canceller that runs `cancel`.
    #[must_use]
    pub fn new(cancel: impl Fn() + Send + Sync + 'static) -> Self {
        Self { kind: CancelBy::Function(Arc::new(cancel)) }
    }

    /// Ends the call at once. Its handle returns the outcome CANCELLED, unless the call had ended before.
    pub fn cancel(&self) {
        match &self.kind {
            CancelBy::Connection(call) => call.cancel(),
            CancelBy::Function(cancel) => cancel(),
        }
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").finish_non_exhaustive()
    }
}
