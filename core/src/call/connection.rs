//! The connection that callers hold: the engine behind a type that knows its role.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::config::{Config, Seed};
use crate::error::{ConnectionError, Misuse};
use crate::frame::ErrorCode;
use crate::grpc::compress::{CompressedPayload, Compression, DecompressError};
use crate::grpc::encoding::Encoding;
use crate::grpc::headers::{RequestHeaders, ResponseHeaders};
use crate::grpc::metadata::Metadata;
use crate::grpc::status::Status;
use crate::http2::engine::Engine;
use crate::http2::memory::Memory;
use crate::http2::outbox::{LentTransmit, OwnedTransmit, Transmit};
use crate::http2::poll::Next;
use crate::http2::receive::Needed;
use crate::http2::role::RoleKind;
use crate::http2::timers::TimerKind;
use crate::payload::MessagePayload;
use crate::time::Time;
use crate::types::{CallId, CallType, Event, HalfStates, LazyRecv, Outcome, Recv, Request, Sent};

mod sealed {
    pub trait Sealed {
        const IS_CLIENT: bool;
    }
}

/// The role of one end of a connection: [`Client`] or [`Server`].
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
/// Call [`poll`](Self::poll) and do what it says, until it says [`Next::Wait`]; then sleep until what the wait names, give
/// the bytes that came to [`receive`](Self::receive), and go on:
///
/// | `poll` says | the caller |
/// |---|---|
/// | [`Next::Event`] | acts on it, with the methods that take a [`CallId`] |
/// | [`Next::Transmit`] | writes what the transport takes now, and advances by that |
/// | [`Next::Receive`] | calls [`receive`](Self::receive) again: input is left |
/// | [`Next::Wait`] | sleeps until there are bytes to read, or space to write, or the time has come |
/// | [`Next::Close`] | closes the transport |
///
/// Nothing else has to be asked, in no other order: `poll` says that the caller may wait only when everything else is done.
/// Commands may be given at any time; poll after them. What came before a fatal error is still delivered;
/// [`Event::Closed`] is the last event, and comes once. Nothing here blocks, reads a clock, or panics on any input.
/// [`manual::embedding`](crate::manual::embedding) has the loop over a transport.
///
/// The methods that `poll` stands on ([`poll_event`](Self::poll_event), [`poll_transmit`](Self::poll_transmit),
/// [`poll_timeout`](Self::poll_timeout), [`handle_timeout`](Self::handle_timeout)) are for callers that need them apart, such as
/// a driver that shares the connection with other threads. Each may make work for the others: whoever uses them asks all
/// of them again until none has anything, before it sleeps.
///
/// ```
/// use bytes::{Buf, BytesMut};
/// use halfclose::{
///     CallId, CallType, Client, Config, Connection, Event, Metadata, Next, Recv, Request, Role, Seed, Server, Status, Time,
/// };
///
/// /// Does all that can be done, into a transport that takes everything. Returns what happened and what was written.
/// fn turn<R: Role>(connection: &mut Connection<R>, mut input: BytesMut) -> (Vec<Event>, BytesMut) {
///     let (now, mut events, mut output) = (Time::ZERO, Vec::new(), BytesMut::new());
///     // A violation is reported once more, as `Event::Closed`.
///     let _ = connection.receive(now, &mut input);
///     loop {
///         match connection.poll(now) {
///             Next::Event(event) => events.push(event),
///             Next::Transmit(mut out) => output.extend_from_slice(&out.copy_to_bytes(out.remaining())),
///             Next::Receive => drop(connection.receive(now, &mut input)),
///             Next::Wait(_) | Next::Close => return (events, output),
///         }
///     }
/// }
///
/// /// A handler of a unary method: it answers when the whole request is there.
/// fn echo(server: &mut Connection<Server>, call: CallId) -> Result<(), Box<dyn std::error::Error>> {
///     while let Recv::Message(message) = server.recv(call)? {
///         server.send_message(call, message.payload, false)?;
///         server.finish(call, Status::ok(), Metadata::new())?;
///     }
///     Ok(())
/// }
///
/// let mut client = Connection::<Client>::new(Config::client(), Seed(1), Time::ZERO);
/// let mut server = Connection::<Server>::new(Config::server(), Seed(2), Time::ZERO);
/// let call = client.start(Time::ZERO, Request::new("/demo.Echo/Say", CallType::UNARY))?;
/// client.send_message(call, "hello".into(), false)?;
/// client.half_close(call)?;
///
/// let (_, up) = turn(&mut client, BytesMut::new());
/// let (events, mut down) = turn(&mut server, up);
/// for event in events {
///     match event {
///         Event::Request(call) => {
///             assert_eq!(server.request(call)?.path(), "/demo.Echo/Say");
///             server.accept(call, CallType::UNARY)?;
///             echo(&mut server, call)?;
///         }
///         Event::Readable(call) => echo(&mut server, call)?,
///         _ => {}
///     }
/// }
/// // The handler gave commands: poll again.
/// down.unsplit(turn(&mut server, BytesMut::new()).1);
/// turn(&mut client, down);
/// assert!(matches!(client.recv(call)?, Recv::Message(answer) if answer.payload == "hello"));
/// assert!(matches!(client.recv(call)?, Recv::End(outcome) if outcome.status.is_ok()));
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
    /// Makes a connection that has sent and received nothing. [`poll_transmit`](Self::poll_transmit) returns its
    /// preface and SETTINGS first.
    #[must_use]
    pub fn new(config: Config, seed: Seed, now: Time) -> Self {
        let role = if R::IS_CLIENT { RoleKind::Client } else { RoleKind::Server };
        Self { engine: Engine::new(role, config, seed, now), role: PhantomData }
    }

    /// Returns what to do next: fires the timers that are due, then returns every event, then the bytes for the
    /// transport, and only then lets the caller wait. Poll until [`Next::Wait`], and nothing is left undone, whatever
    /// the connection produces in between.
    #[inline]
    pub fn poll(&mut self, now: Time) -> Next<'_> {
        self.engine.poll(now)
    }

    /// Parses the complete frames at the front of `input`, and removes them from it. One call does a bounded amount
    /// of work: [`Limits::frames_per_turn`](crate::Limits::frames_per_turn) and
    /// [`Limits::bytes_per_turn`](crate::Limits::bytes_per_turn). How the bytes are split over calls does not
    /// matter.
    ///
    /// # Errors
    ///
    /// A [`ConnectionError`] once the peer has broken a rule of the connection. [`poll_event`](Self::poll_event)
    /// still delivers what was parsed before, [`poll_transmit`](Self::poll_transmit) returns a GOAWAY, and nothing
    /// more is read.
    #[inline]
    pub fn receive(&mut self, now: Time, input: &mut BytesMut) -> Result<Needed, ConnectionError> {
        self.engine.receive(now, input)
    }

    /// Handles the end of the peer's side of the transport: no more bytes will arrive. Every call of a client ends,
    /// and every call of a server whose request is not complete. A server's other calls go on, because a client may
    /// end its side after its last request and wait for the responses. They have
    /// [`Limits::half_close_timeout`](crate::Limits::half_close_timeout), and the connection ends with the last of
    /// them.
    pub fn receive_eof(&mut self, now: Time) {
        self.engine.receive_eof(now);
    }

    /// Handles a failure of the transport, such as an error of a read or a write: ends every call and drops all
    /// output.
    pub fn transport_failed(&mut self, now: Time) {
        self.engine.transport_failed(now, None);
    }

    /// As [`transport_failed`](Self::transport_failed), with what is known of why: the connection and its calls end with
    /// [`ConnectionError::Transport`].
    pub fn transport_failed_because(&mut self, now: Time, why: impl Into<Cow<'static, str>>) {
        self.engine.transport_failed(now, Some(why.into()));
    }

    /// Returns why the connection is over, if it is and did not end gracefully.
    #[must_use]
    pub fn failure(&self) -> Option<&ConnectionError> {
        self.engine.failure.as_ref()
    }

    /// Fires every timer that is due at `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        self.engine.handle_timeout(now);
    }

    /// Returns bytes for the transport, up to about 128 KiB at a time. Advance the [`Transmit`] by the number of
    /// bytes written; the next call returns the rest in the same order.
    #[inline]
    pub fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_>> {
        self.engine.poll_transmit(now)
    }

    /// Returns bytes for the transport like [`poll_transmit`](Self::poll_transmit), but hands them over for good: for
    /// transports that complete writes later, such as io_uring. The caller has to write all of them before the next
    /// ones.
    pub fn take_transmit(&mut self, now: Time) -> Option<OwnedTransmit> {
        self.engine.take_transmit(now)
    }

    /// As [`poll_transmit`](Self::poll_transmit), but the bytes move to `to`, which is empty: for callers that share the
    /// connection and must not hold it while the transport is at work. Returns whether there are any. Say by
    /// [`lent_written`](Self::lent_written) how many of them the transport took; nothing more is given out before it took
    /// them all.
    #[inline]
    pub fn lend_transmit(&mut self, now: Time, to: &mut LentTransmit) -> bool {
        self.engine.lend_transmit(now, to)
    }

    /// Notes that the transport accepted `bytes` of the bytes that [`lend_transmit`](Self::lend_transmit) lent.
    #[inline]
    pub fn lent_written(&mut self, bytes: usize) {
        self.engine.lent_written(bytes);
    }

    /// Returns whether [`poll_transmit`](Self::poll_transmit) may have bytes.
    #[must_use]
    #[inline]
    pub fn wants_transmit(&self) -> bool {
        self.engine.wants_transmit()
    }

    /// Returns the next event, if there is one.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.engine.poll_event()
    }

    /// Returns whether [`poll_event`](Self::poll_event) would return an event.
    #[must_use]
    #[inline]
    pub fn has_events(&self) -> bool {
        self.engine.has_events()
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) has to be called next, and for which timer.
    #[must_use]
    #[inline]
    pub fn poll_timeout(&self) -> Option<(Time, TimerKind)> {
        self.engine.poll_timeout()
    }

    /// Receives the next message of a call, or its end. After [`Recv::Pending`], one [`Event::Readable`] follows.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`] for an id that is no longer valid.
    #[inline]
    pub fn recv(&mut self, call: CallId) -> Result<Recv, Misuse> {
        self.engine.recv(call)
    }

    /// As [`recv`](Self::recv), but a compressed message comes as it is, as [`LazyRecv::Compressed`]: for callers that share the
    /// connection and must not hold it while a codec runs. One that cannot be decompressed is told by
    /// [`fail_message`](Self::fail_message).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    #[inline]
    pub fn recv_lazily(&mut self, call: CallId) -> Result<LazyRecv, Misuse> {
        self.engine.recv_lazily(call)
    }

    /// Ends a call whose [`LazyRecv::Compressed`] could not be decompressed, as [`recv`](Self::recv) does. Gives what a client's
    /// caller receives then: the end.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`].
    pub fn fail_message(&mut self, call: CallId, error: DecompressError) -> Result<Recv, Misuse> {
        self.engine.fail_message(call, error)
    }

    /// Returns what [`recv`](Self::recv) has done to decompress messages since the connection began, failed ones included, in
    /// the unit of [`Decompression::work`](crate::grpc::compress::Decompression::work): a byte that came out counts as one, a byte that went in as 32, a message by
    /// itself as 16 KiB. No turn of [`receive`](Self::receive) bounds this work: it is done when messages are taken, and
    /// a few bytes can ask for much of it. A caller that takes many in a row does well to let others run now and then;
    /// [`recv_lazily`](Self::recv_lazily) lets it do so within a message.
    #[must_use]
    pub const fn decompressed(&self) -> u64 {
        self.engine.decompressed()
    }

    /// Queues a message. Its prefix is added, and it is compressed if `compress` is set and the call has an encoding.
    /// After [`Sent::Full`], wait for [`Event::Writable`] before the next one.
    ///
    /// # Errors
    ///
    /// [`Misuse::NotWritable`] if the send buffer of the call or the memory of the connection is full (an
    /// [`Event::Writable`] follows), [`Misuse::MessageTooLarge`], or the misuse of a command that the call's state
    /// does not allow.
    #[inline]
    pub fn send_message(&mut self, call: CallId, payload: Bytes, compress: bool) -> Result<Sent, Misuse> {
        self.engine.send_message(call, &mut payload.into(), compress)
    }

    /// Queues a message like [`send_message`](Self::send_message), from a payload in any number of pieces. The
    /// payload is taken only if it is queued, so a caller that has to wait for buffer space keeps it without sharing
    /// it.
    ///
    /// # Errors
    ///
    /// The errors of [`send_message`](Self::send_message); `payload` is unchanged then.
    #[inline]
    pub fn send_message_from(
        &mut self,
        call: CallId,
        payload: &mut MessagePayload,
        compress: bool,
    ) -> Result<Sent, Misuse> {
        self.engine.send_message(call, payload, compress)
    }

    /// Returns how messages of this call are compressed, if it has an encoding: for callers that share the connection and
    /// must not hold it while a codec runs.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`].
    pub fn compression(&self, call: CallId) -> Result<Option<Compression>, Misuse> {
        self.engine.compression(call)
    }

    /// As [`send_message_from`](Self::send_message_from), with a message that [`Compression::compress`] made.
    ///
    /// # Errors
    ///
    /// As [`send_message`](Self::send_message), and [`Misuse::UnsupportedEncoding`] where the call's encoding is another
    /// one by now.
    pub fn send_compressed(&mut self, call: CallId, payload: &mut CompressedPayload) -> Result<Sent, Misuse> {
        self.engine.send_compressed(call, payload)
    }

    /// Returns whether [`send_message`](Self::send_message) would take a message now, and asks for one
    /// [`Event::Writable`] if it would not: for callers that produce a message only when there is buffer space for it.
    ///
    /// # Errors
    ///
    /// Why no message may be sent on this call any more, regardless of buffer space: [`Misuse::AfterHalfClose`],
    /// [`Misuse::AfterStatus`], [`Misuse::SecondMessage`], [`Misuse::CallEnded`], [`Misuse::UnknownCall`].
    pub fn want_write(&mut self, call: CallId) -> Result<bool, Misuse> {
        self.engine.want_write(call)
    }

    /// Returns whether [`send_message`](Self::send_message) would accept a message now. No event follows; to wait for
    /// buffer space, call [`want_write`](Self::want_write).
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

    /// Ends a call at once with RST_STREAM(CANCEL), or silently if nothing has been sent yet
    /// ([P-83](crate::manual::rules#p-83)). A client receives the outcome CANCELLED by [`recv`](Self::recv); a server
    /// gets [`Event::Ended`].
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

    /// Returns the deadline of a call, if it has one. A server ends the call two milliseconds after it, so that the
    /// client's own timer fires first.
    #[must_use]
    pub fn deadline(&self, call: CallId) -> Option<Time> {
        self.engine.deadline(call)
    }

    /// Starts a graceful shutdown: no new calls are accepted, open ones complete, then the connection closes
    /// ([P-94](crate::manual::rules#p-94)).
    pub fn shutdown(&mut self, now: Time) {
        self.engine.shutdown(now);
    }

    /// Ends the connection and every call on it now, with a GOAWAY.
    pub fn close(&mut self, now: Time, code: ErrorCode, debug: &'static str) {
        self.engine.close(now, code, debug);
    }

    /// Returns whether the connection is over. The transport may be closed once
    /// [`poll_transmit`](Self::poll_transmit) returns `None`.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.engine.is_closed()
    }

    /// Returns how much memory the connection's messages hold, and how much it was granted. A caller that shares
    /// memory among connections reads this after each turn, then grants what is wanted and takes back what is spare.
    /// A caller that does not share memory can ignore it: a connection begins with a grant of
    /// [`Limits::memory`](crate::Limits::memory).
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.engine.memory()
    }

    /// Grants the connection `bytes` more bytes of memory. Messages that waited for memory go on; call
    /// [`poll_transmit`](Self::poll_transmit) afterwards.
    pub fn grant(&mut self, bytes: u64) {
        self.engine.grant(bytes);
    }

    /// Takes back up to `bytes` bytes of the memory that was granted, as far as they are spare. Returns how many
    /// these were. The rest is enough for what the connection holds and for one more turn, and never less than 256
    /// KiB, or than `Limits::memory` if that is less.
    pub fn take_back(&mut self, bytes: u64) -> u64 {
        self.engine.take_back(bytes)
    }

    /// Returns whether the connection would use a grant now.
    #[must_use]
    #[inline]
    pub fn wants_memory(&self) -> bool {
        self.engine.wants_memory()
    }

    /// Returns whether the connection wants no memory and has little to take back. It is cheap enough to call after
    /// each turn; [`memory`](Self::memory) has the amounts.
    #[must_use]
    #[inline]
    pub fn is_memory_settled(&self) -> bool {
        self.engine.is_memory_settled()
    }

    /// Frees memory that is needed here or elsewhere and cannot be granted: ends calls that hold memory and have
    /// stalled for [`Limits::stall_timeout`](crate::Limits::stall_timeout), the longest stalled first, until no message
    /// waits for memory and `bytes` bytes are spare.
    pub fn reclaim(&mut self, now: Time, bytes: u64) {
        self.engine.reclaim(now, bytes);
    }

    /// Returns whether no call holds a slot.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.engine.is_idle()
    }

    /// Frees caches and spare capacity. Worth calling when a connection has been idle for a while.
    pub fn shrink(&mut self) {
        self.engine.shrink();
    }
}

