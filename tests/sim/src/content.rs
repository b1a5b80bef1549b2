//! What messages, metadata and statuses hold: a function of their place, so that the receiver can tell what it
//! should have got without having seen what was sent.

use std::sync::Arc;

use bytes::Bytes;
use halfclose::grpc::compress::{Codecs, CompressError, DecompressError, MessageCodec};
use halfclose::{Code, Metadata, Status};

use crate::program::Side;

/// The metadata name that carries a call's number.
pub(crate) const CALL_KEY: &str = "sim-call";

/// The payload of message `index` that `from` sends on call `call`.
#[must_use]
pub(crate) fn payload(call: usize, from: Side, index: usize, size: u32) -> Bytes {
    let start = (call * 31 + index * 7 + from.index() * 101) as u8;
    let mut octets = Vec::with_capacity(size as usize);
    octets.extend((0..size).map(|at| start.wrapping_add((at ^ (at >> 8) ^ (at >> 16)) as u8)));
    octets.into()
}

/// `amount` pairs of metadata, some of them binary and some longer than others.
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

/// The metadata of a request: that of [`metadata()`], and the call's number.
#[must_use]
pub(crate) fn request_metadata(call: usize, amount: u8) -> Metadata {
    let mut all = metadata(call, amount);
    assert!(all.append(CALL_KEY, &call.to_string()).is_ok(), "the simulation's own metadata is legal");
    all
}

/// The status of a call.
#[must_use]
pub(crate) fn status(call: usize, code: u32) -> Status {
    if code == 0 {
        return Status::ok();
    }
    Status::new(Code::from_u32(code), format!("status of call {call}: 100 % \u{263a}"))
}

/// A codec without a library behind it: one octet in front, the rest reversed. It goes by the name of gzip, since
/// names other than the registered ones are refused.
#[derive(Debug)]
struct Reversing;

impl MessageCodec for Reversing {
    fn name(&self) -> &str {
        "gzip"
    }

    fn compress(&self, input: &[u8], output: &mut Vec<u8>) -> Result<(), CompressError> {
        output.push(b'R');
        output.extend(input.iter().rev());
        Ok(())
    }

    fn decompress(&self, input: &[u8], limit: usize) -> Result<Bytes, DecompressError> {
        let rest = match input.split_first() {
            Some((b'R', rest)) => rest,
            Some(_) => return Err(DecompressError::Corrupt),
            None => input,
        };
        if rest.len() > limit {
            return Err(DecompressError::TooLarge { limit });
        }
        Ok(rest.iter().rev().copied().collect())
    }
}

/// The codecs of an end that has one.
#[must_use]
pub(crate) fn codecs() -> Codecs {
    let with = Codecs::none().with(Arc::new(Reversing));
    with.unwrap_or_else(|_| unreachable!("the codec's name is a token"))
}

/// Octets that a message takes on the wire.
#[must_use]
pub(crate) const fn wire_len(size: u32, compressed: bool) -> u64 {
    5 + size as u64 + compressed as u64
}
