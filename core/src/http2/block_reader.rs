//! Header blocks to headers: the connection's decoder, and what the last few blocks meant.

use std::sync::Arc;

use super::block_reader_cache::ReaderCache;
use crate::config::Limits;
use crate::error::{Flood, Violation};
use crate::grpc::headers::{
    RequestError, RequestHeaders, RequestHeadersBuilder, ResponseBlock, ResponseHeaders,
    ResponseHeadersBuilder, Trailers, TrailersBuilder, TrailersOnly,
};
use crate::hpack::{BlockLimits, DEFAULT_TABLE_SIZE, DecodeError, Decoder, Field};

/// A header list over its limit still has to be decoded, to keep the table in step; over this many times the limit the
/// connection ends (CVE-2016-1544), unless the list is in proportion to its block.
const HARD_LIST_FACTOR: usize = 4;

/// How many times as long as its block a header list may be in any case. Fields that are not in the table come to less: a
/// field counts 32 bytes more than it has, and the shortest codes of Huffman have five bits. Empty fields, crumbs and
/// entries of the table come to more.
const EXPANSION: usize = 3;

/// A header block whose END_HEADERS has not come.
pub(super) struct OpenBlock {
    pub(super) stream: u32,
    pub(super) end_stream: bool,
    pub(super) block: Vec<u8>,
    pub(super) continuations: u32,
    /// What is wrong with the HEADERS frame itself; the block is decoded all the same, to keep the table in step.
    pub(super) fault: Option<Violation>,
}

/// What turns header blocks into headers.
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

    /// The peer has our SETTINGS.
    pub(super) fn settings_acked(&mut self, limits: &Limits) {
        self.decoder.set_max_table_size(limits.decoder_table as usize);
    }

    /// Gives back the memory that only speed needs; the table that the peer relies on stays.
    pub(super) fn shrink(&mut self, limits: &Limits) {
        self.decoder.shrink();
        self.decoder = std::mem::replace(self, Self::new(limits)).decoder;
    }

    /// Decodes a block that nobody will read: the table has to stay in step with the peer's.
    pub(super) fn discard(
        &mut self,
        work: &mut usize,
        limits: &Limits,
        block: &[u8],
    ) -> Result<(), Violation> {
        decode(&mut self.decoder, work, limits, block, |_| {})
    }

    /// Returns the headers of a request whose block is known, byte for byte. A block that ends the stream may be judged otherwise
    /// (content-length), so only open ones are remembered.
    #[inline]
    pub(super) fn known_request(&self, block: &[u8], end_stream: bool) -> Option<Arc<RequestHeaders>> {
        if end_stream { None } else { self.request_memo.get(block, self.decoder.generation()) }
    }

    /// Returns a request's headers; the inner error costs the request alone.
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

    /// Response headers whose block is known.
    #[inline]
    pub(super) fn known_response(&self, block: &[u8], end_stream: bool) -> Option<Arc<ResponseHeaders>> {
        if end_stream { None } else { self.response_memo.get(block, self.decoder.generation()) }
    }

    /// Returns the first block of a response; the inner error costs the stream alone.
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

    /// Trailers whose block is known.
    #[inline]
    pub(super) fn known_trailers(&self, block: &[u8]) -> Option<Arc<Trailers>> {
        self.trailers_memo.get(block, self.decoder.generation())
    }

    /// Returns the block behind the messages of a response; the inner error costs the stream alone.
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

/// A response's first header block.
pub(super) enum FirstBlock {
    Informational,
    Headers(Arc<ResponseHeaders>),
    TrailersOnly(Box<TrailersOnly>),
}

/// RFC 9113 §4.3.1: the peer's encoder uses a table of 4,096 bytes until it has our SETTINGS. It may use a larger one as
/// soon as it has them; a smaller one is in force once it has acknowledged them.
fn first_decoder(limits: &Limits) -> Decoder {
    let mut decoder = Decoder::new(DEFAULT_TABLE_SIZE);
    decoder.set_max_table_size((limits.decoder_table as usize).max(DEFAULT_TABLE_SIZE));
    decoder
}

/// Decodes one block, whatever becomes of its fields, and adds its list to the work of the turn: a byte of a block may
/// stand for a whole entry of the table, so the block's own length says little.
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
        // From now on every field is in the table.
        let again = block();
        assert_eq!(read(&mut reader, &again), headers);
        assert_eq!(reader.known_request(&again, false), Some(headers.clone()));
        reader.shrink(&limits);
        assert_eq!(reader.known_request(&again, false), None);
        assert_eq!(read(&mut reader, &again), headers);
    }
}
