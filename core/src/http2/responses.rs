//! A server's header blocks, as its client takes them: response headers, trailers, and answers that are not gRPC's.

use std::sync::Arc;

use super::block_reader::FirstBlock;
use super::engine::Engine;
use super::stream::{ClientCall, ContentLength, Foreign, Pending, Side, Stream};
use crate::error::Violation;
use crate::frame::ErrorCode;
use crate::grpc::headers::{ResponseHeaders, Trailers};
use crate::grpc::message::Payload;
use crate::grpc::metadata::Metadata;
use crate::grpc::status::Status;
use crate::machine::{ClientRecv, ClientRecvInput, ClosedStreamInput, Step};
use crate::types::{Cause, Outcome};

impl Engine {
    #[inline(never)]
    pub(super) fn on_response_block(
        &mut self,
        id: u32,
        end_stream: bool,
        block: &[u8],
        fault: Option<Violation>,
    ) -> Result<(), Violation> {
        let Some(slot) = self.ids.get(id) else {
            return self.on_response_elsewhere(id, block);
        };
        let state = match self.slots.get(slot).map(|stream| &stream.side) {
            Some(Side::Client(call)) => call.recv,
            _ => return self.reader.discard(&mut self.work, &self.config.limits, block),
        };
        let first = state == ClientRecv::AwaitHeaders;
        if fault.is_some() {
            return self.on_new_block(slot, first, end_stream, block, fault);
        }
        if first {
            return match self.reader.known_response(block, end_stream) {
                Some(headers) => self.on_headers(slot, headers),
                None => self.on_new_block(slot, first, end_stream, block, fault),
            };
        }
        match self.reader.known_trailers(block) {
            Some(trailers) => self.on_last_block(slot, end_stream, &trailers),
            None => self.on_new_block(slot, first, end_stream, block, fault),
        }
    }

    /// A block that has to be decoded, for the table's sake even where its frame is at fault.
    #[inline(never)]
    fn on_new_block(
        &mut self,
        slot: u32,
        first: bool,
        end_stream: bool,
        block: &[u8],
        fault: Option<Violation>,
    ) -> Result<(), Violation> {
        if first {
            let decoded = self.reader.response(&mut self.work, &self.config.limits, block, end_stream)?;
            fault.map_or(Ok(()), Err)?;
            return self.on_first_block(slot, decoded?);
        }
        let trailers = self.reader.trailers(&mut self.work, &self.config.limits, block)?;
        fault.map_or(Ok(()), Err)?;
        match trailers {
            Ok(trailers) => self.on_last_block(slot, end_stream, &trailers),
            // Where the block may not come at all, that is what is wrong with it.
            Err(malformed) => self.step_client_recv(slot, recv_input(end_stream)).and(Err(malformed)),
        }
    }

    /// HEADERS on a stream without a call.
    #[cold]
    fn on_response_elsewhere(&mut self, id: u32, block: &[u8]) -> Result<(), Violation> {
        self.glitch()?;
        self.reader.discard(&mut self.work, &self.config.limits, block)?;
        self.on_closed_stream(id, ClosedStreamInput::Headers)
    }

    fn step_client_recv(&mut self, slot: u32, input: ClientRecvInput) -> Result<(), Violation> {
        match self.slots.get_mut(slot).map(|stream| &mut stream.side) {
            Some(Side::Client(call)) => call.step_recv(input),
            _ => Ok(()),
        }
    }

    fn on_first_block(&mut self, slot: u32, decoded: FirstBlock) -> Result<(), Violation> {
        match decoded {
            FirstBlock::Informational => {
                self.glitch()?;
                self.step_client_recv(slot, ClientRecvInput::Informational)
            }
            FirstBlock::TrailersOnly(only) => {
                self.step_client_recv(slot, ClientRecvInput::HeadersEnd)?;
                let cause = match only.http_status {
                    200 => Cause::TrailersOnly,
                    other => Cause::Http(other),
                };
                self.on_trailers(slot, &only.trailers, cause);
                Ok(())
            }
            FirstBlock::Headers(headers) => self.on_headers(slot, headers),
        }
    }

    #[inline]
    fn on_headers(&mut self, slot: u32, headers: Arc<ResponseHeaders>) -> Result<(), Violation> {
        let codec = self.codec_named(headers.encoding_name());
        let Some(stream) = self.slots.get_mut(slot) else { return Ok(()) };
        let Side::Client(call) = &mut stream.side else { return Ok(()) };
        call.step_recv(ClientRecvInput::Headers)?;
        let codec = match codec {
            Ok(codec) if headers.failure.is_none() => codec,
            _ => {
                // What came of the answer goes with the call's end.
                call.response = Some(Arc::clone(&headers));
                self.on_unusable_headers(slot, &headers);
                return Ok(());
            }
        };
        stream.peer_codec = codec;
        stream.content_length = headers.content_length.map(|expected| ContentLength { expected, met: 0 });
        call.response = Some(headers);
        self.tell(slot, Pending::RESPONSE);
        Ok(())
    }

