//! Errors by fault: [`Misuse`] is the caller's, [`Violation`] the peer's. [`ConnectionError`] says why a connection
//! failed.

use std::borrow::Cow;

use bytes::Bytes;
use thiserror::Error;

use crate::frame::{ErrorCode, FrameError, Scope};
use crate::grpc::headers::MalformedReason;
use crate::hpack::DecodeError;

/// A command of the caller that could not be carried out. Nothing changed and nothing was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The id is stale: its call ended and the caller received the outcome, or the call was released.
    #[error("no such call: it has ended, and its id is no longer valid")]
    UnknownCall,
    /// A message or a second half-close after the half-close ([P-80](crate::manual::rules#p-80)).
    #[error("the call is already half-closed on this side")]
    AfterHalfClose,
    /// A message after the call ended; `recv` returns the status ([P-88](crate::manual::rules#p-88)).
    #[error("the call has ended; its status comes from the receiving side")]
    CallEnded,
    /// Response headers after response headers ([P-32](crate::manual::rules#p-32)).
    #[error("response headers were already sent")]
    HeadersTwice,
    /// A command after the status ([P-87](crate::manual::rules#p-87)).
    #[error("the status was already sent")]
    AfterStatus,
    /// A second message on a method that carries one in this direction ([P-71](crate::manual::rules#p-71),
    /// [P-73](crate::manual::rules#p-73)).
    #[error("the method carries one message in this direction, and it was already sent")]
    SecondMessage,
    /// The send buffer is full: wait for [`Event::Writable`](crate::Event::Writable).
    #[error("{queued} bytes are held for sending, at or over the limit of {limit}")]
    NotWritable {
        /// The bytes queued on the call; or, if memory is short, the bytes that the connection holds. In the second
        /// case a call queues one message at a time.
        queued: usize,
        /// [`Limits::send_buffer`](crate::Limits::send_buffer), or half of the memory that the connection was
        /// granted.
        limit: usize,
    },
    /// A message larger than this side may send ([P-55](crate::manual::rules#p-55)).
    #[error("the message has {size} bytes, over the send limit of {limit}")]
    MessageTooLarge {
        /// The size of the message, in bytes.
        size: usize,
        /// [`Limits::max_send_message`](crate::Limits::max_send_message).
        limit: usize,
    },
    /// Headers larger than the peer accepts ([P-15](crate::manual::rules#p-15)).
    #[error("the header list has {size} bytes, over the peer's limit of {limit}")]
    HeaderListTooLarge {
        /// The size: for each field its name, its value and 32 bytes.
        size: usize,
        /// The peer's SETTINGS_MAX_HEADER_LIST_SIZE.
        limit: usize,
    },
    /// The connection accepts no new calls: a GOAWAY was sent or received, or the stream ids ran out
    /// ([P-18](crate::manual::rules#p-18), [P-93](crate::manual::rules#p-93)).
    #[error("the connection is going away and takes no new calls")]
    GoingAway,
    /// The connection is over.
    #[error("the connection is closed")]
    Closed,
    /// Too many calls wait for a stream.
    #[error("{queued} calls wait for a stream, the limit is {limit}")]
    TooManyQueuedCalls {
        /// The number of calls that wait.
        queued: usize,
        /// [`Limits::queued_calls`](crate::Limits::queued_calls).
        limit: usize,
    },
    /// The path does not begin with a slash, or contains bytes that are not allowed in it
    /// ([P-4](crate::manual::rules#p-4)).
    #[error("the path must begin with a slash and hold visible ASCII only")]
    InvalidPath,
    /// The authority contains bytes that are not allowed in it ([P-5](crate::manual::rules#p-5)).
    #[error("the authority must hold visible ASCII only")]
    InvalidAuthority,
    /// An encoding that is not compiled in, is not registered, or that the peer did not offer
    /// ([P-60](crate::manual::rules#p-60)).
    #[error("no codec for this message encoding, or the peer does not accept it")]
    UnsupportedEncoding,
    /// The codec failed to compress the message.
    #[error("the message encoding's codec failed")]
    CompressionFailed,
    /// The call type was set after a message was received or sent on the call: it could not be counted any more.
    #[error("the call type must be set before a message is received or sent")]
    AcceptedLate,
}

