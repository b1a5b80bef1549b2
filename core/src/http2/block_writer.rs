//! Encodes headers into HEADERS and CONTINUATION frames, and remembers the encoded fields of headers that repeat.

use std::time::Duration;

use super::block_writer_cache::WriterCache;
use super::peer_settings::PeerSettings;
use crate::config::{Config, Limits};
use crate::frame::{FRAME_HEADER_LEN, Flags, FrameHeader, FrameType, StreamId};
use crate::grpc::compress::CodecIndex;
use crate::grpc::encoding::Encoding;
use crate::grpc::headers::{
    Hint, RequestFields, ResponseFields, write_metadata, write_request, write_response_headers,
    write_trailers, write_trailers_only,
};
use crate::grpc::metadata::{FIELD_OVERHEAD, Metadata};
use crate::grpc::status::Status;
use crate::grpc::timeout::{self, TimeoutValue};
use crate::hpack::{Encoder, Indexing};
use crate::types::Request;

const fn indexing(hint: Hint) -> Indexing {
    match hint {
        Hint::Index => Indexing::Incremental,
        Hint::NoIndex => Indexing::Without,
        Hint::Never => Indexing::Never,
    }
}

/// Returns bytes of the peer or the caller as text. Bytes that are not UTF-8 were refused earlier.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// A HEADERS frame that is being written. Its frame header is filled in when its block is complete.
struct OpenFrame {
    start: usize,
}

impl OpenFrame {
    fn begin(out: &mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; FRAME_HEADER_LEN]);
        Self { start }
    }

    /// Completes the frame, splitting the block into CONTINUATION frames where it exceeds the peer's maximum frame
    /// size.
    fn finish(self, out: &mut Vec<u8>, stream: StreamId, end_stream: bool, max_frame: usize) {
        let length = out.len() - self.start - FRAME_HEADER_LEN;
        let whole = length <= max_frame;
        let headers = FrameHeader {
            length: u32::try_from(length.min(max_frame)).unwrap_or(0),
            kind: FrameType::Headers,
            flags: Flags::NONE.with(Flags::END_STREAM, end_stream).with(Flags::END_HEADERS, whole),
            stream,
        };
        if let Some(place) = out.get_mut(self.start..self.start + FRAME_HEADER_LEN) {
            place.copy_from_slice(&headers.encode());
        }
        if !whole {
            let rest = out.split_off(self.start + FRAME_HEADER_LEN + max_frame);
            continue_block(out, stream, &rest, max_frame);
        }
    }
}

/// Writes a HEADERS frame from a cached block, which is shorter than the smallest maximum frame size.
#[inline]
fn write_template(out: &mut Vec<u8>, stream: StreamId, end_stream: bool, fields: &[u8]) {
    let headers = FrameHeader {
        // A cached block is at most `MAX_BLOCK` bytes long.
        length: fields.len() as u32,
        kind: FrameType::Headers,
        flags: Flags::END_HEADERS.with(Flags::END_STREAM, end_stream),
        stream,
    };
    out.reserve(FRAME_HEADER_LEN + fields.len());
    headers.write(out);
    out.extend_from_slice(fields);
}

/// Writes the CONTINUATION frames of a block that is longer than one frame (RFC 9113 §6.10).
#[cold]
fn continue_block(out: &mut Vec<u8>, stream: StreamId, rest: &[u8], max_frame: usize) {
    let mut pieces = rest.chunks(max_frame.max(1)).peekable();
    while let Some(piece) = pieces.next() {
        let flags = Flags::NONE.with(Flags::END_HEADERS, pieces.peek().is_none());
        let length = u32::try_from(piece.len()).unwrap_or(0);
        FrameHeader { length, kind: FrameType::Continuation, flags, stream }.write(out);
        out.extend_from_slice(piece);
    }
}

/// Encodes headers into header blocks.
pub(super) struct BlockWriter {
    encoder: Encoder,
    templates: WriterCache,
    /// Buffer for the base64 encoding of one value.
    scratch: Vec<u8>,
}

