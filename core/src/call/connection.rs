//! The connection that callers hold: the engine behind a type that knows its role.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::config::{Config, Seed};
use crate::error::{ConnectionError, Misuse};
use crate::frame::ErrorCode;
use crate::grpc::encoding::Encoding;
use crate::grpc::headers::{RequestHeaders, ResponseHeaders};
use crate::grpc::metadata::Metadata;
use crate::grpc::status::Status;
use crate::http2::engine::Engine;
use crate::http2::memory::Memory;
use crate::http2::outbox::{OwnedTransmit, Transmit};
use crate::http2::poll::Next;
use crate::http2::receive::Needed;
use crate::http2::role::RoleKind;
use crate::http2::timers::TimerKind;
use crate::payload::MessagePayload;
use crate::time::Time;
use crate::types::{CallId, CallType, Event, HalfStates, Outcome, Recv, Request, Sent};

mod sealed {
    pub trait Sealed {
        const IS_CLIENT: bool;
    }
}

/// Which end of a connection: [`Client`] or [`Server`].
pub trait Role: sealed::Sealed {}

/// The end that starts calls.
#[derive(Clone, Copy, Debug)]
pub struct Client;

/// The end that answers calls.
#[derive(Clone, Copy, Debug)]
pub struct Server;

impl sealed::Sealed for Client {
    const IS_CLIENT: bool = true;
}

impl sealed::Sealed for Server {
    const IS_CLIENT: bool = false;
}

impl Role for Client {}
impl Role for Server {}

/// One gRPC connection over HTTP/2, as a pure state machine.
///
/// # The loop
///
/// 1. Bytes in: [`receive`](Self::receive) whatever the transport brought, until it gives [`Needed::More`].
/// 2. Events out: [`poll_event`](Self::poll_event) until `None`, acting on each with the methods that take a
///    [`CallId`].
/// 3. Bytes out: [`poll_transmit`](Self::poll_transmit) until `None`, handing the bytes to the transport.
/// 4. Sleep until the transport is readable, or writable if bytes are left, or until
///    [`poll_timeout`](Self::poll_timeout); then [`handle_timeout`](Self::handle_timeout).
///
/// Orders may be given at any time; steps 2 and 3 follow them. What came before a fatal error is delivered;
/// [`Event::Closed`] comes last, once. Nothing here blocks, reads a clock, or panics on any input.
///
/// ```
/// use bytes::{Buf, BytesMut};
/// use halfclose::{Client, Config, Connection, Event, Metadata, Recv, Request, Seed, Server, CallType, Status, Time};
///
/// let now = Time::ZERO;
/// let mut client = Connection::<Client>::new(Config::client(), Seed(1), now);
/// let mut server = Connection::<Server>::new(Config::server(), Seed(2), now);
///
/// let call = client.start(now, Request::new("/demo.Echo/Say", CallType::UNARY))?;
/// client.send_message(call, "hello".into(), false)?;
/// client.half_close(call)?;
///
/// let mut wire = BytesMut::new();
/// while let Some(mut out) = client.poll_transmit(now) {
///     while out.has_remaining() {
///         let n = out.chunk().len();
///         wire.extend_from_slice(out.chunk());
///         out.advance(n);
///     }
/// }
/// server.receive(now, &mut wire)?;
/// let mut asked = None;
/// while let Some(event) = server.poll_event() {
///     if let Event::Request(call) = event {
///         assert_eq!(server.request(call)?.path(), "/demo.Echo/Say");
///         if let Recv::Message(message) = server.recv(call)? {
///             asked = Some(message.payload.clone());
///             server.send_message(call, message.payload, false)?;
///             server.finish(call, Status::ok(), Metadata::new())?;
///         }
///     }
/// }
/// assert_eq!(asked.as_deref(), Some(b"hello".as_slice()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Connection<R: Role> {
    pub(super) engine: Engine,
    role: PhantomData<R>,
}

