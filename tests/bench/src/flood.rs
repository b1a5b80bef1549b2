//! A light client: requests are encoded beforehand, and answers are read by their frame headers only. It follows the
//! protocol where that matters to the server (SETTINGS, PING, windows, the limit on streams) and costs a fraction of
//! a microsecond per call, so the server is what is measured. What it does not handle (a call that fails, GOAWAY,
//! limits that forbid the encoded requests) ends the run with an error; it never counts as an answer.

use std::io::{Error, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use halfclose::frame::{
    DEFAULT_MAX_FRAME_SIZE, ErrorCode, FRAME_HEADER_LEN, Flags, FrameHeader, FrameType, PREFACE, Setting,
    SettingId, Settings, StreamId, write_settings,
};
use halfclose::hpack::{DEFAULT_TABLE_SIZE, Encoder, Indexing};
use prost::Message;

use crate::load::Budget;
use crate::service::{UNARY_CALL, request};

/// The window that the server gets, far more than it needs between two updates.
const WINDOW: u32 = 1 << 30;
const READ: usize = 256 * 1024;

/// One connection with a fixed number of open calls.
#[derive(Debug)]
pub struct Flood {
    socket: TcpStream,
    /// HEADERS and DATA of one call; the stream ids are put in.
    call: Vec<u8>,
    /// Where in `call` the DATA frame begins.
    data_at: usize,
    /// Bytes of a call's DATA, as windows count them.
    data_len: u32,
    input: Vec<u8>,
    filled: usize,
    output: Vec<u8>,
    next_id: u32,
    open: usize,
    max_open: usize,
    send_window: i64,
    received: u32,
    /// Bytes of DATA in every answer.
    answer_len: u64,
    answers: Answers,
}

/// The results of the calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Answers {
    /// Calls that ended with trailers.
    pub calls: u64,
    /// Streams that were reset after their answer, with NO_ERROR.
    pub resets: u64,
    /// Bytes of DATA.
    pub bytes: u64,
}

fn header(kind: FrameType, flags: Flags, stream: u32, length: usize) -> [u8; FRAME_HEADER_LEN] {
    FrameHeader { length: u32::try_from(length).unwrap_or(0), kind, flags, stream: StreamId::new(stream) }
        .encode()
}

fn block(encoder: &mut Encoder) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.begin(&mut out);
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", UNARY_CALL),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "flood/1"),
    ] {
        encoder.field(name.as_bytes(), value.as_bytes(), Indexing::Incremental, &mut out);
    }
    out
}

/// Returns HEADERS and DATA of a call, with the DATA frame's position.
fn call_frames(block: &[u8], message: &[u8]) -> (Vec<u8>, usize) {
    let mut call = header(FrameType::Headers, Flags::END_HEADERS, 0, block.len()).to_vec();
    call.extend_from_slice(block);
    let data_at = call.len();
    call.extend_from_slice(&header(FrameType::Data, Flags::END_STREAM, 0, message.len() + 5));
    call.push(0);
    call.extend_from_slice(&u32::try_from(message.len()).unwrap_or(0).to_be_bytes());
    call.extend_from_slice(message);
    (call, data_at)
}

