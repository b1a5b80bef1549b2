//! The built-in codecs. Each decompresses in bounded steps: see [`UnpackSteps`].

use bytes::Bytes;

use super::work::work_of;
use super::{CompressError, DecompressError, MessageCodec, UnpackSteps};

#[cfg(feature = "gzip")]
mod gzip;

/// What one call of a library takes: so few bytes that even the input that costs the most, empty blocks of a byte and a
/// quarter each, keeps it busy for a fraction of a millisecond.
const INPUT_STEP: usize = 1024;
/// What one call of a library gives.
const OUTPUT_STEP: usize = 8 * 1024;
/// The input that may bring nothing: headers, names, empty blocks and members.
const LEAST_INPUT: u64 = 8 * 1024;
/// Input bytes that may go with each byte of output beyond that. An encoder that flushes after each byte needs six.
const MOST_INPUT_EACH: u64 = 8;

/// What one call of a library did.
struct Ran {
    taken: usize,
    given: usize,
}

/// A compressed format, driven by hand.
trait Format: Send {
    /// Input bytes that may have brought nothing yet: more than the format takes at once before it gives any.
    const LEAST_INPUT: u64 = LEAST_INPUT;

    /// Takes some of `input` and fills some of `out`; neither where nothing more can be done.
    fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<Ran, DecompressError>;

    /// Returns whether the input may end here.
    fn is_complete(&self) -> bool;
}

/// One payload on its way through a format.
struct Unpacking<F> {
    format: F,
    max: usize,
    taken: usize,
    out: Vec<u8>,
}

impl<F: Format> Unpacking<F> {
    fn new(format: F, max: usize) -> Self {
        Self { format, max, taken: 0, out: Vec::new() }
    }

    /// Refuses input that brings nothing or next to nothing: it costs the most and can only be meant to.
    fn check_yield(&self) -> Result<(), DecompressError> {
        let (taken, given) = (self.taken as u64, self.out.len() as u64);
        if taken > F::LEAST_INPUT.saturating_add(given.saturating_mul(MOST_INPUT_EACH)) {
            return Err(DecompressError::Corrupt);
        }
        Ok(())
    }

    /// Does one step. Returns whether it was the last one.
    fn step(&mut self, payload: &[u8], buffer: &mut [u8]) -> Result<bool, DecompressError> {
        let rest = payload.get(self.taken..).unwrap_or_default();
        let input = rest.get(..INPUT_STEP).unwrap_or(rest);
        let ran = self.format.run(input, buffer)?;
        self.taken = self.taken.saturating_add(ran.taken);
        append(&mut self.out, buffer.get(..ran.given).unwrap_or_default(), self.max)?;
        self.check_yield()?;
        if ran.taken > 0 || ran.given > 0 {
            return Ok(false);
        }
        // Nothing moves any more: that is the end, or there is none.
        if rest.is_empty() && self.format.is_complete() { Ok(true) } else { Err(DecompressError::Corrupt) }
    }
}

impl<F: Format> UnpackSteps for Unpacking<F> {
    fn advance(&mut self, payload: &[u8], most: u64) -> Result<Option<Bytes>, DecompressError> {
        let mut buffer = [0; OUTPUT_STEP];
        let begun = work_of(self.taken, self.out.len());
        loop {
            if self.step(payload, &mut buffer)? {
                return Ok(Some(Bytes::from(std::mem::take(&mut self.out))));
            }
            if work_of(self.taken, self.out.len()).saturating_sub(begun) >= most {
                return Ok(None);
            }
        }
    }

    fn progress(&self) -> (usize, usize) {
        (self.taken, self.out.len())
    }
}

/// Decompresses a whole payload.
fn unpack<F: Format>(format: F, payload: &[u8], max: usize) -> Result<Bytes, DecompressError> {
    if payload.is_empty() {
        return Ok(Bytes::new());
    }
    let all = Unpacking::new(format, max).advance(payload, u64::MAX)?;
    all.ok_or(DecompressError::Corrupt)
}

/// Appends a piece, unless that is over the limit. The buffer doubles with what comes out, and no further than the
/// limit: a bomb costs one and a half times as much.
pub(super) fn append(out: &mut Vec<u8>, piece: &[u8], max: usize) -> Result<(), DecompressError> {
    let length = out.len().saturating_add(piece.len());
    if length > max {
        return Err(DecompressError::TooLarge { limit: max });
    }
    if length > out.capacity() {
        let doubled = out.len().saturating_mul(2).clamp(length, max);
        out.reserve_exact(doubled.saturating_sub(out.len()));
    }
    out.extend_from_slice(piece);
    Ok(())
}

/// Runs an inflater. Returns what it did and whether its stream has ended.
#[cfg(any(feature = "gzip", feature = "deflate"))]
fn inflate(
    state: &mut flate2::Decompress,
    input: &[u8],
    out: &mut [u8],
) -> Result<(Ran, bool), DecompressError> {
    let before = (state.total_in(), state.total_out());
    let status =
        state.decompress(input, out, flate2::FlushDecompress::None).map_err(|_| DecompressError::Corrupt)?;
    let moved = |before: u64, after: u64| usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX);
    let ran = Ran { taken: moved(before.0, state.total_in()), given: moved(before.1, state.total_out()) };
    Ok((ran, status == flate2::Status::StreamEnd))
}

/// `gzip` (RFC 1952).
#[cfg(feature = "gzip")]
#[derive(Clone, Copy, Debug)]
pub struct Gzip;

