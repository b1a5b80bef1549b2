//! One call as its server holds it, from its arrival to its status.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use halfclose::grpc::compress::Compression;
use halfclose::{CallId, CallType, Cardinality, LazyRecv, Message, Metadata, Misuse, Recv, Server, Status};

use crate::codec::{self, Codec};
use crate::compression::{Offered, Outgoing, Unpacking};
use crate::method::Response;
use crate::outside;
use crate::shared::{Shared, State};
use crate::wakers::Waiter;

/// The message that arrived together with a request's headers, as for most small requests. It is received under the
/// same lock.
#[derive(Debug, Default)]
pub(super) struct FirstMessage {
    /// The one message of a unary or server streaming call.
    pub(super) payload: Option<Bytes>,
    /// The same, where it came compressed.
    pub(super) unpacking: Option<Unpacking>,
    /// The client has half-closed behind it.
    pub(super) complete: bool,
}

impl FirstMessage {
    /// Accepts a call whose event has just been polled, and receives the message that has arrived.
    #[inline]
    pub(super) fn take(&mut self, state: &mut State<Server>, call: CallId, call_type: CallType) {
        // The id is valid: its event has just been polled.
        let _ = state.connection.accept(call, call_type);
        if call_type.requests != Cardinality::One || state.is_sated() {
            return;
        }
        match state.connection.recv_lazily(call) {
            Ok(LazyRecv::Plain(Recv::Message(message))) => {
                self.payload = Some(message.payload);
                self.complete = matches!(state.connection.recv(call), Ok(Recv::HalfClosed));
            }
            Ok(LazyRecv::Compressed(message)) => self.unpacking = Some(Unpacking::new(message)),
            _ => {}
        }
    }

    /// Returns what has come, for a call that waits for the rest.
    pub(super) fn into_request(self) -> OnlyRequest {
        let Self { payload, unpacking, .. } = self;
        let message = payload.map(|payload| Message { payload, compressed: false });
        OnlyRequest { message, unpacking }
    }
}

/// The one message of a unary or server streaming call, as far as it has come.
#[derive(Debug)]
pub(super) struct OnlyRequest {
    message: Option<Message>,
    unpacking: Option<Unpacking>,
}

impl OnlyRequest {
    /// Waits until the client has half-closed ([P-75](halfclose::manual::rules#p-75)).
    pub(super) fn poll(
        &mut self,
        shared: &Shared<Server>,
        call: CallId,
        cx: &Context<'_>,
    ) -> Poll<Result<Message, Status>> {
        loop {
            let received = poll_next(shared, call, cx, &mut self.unpacking, |state, waiter| {
                state.poll_recv(call, waiter)
            });
            match ready!(received) {
                Ok(Recv::Message(next)) => {
                    self.message.get_or_insert(next);
                }
                Ok(Recv::HalfClosed) => {
                    return Poll::Ready(self.message.take().ok_or_else(missing));
                }
                Ok(_) | Err(_) => return Poll::Ready(Err(ended())),
            }
        }
    }
}

/// Takes what a visit to the connection gives, decompressed.
#[inline]
fn poll_next(
    shared: &Shared<Server>,
    call: CallId,
    cx: &Context<'_>,
    unpacking: &mut Option<Unpacking>,
    mut visit: impl FnMut(&mut State<Server>, &mut Waiter<'_>) -> Poll<Result<LazyRecv, Misuse>>,
) -> Poll<Result<Recv, Misuse>> {
    loop {
        if let Some(current) = unpacking {
            let unpacked = ready!(current.poll(shared, call, cx));
            *unpacking = None;
            return Poll::Ready(match unpacked? {
                Ok(message) => Ok(Recv::Message(message)),
                Err(error) => shared.command(|state| state.connection.fail_message(call, error)),
            });
        }
        match ready!(shared.poll_command(cx, &mut visit))? {
            LazyRecv::Plain(received) => return Poll::Ready(Ok(received)),
            LazyRecv::Compressed(message) => *unpacking = Some(Unpacking::new(message)),
        }
    }
}

/// One call on its connection.
pub(super) struct ServerCall {
    pub(super) shared: Arc<Shared<Server>>,
    pub(super) call: CallId,
    /// Whether the response headers are sent when the handler waits for a first request.
    pub(super) early_headers: bool,
}

impl ServerCall {
    /// Ends the call with the result of its handler, behind the messages that were sent.
    pub(super) fn finish(self, result: Result<(), Status>) {
        finish(&self.shared, self.call, result.err().unwrap_or_else(Status::ok));
    }

    /// Ends the call with its one response and the status OK, or with an error.
    pub(super) fn answer<Res, C: Codec<Res>>(self, result: Result<Response<Res>, Status>) {
        let encoded = result.and_then(|response| {
            let payload = codec::encode::<Res, C>(&response.message)?;
            Ok((response, Outgoing::Plain(payload)))
        });
        match encoded {
            Err(status) => finish(&self.shared, self.call, status),
            Ok((Response { headers, trailers, compressed: compress, .. }, message)) => {
                let answer = Answer { call: self.call, headers, trailers, message, compress };
                if let Some(uncompressed) = self.shared.command(|state| answer.give(state)) {
                    let (answer, failed) = uncompressed.compress();
                    self.shared.command(|state| answer.end(state, failed));
                }
            }
        }
    }
}

/// The response of a call, which the status OK follows. Handlers leave it to the driver, which passes all responses
/// of a round to the connection under one lock.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) call: CallId,
    pub(super) headers: Metadata,
    pub(super) trailers: Metadata,
    pub(super) message: Outgoing,
    pub(super) compress: bool,
}

