//! DATA (RFC 9113 §6.1), and padding, which HEADERS and PUSH_PROMISE have, too.

use super::{Flags, FrameError, FrameHeader, FrameType, StreamId, saturating_len};
use std::ops::Range;

/// A DATA frame (RFC 9113 §6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Data<'a> {
    /// The stream, not zero.
    pub stream: StreamId,
    /// The content, without padding.
    pub data: &'a [u8],
    /// Bytes of padding after the content; `None` if the frame has no pad length field.
    pub pad_len: Option<u8>,
    /// Whether the frame ends the sender's half of the stream.
    pub end_stream: bool,
}

impl<'a> Data<'a> {
    /// Parses a DATA payload. The value of the padding bytes is not checked (RFC 9113 §6.1 allows either).
    ///
    /// # Errors
    /// [`FrameError::StreamZero`]; [`FrameError::TooShort`] if the pad length field is missing;
    /// [`FrameError::Padding`] if the padding is as long as the payload or longer.
    #[inline]
    pub fn parse(header: &FrameHeader, payload: &'a [u8]) -> Result<Self, FrameError> {
        header.require_stream()?;
        let (data, pad_len) = unpad(header, payload, 0)?;
        Ok(Self {
            stream: header.stream,
            data,
            pad_len,
            end_stream: header.flags.contains(Flags::END_STREAM),
        })
    }

    /// Returns the number of bytes that this frame uses of the flow-control windows: content, padding and pad length
    /// field (RFC 9113 §6.9.1).
    #[must_use]
    pub fn flow_controlled_len(&self) -> u32 {
        saturating_len(padded_len(self.data.len(), self.pad_len))
    }

    /// Appends the frame to `out`; padding bytes are zero (RFC 9113 §6.1).
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] if the payload exceeds 2^24 - 1 bytes; nothing is written.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let flags = pad_flag(self.pad_len).with(Flags::END_STREAM, self.end_stream);
        FrameHeader::begin(
            FrameType::Data,
            flags,
            self.stream,
            padded_len(self.data.len(), self.pad_len),
            out,
        )?;
        out.extend(self.pad_len);
        out.extend_from_slice(self.data);
        write_padding(self.pad_len, out);
        Ok(())
    }
}

/// Returns the range of the content in the payload of a DATA frame, for a caller that slices a shared buffer instead
/// of borrowing. The whole payload counts for flow control, whatever this range is (RFC 9113 §6.9.1).
///
/// ```
/// use halfclose::frame::{Flags, FrameHeader, FrameType, StreamId, data_range};
///
/// let payload = b"\x03hello\0\0\0";
/// let header = FrameHeader { length: 9, kind: FrameType::Data, flags: Flags::PADDED, stream: StreamId::new(1) };
/// assert_eq!(data_range(&header, payload), Ok(1..6));
/// ```
///
/// # Errors
/// The errors of [`Data::parse`].
#[inline]
pub fn data_range(header: &FrameHeader, payload: &[u8]) -> Result<Range<usize>, FrameError> {
    header.require_stream()?;
    if !header.flags.contains(Flags::PADDED) {
        return Ok(0..payload.len());
    }
    let (data, _) = unpad(header, payload, 0)?;
    // `unpad` removed the pad length field, one byte, from the front.
    Ok(1..data.len().saturating_add(1))
}

/// Removes the pad length field and the padding (RFC 9113 §6.1, §6.2, §6.6). Checks that the rest has at least the
/// `fixed` bytes of the frame type's mandatory fields.
#[inline]
pub(super) fn unpad<'a>(
    header: &FrameHeader,
    payload: &'a [u8],
    fixed: usize,
) -> Result<(&'a [u8], Option<u8>), FrameError> {
    if header.flags.contains(Flags::PADDED) {
        return unpad_flagged(header, payload, fixed);
    }
    if payload.len() < fixed {
        return Err(too_short(header, payload, fixed));
    }
    Ok((payload, None))
}

fn unpad_flagged<'a>(
    header: &FrameHeader,
    payload: &'a [u8],
    fixed: usize,
) -> Result<(&'a [u8], Option<u8>), FrameError> {
    let minimum = fixed.saturating_add(1);
    let Some((&pad_len, rest)) = payload.split_first() else {
        return Err(too_short(header, payload, minimum));
    };
    let Some(room) = rest.len().checked_sub(fixed) else {
        return Err(too_short(header, payload, minimum));
    };
    // RFC 9113 §6.1, §6.2: padding may fill all space behind the fixed fields, and no more.
    let padding = Some(usize::from(pad_len)).filter(|padding| *padding <= room);
    match padding.and_then(|padding| rest.len().checked_sub(padding)).and_then(|end| rest.get(..end)) {
        Some(body) => Ok((body, Some(pad_len))),
        None => Err(FrameError::Padding { kind: header.kind, pad_len, room: saturating_len(room) }),
    }
}

#[cold]
pub(super) fn too_short(header: &FrameHeader, payload: &[u8], minimum: usize) -> FrameError {
    FrameError::TooShort {
        kind: header.kind,
        length: saturating_len(payload.len()),
        minimum: saturating_len(minimum),
    }
}

/// Returns the length of `body` together with its pad length field and padding.
pub(super) fn padded_len(body: usize, pad_len: Option<u8>) -> usize {
    body.saturating_add(pad_len.map_or(0, |padding| usize::from(padding) + 1))
}

/// Returns the flag that announces a pad length field.
pub(super) fn pad_flag(pad_len: Option<u8>) -> Flags {
    Flags::NONE.with(Flags::PADDED, pad_len.is_some())
}

/// Appends zero padding (RFC 9113 §6.1).
pub(super) fn write_padding(pad_len: Option<u8>, out: &mut Vec<u8>) {
    out.resize(out.len().saturating_add(pad_len.map_or(0, usize::from)), 0);
}
