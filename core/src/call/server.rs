//! A server's calls as typed handles: one type, `ServerHandle<Requests, Responses, Answer>`, for all four call types.

use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;

use super::connection::{Connection, Server};
use super::typed::{Answered, Answering, AnsweringHalf, Count, Counted, Many, One, Refused, Unanswered};
use crate::error::Misuse;
use crate::grpc::encoding::Encoding;
use crate::grpc::headers::RequestHeaders;
use crate::grpc::metadata::Metadata;
use crate::grpc::status::Status;
use crate::payload::MessagePayload;
use crate::types::{CallId, CallType, HalfStates, Message, Recv, Sent};

/// One call of a server. `Requests` and `Responses` say how many messages go each way, [`One`] or [`Many`]; `Answer`
/// says what has been sent: [`Unanswered`], [`Answering`] or [`Answered`].
///
/// A handle is a [`CallId`] that knows which commands are legal next, and costs no more. It does not borrow the
/// connection: each method takes the connection on which the call arrived, so any number of calls can be open at
/// once. Errors that the types cannot rule out, because they depend on the client, are reported as a [`Misuse`],
/// which changes nothing. After [`Event::Ended`](crate::Event::Ended) the handle is stale and may be dropped.
/// Dropping it earlier leaves its client without an answer: end every call by [`finish`](Self::finish),
/// `send_and_close` or [`cancel`](Self::cancel).
///
/// # Commands that do not compile
///
/// The status twice ([P-87](crate::manual::rules#p-87)):
///
/// ```compile_fail,E0382
/// # use halfclose::{BidiServerCall, Connection, Metadata, Misuse, Server, Status};
/// fn twice(server: &mut Connection<Server>, call: BidiServerCall) -> Result<(), Misuse> {
///     call.finish(server, Status::ok(), Metadata::new())?;
///     call.finish(server, Status::ok(), Metadata::new()) // `call` was used up by the first
/// }
/// ```
///
/// A message after the status:
///
/// ```compile_fail,E0382
/// # use halfclose::{Answering, BidiServerCall, Connection, Metadata, Misuse, Server, Status};
/// fn late(server: &mut Connection<Server>, mut call: BidiServerCall<Answering>) -> Result<(), Misuse> {
///     call.finish(server, Status::ok(), Metadata::new())?;
///     call.send(server, "late".into())?; // `call` was used up by the status
///     Ok(())
/// }
/// ```
///
/// Response headers after a message, or twice ([P-32](crate::manual::rules#p-32)):
///
/// ```compile_fail,E0599
/// # use halfclose::{Answering, BidiServerCall, Connection, Metadata, Misuse, Server};
/// fn late(server: &mut Connection<Server>, mut call: BidiServerCall<Answering>) -> Result<(), Misuse> {
///     call.send(server, "first".into())?;
///     call.send_headers(server, Metadata::new())?; // only an unanswered call has this method
///     Ok(())
/// }
/// ```
///
/// A message while the response headers may still be extended:
///
/// ```compile_fail,E0599
/// # use halfclose::{BidiServerCall, Connection, Misuse, Server};
/// fn early(server: &mut Connection<Server>, mut call: BidiServerCall) -> Result<(), Misuse> {
///     call.send(server, "first".into())?; // `send_headers` or `without_metadata` comes first
///     Ok(())
/// }
/// ```
///
/// A second response on a call that carries one ([P-71](crate::manual::rules#p-71)):
///
/// ```compile_fail,E0382
/// # use halfclose::{Answering, Connection, Misuse, Server, UnaryServerCall};
/// fn twice(server: &mut Connection<Server>, call: UnaryServerCall<Answering>) -> Result<(), Misuse> {
///     let _answered = call.send(server, "one".into())?;
///     let _again = call.send(server, "two".into())?; // `call` was used up by the first
///     Ok(())
/// }
/// ```
///
/// ```compile_fail,E0599
/// # use halfclose::{Answered, Connection, Misuse, Server, UnaryServerCall};
/// fn twice(server: &mut Connection<Server>, call: UnaryServerCall<Answered>) -> Result<(), Misuse> {
///     call.send_and_close(server, "two".into())?; // only the status is to come
///     Ok(())
/// }
/// ```
///
/// `send_and_close` on a method with a stream of responses:
///
/// ```compile_fail,E0599
/// # use halfclose::{Connection, Misuse, Server, ServerStreamingServerCall};
/// fn one(server: &mut Connection<Server>, call: ServerStreamingServerCall) -> Result<(), Misuse> {
///     call.send_and_close(server, "one".into())?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
#[must_use = "a call that is not ended leaves its client waiting: `finish` or `cancel` it"]
pub struct ServerHandle<Requests: Count, Responses: Count, Answer: AnsweringHalf = Unanswered> {
    id: CallId,
    /// The one request, kept until the half-close shows that the request is complete.
    held: Requests::Held,
    types: PhantomData<(Responses, Answer)>,
}

