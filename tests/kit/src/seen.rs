//! What a core sends, read back into simple values.

use std::fmt;

use halfclose::frame::ErrorCode;
use halfclose::hpack::{BlockLimits, Decoder};

use crate::wire::{PREFACE, flag, frame, kind};

/// A frame as it stands on the wire.
#[derive(Clone, PartialEq, Eq)]
pub struct RawFrame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl fmt::Debug for RawFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, flags, stream, payload } = self;
        write!(f, "frame(kind={kind} flags={flags:#x} stream={stream} payload={})", payload.escape_ascii())
    }
}

impl RawFrame {
    /// Takes one whole frame off the front of `octets`.
    pub fn take(octets: &mut Vec<u8>) -> Option<Self> {
        let head: [u8; 9] = octets.get(..9)?.try_into().ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = octets.get(9..9 + length)?.to_vec();
        octets.drain(..9 + length);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Self { kind: head[3], flags: head[4], stream, payload })
    }

    /// The frame as octets.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        frame(self.kind, self.flags, self.stream, &self.payload)
    }
}

/// A frame that a core sent, its header block decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    /// The client preface.
    Preface,
    /// SETTINGS.
    Settings(Vec<(u16, u32)>),
    /// SETTINGS with ACK.
    SettingsAck,
    /// HEADERS and its CONTINUATION frames.
    Headers {
        /// The stream.
        stream: u32,
        /// The fields, in order, as text.
        fields: Vec<(String, String)>,
        /// END_STREAM.
        end: bool,
    },
    /// DATA, without padding.
    Data {
        /// The stream.
        stream: u32,
        /// The octets.
        payload: Vec<u8>,
        /// END_STREAM.
        end: bool,
    },
    /// RST_STREAM.
    Reset {
        /// The stream.
        stream: u32,
        /// The code.
        code: ErrorCode,
    },
    /// PING.
    Ping {
        /// The opaque data.
        data: [u8; 8],
        /// ACK.
        ack: bool,
    },
    /// GOAWAY.
    GoAway {
        /// The last stream.
        last_stream: u32,
        /// The code.
        code: ErrorCode,
        /// The debug data, as text.
        debug: String,
    },
    /// WINDOW_UPDATE.
    WindowUpdate {
        /// The stream, or zero.
        stream: u32,
        /// The increment.
        increment: u32,
    },
    /// Anything else: nothing that a core should send.
    Other(RawFrame),
}

impl Seen {
    /// The stream that the frame names.
    #[must_use]
    pub fn stream(&self) -> u32 {
        match self {
            Self::Headers { stream, .. }
            | Self::Data { stream, .. }
            | Self::Reset { stream, .. }
            | Self::WindowUpdate { stream, .. } => *stream,
            Self::Other(raw) => raw.stream,
            _ => 0,
        }
    }
}

/// The value of the first field of that name.
#[must_use]
pub fn value<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(met, _)| met == name).map(|(_, value)| value.as_str())
}

/// Reads what a core sends. It checks what every receiver would: the order of CONTINUATION, the shape of frames, that
/// header blocks decode.
pub struct Reader {
    octets: Vec<u8>,
    decoder: Decoder,
    block: Option<(u32, bool, Vec<u8>)>,
    preface: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new(4096)
    }
}

impl Reader {
    /// A reader whose HPACK table may have `table` octets.
    #[must_use]
    pub fn new(table: usize) -> Self {
        Self { octets: Vec::new(), decoder: Decoder::new(table), block: None, preface: false }
    }

    /// Takes octets, and gives the frames that are whole.
    pub fn read(&mut self, octets: &[u8]) -> Vec<Seen> {
        self.octets.extend(octets);
        let mut seen = Vec::new();
        if !self.preface && self.octets.starts_with(b"PRI") && self.octets.len() >= PREFACE.len() {
            assert!(self.octets.starts_with(PREFACE), "a wrong preface");
            self.octets.drain(..PREFACE.len());
            self.preface = true;
            seen.push(Seen::Preface);
        }
        while let Some(raw) = RawFrame::take(&mut self.octets) {
            seen.extend(self.see(raw));
        }
        seen
    }

    /// Whether a part of a frame is left.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        !self.octets.is_empty() || self.block.is_some()
    }

    fn see(&mut self, raw: RawFrame) -> Option<Seen> {
        let RawFrame { kind, flags, stream, ref payload } = raw;
        assert!(self.block.is_none() || kind == kind::CONTINUATION, "{raw:?} inside a header block");
        let word = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().expect("four octets"));
        Some(match kind {
            kind::DATA => {
                Seen::Data { stream, payload: unpad(&raw).to_vec(), end: flags & flag::END_STREAM != 0 }
            }
            kind::HEADERS => {
                assert_eq!(flags & flag::PRIORITY, 0, "no core sends priorities");
                self.block = Some((stream, flags & flag::END_STREAM != 0, unpad(&raw).to_vec()));
                return self.end_block(flags);
            }
            kind::CONTINUATION => {
                let (open, _, block) = self.block.as_mut().expect("a block is open");
                assert_eq!(*open, stream, "CONTINUATION on another stream");
                block.extend(payload);
                return self.end_block(flags);
            }
            kind::RST_STREAM => Seen::Reset { stream, code: ErrorCode(word(0)) },
            kind::SETTINGS if flags & flag::ACK != 0 => {
                assert!(payload.is_empty(), "an ACK has no payload");
                Seen::SettingsAck
            }
            kind::SETTINGS => {
                let entries = payload.chunks_exact(6);
                assert!(entries.remainder().is_empty(), "whole settings");
                let entry = |octets: &[u8]| {
                    let value = u32::from_be_bytes([octets[2], octets[3], octets[4], octets[5]]);
                    (u16::from_be_bytes([octets[0], octets[1]]), value)
                };
                Seen::Settings(entries.map(entry).collect())
            }
            kind::PING => {
                let data = payload.as_slice().try_into().expect("eight octets");
                Seen::Ping { data, ack: flags & flag::ACK != 0 }
            }
            kind::GOAWAY => {
                let debug = String::from_utf8_lossy(&payload[8..]).into_owned();
                Seen::GoAway { last_stream: word(0), code: ErrorCode(word(4)), debug }
            }
            kind::WINDOW_UPDATE => Seen::WindowUpdate { stream, increment: word(0) },
            _ => Seen::Other(raw),
        })
    }

    fn end_block(&mut self, flags: u8) -> Option<Seen> {
        if flags & flag::END_HEADERS == 0 {
            return None;
        }
        let (stream, end, block) = self.block.take()?;
        let mut fields = Vec::new();
        let limits = BlockLimits { max_string: 1 << 20, max_list_size: 1 << 24 };
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        self.decoder
            .decode(&block, &limits, |field| fields.push((text(field.name), text(field.value))))
            .expect("a core's header block decodes");
        Some(Seen::Headers { stream, fields, end })
    }
}

/// The payload of DATA or HEADERS without its padding.
fn unpad(raw: &RawFrame) -> &[u8] {
    if raw.flags & flag::PADDED == 0 {
        return &raw.payload;
    }
    let padding = usize::from(raw.payload[0]);
    &raw.payload[1..raw.payload.len() - padding]
}
