//! The wire observer: reads what both cores write and consume, and checks it against RFC 9113 with nothing of theirs
//! but the frame layouts. Crate `httlib-hpack` decodes the header blocks.
//!
//! Bytes are checked twice: when a core has written them ([`Wire::emitted`]) and when the other has consumed them
//! ([`Wire::consumed`]). What a side may send depends on what it has consumed, not on what is in flight.

mod flow;
mod half;
mod splitter;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use halfclose::frame::{Flags, Frame, FrameHeader, FrameType, SettingId};
use httlib_hpack::Decoder;

pub use flow::Credit;
pub use half::{Half, Messages};
use splitter::Splitter;

use crate::content::CALL_KEY;
use crate::program::Side;

/// A property that does not hold, and the evidence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FailedProperty {
    /// The property's name.
    pub property: &'static str,
    /// What was observed.
    pub detail: String,
}

/// Returns a failed property.
pub(crate) fn breach<T>(property: &'static str, detail: impl Into<String>) -> Result<T, FailedProperty> {
    Err(FailedProperty { property, detail: detail.into() })
}

pub(crate) fn ensure(
    holds: bool,
    property: &'static str,
    detail: impl FnOnce() -> String,
) -> Result<(), FailedProperty> {
    if holds { Ok(()) } else { Err(FailedProperty { property, detail: detail() }) }
}

/// What one side has written and consumed.
#[derive(Default)]
struct WireEnd {
    out: Splitter,
    taken: Splitter,
    decoder: Option<Decoder<'static>>,
    /// The incomplete header block: its stream, whether it ends the stream, and its bytes so far.
    open_block: Option<(u32, bool, Vec<u8>)>,
    /// Whether the HEADERS of the incomplete block had END_STREAM.
    ends_with_block: bool,
    halves: BTreeMap<u32, Half>,
    credit: Credit,
    /// The peer's SETTINGS_MAX_FRAME_SIZE, as far as consumed.
    max_frame: u32,
    max_streams: Option<u32>,
    settings_taken: u64,
    acks_sent: u64,
    pings_taken: Vec<[u8; 8]>,
    highest_id: u32,
    goaway: Option<u32>,
    /// The number of checks of this side's output; see [`Wire::polled`].
    looks: u64,
    /// A digest of all frames that were sent.
    digest: DefaultHasher,
    bytes: u64,
}

impl WireEnd {
    /// Decodes a header block. Returns the number of the call that a request names.
    fn call_of(&mut self, from: Side, block: &[u8]) -> Result<Option<usize>, FailedProperty> {
        let Some(decoder) = &mut self.decoder else { return Ok(Some(0)) };
        let mut fields = Vec::new();
        if let Err(error) = decoder.decode(&mut block.to_vec(), &mut fields) {
            return breach("header blocks decode", format!("{from:?}: {error:?}"));
        }
        let call = fields.iter().find(|(name, ..)| name == CALL_KEY.as_bytes());
        Ok(call.and_then(|(_, value, _)| std::str::from_utf8(value).ok()?.parse().ok()))
    }
}

/// The observer of one connection.
pub struct Wire {
    ends: [WireEnd; 2],
    /// Stream ids by call number.
    streams: BTreeMap<usize, u32>,
    /// Frames seen.
    pub frames: u64,
    /// Every byte of both sides, if they are recorded.
    tapes: Option<[Vec<u8>; 2]>,
}

impl Default for Wire {
    fn default() -> Self {
        Self::with(|| Some(Decoder::default()))
    }
}

impl Wire {
    /// Lets the window of the connection that `side` allows its peer grow to `most`.
    pub fn may_grow(&mut self, side: Side, most: u32) {
        self.ends[side.index()].credit.most = most.into();
    }

    fn with(decoder: fn() -> Option<Decoder<'static>>) -> Self {
        let end = || WireEnd { max_frame: 16_384, decoder: decoder(), ..WireEnd::default() };
        let mut ends = [end(), end()];
        ends[Side::Client.index()].out.expect_preface();
        // The server consumes what the client sends, including the preface.
        ends[Side::Server.index()].taken.expect_preface();
        Self { ends, streams: BTreeMap::new(), frames: 0, tapes: None }
    }
}

impl Wire {
    /// Creates an observer of a connection with one call, which decodes no header blocks: creating their decoder
    /// takes longer than a whole short run.
    #[must_use]
    pub fn of_one_call() -> Self {
        Self::with(|| None)
    }

    /// Checks bytes that `from` has written.
    ///
    /// # Errors
    /// The rule that they break.
    pub fn emitted(&mut self, from: Side, bytes: &[u8]) -> Result<(), FailedProperty> {
        let end = &mut self.ends[from.index()];
        end.bytes += bytes.len() as u64;
        end.out.push(bytes);
        if let Some(tapes) = &mut self.tapes {
            tapes[from.index()].extend_from_slice(bytes);
        }
        while let Some((header, payload)) = self.ends[from.index()].out.next()? {
            self.frames += 1;
            (header, payload.as_slice()).hash(&mut self.ends[from.index()].digest);
            self.on_emitted(from, &header, &payload)?;
        }
        Ok(())
    }