/// A server's unary call.
pub type UnaryServerCall<Answer = Unanswered> = ServerHandle<One, One, Answer>;
/// A server's client-streaming call.
pub type ClientStreamingServerCall<Answer = Unanswered> = ServerHandle<Many, One, Answer>;
/// A server's server-streaming call.
pub type ServerStreamingServerCall<Answer = Unanswered> = ServerHandle<One, Many, Answer>;
/// A server's bidirectional call.
pub type BidiServerCall<Answer = Unanswered> = ServerHandle<Many, Many, Answer>;

/// The result of [`recv`](ServerHandle::recv).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Incoming {
    /// The next request. Receiving it returns its window credit to the client.
    Message(Message),
    /// Nothing yet; an [`Event::Readable`](crate::Event::Readable) follows once there is something.
    Pending,
    /// The client half-closed, and every request has been received ([P-80](crate::manual::rules#p-80)). Returned by
    /// every later call, too.
    HalfClosed,
}

/// Accepts calls, by the id in [`Event::Request`](crate::Event::Request), as the call type of their method.
///
/// # Errors
///
/// [`Misuse::UnknownCall`] if the call has ended in the meantime.
impl Connection<Server> {
    /// Accepts a unary call: one request, one response.
    ///
    /// ```no_run
    /// use halfclose::{Incoming, CallId, Connection, Misuse, Server};
    ///
    /// fn echo(server: &mut Connection<Server>, id: CallId) -> Result<(), Misuse> {
    ///     let mut call = server.accept_unary(id)?;
    ///     // A whole program waits for `Event::Readable` here: see docs/embedding.md.
    ///     if let Incoming::Message(request) = call.recv(server)? {
    ///         call.send_and_close(server, request.payload)?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[inline]
    pub fn accept_unary(&mut self, call: CallId) -> Result<UnaryServerCall, Misuse> {
        self.accept_as(call)
    }

    /// Accepts a client-streaming call: many requests, one response.
    #[inline]
    pub fn accept_client_streaming(&mut self, call: CallId) -> Result<ClientStreamingServerCall, Misuse> {
        self.accept_as(call)
    }

    /// Accepts a server-streaming call: one request, many responses.
    #[inline]
    pub fn accept_server_streaming(&mut self, call: CallId) -> Result<ServerStreamingServerCall, Misuse> {
        self.accept_as(call)
    }

    /// Accepts a bidirectional call: many requests, many responses, in any interleaving.
    #[inline]
    pub fn accept_bidi(&mut self, call: CallId) -> Result<BidiServerCall, Misuse> {
        self.accept_as(call)
    }

    fn accept_as<Requests: Count, Responses: Count>(
        &mut self,
        call: CallId,
    ) -> Result<ServerHandle<Requests, Responses>, Misuse> {
        let call_type =
            CallType { requests: <Requests as Counted>::CARDINALITY, responses: Responses::CARDINALITY };
        self.accept(call, call_type)?;
        Ok(ServerHandle { id: call, held: <Requests as Counted>::Held::default(), types: PhantomData })
    }
}

impl<Requests: Count, Responses: Count, Answer: AnsweringHalf> ServerHandle<Requests, Responses, Answer> {
    fn advance<Next: AnsweringHalf>(self) -> ServerHandle<Requests, Responses, Next> {
        ServerHandle { id: self.id, held: self.held, types: PhantomData }
    }

    /// Returns the call's id, which events carry and the dynamic methods of [`Connection`] accept.
    #[must_use]
    pub fn id(&self) -> CallId {
        self.id
    }