/// An answer that is to be compressed when the connection is unlocked.
#[derive(Debug)]
pub(super) struct UncompressedAnswer {
    answer: Answer,
    compression: Compression,
}

impl UncompressedAnswer {
    /// Compresses the message. Returns why that failed, beside the answer, where it did.
    pub(super) fn compress(self) -> (Answer, Result<(), Misuse>) {
        let Self { mut answer, compression } = self;
        let compressed = answer.message.compress(&compression);
        (answer, compressed)
    }
}

impl Answer {
    /// Gives it to the connection, which always has buffer space for the first message of a call. Returns one that is to
    /// be compressed first.
    #[inline]
    pub(super) fn give(mut self, state: &mut State<Server>) -> Option<UncompressedAnswer> {
        match self.send(state) {
            Ok(Offered::Uncompressed(compression)) => {
                return Some(UncompressedAnswer { answer: self, compression });
            }
            Ok(Offered::Taken(_)) => self.finish(state, Status::ok()),
            Err(misuse) => self.finish(state, misuse.into()),
        }
        None
    }

    /// As `give`, for one that was compressed, or could not be.
    #[cold]
    pub(super) fn end(mut self, state: &mut State<Server>, compressed: Result<(), Misuse>) {
        match compressed.and_then(|()| self.send(state)) {
            Ok(_) => self.finish(state, Status::ok()),
            Err(misuse) => self.finish(state, misuse.into()),
        }
    }

    #[inline]
    fn finish(&mut self, state: &mut State<Server>, status: Status) {
        let call = self.call;
        let mut trailers = state.take_trailers(call);
        if !self.trailers.is_empty() {
            trailers.merge(&self.trailers);
        }
        // A call that is over refuses the status, and no client waits for it.
        let _ = state.connection.finish(call, status, trailers);
    }

    #[inline]
    fn send(&mut self, state: &mut State<Server>) -> Result<Offered, Misuse> {
        if !self.headers.is_empty() {
            state.connection.set_headers(self.call, mem::take(&mut self.headers))?;
        }
        self.message.offer(state, self.call, self.compress)
    }
}

/// Ends a call with a status, behind what was sent.
pub(super) fn finish(shared: &Shared<Server>, call: CallId, status: Status) {
    let status = outside::guard_status(status);
    shared.command(|state| {
        let trailers = state.take_trailers(call);
        // A call that is over refuses the status, and no client waits for it.
        let _ = state.connection.finish(call, status, trailers);
    });
}

/// Receives the next request, or `None` at the half-close. The first wait sends the response headers if
/// `early_headers` is set.
pub(super) fn poll_receive(
    shared: &Shared<Server>,
    call: CallId,
    cx: &Context<'_>,
    early_headers: &mut bool,
    unpacking: &mut Option<Unpacking>,
) -> Poll<Result<Option<Message>, Status>> {
    let received = poll_next(shared, call, cx, unpacking, |state, waiter| {
        let received = state.poll_recv(call, waiter);
        // A receiver that only waits for the next round has its message already.
        if *early_headers && (received.is_ready() || !state.is_sated()) {
            *early_headers = false;
            if received.is_pending() {
                // The handler may have sent them itself, and a call that is over needs none.
                let _ = state.connection.send_headers(call, Metadata::new());
            }
        }
        received
    });
    Poll::Ready(match ready!(received) {
        Ok(Recv::Message(message)) => Ok(Some(message)),
        Ok(Recv::HalfClosed) => Ok(None),
        Ok(_) | Err(_) => Err(ended()),
    })
}

/// Returns the status of a call whose client half-closed without a message.
fn missing() -> Status {
    Status::internal("no request message")
}

/// Returns the status for a handler whose call ended first: by a reset of the client, its deadline, or with its
/// connection.
fn ended() -> Status {
    Status::cancelled("the call has ended")
}
