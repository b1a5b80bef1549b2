//! One call as its server holds it, from its arrival to its status.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use halfclose::{
    CallId, CallType, Cardinality, Message, MessagePayload, Metadata, Misuse, Recv, Server, Status,
};

use crate::codec::{self, Codec};
use crate::method::{Response, SendError};
use crate::shared::{Shared, State};

/// The message that arrived together with a request's headers, as for most small requests. It is received under the
/// same lock.
#[derive(Debug, Default)]
pub(super) struct FirstMessage {
    /// The one message of a unary or server streaming call.
    pub(super) payload: Option<Bytes>,
    /// Whether it arrived compressed.
    pub(super) compressed: bool,
    /// Whether the client has half-closed after it.
    pub(super) complete: bool,
}

impl FirstMessage {
    /// Accepts a call whose event has just been polled, and receives the message that has arrived.
    #[inline]
    pub(super) fn take(&mut self, state: &mut State<Server>, call: CallId, call_type: CallType) {
        // The id is valid: its event has just been polled.
        let _ = state.connection.accept(call, call_type);
        if call_type.requests == Cardinality::One
            && !state.is_sated()
            && let Ok(Recv::Message(Message { payload, compressed })) = state.connection.recv(call)
        {
            self.payload = Some(payload);
            self.compressed = compressed;
            self.complete = matches!(state.connection.recv(call), Ok(Recv::HalfClosed));
        }
    }

    /// Returns the message, for a call that waits for the rest.
    pub(super) fn into_message(self) -> Option<Message> {
        let Self { payload, compressed, .. } = self;
        payload.map(|payload| Message { payload, compressed })
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
            Ok((response, payload))
        });
        match encoded {
            Err(status) => finish(&self.shared, self.call, status),
            Ok((Response { headers, trailers, compressed: compress, .. }, payload)) => {
                let answer = Answer { call: self.call, headers, trailers, payload, compress };
                self.shared.command(|state| answer.give(state));
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
    pub(super) payload: MessagePayload,
    pub(super) compress: bool,
}

impl Answer {
    /// Passes the response to the connection, which always has buffer space for the first message of a call.
    #[inline]
    pub(super) fn give(mut self, state: &mut State<Server>) {
        let call = self.call;
        let status = match self.send(state) {
            Ok(()) => Status::ok(),
            Err(misuse) => misuse.into(),
        };
        let mut trailers = state.take_trailers(call);
        if !self.trailers.is_empty() {
            trailers.merge(&self.trailers);
        }
        // A call that is over refuses the status, and no client waits for it.
        let _ = state.connection.finish(call, status, trailers);
    }

    #[inline]
    fn send(&mut self, state: &mut State<Server>) -> Result<(), Misuse> {
        if !self.headers.is_empty() {
            state.connection.set_headers(self.call, mem::take(&mut self.headers))?;
        }
        state.connection.send_message_from(self.call, &mut self.payload, self.compress).map(drop)
    }
}

/// Receives the one message of a unary or server streaming call, once the client has half-closed
/// ([P-75](halfclose::manual::rules#p-75)).
pub(super) fn poll_only(
    shared: &Shared<Server>,
    call: CallId,
    cx: &mut Context<'_>,
    message: &mut Option<Message>,
) -> Poll<Result<Message, Status>> {
    shared.command(|state| {
        loop {
            match ready!(state.poll_recv(call, cx.waker())) {
                Ok(Recv::Message(next)) => {
                    message.get_or_insert(next);
                }
                Ok(Recv::HalfClosed) => {
                    return Poll::Ready(message.take().ok_or_else(missing));
                }
                Ok(_) | Err(_) => return Poll::Ready(Err(ended())),
            }
        }
    })
}

/// Ends a call with a status, behind the messages that were sent.
pub(super) fn finish(shared: &Shared<Server>, call: CallId, status: Status) {
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
    cx: &mut Context<'_>,
    early_headers: &mut bool,
) -> Poll<Result<Option<Message>, Status>> {
    shared.command(|state| {
        let received = state.poll_recv(call, cx.waker());
        // A receiver that only waits for its next turn has a message already.
        if *early_headers && (received.is_ready() || !state.is_sated()) {
            *early_headers = false;
            if received.is_pending() {
                // The handler may have sent them itself, and a call that is over needs none.
                let _ = state.connection.send_headers(call, Metadata::new());
            }
        }
        Poll::Ready(match ready!(received) {
            Ok(Recv::Message(message)) => Ok(Some(message)),
            Ok(Recv::HalfClosed) => Ok(None),
            Ok(_) | Err(_) => Err(ended()),
        })
    })
}

#[inline]
pub(super) fn poll_send(
    shared: &Shared<Server>,
    call: CallId,
    cx: &mut Context<'_>,
    payload: &mut Option<MessagePayload>,
    compress: bool,
) -> Poll<Result<(), SendError>> {
    let sent = shared.command(|state| state.poll_send(call, cx.waker(), payload, compress));
    sent.map_err(SendError::from_misuse)
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
