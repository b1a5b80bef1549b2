//! The header blocks that a server receives: requests, and blocks on streams that are open or closed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::end::REFUSED_PATIENCE;
use super::engine::Engine;
use super::ids::HowClosed;
use super::stream::{ContentLength, Pending, ServerHeaders, Side, Stream};
use super::timers::DEADLINE_GRACE;
use crate::error::{Misuse, Violation};
use crate::frame::ErrorCode;
use crate::grpc::encoding::EncodingSet;
use crate::grpc::headers::{RequestError, RequestHeaders};
use crate::grpc::metadata::Metadata;
use crate::grpc::status::Status;
use crate::machine::{ClosedStreamInput, ServerRecvInput, ServerSendInput, Step};
use crate::types::{CallId, CallType, Cause};

impl Engine {
    #[inline(never)]
    pub(super) fn on_request_block(
        &mut self,
        id: u32,
        end_stream: bool,
        block: &[u8],
        fault: Option<Violation>,
    ) -> Result<(), Violation> {
        if id <= self.last_remote_id || id.is_multiple_of(2) {
            return self.on_late_block(id, end_stream, block);
        }
        self.last_remote_id = id;
        let decoded = match self.reader.known_request(block, end_stream) {
            Some(headers) => Ok(headers),
            None => self.reader.request(&mut self.work, &self.config.limits, block, end_stream)?,
        };
        if id > self.accept_limit {
            // P-94: the request was started after our last GOAWAY; the client will retry it elsewhere.
            self.expect_late_data(end_stream);
            return self.glitch();
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
        if self.open_streams >= self.config.limits.max_concurrent_streams {
            return self.refuse_stream(id, end_stream);
        }
        match decoded {
            Ok(headers) => {
                self.open_request(id, end_stream, headers);
                Ok(())
            }
            Err(error) => self.on_bad_request(id, end_stream, error),
        }
    }

    /// Refuses a stream above the concurrency limit with REFUSED_STREAM, which says that it was not processed
    /// ([P-19](crate::manual::rules#p-19)).
    #[cold]
    fn refuse_stream(&mut self, id: u32, end_stream: bool) -> Result<(), Violation> {
        self.glitch()?;
        self.expect_late_data(end_stream);
        self.closed_ids.insert(id, HowClosed::ResetByUs);
        self.reply_reset(id, ErrorCode::REFUSED_STREAM);
        Ok(())
    }

    /// Expects the rest of an ignored request, up to the window of a new stream, which may be in flight.
    #[cold]
    fn expect_late_data(&mut self, end_stream: bool) {
        if !end_stream {
            self.abuse.expect_late_data(self.new_windows().recv);
        }
    }

    #[cold]
    fn on_bad_request(&mut self, id: u32, end_stream: bool, error: RequestError) -> Result<(), Violation> {
        match error {
            RequestError::Malformed(reason) => Err(Violation::Malformed(reason)),
            RequestError::Refused { http_status, status, content_length, is_head } => {
                let slot = self.refuse_request(id, end_stream, http_status, status);
                if let Some(stream) = self.slots.get_mut(slot) {
                    if is_head {
                        self.ledger.sent(stream.leave_content_out(), false);
                    }
                    stream.content_length = content_length.map(|expected| ContentLength { expected, met: 0 });
                }
                Ok(())
            }
        }
    }

    /// Handles HEADERS on a stream that the client has opened before, or may not open.
    #[cold]
    fn on_late_block(&mut self, id: u32, end_stream: bool, block: &[u8]) -> Result<(), Violation> {
        self.reader.discard(&mut self.work, &self.config.limits, block)?;
        let Some(slot) = self.ids.get(id) else {
            self.glitch()?;
            return self.on_closed_stream(id, ClosedStreamInput::Headers);
        };
        let Some(stream) = self.slots.get_mut(slot) else { return Ok(()) };
        let Side::Server(call) = &mut stream.side else { return Ok(()) };
        let input = if end_stream { ServerRecvInput::HeadersEnd } else { ServerRecvInput::Headers };
        match call.recv.step(input) {
            Step::To(next) => call.recv = next,
            Step::Stream(breach) | Step::Connection(breach) => return Err(Violation::Order(breach)),
            Step::Ignore | Step::Misuse(_) | Step::Cardinality(_) => {}
        }
        // Trailers end a refused request as well as DATA with END_STREAM does.
        if end_stream {
            self.on_refused_data(slot, true);
        }
        Ok(())
    }

    /// Adds a call for a new stream and returns its slot.
    #[inline]
    fn insert_server(&mut self, id: u32, end_stream: bool, request: Option<Arc<RequestHeaders>>) -> u32 {
        let input = if end_stream { ServerRecvInput::HeadersEnd } else { ServerRecvInput::Headers };
        let slot = self.slots.insert(CallType::BIDI, self.new_windows());
        if let Some(stream) = self.slots.get_mut(slot) {
            stream.id = id;
            stream.opened = self.now;
            if let Side::Server(call) = &mut stream.side {
                if let Step::To(next) = call.recv.step(input) {
                    call.recv = next;
                }
                call.accept = request.as_ref().map_or(EncodingSet::EMPTY, |headers| headers.accept);
                let subtyped = request.as_ref().is_some_and(|headers| headers.content_subtype().is_some());
                if subtyped || self.config.codecs.has_custom() {
                    call.asked = request.as_ref().map(Arc::clone);
                }
                call.request = request;
            }
        }
        self.ids.insert(id, slot);
        self.open_streams = self.open_streams.saturating_add(1);
        self.clock.call_started(self.now, &self.config);
        slot
    }

    #[inline]
    fn open_request(&mut self, id: u32, end_stream: bool, headers: Arc<RequestHeaders>) {
        if self.config.require_te && !headers.te_trailers {
            let status = Status::internal("the request lacks te: trailers");
            self.refuse_request(id, end_stream, 400, status);
            return;
        }
        let Ok(codec) = self.codec_named(headers.encoding_name()) else {
            return self.refuse_encoding(id, end_stream, &headers);
        };
        if headers.timeout == Some(Duration::ZERO) {
            // P-7: the deadline has passed already.
            let status = Status::deadline_exceeded("the deadline passed before the call came");
            self.refuse_request(id, end_stream, 200, status);
            return;
        }
        let deadline = headers.timeout.map(|timeout| self.now + timeout);
        let content_length = headers.content_length;
        let slot = self.insert_server(id, end_stream, Some(headers));
        if let Some(stream) = self.slots.get_mut(slot) {
            stream.peer_codec = codec;
            stream.content_length = content_length.map(|expected| ContentLength { expected, met: 0 });
            stream.deadline = deadline;
        }
        self.tell(slot, Pending::REQUEST);
        if let Some(deadline) = deadline {
            self.deadlines.insert(slot, deadline + DEADLINE_GRACE);
        }
    }

    /// Refuses a request whose encoding has no codec ([P-10](crate::manual::rules#p-10),
    /// [P-52](crate::manual::rules#p-52)). The response lists the supported ones.
    #[cold]
    fn refuse_encoding(&mut self, id: u32, end_stream: bool, headers: &RequestHeaders) {
        let name = String::from_utf8_lossy(headers.encoding_name().unwrap_or_default());
        let status = Status::unimplemented(format!("grpc-encoding {name:?} is not supported"));
        self.refuse_request(id, end_stream, 200, status);
    }

    /// Refuses a request before any handler sees it: with Trailers-Only, or with an HTTP status and a short body for
    /// clients that may not speak gRPC ([P-2](crate::manual::rules#p-2), [P-8](crate::manual::rules#p-8)).
    #[cold]
    fn refuse_request(&mut self, id: u32, end_stream: bool, http_status: u16, status: Status) -> u32 {
        let slot = self.insert_server(id, end_stream, None);
        let Some(stream) = self.slots.get_mut(slot) else { return slot };
        stream.caller_done = true;
        let Side::Server(call) = &mut stream.side else { return slot };
        let text = Bytes::copy_from_slice(status.message().as_bytes());
        if let Step::To(next) = call.send.step(ServerSendInput::Status) {
            call.send = next;
        }
        if let Step::To(next) = call.recv.step(ServerRecvInput::Cancel) {
            call.recv = next;
        }
        call.status = Some((status, Metadata::new()));
        if http_status != 200 {
            self.answer_in_http(slot, http_status, text);
        }
        self.answer_within(slot);
        slot
    }

    /// Makes the response an HTTP status with this text.
    #[cold]
    fn answer_in_http(&mut self, slot: u32, http_status: u16, text: Bytes) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let Side::Server(call) = &mut stream.side else { return };
        call.headers = ServerHeaders::Refused(http_status);
        let added = stream.queue.push_raw(text);
        self.ledger.queued(added, false);
    }

