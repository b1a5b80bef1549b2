//! A stream as RFC 9113 defines it, seen from the wire, and the frames that a peer may send on it.

use halfclose::frame::{ErrorCode, Flags, Frame, FrameHeader, FrameType, PREFACE, StreamId, WindowUpdate};
use halfclose::hpack::{Encoder, Indexing};

use super::super::Order;
use super::super::caller::SIZE;
use crate::content;
use crate::program::Side;
use crate::wire::{FailedProperty, ensure};

/// The next input: a frame from the peer, or a command of the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// HEADERS: a request, or response headers.
    Head,
    /// The same with END_STREAM: an empty request, or Trailers-Only.
    HeadEnd,
    /// HEADERS with trailers, and END_STREAM.
    Trailers,
    /// The same fields without END_STREAM.
    Fields,
    /// HEADERS with `:status` 100, to a client.
    Informational,
    /// DATA with one message.
    Data,
    /// The same with END_STREAM.
    DataEnd,
    /// DATA with the first part of a message, or the rest of it.
    Part,
    /// Empty DATA with END_STREAM.
    End,
    /// RST_STREAM.
    Reset,
    /// WINDOW_UPDATE of the stream.
    Update,
    /// A command of the caller.
    Order(Order),
}

/// Frames that either side may receive, and commands that either caller may give.
const EITHER: [Input; 14] = [
    Input::Head,
    Input::HeadEnd,
    Input::Trailers,
    Input::Fields,
    Input::Data,
    Input::DataEnd,
    Input::Part,
    Input::End,
    Input::Reset,
    Input::Update,
    Input::Order(Order::Recv),
    Input::Order(Order::Send),
    Input::Order(Order::Close),
    Input::Order(Order::Cancel),
];
const SERVER: [Input; 1] = [Input::Order(Order::Headers)];
const CLIENT: [Input; 2] = [Input::Informational, Input::Order(Order::Release)];

impl Input {
    /// Returns the inputs of one side.
    pub(super) fn all(side: Side) -> Vec<Self> {
        match side {
            Side::Server => [EITHER.as_slice(), &SERVER].concat(),
            Side::Client => [EITHER.as_slice(), &CLIENT].concat(),
        }
    }

    const fn ends(self) -> bool {
        matches!(self, Self::HeadEnd | Self::Trailers | Self::DataEnd | Self::End)
    }
}

/// The classification of a frame in its position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// The frame is legal.
    Legal,
    /// The frame is a stream error, or worse.
    Stream,
    /// The frame is a connection error.
    Connection,
}

/// The state of the stream.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Model {
    side: Side,
    started: bool,
    opened: bool,
    /// Whether the peer has sent response headers.
    head: bool,
    /// Whether the peer has ended its half.
    pub(super) ended: bool,
    /// Whether the peer has reset the stream.
    reset: bool,
    /// Whether this side has ended its half.
    we_ended: bool,
    /// Whether this side has reset the stream, or must have.
    we_reset: bool,
    /// Whether a message is half sent.
    part: bool,
    /// Messages that the peer has sent whole and legally.
    pub(super) whole: usize,
}

const STREAM: StreamId = StreamId::new(1);