    /// Returns the request headers.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`] if the call has ended.
    pub fn request<'c>(&self, server: &'c Connection<Server>) -> Result<&'c Arc<RequestHeaders>, Misuse> {
        server.request(self.id)
    }

    /// Returns the states of both halves.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`] if the call has ended.
    pub fn states(&self, server: &Connection<Server>) -> Result<HalfStates, Misuse> {
        server.states(self.id)
    }

    /// Ends the call with its status and trailing metadata, behind the messages that are queued
    /// ([P-21](crate::manual::rules#p-21)), or as Trailers-Only if nothing was sent
    /// ([P-22](crate::manual::rules#p-22)). [`Event::Ended`](crate::Event::Ended) follows once the status has been
    /// written.
    ///
    /// OK without the one response that the method requires becomes INTERNAL ([P-70](crate::manual::rules#p-70)),
    /// because the client could not return a response either.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`], [`Misuse::CallEnded`] or [`Misuse::AfterStatus`] if the call has ended in the
    /// meantime: by the client, its deadline, or the library's answer to a violation.
    #[inline]
    pub fn finish(
        self,
        server: &mut Connection<Server>,
        status: Status,
        trailers: Metadata,
    ) -> Result<(), Misuse> {
        server.finish(self.id, status, trailers)
    }

    /// Ends the call at once with RST_STREAM(CANCEL), without a status: for responses that cannot be completed.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`] when the call has ended.
    pub fn cancel(self, server: &mut Connection<Server>) -> Result<(), Misuse> {
        server.cancel(self.id)
    }
}

#[allow(clippy::result_large_err, reason = "the handle and the metadata are given back")]
impl<Requests: Count, Responses: Count> ServerHandle<Requests, Responses, Unanswered> {
    /// Sets the encoding of the messages that are sent compressed.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnsupportedEncoding`] if there is no codec for it or the client did not offer it
    /// ([P-60](crate::manual::rules#p-60)), [`Misuse::UnknownCall`] if the call has ended.
    pub fn set_encoding(
        &mut self,
        server: &mut Connection<Server>,
        encoding: Option<Encoding>,
    ) -> Result<(), Misuse> {
        server.set_encoding(self.id, encoding)
    }

    /// Sends the response headers with initial metadata now, before any message ([P-20](crate::manual::rules#p-20)).
    ///
    /// # Errors
    ///
    /// The errors of [`send_headers`](Connection::send_headers), with the handle and the metadata returned.
    pub fn send_headers(
        self,
        server: &mut Connection<Server>,
        mut metadata: Metadata,
    ) -> Result<ServerHandle<Requests, Responses, Answering>, Refused<(Self, Metadata)>> {
        match server.engine.send_headers(self.id, &mut metadata) {
            Ok(()) => Ok(self.advance()),
            Err(reason) => Err(Refused::new(reason, (self, metadata))),
        }
    }

    /// Sets the initial metadata without sending anything: the response headers are sent with the first message, or
    /// ahead of the status if there is none.
    ///
    /// # Errors
    ///
    /// The errors of [`set_headers`](Connection::set_headers), with the handle and the metadata returned.
    pub fn with_metadata(
        self,
        server: &mut Connection<Server>,
        mut metadata: Metadata,
    ) -> Result<ServerHandle<Requests, Responses, Answering>, Refused<(Self, Metadata)>> {
        match server.engine.set_headers(self.id, &mut metadata) {
            Ok(()) => Ok(self.advance()),
            Err(reason) => Err(Refused::new(reason, (self, metadata))),
        }
    }

    /// Declares that there is no initial metadata: the response headers are sent with the first message, or not at
    /// all if the call has only a status ([P-33](crate::manual::rules#p-33)). This sends nothing by itself.
    pub fn without_metadata(self) -> ServerHandle<Requests, Responses, Answering> {
        self.advance()
    }
}

impl<Requests: Count> ServerHandle<Requests, Many, Answering> {
    /// Sends a response. The message is compressed if the call has an encoding. After [`Sent::Full`], wait for
    /// [`Event::Writable`](crate::Event::Writable) before the next one.
    ///
    /// # Errors
    ///
    /// The errors of [`send_message`](Connection::send_message), with the message returned.
    #[inline]
    pub fn send(&mut self, server: &mut Connection<Server>, message: Bytes) -> Result<Sent, Refused<Bytes>> {
        self.send_one_of_many(server, message, true)
    }

    /// Sends a response like [`send`](Self::send), but never compresses it.
    ///
    /// # Errors
    ///
    /// The errors of [`send`](Self::send).
    pub fn send_uncompressed(
        &mut self,
        server: &mut Connection<Server>,
        message: Bytes,
    ) -> Result<Sent, Refused<Bytes>> {
        self.send_one_of_many(server, message, false)
    }

    /// Returns whether [`send`](Self::send) would accept a response now. If not, one
    /// [`Event::Writable`](crate::Event::Writable) follows once it would.
    ///
    /// # Errors
    ///
    /// The errors of [`want_write`](Connection::want_write).
    pub fn want_write(&self, server: &mut Connection<Server>) -> Result<bool, Misuse> {
        server.want_write(self.id)
    }

