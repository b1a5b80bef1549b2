//! Length-prefixed messages, compressed or not, however DATA frames cut them.

use bytes::Bytes;
use halfclose::grpc::compress::{Codecs, DecompressError, MessageCodec};
use halfclose::internals::{Arena, MessageBuffer, MessageError, PREFIX_LEN, Payload, Prefix, RawMessage};

const NAMES: [&[u8]; 3] = [b"gzip", b"deflate", b"zstd"];

/// Checks the buffer of messages and the codecs. The first five bytes choose the codec, the limits and the cuts; the
/// rest is the content of a stream.
///
/// The buffer finds what a reading of the whole content finds, however the content is cut and kept, and holds no more
/// than it was given. A payload decompresses to at most the limit or not at all, and what was decompressed survives
/// the codec both ways.
pub fn message_decode(data: &[u8]) {
    let Some((&[codec, limit, scale, cut, keep], content)) = data.split_first_chunk() else { return };
    let limit = u32::from(limit) << (scale % 16);
    let messages = received(content, limit, cut, keep);
    let codecs = Codecs::builtin();
    let codec = codecs.get(NAMES[usize::from(codec) % 3]).expect("features gzip, deflate and zstd are on");
    for message in messages.iter().filter(|message| message.compressed) {
        inflated(codec.as_ref(), &message.payload, limit as usize);
    }
    if let Some(message) = messages.first() {
        deflated(codec.as_ref(), &message.payload);
    }
}

/// Feeds the content in pieces and pops messages in between. Returns all of them.
fn received(content: &[u8], limit: u32, cut: u8, keep: u8) -> Vec<RawMessage> {
    let expected = reference(content, limit);
    let mut arena = Arena::new();
    let mut buffer = MessageBuffer::new();
    let mut messages = Vec::new();
    let mut failed = None;
    let shared = Bytes::copy_from_slice(content);
    let mut at = 0;
    let mut round = 0_u32;
    while at < content.len() && failed.is_none() {
        let step = piece(cut, round).min(content.len() - at);
        let payload = if keep & 1 == 0 {
            Payload::Borrowed(&content[at..at + step])
        } else {
            Payload::Owned(shared.slice(at..at + step))
        };
        failed = buffer.push(payload, limit, &mut arena).err();
        at += step;
        round += 1;
        assert!(buffer.buffered() <= at, "holds {} of {at} bytes", buffer.buffered());
        // Pops all messages, none, or as many as the byte says in each round.
        for _ in 0..keep >> 1 {
            let Some(message) = pop(&mut buffer) else { break };
            messages.push(message);
        }
    }
    assert_eq!(failed, expected.error);
    if let Some(error) = failed {
        assert_eq!(buffer.push(Payload::Borrowed(b"\0"), limit, &mut arena), Err(error), "errors stay");
    } else {
        assert_eq!(buffer.is_mid_message(), expected.rest > 0);
        assert_eq!(buffer.missing(), expected.missing);
    }
    while let Some(message) = pop(&mut buffer) {
        messages.push(message);
    }
    let met: Vec<_> = messages.iter().map(|m| (m.compressed, m.payload.as_ref())).collect();
    assert_eq!(met, expected.messages);
    messages
}

fn pop(buffer: &mut MessageBuffer) -> Option<RawMessage> {
    let complete = buffer.complete();
    let buffered = buffer.buffered();
    let message = buffer.pop();
    assert_eq!(message.is_some(), complete > 0);
    if let Some(message) = &message {
        assert_eq!(message.wire_len as usize, message.payload.len() + PREFIX_LEN);
        assert_eq!(buffer.complete(), complete - 1);
        assert_eq!(buffer.buffered(), buffered - message.wire_len as usize);
    }
    message
}

/// Returns the length of the next piece: one byte, all of it, or a changing length in between.
fn piece(cut: u8, round: u32) -> usize {
    match cut {
        0 => usize::MAX,
        1..0x80 => usize::from(cut),
        _ => {
            let steps = [1, 5, 7, 64, 300, 2048, 5000];
            steps[(round as usize + usize::from(cut)) % steps.len()]
        }
    }
}

/// Reads the messages of the whole content.
#[derive(Default)]
struct Expected<'a> {
    messages: Vec<(bool, &'a [u8])>,
    error: Option<MessageError>,
    rest: usize,
    missing: Option<u32>,
}

fn reference(content: &[u8], limit: u32) -> Expected<'_> {
    let mut expected = Expected::default();
    let mut rest = content;
    while let Some((&prefix, after)) = rest.split_first_chunk::<PREFIX_LEN>() {
        let [flag, l0, l1, l2, l3] = prefix;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        expected.error = match flag {
            0 | 1 if length <= limit => None,
            0 | 1 => Some(MessageError::TooLarge { length, limit }),
            _ => Some(MessageError::Flag(flag)),
        };
        if expected.error.is_some() {
            return expected;
        }
        assert_eq!(Prefix::parse(prefix).map(Prefix::to_bytes), Ok(prefix));
        let Some((payload, next)) = after.split_at_checked(length as usize) else {
            expected.missing = Some(length - u32::try_from(after.len()).expect("shorter than length"));
            break;
        };
        expected.messages.push((flag == 1, payload));
        rest = next;
    }
    expected.rest = rest.len();
    if (1..PREFIX_LEN).contains(&rest.len()) {
        expected.missing = u32::try_from(PREFIX_LEN - rest.len()).ok();
    }
    expected
}

fn inflated(codec: &dyn MessageCodec, payload: &[u8], max: usize) {
    match codec.decompress(payload, max) {
        Ok(plain) => {
            assert!(plain.len() <= max);
            deflated(codec, &plain);
        }
        Err(DecompressError::TooLarge { limit }) => {
            assert_eq!(limit, max);
            // What exceeds one limit exceeds every smaller one, or is corrupt before it.
            assert!(codec.decompress(payload, max / 2).is_err());
        }
        Err(error) => assert_eq!(error, DecompressError::Corrupt),
    }
}

/// Checks that a compressed message decompresses to itself, also with the exact limit, and not with a byte less; that
/// truncation or a tail is an error.
fn deflated(codec: &dyn MessageCodec, plain: &[u8]) {
    let mut packed = Vec::new();
    codec.compress(plain, &mut packed).expect("the built-in codecs compress anything");
    assert_eq!(codec.decompress(&packed, plain.len()).as_deref(), Ok(plain));
    if let Some(under) = plain.len().checked_sub(1) {
        assert_eq!(codec.decompress(&packed, under), Err(DecompressError::TooLarge { limit: under }));
    }
    let (_, cut) = packed.split_last().expect("even nothing packs to something");
    if !cut.is_empty() {
        assert_eq!(codec.decompress(cut, plain.len()), Err(DecompressError::Corrupt), "a cut is noticed");
    }
    packed.extend_from_slice(b"tail");
    assert_eq!(codec.decompress(&packed, plain.len()), Err(DecompressError::Corrupt), "a tail is noticed");
}
