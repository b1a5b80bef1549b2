//! Strict reading of a core's output by RFC 9113: every frame legal, in a legal order, within the credit given.

use std::collections::BTreeMap;

use halfclose::Config;
use halfclose::frame::{
    DEFAULT_WINDOW, ErrorCode, FRAME_HEADER_LEN, Frame, FrameHeader, MOST_PADDING, PREFACE, WindowUpdate,
};
use halfclose::hpack::{BlockLimits, Decoder};

use super::credit::Granted;

/// Bytes beyond a message that its window is opened for, for padding.
const PADDING_MARGIN: u64 = 16 * 1024;

const WIDE: BlockLimits = BlockLimits { max_string: usize::MAX, max_list_size: usize::MAX };

/// The state of a core's own half of a stream.
#[derive(Clone, Copy, Debug, Default)]
struct Half {
    header: bool,
    ended: bool,
    reset: bool,
    sent: u64,
}

/// Reads the bytes that a core wrote, in order.
pub(super) struct Output {
    client: bool,
    preface_met: usize,
    unread: Vec<u8>,
    decoder: Decoder,
    streams: BTreeMap<u32, Half>,
    open_block: Option<(u32, bool, Vec<u8>)>,
    sent: u64,
    settings_acks: u64,
    ping_acks: u64,
    /// Credit that was given, by stream; 0 is the connection.
    credit: BTreeMap<u32, u64>,
    /// The most that the credit may exceed the DATA received, on the connection and on a stream.
    ahead: [u64; 2],
    last_goaway: u32,
    failed: bool,
    /// Bytes read so far.
    pub(super) total: u64,
}

impl Output {
    pub(super) fn new(client: bool, config: &Config) -> Self {
        let limits = &config.limits;
        Self {
            client,
            preface_met: if client { 0 } else { PREFACE.len() },
            unread: Vec::new(),
            decoder: Decoder::new(4096),
            streams: BTreeMap::new(),
            open_block: None,
            sent: 0,
            settings_acks: 0,
            ping_acks: 0,
            credit: BTreeMap::new(),
            // The connection's window is announced at once and may grow. A stream's window may grow, or be opened for
            // a message with its padding and a margin. In addition, it may return credit that is owed when SETTINGS
            // have made its window smaller, and space for a prefix and padding.
            ahead: [
                config
                    .max_connection_window
                    .max(config.connection_window)
                    .saturating_sub(DEFAULT_WINDOW)
                    .into(),
                u64::from(limits.max_receive_message)
                    + u64::from(config.max_stream_window)
                    + PADDING_MARGIN
                    + u64::from(DEFAULT_WINDOW)
                    + 2 * u64::from(5 + MOST_PADDING),
            ],
            last_goaway: u32::MAX,
            failed: false,
            total: 0,
        }
    }

    /// Reads the next bytes; `granted` is the most that the peer's bytes allow.
    pub(super) fn read(&mut self, bytes: &[u8], granted: &Granted) {
        self.total += bytes.len() as u64;
        self.unread.extend_from_slice(bytes);
        let unread = std::mem::take(&mut self.unread);
        let mut rest = self.preface(&unread);
        while let Some((header, after)) = rest.split_first_chunk::<FRAME_HEADER_LEN>() {
            let header = FrameHeader::parse(header);
            assert!(
                header.length <= granted.max_frame_size(),
                "a frame over SETTINGS_MAX_FRAME_SIZE: {header:?}"
            );
            let Some((payload, next)) = after.split_at_checked(header.length as usize) else { break };
            let frame = Frame::parse(&header, payload).expect("a core writes legal frames");
            assert!(!self.failed, "{frame:?} after a GOAWAY with an error");
            self.frame(&frame, granted);
            rest = next;
        }
        self.unread = rest.to_vec();
    }

