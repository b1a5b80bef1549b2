//! The caller's commands on a call, addressed by [`CallId`]. `recv` has the receiving side.

use std::sync::Arc;

use bytes::Bytes;

use super::engine::{Engine, READY, WAITING};
use super::memory::Ledger;
use super::stream::{ClientCall, ClientStage, ServerHeaders, Side, Stream};
use crate::config::Limits;
use crate::error::Misuse;
use crate::frame::ErrorCode;
use crate::grpc::compress::{CodecIndex, Codecs, CompressedPayload, Compression};
use crate::grpc::encoding::Encoding;
use crate::grpc::headers::{RequestHeaders, ResponseHeaders, check_authority};
use crate::grpc::metadata::Metadata;
use crate::grpc::status::{Code, Status};
use crate::machine::{ClientSendInput, Lifecycle, ServerRecvInput, ServerSendInput, Step};
use crate::payload::MessagePayload;
use crate::time::Time;
use crate::types::{
    CallId, CallType, Cardinality, Cause, HalfStates, Initiator, Outcome, Recv, Request, Sent,
};

impl Stream {
    fn states(&self) -> HalfStates {
        match &self.side {
            Side::Client(call) => HalfStates::Client { send: call.send, recv: call.recv },
            Side::Server(call) => HalfStates::Server { send: call.send, recv: call.recv },
        }
    }

    /// Returns what this side may send: one message, or many.
    fn sends(&self) -> Cardinality {
        match self.side {
            Side::Client(_) => self.call_type.requests,
            Side::Server(_) => self.call_type.responses,
        }
    }

    /// Returns why a message may not be sent now, if it may not.
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

    /// Checks whether a message of this size, and of this length on the wire, may be queued now. The caller of a refused
    /// message is notified when there is buffer space.
    #[inline]
    fn check_send(
        &mut self,
        size: usize,
        length: usize,
        limits: &Limits,
        ledger: &mut Ledger,
    ) -> Result<(), Misuse> {
        self.check_message()?;
        let limit = limits.max_send_message as usize;
        if size > limit {
            return Err(Misuse::MessageTooLarge { size, limit });
        }
        let space = self.check_room(limits, ledger);
        if space.is_err() {
            self.refuse(length, ledger);
        }
        space
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
                match call.headers {
                    ServerHeaders::Unset => call.headers = ServerHeaders::Ready(Metadata::new()),
                    ref mut headers => headers.settle(),
                }
            }
        }
        self.sent_one = true;
    }
}

/// Returns the misuse that a cell of a sending table names, if any.
fn misuse<S>(step: Step<S>) -> Result<(), Misuse> {
    match step {
        Step::Misuse(misuse) => Err(misuse),
        _ => Ok(()),
    }
}

fn is_path(path: &[u8]) -> bool {
    path.first() == Some(&b'/') && is_visible(path)
}

/// Returns whether all bytes are visible ASCII. Without an early exit the loop vectorises, and a bad byte is rare.
#[inline]
fn is_visible(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, byte| all & byte.is_ascii_graphic())
}

/// Returns the codec for an encoding that the caller asks for; identity has none.
#[inline]
fn codec_of(codecs: &Codecs, encoding: Option<Encoding>) -> Result<Option<CodecIndex>, Misuse> {
    encoding.map_or(Ok(None), |encoding| codec_named(codecs, encoding))
}

#[inline(never)]
fn codec_named(codecs: &Codecs, encoding: Encoding) -> Result<Option<CodecIndex>, Misuse> {
    match encoding.as_str() {
        "identity" => Ok(None),
        name => codecs.index_of(name.as_bytes()).map(Some).ok_or(Misuse::UnsupportedEncoding),
    }
}

#[inline(never)]
fn compressed(codecs: &Codecs, index: CodecIndex, payload: &MessagePayload) -> Result<Bytes, Misuse> {
    let codec = codecs.at(index).ok_or(Misuse::UnsupportedEncoding)?;
    let compressed = Compression::new(codec, index).compress(payload.clone());
    Ok(compressed.map_err(|_| Misuse::CompressionFailed)?.bytes)
}

impl Engine {
    pub(crate) fn start(&mut self, now: Time, request: Request) -> Result<CallId, Misuse> {
        self.admit(now, &request)?;
        Ok(self.open(request))
    }

