//! A server's header blocks, as its client takes them: response heads, trailers, and answers that are not gRPC's.

use std::sync::Arc;

use super::engine::Engine;
use super::head_reader::FirstBlock;
use super::stream::{ContentLength, Foreign, Pending, Side};
use crate::error::Violation;
use crate::frame::ErrorCode;
use crate::grpc::head::{ResponseHead, Trailers};
use crate::grpc::message::Payload;
use crate::grpc::status::Status;
use crate::machine::{ClientRecv, ClientRecvInput, ClosedStreamInput, Step};
use crate::types::{Cause, Outcome};

/// How much of the body of an answer that is not gRPC's goes into its status message (P-28).
const MAX_FOREIGN_TEXT: usize = 1024;

impl Engine {
    #[inline]
    pub(super) fn on_response_block(
        &mut self,
        id: u32,
        end_stream: bool,
        block: &[u8],
        fault: Option<Violation>,
    ) -> Result<(), Violation> {
        let Some(slot) = self.ids.get(id) else {
            self.glitch()?;
            self.reader.discard(&self.config.limits, block)?;
            return self.on_closed_stream(id, ClosedStreamInput::Headers);
        };
        let state = match self.slots.get(slot).map(|stream| &stream.side) {
            Some(Side::Client(call)) => call.recv,
            _ => return self.reader.discard(&self.config.limits, block),
        };
        if state == ClientRecv::AwaitHeaders {
            let decoded = match self.reader.known_response(block, end_stream) {
                Some(head) => Ok(FirstBlock::Headers(head)),
                None => self.reader.response(&self.config.limits, block, end_stream)?,
            };
            fault.map_or(Ok(()), Err)?;
            return self.on_response_head(slot, decoded?);
        }
        let trailers = match self.reader.known_trailers(block) {
            Some(trailers) => Ok(trailers),
            None => self.reader.trailers(&self.config.limits, block)?,
        };
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
    fn on_response_head(&mut self, slot: u32, decoded: FirstBlock) -> Result<(), Violation> {
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
                self.on_trailers(slot, &Arc::new(only.trailers), cause);
                Ok(())
            }
            FirstBlock::Headers(head) => {
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
        let Ok(encoding) = self.encoding_of(head.encoding_name()) else {
            // P-52.
            let name = String::from_utf8_lossy(head.encoding_name().unwrap_or_default());
            return self.reject(slot, Status::internal(format!("grpc-encoding {name:?} is not supported")));
        };
        let Some(stream) = self.slots.get_mut(slot) else { return };
        stream.peer_encoding = encoding;
        stream.content_length = head.content_length.map(|expected| ContentLength { expected, met: 0 });
        if let Side::Client(call) = &mut stream.side {
            call.response = Some(head);
        }
        stream.pending.insert(Pending::RESPONSE);
        self.eventful.push_back(slot);
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