impl<R: Role> fmt::Debug for Connection<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("role", &if R::IS_CLIENT { RoleKind::Client } else { RoleKind::Server })
            .field("closed", &self.is_closed())
            .field("idle", &self.is_idle())
            .finish_non_exhaustive()
    }
}

impl<R: Role> Connection<R> {
    /// Makes a connection that has sent and received nothing. Its preface and SETTINGS are the first that
    /// [`poll_transmit`](Self::poll_transmit) gives.
    #[must_use]
    pub fn new(config: Config, seed: Seed, now: Time) -> Self {
        let role = if R::IS_CLIENT { RoleKind::Client } else { RoleKind::Server };
        Self { engine: Engine::new(role, config, seed, now), role: PhantomData }
    }

    /// Says what is to be done next: fires the timers that are due, then gives every event, then the bytes for the
    /// transport, and only then lets the caller wait. Go on polling until it says [`Next::Wait`], and nothing is left
    /// behind, in whatever order the connection produces it.
    #[inline]
    pub fn poll(&mut self, now: Time) -> Next<'_> {
        self.engine.poll(now)
    }

    /// Parses what it can from the front of `input`, and removes it there. The work of one call is bounded by
    /// [`Limits::frames_per_turn`](crate::config::Limits::frames_per_turn) and
    /// [`Limits::bytes_per_turn`](crate::config::Limits::bytes_per_turn). How the bytes are split over calls does
    /// not matter.
    ///
    /// # Errors
    ///
    /// A [`ConnectionError`] once the peer broke a rule of the connection: what was parsed before is still delivered
    /// by [`poll_event`](Self::poll_event), a GOAWAY waits in [`poll_transmit`](Self::poll_transmit), and nothing more
    /// is read.
    #[inline]
    pub fn receive(&mut self, now: Time, input: &mut BytesMut) -> Result<Needed, ConnectionError> {
        self.engine.receive(now, input)
    }

    /// The peer has ended its side of the transport: nothing more will come. A client's calls end, and a server's whose
    /// requests are not complete. A server's other calls go on: a client may end its side after its last request and wait
    /// for the answers. They have [`Limits::half_close_timeout`](crate::Limits::half_close_timeout), and the connection
    /// ends with the last of them.
    pub fn receive_eof(&mut self, now: Time) {
        self.engine.receive_eof(now);
    }

    /// The transport has failed, in both directions: every call ends, and nothing more is written. For a read or a write
    /// that gives an error.
    pub fn transport_failed(&mut self, now: Time) {
        self.engine.transport_failed(now);
    }

    /// Acts on every timer that is due at `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        self.engine.handle_timeout(now);
    }

    /// Bytes for the transport, up to about 128 KiB at a time. Advance the [`Transmit`] by what was written; what is
    /// left is given again, in the same order, by the next call.
    #[inline]
    pub fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_>> {
        self.engine.poll_transmit(now)
    }

    /// As [`poll_transmit`](Self::poll_transmit), but the bytes are handed over for good: for transports that
    /// complete later, such as io_uring. Everything must be written before the next one is taken.
    pub fn take_transmit(&mut self, now: Time) -> Option<OwnedTransmit> {
        self.engine.take_transmit(now)
    }

    /// Returns whether [`poll_transmit`](Self::poll_transmit) may have bytes.
    #[must_use]
    #[inline]
    pub fn wants_transmit(&self) -> bool {
        self.engine.wants_transmit()
    }

    /// Returns the next thing that the caller should know.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.engine.poll_event()
    }

    /// Returns whether [`poll_event`](Self::poll_event) has something to tell.
    #[must_use]
    #[inline]
    pub fn has_events(&self) -> bool {
        self.engine.has_events()
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is wanted next, and for what.
    #[must_use]
    #[inline]
    pub fn poll_timeout(&self) -> Option<(Time, TimerKind)> {
        self.engine.poll_timeout()
    }

    /// Takes the next message of a call, or its end. [`Recv::Pending`] asks for one [`Event::Readable`].
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`] for an id that is no longer valid.
    #[inline]
    pub fn recv(&mut self, call: CallId) -> Result<Recv, Misuse> {
        self.engine.recv(call)
    }

    /// Returns what the messages that [`recv`](Self::recv) gave have come to by decompression, in bytes since the connection
    /// began; one that failed counts as the longest that is allowed. No turn of [`receive`](Self::receive) bounds this
    /// work: it is done when messages are taken, and a few bytes can ask for much of it. A caller that takes many in a
    /// row does well to let others run now and then.
    #[must_use]
    pub const fn decompressed(&self) -> u64 {
        self.engine.decompressed()
    }

    /// Queues a message; its prefix is added, and it is compressed if `compress` is set and the call has an encoding.
    /// [`Sent::Full`] asks for one [`Event::Writable`].
    ///
    /// # Errors
    ///
    /// [`Misuse::NotWritable`] when the call's or the connection's send buffer is full (an [`Event::Writable`]
    /// follows), [`Misuse::MessageTooLarge`], or a command that the call's state does not allow.
    #[inline]
    pub fn send_message(&mut self, call: CallId, payload: Bytes, compress: bool) -> Result<Sent, Misuse> {
        self.engine.send_message(call, &mut payload.into(), compress)
    }

    /// As [`send_message`](Self::send_message), with a payload in any number of pieces, which is taken only if it is queued: a
    /// caller that has to wait for buffer space keeps it without sharing it.
    ///
    /// # Errors
    ///
    /// As [`send_message`](Self::send_message); `payload` is as it was then.
    #[inline]
    pub fn send_message_from(
        &mut self,
        call: CallId,
        payload: &mut MessagePayload,
        compress: bool,
    ) -> Result<Sent, Misuse> {
        self.engine.send_message(call, payload, compress)
    }

    /// Returns whether [`send_message`](Self::send_message) would take a message now, and asks for one
    /// [`Event::Writable`] if it would not: for callers that produce a message only when there is buffer space for it.
    ///
    /// # Errors
    ///
    /// Why no message may be sent on this call any more, whatever the buffers hold: [`Misuse::AfterHalfClose`],
    /// [`Misuse::AfterStatus`], [`Misuse::SecondMessage`], [`Misuse::CallEnded`], [`Misuse::UnknownCall`].
    pub fn want_write(&mut self, call: CallId) -> Result<bool, Misuse> {
        self.engine.want_write(call)
    }

    /// Returns whether [`send_message`](Self::send_message) would take a message now. It asks for no event: whoever
    /// waits for buffer space calls [`want_write`](Self::want_write).
    #[must_use]
    pub fn is_writable(&self, call: CallId) -> bool {
        self.engine.is_writable(call)
    }

    /// Returns whether an [`Event::Writable`] is still to come for a call.
    #[must_use]
    pub fn awaits_space(&self, call: CallId) -> bool {
        self.engine.awaits_space(call)
    }

    /// Returns whether so much is queued on the connection, sixteen full send buffers or more, that a call that heard
    /// [`Sent::Full`] does well to wait for [`Event::Writable`] before it makes its next message: each one that is made
    /// early is memory too. Where the peer takes nothing, the event comes after
    /// [`Limits::stall_timeout`](crate::Limits::stall_timeout).
    #[must_use]
    pub fn sends_much(&self) -> bool {
        self.engine.sends_much()
    }

    /// Ends a call at once with RST_STREAM(CANCEL); nothing goes out if nothing had ([P-83](crate::manual::rules#p-83)). A client takes the outcome
    /// CANCELLED by [`recv`](Self::recv); a server is told by [`Event::Ended`].
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`].
    pub fn cancel(&mut self, call: CallId) -> Result<(), Misuse> {
        self.engine.cancel(call)
    }

    /// Returns the states of both halves of a call.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`].
    pub fn states(&self, call: CallId) -> Result<HalfStates, Misuse> {
        self.engine.states(call)
    }

    /// Returns the deadline of a call, if it has one. A server ends the call two milliseconds later, so that the client hears of
    /// it first from its own clock.
    #[must_use]
    pub fn deadline(&self, call: CallId) -> Option<Time> {
        self.engine.deadline(call)
    }

    /// Takes no new calls; the open ones go on to their end, then the connection closes ([P-94](crate::manual::rules#p-94)).
    pub fn shutdown(&mut self, now: Time) {
        self.engine.shutdown(now);
    }

    /// Ends the connection and every call on it now, with a GOAWAY.
    pub fn close(&mut self, now: Time, code: ErrorCode, debug: &'static str) {
        self.engine.close(now, code, debug);
    }

    /// Returns whether the connection is over. The transport may be closed once [`poll_transmit`](Self::poll_transmit) gives
    /// `None`.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.engine.is_closed()
    }

    /// Returns what the connection's messages hold of the memory that it was granted. A caller that shares memory among
    /// connections asks after each turn, and gives what is wanted or takes what is spare; one that does not need not ask:
    /// a connection begins with [`Limits::memory`](crate::Limits::memory) granted.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.engine.memory()
    }

    /// Lets the connection hold so many bytes more. Messages that waited for memory go on: look at
    /// [`poll_transmit`](Self::poll_transmit) afterwards.
    pub fn grant(&mut self, bytes: u64) {
        self.engine.grant(bytes);
    }

    /// Takes back so many bytes of what was granted, as far as they are spare, and tells how many these were. What is
    /// left is enough for what is held and for one more turn, and never less than 256 KiB, or `Limits::memory` if that
    /// is less.
    pub fn take_back(&mut self, bytes: u64) -> u64 {
        self.engine.take_back(bytes)
    }

    /// Returns whether a grant would be put to use now.
    #[must_use]
    #[inline]
    pub fn wants_memory(&self) -> bool {
        self.engine.wants_memory()
    }

    /// Returns whether there is nothing to grant, and little to take back: the question after each turn, which costs next to
    /// nothing. [`memory`](Self::memory) says how much where there is.
    #[must_use]
    #[inline]
    pub fn is_memory_settled(&self) -> bool {
        self.engine.is_memory_settled()
    }

    /// Memory is short, here or elsewhere, and no more is to be granted: ends calls that stalled for
    /// [`Limits::stall_timeout`](crate::Limits::stall_timeout) while they hold some, those that stalled first before the
    /// others, until no message waits and so many bytes are spare.
    pub fn reclaim(&mut self, now: Time, bytes: u64) {
        self.engine.reclaim(now, bytes);
    }

    /// Returns whether no call holds a slot.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.engine.is_idle()
    }

    /// Gives back memory that only serves speed; worth it when a connection has been idle for a while.
    pub fn shrink(&mut self) {
        self.engine.shrink();
    }
}

