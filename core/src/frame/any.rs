//! A frame of any type.

use super::{
    Continuation, Data, FrameError, FrameHeader, FrameType, GoAway, Headers, Ping, PriorityFrame,
    PushPromise, RstStream, Settings, WindowUpdate,
};

/// A frame of any type, borrowing its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame<'a> {
    /// DATA (RFC 9113 §6.1).
    Data(Data<'a>),
    /// HEADERS (RFC 9113 §6.2).
    Headers(Headers<'a>),
    /// PRIORITY (RFC 9113 §6.3).
    Priority(PriorityFrame),
    /// RST_STREAM (RFC 9113 §6.4).
    RstStream(RstStream),
    /// SETTINGS (RFC 9113 §6.5).
    Settings(Settings<'a>),
    /// PUSH_PROMISE (RFC 9113 §6.6).
    PushPromise(PushPromise<'a>),
    /// PING (RFC 9113 §6.7).
    Ping(Ping),
    /// GOAWAY (RFC 9113 §6.8).
    GoAway(GoAway<'a>),
    /// WINDOW_UPDATE (RFC 9113 §6.9).
    WindowUpdate(WindowUpdate),
    /// CONTINUATION (RFC 9113 §6.10).
    Continuation(Continuation<'a>),
    /// A type that RFC 9113 does not define; receivers ignore it (RFC 9113 §5.5).
    Unknown {
        /// Its frame header.
        header: FrameHeader,
        /// Its payload, uninterpreted.
        payload: &'a [u8],
    },
}

impl<'a> Frame<'a> {
    /// Parses the payload that belongs to `header`. The length of `payload` is used; `header.length` is ignored.
    ///
    /// # Errors
    /// The errors of the frame type's own `parse`. A frame of an unknown type has none.
    pub fn parse(header: &FrameHeader, payload: &'a [u8]) -> Result<Self, FrameError> {
        Ok(match header.kind {
            FrameType::Data => Self::Data(Data::parse(header, payload)?),
            FrameType::Headers => Self::Headers(Headers::parse(header, payload)?),
            FrameType::Priority => Self::Priority(PriorityFrame::parse(header, payload)?),
            FrameType::RstStream => Self::RstStream(RstStream::parse(header, payload)?),
            FrameType::Settings => Self::Settings(Settings::parse(header, payload)?),
            FrameType::PushPromise => Self::PushPromise(PushPromise::parse(header, payload)?),
            FrameType::Ping => Self::Ping(Ping::parse(header, payload)?),
            FrameType::GoAway => Self::GoAway(GoAway::parse(header, payload)?),
            FrameType::WindowUpdate => Self::WindowUpdate(WindowUpdate::parse(header, payload)?),
            FrameType::Continuation => Self::Continuation(Continuation::parse(header, payload)?),
            FrameType::Unknown(_) => Self::Unknown { header: *header, payload },
        })
    }

    /// Appends the frame to `out`. Flags without meaning for its type are left unset, padding is zero, and the length
    /// is that of the payload.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] if the payload exceeds 2^24 - 1 bytes; nothing is written. The caller has to keep the
    /// payload within the peer's SETTINGS_MAX_FRAME_SIZE, which rules this error out.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        match self {
            Self::Data(data) => data.write(out)?,
            Self::Headers(headers) => headers.write(out)?,
            Self::Priority(priority) => priority.write(out),
            Self::RstStream(rst_stream) => rst_stream.write(out),
            Self::Settings(settings) => settings.write(out)?,
            Self::PushPromise(push_promise) => push_promise.write(out)?,
            Self::Ping(ping) => ping.write(out),
            Self::GoAway(go_away) => go_away.write(out),
            Self::WindowUpdate(window_update) => window_update.write(out),
            Self::Continuation(continuation) => continuation.write(out)?,
            Self::Unknown { header, payload } => {
                FrameHeader::begin(header.kind, header.flags, header.stream, payload.len(), out)?;
                out.extend_from_slice(payload);
            }
        }
        Ok(())
    }
}
