//! A client's calls as typed handles: one type, `ClientHandle<Requests, Responses, Sending>`, for all four call
//! types.

use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;

use super::connection::{Client, Connection};
use super::typed::{Count, Counted, HalfClosed, Many, One, Open, Refused, SendingHalf};
use crate::error::Misuse;
use crate::grpc::headers::ResponseHeaders;
use crate::grpc::status::Code;
use crate::payload::MessagePayload;
use crate::time::Time;
use crate::types::{CallId, CallType, HalfStates, Message, Outcome, Recv, Request, Sent};

/// One call of a client. `Requests` and `Responses` say how many messages go each way, [`One`] or [`Many`]; `Sending`
/// says what may still be sent, [`Open`] or [`HalfClosed`].
///
/// A handle is a [`CallId`] that knows which commands are legal next, and costs no more. It does not borrow the
/// connection: each method takes the connection that opened the call, so any number of calls can be open at once.
/// Errors that the types cannot rule out, because they depend on the server, are reported as a [`Misuse`], which
/// changes nothing.
///
/// Dropping a handle does not end its call, because a handle does not own its connection: receive the end of the call
/// by `recv`, or give the call up by [`release`](Self::release).
///
/// # Commands that do not compile
///
/// A second request on a call that carries one ([P-73](crate::manual::rules#p-73)):
///
/// ```compile_fail,E0382
/// # use halfclose::{Client, Connection, Misuse, Time};
/// fn twice(client: &mut Connection<Client>, now: Time) -> Result<(), Misuse> {
///     let call = client.unary(now, "/demo.Echo/Unary")?;
///     let _first = call.send(client, "one".into())?;
///     let _second = call.send(client, "two".into())?; // `call` was used up by the first
///     Ok(())
/// }
/// ```
///
/// ```compile_fail,E0599
/// # use halfclose::{Client, Connection, Misuse, Time};
/// fn twice(client: &mut Connection<Client>, now: Time) -> Result<(), Misuse> {
///     let call = client.server_streaming(now, "/demo.Echo/Down")?.send(client, "one".into())?;
///     call.send(client, "two".into())?; // half-closed by the first
///     Ok(())
/// }
/// ```
///
/// A message or a second half-close after the half-close ([P-80](crate::manual::rules#p-80)):
///
/// ```compile_fail,E0382
/// # use halfclose::{Client, Connection, Misuse, Time};
/// fn late(client: &mut Connection<Client>, now: Time) -> Result<(), Misuse> {
///     let mut call = client.bidi(now, "/demo.Echo/Bidi")?;
///     let _closed = call.close_send(client);
///     call.send(client, "late".into())?; // `call` was used up by the half-close
///     Ok(())
/// }
/// ```
///
/// ```compile_fail,E0599
/// # use halfclose::{Client, Connection, Misuse, Time};
/// fn twice(client: &mut Connection<Client>, now: Time) -> Result<(), Misuse> {
///     let call = client.client_streaming(now, "/demo.Echo/Up")?.close_send(client);
///     call.close_send(client); // a half-closed call has no such method
///     Ok(())
/// }
/// ```
///
/// A half-close without the one request that the method requires ([P-72](crate::manual::rules#p-72)):
///
/// ```compile_fail,E0599
/// # use halfclose::{Client, Connection, Misuse, Time};
/// fn none(client: &mut Connection<Client>, now: Time) -> Result<(), Misuse> {
///     client.unary(now, "/demo.Echo/Unary")?.close_send(client);
///     Ok(())
/// }
/// ```
///
/// Opening a call on a server:
///
/// ```compile_fail,E0599
/// # use halfclose::{Connection, Misuse, Server, Time};
/// fn open(server: &mut Connection<Server>, now: Time) -> Result<(), Misuse> {
///     server.unary(now, "/demo.Echo/Unary")?;
///     Ok(())
/// }
/// ```
///
/// Any command after the call was given up:
///
/// ```compile_fail,E0382
/// # use halfclose::{Client, Connection, Misuse, Time};
/// fn late(client: &mut Connection<Client>, now: Time) -> Result<(), Misuse> {
///     let mut call = client.bidi(now, "/demo.Echo/Bidi")?;
///     call.release(client);
///     call.recv(client)?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
#[must_use = "dropping a handle does not end its call: take its end by `recv`, or `release` it"]
pub struct ClientHandle<Requests: Count, Responses: Count, Sending: SendingHalf = Open> {
    id: CallId,
    /// The one response, kept until the status shows whether the call succeeded.
    held: Responses::Held,
    types: PhantomData<(Requests, Sending)>,
}