impl Connection<Client> {
    /// Starts a call. It waits for a stream while the server's SETTINGS_MAX_CONCURRENT_STREAMS are taken ([P-19](crate::manual::rules#p-19));
    /// messages may be sent at once.
    ///
    /// # Errors
    ///
    /// [`Misuse::GoingAway`] and [`Misuse::Closed`] when the connection takes no new calls,
    /// [`Misuse::TooManyQueuedCalls`], [`Misuse::InvalidPath`], [`Misuse::InvalidAuthority`],
    /// [`Misuse::UnsupportedEncoding`].
    #[inline]
    pub fn start(&mut self, now: Time, request: Request) -> Result<CallId, Misuse> {
        self.engine.start(now, request)
    }

    /// Returns whether [`start`](Self::start) may take a call: neither side is going away.
    #[must_use]
    pub fn takes_calls(&self) -> bool {
        self.engine.is_running()
    }

    /// Half-closes: no more messages will be sent ([P-17](crate::manual::rules#p-17)). Responses go on.
    ///
    /// # Errors
    ///
    /// [`Misuse::AfterHalfClose`], [`Misuse::CallEnded`] or [`Misuse::UnknownCall`].
    #[inline]
    pub fn half_close(&mut self, call: CallId) -> Result<(), Misuse> {
        self.engine.half_close(call)
    }

