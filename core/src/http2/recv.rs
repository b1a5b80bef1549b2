//! What the caller takes: the messages of a call in order, then its end.

use bytes::Bytes;

use super::engine::Engine;
use super::stream::{ClientStage, Side, Stream};
use crate::error::Misuse;
use crate::grpc::compress::DecompressError;
use crate::grpc::message::RawMessage;
use crate::grpc::status::{Code, Status};
use crate::machine::{OneRequest, OneRequestInput, OneResponseInput, ServerRecv, ServerSendInput, Step};
use crate::types::{CallId, Cardinality, Message, Recv};

impl Stream {
    /// Counts a message that the caller takes, where its direction carries one: another is one too many.
    #[inline]
    fn count_message(&mut self) -> Result<(), &'static str> {
        let received = match &self.side {
            Side::Client(_) => self.call_type.responses,
            Side::Server(_) => self.call_type.requests,
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

    /// Returns what there is to take when no message is left.
    #[inline]
    fn rest(&mut self) -> AfterLastMessage {
        match &mut self.side {
            Side::Client(call) if matches!(call.stage, ClientStage::Done(_)) => AfterLastMessage::Over,
            Side::Server(call) if call.recv == ServerRecv::Ended && call.status.is_none() => {
                if self.call_type.requests == Cardinality::One
                    && let Step::Cardinality(text) = call.requests.step(OneRequestInput::End)
                {
                    return AfterLastMessage::TooFew(text);
                }
                call.requests = OneRequest::Complete;
                AfterLastMessage::HalfClosed
            }
            _ => {
                self.want_read = true;
                AfterLastMessage::Nothing
            }
        }
    }
}

/// What is behind the last message.
enum AfterLastMessage {
    /// More may come.
    Nothing,
    HalfClosed,
    Over,
    /// The end came before the one message.
    TooFew(&'static str),
}

impl Engine {
    pub(crate) const fn decompressed(&self) -> u64 {
        self.decompressed
    }

    #[inline]
    pub(crate) fn recv(&mut self, call: CallId) -> Result<Recv, Misuse> {
        let Some(stream) = self.slots.find_mut(call) else { return Err(Misuse::UnknownCall) };
        if stream.inbound.complete() > 0 {
            return Ok(self.recv_message(call.slot));
        }
        match stream.rest() {
            AfterLastMessage::Nothing => {
                if stream.inbound.is_mid_message() {
                    self.admit_message(call.slot);
                }
                Ok(Recv::Pending)
            }
            AfterLastMessage::HalfClosed => Ok(Recv::HalfClosed),
            AfterLastMessage::Over => Ok(self.take_outcome(call.slot)),
            AfterLastMessage::TooFew(text) => Ok(self.refuse_too_few(call.slot, text)),
        }
    }

    #[inline(never)]
    fn recv_message(&mut self, slot: u32) -> Recv {
        let Some(stream) = self.slots.get_mut(slot) else { return Recv::Pending };
        let pinned = stream.inbound.pinned();
        let Some(raw) = stream.inbound.pop() else { return Recv::Pending };
        if pinned > 0 {
            self.ledger.views_gone(pinned.saturating_sub(stream.inbound.pinned()));
        }
        self.ledger.taken(raw.wire_len as usize);
        let counted = stream.count_message();
        if !stream.owe(raw.wire_len) {
            self.credit_taken(slot, raw.wire_len);
        }
        self.memory_freed();
        if counted.is_ok() && !raw.compressed {
            return Recv::Message(Message { payload: raw.payload, compressed: false });
        }
        self.take_unusual(slot, raw, counted)
    }

    #[cold]
    fn refuse_too_few(&mut self, slot: u32, text: &'static str) -> Recv {
        match self.slots.get(slot).map(|stream| &stream.side) {
            Some(Side::Server(call)) if matches!(call.send.step(ServerSendInput::Status), Step::To(_)) => {
                self.refuse_count(slot, text)
            }
            // The call is over: there is nobody to refuse it to, and `Event::Ended` says why.
            _ => Recv::Pending,
        }
    }

    /// Returns the end of a client's call, once it is there.
    #[inline(never)]
    pub(super) fn take_outcome(&mut self, slot: u32) -> Recv {
        let policy = self.config.cardinality;
        let Some(stream) = self.slots.get_mut(slot) else { return Recv::Pending };
        let Side::Client(call) = &mut stream.side else { return Recv::Pending };
        let ClientStage::Done(mut outcome) = std::mem::replace(&mut call.stage, ClientStage::Taken) else {
            return Recv::Pending;
        };
        let ok = outcome.status.code == Code::Ok;
        let input = if ok { OneResponseInput::EndOk } else { OneResponseInput::EndError };
        if stream.call_type.responses == Cardinality::One
            && let Step::Cardinality(text) = call.responses.step(input)
        {
            outcome.status = Status::new(policy.code(), text);
        }
        outcome.headers = call.response.take();
        stream.caller_done = true;
        self.free_if_done(slot);
        Recv::End(outcome)
    }

    /// Too many or too few messages ([P-70](crate::manual::rules#p-70) to [P-73](crate::manual::rules#p-73)): the call ends with the policy's status.
    #[cold]
    fn refuse_count(&mut self, slot: u32, text: &'static str) -> Recv {
        let status = Status::new(self.config.cardinality.code(), text);
        self.fail_call(slot, status)
    }

    /// Fails a call while its caller receives. What a client's caller gets is the end; a server's is told it by
    /// `Event::Ended`.
    #[cold]
    fn fail_call(&mut self, slot: u32, status: Status) -> Recv {
        let Some(stream) = self.slots.get_mut(slot) else { return Recv::Pending };
        self.ledger.dropped(&mut stream.inbound);
        if let Side::Client(call) = &mut stream.side
            && let ClientStage::Done(outcome) = &mut call.stage
        {
            // The wire is done with the call; only its outcome changes.
            outcome.status = status;
        } else {
            self.reject(slot, status);
        }
        self.take_outcome(slot)
    }

    /// Returns a message that is one too many, or compressed.
    #[inline(never)]
    fn take_unusual(&mut self, slot: u32, raw: RawMessage, counted: Result<(), &'static str>) -> Recv {
        if let Err(text) = counted {
            return self.refuse_count(slot, text);
        }
        match self.decompress(slot, &raw.payload) {
            Ok(payload) => Recv::Message(Message { payload, compressed: true }),
            Err(status) => self.fail_call(slot, status),
        }
    }

    fn decompress(&mut self, slot: u32, payload: &[u8]) -> Result<Bytes, Status> {
        let codec = self.slots.get(slot).and_then(|stream| stream.peer_codec);
        // P-51: the flag without an encoding that says what it means.
        let Some(codec) = codec else {
            return Err(Status::internal("a compressed message came without grpc-encoding"));
        };
        let Some(codec) = self.config.codecs.at(codec) else {
            return Err(Status::internal("no codec for the message's encoding"));
        };
        let limit = self.config.limits.max_receive_message as usize;
        let decompressed = codec.decompress(payload, limit);
        let work = decompressed.as_ref().map_or(limit, Bytes::len);
        self.decompressed = self.decompressed.saturating_add(work as u64);
        decompressed.map_err(|error| match error {
            DecompressError::TooLarge { .. } => Status::resource_exhausted(error.to_string()),
            _ => Status::internal(error.to_string()),
        })
    }
}
