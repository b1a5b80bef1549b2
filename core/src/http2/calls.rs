//! What the caller orders, and what it takes: the dynamic API of a call, by [`CallId`].

use std::sync::Arc;

use bytes::Bytes;

use super::engine::Engine;
use super::send_queue::SendQueue;
use super::stream::{ClientCall, ClientStage, Pending, ServerHead, Side, Stream};
use crate::call::types::{
    CallId, Cardinality, Cause, HalfStates, Initiator, Message, Outcome, Recv, Request, Sent, Shape,
};
use crate::error::Misuse;
use crate::frame::ErrorCode;
use crate::grpc::compress::{DecompressError, MessageCodec};
use crate::grpc::encoding::Encoding;
use crate::grpc::head::{RequestHead, ResponseHead, check_authority};
use crate::grpc::message::{MessageBuffer, RawMessage};
use crate::grpc::metadata::Metadata;
use crate::grpc::status::{Code, Status};
use crate::machine::{
    ClientRecv, ClientSend, ClientSendInput, Lifecycle, OneRequest, OneRequestInput, OneResponse,
    OneResponseInput, ServerRecv, ServerRecvInput, ServerSendInput, Step,
};
use crate::time::Time;

impl Stream {
    /// A call without a stream id yet, with the windows of a new stream.
    pub(super) fn new(side: Side, shape: Shape, send_window: u32, recv_window: u32) -> Self {
        Self {
            side,
            id: 0,
            shape,
            pending: Pending::default(),
            want_read: false,
            want_write: false,
            sent_one: false,
            wire_done: false,
            caller_done: false,
            encoding: None,
            peer_encoding: None,
            queue: SendQueue::default(),
            send_window: i64::from(send_window),
            inbound: MessageBuffer::new(),
            recv_window: i64::from(recv_window),
            recv_owed: 0,
            recv_target: recv_window,
            loan: 0,
            content_length: None,
            deadline: None,
        }
    }

    fn states(&self) -> HalfStates {
        match &self.side {
            Side::Client(call) => HalfStates::Client { send: call.send, recv: call.recv },
            Side::Server(call) => HalfStates::Server { send: call.send, recv: call.recv },
        }
    }

    /// What this side may send: one message, or many.
    fn sends(&self) -> Cardinality {
        match self.side {
            Side::Client(_) => self.shape.requests,
            Side::Server(_) => self.shape.responses,
        }
    }

    /// The state that a message leads to, or why it may not be sent.
    #[inline]
    fn check_message(&self) -> Result<(), Misuse> {
        let step = match &self.side {
            Side::Client(call) => misuse(call.send.step(ClientSendInput::Message)),
            Side::Server(call) => misuse(call.send.step(ServerSendInput::Message)),
        };
        step?;
        if self.sent_one && self.sends() == Cardinality::One {
            return Err(Misuse::SecondMessage);
        }
        Ok(())
    }

    #[inline]
    fn step_message(&mut self) {
        match &mut self.side {
            Side::Client(call) => {
                if let Step::To(next) = call.send.step(ClientSendInput::Message) {
                    call.send = next;
                }
            }
            Side::Server(call) => {
                if let Step::To(next) = call.send.step(ServerSendInput::Message) {
                    call.send = next;
                }
                // P-33: the response headers go with the first message.
                if matches!(call.head, ServerHead::Unset) {
                    call.head = ServerHead::Ready(Metadata::new());
                }
            }
        }
        self.sent_one = true;
    }

    /// Whether what arrives still interests anybody.
    #[inline]
    fn count_message(&mut self) -> Result<(), &'static str> {
        let received = match &self.side {
            Side::Client(_) => self.shape.responses,
            Side::Server(_) => self.shape.requests,
        };
        if received == Cardinality::Many {
            return Ok(());
        }
        match &mut self.side {
            Side::Client(call) => match call.responses.step(OneResponseInput::Message) {
                Step::To(next) => call.responses = next,
                Step::Cardinality(text) => return Err(text),
                _ => {}
            },
            Side::Server(call) => match call.requests.step(OneRequestInput::Message) {
                Step::To(next) => call.requests = next,
                Step::Cardinality(text) => return Err(text),
                _ => {}
            },
        }
        Ok(())
    }
}

