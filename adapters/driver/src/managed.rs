//! A channel that manages its connections: it makes them when there are calls, makes new ones when they break, and
//! sends calls again that no server has processed. The rules are in [`channel`](crate::channel), a machine without
//! I/O.

mod deferred;
mod driver;
mod state;

pub use driver::{Connector, ConnectorFuture, ManagedDriver};

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;

use halfclose::{CallType, Cause, Code, Seed};
use halfclose_channel::{AttemptEnd, CallKey, CallStart, ChannelConfig, Connectivity, Pushback, Verdict};

use crate::client::{
    BidiStreaming, CallError, CallOptions, Channel, ClientStreaming, Invoke, OutgoingCall, RawCall,
    ServerStreaming,
};
use crate::codec::Codec;
use crate::io::Clock;
use crate::method::{Many, Method, Response};
use state::{Assigned, ManagedShared};

/// A client's channel to a name, with as many connections as it needs. Clones share it, on any thread.
///
/// The channel is IDLE until the first call. A call that finds no server fails at once with UNAVAILABLE and the
/// reason of the last attempt, or waits if its options say so ([`CallOptions::wait_for_ready`]). A call that was
/// never sent, because its connection ended, uses the next one until its deadline; one that was sent and certainly
/// not processed is sent once more. That holds for unary and server streaming calls; calls with a stream of requests
/// begin once there is a connection, and are not sent again. Unary calls are also retried by the policy of the
/// service config.
///
/// When the last clone is dropped, open calls continue to their end and the connections close.
#[derive(Clone)]
pub struct ManagedChannel {
    handle: Arc<ManagedHandle>,
}

struct ManagedHandle {
    inner: Arc<ManagedShared>,
}

impl Drop for ManagedHandle {
    fn drop(&mut self) {
        self.inner.input(|machine, now| machine.shutdown(now));
    }
}

/// A call in the machine; it is given up if dropped before its end.
struct Ticket {
    inner: Arc<ManagedShared>,
    key: CallKey,
    over: bool,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.over {
            self.inner.cancel(self.key);
        }
    }
}

impl Ticket {
    /// Waits for a connection.
    async fn assigned(&mut self) -> Result<Assigned, CallError> {
        let waited = poll_fn(|cx| self.inner.poll_assigned(self.key, cx.waker())).await;
        waited.map_err(|status| {
            self.over = true;
            CallError::unsent(status)
        })
    }

    /// Reports the end of an attempt. Returns whether another follows.
    fn ended(&mut self, assigned: &Assigned, end: AttemptEnd) -> bool {
        if !assigned.channel.is_open() {
            // The call must not use this connection again, even if the driver has not learned of its end yet.
            self.inner.input(|machine, now| machine.draining(now, assigned.connection));
        }
        let key = self.key;
        let again = self.inner.input(|machine, now| machine.attempt_ended(now, key, end)) == Verdict::Again;
        self.over = !again;
        if self.over {
            self.inner.forget(key);
        }
        again
    }
}

/// Returns what an error means for a retry.
fn end_of(error: &CallError, channel: &Channel) -> AttemptEnd {
    if !channel.is_open() && *error.cause() == Cause::NeverSent {
        return AttemptEnd::NeverSent;
    }
    if error.not_processed() && *error.cause() != Cause::NeverSent {
        return AttemptEnd::NotProcessed;
    }
    let pushback = error.trailers().get("grpc-retry-pushback-ms").map(Pushback::parse);
    // An error in the call itself would recur.
    let committed = error.has_headers() || *error.cause() == Cause::NeverSent;
    AttemptEnd::Ended { code: error.code(), committed, pushback }
}

impl ManagedChannel {
    /// Creates a channel that is IDLE. The driver must be polled, usually in a task of its own; the adapters do that.
    pub fn new<C: Connector>(connector: C, config: ChannelConfig, seed: Seed) -> (Self, ManagedDriver<C>) {
        let clock = connector.clock().clone();
        let inner = Arc::new(ManagedShared::new(config, seed, Box::new(move || clock.now())));
        let driver = ManagedDriver::new(Arc::clone(&inner), connector);
        (Self { handle: Arc::new(ManagedHandle { inner }) }, driver)
    }