impl Connection<Client> {
    /// Starts a call. It waits for a stream while the server's SETTINGS_MAX_CONCURRENT_STREAMS allows no more
    /// ([P-19](crate::manual::rules#p-19)); messages may be sent at once.
    ///
    /// # Errors
    ///
    /// [`Misuse::GoingAway`] and [`Misuse::Closed`] if the connection accepts no new calls,
    /// [`Misuse::TooManyQueuedCalls`], [`Misuse::InvalidPath`], [`Misuse::InvalidAuthority`],
    /// [`Misuse::UnsupportedEncoding`].
    #[inline]
    pub fn start(&mut self, now: Time, request: Request) -> Result<CallId, Misuse> {
        self.engine.start(now, request)
    }

    /// Returns whether [`start`](Self::start) may accept a call, because neither side is going away.
    #[must_use]
    pub fn takes_calls(&self) -> bool {
        self.engine.is_running()
    }

    /// Half-closes: no more messages will be sent ([P-17](crate::manual::rules#p-17)); responses go on.
    ///
    /// # Errors
    ///
    /// [`Misuse::AfterHalfClose`], [`Misuse::CallEnded`] or [`Misuse::UnknownCall`].
    #[inline]
    pub fn half_close(&mut self, call: CallId) -> Result<(), Misuse> {
        self.engine.half_close(call)
    }