#[cfg(feature = "gzip")]
impl MessageCodec for Gzip {
    fn name(&self) -> &str {
        "gzip"
    }

    fn compress(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
        encoder.write_all(payload).and_then(|()| encoder.finish().map(drop)).map_err(|_| CompressError)
    }

    fn decompress(&self, payload: &[u8], max: usize) -> Result<Bytes, DecompressError> {
        unpack(gzip::Members::new(), payload, max)
    }

    fn unpack_steps(&self, max: usize) -> Option<Box<dyn UnpackSteps>> {
        Some(Box::new(Unpacking::new(gzip::Members::new(), max)))
    }
}

/// `deflate`: the zlib format (RFC 1950), as in C-core.
#[cfg(feature = "deflate")]
#[derive(Clone, Copy, Debug)]
pub struct Deflate;

/// A zlib stream. flate2's reader takes a stream that is cut short for a complete one; its state machine, driven by hand,
/// says when the end was really there.
#[cfg(feature = "deflate")]
struct ZlibStream {
    state: flate2::Decompress,
    ended: bool,
}

#[cfg(feature = "deflate")]
impl Default for ZlibStream {
    fn default() -> Self {
        Self { state: flate2::Decompress::new(true), ended: false }
    }
}

#[cfg(feature = "deflate")]
impl Format for ZlibStream {
    fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<Ran, DecompressError> {
        if self.ended {
            return Ok(Ran { taken: 0, given: 0 });
        }
        let (ran, ended) = inflate(&mut self.state, input, out)?;
        self.ended = ended;
        Ok(ran)
    }

    fn is_complete(&self) -> bool {
        self.ended
    }
}

#[cfg(feature = "deflate")]
impl MessageCodec for Deflate {
    fn name(&self) -> &str {
        "deflate"
    }

    fn compress(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        use std::io::Write;
        let mut encoder = flate2::write::ZlibEncoder::new(out, flate2::Compression::default());
        encoder.write_all(payload).and_then(|()| encoder.finish().map(drop)).map_err(|_| CompressError)
    }

    fn decompress(&self, payload: &[u8], max: usize) -> Result<Bytes, DecompressError> {
        unpack(ZlibStream::default(), payload, max)
    }

    fn unpack_steps(&self, max: usize) -> Option<Box<dyn UnpackSteps>> {
        Some(Box::new(Unpacking::new(ZlibStream::default(), max)))
    }
}

/// `zstd` (RFC 8878).
#[cfg(feature = "zstd")]
#[derive(Clone, Copy, Debug)]
pub struct Zstd;

/// The largest window of a zstd frame that is accepted: 2^23 bytes, which RFC 8878 §3.1.1.1.2 recommends that
/// decoders support. A frame announces its window before any content, so this bounds the memory that a few bytes can
/// cause.
#[cfg(feature = "zstd")]
const ZSTD_WINDOW_LOG: u32 = 23;

/// A series of zstd frames.
#[cfg(feature = "zstd")]
struct ZstdFrames {
    /// Made for the first bytes: a decoder is large.
    decoder: Option<zstd::stream::raw::Decoder<'static>>,
    complete: bool,
}

#[cfg(feature = "zstd")]
impl ZstdFrames {
    const fn new() -> Self {
        Self { decoder: None, complete: false }
    }

    fn decoder() -> std::io::Result<zstd::stream::raw::Decoder<'static>> {
        use zstd::stream::raw::{DParameter, Decoder};
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
        Ok(decoder)
    }
}

#[cfg(feature = "zstd")]
impl Format for ZstdFrames {
    /// A block comes out once it is whole: at most 128 KiB (RFC 8878 §3.1.1.2.4).
    const LEAST_INPUT: u64 = 128 * 1024 + LEAST_INPUT;

    fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<Ran, DecompressError> {
        use zstd::stream::raw::{InBuffer, Operation, OutBuffer};
        if input.is_empty() && self.complete {
            return Ok(Ran { taken: 0, given: 0 });
        }
        let corrupt = |_| DecompressError::Corrupt;
        if self.decoder.is_none() {
            self.decoder = Some(Self::decoder().map_err(corrupt)?);
        }
        let Some(decoder) = &mut self.decoder else { return Err(DecompressError::Corrupt) };
        let (mut from, mut to) = (InBuffer::around(input), OutBuffer::around(out));
        // What it asks for next is nothing at the end of a frame.
        self.complete = decoder.run(&mut from, &mut to).map_err(corrupt)? == 0;
        Ok(Ran { taken: from.pos(), given: to.pos() })
    }

    fn is_complete(&self) -> bool {
        self.complete
    }
}

#[cfg(feature = "zstd")]
impl MessageCodec for Zstd {
    fn name(&self) -> &str {
        "zstd"
    }

    fn compress(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        let encoded = zstd::bulk::compress(payload, zstd::DEFAULT_COMPRESSION_LEVEL);
        out.extend_from_slice(&encoded.map_err(|_| CompressError)?);
        Ok(())
    }

    fn decompress(&self, payload: &[u8], max: usize) -> Result<Bytes, DecompressError> {
        unpack(ZstdFrames::new(), payload, max)
    }

    fn unpack_steps(&self, max: usize) -> Option<Box<dyn UnpackSteps>> {
        Some(Box::new(Unpacking::new(ZstdFrames::new(), max)))
    }
}