    /// Records every byte from now on.
    pub(crate) fn record(&mut self) {
        self.tapes = Some(Default::default());
    }

    /// Returns what was recorded, by the side that sent it.
    pub(crate) fn into_tapes(self) -> [Vec<u8>; 2] {
        self.tapes.unwrap_or_default()
    }

    /// Notes that all output of `from` has been shown: later output depends on everything consumed so far.
    pub fn polled(&mut self, from: Side) {
        self.ends[from.index()].looks += 1;
    }

    /// Checks bytes that `by` has consumed.
    ///
    /// # Errors
    /// The rule that they break.
    pub fn consumed(&mut self, by: Side, bytes: &[u8]) -> Result<(), FailedProperty> {
        self.ends[by.index()].taken.push(bytes);
        while let Some((header, payload)) = self.ends[by.index()].taken.next()? {
            self.on_consumed(by, &header, &payload)?;
        }
        Ok(())
    }

    /// Returns the stream of a call, once its HEADERS have been written.
    #[must_use]
    pub fn stream_of(&self, call: usize) -> Option<u32> {
        self.streams.get(&call).copied()
    }

    /// Returns what `side` knows of a stream.
    #[must_use]
    pub fn half(&self, side: Side, stream: u32) -> Option<&Half> {
        self.ends[side.index()].halves.get(&stream)
    }

    /// Returns the connection's credit as `side` sees it.
    #[must_use]
    pub fn credit(&self, side: Side) -> &Credit {
        &self.ends[side.index()].credit
    }

    /// Returns a digest of all that a side has sent, and its length.
    #[must_use]
    pub fn digest(&self, side: Side) -> (u64, u64) {
        let end = &self.ends[side.index()];
        (end.digest.finish(), end.bytes)
    }

    /// Returns whether the client could open another stream now, as far as it knows.
    #[must_use]
    pub fn has_free_stream(&self) -> bool {
        let client = &self.ends[Side::Client.index()];
        let live = client.live_streams();
        // Before the server's SETTINGS arrive a client may hold back; RFC 9113 §6.5.2 sets no limit.
        client.settings_taken > 0 && client.max_streams.is_none_or(|most| live < most)
    }

    /// Records that the caller of `side` has received a message of `bytes` bytes.
    pub fn read(&mut self, side: Side, stream: u32, bytes: u64) {
        if let Some(half) = self.ends[side.index()].halves.get_mut(&stream) {
            half.read += bytes;
        }
    }

    /// Records that the caller of `side` reads this stream no more.
    pub fn abandon(&mut self, side: Side, stream: u32) {
        if let Some(half) = self.ends[side.index()].halves.get_mut(&stream) {
            half.abandoned = true;
        }
    }