    fn send_one_of_many(
        &mut self,
        server: &mut Connection<Server>,
        message: Bytes,
        compress: bool,
    ) -> Result<Sent, Refused<Bytes>> {
        let mut payload = MessagePayload::from(message);
        server
            .engine
            .send_message(self.id, &mut payload, compress)
            .map_err(|reason| Refused::new(reason, payload.into_bytes()))
    }
}

#[allow(clippy::result_large_err, reason = "the handle and the message are given back")]
impl<Requests: Count> ServerHandle<Requests, One, Answering> {
    /// Sends the one response. The status, with any trailing metadata, has to follow: [`finish`](Self::finish).
    ///
    /// # Errors
    ///
    /// The errors of [`send_message`](Connection::send_message), with the handle and the message returned.
    #[inline]
    pub fn send(
        self,
        server: &mut Connection<Server>,
        message: Bytes,
    ) -> Result<ServerHandle<Requests, One, Answered>, Refused<(Self, Bytes)>> {
        self.send_once(server, message, true)
    }

    /// Sends the response like [`send`](Self::send), but never compresses it.
    ///
    /// # Errors
    ///
    /// The errors of [`send`](Self::send).
    pub fn send_uncompressed(
        self,
        server: &mut Connection<Server>,
        message: Bytes,
    ) -> Result<ServerHandle<Requests, One, Answered>, Refused<(Self, Bytes)>> {
        self.send_once(server, message, false)
    }

    fn send_once(
        self,
        server: &mut Connection<Server>,
        message: Bytes,
        compress: bool,
    ) -> Result<ServerHandle<Requests, One, Answered>, Refused<(Self, Bytes)>> {
        let mut payload = MessagePayload::from(message);
        match server.engine.send_message(self.id, &mut payload, compress) {
            Ok(_) => Ok(self.advance()),
            Err(reason) => Err(Refused::new(reason, (self, payload.into_bytes()))),
        }
    }

    /// Sends the one response and the status OK.
    ///
    /// # Errors
    ///
    /// The errors of [`send`](Self::send).
    #[inline]
    pub fn send_and_close(
        self,
        server: &mut Connection<Server>,
        message: Bytes,
    ) -> Result<(), Refused<(Self, Bytes)>> {
        let answered = self.send(server, message)?;
        // The message was accepted, so the status after it is legal.
        let _ = answered.finish(server, Status::ok(), Metadata::new());
        Ok(())
    }
}

#[allow(clippy::result_large_err, reason = "the handle and the message are given back")]
impl<Requests: Count> ServerHandle<Requests, One, Unanswered> {
    /// Sends the one response and the status OK, without initial metadata.
    ///
    /// # Errors
    ///
    /// The errors of [`send_message`](Connection::send_message), with the handle and the message returned.
    #[inline]
    pub fn send_and_close(
        self,
        server: &mut Connection<Server>,
        message: Bytes,
    ) -> Result<(), Refused<(Self, Bytes)>> {
        self.without_metadata().send_and_close(server, message).map_err(|refused| {
            let (call, message) = refused.returned;
            Refused::new(refused.reason, (call.advance(), message))
        })
    }
}

impl<Responses: Count, Answer: AnsweringHalf> ServerHandle<Many, Responses, Answer> {
    /// Receives the next request, or the client's half-close.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`] if the call has ended.
    #[inline]
    pub fn recv(&mut self, server: &mut Connection<Server>) -> Result<Incoming, Misuse> {
        Ok(match server.recv(self.id)? {
            Recv::Message(message) => Incoming::Message(message),
            Recv::Pending | Recv::End(_) => Incoming::Pending,
            Recv::HalfClosed => Incoming::HalfClosed,
        })
    }
}

impl<Responses: Count, Answer: AnsweringHalf> ServerHandle<One, Responses, Answer> {
    /// Receives the one request, once it is complete: only the half-close shows that, because otherwise a call that
    /// is cancelled halfway could pass for a complete one ([P-75](crate::manual::rules#p-75)). The library itself
    /// answers calls with too few or too many requests ([P-72](crate::manual::rules#p-72),
    /// [P-73](crate::manual::rules#p-73)), and [`Event::Ended`](crate::Event::Ended) follows.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`] if the call has ended.
    pub fn recv(&mut self, server: &mut Connection<Server>) -> Result<Incoming, Misuse> {
        loop {
            match server.recv(self.id)? {
                Recv::Message(message) => self.held = Some(message),
                Recv::Pending | Recv::End(_) => return Ok(Incoming::Pending),
                Recv::HalfClosed => {
                    return Ok(self.held.take().map_or(Incoming::HalfClosed, Incoming::Message));
                }
            }
        }
    }
}