/// A client's unary call.
pub type UnaryCall<Sending = Open> = ClientHandle<One, One, Sending>;
/// A client's client-streaming call.
pub type ClientStreamingCall<Sending = Open> = ClientHandle<Many, One, Sending>;
/// A client's server-streaming call.
pub type ServerStreamingCall<Sending = Open> = ClientHandle<One, Many, Sending>;
/// A client's bidirectional call.
pub type BidiCall<Sending = Open> = ClientHandle<Many, Many, Sending>;

/// The result of [`recv`](ClientHandle::recv) on a call with many responses.
#[derive(Debug)]
pub enum Received {
    /// The next message. Receiving it returns its window credit to the server.
    Message(Message),
    /// Nothing yet; an [`Event::Readable`](crate::Event::Readable) follows once there is something.
    Pending,
    /// The call is over, with this outcome ([P-87](crate::manual::rules#p-87)). Returned once: the handle is stale
    /// afterwards.
    End(Outcome),
}

/// The result of [`recv`](ClientHandle::recv) on a call with one response: response and outcome together.
#[derive(Debug)]
pub struct Reply {
    /// The response, present if and only if the status is OK ([P-70](crate::manual::rules#p-70),
    /// [P-74](crate::manual::rules#p-74)).
    pub message: Option<Message>,
    /// How the call ended.
    pub outcome: Outcome,
}

impl Reply {
    /// Returns the response, or how the call failed.
    ///
    /// # Errors
    ///
    /// Returns the outcome if its status is not OK.
    #[allow(clippy::result_large_err, reason = "the outcome of a call is not an error path to be kept small")]
    pub fn into_result(self) -> Result<Message, Outcome> {
        self.message.ok_or(self.outcome)
    }
}

/// Opens calls. Each method sets the call type of the request to its own.
///
/// # Errors
///
/// The errors of [`start`](Connection::start), with the request returned.
#[allow(clippy::result_large_err, reason = "the request is given back whole")]
impl Connection<Client> {
    /// Opens a unary call: one request, one response.
    ///
    /// ```
    /// use halfclose::{Client, Config, Connection, Seed, Time};
    ///
    /// let mut client = Connection::<Client>::new(Config::client(), Seed(1), Time::ZERO);
    /// let call = client.unary(Time::ZERO, "/demo.Echo/Unary")?;
    /// let mut call = call.send(&mut client, "hello".into())?;
    /// assert!(call.recv(&mut client)?.is_none(), "the answer is still to come");
    /// # Ok::<(), halfclose::Misuse>(())
    /// ```
    #[inline]
    pub fn unary(&mut self, now: Time, request: impl Into<Request>) -> Result<UnaryCall, Refused<Request>> {
        self.open(now, request.into())
    }

    /// Opens a client-streaming call: many requests, one response.
    ///
    /// ```
    /// use halfclose::{Client, Config, Connection, Seed, Time};
    ///
    /// let mut client = Connection::<Client>::new(Config::client(), Seed(1), Time::ZERO);
    /// let mut call = client.client_streaming(Time::ZERO, "/demo.Echo/Up")?;
    /// call.send(&mut client, "one".into())?;
    /// call.send(&mut client, "two".into())?;
    /// let mut call = call.close_send(&mut client);
    /// assert!(call.recv(&mut client)?.is_none(), "the answer is still to come");
    /// # Ok::<(), halfclose::Misuse>(())
    /// ```
    #[inline]
    pub fn client_streaming(
        &mut self,
        now: Time,
        request: impl Into<Request>,
    ) -> Result<ClientStreamingCall, Refused<Request>> {
        self.open(now, request.into())
    }

    /// Opens a server-streaming call: one request, many responses.
    ///
    /// ```
    /// use halfclose::{Client, Config, Connection, Received, Seed, Time};
    ///
    /// let mut client = Connection::<Client>::new(Config::client(), Seed(1), Time::ZERO);
    /// let call = client.server_streaming(Time::ZERO, "/demo.Echo/Down")?;
    /// let mut call = call.send(&mut client, "all".into())?;
    /// assert!(matches!(call.recv(&mut client)?, Received::Pending));
    /// # Ok::<(), halfclose::Misuse>(())
    /// ```
    #[inline]
    pub fn server_streaming(
        &mut self,
        now: Time,
        request: impl Into<Request>,
    ) -> Result<ServerStreamingCall, Refused<Request>> {
        self.open(now, request.into())
    }