    /// Response headers behind which no messages can be taken.
    #[cold]
    fn on_unusable_headers(&mut self, slot: u32, headers: &ResponseHeaders) {
        let Some(status) = &headers.failure else {
            // P-52.
            let name = String::from_utf8_lossy(headers.encoding_name().unwrap_or_default());
            return self.reject(slot, Status::internal(format!("grpc-encoding {name:?} is not supported")));
        };
        if headers.is_grpc {
            // P-30, P-45: what came cannot be handed on whole, so no status of the server may call it complete.
            return self.reject(slot, status.clone());
        }
        let foreign = Foreign { status: status.clone(), http_status: headers.http_status, text: Vec::new() };
        self.await_foreign_body(slot, foreign);
    }

    /// [P-28](crate::manual::rules#p-28): waits for the body of a response that is not gRPC's, for a bounded time: the call may have no deadline, and
    /// the body no end.
    #[cold]
    fn await_foreign_body(&mut self, slot: u32, foreign: Foreign) {
        let until = self.now + self.config.limits.non_grpc_body_timeout;
        if let Some(stream) = self.slots.get_mut(slot)
            && let Side::Client(call) = &mut stream.side
        {
            call.foreign = Some(Box::new(foreign));
            if stream.deadline.is_none_or(|deadline| until < deadline) {
                self.deadlines.insert(slot, until);
            }
        }
    }

    /// [P-28](crate::manual::rules#p-28): the body of an answer that is not gRPC's says why; a bounded part of it goes into the status message.
    #[cold]
    pub(super) fn on_foreign_body(&mut self, slot: u32, payload: Payload<'_>, end: bool) {
        let bytes = payload.as_slice();
        self.credit_stream(slot, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let Side::Client(call) = &mut stream.side else { return };
        let Some(foreign) = &mut call.foreign else { return };
        let room = (self.config.limits.non_grpc_body as usize).saturating_sub(foreign.text.len());
        foreign.text.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        if end || (!bytes.is_empty() && bytes.len() >= room) {
            self.finish_foreign(slot, Arc::clone(&self.no_metadata));
        }
    }

    /// The time of a body that is not gRPC's is over: the call ends with what came of it.
    #[cold]
    pub(super) fn on_foreign_timeout(&mut self, slot: u32) {
        self.finish_foreign(slot, Arc::clone(&self.no_metadata));
    }

    /// Ends a call whose answer is not gRPC's, with the status that its headers called for.
    fn finish_foreign(&mut self, slot: u32, trailers: Arc<Metadata>) {
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
            self.finish_client_with(slot, Outcome { status, trailers, cause, headers: None, begun: false });
        } else {
            self.cut_client(slot, status, cause, Some(ErrorCode::CANCEL));
        }
    }

    /// The block behind the messages.
    #[inline]
    fn on_last_block(&mut self, slot: u32, end_stream: bool, trailers: &Trailers) -> Result<(), Violation> {
        self.step_client_recv(slot, recv_input(end_stream))?;
        if end_stream {
            self.on_trailers(slot, trailers, Cause::Trailers);
        }
        Ok(())
    }

    #[inline]
    fn on_trailers(&mut self, slot: u32, trailers: &Trailers, cause: Cause) {
        let Some(stream) = self.slots.get_mut(slot) else { return };
        let Side::Client(call) = &stream.side else { return };
        let status = match &trailers.status {
            Some(status) => status.clone(),
            None => Status::unknown("the trailers have no grpc-status"),
        };
        let metadata = if trailers.metadata.is_empty() {
            Arc::clone(&self.no_metadata)
        } else {
            Arc::new(trailers.metadata.clone())
        };
        // P-29: an answer that is not gRPC's may still carry a grpc-status in its trailers. It is not believed when it
        // says OK: no messages were looked for.
        if call.foreign.is_some() && (trailers.status.is_none() || status.is_ok()) {
            return self.finish_foreign(slot, metadata);
        }
        let status = if status.is_ok() { checked_ok(stream, status) } else { status };
        self.abuse.good_call();
        self.finish_client_with(
            slot,
            Outcome { status, trailers: metadata, cause, headers: None, begun: false },
        );
    }
}

impl ClientCall {
    #[inline]
    fn step_recv(&mut self, input: ClientRecvInput) -> Result<(), Violation> {
        match self.recv.step(input) {
            Step::To(next) => {
                self.recv = next;
                self.begun = true;
            }
            Step::Stream(breach) | Step::Connection(breach) => return Err(Violation::Order(breach)),
            Step::Ignore | Step::Misuse(_) | Step::Cardinality(_) => {}
        }
        Ok(())
    }
}

const fn recv_input(end_stream: bool) -> ClientRecvInput {
    if end_stream { ClientRecvInput::HeadersEnd } else { ClientRecvInput::Headers }
}

/// Returns the status OK at the end of `stream`, where that came to an end there.
#[inline]
fn checked_ok(stream: &Stream, ok: Status) -> Status {
    match stream.content_length {
        Some(content) if content.met < content.expected => {
            Status::internal(format!("content-length said {}, {} bytes came", content.expected, content.met))
        }
        // P-56: what is cut must not pass for complete.
        _ if stream.inbound.is_mid_message() => Status::internal("the stream ended inside a message"),
        _ => ok,
    }
}