/// A rule that the peer broke, with its scope and its error code.
#[derive(Clone, PartialEq, Debug, Error)]
#[non_exhaustive]
pub enum Violation {
    /// A frame that is invalid in itself (RFC 9113 §4 and §6).
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame larger than we accept (RFC 9113 §4.2).
    #[error("a frame of {length} bytes, over SETTINGS_MAX_FRAME_SIZE {limit}")]
    FrameTooLarge {
        /// The length in its frame header.
        length: u32,
        /// Our SETTINGS_MAX_FRAME_SIZE.
        limit: u32,
    },
    /// A frame or an END_STREAM flag that a state table does not allow in the current state.
    #[error("{} in state {} of {}", .0.input, .0.state, .0.machine)]
    Order(&'static IllegalTransition),
    /// The connection did not begin with the client preface (RFC 9113 §3.4).
    #[error("the connection does not begin with the HTTP/2 client preface")]
    Preface,
    /// A header block that cannot be decoded (RFC 7541).
    #[error("header block: {0}")]
    Hpack(#[from] DecodeError),
    /// A header block whose fields RFC 9113 §8 calls malformed.
    #[error("malformed: {0}")]
    Malformed(#[from] MalformedReason),
    /// DATA whose length contradicts the content-length (RFC 9113 §8.1.1).
    #[error("content-length says {expected}, {met} bytes came")]
    ContentLength {
        /// The announced length.
        expected: u64,
        /// The bytes that arrived: more than announced, or fewer when the stream ended.
        met: u64,
    },
    /// DATA beyond the window of a stream or of the connection (RFC 9113 §5.2).
    #[error("{length} bytes of DATA, the {} window had {window}", scope_name(.connection))]
    WindowExceeded {
        /// Whether the connection's window was exceeded.
        connection: bool,
        /// The flow-controlled length of the frame.
        length: u32,
        /// What was left of the window.
        window: i64,
    },
    /// A window above 2^31-1 by WINDOW_UPDATE or SETTINGS (RFC 9113 §6.9.1, §6.9.2).
    #[error("the {} window would grow to {window}, over 2^31-1", scope_name(.connection))]
    WindowOverflow {
        /// Whether the error ends the connection: it is the connection's window, or SETTINGS caused it.
        connection: bool,
        /// The size that the window would have had.
        window: i64,
    },
    /// A SETTINGS value that this role may not send (RFC 9113 §6.5.2).
    #[error("SETTINGS_ENABLE_PUSH 1 from a server")]
    PushEnabledByServer,
    /// SETTINGS ACK for a SETTINGS that we never sent.
    #[error("SETTINGS ACK without SETTINGS")]
    UnexpectedAck,
    /// A GOAWAY whose last stream id is above that of an earlier one, or not a client's id (RFC 9113 §6.8, [P-93](crate::manual::rules#p-93)).
    #[error("GOAWAY with last stream {met}, after one with {previous}")]
    GoAwayRaised {
        /// The last stream id of the earlier GOAWAY.
        previous: u32,
        /// The last stream id of the new GOAWAY.
        met: u32,
    },
    /// The peer reached an abuse limit.
    #[error("{flood}: {met}, the limit is {limit}")]
    Flood {
        /// The limit that was reached.
        flood: Flood,
        /// The value that exceeded it.
        met: u64,
        /// The limit.
        limit: u64,
    },
    /// The peer did not do something in time.
    #[error("timed out: {0}")]
    Timeout(Timeout),
}

/// An illegal transition, as the cell of a [state table](crate::machine) states it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IllegalTransition {
    /// Whether the error ends the stream or the connection.
    pub scope: Scope,
    /// The error code on the wire.
    pub code: ErrorCode,
    /// The name of the table, for example `"ClientRecv"`.
    pub machine: &'static str,
    /// The state in which the input arrived.
    pub state: &'static str,
    /// The input that the state does not allow.
    pub input: &'static str,
    /// The rule, for example `"RFC 9113 §5.1"`.
    pub section: &'static str,
}

fn scope_name(connection: &bool) -> &'static str {
    if *connection { "connection" } else { "stream" }
}

/// The abuse limits. Exceeding one ends the connection with ENHANCE_YOUR_CALM and the limit's name as debug data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[non_exhaustive]
pub enum Flood {
    /// Streams reset by the peer (CVE-2023-44487).
    #[error("too_many_resets")]
    Resets,
    /// Streams that this side reset because of the peer's violations (CVE-2025-8671).
    #[error("too_many_internal_resets")]
    InternalResets,
    /// PING, SETTINGS and other frames that require a reply (CVE-2019-9512, -9515).
    #[error("too_many_control_frames")]
    ControlFrames,
    /// PINGs that are more frequent than the keepalive policy allows ([P-98](crate::manual::rules#p-98)).
    #[error("too_many_pings")]
    Pings,
    /// Empty and tiny DATA frames (CVE-2019-9518).
    #[error("too_many_data_frames")]
    DataFrames,
    /// CONTINUATION frames of one header block (CVE-2024-28182 and others).
    #[error("too_many_continuations")]
    Continuations,
    /// Bytes of one header block.
    #[error("header_block_too_large")]
    HeaderBlock,
    /// Bytes of one decoded header list (CVE-2016-1544).
    #[error("header_list_too_large")]
    HeaderList,
    /// Entries of one SETTINGS frame (CVE-2020-11080).
    #[error("too_many_settings")]
    SettingsEntries,
    /// Replies that the peer causes and does not read (CVE-2019-9512, -9514, -9515), counted in unsent bytes.
    #[error("too_many_unread_replies")]
    Unread,
    /// Other useless frames: unknown types, refused streams, frames for closed streams.
    #[error("too_many_useless_frames")]
    Glitches,
}

/// The action that the peer has to complete in time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[non_exhaustive]
pub enum Timeout {
    /// Send its preface and first SETTINGS.
    #[error("preface_timeout")]
    Preface,
    /// Acknowledge our SETTINGS (RFC 9113 §6.5.3).
    #[error("settings_timeout")]
    SettingsAck,
    /// Finish a header block.
    #[error("header_block_timeout")]
    HeaderBlock,
    /// Acknowledge a keepalive PING ([P-96](crate::manual::rules#p-96), [P-97](crate::manual::rules#p-97)).
    #[error("keepalive_timeout")]
    Keepalive,
}

impl Violation {
    /// Returns whether the violation ends the stream or the connection.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self {
            Self::Frame(error) => error.scope(),
            Self::Order(breach) => breach.scope,
            Self::Malformed(_) | Self::ContentLength { .. } => Scope::Stream,
            Self::WindowExceeded { connection, .. } | Self::WindowOverflow { connection, .. }
                if !connection =>
            {
                Scope::Stream
            }
            _ => Scope::Connection,
        }
    }

    /// Returns the code for RST_STREAM or GOAWAY.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Frame(error) => error.code(),
            Self::FrameTooLarge { .. } => ErrorCode::FRAME_SIZE_ERROR,
            Self::Order(breach) => breach.code,
            Self::Hpack(_) => ErrorCode::COMPRESSION_ERROR,
            Self::Preface
            | Self::Malformed(_)
            | Self::ContentLength { .. }
            | Self::PushEnabledByServer
            | Self::UnexpectedAck
            | Self::GoAwayRaised { .. } => ErrorCode::PROTOCOL_ERROR,
            Self::WindowExceeded { .. } | Self::WindowOverflow { .. } => ErrorCode::FLOW_CONTROL_ERROR,
            Self::Flood { .. } => ErrorCode::ENHANCE_YOUR_CALM,
            Self::Timeout(Timeout::SettingsAck) => ErrorCode::SETTINGS_TIMEOUT,
            Self::Timeout(Timeout::Preface | Timeout::HeaderBlock) => ErrorCode::PROTOCOL_ERROR,
            Self::Timeout(Timeout::Keepalive) => ErrorCode::NO_ERROR,
        }
    }

    /// Returns the rule that was broken.
    #[must_use]
    pub fn section(&self) -> &'static str {
        match self {
            Self::Frame(error) => error.section(),
            Self::FrameTooLarge { .. } => "RFC 9113 §4.2",
            Self::Order(breach) => breach.section,
            Self::Preface => "RFC 9113 §3.4",
            Self::Hpack(_) => "RFC 9113 §4.3",
            Self::Malformed(malformed) => malformed.section(),
            Self::ContentLength { .. } => "RFC 9113 §8.1.1",
            Self::WindowExceeded { .. } => "RFC 9113 §5.2",
            Self::WindowOverflow { .. } => "RFC 9113 §6.9.1",
            Self::PushEnabledByServer => "RFC 9113 §6.5.2",
            Self::UnexpectedAck => "RFC 9113 §6.5.3",
            Self::GoAwayRaised { .. } => "RFC 9113 §6.8",
            Self::Flood { .. } => "RFC 9113 §10.5",
            Self::Timeout(Timeout::SettingsAck) => "RFC 9113 §6.5.3",
            Self::Timeout(Timeout::Preface) => "RFC 9113 §3.4",
            Self::Timeout(Timeout::HeaderBlock) => "RFC 9113 §4.3",
            Self::Timeout(Timeout::Keepalive) => "P-96",
        }
    }
}