/// The misuse that a cell of a sending table names, if it names one.
fn misuse<S>(step: Step<S>) -> Result<(), Misuse> {
    match step {
        Step::Misuse(misuse) => Err(misuse),
        _ => Ok(()),
    }
}

fn is_path(path: &[u8]) -> bool {
    path.first() == Some(&b'/') && is_visible(path)
}

/// No early exit: the loop then runs on whole vectors, and a bad octet is rare.
#[inline]
fn is_visible(octets: &[u8]) -> bool {
    octets.iter().fold(true, |all, octet| all & octet.is_ascii_graphic())
}

/// The codec of an encoding; identity has none.
pub(super) fn codec_name(encoding: Option<Encoding>) -> Option<Encoding> {
    encoding.filter(|encoding| *encoding != Encoding::Identity)
}

impl Engine {
    pub(crate) fn start(&mut self, now: Time, request: Request) -> Result<CallId, Misuse> {
        self.admit(now, &request)?;
        Ok(self.open(request))
    }

    /// Whether `request` may be started.
    pub(crate) fn admit(&mut self, now: Time, request: &Request) -> Result<(), Misuse> {
        self.advance_clock(now);
        match self.lifecycle {
            Lifecycle::Running => {}
            Lifecycle::Announced | Lifecycle::Draining => return Err(Misuse::GoingAway),
            Lifecycle::Closed => return Err(Misuse::Closed),
        }
        if !is_path(&request.path) {
            return Err(Misuse::InvalidPath);
        }
        if !request.authority.as_ref().map_or(self.authority_is_valid, |own| check_authority(own).is_ok()) {
            return Err(Misuse::InvalidAuthority);
        }
        let encoding = codec_name(request.encoding);
        if encoding.is_some_and(|encoding| self.config.codecs.get(encoding.as_str().as_bytes()).is_none()) {
            return Err(Misuse::UnsupportedEncoding);
        }
        let (queued, limit) = (self.queued_calls, self.config.limits.queued_calls);
        if queued >= limit {
            return Err(Misuse::TooManyQueuedCalls { queued: queued as usize, limit: limit as usize });
        }
        Ok(())
    }

    /// Starts a request that has been admitted.
    pub(crate) fn open(&mut self, request: Request) -> CallId {
        let (shape, deadline, encoding) = (request.shape, request.deadline, codec_name(request.encoding));
        let side = Side::Client(ClientCall {
            send: ClientSend::Queued,
            recv: ClientRecv::AwaitHeaders,
            responses: OneResponse::Missing,
            stage: ClientStage::Queued(request),
            response: None,
            foreign: None,
        });
        let mut stream =
            Stream::new(side, shape, self.peer.initial_window, self.config.initial_stream_window);
        stream.recv_window += self.unacknowledged_window();
        stream.encoding = encoding;
        stream.deadline = deadline;
        let slot = self.slots.insert(stream);
        self.queued_calls = self.queued_calls.saturating_add(1);
        if let Some(deadline) = deadline {
            self.deadlines.insert(slot, deadline);
        }
        // P-19: behind those that wait already, so that calls start in the order in which they were made.
        if self.waiting.is_empty() {
            self.ready.push_back(slot);
        } else {
            self.waiting.push_back(slot);
        }
        self.clock.call_started(&self.config);
        self.slots.call_id(slot)
    }

    fn find(&mut self, call: CallId) -> Result<(u32, &mut Stream), Misuse> {
        let stream = self.slots.find_mut(call).ok_or(Misuse::UnknownCall)?;
        Ok((call.slot, stream))
    }

    fn look(&self, call: CallId) -> Result<&Stream, Misuse> {
        self.slots.find(call).ok_or(Misuse::UnknownCall)
    }

    pub(crate) fn states(&self, call: CallId) -> Result<HalfStates, Misuse> {
        self.look(call).map(Stream::states)
    }

    pub(crate) fn deadline(&self, call: CallId) -> Option<Time> {
        self.look(call).ok()?.deadline
    }

