//! Heads and trailers out: fields to HEADERS and CONTINUATION frames, repeating fields from templates.

use super::engine::Engine;
use super::stream::{ClientStage, ServerHead, Side};
use crate::config::Config;
use crate::frame::{Flags, FrameHead, HEAD_LEN, Kind, StreamId};
use crate::grpc::encoding::Encoding;
use crate::grpc::head::{
    Hint, RequestFields, ResponseFields, write_metadata, write_request, write_response_head, write_trailers,
    write_trailers_only,
};
use crate::grpc::metadata::{FIELD_OVERHEAD, Metadata};
use crate::grpc::status::Status;
use crate::grpc::timeout;
use crate::hpack::Indexing;
use crate::machine::{ClientSendInput, Step};
use crate::types::{Cause, Request};

const fn indexing(hint: Hint) -> Indexing {
    match hint {
        Hint::Index => Indexing::Incremental,
        Hint::NoIndex => Indexing::Without,
        Hint::Never => Indexing::Never,
    }
}

/// Octets from the peer or the caller as text; what is no text is refused before it comes here.
fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap_or_default()
}

/// A HEADERS frame that is being written: its head is put in when its block is complete.
struct OpenFrame {
    start: usize,
}

impl OpenFrame {
    fn begin(out: &mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; HEAD_LEN]);
        Self { start }
    }

    /// Completes the frame, in several CONTINUATION frames where the peer's frame size asks for it.
    fn finish(self, out: &mut Vec<u8>, stream: StreamId, end_stream: bool, max_frame: usize) {
        let length = out.len() - self.start - HEAD_LEN;
        let whole = length <= max_frame;
        let head = FrameHead {
            length: u32::try_from(length.min(max_frame)).unwrap_or(0),
            kind: Kind::Headers,
            flags: Flags::NONE.with(Flags::END_STREAM, end_stream).with(Flags::END_HEADERS, whole),
            stream,
        };
        if let Some(place) = out.get_mut(self.start..self.start + HEAD_LEN) {
            place.copy_from_slice(&head.encode());
        }
        if !whole {
            let rest = out.split_off(self.start + HEAD_LEN + max_frame);
            continue_block(out, stream, &rest, max_frame);
        }
    }
}

/// A HEADERS frame whose block is a template: shorter than any frame may be.
#[inline]
fn write_template(out: &mut Vec<u8>, stream: StreamId, end_stream: bool, fields: &[u8]) {
    let head = FrameHead {
        length: u32::try_from(fields.len()).unwrap_or(0),
        kind: Kind::Headers,
        flags: Flags::END_HEADERS.with(Flags::END_STREAM, end_stream),
        stream,
    };
    out.reserve(HEAD_LEN + fields.len());
    head.write(out);
    out.extend_from_slice(fields);
}

/// RFC 9113 §6.10: the rest of a block that is longer than one frame.
#[cold]
fn continue_block(out: &mut Vec<u8>, stream: StreamId, rest: &[u8], max_frame: usize) {
    let mut pieces = rest.chunks(max_frame.max(1)).peekable();
    while let Some(piece) = pieces.next() {
        let flags = Flags::NONE.with(Flags::END_HEADERS, pieces.peek().is_none());
        let length = u32::try_from(piece.len()).unwrap_or(0);
        FrameHead { length, kind: Kind::Continuation, flags, stream }.write(out);
        out.extend_from_slice(piece);
    }
}

impl Engine {
    /// Client: sends the request headers, if they have not gone and a stream is free. Whether the call is on the wire.
    #[inline]
    pub(super) fn emit_request(&mut self, slot: u32) -> bool {
        let Some(stream) = self.slots.get_mut(slot) else { return false };
        let Side::Client(call) = &mut stream.side else { return false };
        let ClientStage::Queued(request) = &call.stage else { return !stream.wire_done };
        if request.deadline.is_some_and(|deadline| deadline <= self.now) {
            // P-7: `grpc-timeout` is positive; a request cannot say that there is no time left.
            self.deadlines.remove(slot);
            self.on_deadline(slot);
            return false;
        }
        if self.open_streams >= self.peer.max_concurrent_streams {
            self.waiting.push_back(slot);
            return false;
        }
        if self.next_local_id > StreamId::MAX.get() {
            self.run_out_of_ids(slot);
            return false;
        }
        let fields_size = match self.templates.find(request) {
            Some(template) => template.list_size,
            None => fields_size(&self.config, request),
        };
        let size = fields_size.saturating_add(TIMEOUT_SIZE).saturating_add(request.metadata.list_size());
        let limit = self.peer.max_header_list as usize;
        if size > limit {
            self.refuse_own_request(slot, size, limit);
            return false;
        }
        let ClientStage::Queued(request) = std::mem::replace(&mut call.stage, ClientStage::Open) else {
            return false;
        };
        if let Step::To(next) = call.send.step(ClientSendInput::HeadersSent) {
            call.send = next;
        }
        let id = self.next_local_id;
        self.next_local_id = id.saturating_add(2);
        stream.id = id;
        stream.send_window = i64::from(self.peer.initial_window);
        self.ids.insert(id, slot);
        self.open_streams = self.open_streams.saturating_add(1);
        self.write_request_frame(StreamId::new(id), &request, fields_size);
        self.move_to_stream(slot);
        self.leave_queue();
        self.clock.data_sent();
        true
    }

