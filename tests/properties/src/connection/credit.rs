//! An upper bound of what a peer's bytes allow, however a core handles them, read from the frames alone.

use std::collections::{BTreeMap, BTreeSet};

use halfclose::frame::{
    DEFAULT_MAX_FRAME_SIZE, FRAME_HEADER_LEN, Frame, FrameHeader, FrameType, PREFACE, SettingId,
};

/// The default window of RFC 9113 §6.9.2.
const DEFAULT_WINDOW: u64 = 65_535;

/// Reads the bytes that are fed to a core.
pub(super) struct Granted {
    unread: Vec<u8>,
    preface_left: usize,
    /// Bytes of DATA that the connection's window allows in total.
    pub(super) connection: u64,
    /// The largest value that one stream's window was set to.
    initial: u64,
    streams: BTreeMap<u32, u64>,
    opened: BTreeSet<u32>,
    max_frame: u32,
    /// The number of SETTINGS received without ACK.
    pub(super) settings: u64,
    /// The number of PINGs received without ACK.
    pub(super) pings: u64,
    /// Bytes received.
    pub(super) total: u64,
    /// Bytes of DATA received, by stream.
    data: BTreeMap<u32, u64>,
}

impl Granted {
    pub(super) fn new(from_client: bool) -> Self {
        Self {
            unread: Vec::new(),
            preface_left: if from_client { PREFACE.len() } else { 0 },
            connection: DEFAULT_WINDOW,
            initial: DEFAULT_WINDOW,
            streams: BTreeMap::new(),
            opened: BTreeSet::new(),
            max_frame: DEFAULT_MAX_FRAME_SIZE,
            settings: 0,
            pings: 0,
            total: 0,
            data: BTreeMap::new(),
        }
    }

    pub(super) fn max_frame_size(&self) -> u32 {
        self.max_frame
    }

    /// Returns the bytes of DATA that a stream's window allows in total.
    pub(super) fn stream(&self, stream: u32) -> u64 {
        self.initial + self.streams.get(&stream).copied().unwrap_or(0)
    }

    /// Returns the bytes of DATA received on a stream, or in total (0).
    pub(super) fn data(&self, stream: u32) -> u64 {
        if stream == 0 { self.data.values().sum() } else { self.data.get(&stream).copied().unwrap_or(0) }
    }

    /// Returns whether HEADERS arrived that may open the stream.
    pub(super) fn opened(&self, stream: u32) -> bool {
        self.opened.contains(&stream)
    }

    /// Returns whether a client's stream is idle: it is until HEADERS open it or a higher one (RFC 9113 §5.1.1).
    pub(super) fn is_idle(&self, stream: u32) -> bool {
        stream.is_multiple_of(2) || self.opened.last().is_none_or(|highest| stream > *highest)
    }

    /// Reads the next bytes that are fed.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let skipped = self.preface_left.min(bytes.len());
        self.preface_left -= skipped;
        self.unread.extend_from_slice(&bytes[skipped..]);
        let unread = std::mem::take(&mut self.unread);
        let mut rest = &unread[..];
        while let Some((header, after)) = rest.split_first_chunk::<FRAME_HEADER_LEN>() {
            let header = FrameHeader::parse(header);
            let Some((payload, next)) = after.split_at_checked(header.length as usize) else { break };
            if let Ok(frame) = Frame::parse(&header, payload) {
                self.frame(&frame);
            }
            // Even if the frame has a fault.
            if header.kind == FrameType::Headers {
                self.opened.insert(header.stream.get());
            }
            rest = next;
        }
        let read = unread.len() - rest.len();
        self.unread = unread;
        // A frame that announces a large length arrives in many pieces, and must not be copied for each of them.
        self.unread.drain(..read);
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        match frame {
            Frame::Data(data) => {
                *self.data.entry(data.stream.get()).or_default() += u64::from(data.flow_controlled_len());
            }
            Frame::WindowUpdate(update) if update.stream.is_connection() => {
                self.connection += u64::from(update.increment);
            }
            Frame::WindowUpdate(update) => {
                *self.streams.entry(update.stream.get()).or_default() += u64::from(update.increment);
            }
            Frame::Settings(settings) if !settings.is_ack() => {
                self.settings += 1;
                for setting in settings.iter() {
                    match setting.id {
                        // A window that shrinks and grows again grants no more than its largest value, plus what was
                        // sent in between: the sum is an upper bound.
                        SettingId::INITIAL_WINDOW_SIZE => self.initial += u64::from(setting.value),
                        SettingId::MAX_FRAME_SIZE => self.max_frame = self.max_frame.max(setting.value),
                        _ => {}
                    }
                }
            }
            Frame::Ping(ping) if !ping.ack => self.pings += 1,
            _ => {}
        }
    }
}
