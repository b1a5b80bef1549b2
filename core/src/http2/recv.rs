//! Receiving by the caller: the messages of a call in order, then its end.

use std::sync::Arc;

use super::engine::Engine;
use super::stream::{ClientStage, Side, Stream};
use crate::error::Misuse;
use crate::grpc::compress::{DecompressError, Decompression, MessageCodec};
use crate::grpc::message::RawMessage;
use crate::grpc::status::{Code, Status};
use crate::machine::{
    OneRequest, OneRequestInput, OneResponse, OneResponseInput, ServerRecv, ServerSendInput, Step,
};
use crate::types::{CallId, Cardinality, LazyRecv, Message, Recv};

impl Stream {
    /// Returns what this side receives: one message, or many.
    #[inline]
    fn receives(&self) -> Cardinality {
        match self.side {
            Side::Client(_) => self.call_type.responses,
            Side::Server(_) => self.call_type.requests,
        }
    }

    /// Returns what the message in front is, where its direction carries one.
    fn only_message(&self) -> OnlyMessage {
        let several = self.inbound.complete() > 1;
        match &self.side {
            Side::Client(call) => {
                let again = call.responses != OneResponse::Missing;
                match &call.stage {
                    ClientStage::Done(outcome) if outcome.status.code != Code::Ok => OnlyMessage::Failed,
                    _ if several || again => OnlyMessage::TooMany,
                    ClientStage::Done(_) => OnlyMessage::Whole,
                    _ => OnlyMessage::Open,
                }
            }
            Side::Server(call) if several || call.requests != OneRequest::Missing => OnlyMessage::TooMany,
            Side::Server(call) if call.recv == ServerRecv::Ended => OnlyMessage::Whole,
            Side::Server(_) => OnlyMessage::Open,
        }
    }

    /// Counts a message that the caller receives, and refuses a second one where the call's type allows one.
    #[inline]
    fn count_message(&mut self) -> Result<(), &'static str> {
        if self.receives() == Cardinality::Many {
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

    /// Returns what the caller receives when no message is left.
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
                self.received_any = true;
                AfterLastMessage::HalfClosed
            }
            _ => {
                self.want_read = true;
                AfterLastMessage::Nothing
            }
        }
    }
}

/// What a message is in a direction that carries one.
enum OnlyMessage {
    /// The only one, with the end behind it.
    Whole,
    /// The end may still come, or another message, or neither.
    Open,
    /// The call has failed behind it.
    Failed,
    TooMany,
}

/// What follows the last message.
enum AfterLastMessage {
    /// More may arrive.
    Nothing,
    HalfClosed,
    Over,
    /// The end preceded the one message.
    TooFew(&'static str),
}

impl Engine {
    pub(crate) const fn decompressed(&self) -> u64 {
        self.decompressed
    }

    #[inline]
    pub(crate) fn recv(&mut self, call: CallId) -> Result<Recv, Misuse> {
        match self.recv_lazily(call)? {
            LazyRecv::Plain(received) => Ok(received),
            LazyRecv::Compressed(message) => Ok(self.decompress(call.slot, message)),
        }
    }

    /// As `recv`, but leaves it to the caller to decompress.
    #[inline]
    pub(crate) fn recv_lazily(&mut self, call: CallId) -> Result<LazyRecv, Misuse> {
        let Some(stream) = self.slots.find_mut(call) else { return Err(Misuse::UnknownCall) };
        if stream.inbound.complete() > 0 {
            let only = stream.receives() == Cardinality::One;
            return Ok(if only { self.recv_only(call.slot) } else { self.recv_message(call.slot) });
        }
        Ok(LazyRecv::Plain(match stream.rest() {
            AfterLastMessage::Nothing => {
                if stream.inbound.is_mid_message() {
                    self.admit_message(call.slot);
                }
                Recv::Pending
            }
            AfterLastMessage::HalfClosed => Recv::HalfClosed,
            AfterLastMessage::Over => self.take_outcome(call.slot),
            AfterLastMessage::TooFew(text) => self.refuse_too_few(call.slot, text),
        }))
    }

    /// Gives the message of a direction that carries one, once the end behind it is here: what was cut short, or has
    /// failed, must not pass for a whole one ([P-74](crate::manual::rules#p-74), [P-75](crate::manual::rules#p-75)).
    #[inline(never)]
    fn recv_only(&mut self, slot: u32) -> LazyRecv {
        let Some(stream) = self.slots.get_mut(slot) else { return LazyRecv::Plain(Recv::Pending) };
        match stream.only_message() {
            OnlyMessage::Whole => self.recv_message(slot),
            OnlyMessage::Open => {
                stream.want_read = true;
                if stream.inbound.is_mid_message() {
                    self.admit_message(slot);
                }
                LazyRecv::Plain(Recv::Pending)
            }
            OnlyMessage::Failed => {
                self.ledger.dropped(&mut stream.inbound);
                LazyRecv::Plain(self.take_outcome(slot))
            }
            OnlyMessage::TooMany => {
                if stream.inbound.complete() > 1 {
                    // The next one is refused, and this one with it.
                    drop(self.recv_message(slot));
                }
                self.recv_message(slot)
            }
        }
    }