    /// Returns the response headers, once [`Event::Response`] told of them and until the outcome is taken, which has them from
    /// then on. Those that cannot be used are here too, without an event.
    #[must_use]
    pub fn response(&self, call: CallId) -> Option<&Arc<ResponseHeaders>> {
        self.engine.response(call)
    }

    /// Forgets a call: it is cancelled if it is still open, messages that were not taken are dropped, and no outcome is
    /// kept. Gives the outcome that it had, unless the id is no longer valid.
    pub fn release(&mut self, call: CallId) -> Option<Outcome> {
        self.engine.release(call)
    }
}

impl Connection<Server> {
    /// Returns the request headers of a call, until they are taken.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`].
    #[inline]
    pub fn request(&self, call: CallId) -> Result<&Arc<RequestHeaders>, Misuse> {
        self.engine.request(call)
    }

    /// As [`request`](Self::request), for a caller that keeps them: the connection has no more use for them.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`], also when they were taken before.
    #[inline]
    pub fn take_request(&mut self, call: CallId) -> Result<Arc<RequestHeaders>, Misuse> {
        self.engine.take_request(call)
    }

    /// Says how many messages the method takes and gives, so that wrong counts are answered ([P-72](crate::manual::rules#p-72), [P-73](crate::manual::rules#p-73)). Without it
    /// any number is taken.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`].
    #[inline]
    pub fn accept(&mut self, call: CallId, call_type: CallType) -> Result<(), Misuse> {
        self.engine.accept(call, call_type)
    }