    /// Opens a bidirectional call: many requests, many responses, in any interleaving.
    ///
    /// ```
    /// use halfclose::{Client, Config, Connection, Received, Seed, Time};
    ///
    /// let mut client = Connection::<Client>::new(Config::client(), Seed(1), Time::ZERO);
    /// let mut call = client.bidi(Time::ZERO, "/demo.Echo/Bidi")?;
    /// call.send(&mut client, "one".into())?;
    /// assert!(matches!(call.recv(&mut client)?, Received::Pending));
    /// call.send(&mut client, "two".into())?;
    /// let call = call.close_send(&mut client);
    /// call.release(&mut client);
    /// # Ok::<(), halfclose::Misuse>(())
    /// ```
    #[inline]
    pub fn bidi(&mut self, now: Time, request: impl Into<Request>) -> Result<BidiCall, Refused<Request>> {
        self.open(now, request.into())
    }

    fn open<Requests: Count, Responses: Count>(
        &mut self,
        now: Time,
        mut request: Request,
    ) -> Result<ClientHandle<Requests, Responses>, Refused<Request>> {
        request.call_type =
            CallType { requests: Requests::CARDINALITY, responses: <Responses as Counted>::CARDINALITY };
        match self.engine.admit(now, &request) {
            Ok(()) => Ok(ClientHandle::new(self.engine.open(request))),
            Err(reason) => Err(Refused::new(reason, request)),
        }
    }
}

impl<Requests: Count, Responses: Count, Sending: SendingHalf> ClientHandle<Requests, Responses, Sending> {
    fn new(id: CallId) -> Self {
        Self { id, held: <Responses as Counted>::Held::default(), types: PhantomData }
    }

    fn half_closed(self) -> ClientHandle<Requests, Responses, HalfClosed> {
        ClientHandle { id: self.id, held: self.held, types: PhantomData }
    }

    /// Returns the call's id, which events carry and the dynamic methods of [`Connection`] accept.
    #[must_use]
    pub fn id(&self) -> CallId {
        self.id
    }

