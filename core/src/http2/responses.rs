//! The header blocks that a client receives: response headers, trailers, and responses that are not gRPC.

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

    /// Handles a block that is not cached. It is decoded even if its frame is at fault, to keep the dynamic table in
    /// step.
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
            // If the block is not allowed here at all, report that instead.
            Err(malformed) => self.step_client_recv(slot, recv_input(end_stream)).and(Err(malformed)),
        }
    }

    /// Handles HEADERS on a stream without a call.
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
        let readable = call.content_subtypes.contains(headers.content_subtype());
        let codec = match codec {
            Ok(codec) if headers.failure.is_none() && readable => codec,
            _ => {
                // The headers go to the caller with the call's outcome.
                call.response = Some(Arc::clone(&headers));
                self.on_unusable_headers(slot, &headers, readable);
                return Ok(());
            }
        };
        stream.peer_codec = codec;
        stream.content_length = headers.content_length.map(|expected| ContentLength { expected, met: 0 });
        call.response = Some(headers);
        self.tell(slot, Pending::RESPONSE);
        Ok(())
    }

    /// Handles response headers whose messages cannot be read.
    #[cold]
    fn on_unusable_headers(&mut self, slot: u32, headers: &ResponseHeaders, readable: bool) {
        let Some(status) = &headers.failure else {
            if !readable {
                // P-8: as C-core, for which the messages do not decode.
                let subtype =
                    headers.content_subtype().map_or_else(String::new, |subtype| format!("+{subtype}"));
                let text = format!("the call does not take content-type application/grpc{subtype}");
                return self.reject(slot, Status::internal(text));
            }
            // P-52: the server may use only encodings that this side advertised.
            let name = String::from_utf8_lossy(headers.encoding_name().unwrap_or_default());
            return self.reject(slot, Status::internal(format!("grpc-encoding {name:?} is not supported")));
        };
        if headers.is_grpc {
            // P-30, P-45: the headers cannot be delivered completely, so the server's status may not report success.
            return self.reject(slot, status.clone());
        }
        let foreign = Foreign { status: status.clone(), http_status: headers.http_status, text: Vec::new() };
        self.await_foreign_body(slot, foreign);
    }

    /// Waits for the body of a response that is not gRPC ([P-28](crate::manual::rules#p-28)). The time is limited,
    /// because the call may have no deadline and the body no end.
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

    /// Adds the body of a response that is not gRPC to the status message, up to a limit, because it usually says why
    /// ([P-28](crate::manual::rules#p-28)).
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

    /// Ends a call whose response is not gRPC and whose body took too long.
    #[cold]
    pub(super) fn on_foreign_timeout(&mut self, slot: u32) {
        self.finish_foreign(slot, Arc::clone(&self.no_metadata));
    }

    /// Ends a call whose response is not gRPC, with the status that its headers imply.
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

    /// Handles the header block behind the messages.
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
        // P-29: a response that is not gRPC may still carry a grpc-status in its trailers. OK is ignored there,
        // because its body was not parsed for messages.
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

/// Returns OK, or the error if the stream ended before its content was complete.
#[inline]
fn checked_ok(stream: &Stream, ok: Status) -> Status {
    match stream.content_length {
        Some(content) if content.met < content.expected => {
            Status::internal(format!("content-length said {}, {} bytes came", content.expected, content.met))
        }
        // P-56: a truncated message may not pass as a complete response.
        _ if stream.inbound.is_mid_message() => Status::internal("the stream ended inside a message"),
        _ => ok,
    }
}
