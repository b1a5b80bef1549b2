//! One call as its client holds it: its sending half, its receiving half, and how it ended.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use halfclose::grpc::MetadataError;
use halfclose::grpc::ResponseHeaders;
use halfclose::grpc::compress::DecompressError;
use halfclose::{
    CallId, Cause, Client, Code, HalfStates, LazyRecv, Message, MessagePayload, Metadata, Misuse, Outcome,
    Recv, Status,
};

use super::invoke::{Canceller, ReceiveMessages, SendMessages};
use crate::codec::{self, Codec};
use crate::compression::{Outgoing, Unpacking, poll_send};
use crate::method::{Response, SendError};
use crate::shared::{CallHalf, Shared, State};
use crate::wakers::{HoldsWaker, Waiter};

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

    /// Creates the error of a call that could not be started.
    pub(crate) fn unsent(status: Status) -> Self {
        Self::new(ended(status, Cause::NeverSent))
    }

    pub(crate) fn misuse(misuse: Misuse) -> Self {
        Self::unsent(misuse.into())
    }

    pub(crate) fn into_outcome(self) -> Outcome {
        *self.outcome
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

    /// Returns whether response headers came: the server has begun to answer.
    pub(crate) fn has_headers(&self) -> bool {
        self.outcome.headers.is_some()
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

/// Returns the outcome of a call without a known response.
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

/// The error of a call whose metadata is invalid, so that it was not started.
impl From<MetadataError> for CallError {
    fn from(error: MetadataError) -> Self {
        Self::unsent(error.into())
    }
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        error.outcome.status
    }
}

/// The sending half. Dropping it before the half-close cancels the call, because a request that was cut short could
/// otherwise pass for a complete one ([P-75](halfclose::manual::rules#p-75)).
pub(super) struct SendHalf {
    carrier: SendCarrier,
    closed: bool,
    pub(super) compress: bool,
    /// The message that waits for buffer space.
    outgoing: Option<Outgoing>,
}

/// The carrier of a call's requests.
enum SendCarrier {
    Connection(CallOnConnection),
    Other(Box<dyn SendMessages>),
}

/// A call and its connection.
#[derive(Clone)]
pub(super) struct CallOnConnection {
    shared: Arc<Shared<Client>>,
    call: CallId,
}

impl CallOnConnection {
    pub(super) fn cancel(&self) {
        // A call that is over needs no cancel.
        let _ = self.shared.command(|state| state.connection.cancel(self.call));
    }

    fn poll_send(
        &self,
        cx: &Context<'_>,
        message: &mut Option<Outgoing>,
        compress: bool,
    ) -> Poll<Result<(), SendError>> {
        poll_send(&self.shared, self.call, cx, message, compress).map_err(|error| {
            let state = self.shared.lock();
            error.with_status(state.connection.status(self.call))
        })
    }

    fn close_send(&self) -> Result<(), SendError> {
        self.shared.command(|state| state.connection.half_close(self.call)).map_err(SendError::from_misuse)
    }

    /// Takes what a visit to the connection gives, decompressed.
    #[inline]
    fn poll_next(
        &self,
        cx: &Context<'_>,
        unpacking: &mut Option<Unpacking>,
        mut visit: impl FnMut(&mut State<Client>, &mut Waiter<'_>) -> Poll<Result<LazyRecv, Misuse>>,
    ) -> Poll<Result<Recv, Misuse>> {
        loop {
            if let Some(current) = unpacking {
                let unpacked = ready!(current.poll(&self.shared, self.call, cx));
                *unpacking = None;
                return Poll::Ready(match unpacked? {
                    Ok(message) => Ok(Recv::Message(message)),
                    Err(error) => self.fail_message(error),
                });
            }
            match ready!(self.shared.poll_command(cx, &mut visit))? {
                LazyRecv::Plain(received) => return Poll::Ready(Ok(received)),
                LazyRecv::Compressed(message) => *unpacking = Some(Unpacking::new(message)),
            }
        }
    }

    #[cold]
    fn fail_message(&self, error: DecompressError) -> Result<Recv, Misuse> {
        self.shared.command(|state| {
            let received = state.connection.fail_message(self.call, error);
            state.wake_ended(self.call);
            received
        })
    }

    fn poll_message(
        &self,
        cx: &Context<'_>,
        unpacking: &mut Option<Unpacking>,
    ) -> Poll<Result<Recv, Misuse>> {
        self.poll_next(cx, unpacking, |state, waiter| receive(state, self.call, waiter))
    }

    fn poll_headers(&self, cx: &Context<'_>) -> HeadersOrNext {
        let polled = self.shared.poll_command(cx, |state, waiter| {
            let headers = state.connection.response(self.call).filter(|headers| is_usable(headers));
            match headers {
                Some(headers) => Poll::Ready(Ok(Arc::clone(headers))),
                // Without usable headers there are no messages. To ask for one is what makes the core tell of an end
                // that comes without headers (P-22).
                None => receive(state, self.call, waiter).map(Err),
            }
        });
        match polled {
            Poll::Ready(Ok(headers)) => HeadersOrNext::Headers(headers),
            Poll::Ready(Err(Ok(LazyRecv::Plain(received)))) => HeadersOrNext::Next(Poll::Ready(Ok(received))),
            Poll::Ready(Err(Err(misuse))) => HeadersOrNext::Next(Poll::Ready(Err(misuse))),
            Poll::Ready(Err(Ok(LazyRecv::Compressed(_)))) | Poll::Pending => {
                HeadersOrNext::Next(Poll::Pending)
            }
        }
    }

    /// Takes what there is until the call waits or ends, in one visit: what came together is taken together.
    fn poll_only(
        &self,
        cx: &Context<'_>,
        unpacking: &mut Option<Unpacking>,
        message: &mut Option<Message>,
    ) -> Poll<Result<Recv, Misuse>> {
        loop {
            let next = ready!(self.poll_next(cx, unpacking, |state, waiter| {
                loop {
                    match receive(state, self.call, waiter) {
                        // The core ends a call with more than one response (P-71); what came before it was taken goes
                        // first.
                        Poll::Ready(Ok(LazyRecv::Plain(Recv::Message(next)))) => {
                            _ = message.get_or_insert(next);
                        }
                        other => break other,
                    }
                }
            }));
            match next {
                Ok(Recv::Message(next)) => _ = message.get_or_insert(next),
                other => return Poll::Ready(other),
            }
        }
    }

    /// Forgets the call, and ends it if it has not ended.
    fn release(&self) -> Option<Outcome> {
        self.shared.command(|state| state.release(self.call))
    }

    fn states(&self) -> Option<HalfStates> {
        self.shared.lock().connection.states(self.call).ok()
    }
}

/// The answer of a call that is asked for its headers.
enum HeadersOrNext {
    Headers(Arc<ResponseHeaders>),
    Next(Poll<Result<Recv, Misuse>>),
}

impl SendHalf {
    pub(super) fn new(shared: &Arc<Shared<Client>>, call: CallId) -> Self {
        Self::carried_by(SendCarrier::Connection(CallOnConnection { shared: Arc::clone(shared), call }))
    }

    pub(super) fn other(other: Box<dyn SendMessages>) -> Self {
        Self::carried_by(SendCarrier::Other(other))
    }

    const fn carried_by(carrier: SendCarrier) -> Self {
        Self { carrier, closed: false, compress: true, outgoing: None }
    }

    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        payload: &mut Option<MessagePayload>,
    ) -> Poll<Result<(), SendError>> {
        match &mut self.carrier {
            SendCarrier::Connection(call) => {
                self.outgoing = payload.take().map(Outgoing::Plain).or(self.outgoing.take());
                let sent = call.poll_send(cx, &mut self.outgoing, self.compress);
                if sent.is_ready() {
                    self.outgoing = None;
                }
                sent
            }
            SendCarrier::Other(other) => other.poll_send(cx, payload, self.compress),
        }
    }

    /// Half-closes. If the call is over, this does nothing: the receiving half has the status. An error would make an
    /// honest client fail at random when the server answers early.
    pub(super) fn close_send(&mut self) -> Result<(), SendError> {
        self.closed = true;
        let closed = match &mut self.carrier {
            SendCarrier::Connection(call) => call.close_send(),
            SendCarrier::Other(other) => other.close_send(),
        };
        match closed {
            Err(SendError::Ended | SendError::CallFailed(_)) => Ok(()),
            other => other,
        }
    }
}

impl HoldsWaker for SendHalf {
    fn forget_waker(&mut self) {
        match &mut self.carrier {
            SendCarrier::Connection(call) => {
                // The message is given up with its future.
                self.outgoing = None;
                call.shared.forget_waker(call.call, CallHalf::Send);
            }
            SendCarrier::Other(other) => other.forget_waker(),
        }
    }
}

impl SendMessages for SendHalf {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        payload: &mut Option<MessagePayload>,
        compress: bool,
    ) -> Poll<Result<(), SendError>> {
        self.compress = compress;
        Self::poll_send(self, cx, payload)
    }

    fn close_send(&mut self) -> Result<(), SendError> {
        Self::close_send(self)
    }

    fn forget_waker(&mut self) {
        HoldsWaker::forget_waker(self);
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        if let SendCarrier::Connection(call) = &self.carrier
            && !self.closed
        {
            call.cancel();
        }
    }
}