    fn ticket(&self, path: &str, options: &CallOptions) -> Ticket {
        let inner = &self.handle.inner;
        let mut start = CallStart::new(path);
        start.wait_for_ready = options.wait_for_ready;
        start.deadline = options.timeout.map(|timeout| inner.now() + timeout);
        Ticket { inner: Arc::clone(inner), key: inner.start(start), over: false }
    }

    /// Returns the options of an attempt: the remaining time, and the number of earlier attempts.
    fn of_attempt(&self, options: &CallOptions, key: CallKey, assigned: &Assigned) -> CallOptions {
        let mut options = options.clone();
        if let Some(deadline) = self.handle.inner.deadline(key) {
            options.timeout = Some(deadline - self.handle.inner.now());
        }
        if assigned.previous_attempts > 0 {
            // The name and the number are valid metadata.
            let _ = options
                .metadata
                .append("grpc-previous-rpc-attempts", &assigned.previous_attempts.to_string());
        }
        options
    }

    /// Makes a call with one request and one response.
    ///
    /// # Errors
    ///
    /// [`CallError`] with the status, the trailers and the cause of the last attempt.
    pub async fn unary<Req, Res, C>(
        &self,
        method: &Method<Req, Res, C>,
        request: &Req,
        options: CallOptions,
    ) -> Result<Response<Res>, CallError>
    where
        C: Codec<Req> + Codec<Res>,
    {
        let mut ticket = self.ticket(method.path(), &options);
        loop {
            let assigned = ticket.assigned().await?;
            let attempt = self.of_attempt(&options, ticket.key, &assigned);
            match assigned.channel.unary(method, request, attempt).await {
                Ok(response) => {
                    let end = AttemptEnd::Ended { code: Code::Ok, committed: true, pushback: None };
                    ticket.ended(&assigned, end);
                    return Ok(response);
                }
                Err(error) => {
                    if !ticket.ended(&assigned, end_of(&error, &assigned.channel)) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Begins a streaming call on the connection that it is assigned.
    async fn begin<F, T>(
        &self,
        path: &str,
        options: CallOptions,
        begin: impl Fn(Channel, CallOptions) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let mut ticket = self.ticket(path, &options);
        loop {
            let assigned = ticket.assigned().await?;
            let attempt = self.of_attempt(&options, ticket.key, &assigned);
            match begin(assigned.channel.clone(), attempt).await {
                Ok(streaming) => {
                    // The call itself keeps its connection.
                    let end = AttemptEnd::Ended { code: Code::Ok, committed: true, pushback: None };
                    ticket.ended(&assigned, end);
                    return Ok(streaming);
                }
                Err(error) => {
                    if !ticket.ended(&assigned, end_of(&error, &assigned.channel)) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Begins a call with one request and any number of responses, once there is a connection.
    ///
    /// # Errors
    ///
    /// [`CallError`] when it could not be started.
    pub async fn server_streaming<Req, Res, C>(
        &self,
        method: &Method<Req, Many<Res>, C>,
        request: &Req,
        options: CallOptions,
    ) -> Result<ServerStreaming<Res, C>, CallError>
    where
        C: Codec<Req> + Codec<Res>,
    {
        let begin = |channel: Channel, options| async move {
            channel.server_streaming(method, request, options).await
        };
        self.begin(method.path(), options, begin).await
    }

    /// Begins a call with any number of requests and one response, once there is a connection.
    ///
    /// # Errors
    ///
    /// [`CallError`] when it could not be started.
    pub async fn client_streaming<Req, Res, C>(
        &self,
        method: &Method<Many<Req>, Res, C>,
        options: CallOptions,
    ) -> Result<ClientStreaming<Req, Res, C>, CallError>
    where
        C: Codec<Req> + Codec<Res>,
    {
        let begin = |channel: Channel, options| async move { channel.client_streaming(method, options) };
        self.begin(method.path(), options, begin).await
    }

    /// Begins a call with any number of requests and responses, once there is a connection.
    ///
    /// # Errors
    ///
    /// [`CallError`] when it could not be started.
    pub async fn bidi_streaming<Req, Res, C>(
        &self,
        method: &Method<Many<Req>, Many<Res>, C>,
        options: CallOptions,
    ) -> Result<BidiStreaming<Req, Res, C>, CallError>
    where
        C: Codec<Req> + Codec<Res>,
    {
        let begin = |channel: Channel, options| async move { channel.bidi_streaming(method, options) };
        self.begin(method.path(), options, begin).await
    }

    /// Makes a whole unary call in bytes, as [`unary`](Self::unary) makes one of messages.
    async fn answer(self, call: OutgoingCall) -> Result<RawCall, CallError> {
        let mut ticket = self.ticket(call.path, &call.options);
        loop {
            let assigned = ticket.assigned().await?;
            let mut attempt = call.clone();
            attempt.options = self.of_attempt(&call.options, ticket.key, &assigned);
            let answer = match assigned.channel.invoke(attempt) {
                Ok(begun) => Ok(deferred::DeferredAnswer::of(begun.into_parts().1).await),
                Err(error) => Err(error),
            };
            let error = match &answer {
                Ok(answer) if answer.outcome.status.is_ok() => None,
                Ok(answer) => Some(CallError::new(answer.outcome.clone())),
                Err(error) => Some(error.clone()),
            };
            let end = error
                .as_ref()
                .map_or(AttemptEnd::Ended { code: Code::Ok, committed: true, pushback: None }, |error| {
                    end_of(error, &assigned.channel)
                });
            if !ticket.ended(&assigned, end) {
                return answer.map(|answer| RawCall::new(None, Box::new(answer)));
            }
        }
    }

    /// Begins a call that streams, in bytes.
    async fn stream(self, call: OutgoingCall) -> Result<RawCall, CallError> {
        let begin = |channel: Channel, options| {
            let mut call = call.clone();
            call.options = options;
            async move { channel.invoke(call) }
        };
        self.begin(call.path, call.options.clone(), begin).await
    }

    /// Returns the channel's state.
    #[must_use]
    pub fn state(&self) -> Connectivity {
        self.handle.inner.input(|machine, _| machine.state())
    }

    /// Waits until the channel's state differs from `last`. Returns the new state.
    pub async fn state_changed(&self, last: Connectivity) -> Connectivity {
        poll_fn(|cx| self.handle.inner.poll_state(last, cx.waker())).await
    }

    /// Leaves IDLE, as a call would.
    pub fn connect(&self) {
        self.handle.inner.input(|machine, now| machine.connect(now));
    }

    /// Sets the service config, as JSON. An invalid one changes nothing.
    ///
    /// # Errors
    ///
    /// [`BadServiceConfig`](crate::channel::BadServiceConfig), which names the invalid field.
    pub fn set_service_config(&self, json: &str) -> Result<(), crate::channel::BadServiceConfig> {
        self.handle.inner.input(|machine, now| machine.set_service_config(now, json))
    }

    /// Accepts no new calls; those that wait for a connection fail, and those that were sent continue to their end.
    pub fn shutdown(&self) {
        self.handle.inner.input(|machine, now| machine.shutdown(now));
    }
}

/// Calls start once there is a connection; until then their handles wait.
impl Invoke for ManagedChannel {
    fn invoke(&self, call: OutgoingCall) -> Result<RawCall, CallError> {
        let sends = call.message.is_none();
        let starting: deferred::Starting = if call.call_type == CallType::UNARY && !sends {
            Box::pin(self.clone().answer(call))
        } else {
            Box::pin(self.clone().stream(call))
        };
        Ok(deferred::call(starting, sends))
    }
}

impl fmt::Debug for ManagedChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagedChannel").field("state", &self.state()).finish_non_exhaustive()
    }
}