    pub(crate) fn request(&self, call: CallId) -> Result<&Arc<RequestHead>, Misuse> {
        match &self.look(call)?.side {
            Side::Server(call) => call.request.as_ref().ok_or(Misuse::UnknownCall),
            Side::Client(_) => Err(Misuse::UnknownCall),
        }
    }

    pub(crate) fn response(&self, call: CallId) -> Option<&Arc<ResponseHead>> {
        match &self.look(call).ok()?.side {
            Side::Client(call) => call.response.as_ref(),
            Side::Server(_) => None,
        }
    }

    pub(crate) fn is_writable(&self, call: CallId) -> bool {
        self.look(call).is_ok_and(|stream| stream.check_message().is_ok() && self.send_room(stream).is_ok())
    }

    /// Takes `payload`, unless it is refused.
    pub(crate) fn send_message(
        &mut self,
        call: CallId,
        payload: &mut Bytes,
        compress: bool,
    ) -> Result<Sent, Misuse> {
        let slot = call.slot;
        let stream = self.slots.find(call).ok_or(Misuse::UnknownCall)?;
        stream.check_message()?;
        let limit = self.config.limits.max_send_message as usize;
        if payload.len() > limit {
            return Err(Misuse::MessageTooLarge { size: payload.len(), limit });
        }
        if let Err(full) = self.send_room(stream) {
            self.wait_for_room(slot);
            return Err(full);
        }
        match stream.encoding.filter(|_| compress) {
            None => self.queue_message(slot, false, std::mem::take(payload)),
            Some(encoding) => {
                let payload = self.compress(encoding, payload)?;
                self.queue_message(slot, true, payload)
            }
        }
    }

    #[inline]
    fn queue_message(&mut self, slot: u32, compressed: bool, payload: Bytes) -> Result<Sent, Misuse> {
        let Some(stream) = self.slots.get_mut(slot) else { return Err(Misuse::UnknownCall) };
        let before = stream.queue.weight();
        stream.queue.push_message(compressed, payload);
        stream.step_message();
        let queued = stream.queue.weight();
        let shared = if stream.id == 0 { &mut self.waiting_octets } else { &mut self.queued_octets };
        *shared = shared.saturating_add(queued - before);
        let limits = &self.config.limits;
        let full = queued >= limits.send_buffer as usize || *shared >= limits.connection_send_buffer as usize;
        self.schedule(slot);
        if !full {
            return Ok(Sent::Ready);
        }
        self.wait_for_room(slot);
        Ok(Sent::Full)
    }

    fn compress(&mut self, encoding: Encoding, payload: &[u8]) -> Result<Bytes, Misuse> {
        let codec =
            self.config.codecs.get(encoding.as_str().as_bytes()).ok_or(Misuse::UnsupportedEncoding)?;
        let mut out = Vec::new();
        codec.compress(payload, &mut out).map_err(|_| Misuse::CompressionFailed)?;
        Ok(out.into())
    }

    pub(crate) fn half_close(&mut self, call: CallId) -> Result<(), Misuse> {
        let (slot, stream) = self.find(call)?;
        let Side::Client(call) = &mut stream.side else { return Err(Misuse::UnknownCall) };
        match call.send.step(ClientSendInput::HalfClose) {
            Step::To(next) => call.send = next,
            Step::Misuse(misuse) => return Err(misuse),
            _ => {}
        }
        self.schedule(slot);
        Ok(())
    }

    pub(crate) fn cancel(&mut self, call: CallId) -> Result<(), Misuse> {
        let (slot, stream) = self.find(call)?;
        let code = ErrorCode::CANCEL;
        match &stream.side {
            Side::Client(_) => {
                let status = Status::cancelled("the call was cancelled by its caller");
                self.cut_client(slot, status, Cause::Cancelled, Some(code));
            }
            Side::Server(_) => self.end_server(slot, Cause::Reset { code, by: Initiator::User }, Some(code)),
        }
        Ok(())
    }

