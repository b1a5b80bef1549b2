//! One call as its client holds it: its sending half, its receiving half, and how it ended.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use halfclose::grpc::ResponseHeaders;
use halfclose::{
    CallId, Cause, Client, Code, HalfStates, Message, MessagePayload, Metadata, Misuse, Outcome, Recv, Status,
};

use crate::codec::{self, Codec};
use crate::method::{Response, SendError};
use crate::shared::{Half, Shared, State};
use crate::wakers::HoldsWaker;

/// How a call failed: its status, its exact cause, and whatever arrived of the response: headers, HTTP status,
/// trailers.
#[derive(Clone)]
pub struct CallError {
    outcome: Box<Outcome>,
}

impl CallError {
    pub(crate) fn new(outcome: Outcome) -> Self {
        Self { outcome: Box::new(outcome) }
    }

    /// Makes the error of a call that could not be started.
    pub(crate) fn unsent(status: Status) -> Self {
        Self::new(ended(status, Cause::NeverSent))
    }

    pub(crate) fn misuse(misuse: Misuse) -> Self {
        Self::unsent(misuse.into())
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.outcome.status
    }

    /// Returns the status code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.outcome.status.code
    }

    /// Returns the initial metadata, also that of a response that is not gRPC; empty if no response headers arrived.
    #[must_use]
    pub fn headers(&self) -> &Metadata {
        static NONE: Metadata = Metadata::new();
        self.outcome.headers.as_ref().map_or(&NONE, |headers| &headers.metadata)
    }

    /// Returns the HTTP status of the response, if one arrived: 200 for a gRPC response.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.outcome.http_status()
    }

    /// Returns the trailing metadata; empty if no trailers arrived.
    #[must_use]
    pub fn trailers(&self) -> &Metadata {
        &self.outcome.trailers
    }

    /// Returns what ended the call.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.outcome.cause
    }

    /// Returns whether the server certainly did not process the call, so that a retry is safe whatever the method
    /// does.
    #[must_use]
    pub fn not_processed(&self) -> bool {
        self.outcome.not_processed()
    }
}

/// Returns the outcome of a call of which no response is known.
fn ended(status: Status, cause: Cause) -> Outcome {
    Outcome::new(status, cause)
}

impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.outcome, f)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.outcome.status, self.outcome.cause)
    }
}

impl std::error::Error for CallError {}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        error.outcome.status
    }
}

/// The sending half. Dropping it before the half-close cancels the call, because a request that was cut short could
/// otherwise pass for a complete one ([P-75](halfclose::manual::rules#p-75)).
pub(super) struct SendHalf {
    shared: Arc<Shared<Client>>,
    call: CallId,
    closed: bool,
    pub(super) compress: bool,
}

impl SendHalf {
    pub(super) fn new(shared: &Arc<Shared<Client>>, call: CallId) -> Self {
        Self { shared: Arc::clone(shared), call, closed: false, compress: true }
    }

    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        payload: &mut Option<MessagePayload>,
    ) -> Poll<Result<(), SendError>> {
        let (call, compress) = (self.call, self.compress);
        let sent = self.shared.command(|state| state.poll_send(call, cx.waker(), payload, compress));
        sent.map_err(SendError::from_misuse)
    }

    /// Half-closes. If the call is over, this does nothing: the receiving half has the status. An error would make an
    /// honest client fail at random when the server answers early.
    pub(super) fn close_send(&mut self) -> Result<(), SendError> {
        self.closed = true;
        let call = self.call;
        let closed = self.shared.command(|state| state.connection.half_close(call));
        match closed.map_err(SendError::from_misuse) {
            Err(SendError::Ended) => Ok(()),
            other => other,
        }
    }
}

impl HoldsWaker for SendHalf {
    fn forget_waker(&mut self) {
        self.shared.forget_waker(self.call, Half::Send);
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        if !self.closed {
            let call = self.call;
            // The call may be over already.
            let _ = self.shared.command(|state| state.connection.cancel(call));
        }
    }
}

/// The receiving half. Dropping it before the end of the call cancels the call.
pub(super) struct ReceiveHalf {
    shared: Arc<Shared<Client>>,
    call: CallId,
    headers: Option<Arc<ResponseHeaders>>,
    outcome: Option<Outcome>,
}

impl ReceiveHalf {
    pub(super) fn new(shared: &Arc<Shared<Client>>, call: CallId) -> Self {
        Self { shared: Arc::clone(shared), call, headers: None, outcome: None }
    }