    /// Picks the encoding of messages that are sent compressed. Before the response headers only.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnsupportedEncoding`] when there is no codec for it or the client did not offer it ([P-60](crate::manual::rules#p-60)),
    /// [`Misuse::HeadersTwice`], [`Misuse::UnknownCall`].
    pub fn set_encoding(&mut self, call: CallId, encoding: Option<Encoding>) -> Result<(), Misuse> {
        self.engine.set_encoding(call, encoding)
    }

    /// Adds to the initial metadata without sending anything: the response headers go with the first message, with the
    /// status, or by [`send_headers`](Self::send_headers) ([P-33](crate::manual::rules#p-33)).
    ///
    /// # Errors
    ///
    /// As [`send_headers`](Self::send_headers); nothing is added then.
    pub fn set_headers(&mut self, call: CallId, mut metadata: Metadata) -> Result<(), Misuse> {
        self.engine.set_headers(call, &mut metadata)
    }

    /// Sends the response headers now, with this initial metadata behind what was set. Without it they go with the first
    /// message ([P-33](crate::manual::rules#p-33)).
    ///
    /// # Errors
    ///
    /// [`Misuse::HeaderListTooLarge`] when the client says that it takes less ([P-45](crate::manual::rules#p-45)), [`Misuse::HeadersTwice`],
    /// [`Misuse::AfterStatus`], [`Misuse::CallEnded`], [`Misuse::UnknownCall`].
    pub fn send_headers(&mut self, call: CallId, mut metadata: Metadata) -> Result<(), Misuse> {
        self.engine.send_headers(call, &mut metadata)
    }

    /// Ends the call with its status, behind the messages that are queued: in trailers, or as Trailers-Only when
    /// nothing was sent before ([P-21](crate::manual::rules#p-21), [P-22](crate::manual::rules#p-22)). [`Event::Ended`] follows when it is on its way.
    ///
    /// # Errors
    ///
    /// [`Misuse::AfterStatus`], [`Misuse::CallEnded`], [`Misuse::UnknownCall`].
    #[inline]
    pub fn finish(&mut self, call: CallId, status: Status, trailers: Metadata) -> Result<(), Misuse> {
        self.engine.finish(call, status, trailers)
    }
}