impl BlockWriter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            encoder: Encoder::new(limits.encoder_table as usize),
            templates: WriterCache::default(),
            scratch: Vec::new(),
        }
    }

    pub(super) fn set_peer_max_table_size(&mut self, size: u32) {
        self.encoder.set_peer_max_table_size(size);
    }

    /// Frees the cache and spare capacity. The dynamic table stays, because the peer's decoder refers to it.
    pub(super) fn shrink(&mut self) {
        self.encoder.shrink();
        self.templates.clear();
        self.scratch = Vec::new();
    }

    /// Returns whether the request's own fields, everything but its timeout and metadata, are cached, and therefore
    /// valid.
    #[inline]
    pub(super) fn knows(&self, request: &Request) -> bool {
        self.templates.find(request).is_some()
    }

    /// Writes the HEADERS of a request; `left` is the time until its deadline.
    ///
    /// # Errors
    /// Returns the size of the request's header list if it exceeds the peer's limit
    /// ([P-15](crate::manual::rules#p-15)); then nothing is written.
    #[inline]
    pub(super) fn request(
        &mut self,
        out: &mut Vec<u8>,
        id: StreamId,
        (config, peer): (&Config, &PeerSettings),
        (request, left): (&Request, Option<Duration>),
    ) -> Result<(), usize> {
        let template = self.templates.find(request);
        let own = template.map_or_else(|| fields_size(config, request), |template| template.list_size);
        // P-7: the timeout counts from when the request leaves, so the time that it waited for a stream is deducted.
        let left = left.map(timeout::format);
        let timeout_size = left.map_or(0, |left| TIMEOUT_NAME.len() + left.as_bytes().len() + FIELD_OVERHEAD);
        let size = own.saturating_add(timeout_size).saturating_add(request.metadata.list_size());
        if size > peer.max_header_list as usize {
            return Err(size);
        }
        match template.and_then(|template| template.fields.get(self.encoder.generation())) {
            Some(fields) if left.is_none() && request.metadata.is_empty() => {
                write_template(out, id, false, fields);
            }
            _ => self.write_request(out, id, (config, peer), (request, left), own),
        }
        Ok(())
    }

    #[inline(never)]
    fn write_request(
        &mut self,
        out: &mut Vec<u8>,
        id: StreamId,
        (config, peer): (&Config, &PeerSettings),
        (request, left): (&Request, Option<TimeoutValue>),
        own_size: usize,
    ) {
        let Self { encoder, templates, scratch } = self;
        let generation = encoder.generation();
        let frame = OpenFrame::begin(out);
        if let Some(fields) = templates.find(request).and_then(|template| template.fields.get(generation)) {
            out.extend_from_slice(fields);
        } else {
            encoder.begin(out);
            let from = out.len();
            write_own_fields(config, request, |name, value, hint| {
                encoder.field(name, value, indexing(hint), out);
            });
            let fields = out.get(from..).unwrap_or_default();
            templates.put(request, own_size, generation, encoder.generation(), fields);
        }
        if let Some(left) = left {
            encoder.field(TIMEOUT_NAME, left.as_bytes(), Indexing::Without, out);
        }
        write_metadata(&request.metadata, scratch, |name, value, hint| {
            encoder.field(name, value, indexing(hint), out);
        });
        frame.finish(out, id, false, peer.max_frame_size as usize);
    }

    /// Writes the HEADERS of a response, with the content subtype of its request.
    #[inline]
    pub(super) fn response(
        &mut self,
        out: &mut Vec<u8>,
        id: StreamId,
        (config, peer): (&Config, &PeerSettings),
        (codec, subtype, metadata): (Option<CodecIndex>, Option<&str>, &Metadata),
    ) {
        match self.templates.response.get(self.encoder.generation()) {
            Some(fields) if codec.is_none() && subtype.is_none() && metadata.is_empty() => {
                write_template(out, id, false, fields);
            }
            _ => self.write_response(out, id, (config, peer), (codec, subtype, metadata)),
        }
    }

    #[inline(never)]
    fn write_response(
        &mut self,
        out: &mut Vec<u8>,
        id: StreamId,
        (config, peer): (&Config, &PeerSettings),
        (codec, subtype, metadata): (Option<CodecIndex>, Option<&str>, &Metadata),
    ) {
        let Self { encoder, templates, scratch } = self;
        let generation = encoder.generation();
        let plain = codec.is_none() && subtype.is_none();
        let frame = OpenFrame::begin(out);
        if let Some(fields) = templates.response.get(generation).filter(|_| plain) {
            out.extend_from_slice(fields);
        } else {
            encoder.begin(out);
            let from = out.len();
            let fields = response_fields(config, codec, subtype);
            write_response_headers(&fields, &NO_METADATA, scratch, |name, value, hint| {
                encoder.field(name, value, indexing(hint), out);
            });
            if plain {
                templates.response.put(generation, encoder.generation(), out.get(from..).unwrap_or_default());
            }
        }
        write_metadata(metadata, scratch, |name, value, hint| {
            encoder.field(name, value, indexing(hint), out);
        });
        frame.finish(out, id, false, peer.max_frame_size as usize);
    }

    /// Returns the size of response headers as a header list (RFC 9113 §6.5.2).
    pub(super) fn response_size(
        &mut self,
        config: &Config,
        (codec, subtype): (Option<CodecIndex>, Option<&str>),
        metadata: &Metadata,
    ) -> usize {
        let fields = response_fields(config, codec, subtype);
        let mut size = metadata.list_size();
        write_response_headers(&fields, &NO_METADATA, &mut self.scratch, |name, value, _| {
            size = size.saturating_add(name.len() + value.len() + FIELD_OVERHEAD);
        });
        size
    }

    /// Writes the headers of a response to a request that is not gRPC ([P-2](crate::manual::rules#p-2),
    /// [P-8](crate::manual::rules#p-8)). A body of plain text and trailers follow.
    #[cold]
    pub(super) fn refusal(&mut self, out: &mut Vec<u8>, id: StreamId, peer: &PeerSettings, http_status: u16) {
        let frame = OpenFrame::begin(out);
        self.encoder.begin(out);
        let status = http_status.to_string();
        self.encoder.field(b":status", status.as_bytes(), Indexing::Without, out);
        self.encoder.field(b"content-type", REFUSAL_TYPE.as_bytes(), Indexing::Without, out);
        frame.finish(out, id, false, peer.max_frame_size as usize);
    }

    /// Writes the response to a HEAD request: the same headers without content (RFC 9110 §9.3.2), with the status
    /// beside them.
    #[cold]
    pub(super) fn refusal_of_head(
        &mut self,
        out: &mut Vec<u8>,
        id: StreamId,
        peer: &PeerSettings,
        (http_status, status): (u16, &Status),
    ) {
        let Self { encoder, scratch, .. } = self;
        let frame = OpenFrame::begin(out);
        encoder.begin(out);
        let digits = http_status.to_string();
        let mut left = peer.max_header_list as usize;
        for (name, value) in [(":status", digits.as_str()), ("content-type", REFUSAL_TYPE)] {
            encoder.field(name.as_bytes(), value.as_bytes(), Indexing::Without, out);
            left = left.saturating_sub(name.len() + value.len() + FIELD_OVERHEAD);
        }
        write_trailers(status, &NO_METADATA, left, scratch, |name, value, hint| {
            encoder.field(name, value, indexing(hint), out);
        });
        frame.finish(out, id, true, peer.max_frame_size as usize);
    }

    /// Writes a status, as trailers or as Trailers-Only, which has the content subtype of its request.
    #[inline]
    pub(super) fn status(
        &mut self,
        out: &mut Vec<u8>,
        id: StreamId,
        (config, peer): (&Config, &PeerSettings),
        trailers_only: Option<Option<&str>>,
        status: (&Status, &Metadata),
    ) {
        let plain = trailers_only.is_none() && is_plain(status);
        match self.templates.status_ok.get(self.encoder.generation()) {
            Some(fields) if plain => write_template(out, id, true, fields),
            _ => self.write_status(out, id, (config, peer), trailers_only, status),
        }
    }

    #[inline(never)]
    fn write_status(
        &mut self,
        out: &mut Vec<u8>,
        id: StreamId,
        (config, peer): (&Config, &PeerSettings),
        trailers_only: Option<Option<&str>>,
        (status, metadata): (&Status, &Metadata),
    ) {
        let Self { encoder, templates, scratch } = self;
        let frame = OpenFrame::begin(out);
        let generation = encoder.generation();
        encoder.begin(out);
        let from = out.len();
        let limit = peer.max_header_list as usize;
        let write = |name: &[u8], value: &[u8], hint| encoder.field(name, value, indexing(hint), out);
        // P-45: the writers shorten or drop what exceeds the peer's limit; they always send the status code.
        if let Some(subtype) = trailers_only {
            let fields = response_fields(config, None, subtype);
            write_trailers_only(200, &fields, (status, metadata), limit, scratch, write);
        } else {
            write_trailers(status, metadata, limit, scratch, write);
        }
        if trailers_only.is_none() && is_plain((status, metadata)) {
            templates.status_ok.put(generation, encoder.generation(), out.get(from..).unwrap_or_default());
        }
        frame.finish(out, id, true, peer.max_frame_size as usize);
    }
}

