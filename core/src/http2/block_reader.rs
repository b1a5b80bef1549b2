//! Decodes header blocks into headers with the connection's HPACK decoder, and remembers what the last few blocks
//! meant.

use std::sync::Arc;

use super::block_reader_cache::ReaderCache;
use crate::config::Limits;
use crate::error::{Flood, Violation};
use crate::grpc::headers::{
    RequestError, RequestHeaders, RequestHeadersBuilder, ResponseBlock, ResponseHeaders,
    ResponseHeadersBuilder, Trailers, TrailersBuilder, TrailersOnly,
};
use crate::hpack::{BlockLimits, DEFAULT_TABLE_SIZE, DecodeError, Decoder, Field};

/// How many times the limit a header list may reach before the connection ends (CVE-2016-1544). A list above the
/// limit itself only fails its stream, and has to be decoded to keep the dynamic table in step. Lists in proportion
/// to their block are exempt, see [`EXPANSION`].
const HARD_LIST_FACTOR: usize = 4;

/// How many times as long as its block a header list may be in any case. Literal fields stay below this: a field
/// counts for 32 bytes more than it has, and the shortest Huffman codes have five bits. Only empty fields, split
/// cookies and references to the dynamic table exceed it.
const EXPANSION: usize = 3;

/// A header block whose END_HEADERS flag has not arrived.
pub(super) struct OpenBlock {
    pub(super) stream: u32,
    pub(super) end_stream: bool,
    pub(super) block: Vec<u8>,
    pub(super) continuations: u32,
    /// What is wrong with the HEADERS frame itself. The block is still decoded, to keep the dynamic table in step.
    pub(super) fault: Option<Violation>,
}

/// Decodes header blocks into headers.
pub(super) struct BlockReader {
    decoder: Decoder,
    requests: RequestHeadersBuilder,
    responses: ResponseHeadersBuilder,
    trailers: TrailersBuilder,
    request_memo: ReaderCache<RequestHeaders>,
    response_memo: ReaderCache<ResponseHeaders>,
    trailers_memo: ReaderCache<Trailers>,
}

impl BlockReader {
    pub(super) fn new(limits: &Limits) -> Self {
        let limit = limits.max_header_list as usize;
        Self {
            decoder: first_decoder(limits),
            requests: RequestHeadersBuilder::new(limit),
            responses: ResponseHeadersBuilder::new(limit),
            trailers: TrailersBuilder::new(limit),
            request_memo: ReaderCache::new(4),
            response_memo: ReaderCache::new(2),
            trailers_memo: ReaderCache::new(2),
        }
    }

    /// Applies our own table size, now that the peer has acknowledged our SETTINGS.
    pub(super) fn settings_acked(&mut self, limits: &Limits) {
        self.decoder.set_max_table_size(limits.decoder_table as usize);
    }

    /// Frees the caches and spare capacity. The dynamic table stays, because the peer's encoder refers to it.
    pub(super) fn shrink(&mut self, limits: &Limits) {
        self.decoder.shrink();
        self.decoder = std::mem::replace(self, Self::new(limits)).decoder;
    }

    /// Decodes a block whose fields are not needed, to keep the dynamic table in step with the peer's.
    pub(super) fn discard(
        &mut self,
        work: &mut usize,
        limits: &Limits,
        block: &[u8],
    ) -> Result<(), Violation> {
        decode(&mut self.decoder, work, limits, block, |_| {})
    }

    /// Returns the headers of a request whose block is cached, byte for byte. A block that ends the stream may be
    /// judged differently (content-length), so only blocks without END_STREAM are cached.
    #[inline]
    pub(super) fn known_request(&self, block: &[u8], end_stream: bool) -> Option<Arc<RequestHeaders>> {
        if end_stream { None } else { self.request_memo.get(block, self.decoder.generation()) }
    }

    /// Decodes a request's header block. The inner error fails that request alone.
    #[inline(never)]
    pub(super) fn request(
        &mut self,
        work: &mut usize,
        limits: &Limits,
        block: &[u8],
        end_stream: bool,
    ) -> Result<Result<Arc<RequestHeaders>, RequestError>, Violation> {
        let builder = &mut self.requests;
        decode(&mut self.decoder, work, limits, block, |field| {
            if field.sensitive {
                builder.sensitive_field(field.name, field.value);
            } else {
                builder.field(field.name, field.value);
            }
        })?;
        let headers = match builder.finish(end_stream) {
            Ok(headers) => Arc::new(headers),
            Err(error) => return Ok(Err(error)),
        };
        if !end_stream {
            self.request_memo.put(block, self.decoder.generation(), &headers);
        }
        Ok(Ok(headers))
    }

    /// Returns the response headers whose block is cached.
    #[inline]
    pub(super) fn known_response(&self, block: &[u8], end_stream: bool) -> Option<Arc<ResponseHeaders>> {
        if end_stream { None } else { self.response_memo.get(block, self.decoder.generation()) }
    }