    /// Schedules the response to a refused request. A window that never opens, or a transport that accepts nothing, cannot
    /// hold it for ever.
    #[cold]
    fn answer_within(&mut self, slot: u32) {
        let until = self.now + REFUSED_PATIENCE;
        if let Some(stream) = self.slots.get_mut(slot) {
            stream.deadline = Some(until);
            self.deadlines.insert(slot, until);
            self.schedule(slot);
        }
    }

    /// Answers a call with HTTP status 415, for its content subtype ([P-8](crate::manual::rules#p-8)): while nothing of an
    /// answer was given.
    #[cold]
    pub(crate) fn refuse_content_subtype(&mut self, call: CallId) -> Result<(), Misuse> {
        let slot = call.slot;
        let Some(Side::Server(side)) = self.slots.find_mut(call).map(|stream| &mut stream.side) else {
            return Err(Misuse::UnknownCall);
        };
        if let Step::Misuse(misuse) = side.send.step(ServerSendInput::Status) {
            return Err(misuse);
        }
        if !matches!(side.headers, ServerHeaders::Unset | ServerHeaders::Set(_)) {
            return Err(Misuse::HeadersTwice);
        }
        let status = Status::unknown("the content-type of the call is not one that its method takes");
        let text = Bytes::copy_from_slice(status.message().as_bytes());
        self.answer(slot, status, Cause::Trailers);
        self.answer_in_http(slot, 415, text);
        self.answer_within(slot);
        Ok(())
    }
}

impl Stream {
    /// Drops the body of the response to a refused HEAD request. Returns its weight in the send buffers.
    fn leave_content_out(&mut self) -> usize {
        if let Side::Server(call) = &mut self.side
            && let ServerHeaders::Refused(http_status) = call.headers
        {
            call.headers = ServerHeaders::RefusedHead(http_status);
        }
        self.queue.clear()
    }
}
