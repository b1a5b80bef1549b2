//! A connection to one server, shared by any number of callers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use halfclose::frame::ErrorCode;
use halfclose::grpc::content_type::ContentSubtypes;
use halfclose::{
    CallType, Client, Config, Connection, ConnectionError, MessagePayload, Misuse, Request, Seed, Status,
    Time,
};

use super::call::{CallError, ReceiveHalf, SendHalf};
use super::invoke::{Invoke, OutgoingCall, RawCall};
use super::options::CallOptions;
use super::side::{ClientDriver, ClientSide};
use super::stream::{BidiStreaming, ClientStreaming, ServerStreaming};
use super::watch::LinkWatch;
use crate::codec::{self, Codec};
use crate::compression::{Offered, Outgoing};
use crate::driver::Driver;
use crate::io::{Clock, Io};
use crate::method::{Many, Method, Response};
use crate::outside;
use crate::shared::Shared;
use crate::wakers::WaitPlace;

/// Returns why a call could not be started: on a connection that is over, what ended it.
#[cold]
fn refused(connection: &Connection<Client>, misuse: Misuse) -> CallError {
    match connection.failure() {
        Some(failure) if misuse == Misuse::Closed => {
            CallError::unsent(Status::unavailable(failure.to_string()))
        }
        _ => CallError::misuse(misuse),
    }
}

/// A connection to one server. Clones share it, on any thread.
///
/// Calls start at once, before the server has sent anything, and wait for a stream while the server's limit is
/// reached ([P-19](halfclose::manual::rules#p-19)). When the last clone is dropped, open calls go on to their end and
/// then the connection closes.
#[derive(Clone, Debug)]
pub struct Channel {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared<Client>>,
    watch: Arc<LinkWatch>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Without a clock it is as late as when the connection last heard of the time.
        let now = outside::contained(|| self.shared.now()).unwrap_or(Time::ZERO);
        self.shared.command(|state| state.connection.shutdown(now));
    }
}

/// Completes when the driver of a connection has ended.
struct Closed<'a> {
    shared: &'a Arc<Shared<Client>>,
    place: WaitPlace,
}

impl Future for Closed<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { shared, place } = self.get_mut();
        shared.poll_command(cx, |state, waiter| state.poll_gone(place, waiter))
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        let Self { shared, place } = self;
        shared.command(|state| state.leave_closing(place));
    }
}

impl Channel {
    /// Begins a connection on a transport that is connected. Poll the driver until it ends, usually in its own task;
    /// the adapters' `connect` does that.
    ///
    /// `seed` varies what should differ between connections; any number will do.
    ///
    /// Where `config` names no `:authority`, it is `localhost`, as gRPC has it for transports without a host.
    pub fn new<I: Io, K: Clock>(
        io: I,
        clock: K,
        mut config: Config,
        seed: Seed,
    ) -> (Self, ClientDriver<I, K>) {
        if config.authority.is_empty() {
            config.authority = Bytes::from_static(b"localhost");
        }
        let connection = Connection::<Client>::new(config, seed, clock.now());
        let watch = Arc::<LinkWatch>::default();
        let driver = Driver::new(io, clock, connection, ClientSide { watch: Arc::clone(&watch) });
        let handle = Arc::new(Handle { shared: Arc::clone(driver.shared()), watch });
        (Self { handle }, driver)
    }

    /// Makes the request of a call that starts now.
    fn request(
        &self,
        path: &'static str,
        call_type: CallType,
        content_subtypes: ContentSubtypes,
        options: CallOptions,
    ) -> (Time, Request) {
        // A call without a deadline does not need the time; the core keeps the time that the driver last passed.
        let now = options.timeout.map_or(Time::ZERO, |_| self.handle.shared.now());
        let mut request = Request::new(path, call_type);
        request.authority = options.authority.map(outside::guard);
        request.metadata = options.metadata;
        request.deadline = options.timeout.map(|timeout| now + timeout);
        request.encoding = options.encoding;
        request.content_subtypes = content_subtypes;
        (now, request)
    }

    /// Starts a call whose messages follow later.
    fn open(
        &self,
        path: &'static str,
        call_type: CallType,
        content_subtypes: ContentSubtypes,
        options: CallOptions,
    ) -> Result<(SendHalf, ReceiveHalf), CallError> {
        let shared = &self.handle.shared;
        let (now, request) = self.request(path, call_type, content_subtypes, options);
        let started = shared.command(|state| {
            let started = state.connection.start(now, request);
            started.map_err(|misuse| refused(&state.connection, misuse))
        });
        let call = started?;
        Ok((SendHalf::new(shared, call), ReceiveHalf::new(shared, call)))
    }

    /// Starts a call with its one message and the half-close, under one lock. A call always has buffer space for its
    /// first message.
    fn start_with(
        &self,
        path: &'static str,
        call_type: CallType,
        content_subtypes: ContentSubtypes,
        payload: Result<MessagePayload, Status>,
        options: CallOptions,
    ) -> Result<ReceiveHalf, CallError> {
        let mut message = Outgoing::Plain(payload.map_err(CallError::unsent)?);
        let shared = &self.handle.shared;
        let (now, request) = self.request(path, call_type, content_subtypes, options);
        let started: Result<_, CallError> = shared.command(|state| {
            let started = state.connection.start(now, request);
            let call = started.map_err(|misuse| refused(&state.connection, misuse))?;
            let offered = message.offer(state, call, true);
            let half_closed =
                matches!(offered, Ok(Offered::Taken(_))).then(|| state.connection.half_close(call));
            Ok((call, half_closed.unwrap_or(Ok(())).and(offered)))
        });
        let (call, offered) = started?;
        // Dropping the receiving half releases a call that could not be sent.
        let receiving = ReceiveHalf::new(shared, call);
        if let Offered::Uncompressed(compression) = offered.map_err(CallError::misuse)? {
            let sent = message.compress(&compression).and_then(|()| {
                shared.command(|state| {
                    message.offer(state, call, true)?;
                    state.connection.half_close(call)
                })
            });
            sent.map_err(CallError::misuse)?;
        }
        Ok(receiving)
    }