impl Model {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            started: false,
            opened: side == Side::Client,
            head: side == Side::Server,
            ended: false,
            reset: false,
            we_ended: false,
            we_reset: false,
            part: false,
            whole: 0,
        }
    }

    /// Returns the bytes of a frame; `None` if it would make no sense.
    pub(super) fn bytes(&mut self, input: Input) -> Option<Vec<u8>> {
        match input {
            // A message in the middle of another would be no message, and a request without its headers no request.
            Input::Data | Input::DataEnd if self.part => return None,
            Input::Trailers | Input::Fields if !self.opened => return None,
            _ => {}
        }
        let mut out = Vec::new();
        if !self.started {
            self.started = true;
            if self.side == Side::Server {
                out.extend_from_slice(PREFACE);
            }
            write(FrameType::Settings, Flags::NONE, StreamId::ZERO, &[], &mut out);
        }
        let mut message = vec![0];
        message.extend_from_slice(&SIZE.to_be_bytes());
        message.extend_from_slice(&content::payload(0, self.side.peer(), self.whole, SIZE));
        let end = Flags::NONE.with(Flags::END_STREAM, input.ends());
        let headers = end.with(Flags::END_HEADERS, true);
        match input {
            Input::Head | Input::HeadEnd => {
                write(FrameType::Headers, headers, STREAM, &self.block(input == Input::HeadEnd), &mut out);
            }
            Input::Trailers | Input::Fields => {
                write(FrameType::Headers, headers, STREAM, &block(&[(b"grpc-status", b"0")]), &mut out);
            }
            Input::Informational => {
                write(FrameType::Headers, headers, STREAM, &block(&[(b":status", b"100")]), &mut out);
            }
            Input::Data | Input::DataEnd => write(FrameType::Data, end, STREAM, &message, &mut out),
            Input::Part if self.part => write(FrameType::Data, end, STREAM, &message[6..], &mut out),
            Input::Part => write(FrameType::Data, end, STREAM, &message[..6], &mut out),
            Input::End => write(FrameType::Data, end, STREAM, &[], &mut out),
            Input::Reset => {
                let code = ErrorCode::CANCEL.0.to_be_bytes();
                write(FrameType::RstStream, Flags::NONE, STREAM, &code, &mut out);
            }
            _ => WindowUpdate { stream: STREAM, increment: 10 }.write(&mut out),
        }
        Some(out)
    }

    fn block(&self, end: bool) -> Vec<u8> {
        match (self.side, end) {
            (Side::Server, _) => block(&[
                (b":method", b"POST"),
                (b":scheme", b"http"),
                (b":path", b"/sim.Service/Method"),
                (b":authority", b"localhost"),
                (b"te", b"trailers"),
                (b"content-type", b"application/grpc"),
            ]),
            (Side::Client, false) => block(&[(b":status", b"200"), (b"content-type", b"application/grpc")]),
            (Side::Client, true) => {
                block(&[(b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-status", b"0")])
            }
        }
    }

    /// Classifies a frame that arrives now (RFC 9113 §5.1 and §8.1).
    pub(super) fn verdict(&self, input: Input) -> Verdict {
        let control = matches!(input, Input::Reset | Input::Update);
        if !self.opened {
            let opens = matches!(input, Input::Head | Input::HeadEnd);
            return if opens { Verdict::Legal } else { Verdict::Connection };
        }
        // Frames in flight when we reset the stream are no fault of the peer.
        if self.we_reset || control {
            return Verdict::Legal;
        }
        if self.reset || self.ended {
            return Verdict::Stream;
        }
        let legal = match input {
            // A request has no second headers.
            Input::Head | Input::HeadEnd | Input::Informational => !self.head,
            // A gRPC request has no trailers (P-16).
            Input::Trailers => self.head && self.side == Side::Client,
            // RFC 9113 §8.1: trailers end the stream, and headers have pseudo-header fields.
            Input::Fields => false,
            _ => self.head,
        };
        if legal { Verdict::Legal } else { Verdict::Stream }
    }

    /// Updates the model for a frame that arrived.
    pub(super) fn apply(&mut self, input: Input, verdict: Verdict) {
        if verdict != Verdict::Legal {
            self.we_reset |= !self.reset;
            return;
        }
        let over = self.we_reset || self.reset || self.ended;
        match input {
            Input::Reset => self.reset = true,
            Input::Part => {
                self.whole += usize::from(self.part && !over);
                self.part = !self.part;
            }
            Input::Data | Input::DataEnd => self.whole += usize::from(!over),
            Input::Head | Input::HeadEnd => {
                self.opened = true;
                self.head = true;
            }
            _ => {}
        }
        self.ended |= input.ends();
    }

    /// Updates the model for a frame that this side sent.
    pub(super) fn sent(
        &mut self,
        head: &FrameHeader,
        frame: &Frame<'_>,
    ) -> Result<Option<u32>, FailedProperty> {
        if head.stream != STREAM {
            return Ok(None);
        }
        let content = matches!(head.kind, FrameType::Data | FrameType::Headers);
        ensure(!(content && self.we_ended), "no frame after END_STREAM", || format!("{head:?}, {self:?}"))?;
        self.we_ended |= content && head.flags.contains(Flags::END_STREAM);
        let Frame::RstStream(reset) = frame else { return Ok(None) };
        self.we_reset = true;
        Ok(Some(reset.code.0))
    }
}

fn write(kind: FrameType, flags: Flags, stream: StreamId, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    FrameHeader { length, kind, flags, stream }.write(out);
    out.extend_from_slice(payload);
}

/// Returns a header block that does not change the tables.
fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut encoder = Encoder::new(0);
    let mut out = Vec::new();
    encoder.begin(&mut out);
    for (name, value) in fields {
        encoder.field(name, value, Indexing::Without, &mut out);
    }
    out
}