    /// Returns the response headers, from [`Event::Response`] on until the outcome is received, which then contains
    /// them. Headers that cannot be used are returned, too, but have no event.
    #[must_use]
    pub fn response(&self, call: CallId) -> Option<&Arc<ResponseHeaders>> {
        self.engine.response(call)
    }

    /// Returns the status of a call that has ended, before [`recv`](Self::recv) returns it: messages that came before the
    /// end may still be there to take. `None` while the call is open, and once its outcome was taken.
    #[must_use]
    pub fn status(&self, call: CallId) -> Option<&Status> {
        self.engine.status(call)
    }

    /// Forgets a call: cancels it if it is still open, and drops messages that were not received. Returns its
    /// outcome, unless the id is no longer valid.
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

    /// Takes the request headers of a call, for a caller that keeps them: [`request`](Self::request) fails
    /// afterwards.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`], also if they were taken before.
    #[inline]
    pub fn take_request(&mut self, call: CallId) -> Result<Arc<RequestHeaders>, Misuse> {
        self.engine.take_request(call)
    }

    /// Sets how many messages the method sends and receives, so that the library answers violations of that
    /// ([P-72](crate::manual::rules#p-72), [P-73](crate::manual::rules#p-73)). Without it, any number is accepted.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`].
    #[inline]
    pub fn accept(&mut self, call: CallId, call_type: CallType) -> Result<(), Misuse> {
        self.engine.accept(call, call_type)
    }