    fn on_emitted(&mut self, from: Side, header: &FrameHeader, payload: &[u8]) -> Result<(), FailedProperty> {
        let id = header.stream.get();
        let end = &mut self.ends[from.index()];
        ensure(header.length <= end.max_frame, "frame size", || {
            format!("{from:?} sent {header:?}, the peer takes {}", end.max_frame)
        })?;
        // RFC 9113 §4.3: no other frame may separate the frames of a header block.
        match &end.open_block {
            Some((stream, ..)) => {
                ensure(
                    header.kind == FrameType::Continuation && *stream == id,
                    "CONTINUATION contiguity",
                    || format!("{from:?} sent {header:?} inside the block of stream {stream}"),
                )?;
            }
            None => ensure(header.kind != FrameType::Continuation, "CONTINUATION contiguity", || {
                format!("{from:?} sent {header:?} without a block")
            })?,
        }
        let frame = match Frame::parse(header, payload) {
            Ok(frame) => frame,
            Err(error) => return breach("frame layout", format!("{from:?} sent {header:?}: {error}")),
        };
        if id != 0 {
            self.check_stream_order(from, header)?;
        }
        let end = &mut self.ends[from.index()];
        match frame {
            Frame::Headers(headers) => {
                end.open_block = Some((id, headers.end_stream, headers.fragment.to_vec()));
                self.continue_block(from, headers.end_headers)
            }
            Frame::Continuation(continuation) => {
                if let Some((.., block)) = &mut end.open_block {
                    block.extend_from_slice(continuation.fragment);
                }
                self.continue_block(from, continuation.end_headers)
            }
            Frame::Data(_) => self.data_emitted(from, header),
            Frame::WindowUpdate(update) => self.credit_emitted(from, update.stream.get(), update.increment),
            Frame::RstStream(_) => {
                if let Some(half) = end.halves.get_mut(&id) {
                    half.reset_sent = true;
                }
                Ok(())
            }
            Frame::Settings(settings) if settings.is_ack() => {
                end.acks_sent += 1;
                ensure(end.acks_sent <= end.settings_taken, "SETTINGS are acknowledged once", || {
                    format!("{from:?} sent ACK {} of {}", end.acks_sent, end.settings_taken)
                })
            }
            Frame::Settings(settings) => {
                for setting in settings.iter().filter(|it| it.id == SettingId::INITIAL_WINDOW_SIZE) {
                    end.credit.own_initial = i64::from(setting.value);
                }
                Ok(())
            }
            Frame::Ping(ping) if ping.ack => {
                // P-95: the answers echo the data, in order.
                let asked = if end.pings_taken.is_empty() { None } else { Some(end.pings_taken.remove(0)) };
                ensure(asked == Some(ping.data), "PING is echoed", || {
                    format!("{from:?} answered {:?} to {asked:?}", ping.data)
                })
            }
            Frame::GoAway(goaway) => {
                let last = goaway.last_stream.get();
                // RFC 9113 §6.8.
                ensure(end.goaway.is_none_or(|before| last <= before), "GOAWAY never rises", || {
                    format!("{from:?} sent last stream {last} after {:?}", end.goaway)
                })?;
                end.goaway = Some(last);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn continue_block(&mut self, from: Side, whole: bool) -> Result<(), FailedProperty> {
        if !whole {
            return Ok(());
        }
        let end = &mut self.ends[from.index()];
        let Some((id, end_stream, block)) = end.open_block.take() else { return Ok(()) };
        let call = end.call_of(from, &block)?;
        if from == Side::Client {
            self.open_stream(id)?;
            let Some(call) = call else { return breach("metadata arrives", format!("stream {id}")) };
            ensure(self.streams.insert(call, id).is_none(), "one stream a call", || format!("call {call}"))?;
        }
        if end_stream && let Some(half) = self.ends[from.index()].halves.get_mut(&id) {
            half.end_sent = true;
        }
        Ok(())
    }

    fn on_consumed(&mut self, by: Side, header: &FrameHeader, payload: &[u8]) -> Result<(), FailedProperty> {
        let id = header.stream.get();
        let Ok(frame) = Frame::parse(header, payload) else { return Ok(()) };
        if by == Side::Server && header.kind == FrameType::Headers {
            let initial = self.ends[by.index()].credit.clone();
            self.ends[by.index()].halves.entry(id).or_insert_with(|| Half::new(&initial));
        }
        let end = &mut self.ends[by.index()];
        let looks = end.looks;
        // The end of a block of several frames is known with its last one.
        let mut ends = matches!(header.kind, FrameType::Data | FrameType::Headers)
            && header.flags.contains(Flags::END_STREAM);
        if header.kind == FrameType::Headers && !header.flags.contains(Flags::END_HEADERS) {
            end.ends_with_block = std::mem::take(&mut ends);
        } else if header.kind == FrameType::Continuation && header.flags.contains(Flags::END_HEADERS) {
            ends = std::mem::take(&mut end.ends_with_block);
        }
        let ends_block = matches!(header.kind, FrameType::Headers | FrameType::Continuation);
        if ends_block
            && header.flags.contains(Flags::END_HEADERS)
            && !ends
            && let Some(half) = end.halves.get_mut(&id)
        {
            half.headers_taken = true;
        }
        if ends && let Some(half) = end.halves.get_mut(&id) {
            half.end_taken.get_or_insert(looks);
        }
        match frame {
            Frame::Data(data) => self.data_consumed(by, header, data.data),
            Frame::WindowUpdate(update) => self.credit_consumed(by, update.stream.get(), update.increment),
            Frame::RstStream(_) => {
                if let Some(half) = end.halves.get_mut(&id) {
                    half.reset_taken.get_or_insert(looks);
                }
                Ok(())
            }
            Frame::Settings(settings) if !settings.is_ack() => {
                end.settings_taken += 1;
                for setting in settings.iter() {
                    match setting.id {
                        SettingId::MAX_FRAME_SIZE => end.max_frame = setting.value,
                        SettingId::MAX_CONCURRENT_STREAMS => end.max_streams = Some(setting.value),
                        SettingId::INITIAL_WINDOW_SIZE => end.change_initial_window(setting.value),
                        // RFC 7541 §4.2: what this side writes from now on keeps its table within the size.
                        SettingId::HEADER_TABLE_SIZE => {
                            if let Some(decoder) = &mut end.decoder {
                                decoder.set_max_dynamic_size(setting.value);
                            }
                        }
                        _ => {}
                    }
                }
                Ok(())
            }
            Frame::Ping(ping) if !ping.ack => {
                end.pings_taken.push(ping.data);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
