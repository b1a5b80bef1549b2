//! Frames: bytes to values and back.

use halfclose::frame::{
    DEFAULT_MAX_FRAME_SIZE, Data, FRAME_HEADER_LEN, Flags, Frame, FrameHeader, FrameType, PushPromise,
    data_range,
};

/// Checks `data` as a sequence of frames, the last one truncated where the bytes end. Every header is valid; what
/// parses is written and parses to the same; what does not parse gives a reason; and no two parts of the crate
/// disagree about where a payload's content is.
pub fn frame_decode(data: &[u8]) {
    let mut rest = data;
    while let Some((header, after)) = rest.split_first_chunk::<FRAME_HEADER_LEN>() {
        let header = FrameHeader::parse(header);
        head_round_trip(&header);
        let (payload, next) = after.split_at(after.len().min(header.length as usize));
        // Truncated, it is a frame of the length that is there.
        let length = u32::try_from(payload.len()).expect("at most 2^24 - 1");
        one(&FrameHeader { length, ..header }, payload);
        rest = next;
    }
}

fn head_round_trip(header: &FrameHeader) {
    assert_eq!(FrameHeader::parse(&header.encode()), *header);
    assert_eq!(header.check_length(DEFAULT_MAX_FRAME_SIZE).is_ok(), header.length <= DEFAULT_MAX_FRAME_SIZE);
    assert_eq!(FrameType::from(u8::from(header.kind)), header.kind);
}

fn one(header: &FrameHeader, payload: &[u8]) {
    let parsed = Frame::parse(header, payload);
    if header.kind == FrameType::Data {
        same_content(header, payload);
    }
    let frame = match parsed {
        Ok(frame) => frame,
        Err(error) => {
            assert!(error.section().starts_with("RFC "), "{error}");
            assert_ne!(error.code().0, 0, "an error is not NO_ERROR: {error}");
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let mut wire = Vec::new();
    frame.write(&mut wire).expect("a payload of a parsed frame has room in a frame");
    let (again, written) =
        wire.split_first_chunk::<FRAME_HEADER_LEN>().expect("a frame begins with a header");
    let again = FrameHeader::parse(again);
    assert_eq!(again.length as usize, written.len(), "{frame:?}");
    assert_eq!((again.kind, again.stream), (header.kind, header.stream), "{frame:?}");
    assert_eq!(Frame::parse(&again, written), Ok(frame));
    if is_canonical(header, payload, &frame) {
        assert_eq!(written, payload, "a frame in canonical form is written as it was read");
    }
}

/// Returns whether the payload is the one that this crate writes: padding of zeros (RFC 9113 §6.1), reserved bits
/// unset (§6.9, §6.6, §6.8).
fn is_canonical(header: &FrameHeader, payload: &[u8], frame: &Frame<'_>) -> bool {
    let padding = match frame {
        Frame::Data(Data { pad_len, .. }) => pad_len,
        Frame::Headers(headers) => &headers.pad_len,
        Frame::PushPromise(PushPromise { pad_len, .. }) => pad_len,
        _ => &None,
    };
    let tail = payload.len().saturating_sub(padding.map_or(0, usize::from));
    let padded = payload[tail..].iter().all(|&byte| byte == 0);
    let first = payload.get(usize::from(header.flags.contains(Flags::PADDED) && padding.is_some()));
    let reserved =
        matches!(header.kind, FrameType::WindowUpdate | FrameType::GoAway | FrameType::PushPromise)
            && first.is_some_and(|byte| byte & 0x80 != 0);
    padded && !reserved
}

/// Checks that [`Data::parse`] and [`data_range`] agree, and that the whole payload counts for flow control (RFC 9113
/// §6.9.1).
fn same_content(header: &FrameHeader, payload: &[u8]) {
    let range = data_range(header, payload);
    match Data::parse(header, payload) {
        Ok(data) => {
            assert_eq!(range.map(|range| &payload[range]), Ok(data.data));
            assert_eq!(data.flow_controlled_len() as usize, payload.len());
        }
        Err(error) => assert_eq!(range, Err(error)),
    }
}