    /// Returns the response headers, once [`Event::Response`](crate::Event::Response) has announced them.
    #[must_use]
    pub fn response<'c>(&self, client: &'c Connection<Client>) -> Option<&'c Arc<ResponseHeaders>> {
        client.response(self.id)
    }

    /// Returns the states of both halves.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`] once the end of the call has been received.
    pub fn states(&self, client: &Connection<Client>) -> Result<HalfStates, Misuse> {
        client.states(self.id)
    }

    /// Ends the call at once with RST_STREAM(CANCEL), or silently if nothing has been sent yet
    /// ([P-82](crate::manual::rules#p-82), [P-83](crate::manual::rules#p-83)); `recv` then returns the outcome
    /// CANCELLED. A call that has ended already keeps its outcome ([P-89](crate::manual::rules#p-89)).
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`] once the end of the call has been received.
    pub fn cancel(&mut self, client: &mut Connection<Client>) -> Result<(), Misuse> {
        client.cancel(self.id)
    }

    /// Gives the call up: cancels it if it has not ended, and drops messages that were not received. Returns its
    /// outcome, unless `recv` has returned it before.
    pub fn release(self, client: &mut Connection<Client>) -> Option<Outcome> {
        client.release(self.id)
    }
}

#[allow(clippy::result_large_err, reason = "the handle and the message are given back")]
impl<Responses: Count> ClientHandle<One, Responses, Open> {
    /// Sends the one request and half-closes ([P-17](crate::manual::rules#p-17)), in one frame if it fits. The
    /// message is compressed if the call has an encoding.
    ///
    /// # Errors
    ///
    /// The errors of [`send_message`](Connection::send_message), with the handle and the message returned.
    #[inline]
    pub fn send(
        self,
        client: &mut Connection<Client>,
        message: Bytes,
    ) -> Result<ClientHandle<One, Responses, HalfClosed>, Refused<(Self, Bytes)>> {
        self.send_once(client, message, true)
    }

    /// Sends the request like [`send`](Self::send), but never compresses it.
    ///
    /// # Errors
    ///
    /// The errors of [`send`](Self::send).
    pub fn send_uncompressed(
        self,
        client: &mut Connection<Client>,
        message: Bytes,
    ) -> Result<ClientHandle<One, Responses, HalfClosed>, Refused<(Self, Bytes)>> {
        self.send_once(client, message, false)
    }

    fn send_once(
        self,
        client: &mut Connection<Client>,
        message: Bytes,
        compress: bool,
    ) -> Result<ClientHandle<One, Responses, HalfClosed>, Refused<(Self, Bytes)>> {
        let mut payload = MessagePayload::from(message);
        match client.engine.send_message(self.id, &mut payload, compress) {
            Ok(_) => {
                // The message was accepted, so the half-close after it is legal.
                let _ = client.half_close(self.id);
                Ok(self.half_closed())
            }
            Err(reason) => Err(Refused::new(reason, (self, payload.into_bytes()))),
        }
    }
}

impl<Responses: Count> ClientHandle<Many, Responses, Open> {
    /// Sends a request. The message is compressed if the call has an encoding. After [`Sent::Full`], wait for
    /// [`Event::Writable`](crate::Event::Writable) before the next one.
    ///
    /// # Errors
    ///
    /// The errors of [`send_message`](Connection::send_message), with the message returned. [`Misuse::CallEnded`]
    /// means that the server has ended the call; `recv` returns its status ([P-88](crate::manual::rules#p-88)).
    #[inline]
    pub fn send(&mut self, client: &mut Connection<Client>, message: Bytes) -> Result<Sent, Refused<Bytes>> {
        self.send_one_of_many(client, message, true)
    }

    /// Sends a request like [`send`](Self::send), but never compresses it.
    ///
    /// # Errors
    ///
    /// The errors of [`send`](Self::send).
    pub fn send_uncompressed(
        &mut self,
        client: &mut Connection<Client>,
        message: Bytes,
    ) -> Result<Sent, Refused<Bytes>> {
        self.send_one_of_many(client, message, false)
    }

    fn send_one_of_many(
        &mut self,
        client: &mut Connection<Client>,
        message: Bytes,
        compress: bool,
    ) -> Result<Sent, Refused<Bytes>> {
        let mut payload = MessagePayload::from(message);
        client
            .engine
            .send_message(self.id, &mut payload, compress)
            .map_err(|reason| Refused::new(reason, payload.into_bytes()))
    }

    /// Returns whether [`send`](Self::send) would accept a request now. If not, one
    /// [`Event::Writable`](crate::Event::Writable) follows once it would.
    ///
    /// # Errors
    ///
    /// The errors of [`want_write`](Connection::want_write): [`Misuse::CallEnded`] means that the server has ended
    /// the call.
    pub fn want_write(&self, client: &mut Connection<Client>) -> Result<bool, Misuse> {
        client.want_write(self.id)
    }

    /// Half-closes: no more requests will be sent, and responses go on ([P-17](crate::manual::rules#p-17),
    /// [P-80](crate::manual::rules#p-80)). If the server has ended the call, this does nothing, and `recv` has the
    /// outcome.
    #[inline]
    pub fn close_send(self, client: &mut Connection<Client>) -> ClientHandle<Many, Responses, HalfClosed> {
        let _ = client.half_close(self.id);
        self.half_closed()
    }
}

impl<Requests: Count, Sending: SendingHalf> ClientHandle<Requests, Many, Sending> {
    /// Receives the next response, or the end of the call.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`] once the end of the call has been received.
    #[inline]
    pub fn recv(&mut self, client: &mut Connection<Client>) -> Result<Received, Misuse> {
        Ok(match client.recv(self.id)? {
            Recv::Message(message) => Received::Message(message),
            // A server half-closes by its trailers, which end the call.
            Recv::Pending | Recv::HalfClosed => Received::Pending,
            Recv::End(outcome) => Received::End(outcome),
        })
    }
}

impl<Requests: Count, Sending: SendingHalf> ClientHandle<Requests, One, Sending> {
    /// Receives the complete answer: a response is valid only together with its status
    /// ([P-74](crate::manual::rules#p-74)). After `None`, one [`Event::Readable`](crate::Event::Readable) follows.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`] once the answer has been received.
    pub fn recv(&mut self, client: &mut Connection<Client>) -> Result<Option<Reply>, Misuse> {
        loop {
            match client.recv(self.id)? {
                Recv::Message(message) => self.held = Some(message),
                Recv::Pending | Recv::HalfClosed => return Ok(None),
                Recv::End(outcome) => {
                    let message = self.held.take().filter(|_| outcome.status.code == Code::Ok);
                    return Ok(Some(Reply { message, outcome }));
                }
            }
        }
    }
}