    /// Makes a unary call: one request, one response.
    ///
    /// # Errors
    ///
    /// [`CallError`] with the status, the trailers and the cause.
    pub async fn unary<Req, Res, C>(
        &self,
        method: &Method<Req, Res, C>,
        request: &Req,
        options: CallOptions,
    ) -> Result<Response<Res>, CallError>
    where
        C: Codec<Req> + Codec<Res>,
    {
        let payload = codec::encode::<Req, C>(request);
        let mut receiving = self.start_with(
            method.path(),
            CallType::UNARY,
            <C as Codec<Res>>::CONTENT_SUBTYPES,
            payload,
            options,
        )?;
        receiving.only_response::<Res, C>().await
    }

    /// Starts a server-streaming call: one request, any number of responses. Returns without waiting for the server.
    ///
    /// # Errors
    ///
    /// [`CallError`] if the call could not be started.
    pub async fn server_streaming<Req, Res, C>(
        &self,
        method: &Method<Req, Many<Res>, C>,
        request: &Req,
        options: CallOptions,
    ) -> Result<ServerStreaming<Res, C>, CallError>
    where
        C: Codec<Req> + Codec<Res>,
    {
        let payload = codec::encode::<Req, C>(request);
        let receiving = self.start_with(
            method.path(),
            CallType::SERVER_STREAMING,
            <C as Codec<Res>>::CONTENT_SUBTYPES,
            payload,
            options,
        )?;
        Ok(ServerStreaming::new(receiving))
    }

    /// Starts a client-streaming call: any number of requests, one response.
    ///
    /// # Errors
    ///
    /// [`CallError`] if the call could not be started.
    pub fn client_streaming<Req, Res, C>(
        &self,
        method: &Method<Many<Req>, Res, C>,
        options: CallOptions,
    ) -> Result<ClientStreaming<Req, Res, C>, CallError>
    where
        C: Codec<Req> + Codec<Res>,
    {
        let (send, receive) = self.open(
            method.path(),
            CallType::CLIENT_STREAMING,
            <C as Codec<Res>>::CONTENT_SUBTYPES,
            options,
        )?;
        Ok(ClientStreaming::new(send, receive))
    }

    /// Starts a bidirectional call: any number of requests and responses, in any interleaving. Returns without
    /// waiting for the server.
    ///
    /// # Errors
    ///
    /// [`CallError`] if the call could not be started.
    pub fn bidi_streaming<Req, Res, C>(
        &self,
        method: &Method<Many<Req>, Many<Res>, C>,
        options: CallOptions,
    ) -> Result<BidiStreaming<Req, Res, C>, CallError>
    where
        C: Codec<Req> + Codec<Res>,
    {
        let (send, receive) =
            self.open(method.path(), CallType::BIDI, <C as Codec<Res>>::CONTENT_SUBTYPES, options)?;
        Ok(BidiStreaming::new(send, receive))
    }

    /// Starts a graceful shutdown: no new calls are accepted, open ones complete, then the connection closes.
    pub fn shutdown(&self) {
        let now = self.handle.shared.now();
        self.handle.shared.command(|state| state.connection.shutdown(now));
    }

    /// Closes the connection and ends every call on it now.
    pub fn close(&self) {
        let now = self.handle.shared.now();
        self.handle
            .shared
            .command(|state| state.connection.close(now, ErrorCode::NO_ERROR, "closed by the client"));
    }

    /// Waits until the connection is over and its last bytes are written. Await it after [`shutdown`](Self::shutdown)
    /// or [`close`](Self::close), so that the program does not exit before its last frames are sent.
    pub async fn closed(&self) {
        Closed { shared: &self.handle.shared, place: WaitPlace::default() }.await;
    }

    /// Returns why the connection is over, if it is and did not end gracefully.
    #[must_use]
    pub fn failure(&self) -> Option<ConnectionError> {
        self.handle.shared.lock().connection.failure().cloned()
    }

    pub(crate) fn watch(&self) -> &LinkWatch {
        &self.handle.watch
    }

    /// Returns whether the connection is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.handle.shared.lock().connection.is_closed()
    }

    /// Returns whether the connection accepts new calls.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.handle.shared.lock().connection.takes_calls()
    }
}

impl Invoke for Channel {
    #[inline]
    fn invoke(&self, call: OutgoingCall) -> Result<RawCall, CallError> {
        let OutgoingCall { path, call_type, content_subtypes, options, message } = call;
        match message {
            Some(payload) => {
                let receive = self.start_with(path, call_type, content_subtypes, Ok(payload), options)?;
                Ok(RawCall::with_message(receive))
            }
            None => {
                let (send, receive) = self.open(path, call_type, content_subtypes, options)?;
                Ok(RawCall::with_stream(send, receive))
            }
        }
    }
}
