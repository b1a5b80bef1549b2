//! The built-in codecs.

use bytes::Bytes;

use super::{CompressError, DecompressError, MessageCodec};

/// Bytes of decompressed output that are produced at a time.
#[cfg(any(feature = "gzip", feature = "deflate", feature = "zstd"))]
const STEP: usize = 8 * 1024;

/// Reads to the end, or until the limit is exceeded.
#[cfg(any(feature = "gzip", feature = "zstd"))]
fn read_bounded(mut reader: impl std::io::Read, max: usize) -> Result<Bytes, DecompressError> {
    let mut step = [0; STEP];
    let mut out = Vec::new();
    loop {
        let given = reader.read(&mut step).map_err(|_| DecompressError::Corrupt)?;
        if given == 0 {
            return Ok(Bytes::from(out));
        }
        append(&mut out, step.get(..given).unwrap_or_default(), max)?;
    }
}

/// Appends a piece, unless that would exceed the limit. The buffer doubles as it fills, but never beyond the limit,
/// so a decompression bomb costs at most one and a half times the limit.
#[cfg(any(feature = "gzip", feature = "deflate", feature = "zstd"))]
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
        if payload.is_empty() {
            return Ok(Bytes::new());
        }
        // A gzip file is a series of members (RFC 1952 §2.2); bytes after the last one are an error.
        read_bounded(flate2::bufread::MultiGzDecoder::new(payload), max)
    }
}

/// `deflate`: the zlib format (RFC 1950), as in C-core.
#[cfg(feature = "deflate")]
#[derive(Clone, Copy, Debug)]
pub struct Deflate;

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
        if payload.is_empty() {
            return Ok(Bytes::new());
        }
        inflate(payload, max)
    }
}

/// Decompresses a zlib stream. flate2's reader accepts a truncated stream as complete, so this drives its state
/// machine directly, which reports the real end.
#[cfg(feature = "deflate")]
fn inflate(payload: &[u8], max: usize) -> Result<Bytes, DecompressError> {
    use flate2::{Decompress, FlushDecompress, Status};
    let mut state = Decompress::new(true);
    let mut step = [0; STEP];
    let mut out = Vec::new();
    let mut rest = payload;
    loop {
        let (before_in, before_out) = (state.total_in(), state.total_out());
        let status =
            state.decompress(rest, &mut step, FlushDecompress::None).map_err(|_| DecompressError::Corrupt)?;
        let taken = progress(before_in, state.total_in());
        let given = progress(before_out, state.total_out());
        rest = rest.get(taken..).unwrap_or_default();
        append(&mut out, step.get(..given).unwrap_or_default(), max)?;
        match status {
            Status::StreamEnd if rest.is_empty() => return Ok(Bytes::from(out)),
            Status::StreamEnd => return Err(DecompressError::Corrupt),
            _ if taken == 0 && given == 0 => return Err(DecompressError::Corrupt),
            _ => {}
        }
    }
}

#[cfg(feature = "deflate")]
fn progress(before: u64, after: u64) -> usize {
    usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX)
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
        if payload.is_empty() {
            return Ok(Bytes::new());
        }
        let decoder = zstd::stream::read::Decoder::with_buffer(payload)
            .and_then(|mut decoder| decoder.window_log_max(ZSTD_WINDOW_LOG).map(|()| decoder));
        read_bounded(decoder.map_err(|_| DecompressError::Corrupt)?, max)
    }
}