    /// Decodes the first header block of a response. The inner error fails that stream alone.
    #[inline(never)]
    pub(super) fn response(
        &mut self,
        work: &mut usize,
        limits: &Limits,
        block: &[u8],
        end_stream: bool,
    ) -> Result<Result<FirstBlock, Violation>, Violation> {
        let builder = &mut self.responses;
        decode(&mut self.decoder, work, limits, block, |field| {
            if field.sensitive {
                builder.sensitive_field(field.name, field.value);
            } else {
                builder.field(field.name, field.value);
            }
        })?;
        Ok(match builder.finish(end_stream) {
            Err(reason) => Err(Violation::Malformed(reason)),
            Ok(ResponseBlock::Informational(_)) => Ok(FirstBlock::Informational),
            Ok(ResponseBlock::TrailersOnly(trailers)) => Ok(FirstBlock::TrailersOnly(Box::new(trailers))),
            Ok(ResponseBlock::Headers(headers)) => {
                let headers = Arc::new(headers);
                self.response_memo.put(block, self.decoder.generation(), &headers);
                Ok(FirstBlock::Headers(headers))
            }
        })
    }

    /// Returns the trailers whose block is cached.
    #[inline]
    pub(super) fn known_trailers(&self, block: &[u8]) -> Option<Arc<Trailers>> {
        self.trailers_memo.get(block, self.decoder.generation())
    }

    /// Decodes the trailers of a response. The inner error fails that stream alone.
    #[inline(never)]
    pub(super) fn trailers(
        &mut self,
        work: &mut usize,
        limits: &Limits,
        block: &[u8],
    ) -> Result<Result<Arc<Trailers>, Violation>, Violation> {
        let builder = &mut self.trailers;
        decode(&mut self.decoder, work, limits, block, |field| {
            if field.sensitive {
                builder.sensitive_field(field.name, field.value);
            } else {
                builder.field(field.name, field.value);
            }
        })?;
        Ok(match builder.finish() {
            Err(reason) => Err(Violation::Malformed(reason)),
            Ok(trailers) => {
                let trailers = Arc::new(trailers);
                self.trailers_memo.put(block, self.decoder.generation(), &trailers);
                Ok(trailers)
            }
        })
    }
}

/// The first header block of a response.
pub(super) enum FirstBlock {
    Informational,
    Headers(Arc<ResponseHeaders>),
    TrailersOnly(Box<TrailersOnly>),
}

/// Makes the decoder for the first blocks. RFC 9113 §4.3.1: the peer's encoder uses a table of 4,096 bytes until it
/// receives our SETTINGS, and may use a larger one as soon as it has them. A smaller table applies only once the peer
/// has acknowledged them.
fn first_decoder(limits: &Limits) -> Decoder {
    let mut decoder = Decoder::new(DEFAULT_TABLE_SIZE);
    decoder.set_max_table_size((limits.decoder_table as usize).max(DEFAULT_TABLE_SIZE));
    decoder
}

/// Decodes one block, and adds the size of its header list to the work of the turn: one byte of a block can stand for
/// a whole entry of the dynamic table, so the block's own length is no measure.
#[inline]
fn decode(
    decoder: &mut Decoder,
    work: &mut usize,
    limits: &Limits,
    block: &[u8],
    sink: impl FnMut(Field<'_>),
) -> Result<(), Violation> {
    let hard = (limits.max_header_list as usize).saturating_mul(HARD_LIST_FACTOR);
    let hard = hard.max(block.len().saturating_mul(EXPANSION));
    match decoder.decode(block, &BlockLimits { max_string: hard, max_list_size: hard }, sink) {
        Ok(stats) => {
            *work = work.saturating_add(stats.list_size);
            Ok(())
        }
        Err(error) => Err(undecodable(error, hard)),
    }
}

#[cold]
fn undecodable(error: DecodeError, limit: usize) -> Violation {
    if error.is_limit() {
        let limit = limit as u64;
        return Violation::Flood { flood: Flood::HeaderList, met: limit.saturating_add(1), limit };
    }
    Violation::Hpack(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hpack::{Encoder, Indexing};

    #[test]
    fn what_only_speed_needs_is_given_back_and_the_table_stays() {
        let limits = Limits::server();
        let mut reader = BlockReader::new(&limits);
        let mut encoder = Encoder::new(4096);
        let mut block = || {
            let mut block = Vec::new();
            encoder.begin(&mut block);
            for (name, value) in [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", "/demo.Echo/Call"),
                ("content-type", "application/grpc"),
            ] {
                encoder.field(name.as_bytes(), value.as_bytes(), Indexing::Incremental, &mut block);
            }
            block
        };
        let read = |reader: &mut BlockReader, block: &[u8]| {
            reader.request(&mut 0, &limits, block, false).unwrap().unwrap()
        };
        let headers = read(&mut reader, &block());
        // After the first block, every field is in the dynamic table.
        let again = block();
        assert_eq!(read(&mut reader, &again), headers);
        assert_eq!(reader.known_request(&again, false), Some(headers.clone()));
        reader.shrink(&limits);
        assert_eq!(reader.known_request(&again, false), None);
        assert_eq!(read(&mut reader, &again), headers);
    }
}