    /// Forgets a call: whatever becomes of it, nobody is told.
    pub(crate) fn release(&mut self, call: CallId) {
        let Ok((slot, _)) = self.find(call) else { return };
        let _ = self.cancel(call);
        if let Some(stream) = self.slots.get_mut(slot) {
            stream.caller_done = true;
            stream.pending.clear();
        }
        self.eventful.remove(slot);
        self.free_if_done(slot);
    }

    pub(crate) fn accept(&mut self, call: CallId, shape: Shape) -> Result<(), Misuse> {
        let (_, stream) = self.find(call)?;
        stream.shape = shape;
        Ok(())
    }

    pub(crate) fn set_encoding(&mut self, call: CallId, encoding: Option<Encoding>) -> Result<(), Misuse> {
        let encoding = codec_name(encoding);
        let known =
            encoding.is_none_or(|encoding| self.config.codecs.get(encoding.as_str().as_bytes()).is_some());
        let (_, stream) = self.find(call)?;
        let Side::Server(call) = &stream.side else { return Err(Misuse::UnknownCall) };
        if !matches!(call.head, ServerHead::Unset) {
            return Err(Misuse::HeadersTwice);
        }
        // P-60: only what the client advertised, or used itself.
        let offered = call.request.as_ref().is_some_and(|head| {
            encoding.is_none_or(|encoding| {
                head.accept.contains(encoding) || stream.peer_encoding == Some(encoding)
            })
        });
        if !known || !offered {
            return Err(Misuse::UnsupportedEncoding);
        }
        stream.encoding = encoding;
        Ok(())
    }

    /// Takes `metadata`, unless it is refused.
    pub(crate) fn send_headers(&mut self, call: CallId, metadata: &mut Metadata) -> Result<(), Misuse> {
        let encoding = self.look(call)?.encoding;
        let (size, limit) = (self.response_list_size(encoding, metadata), self.peer.max_header_list as usize);
        let (slot, stream) = self.find(call)?;
        let Side::Server(call) = &mut stream.side else { return Err(Misuse::UnknownCall) };
        match call.send.step(ServerSendInput::Headers) {
            // P-45: a client that says how much it takes need not be sent more.
            Step::To(_) if size > limit => return Err(Misuse::HeaderListTooLarge { size, limit }),
            Step::To(next) => call.send = next,
            Step::Misuse(misuse) => return Err(misuse),
            _ => {}
        }
        call.head = ServerHead::Ready(std::mem::take(metadata));
        self.schedule(slot);
        Ok(())
    }

    pub(crate) fn finish(&mut self, call: CallId, status: Status, trailers: Metadata) -> Result<(), Misuse> {
        let (slot, stream) = self.find(call)?;
        let missing_response = stream.shape.responses == Cardinality::One && !stream.sent_one;
        let Side::Server(call) = &mut stream.side else { return Err(Misuse::UnknownCall) };
        match call.send.step(ServerSendInput::Status) {
            Step::To(next) => call.send = next,
            Step::Misuse(misuse) => return Err(misuse),
            _ => {}
        }
        let status = if missing_response && status.code == Code::Ok {
            // P-70: the client would have to make this up; better that it hears who is at fault.
            Status::internal("the handler ended the call with OK and without its response message")
        } else {
            status
        };
        call.status = Some((status, trailers));
        // The handler is done: the rest of the request is nobody's to read.
        if let Step::To(next) = call.recv.step(ServerRecvInput::Cancel) {
            call.recv = next;
        }
        stream.inbound.clear();
        self.schedule(slot);
        Ok(())
    }

    pub(crate) fn recv(&mut self, call: CallId) -> Result<Recv, Misuse> {
        let Some(stream) = self.slots.find_mut(call) else { return Err(Misuse::UnknownCall) };
        if stream.inbound.complete() > 0
            && let Some(raw) = stream.inbound.pop()
        {
            return Ok(self.take_message(call.slot, raw));
        }
        Ok(self.recv_end(call.slot))
    }