    fn preface<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let missing = &PREFACE[self.preface_met..];
        let count = missing.len().min(bytes.len());
        assert_eq!(bytes[..count], missing[..count], "RFC 9113 §3.4");
        self.preface_met += count;
        &bytes[count..]
    }

    fn frame(&mut self, frame: &Frame<'_>, granted: &Granted) {
        if self.open_block.is_some() {
            assert!(matches!(frame, Frame::Continuation(_)), "RFC 9113 §4.3: {frame:?} within a block");
        }
        match frame {
            Frame::Headers(headers) => {
                self.open_block = Some((headers.stream.get(), headers.end_stream, headers.fragment.to_vec()));
                self.end_block(headers.end_headers, granted);
            }
            Frame::Continuation(more) => {
                let open = self.open_block.as_mut().expect("RFC 9113 §6.10: CONTINUATION without a block");
                assert_eq!(open.0, more.stream.get(), "RFC 9113 §6.10");
                open.2.extend_from_slice(more.fragment);
                self.end_block(more.end_headers, granted);
            }
            Frame::Data(data) => {
                self.data(data.stream.get(), data.flow_controlled_len(), data.end_stream, granted);
            }
            Frame::RstStream(reset) => self.reset(reset.stream.get(), granted),
            Frame::WindowUpdate(update) if !update.stream.is_connection() => {
                let half = self.streams.get(&update.stream.get()).copied().unwrap_or_default();
                assert!(!half.reset, "RFC 9113 §5.1: credit for {} after its reset", update.stream);
                self.give(update, granted);
            }
            Frame::WindowUpdate(update) => self.give(update, granted),
            Frame::Settings(settings) => {
                self.settings_acks += u64::from(settings.is_ack());
                assert!(self.settings_acks <= granted.settings, "RFC 9113 §6.5.3: ACK without SETTINGS");
            }
            Frame::Ping(ping) => {
                self.ping_acks += u64::from(ping.ack);
                assert!(self.ping_acks <= granted.pings, "RFC 9113 §6.7: an answer without a PING");
            }
            Frame::GoAway(goaway) => {
                let last = goaway.last_stream.get();
                assert!(last <= self.last_goaway, "RFC 9113 §6.8: GOAWAY must not raise its last stream");
                self.last_goaway = last;
                self.failed = goaway.code != ErrorCode::NO_ERROR;
            }
            Frame::Priority(_) | Frame::PushPromise(_) | Frame::Unknown { .. } => {
                panic!("a core never writes {frame:?}")
            }
        }
    }

    /// Checks that buffering for a peer is bounded: credit returns for bytes received, and beyond that only as far as
    /// the bounds allow.
    fn give(&mut self, update: &WindowUpdate, granted: &Granted) {
        let stream = update.stream.get();
        let credit = self.credit.entry(stream).or_default();
        *credit += u64::from(update.increment);
        let most = granted.data(stream) + self.ahead[usize::from(stream != 0)];
        assert!(*credit <= most, "{credit} bytes of credit for {stream}, at most {most} are due");
    }

    fn end_block(&mut self, end_headers: bool, granted: &Granted) {
        let Some((stream, end_stream, block)) = self.open_block.take_if(|_| end_headers) else { return };
        let mut fields = 0;
        let stats = self.decoder.decode(&block, &WIDE, |_| fields += 1);
        assert!(stats.is_ok() && fields > 0, "a header block that cannot be read: {stats:?}");
        let highest = self.streams.keys().next_back().copied().unwrap_or(0);
        let client = self.client;
        let half = self.streams.entry(stream).or_default();
        assert!(!half.ended && !half.reset, "RFC 9113 §5.1: HEADERS on {stream}, which is over: {half:?}");
        if client {
            assert!(!half.header, "P-16: a client sends no trailers");
            assert!(stream % 2 == 1 && stream > highest, "RFC 9113 §5.1.1: {stream} after {highest}");
        } else {
            assert!(granted.opened(stream), "a server answers {stream}, which nobody opened");
            assert!(!half.header || end_stream, "P-21: trailers end the stream");
        }
        half.header = true;
        half.ended = end_stream;
    }

    fn data(&mut self, stream: u32, length: u32, end_stream: bool, granted: &Granted) {
        let half = self.streams.entry(stream).or_default();
        assert!(half.header && !half.ended && !half.reset, "RFC 9113 §5.1: DATA on {stream}: {half:?}");
        assert!(self.client || !end_stream, "P-21: a server ends with trailers");
        half.ended = end_stream;
        half.sent += u64::from(length);
        self.sent += u64::from(length);
        assert!(half.sent <= granted.stream(stream), "RFC 9113 §6.9: over the window of {stream}");
        assert!(self.sent <= granted.connection, "RFC 9113 §6.9: over the connection's window");
    }

    fn reset(&mut self, stream: u32, granted: &Granted) {
        let client = self.client;
        let half = self.streams.entry(stream).or_default();
        if client {
            assert!(half.header, "RFC 9113 §5.1: RST_STREAM on {stream}, which is idle");
        } else {
            assert!(!granted.is_idle(stream), "RFC 9113 §5.1: RST_STREAM on {stream}, which is idle");
        }
        half.reset = true;
    }
}