    /// Returns the next message, or `None` at the end of the call, whatever its status.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        if self.outcome.is_some() {
            return Poll::Ready(None);
        }
        let call = self.call;
        let received = self.shared.command(|state| receive(state, call, cx));
        self.settle(received)
    }

    /// Ends the call with `status` because a message could not be decoded. The error keeps what arrived of the
    /// response.
    #[cold]
    pub(super) fn fail(&mut self, status: Status) -> CallError {
        if self.outcome.is_none() {
            let call = self.call;
            self.outcome = self.shared.command(|state| state.release(call));
        }
        let outcome = self.outcome.get_or_insert_with(|| ended(Status::ok(), Cause::Cancelled));
        outcome.status = status;
        CallError::new(outcome.clone())
    }

    /// Keeps the outcome if `received` is the end of the call.
    fn settle(&mut self, received: Poll<Result<Recv, Misuse>>) -> Poll<Option<Message>> {
        match ready!(received) {
            Ok(Recv::Message(message)) => Poll::Ready(Some(message)),
            Ok(Recv::End(outcome)) => {
                self.outcome = Some(outcome);
                Poll::Ready(None)
            }
            // A client never receives a half-close, and `poll_recv` never returns `Pending`.
            Ok(_) => Poll::Pending,
            Err(misuse) => {
                self.outcome = Some(ended(misuse.into(), Cause::Connection));
                Poll::Ready(None)
            }
        }
    }

    /// Completes once the response headers have arrived or the call is over.
    pub(super) fn poll_headers(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.headers.is_some() || self.outcome.is_some() {
            return Poll::Ready(());
        }
        let call = self.call;
        let headers = &mut self.headers;
        let received = self.shared.command(|state| {
            *headers = state.connection.response(call).filter(|headers| is_usable(headers)).cloned();
            if headers.is_some() {
                return None;
            }
            // Without usable headers there are no messages. But only a pending `recv` makes the core report the end
            // of a call that ends without headers (P-22).
            Some(receive(state, call, cx))
        });
        received.map_or(Poll::Ready(()), |received| self.settle(received).map(drop))
    }

    /// Returns the one response of a unary or client streaming call, or how the call failed.
    fn poll_only(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Option<Message>,
    ) -> Poll<Result<Message, CallError>> {
        if self.outcome.is_none() {
            let call = self.call;
            // Receive everything that arrived together under one lock.
            let received = self.shared.command(|state| {
                loop {
                    match receive(state, call, cx) {
                        // The core ends a call with a second response (P-71); messages before that may still be
                        // delivered.
                        Poll::Ready(Ok(Recv::Message(next))) => _ = message.get_or_insert(next),
                        other => break other,
                    }
                }
            });
            ready!(self.settle(received));
        }
        if !self.outcome.as_ref().is_some_and(|outcome| outcome.status.is_ok()) {
            // P-74: an error status takes precedence over a message that arrived before it.
            return Poll::Ready(Err(CallError::new(self.outcome())));
        }
        let missing = || self.fail(Status::internal("status OK without a response message"));
        Poll::Ready(message.take().ok_or_else(missing))
    }

    /// Waits for the one response of a unary or client streaming call.
    pub(super) async fn only_response<Res, C: Codec<Res>>(&mut self) -> Result<Response<Res>, CallError> {
        let mut first = None;
        let message = poll_fn(|cx| self.poll_only(cx, &mut first)).await?;
        let compressed = message.compressed;
        let message = codec::decode::<Res, C>(message.payload).map_err(|status| self.fail(status))?;
        let Outcome { headers, trailers, .. } = self.outcome();
        Ok(Response {
            message,
            headers: headers.map(|headers| headers.metadata.clone()).unwrap_or_default(),
            trailers: Arc::unwrap_or_clone(trailers),
            compressed,
        })
    }

    /// Returns the initial metadata, once [`poll_headers`](Self::poll_headers) has completed.
    pub(super) fn headers(&self) -> Option<&Metadata> {
        let last = || self.outcome.as_ref()?.headers.as_ref().filter(|headers| is_usable(headers));
        self.headers.as_ref().or_else(last).map(|headers| &headers.metadata)
    }

    pub(super) fn trailers(&self) -> Option<&Arc<Metadata>> {
        self.outcome.as_ref().map(|outcome| &outcome.trailers)
    }

    /// Returns how the call ended. Call it at the end only.
    pub(super) fn outcome(&self) -> Outcome {
        let missing = || ended(Status::internal("the call has not ended"), Cause::Cancelled);
        self.outcome.clone().unwrap_or_else(missing)
    }

    pub(super) fn is_over(&self) -> bool {
        self.outcome.is_some()
    }

    pub(super) fn states(&self) -> Option<HalfStates> {
        self.shared.lock().connection.states(self.call).ok()
    }

    pub(super) fn cancel(&self) {
        let call = self.call;
        // Cancelling a call that is over does nothing.
        let _ = self.shared.command(|state| state.connection.cancel(call));
    }
}

impl HoldsWaker for ReceiveHalf {
    fn forget_waker(&mut self) {
        self.shared.forget_waker(self.call, Half::Receive);
    }
}

impl Drop for ReceiveHalf {
    fn drop(&mut self) {
        if self.outcome.is_none() {
            let call = self.call;
            // The caller does not want the outcome.
            let _ = self.shared.command(|state| state.release(call));
        }
    }
}

/// Returns whether messages can follow these headers. Otherwise the headers say why the call ends.
fn is_usable(headers: &ResponseHeaders) -> bool {
    headers.failure.is_none()
}

/// Receives the next message of a call, or its end.
fn receive(state: &mut State<Client>, call: CallId, cx: &Context<'_>) -> Poll<Result<Recv, Misuse>> {
    let received = state.poll_recv(call, cx.waker());
    if let Poll::Ready(Ok(Recv::End(_))) = received {
        // The core forgets the call with this, and no event will wake the other half.
        state.wake_ended(call);
    }
    received
}