/// The receiving half. Dropping it before the end of the call cancels the call.
pub(super) struct ReceiveHalf {
    carrier: ReceiveCarrier,
    headers: Option<Arc<ResponseHeaders>>,
    /// The message that is being decompressed.
    unpacking: Option<Unpacking>,
    outcome: Option<Outcome>,
}

/// The carrier of a call's responses.
enum ReceiveCarrier {
    Connection(CallOnConnection),
    Other(Box<dyn ReceiveMessages>),
}

impl ReceiveHalf {
    pub(super) fn new(shared: &Arc<Shared<Client>>, call: CallId) -> Self {
        let call = CallOnConnection { shared: Arc::clone(shared), call };
        Self { carrier: ReceiveCarrier::Connection(call), headers: None, unpacking: None, outcome: None }
    }

    pub(super) fn other(other: Box<dyn ReceiveMessages>) -> Self {
        Self { carrier: ReceiveCarrier::Other(other), headers: None, unpacking: None, outcome: None }
    }

    /// Returns the next message, or `None` at the end of the call, whatever its status.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        if self.outcome.is_some() {
            return Poll::Ready(None);
        }
        let received = match &mut self.carrier {
            ReceiveCarrier::Connection(call) => call.poll_message(cx, &mut self.unpacking),
            ReceiveCarrier::Other(other) => next_of(other.poll_message(cx)),
        };
        self.settle(received)
    }

    /// Ends the call with `status` because a message could not be decoded. The error keeps what arrived of the
    /// response.
    #[cold]
    pub(super) fn fail(&mut self, status: Status) -> CallError {
        if self.outcome.is_none() {
            self.outcome = match &self.carrier {
                ReceiveCarrier::Connection(call) => call.release(),
                ReceiveCarrier::Other(other) => {
                    other.canceller().cancel();
                    None
                }
            };
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
        let answer = match &mut self.carrier {
            ReceiveCarrier::Connection(call) => call.poll_headers(cx),
            ReceiveCarrier::Other(other) => match ready!(other.poll_headers(cx)) {
                Some(headers) => HeadersOrNext::Headers(headers),
                None => HeadersOrNext::Next(next_of(other.poll_message(cx))),
            },
        };
        match answer {
            HeadersOrNext::Headers(headers) => {
                self.headers = Some(headers);
                Poll::Ready(())
            }
            HeadersOrNext::Next(received) => self.settle(received).map(drop),
        }
    }

    /// Returns the one response of a unary or client streaming call, or how the call failed.
    fn poll_only(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Option<Message>,
    ) -> Poll<Result<Message, CallError>> {
        if self.outcome.is_none() {
            let received = match &mut self.carrier {
                ReceiveCarrier::Connection(call) => call.poll_only(cx, &mut self.unpacking, message),
                ReceiveCarrier::Other(other) => only_of(other.as_mut(), cx, message),
            };
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
        poll_fn(|cx| self.poll_response::<Res, C>(cx, &mut first)).await
    }

    /// Returns the one response, decoded. `first` holds it while the call waits for its end.
    #[inline]
    pub(super) fn poll_response<Res, C: Codec<Res>>(
        &mut self,
        cx: &mut Context<'_>,
        first: &mut Option<Message>,
    ) -> Poll<Result<Response<Res>, CallError>> {
        let message = match ready!(self.poll_only(cx, first)) {
            Ok(message) => message,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let compressed = message.compressed;
        let message = match codec::decode::<Res, C>(message.payload) {
            Ok(message) => message,
            Err(status) => return Poll::Ready(Err(self.fail(status))),
        };
        let Outcome { headers, trailers, .. } = self.outcome();
        Poll::Ready(Ok(Response {
            message,
            headers: headers.map(|headers| headers.metadata.clone()).unwrap_or_default(),
            trailers: Arc::unwrap_or_clone(trailers),
            compressed,
        }))
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

    /// Adds to an error of the sending half what this half knows of the end of the call.
    pub(super) fn explain(&self, error: SendError) -> SendError {
        error.with_status(self.outcome.as_ref().map(|outcome| &outcome.status))
    }

    pub(super) fn is_over(&self) -> bool {
        self.outcome.is_some()
    }

    pub(super) fn states(&self) -> Option<HalfStates> {
        match &self.carrier {
            ReceiveCarrier::Connection(call) => call.states(),
            ReceiveCarrier::Other(other) => other.states(),
        }
    }

    pub(super) fn cancel(&self) {
        match &self.carrier {
            ReceiveCarrier::Connection(call) => call.cancel(),
            ReceiveCarrier::Other(other) => other.canceller().cancel(),
        }
    }

    pub(super) fn canceller(&self) -> Canceller {
        match &self.carrier {
            ReceiveCarrier::Connection(call) => Canceller::of(call.clone()),
            ReceiveCarrier::Other(other) => other.canceller(),
        }
    }
}

impl ReceiveMessages for ReceiveHalf {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Outcome>> {
        self.poll_receive(cx).map(|message| message.ok_or_else(|| self.outcome()))
    }

    fn poll_headers(&mut self, cx: &mut Context<'_>) -> Poll<Option<Arc<ResponseHeaders>>> {
        Self::poll_headers(self, cx).map(|()| self.headers.clone())
    }

    fn canceller(&self) -> Canceller {
        Self::canceller(self)
    }

    fn forget_waker(&mut self) {
        HoldsWaker::forget_waker(self);
    }

    fn states(&self) -> Option<HalfStates> {
        Self::states(self)
    }
}

impl HoldsWaker for ReceiveHalf {
    fn forget_waker(&mut self) {
        match &mut self.carrier {
            ReceiveCarrier::Connection(call) => call.shared.forget_waker(call.call, CallHalf::Receive),
            ReceiveCarrier::Other(other) => other.forget_waker(),
        }
    }
}

impl Drop for ReceiveHalf {
    fn drop(&mut self) {
        if let ReceiveCarrier::Connection(call) = &self.carrier
            && self.outcome.is_none()
        {
            // The outcome is no longer needed.
            let _ = call.release();
        }
    }
}

/// Converts the result of another carrier to that of a connection.
fn next_of(received: Poll<Result<Message, Outcome>>) -> Poll<Result<Recv, Misuse>> {
    received.map(|received| Ok(received.map_or_else(Recv::End, Recv::Message)))
}

/// Receives as [`CallOnConnection::poll_only`] does, and itself ends a call with more than one response
/// ([P-71](halfclose::manual::rules#p-71)).
fn only_of(
    other: &mut dyn ReceiveMessages,
    cx: &mut Context<'_>,
    message: &mut Option<Message>,
) -> Poll<Result<Recv, Misuse>> {
    loop {
        match ready!(next_of(other.poll_message(cx))) {
            Ok(Recv::Message(next)) if message.is_none() => *message = Some(next),
            Ok(Recv::Message(_)) => {
                other.canceller().cancel();
                let status = Status::unimplemented("the server sent more than one response");
                return Poll::Ready(Ok(Recv::End(ended(status, Cause::Cancelled))));
            }
            end => return Poll::Ready(end),
        }
    }
}

/// Returns whether messages can follow these headers. Otherwise the headers say why the call ends.
fn is_usable(headers: &ResponseHeaders) -> bool {
    headers.failure.is_none()
}

/// Receives the next message of a call, or its end.
fn receive(
    state: &mut State<Client>,
    call: CallId,
    waiter: &mut Waiter<'_>,
) -> Poll<Result<LazyRecv, Misuse>> {
    let received = state.poll_recv(call, waiter);
    if let Poll::Ready(Ok(LazyRecv::Plain(Recv::End(_)))) = received {
        // The core forgets the call with this, and no event will wake the other half.
        state.wake_ended(call);
    }
    received
}