    /// Checks whether `request` may be started.
    pub(crate) fn admit(&mut self, now: Time, request: &Request) -> Result<(), Misuse> {
        self.advance_clock(now);
        match self.lifecycle {
            Lifecycle::Running => {}
            Lifecycle::Announced | Lifecycle::Draining => return Err(Misuse::GoingAway),
            Lifecycle::Closed => return Err(Misuse::Closed),
        }
        // A cached request was found valid before.
        if !self.writer.knows(request) {
            self.check_own_fields(request)?;
        }
        let (queued, limit) = (self.queued_calls, self.config.limits.queued_calls);
        if queued >= limit {
            return Err(Misuse::TooManyQueuedCalls { queued: queued as usize, limit: limit as usize });
        }
        Ok(())
    }

    fn check_own_fields(&self, request: &Request) -> Result<(), Misuse> {
        if !is_path(&request.path) {
            return Err(Misuse::InvalidPath);
        }
        if !request.authority.as_ref().map_or(self.authority_is_valid, |own| check_authority(own).is_ok()) {
            return Err(Misuse::InvalidAuthority);
        }
        codec_of(&self.config.codecs, request.encoding).map(drop)
    }

    /// Starts a request that [`Self::admit`] has accepted.
    pub(crate) fn open(&mut self, request: Request) -> CallId {
        let (call_type, deadline) = (request.call_type, request.deadline);
        // `admit` has refused any encoding without a codec.
        let codec = codec_of(&self.config.codecs, request.encoding).unwrap_or_default();
        let slot = self.slots.insert(call_type, self.new_windows());
        if let Some(stream) = self.slots.get_mut(slot) {
            stream.codec = codec;
            stream.deadline = deadline;
            if let Side::Client(call) = &mut stream.side {
                call.content_subtypes = request.content_subtypes;
                call.stage = ClientStage::Queued(request);
            }
        }
        self.queued_calls = self.queued_calls.saturating_add(1);
        if let Some(deadline) = deadline {
            self.deadlines.insert(slot, deadline);
        }
        // P-19: a new call queues behind those that wait already, so that calls start in the order in which they were
        // made.
        let line = if self.queues.len_of(WAITING) == 0 { READY } else { WAITING };
        self.queues.join(line, slot);
        self.clock.call_started(self.now, &self.config);
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

    /// Returns the status of a client's call that is over, until its outcome is taken.
    pub(crate) fn status(&self, call: CallId) -> Option<&Status> {
        match &self.look(call).ok()?.side {
            Side::Client(ClientCall { stage: ClientStage::Done(outcome), .. }) => Some(&outcome.status),
            _ => None,
        }
    }

    pub(crate) fn deadline(&self, call: CallId) -> Option<Time> {
        self.look(call).ok()?.deadline
    }

    pub(crate) fn request(&self, call: CallId) -> Result<&Arc<RequestHeaders>, Misuse> {
        match &self.look(call)?.side {
            Side::Server(call) => call.request.as_ref().ok_or(Misuse::UnknownCall),
            Side::Client(_) => Err(Misuse::UnknownCall),
        }
    }

    #[inline]
    pub(crate) fn take_request(&mut self, call: CallId) -> Result<Arc<RequestHeaders>, Misuse> {
        match self.slots.find_mut(call).map(|stream| &mut stream.side) {
            Some(Side::Server(call)) => call.request.take().ok_or(Misuse::UnknownCall),
            _ => Err(Misuse::UnknownCall),
        }
    }

    pub(crate) fn response(&self, call: CallId) -> Option<&Arc<ResponseHeaders>> {
        match &self.look(call).ok()?.side {
            Side::Client(call) => call.response.as_ref(),
            Side::Server(_) => None,
        }
    }

    pub(crate) fn is_writable(&self, call: CallId) -> bool {
        self.look(call).is_ok_and(|stream| {
            stream.check_message().is_ok() && stream.check_room(&self.config.limits, &self.ledger).is_ok()
        })
    }

    /// Returns whether a message may be queued now. If there is no buffer space, the caller gets an event once there
    /// is.
    pub(crate) fn want_write(&mut self, call: CallId) -> Result<bool, Misuse> {
        let stream = self.slots.find_mut(call).ok_or(Misuse::UnknownCall)?;
        stream.check_message()?;
        let writable = stream.check_room(&self.config.limits, &self.ledger).is_ok();
        stream.want_write |= !writable;
        Ok(writable)
    }

    /// Queues `payload` as a message. A refused payload stays with the caller.
    pub(crate) fn send_message(
        &mut self,
        call: CallId,
        payload: &mut MessagePayload,
        compress: bool,
    ) -> Result<Sent, Misuse> {
        let size = payload.len();
        let stream = self.slots.find_mut(call).ok_or(Misuse::UnknownCall)?;
        stream.check_send(size, size, &self.config.limits, &mut self.ledger)?;
        let weight = match stream.codec {
            Some(codec) if compress => {
                let compressed = compressed(&self.config.codecs, codec, payload)?;
                drop(payload.take());
                stream.queue.push_message(true, compressed)
            }
            _ => match payload.take() {
                (payload, None) => stream.queue.push_message(false, payload),
                (first, Some(rest)) => stream.queue.push_pieces(size, first, *rest),
            },
        };
        Ok(self.message_queued(call.slot, weight))
    }

    /// Takes a message that is compressed already, unless it is refused.
    pub(crate) fn send_compressed(
        &mut self,
        call: CallId,
        payload: &mut CompressedPayload,
    ) -> Result<Sent, Misuse> {
        let stream = self.slots.find_mut(call).ok_or(Misuse::UnknownCall)?;
        if stream.codec != Some(payload.index) {
            return Err(Misuse::UnsupportedEncoding);
        }
        let length = payload.bytes.len();
        stream.check_send(payload.size, length, &self.config.limits, &mut self.ledger)?;
        let weight = stream.queue.push_message(true, std::mem::take(&mut payload.bytes));
        Ok(self.message_queued(call.slot, weight))
    }

    /// Accounts for a message that was queued with this weight.
    #[inline]
    fn message_queued(&mut self, slot: u32, weight: usize) -> Sent {
        let Some(stream) = self.slots.get_mut(slot) else { return Sent::Ready };
        stream.accept_refused(&mut self.ledger);
        stream.begin_to_hold();
        self.ledger.queued(weight, stream.held_up);
        stream.step_message();
        let full = stream.check_room(&self.config.limits, &self.ledger).is_err();
        stream.want_write |= full;
        self.schedule(slot);
        if !full {
            return Sent::Ready;
        }
        if self.ledger.sends_much() {
            self.look_again();
        }
        Sent::Full
    }

    /// Returns how the messages of a call are compressed, if they are.
    pub(crate) fn compression(&self, call: CallId) -> Result<Option<Compression>, Misuse> {
        let Some(index) = self.look(call)?.codec else { return Ok(None) };
        Ok(self.config.codecs.at(index).map(|codec| Compression::new(codec, index)))
    }

    /// Returns whether a call waits for [`Event::Writable`](crate::Event::Writable).
    pub(crate) fn awaits_space(&self, call: CallId) -> bool {
        self.look(call).is_ok_and(|stream| stream.want_write)
    }

    pub(crate) fn sends_much(&self) -> bool {
        self.ledger.sends_much()
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

    /// Forgets a call: the caller gets no more events about it. Returns its outcome, if it has one.
    pub(crate) fn release(&mut self, call: CallId) -> Option<Outcome> {
        let (slot, _) = self.find(call).ok()?;
        let _ = self.cancel(call);
        if let Some(stream) = self.slots.get_mut(slot) {
            stream.pending.clear();
        }
        match self.take_outcome(slot) {
            Recv::End(outcome) => Some(outcome),
            _ => None,
        }
    }

    pub(crate) fn accept(&mut self, call: CallId, call_type: CallType) -> Result<(), Misuse> {
        let (_, stream) = self.find(call)?;
        // What was received or sent before was not counted.
        if stream.received_any || stream.sent_one {
            return Err(Misuse::AcceptedLate);
        }
        stream.call_type = call_type;
        Ok(())
    }

    pub(crate) fn set_encoding(&mut self, call: CallId, encoding: Option<Encoding>) -> Result<(), Misuse> {
        let codec = codec_of(&self.config.codecs, encoding)?;
        let stream = self.slots.find_mut(call).ok_or(Misuse::UnknownCall)?;
        let Side::Server(call) = &stream.side else { return Err(Misuse::UnknownCall) };
        let size = match &call.headers {
            ServerHeaders::Unset => 0,
            ServerHeaders::Set(metadata) => {
                let own = (codec, call.content_subtype());
                self.writer.response_size(&self.config, own, metadata)
            }
            _ => return Err(Misuse::HeadersTwice),
        };
        // P-45: the encoding's name may push the headers that are set already over the peer's limit.
        let limit = self.peer.max_header_list as usize;
        if size > limit {
            return Err(Misuse::HeaderListTooLarge { size, limit });
        }
        // P-60: a server uses only an encoding that the client advertised or used itself.
        let offered = |encoding| {
            call.accept.contains(encoding)
                || call.asked.as_ref().is_some_and(|headers| headers.accepts(encoding))
        };
        if codec.is_some() && stream.peer_codec != codec && !encoding.is_some_and(offered) {
            return Err(Misuse::UnsupportedEncoding);
        }
        stream.codec = codec;
        Ok(())
    }

    /// Adds `metadata` to the response headers, which are sent with the first message or the status. Refused metadata
    /// stays with the caller.
    pub(crate) fn set_headers(&mut self, call: CallId, metadata: &mut Metadata) -> Result<(), Misuse> {
        let all = self.admit_headers(call, metadata)?;
        let (_, stream) = self.find(call)?;
        if let Side::Server(call) = &mut stream.side
            && !all.is_empty()
        {
            call.headers = ServerHeaders::Set(all);
        }
        Ok(())
    }

    /// Sends the response headers with all metadata set so far and `metadata`. Refused metadata stays with the
    /// caller.
    pub(crate) fn send_headers(&mut self, call: CallId, metadata: &mut Metadata) -> Result<(), Misuse> {
        let all = self.admit_headers(call, metadata)?;
        let (slot, stream) = self.find(call)?;
        if let Side::Server(call) = &mut stream.side {
            if let Step::To(next) = call.send.step(ServerSendInput::Headers) {
                call.send = next;
            }
            call.headers = ServerHeaders::Ready(all);
        }
        self.schedule(slot);
        Ok(())
    }

    /// Takes `metadata` and returns it appended to what is set already, if response headers may still be set.
    fn admit_headers(&mut self, call: CallId, metadata: &mut Metadata) -> Result<Metadata, Misuse> {
        let stream = self.slots.find_mut(call).ok_or(Misuse::UnknownCall)?;
        let codec = stream.codec;
        let Side::Server(call) = &mut stream.side else { return Err(Misuse::UnknownCall) };
        if let Step::Misuse(misuse) = call.send.step(ServerSendInput::Headers) {
            return Err(misuse);
        }
        let set = if let ServerHeaders::Set(set) = &call.headers { set.list_size() } else { 0 };
        let own = (codec, call.content_subtype());
        let size = self.writer.response_size(&self.config, own, metadata).saturating_add(set);
        let limit = self.peer.max_header_list as usize;
        // P-45: a client that announces a limit need not be sent more.
        if size > limit {
            return Err(Misuse::HeaderListTooLarge { size, limit });
        }
        let ServerHeaders::Set(all) = &mut call.headers else { return Ok(std::mem::take(metadata)) };
        all.merge(&std::mem::take(metadata));
        Ok(std::mem::take(all))
    }

    pub(crate) fn finish(&mut self, call: CallId, status: Status, trailers: Metadata) -> Result<(), Misuse> {
        let (slot, stream) = self.find(call)?;
        let missing_response = stream.call_type.responses == Cardinality::One && !stream.sent_one;
        let Side::Server(call) = &mut stream.side else { return Err(Misuse::UnknownCall) };
        match call.send.step(ServerSendInput::Status) {
            Step::To(next) => call.send = next,
            Step::Misuse(misuse) => return Err(misuse),
            _ => {}
        }
        let status = if missing_response && status.code == Code::Ok {
            // P-70: otherwise the client would have to invent this error, without knowing that the handler is at
            // fault.
            Status::internal("the handler ended the call with OK and without its response message")
        } else {
            status
        };
        call.status = Some((status, trailers));
        call.headers.settle();
        // The handler is done and will not read the rest of the request.
        match call.recv.step(ServerRecvInput::Cancel) {
            Step::To(next) => {
                call.recv = next;
                self.drop_unread(slot);
            }
            _ => {
                self.drop_inbound(slot);
            }
        }
        self.schedule(slot);
        Ok(())
    }
}