    /// Refuses a call whose content subtype is not one that its method takes, with HTTP status 415
    /// ([P-8](crate::manual::rules#p-8)): for callers that have looked at
    /// [`content_subtype`](crate::grpc::RequestHeaders::content_subtype), before anything of an answer was given. The
    /// call is over with that; [`Event::Ended`] follows. A call that is not refused is answered in its subtype.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownCall`], [`Misuse::HeadersTwice`] behind response headers or a message, [`Misuse::AfterStatus`] behind a
    /// status, [`Misuse::CallEnded`].
    pub fn refuse_content_subtype(&mut self, call: CallId) -> Result<(), Misuse> {
        self.engine.refuse_content_subtype(call)
    }

    /// Sets the encoding of the messages that are sent compressed. Only possible before the response headers are
    /// sent.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnsupportedEncoding`] if there is no codec for it or the client did not offer it
    /// ([P-60](crate::manual::rules#p-60)), [`Misuse::HeadersTwice`], [`Misuse::UnknownCall`].
    pub fn set_encoding(&mut self, call: CallId, encoding: Option<Encoding>) -> Result<(), Misuse> {
        self.engine.set_encoding(call, encoding)
    }

    /// Adds to the initial metadata without sending anything. The response headers are sent with the first message,
    /// with the status, or by [`send_headers`](Self::send_headers) ([P-33](crate::manual::rules#p-33)).
    ///
    /// # Errors
    ///
    /// The errors of [`send_headers`](Self::send_headers); nothing is added then.
    pub fn set_headers(&mut self, call: CallId, mut metadata: Metadata) -> Result<(), Misuse> {
        self.engine.set_headers(call, &mut metadata)
    }