    fn write_request_frame(&mut self, id: StreamId, request: &Request, fields_size: usize) {
        let out = self.outbox.buf();
        let encoder = &mut self.encoder;
        let scratch = &mut self.scratch;
        let generation = encoder.generation();
        let template = self.templates.find(request).and_then(|template| template.fields.get(generation));
        if let Some(fields) = template
            && request.deadline.is_none()
            && request.metadata.is_empty()
        {
            return write_template(out, id, false, fields);
        }
        let frame = OpenFrame::begin(out);
        if let Some(fields) = template {
            out.extend_from_slice(fields);
        } else {
            encoder.begin(out);
            let from = out.len();
            write_own_fields(&self.config, request, |name, value, hint| {
                encoder.field(name, value, indexing(hint), out);
            });
            let fields = out.get(from..).unwrap_or_default();
            self.templates.put(request, fields_size, generation, encoder.generation(), fields);
        }
        if let Some(deadline) = request.deadline {
            // P-7: what is left of the deadline when the request leaves, its wait for a stream taken off.
            let left = timeout::format(deadline - self.now);
            encoder.field(b"grpc-timeout", left.as_bytes(), Indexing::Without, out);
        }
        write_metadata(&request.metadata, scratch, |name, value, hint| {
            encoder.field(name, value, indexing(hint), out);
        });
        frame.finish(out, id, false, self.peer.max_frame_size as usize);
    }

    /// P-15: a request that the peer would refuse for its size is not sent.
    #[cold]
    fn refuse_own_request(&mut self, slot: u32, size: usize, limit: usize) {
        let text = format!("the request headers have {size} octets, over the peer's limit of {limit}");
        self.cut_client(slot, Status::internal(text), Cause::NeverSent, None);
    }

    /// P-18: ids are never used again; a new connection has new ones.
    #[cold]
    fn run_out_of_ids(&mut self, slot: u32) {
        let status = Status::unavailable("the connection has no stream ids left");
        self.cut_client(slot, status, Cause::NeverSent, None);
        self.shutdown(self.now);
    }

    /// Server: sends the response headers, if any were ordered. Always on the wire.
    #[inline]
    pub(super) fn emit_response_head(&mut self, slot: u32) -> bool {
        let Some(stream) = self.slots.get_mut(slot) else { return false };
        if stream.wire_done {
            return false;
        }
        let id = StreamId::new(stream.id);
        let encoding = stream.encoding;
        let Side::Server(call) = &mut stream.side else { return false };
        match std::mem::replace(&mut call.head, ServerHead::Sent) {
            ServerHead::Sent => {}
            ServerHead::RefusalSent => call.head = ServerHead::RefusalSent,
            ServerHead::Unset => call.head = ServerHead::Unset,
            ServerHead::Ready(metadata) => self.write_response_frame(id, encoding, &metadata),
            ServerHead::Refused(http_status) => {
                call.head = ServerHead::RefusalSent;
                self.write_refusal_frame(id, http_status);
            }
        }
        true
    }

    #[inline]
    fn write_response_frame(&mut self, id: StreamId, encoding: Option<Encoding>, metadata: &Metadata) {
        let out = self.outbox.buf();
        let encoder = &mut self.encoder;
        let generation = encoder.generation();
        let plain = encoding.is_none();
        let template = self.templates.response.get(generation).filter(|_| plain);
        self.clock.data_sent();
        if let Some(fields) = template
            && metadata.is_empty()
        {
            return write_template(out, id, false, fields);
        }
        let frame = OpenFrame::begin(out);
        if let Some(fields) = template {
            out.extend_from_slice(fields);
        } else {
            encoder.begin(out);
            let from = out.len();
            let fields = response_fields(&self.config, encoding);
            write_response_head(&fields, &NO_METADATA, &mut self.scratch, |name, value, hint| {
                encoder.field(name, value, indexing(hint), out);
            });
            if plain && generation == encoder.generation() {
                self.templates.response.put(generation, out.get(from..).unwrap_or_default());
            }
        }
        write_metadata(metadata, &mut self.scratch, |name, value, hint| {
            encoder.field(name, value, indexing(hint), out);
        });
        frame.finish(out, id, false, self.peer.max_frame_size as usize);
    }

    /// The size of response headers as a header list (RFC 9113 §6.5.2).
    pub(super) fn response_list_size(&mut self, encoding: Option<Encoding>, metadata: &Metadata) -> usize {
        let fields = response_fields(&self.config, encoding);
        let mut size = metadata.list_size();
        write_response_head(&fields, &NO_METADATA, &mut self.scratch, |name, value, _| {
            size = size.saturating_add(name.len() + value.len() + FIELD_OVERHEAD);
        });
        size
    }

