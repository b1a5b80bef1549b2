//! Frames and header blocks from few bytes, so that small changes by a fuzzer keep their meaning.

use halfclose::frame::{
    Flags, FrameHeader, FrameType, PREFACE, Setting, SettingId, StreamId, write_settings,
};
use halfclose::hpack::{Encoder, Indexing};

/// The peer of the core under test, which writes what a step of a script says.
pub(super) struct Peer {
    encoder: Encoder,
    is_client: bool,
}

/// Request headers that a script selects by number: good ones, and some with one fault each.
const REQUESTS: [&str; 8] = [
    "",
    "grpc-timeout 1S\ngrpc-encoding gzip\ngrpc-accept-encoding gzip,deflate\nx-a b",
    "grpc-encoding br",
    "content-length 7",
    "grpc-timeout 1",
    "x-b-bin AAEC,_",
    "te gzip",
    "Upper case",
];

/// Response headers and trailers.
const RESPONSES: [&str; 8] = [
    ":status 200\ncontent-type application/grpc",
    "grpc-status 0",
    "grpc-status 5\ngrpc-message no%20such\nx-sum-bin AAEC",
    ":status 200\ncontent-type application/grpc\ngrpc-status 7",
    ":status 100",
    ":status 503\ncontent-type text/html",
    ":status 200\ncontent-type application/grpc\ngrpc-encoding gzip",
    ":status 200\ncontent-type application/grpc\ncontent-length 9",
];

const CALL: &str =
    ":method POST\n:scheme http\n:path /demo.Echo/Call\nte trailers\ncontent-type application/grpc";

impl Peer {
    pub(super) fn new(is_client: bool) -> Self {
        Self { encoder: Encoder::new(4096), is_client }
    }

    /// Returns the bytes that an honest peer begins with.
    pub(super) fn prologue(&self, window: u32) -> Vec<u8> {
        let mut out = if self.is_client { PREFACE.to_vec() } else { Vec::new() };
        let settings = [Setting { id: SettingId::INITIAL_WINDOW_SIZE, value: window }];
        write_settings(&settings, &mut out).expect("a legal value");
        frame(FrameType::Settings, Flags::ACK, 0, &[], &mut out);
        out
    }

    /// Returns a frame of any kind; the script's byte selects one of 16 streams, or the connection.
    pub(super) fn frame(&self, kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        frame(FrameType::from(kind), Flags(flags), stream_id(stream), payload, &mut out);
        out
    }

    /// Returns HEADERS with fields of the list, followed by lines of the script's own.
    pub(super) fn head(&mut self, flags: u8, stream: u8, number: u8, lines: &[u8]) -> Vec<u8> {
        let number = usize::from(number) % 8;
        let text = match (self.is_client, number) {
            (true, 0) => CALL.to_owned(),
            (true, _) => format!("{CALL}\n{}", REQUESTS[number]),
            (false, _) => RESPONSES[number].to_owned(),
        };
        self.block(flags, stream, [text.as_bytes(), b"\n", lines].concat().as_slice())
    }

    /// Returns HEADERS with the lines as fields; the first space after the name separates name and value.
    pub(super) fn block(&mut self, flags: u8, stream: u8, lines: &[u8]) -> Vec<u8> {
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let end = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
            let value = line.get(end + 1..).unwrap_or_default();
            self.encoder.field(&line[..end], value, Indexing::Incremental, &mut block);
        }
        let mut out = Vec::new();
        if flags & 0x10 != 0 {
            // One CONTINUATION for each few bytes, END_HEADERS on the last.
            let (first, rest) = block.split_at(block.len().min(5));
            frame(FrameType::Headers, Flags(flags & 1), stream_id(stream), first, &mut out);
            for (number, part) in rest.chunks(32).enumerate() {
                let last = (number + 1) * 32 >= rest.len();
                let flags = Flags::NONE.with(Flags::END_HEADERS, last);
                frame(FrameType::Continuation, flags, stream_id(stream), part, &mut out);
            }
        } else {
            frame(FrameType::Headers, Flags(flags & 5 | 4), stream_id(stream), &block, &mut out);
        }
        out
    }

    /// Returns DATA with one message in it.
    pub(super) fn message(&self, flags: u8, stream: u8, compressed: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        let mut out = Vec::new();
        let body = [&[compressed][..], &length, payload].concat();
        frame(FrameType::Data, Flags(flags & 1), stream_id(stream), &body, &mut out);
        out
    }
}

/// Returns a stream id: 0 is the connection, 1 to 15 the streams that a client opens, above that any small number.
fn stream_id(byte: u8) -> u32 {
    match byte {
        0 => 0,
        1..16 => u32::from(byte) * 2 - 1,
        _ => u32::from(byte) - 15,
    }
}

fn frame(kind: FrameType, flags: Flags, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).expect("short");
    FrameHeader { length, kind, flags, stream: StreamId::new(stream) }.write(out);
    out.extend_from_slice(payload);
}
