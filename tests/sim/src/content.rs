//! The contents of messages, metadata and statuses: a function of their position, so that the receiver can compute
//! what it must receive without seeing what was sent.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use halfclose::grpc::compress::{Codecs, CompressError, DecompressError, MessageCodec};
use halfclose::{Code, Metadata, Status};

use crate::program::Side;

/// The metadata name that carries a call's number.
pub(crate) const CALL_KEY: &str = "sim-call";

/// The size of the largest message in bytes, and the number of positions where a message may start.
const LARGEST: usize = 200_000;
const STARTS: usize = 50_021;

/// Bytes without a pattern; every payload is a part of them.
static OCTETS: LazyLock<Bytes> = LazyLock::new(|| {
    let mut bytes = vec![0; LARGEST + STARTS];
    fastrand::Rng::with_seed(7).fill(&mut bytes);
    bytes.into()
});

/// Returns the payload of message `index` that `from` sends on call `call`; its start position identifies it.
///
/// # Panics
/// If `size` is larger than any message of a program.
#[must_use]
pub(crate) fn payload(call: usize, from: Side, index: usize, size: u32) -> Bytes {
    let start = (call * 3_109 + index * 127 + from.index() * 25_013) % STARTS;
    OCTETS.slice(start..start + size as usize)
}

/// Returns `amount` pairs of metadata, some of them binary and some longer than others.
#[must_use]
pub(crate) fn metadata(call: usize, amount: u8) -> Metadata {
    let mut metadata = Metadata::new();
    for index in 0..usize::from(amount) {
        let text = format!("value-{call}-{index}-{}", "x".repeat(index * 40));
        let result = if index % 3 == 2 {
            metadata.append_bin(&format!("sim-{index}-bin"), text.as_bytes())
        } else {
            metadata.append(&format!("sim-{index}"), &text)
        };
        assert!(result.is_ok(), "the simulation's own metadata is legal");
    }
    metadata
}

/// Returns the metadata of a request: that of [`metadata()`], and the call's number.
#[must_use]
pub(crate) fn request_metadata(call: usize, amount: u8) -> Metadata {
    let mut all = metadata(call, amount);
    assert!(all.append(CALL_KEY, &call.to_string()).is_ok(), "the simulation's own metadata is legal");
    all
}

/// Returns the status of a call.
#[must_use]
pub(crate) fn status(call: usize, code: u32) -> Status {
    if code == 0 {
        return Status::ok();
    }
    Status::new(Code::from_u32(code), format!("status of call {call}: 100 % \u{263a}"))
}

/// A codec without a library behind it: one byte, then the second half before the first. It uses the name gzip,
/// because names other than the registered ones are refused.
#[derive(Debug)]
struct Swapping;

impl MessageCodec for Swapping {
    fn name(&self) -> &str {
        "gzip"
    }

    fn compress(&self, input: &[u8], output: &mut Vec<u8>) -> Result<(), CompressError> {
        let (first, second) = input.split_at(input.len() / 2);
        output.push(b'S');
        output.extend_from_slice(second);
        output.extend_from_slice(first);
        Ok(())
    }

    fn decompress(&self, input: &[u8], limit: usize) -> Result<Bytes, DecompressError> {
        let rest = match input.split_first() {
            Some((b'S', rest)) => rest,
            Some(_) => return Err(DecompressError::Corrupt),
            None => input,
        };
        if rest.len() > limit {
            return Err(DecompressError::TooLarge { limit });
        }
        let (second, first) = rest.split_at(rest.len().div_ceil(2));
        Ok([first, second].concat().into())
    }
}

/// Returns the codecs of an end that has one.
#[must_use]
pub(crate) fn codecs() -> Codecs {
    let with = Codecs::none().with(Arc::new(Swapping));
    with.unwrap_or_else(|_| unreachable!("the codec's name is a token"))
}

/// Returns the bytes of a message on the wire.
#[must_use]
pub(crate) const fn wire_len(size: u32, compressed: bool) -> u64 {
    5 + size as u64 + compressed as u64
}
