//! Whole header blocks: requests, response heads, trailers, and blocks for streams that are not open.

use std::sync::Arc;

use bytes::Bytes;

use super::clock::DEADLINE_GRACE;
use super::engine::{Engine, RoleKind};
use super::ids::HowClosed;
use super::memo::Memo;
use super::stream::{ContentLength, Foreign, Pending, ServerCall, ServerHead, Side, Stream};
use crate::call::types::{Cause, Outcome, Shape};
use crate::config::Limits;
use crate::error::{Flood, Violation};
use crate::frame::ErrorCode;
use crate::grpc::encoding::Encoding;
use crate::grpc::head::{
    RequestError, RequestHead, RequestHeadBuilder, ResponseBlock, ResponseHead, ResponseHeadBuilder,
    Trailers, TrailersBuilder, TrailersOnly,
};
use crate::grpc::message::Payload;
use crate::grpc::metadata::Metadata;
use crate::grpc::status::Status;
use crate::hpack::{BlockLimits, DecodeError, Decoder, Field};
use crate::machine::{
    ClientRecv, ClientRecvInput, ClosedStreamInput, OneRequest, ServerRecv, ServerRecvInput, ServerSend,
    ServerSendInput, Step,
};

/// A header list over its limit still has to be decoded, to keep the table in step; over this many times the limit
/// the connection ends (CVE-2016-1544).
const HARD_LIST_FACTOR: usize = 4;
/// How much of the body of an answer that is not gRPC's goes into its status message (P-28).
const MAX_FOREIGN_TEXT: usize = 1024;

/// What turns header blocks into heads, and what the last few blocks meant.
pub(super) struct HeadReader {
    requests: RequestHeadBuilder,
    responses: ResponseHeadBuilder,
    trailers: TrailersBuilder,
    request_memo: Memo<RequestHead>,
    response_memo: Memo<ResponseHead>,
    trailers_memo: Memo<Trailers>,
}

impl HeadReader {
    pub(super) fn new(limits: &Limits) -> Self {
        let limit = limits.max_header_list as usize;
        Self {
            requests: RequestHeadBuilder::new(limit),
            responses: ResponseHeadBuilder::new(limit),
            trailers: TrailersBuilder::new(limit),
            request_memo: Memo::new(4),
            response_memo: Memo::new(2),
            trailers_memo: Memo::new(2),
        }
    }

    pub(super) fn shrink(&mut self, limits: &Limits) {
        *self = Self::new(limits);
    }
}