#[inline]
fn is_plain((status, metadata): (&Status, &Metadata)) -> bool {
    status.is_plain_ok() && metadata.is_empty()
}

static NO_METADATA: Metadata = Metadata::new();

const TIMEOUT_NAME: &[u8] = b"grpc-timeout";
/// The content type of responses to clients that may not speak gRPC.
const REFUSAL_TYPE: &str = "text/plain; charset=utf-8";

/// Returns the value of `grpc-accept-encoding`, or `None` if only identity is supported.
fn accept_encoding(config: &Config) -> Option<&str> {
    let names = config.codecs.accept_encoding();
    (names != "identity").then_some(names)
}

fn response_fields<'a>(
    config: &'a Config,
    codec: Option<CodecIndex>,
    content_subtype: Option<&'a str>,
) -> ResponseFields<'a> {
    ResponseFields {
        content_subtype,
        encoding: codec.and_then(|codec| config.codecs.at(codec)).map(|codec| codec.name()),
        accept_encoding: accept_encoding(config),
    }
}

/// Passes the request's own fields, which are the same for every call of a method, to `f`.
fn write_own_fields(config: &Config, request: &Request, f: impl FnMut(&[u8], &[u8], Hint)) {
    let fields = RequestFields {
        scheme: text(config.scheme.as_bytes()),
        path: text(&request.path),
        authority: Some(text(request.authority.as_ref().unwrap_or(&config.authority)))
            .filter(|authority| !authority.is_empty()),
        content_subtype: request.content_subtypes.sent(),
        user_agent: text(&config.user_agent),
        timeout: None,
        encoding: request.encoding.map(Encoding::as_str).filter(|name| *name != "identity"),
        accept_encoding: accept_encoding(config),
        metadata: &NO_METADATA,
    };
    write_request(&fields, &mut Vec::new(), f);
}

/// Returns the size of the request's own fields as a header list (RFC 9113 §6.5.2).
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
    use super::*;
    use crate::types::CallType;

    #[test]
    fn what_only_speed_needs_is_given_back_and_the_table_stays() {
        let (config, peer) = (Config::client(), PeerSettings::default());
        let mut writer = BlockWriter::new(&config.limits);
        let request = Request::new("/demo.Echo/Call", CallType::UNARY);
        let write = |writer: &mut BlockWriter| {
            let mut out = Vec::new();
            writer.request(&mut out, StreamId::new(1), (&config, &peer), (&request, None)).unwrap();
            out
        };
        let first = write(&mut writer);
        let again = write(&mut writer);
        assert!(again.len() < first.len() && writer.knows(&request));
        writer.shrink();
        assert!(!writer.knows(&request));
        assert_eq!(write(&mut writer), again);
    }
}
