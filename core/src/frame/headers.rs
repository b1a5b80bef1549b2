//! The frames that carry field blocks: HEADERS (RFC 9113 §6.2), PUSH_PROMISE (§6.6) and CONTINUATION (§6.10).

use super::data::{pad_flag, padded_len, too_short, unpad, write_padding};
use super::{Flags, FrameError, FrameHeader, FrameType, Priority, StreamId};

/// A HEADERS frame (RFC 9113 §6.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Headers<'a> {
    /// The stream, not zero.
    pub stream: StreamId,
    /// The first part of the field block, or all of it.
    pub fragment: &'a [u8],
    /// The deprecated priority fields (RFC 9113 §5.3.2).
    pub priority: Option<Priority>,
    /// Bytes of padding after the fragment; `None` if the frame has no pad length field.
    pub pad_len: Option<u8>,
    /// Whether the frame ends the sender's half of the stream.
    pub end_stream: bool,
    /// Whether the frame ends the field block; otherwise CONTINUATION follows.
    pub end_headers: bool,
}

impl<'a> Headers<'a> {
    /// Parses a HEADERS payload.
    ///
    /// A stream that depends on itself is reported by [`Headers::check_priority`] instead: it is a stream error, so
    /// the decoder still has to process the field block (RFC 9113 §4.3).
    ///
    /// # Errors
    /// [`FrameError::StreamZero`]; [`FrameError::TooShort`] if the fields that the flags announce do not fit;
    /// [`FrameError::Padding`] if the padding is longer than the rest.
    #[inline]
    pub fn parse(header: &FrameHeader, payload: &'a [u8]) -> Result<Self, FrameError> {
        header.require_stream()?;
        let prioritised = header.flags.contains(Flags::PRIORITY);
        let fixed = if prioritised { Priority::LEN } else { 0 };
        let (body, pad_len) = unpad(header, payload, fixed)?;
        let (priority, fragment) = match body.split_first_chunk() {
            Some((bytes, rest)) if prioritised => (Some(Priority::decode(*bytes)), rest),
            _ => (None, body),
        };
        Ok(Self {
            stream: header.stream,
            fragment,
            priority,
            pad_len,
            end_stream: header.flags.contains(Flags::END_STREAM),
            end_headers: header.flags.contains(Flags::END_HEADERS),
        })
    }

    /// Checks that the stream does not depend on itself (RFC 7540 §5.3.1; RFC 9113 §5.3.2 keeps the fields on the
    /// wire).
    ///
    /// # Errors
    /// [`FrameError::SelfDependency`], a stream error: decode the field block nevertheless.
    pub fn check_priority(&self) -> Result<(), FrameError> {
        match self.priority {
            Some(priority) => priority.check(FrameType::Headers, self.stream),
            None => Ok(()),
        }
    }

    /// Appends the frame to `out`; padding bytes are zero (RFC 9113 §6.2).
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] if the payload exceeds 2^24 - 1 bytes; nothing is written.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let flags = pad_flag(self.pad_len)
            .with(Flags::END_STREAM, self.end_stream)
            .with(Flags::END_HEADERS, self.end_headers)
            .with(Flags::PRIORITY, self.priority.is_some());
        let body = self.fragment.len().saturating_add(self.priority.map_or(0, |_| Priority::LEN));
        FrameHeader::begin(FrameType::Headers, flags, self.stream, padded_len(body, self.pad_len), out)?;
        out.extend(self.pad_len);
        if let Some(priority) = self.priority {
            out.extend_from_slice(&priority.encode());
        }
        out.extend_from_slice(self.fragment);
        write_padding(self.pad_len, out);
        Ok(())
    }
}

/// A CONTINUATION frame (RFC 9113 §6.10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Continuation<'a> {
    /// The stream of the HEADERS or PUSH_PROMISE frame that it continues; not zero.
    pub stream: StreamId,
    /// The next part of the field block.
    pub fragment: &'a [u8],
    /// Whether the frame ends the field block.
    pub end_headers: bool,
}

impl<'a> Continuation<'a> {
    /// Parses a CONTINUATION payload.
    ///
    /// # Errors
    /// [`FrameError::StreamZero`].
    pub fn parse(header: &FrameHeader, payload: &'a [u8]) -> Result<Self, FrameError> {
        header.require_stream()?;
        let end_headers = header.flags.contains(Flags::END_HEADERS);
        Ok(Self { stream: header.stream, fragment: payload, end_headers })
    }

    /// Appends the frame to `out`.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] if the payload exceeds 2^24 - 1 bytes; nothing is written.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let flags = Flags::NONE.with(Flags::END_HEADERS, self.end_headers);
        FrameHeader::begin(FrameType::Continuation, flags, self.stream, self.fragment.len(), out)?;
        out.extend_from_slice(self.fragment);
        Ok(())
    }
}

/// A PUSH_PROMISE frame (RFC 9113 §6.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PushPromise<'a> {
    /// The stream on which the promise is made; not zero.
    pub stream: StreamId,
    /// The promised stream: even, and not zero.
    pub promised: StreamId,
    /// The first part of the field block, or all of it.
    pub fragment: &'a [u8],
    /// Bytes of padding after the fragment; `None` if the frame has no pad length field.
    pub pad_len: Option<u8>,
    /// Whether the frame ends the field block; otherwise CONTINUATION follows.
    pub end_headers: bool,
}

/// Length of the promised stream id, in bytes.
const PROMISED_LEN: usize = 4;

impl<'a> PushPromise<'a> {
    /// Parses a PUSH_PROMISE payload.
    ///
    /// # Errors
    /// [`FrameError::StreamZero`], [`FrameError::TooShort`], [`FrameError::Padding`], and
    /// [`FrameError::PromisedStream`] if a server could not open the promised stream (RFC 9113 §5.1.1).
    pub fn parse(header: &FrameHeader, payload: &'a [u8]) -> Result<Self, FrameError> {
        header.require_stream()?;
        let (body, pad_len) = unpad(header, payload, PROMISED_LEN)?;
        let Some((bytes, fragment)) = body.split_first_chunk::<PROMISED_LEN>() else {
            return Err(too_short(header, payload, PROMISED_LEN));
        };
        let promised = StreamId::new(u32::from_be_bytes(*bytes));
        if !promised.is_server() {
            return Err(FrameError::PromisedStream { promised });
        }
        let end_headers = header.flags.contains(Flags::END_HEADERS);
        Ok(Self { stream: header.stream, promised, fragment, pad_len, end_headers })
    }

    /// Appends the frame to `out`; padding bytes are zero (RFC 9113 §6.6).
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] if the payload exceeds 2^24 - 1 bytes; nothing is written.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let flags = pad_flag(self.pad_len).with(Flags::END_HEADERS, self.end_headers);
        let body = self.fragment.len().saturating_add(PROMISED_LEN);
        FrameHeader::begin(FrameType::PushPromise, flags, self.stream, padded_len(body, self.pad_len), out)?;
        out.extend(self.pad_len);
        out.extend_from_slice(&self.promised.get().to_be_bytes());
        out.extend_from_slice(self.fragment);
        write_padding(self.pad_len, out);
        Ok(())
    }
}