/// Decodes one block, whatever becomes of its fields.
#[inline]
fn decode(
    decoder: &mut Decoder,
    limits: &Limits,
    block: &[u8],
    sink: impl FnMut(Field<'_>),
) -> Result<(), Violation> {
    let hard = (limits.max_header_list as usize).saturating_mul(HARD_LIST_FACTOR);
    match decoder.decode(block, &BlockLimits { max_string: hard, max_list_size: hard }, sink) {
        Ok(_) => Ok(()),
        Err(error) => Err(undecodable(error, hard)),
    }
}

#[cold]
fn undecodable(error: DecodeError, limit: usize) -> Violation {
    if error.is_limit() {
        let limit = limit as u64;
        return Violation::Flood { flood: Flood::HeaderList, met: limit.saturating_add(1), limit };
    }
    Violation::Hpack(error)
}

impl Engine {
    pub(super) fn on_header_block(
        &mut self,
        id: u32,
        end_stream: bool,
        block: &[u8],
        fault: Option<Violation>,
    ) -> Result<(), Violation> {
        match self.role {
            RoleKind::Server => self.on_request_block(id, end_stream, block, fault),
            RoleKind::Client => self.on_response_block(id, end_stream, block, fault),
        }
    }

    fn discard_block(&mut self, block: &[u8]) -> Result<(), Violation> {
        decode(&mut self.decoder, &self.config.limits, block, |_| {})
    }

    #[inline]
    fn on_request_block(
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
        let decoded = self.decode_request(block, end_stream)?;
        if id > self.accept_limit {
            // P-94: started after our last GOAWAY; the client will try elsewhere.
            return self.glitch();
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
        if self.open_streams >= self.config.limits.max_concurrent_streams {
            // P-19: refused, and so certainly not processed.
            self.glitch()?;
            self.closed_ids.insert(id, HowClosed::ResetByUs);
            self.write_reset(id, ErrorCode::REFUSED_STREAM);
            return Ok(());
        }
        match decoded {
            Ok(head) => {
                self.open_request(id, end_stream, head);
                Ok(())
            }
            Err(RequestError::Malformed(reason)) => Err(Violation::Malformed(reason)),
            Err(RequestError::Refused { http_status, status, content_length }) => {
                let slot = self.refuse_request(id, end_stream, http_status, status);
                if let Some(stream) = self.slots.get_mut(slot) {
                    stream.content_length = content_length.map(|expected| ContentLength { expected, met: 0 });
                }
                Ok(())
            }
        }
    }

    /// HEADERS on a stream that the client has opened before, or may not open.
    #[cold]
    fn on_late_block(&mut self, id: u32, end_stream: bool, block: &[u8]) -> Result<(), Violation> {
        self.discard_block(block)?;
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
        Ok(())
    }

    #[inline]
    fn decode_request(
        &mut self,
        block: &[u8],
        end_stream: bool,
    ) -> Result<Result<Arc<RequestHead>, RequestError>, Violation> {
        let generation = self.decoder.generation();
        let reader = &mut self.heads;
        // A block that ends the stream may be judged otherwise (content-length), so only open ones are remembered.
        if !end_stream && let Some(head) = reader.request_memo.get(block, generation) {
            return Ok(Ok(Arc::clone(head)));
        }
        let builder = &mut reader.requests;
        decode(&mut self.decoder, &self.config.limits, block, |field| {
            builder.field(field.name, field.value);
        })?;
        let head = match builder.finish(end_stream) {
            Ok(head) => Arc::new(head),
            Err(error) => return Ok(Err(error)),
        };
        if !end_stream && generation == self.decoder.generation() {
            reader.request_memo.put(block, generation, &head);
        }
        Ok(Ok(head))
    }

    fn insert_server(&mut self, id: u32, end_stream: bool) -> u32 {
        let input = if end_stream { ServerRecvInput::HeadersEnd } else { ServerRecvInput::Headers };
        let recv = match ServerRecv::Idle.step(input) {
            Step::To(next) => next,
            _ => ServerRecv::Idle,
        };
        let side = Side::Server(ServerCall {
            send: ServerSend::AwaitHeaders,
            recv,
            requests: OneRequest::Missing,
            request: None,
            head: ServerHead::Unset,
            status: None,
            cause: None,
        });
        let windows = (self.peer.initial_window, self.config.initial_stream_window);
        let mut stream = Stream::new(side, Shape::BIDI, windows.0, windows.1);
        stream.recv_window += self.unacknowledged_window();
        stream.id = id;
        let slot = self.slots.insert(stream);
        self.ids.insert(id, slot);
        self.open_streams = self.open_streams.saturating_add(1);
        self.clock.call_started(&self.config);
        slot
    }

    #[inline]
    fn open_request(&mut self, id: u32, end_stream: bool, head: Arc<RequestHead>) {
        if self.config.require_te && !head.te_trailers {
            let status = Status::internal("the request lacks te: trailers");
            self.refuse_request(id, end_stream, 400, status);
            return;
        }
        let encoding = match head.encoding_name().filter(|name| *name != b"identity") {
            None => None,
            Some(name) => match self.known_encoding(name) {
                Some(encoding) => Some(encoding),
                None => {
                    // P-10, P-52: the answer lists what is understood.
                    let name = String::from_utf8_lossy(name);
                    let status = Status::unimplemented(format!("grpc-encoding {name:?} is not supported"));
                    self.refuse_request(id, end_stream, 200, status);
                    return;
                }
            },
        };
        let deadline = head.timeout.map(|timeout| self.now + timeout);
        let content_length = head.content_length;
        let slot = self.insert_server(id, end_stream);
        let Some(stream) = self.slots.get_mut(slot) else { return };
        stream.peer_encoding = encoding;
        stream.content_length = content_length.map(|expected| ContentLength { expected, met: 0 });
        stream.deadline = deadline;
        if let Side::Server(call) = &mut stream.side {
            call.request = Some(head);
        }
        if let Some(deadline) = deadline {
            self.deadlines.insert(slot, deadline + DEADLINE_GRACE);
        }
        self.tell(slot, Pending::REQUEST);
    }

    /// The encoding of that name, if there is a codec for it.
    fn known_encoding(&self, name: &[u8]) -> Option<Encoding> {
        self.config.codecs.get(name)?;
        Encoding::from_name(name)
    }

    /// Answers a request that no handler will hear of: Trailers-Only, or an HTTP status with a short body for clients
    /// that may not speak gRPC (P-2, P-8).
    #[cold]
    fn refuse_request(&mut self, id: u32, end_stream: bool, http_status: u16, status: Status) -> u32 {
        let slot = self.insert_server(id, end_stream);
        let Some(stream) = self.slots.get_mut(slot) else { return slot };
        stream.caller_done = true;
        let Side::Server(call) = &mut stream.side else { return slot };
        if http_status != 200 {
            call.head = ServerHead::Refused(http_status);
            stream.queue.push_raw(Bytes::copy_from_slice(status.message().as_bytes()));
            self.queued_octets = self.queued_octets.saturating_add(stream.queue.weight());
        }
        if let Step::To(next) = call.send.step(ServerSendInput::Status) {
            call.send = next;
        }
        if let Step::To(next) = call.recv.step(ServerRecvInput::Cancel) {
            call.recv = next;
        }
        call.status = Some((status, Metadata::new()));
        self.schedule(slot);
        slot
    }

    #[inline]
    fn on_response_block(
        &mut self,
        id: u32,
        end_stream: bool,
        block: &[u8],
        fault: Option<Violation>,
    ) -> Result<(), Violation> {
        let Some(slot) = self.ids.get(id) else {
            self.glitch()?;
            self.discard_block(block)?;
            return self.on_closed_stream(id, ClosedStreamInput::Headers);
        };
        let state = match self.slots.get(slot).map(|stream| &stream.side) {
            Some(Side::Client(call)) => call.recv,
            _ => return self.discard_block(block),
        };
        if state == ClientRecv::AwaitHeaders {
            let decoded = self.decode_response(block, end_stream)?;
            fault.map_or(Ok(()), Err)?;
            return self.on_response_head(slot, decoded?);
        }
        let trailers = self.decode_trailers(block)?;
        fault.map_or(Ok(()), Err)?;
        let input = if end_stream { ClientRecvInput::HeadersEnd } else { ClientRecvInput::Headers };
        self.step_client_recv(slot, input)?;
        let trailers = trailers?;
        if end_stream {
            self.on_trailers(slot, &trailers, Cause::Trailers);
        }
        Ok(())
    }

    fn step_client_recv(&mut self, slot: u32, input: ClientRecvInput) -> Result<(), Violation> {
        let Some(stream) = self.slots.get_mut(slot) else { return Ok(()) };
        let Side::Client(call) = &mut stream.side else { return Ok(()) };
        match call.recv.step(input) {
            Step::To(next) => call.recv = next,
            Step::Stream(breach) | Step::Connection(breach) => return Err(Violation::Order(breach)),
            Step::Ignore | Step::Misuse(_) | Step::Cardinality(_) => {}
        }
        Ok(())
    }

    #[inline]
    fn decode_response(
        &mut self,
        block: &[u8],
        end_stream: bool,
    ) -> Result<Result<Decoded, Violation>, Violation> {
        let generation = self.decoder.generation();
        let reader = &mut self.heads;
        if !end_stream && let Some(head) = reader.response_memo.get(block, generation) {
            return Ok(Ok(Decoded::Headers(Arc::clone(head))));
        }
        let builder = &mut reader.responses;
        decode(&mut self.decoder, &self.config.limits, block, |field| {
            builder.field(field.name, field.value);
        })?;
        Ok(match builder.finish(end_stream) {
            Err(reason) => Err(Violation::Malformed(reason)),
            Ok(ResponseBlock::Informational(_)) => Ok(Decoded::Informational),
            Ok(ResponseBlock::TrailersOnly(trailers)) => Ok(Decoded::TrailersOnly(Box::new(trailers))),
            Ok(ResponseBlock::Headers(head)) => {
                let head = Arc::new(head);
                if generation == self.decoder.generation() {
                    reader.response_memo.put(block, generation, &head);
                }
                Ok(Decoded::Headers(head))
            }
        })
    }

    #[inline]
    fn decode_trailers(&mut self, block: &[u8]) -> Result<Result<Arc<Trailers>, Violation>, Violation> {
        let generation = self.decoder.generation();
        let reader = &mut self.heads;
        if let Some(trailers) = reader.trailers_memo.get(block, generation) {
            return Ok(Ok(Arc::clone(trailers)));
        }
        let builder = &mut reader.trailers;
        decode(&mut self.decoder, &self.config.limits, block, |field| {
            builder.field(field.name, field.value);
        })?;
        Ok(match builder.finish() {
            Err(reason) => Err(Violation::Malformed(reason)),
            Ok(trailers) => {
                let trailers = Arc::new(trailers);
                if generation == self.decoder.generation() {
                    reader.trailers_memo.put(block, generation, &trailers);
                }
                Ok(trailers)
            }
        })
    }

    #[inline]
    fn on_response_head(&mut self, slot: u32, decoded: Decoded) -> Result<(), Violation> {
        match decoded {
            Decoded::Informational => {
                self.glitch()?;
                self.step_client_recv(slot, ClientRecvInput::Informational)
            }
            Decoded::TrailersOnly(only) => {
                self.step_client_recv(slot, ClientRecvInput::HeadersEnd)?;
                let cause = match only.http_status {
                    200 => Cause::TrailersOnly,
                    other => Cause::Http(other),
                };
                self.on_trailers(slot, &Arc::new(only.trailers), cause);
                Ok(())
            }
            Decoded::Headers(head) => {
                self.step_client_recv(slot, ClientRecvInput::Headers)?;
                self.on_headers(slot, head);
                Ok(())
            }
        }
    }

    #[inline]
    fn on_headers(&mut self, slot: u32, head: Arc<ResponseHead>) {
        if let Some(status) = &head.failure {
            if head.is_grpc {
                // P-30, P-45: what came cannot be handed on whole, so no status of the server may call it complete.
                return self.reject(slot, status.clone());
            }
            let foreign = Foreign { status: status.clone(), http_status: head.http_status, text: Vec::new() };
            return self.await_foreign_body(slot, foreign);
        }
        let name = head.encoding_name().filter(|name| *name != b"identity");
        let encoding = name.and_then(|name| self.known_encoding(name));
        if let (Some(name), None) = (name, encoding) {
            // P-52.
            let name = String::from_utf8_lossy(name);
            return self.reject(slot, Status::internal(format!("grpc-encoding {name:?} is not supported")));
        }
        let Some(stream) = self.slots.get_mut(slot) else { return };
        stream.peer_encoding = encoding;
        stream.content_length = head.content_length.map(|expected| ContentLength { expected, met: 0 });
        if let Side::Client(call) = &mut stream.side {
            call.response = Some(head);
        }
        self.tell(slot, Pending::RESPONSE);
    }

    #[cold]
    fn await_foreign_body(&mut self, slot: u32, foreign: Foreign) {
        if let Some(stream) = self.slots.get_mut(slot)
            && let Side::Client(call) = &mut stream.side
        {
            call.foreign = Some(Box::new(foreign));
        }
    }

    /// P-28: the body of an answer that is not gRPC's says why; a bounded part of it goes into the status message.
    #[cold]
    pub(super) fn on_foreign_body(
        &mut self,
        slot: u32,
        payload: Payload<'_>,
        end: bool,
    ) -> Result<(), Violation> {
        let octets = payload.as_slice();
        self.credit_stream(slot, u32::try_from(octets.len()).unwrap_or(u32::MAX));
        let Some(stream) = self.slots.get_mut(slot) else { return Ok(()) };
        let Side::Client(call) = &mut stream.side else { return Ok(()) };
        let Some(foreign) = &mut call.foreign else { return Ok(()) };
        let room = MAX_FOREIGN_TEXT.saturating_sub(foreign.text.len());
        foreign.text.extend_from_slice(octets.get(..room).unwrap_or(octets));
        if end || octets.len() >= room {
            self.finish_foreign(slot);
        }
        Ok(())
    }

    /// Ends a call whose answer is not gRPC's, with the status that its head called for.
    fn finish_foreign(&mut self, slot: u32) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let Side::Client(call) = &mut stream.side else { return };
        let Some(foreign) = call.foreign.take() else { return };
        let over = call.recv == ClientRecv::Ended;
        let status = if foreign.text.is_empty() {
            foreign.status
        } else {
            let text = String::from_utf8_lossy(&foreign.text).escape_debug().to_string();
            Status::new(foreign.status.code, format!("{}: {text}", foreign.status.message()))
        };
        let cause = Cause::Http(foreign.http_status);
        if over {
            self.finish_client(slot, status, cause);
        } else {
            self.cut_client(slot, status, cause, Some(ErrorCode::CANCEL));
        }
    }

    #[inline]
    fn on_trailers(&mut self, slot: u32, trailers: &Arc<Trailers>, cause: Cause) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let truncated = stream.inbound.is_mid_message();
        let content = stream.content_length.filter(|content| content.met < content.expected);
        let foreign = match &stream.side {
            Side::Client(call) => call.foreign.is_some(),
            Side::Server(_) => false,
        };
        // P-29: an answer that is not gRPC's may still carry a grpc-status in its trailers. It is not believed when it
        // says OK: no messages were looked for.
        if foreign && trailers.status.as_ref().is_none_or(Status::is_ok) {
            return self.finish_foreign(slot);
        }
        let status = match &trailers.status {
            Some(status) => status.clone(),
            None => Status::unknown("the trailers have no grpc-status"),
        };
        let status = match content {
            Some(content) if status.is_ok() => Status::internal(format!(
                "content-length said {}, {} octets came",
                content.expected, content.met
            )),
            // P-56: what is cut must not pass for complete.
            _ if truncated && status.is_ok() => Status::internal("the stream ended inside a message"),
            _ => status,
        };
        let trailers = if trailers.metadata.is_empty() {
            Arc::clone(&self.no_metadata)
        } else {
            Arc::new(trailers.metadata.clone())
        };
        self.finish_client_with(slot, Outcome { status, trailers, cause });
    }
}

/// A response's first header block.
enum Decoded {
    Informational,
    Headers(Arc<ResponseHead>),
    TrailersOnly(Box<TrailersOnly>),
}