impl Flood {
    /// Connects, and makes one call, with which the header fields enter the server's table.
    ///
    /// # Errors
    ///
    /// If the socket fails, or the server does not answer the call with a message and trailers.
    pub fn connect(address: SocketAddr, size: usize, rsize: usize) -> Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        let message = request(size, rsize).encode_to_vec();
        let mut encoder = Encoder::new(DEFAULT_TABLE_SIZE);
        let (first, first_data) = call_frames(&block(&mut encoder), &message);
        let (call, data_at) = call_frames(&block(&mut encoder), &message);
        let mut flood = Self {
            socket,
            call: first,
            data_at: first_data,
            data_len: u32::try_from(message.len() + 5).unwrap_or(0),
            input: vec![0; READ],
            filled: 0,
            output: PREFACE.to_vec(),
            next_id: 1,
            open: 0,
            max_open: 100,
            send_window: 65_535,
            received: 0,
            answer_len: 0,
            answers: Answers::default(),
        };
        if flood.data_len > DEFAULT_MAX_FRAME_SIZE {
            return Err(Error::other("a request must be one frame"));
        }
        let settings = [Setting { id: SettingId::INITIAL_WINDOW_SIZE, value: WINDOW }];
        write_settings(&settings, &mut flood.output).map_err(Error::other)?;
        flood.update_window(WINDOW);
        flood.start();
        flood.exchange()?;
        (flood.call, flood.data_at) = (call, data_at);
        flood.answer_len = flood.answers.bytes;
        if flood.answers.calls != 1 || flood.answer_len == 0 {
            return Err(Error::other(format!("the server does not answer: {:?}", flood.answers)));
        }
        Ok(flood)
    }

    /// Returns the bytes of a call's frames, once the server's table has the fields.
    #[must_use]
    pub fn request_len(&self) -> usize {
        self.call.len()
    }

    /// Makes calls out of the budget, `streams` of them open at once.
    ///
    /// # Errors
    ///
    /// If the socket fails.
    pub fn run(&mut self, streams: usize, budget: &Budget) -> Result<Answers> {
        let before = self.answers;
        let mut more = true;
        loop {
            while more
                && self.open < streams.min(self.max_open)
                && self.send_window >= i64::from(self.data_len)
            {
                more = budget.take();
                if more {
                    self.start();
                }
            }
            if self.open == 0 && !more {
                break;
            }
            self.turn()?;
        }
        self.checked(&before)
    }

    /// Checks what arrived since `before`: every call was answered with a message as long as the first one's.
    fn checked(&self, before: &Answers) -> Result<Answers> {
        let answers = Answers {
            calls: self.answers.calls - before.calls,
            resets: self.answers.resets - before.resets,
            bytes: self.answers.bytes - before.bytes,
        };
        if answers.bytes != answers.calls * self.answer_len {
            return Err(Error::other(format!("calls without their message: {answers:?}")));
        }
        Ok(answers)
    }

    /// Makes one call at a time. Returns the duration of each.
    ///
    /// # Errors
    ///
    /// If the socket fails.
    pub fn pingpong(&mut self, calls: u64) -> Result<Vec<Duration>> {
        let before = self.answers;
        let mut latencies = Vec::with_capacity(usize::try_from(calls).unwrap_or(0));
        for _ in 0..calls {
            let start = Instant::now();
            self.start();
            self.exchange()?;
            latencies.push(start.elapsed());
        }
        self.checked(&before)?;
        Ok(latencies)
    }

    fn start(&mut self) {
        let at = self.output.len();
        self.output.extend_from_slice(&self.call);
        let id = self.next_id.to_be_bytes();
        for frame in [at, at + self.data_at] {
            if let Some(place) = self.output.get_mut(frame + 5..frame + 9) {
                place.copy_from_slice(&id);
            }
        }
        self.next_id += 2;
        self.open += 1;
        self.send_window -= i64::from(self.data_len);
    }

    fn exchange(&mut self) -> Result<()> {
        while self.open > 0 {
            self.turn()?;
        }
        Ok(())
    }

    /// Writes everything, then reads once.
    fn turn(&mut self) -> Result<()> {
        if !self.output.is_empty() {
            self.socket.write_all(&self.output)?;
            self.output.clear();
        }
        let count = self.socket.read(self.input.get_mut(self.filled..).unwrap_or_default())?;
        if count == 0 {
            return Err(Error::other("the server closed the connection"));
        }
        self.filled += count;
        self.frames()
    }

    fn frames(&mut self) -> Result<()> {
        let mut at = 0;
        while let Some(bytes) = self.input.get(at..self.filled).and_then(|rest| rest.first_chunk()) {
            let header = FrameHeader::parse(bytes);
            let end = at + FRAME_HEADER_LEN + header.length as usize;
            if end > self.filled {
                break;
            }
            self.frame(&header, at + FRAME_HEADER_LEN)?;
            at = end;
        }
        self.input.copy_within(at..self.filled, 0);
        self.filled -= at;
        Ok(())
    }

    fn frame(&mut self, header: &FrameHeader, at: usize) -> Result<()> {
        let ended = header.flags.contains(Flags::END_STREAM);
        match header.kind {
            FrameType::Data => {
                self.answers.bytes += u64::from(header.length);
                self.received += header.length;
                if self.received > WINDOW / 2 {
                    let received = std::mem::take(&mut self.received);
                    self.update_window(received);
                }
            }
            FrameType::Headers if ended => {
                self.answers.calls += 1;
                self.open -= 1;
            }
            // A server may reset a stream with NO_ERROR after its answer; the call is over by then.
            FrameType::RstStream if self.bytes(at) == ErrorCode::NO_ERROR.0.to_be_bytes() => {
                self.answers.resets += 1;
            }
            FrameType::RstStream | FrameType::GoAway => {
                return Err(Error::other(format!("the server ends calls or the connection: {header:?}")));
            }
            FrameType::WindowUpdate if header.stream.is_connection() => {
                let increment = self.bytes(at);
                self.send_window += i64::from(u32::from_be_bytes(increment));
            }
            FrameType::Settings if !header.flags.contains(Flags::ACK) => return self.settings(header, at),
            FrameType::Ping if !header.flags.contains(Flags::ACK) => {
                let data: [u8; 8] = self.bytes(at);
                self.output.extend_from_slice(&self::header(FrameType::Ping, Flags::ACK, 0, 8));
                self.output.extend_from_slice(&data);
            }
            _ => {}
        }
        Ok(())
    }

    fn settings(&mut self, header: &FrameHeader, at: usize) -> Result<()> {
        let payload = self.input.get(at..at + header.length as usize).unwrap_or_default();
        let settings = Settings::parse(header, payload).map_err(Error::other)?;
        for Setting { id, value } in settings.iter() {
            match id {
                SettingId::MAX_CONCURRENT_STREAMS => {
                    self.max_open = usize::try_from(value).unwrap_or(usize::MAX);
                }
                // A stream sends only one frame, so its window blocks it either never or always.
                SettingId::INITIAL_WINDOW_SIZE if value < self.data_len => {
                    return Err(Error::other("a request is longer than the server's windows"));
                }
                SettingId::HEADER_TABLE_SIZE if (value as usize) < DEFAULT_TABLE_SIZE => {
                    return Err(Error::other("the requests are encoded for a larger table"));
                }
                _ => {}
            }
        }
        self.output.extend_from_slice(&self::header(FrameType::Settings, Flags::ACK, 0, 0));
        Ok(())
    }

    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        self.input.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
    }

    fn update_window(&mut self, increment: u32) {
        self.output.extend_from_slice(&header(FrameType::WindowUpdate, Flags::NONE, 0, 4));
        self.output.extend_from_slice(&increment.to_be_bytes());
    }
}