    /// Sends the response headers now, with `metadata` appended to what was set before. Otherwise they are sent with
    /// the first message ([P-33](crate::manual::rules#p-33)).
    ///
    /// # Errors
    ///
    /// [`Misuse::HeaderListTooLarge`] if they exceed the client's limit ([P-45](crate::manual::rules#p-45)),
    /// [`Misuse::HeadersTwice`], [`Misuse::AfterStatus`], [`Misuse::CallEnded`], [`Misuse::UnknownCall`].
    pub fn send_headers(&mut self, call: CallId, mut metadata: Metadata) -> Result<(), Misuse> {
        self.engine.send_headers(call, &mut metadata)
    }

    /// Ends the call with its status, behind the messages that are queued: as trailers, or as Trailers-Only if
    /// nothing was sent before ([P-21](crate::manual::rules#p-21), [P-22](crate::manual::rules#p-22)).
    /// [`Event::Ended`] follows once the status has been written.
    ///
    /// # Errors
    ///
    /// [`Misuse::AfterStatus`], [`Misuse::CallEnded`], [`Misuse::UnknownCall`].
    #[inline]
    pub fn finish(&mut self, call: CallId, status: Status, trailers: Metadata) -> Result<(), Misuse> {
        self.engine.finish(call, status, trailers)
    }
}
