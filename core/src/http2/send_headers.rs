//! When headers are sent: a request once a stream is free, response headers before the first message, a status at the
//! end.

use super::engine::{Engine, WAITING};
use super::stream::{ClientStage, ServerHeaders, Side};
use crate::frame::StreamId;
use crate::grpc::metadata::Metadata;
use crate::grpc::status::Status;
use crate::machine::{ClientSendInput, Step};
use crate::types::Cause;

impl Engine {
    /// Sends, as a client, the request headers if they are still queued and a stream is free. Returns whether the
    /// call has
    /// a stream.
    #[inline]
    pub(super) fn emit_request(&mut self, slot: u32) -> bool {
        let Some(stream) = self.slots.get_mut(slot) else { return false };
        let Side::Client(call) = &mut stream.side else { return false };
        let ClientStage::Queued(request) = &call.stage else { return !stream.wire_done };
        if request.deadline.is_some_and(|deadline| deadline <= self.now) {
            // P-7: `grpc-timeout` is positive, so a request cannot express that no time is left.
            self.deadlines.remove(slot);
            self.on_deadline(slot);
            return false;
        }
        if self.open_streams >= self.peer.max_concurrent_streams {
            self.queues.join(WAITING, slot);
            return false;
        }
        let id = self.next_local_id;
        if id > StreamId::MAX.get() {
            self.run_out_of_ids(slot);
            return false;
        }
        let left = request.deadline.map(|deadline| deadline - self.now);
        let settings = (&self.config, &self.peer);
        if let Err(size) =
            self.writer.request(self.outbox.buf(), StreamId::new(id), settings, (request, left))
        {
            self.refuse_own_request(slot, size);
            return false;
        }
        call.stage = ClientStage::Open;
        if let Step::To(next) = call.send.step(ClientSendInput::HeadersSent) {
            call.send = next;
        }
        self.next_local_id = id.saturating_add(2);
        stream.id = id;
        stream.send_window = i64::from(self.peer.initial_window);
        self.ids.insert(id, slot);
        self.open_streams = self.open_streams.saturating_add(1);
        self.leave_queue();
        self.abuse.useful(0);
        true
    }

    /// Fails a request whose headers exceed the peer's limit, without sending it ([P-15](crate::manual::rules#p-15)).
    #[cold]
    fn refuse_own_request(&mut self, slot: u32, size: usize) {
        let limit = self.peer.max_header_list;
        let text = format!("the request headers have {size} bytes, over the peer's limit of {limit}");
        self.cut_client(slot, Status::internal(text), Cause::NeverSent, None);
    }

    /// Fails a call for which no stream id is left, and shuts down: ids are never reused
    /// ([P-18](crate::manual::rules#p-18)).
    #[cold]
    fn run_out_of_ids(&mut self, slot: u32) {
        let status = Status::unavailable("the connection has no stream ids left");
        self.cut_client(slot, status, Cause::NeverSent, None);
        self.shutdown(self.now);
    }

    /// Sends, as a server, the response headers if they are due. Returns whether DATA and the status may follow.
    #[inline]
    pub(super) fn emit_response_headers(&mut self, slot: u32) -> bool {
        let Some(stream) = self.slots.get_mut(slot) else { return false };
        let id = StreamId::new(stream.id);
        let Side::Server(call) = &mut stream.side else { return false };
        match &call.headers {
            ServerHeaders::Sent
            | ServerHeaders::RefusalSent
            | ServerHeaders::Unset
            | ServerHeaders::Set(_) => {}
            ServerHeaders::Ready(metadata) => {
                let settings = (&self.config, &self.peer);
                let own = (stream.codec, call.content_subtype(), metadata);
                self.writer.response(self.outbox.buf(), id, settings, own);
                self.abuse.useful(0);
                call.headers = ServerHeaders::Sent;
            }
            ServerHeaders::Refused(http_status) => {
                self.writer.refusal(self.outbox.buf(), id, &self.peer, *http_status);
                call.headers = ServerHeaders::RefusalSent;
            }
            ServerHeaders::RefusedHead(http_status) => {
                let http_status = *http_status;
                call.headers = ServerHeaders::RefusalSent;
                if let Some((status, _)) = call.status.take() {
                    self.writer.refusal_of_head(self.outbox.buf(), id, &self.peer, (http_status, &status));
                }
                self.status_sent(slot, Cause::TrailersOnly);
                return false;
            }
        }
        true
    }

    /// Sends, as a server, the status, as trailers or Trailers-Only, which completes the call.
    #[inline]
    pub(super) fn emit_status(
        &mut self,
        slot: u32,
        id: StreamId,
        trailers_only: bool,
        status: &Status,
        metadata: &Metadata,
    ) {
        let settings = (&self.config, &self.peer);
        let subtype = match self.slots.get(slot).map(|stream| &stream.side) {
            Some(Side::Server(call)) if trailers_only => Some(call.content_subtype()),
            _ => None,
        };
        self.writer.status(self.outbox.buf(), id, settings, subtype, (status, metadata));
        self.abuse.useful(0);
        self.status_sent(slot, if trailers_only { Cause::TrailersOnly } else { Cause::Trailers });
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Seed};
    use crate::error::Misuse;
    use crate::grpc::status::Code;
    use crate::http2::engine::Engine;
    use crate::http2::role::RoleKind;
    use crate::time::Time;
    use crate::types::{CallType, Cause, Recv, Request};

    /// Checks [P-18](crate::manual::rules#p-18): the last id is used, the next call fails as safe to retry, and no
    /// more are accepted.
    #[test]
    fn stream_ids_run_out() {
        let mut engine = Engine::new(RoleKind::Client, Config::client(), Seed(1), Time::ZERO);
        engine.next_local_id = (1 << 31) - 1;
        let request = || Request::new("/a/b", CallType::UNARY);
        let last = engine.start(Time::ZERO, request()).unwrap();
        let over = engine.start(Time::ZERO, request()).unwrap();
        drop(engine.take_transmit(Time::ZERO));
        assert!(matches!(engine.recv(last), Ok(Recv::Pending)));
        let Ok(Recv::End(outcome)) = engine.recv(over) else { panic!("no end") };
        assert_eq!((outcome.status.code, &outcome.cause), (Code::Unavailable, &Cause::NeverSent));
        assert!(outcome.not_processed());
        assert_eq!(engine.start(Time::ZERO, request()), Err(Misuse::GoingAway));
        assert!(!engine.is_closed(), "the last call goes on");
    }
}