    /// The head of an answer to a request that is not gRPC's (P-2, P-8): a plain text body follows, then trailers.
    #[cold]
    fn write_refusal_frame(&mut self, id: StreamId, http_status: u16) {
        let out = self.outbox.buf();
        let frame = OpenFrame::begin(out);
        self.encoder.begin(out);
        let status = http_status.to_string();
        self.encoder.field(b":status", status.as_bytes(), Indexing::Without, out);
        self.encoder.field(b"content-type", b"text/plain; charset=utf-8", Indexing::Without, out);
        frame.finish(out, id, false, self.peer.max_frame_size as usize);
    }

    /// Server: sends the status, in trailers or as Trailers-Only; the call is over then.
    #[inline]
    pub(super) fn emit_status(
        &mut self,
        slot: u32,
        id: StreamId,
        trailers_only: bool,
        status: &Status,
        metadata: &Metadata,
    ) {
        let plain = !trailers_only && status.is_plain_ok() && metadata.is_empty();
        let generation = self.encoder.generation();
        match self.templates.status_ok.get(generation) {
            Some(fields) if plain => write_template(self.outbox.buf(), id, true, fields),
            _ => self.write_status_frame(id, trailers_only, status, metadata),
        }
        self.clock.data_sent();
        self.status_sent(slot, if trailers_only { Cause::TrailersOnly } else { Cause::Trailers });
    }

    #[inline(never)]
    fn write_status_frame(
        &mut self,
        id: StreamId,
        trailers_only: bool,
        status: &Status,
        metadata: &Metadata,
    ) {
        let out = self.outbox.buf();
        let frame = OpenFrame::begin(out);
        let encoder = &mut self.encoder;
        let generation = encoder.generation();
        encoder.begin(out);
        let from = out.len();
        let limit = self.peer.max_header_list as usize;
        let write = |name: &[u8], value: &[u8], hint| encoder.field(name, value, indexing(hint), out);
        // P-45: the writers shorten what is over the peer's limit; the code always goes.
        if trailers_only {
            let fields = response_fields(&self.config, None);
            write_trailers_only(200, &fields, (status, metadata), limit, &mut self.scratch, write);
        } else {
            write_trailers(status, metadata, limit, &mut self.scratch, write);
        }
        let plain = !trailers_only && status.is_plain_ok() && metadata.is_empty();
        if plain && generation == encoder.generation() {
            self.templates.status_ok.put(generation, out.get(from..).unwrap_or_default());
        }
        frame.finish(out, id, true, self.peer.max_frame_size as usize);
    }
}

static NO_METADATA: Metadata = Metadata::new();

/// The room that `grpc-timeout` may take in a header list: at most 8 digits and a unit.
const TIMEOUT_SIZE: usize = "grpc-timeout".len() + 9 + FIELD_OVERHEAD;

/// `grpc-accept-encoding`, where there is anything but identity to say.
fn accept_encoding(config: &Config) -> Option<&str> {
    let names = config.codecs.accept_encoding();
    (names != "identity").then_some(names)
}

fn response_fields(config: &Config, encoding: Option<Encoding>) -> ResponseFields<'_> {
    ResponseFields {
        content_subtype: None,
        encoding: encoding.map(Encoding::as_str),
        accept_encoding: accept_encoding(config),
    }
}

/// The fields of a request that are the same for every call of its kind.
fn write_own_fields(config: &Config, request: &Request, f: impl FnMut(&[u8], &[u8], Hint)) {
    let fields = RequestFields {
        scheme: text(config.scheme.as_bytes()),
        path: text(&request.path),
        authority: Some(text(request.authority.as_ref().unwrap_or(&config.authority)))
            .filter(|authority| !authority.is_empty()),
        content_subtype: None,
        user_agent: text(&config.user_agent),
        timeout: None,
        encoding: request.encoding.filter(|encoding| *encoding != Encoding::Identity).map(Encoding::as_str),
        accept_encoding: accept_encoding(config),
        metadata: &NO_METADATA,
    };
    write_request(&fields, &mut Vec::new(), f);
}

/// The size of those fields as a header list (RFC 9113 §6.5.2).
#[inline(never)]
fn fields_size(config: &Config, request: &Request) -> usize {
    let mut size = 0_usize;
    write_own_fields(config, request, |name, value, _| {
        size = size.saturating_add(name.len() + value.len() + FIELD_OVERHEAD);
    });
    size
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Seed};
    use crate::error::Misuse;
    use crate::grpc::status::Code;
    use crate::http2::engine::Engine;
    use crate::http2::role::RoleKind;
    use crate::time::Time;
    use crate::types::{Cause, Recv, Request, Shape};

    /// P-18: the last id is used, the next call fails as one that may be tried elsewhere, and no more are taken.
    #[test]
    fn stream_ids_run_out() {
        let mut engine = Engine::new(RoleKind::Client, Config::client(), Seed(1), Time::ZERO);
        engine.next_local_id = (1 << 31) - 1;
        let request = || Request::new("/a/b", Shape::UNARY);
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