    #[inline(never)]
    fn recv_message(&mut self, slot: u32) -> LazyRecv {
        let Some(stream) = self.slots.get_mut(slot) else { return LazyRecv::Plain(Recv::Pending) };
        stream.received_any = true;
        let pinned = stream.inbound.pinned();
        let Some(raw) = stream.inbound.pop() else { return LazyRecv::Plain(Recv::Pending) };
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
            return LazyRecv::Plain(Recv::Message(Message { payload: raw.payload, compressed: false }));
        }
        self.take_unusual(slot, raw, counted)
    }

    #[cold]
    fn refuse_too_few(&mut self, slot: u32, text: &'static str) -> Recv {
        match self.slots.get(slot).map(|stream| &stream.side) {
            Some(Side::Server(call)) if matches!(call.send.step(ServerSendInput::Status), Step::To(_)) => {
                self.refuse_count(slot, text)
            }
            // The call is over and cannot be refused any more; `Event::Ended` says why.
            _ => Recv::Pending,
        }
    }

    /// Returns the end of a client's call, once it has arrived.
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

    /// Ends a call that carried too many or too few messages ([P-70](crate::manual::rules#p-70) to
    /// [P-73](crate::manual::rules#p-73)) with the policy's status.
    #[cold]
    fn refuse_count(&mut self, slot: u32, text: &'static str) -> Recv {
        let status = Status::new(self.config.cardinality.code(), text);
        self.fail_call(slot, status)
    }

    /// Fails a call while its caller receives. A client's caller receives the end; a server's learns of it by
    /// `Event::Ended`.
    #[cold]
    fn fail_call(&mut self, slot: u32, status: Status) -> Recv {
        let Some(stream) = self.slots.get_mut(slot) else { return Recv::Pending };
        self.ledger.dropped(&mut stream.inbound);
        if let Side::Client(call) = &mut stream.side
            && let ClientStage::Done(outcome) = &mut call.stage
        {
            // The stream is complete on the wire; only the outcome changes.
            outcome.status = status;
        } else {
            self.reject(slot, status);
        }
        self.take_outcome(slot)
    }

    /// Returns a message that is compressed or one too many.
    #[inline(never)]
    fn take_unusual(&mut self, slot: u32, raw: RawMessage, counted: Result<(), &'static str>) -> LazyRecv {
        if let Err(text) = counted {
            return LazyRecv::Plain(self.refuse_count(slot, text));
        }
        LazyRecv::Plain(match self.codec_of_peer(slot) {
            // An empty payload is an empty message, whatever the codec (P-61).
            Ok(_) if raw.payload.is_empty() => {
                Recv::Message(Message { payload: raw.payload, compressed: true })
            }
            Ok(codec) => {
                let limit = self.config.limits.max_receive_message as usize;
                return LazyRecv::Compressed(Decompression::new(codec, raw.payload, limit));
            }
            Err(status) => self.fail_call(slot, status),
        })
    }

    /// Returns the codec of the messages that come compressed on a call.
    fn codec_of_peer(&self, slot: u32) -> Result<&Arc<dyn MessageCodec>, Status> {
        let codec = self.slots.get(slot).and_then(|stream| stream.peer_codec);
        // P-51: the compressed flag without an encoding.
        let Some(codec) = codec else {
            return Err(Status::internal("a compressed message came without grpc-encoding"));
        };
        let codec = self.config.codecs.at(codec);
        codec.ok_or_else(|| Status::internal("no codec for the message's encoding"))
    }

    #[cold]
    fn decompress(&mut self, slot: u32, message: Decompression) -> Recv {
        let (decompressed, work) = message.finish();
        self.decompressed = self.decompressed.saturating_add(work);
        match decompressed {
            Ok(payload) => Recv::Message(Message { payload, compressed: true }),
            Err(error) => self.fail_call(slot, status_of(error)),
        }
    }

    /// Ends a call whose message could not be decompressed.
    pub(crate) fn fail_message(&mut self, call: CallId, error: DecompressError) -> Result<Recv, Misuse> {
        let _ = self.slots.find(call).ok_or(Misuse::UnknownCall)?;
        Ok(self.fail_call(call.slot, status_of(error)))
    }
}

/// Returns what a call ends with whose message could not be decompressed.
fn status_of(error: DecompressError) -> Status {
    match error {
        DecompressError::TooLarge { .. } => Status::resource_exhausted(error.to_string()),
        _ => Status::internal(error.to_string()),
    }
}