/// Why a connection failed. Everything that was parsed before has been delivered, and nothing more is read.
#[derive(Clone, PartialEq, Debug, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer broke a rule; a GOAWAY with the violation's code and text is queued.
    #[error("the peer broke a rule ({section}): {0}", section = .0.section())]
    Violation(#[source] Violation),
    /// The peer sent GOAWAY with an error code.
    #[error("the peer closed the connection with {code}{}", debug_text(.debug))]
    GoAway {
        /// The error code in the frame.
        code: ErrorCode,
        /// The frame's debug data, at most 256 bytes of it.
        debug: Bytes,
    },
    /// The transport ended while calls were open or a frame was incomplete.
    #[error("the transport was closed by the peer")]
    Eof,
    /// The transport failed, or is none for HTTP/2: what its owner says of that.
    #[error("the transport failed: {0}")]
    Transport(Cow<'static, str>),
    /// The caller closed the connection with this code.
    #[error("closed by the caller with {code}: {debug}")]
    Closed {
        /// The code in our GOAWAY.
        code: ErrorCode,
        /// The debug data in our GOAWAY.
        debug: Cow<'static, str>,
    },
}

fn debug_text(debug: &Bytes) -> String {
    if debug.is_empty() { String::new() } else { format!(": {}", String::from_utf8_lossy(debug)) }
}

impl ConnectionError {
    /// Returns the error code that was sent or received.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Violation(violation) => violation.code(),
            Self::GoAway { code, .. } | Self::Closed { code, .. } => *code,
            Self::Eof | Self::Transport(_) => ErrorCode::NO_ERROR,
        }
    }
}

/// Why a connection is over.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum CloseReason {
    /// Every call had ended: after a graceful shutdown by either side, or the transport ended while idle.
    Graceful,
    /// The connection failed.
    Error(ConnectionError),
}