    /// Nothing is left to take: the end, or nothing yet.
    fn recv_end(&mut self, slot: u32) -> Recv {
        let Some(stream) = self.slots.get_mut(slot) else { return Recv::Pending };
        match &mut stream.side {
            Side::Client(call) if matches!(call.stage, ClientStage::Done(_)) => self.take_outcome(slot),
            Side::Server(call) if call.recv == ServerRecv::Ended && call.status.is_none() => {
                if stream.shape.requests == Cardinality::One
                    && let Step::Cardinality(text) = call.requests.step(OneRequestInput::End)
                {
                    if !matches!(call.send.step(ServerSendInput::Status), Step::To(_)) {
                        // The call is over: there is nobody to refuse it to, and `Event::Ended` says why.
                        return Recv::Pending;
                    }
                    return self.refuse_count(slot, text);
                }
                call.requests = OneRequest::Complete;
                Recv::HalfClosed
            }
            _ => {
                stream.want_read = true;
                Recv::Pending
            }
        }
    }

    fn take_outcome(&mut self, slot: u32) -> Recv {
        let policy = self.config.cardinality;
        let Some(stream) = self.slots.get_mut(slot) else { return Recv::Pending };
        let Side::Client(call) = &mut stream.side else { return Recv::Pending };
        let ClientStage::Done(mut outcome) = std::mem::replace(&mut call.stage, ClientStage::Taken) else {
            return Recv::Pending;
        };
        let ok = outcome.status.code == Code::Ok;
        let input = if ok { OneResponseInput::EndOk } else { OneResponseInput::EndError };
        if stream.shape.responses == Cardinality::One
            && let Step::Cardinality(text) = call.responses.step(input)
        {
            outcome.status = Status::new(policy.code(), text);
        }
        stream.caller_done = true;
        self.free_if_done(slot);
        Recv::End(outcome)
    }

    /// Too many or too few messages (P-70 to P-73): the call ends with the policy's status.
    #[cold]
    fn refuse_count(&mut self, slot: u32, text: &'static str) -> Recv {
        let status = Status::new(self.config.cardinality.code(), text);
        self.fail_call(slot, status)
    }

    /// The call fails while its caller receives: what the caller gets is the end.
    #[cold]
    fn fail_call(&mut self, slot: u32, status: Status) -> Recv {
        let Some(stream) = self.slots.get_mut(slot) else { return Recv::Pending };
        stream.inbound.clear();
        if let Side::Client(call) = &mut stream.side
            && let ClientStage::Done(outcome) = &mut call.stage
        {
            // The wire is done with the call; only its outcome changes.
            *outcome =
                Outcome { status, trailers: Arc::clone(&outcome.trailers), cause: outcome.cause.clone() };
        } else {
            self.reject(slot, status);
        }
        self.recv_end(slot)
    }

    #[inline]
    fn take_message(&mut self, slot: u32, raw: RawMessage) -> Recv {
        let Some(stream) = self.slots.get_mut(slot) else { return Recv::Pending };
        let counted = stream.count_message();
        let partial = stream.inbound.is_mid_message();
        self.credit_stream(slot, raw.wire_len);
        if partial {
            self.consider_loan(slot);
        }
        if let Err(text) = counted {
            return self.refuse_count(slot, text);
        }
        if !raw.compressed {
            return Recv::Message(Message { payload: raw.payload, compressed: false });
        }
        match self.decompress(slot, &raw.payload) {
            Ok(payload) => Recv::Message(Message { payload, compressed: true }),
            Err(status) => self.fail_call(slot, status),
        }
    }

    #[inline(never)]
    fn decompress(&self, slot: u32, payload: &[u8]) -> Result<Bytes, Status> {
        let encoding = self.slots.get(slot).and_then(|stream| stream.peer_encoding);
        // P-51: the flag without an encoding that says what it means.
        let Some(encoding) = encoding else {
            return Err(Status::internal("a compressed message came without grpc-encoding"));
        };
        let codec: Option<&Arc<dyn MessageCodec>> = self.config.codecs.get(encoding.as_str().as_bytes());
        let Some(codec) = codec else { return Err(Status::internal("no codec for the message's encoding")) };
        let limit = self.config.limits.max_receive_message as usize;
        codec.decompress(payload, limit).map_err(|error| match error {
            DecompressError::TooLarge { .. } => Status::resource_exhausted(error.to_string()),
            _ => Status::internal(error.to_string()),
        })
    }
}
