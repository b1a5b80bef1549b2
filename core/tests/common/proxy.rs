//! A proxy whose clients share one window: unread bytes of one stream keep other streams' bytes out.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use halfclose::{CallId, Code, Config, Event, Metadata, Recv, Server, Status};
use halfclose_wire::{END_STREAM, Frame, REQUEST, block, data, headers, kind};

use super::Scripted;

/// The window that a proxy shares among its clients: nghttpx's and HAProxy's.
const SHARED: usize = 65_535;
const FRAME: usize = 16_384;
const DEFAULT_WINDOW: i64 = 65_535;

/// One upload: what its client has left, what the proxy holds, and what the server lets the proxy send.
struct Upload {
    left: VecDeque<u8>,
    /// Bytes that the client holds back.
    stops: usize,
    buffered: VecDeque<u8>,
    window: i64,
    ended: bool,
}

/// A server behind a proxy, and clients that upload one message each.
pub struct Proxy {
    pub peer: Scripted<Server>,
    uploads: BTreeMap<u32, Upload>,
    window: i64,
    next: u32,
    calls: BTreeMap<u32, CallId>,
    /// Messages that arrived, by stream.
    pub arrived: BTreeMap<u32, usize>,
    /// The statuses that the server ended calls with.
    pub ended: BTreeMap<u32, Code>,
}

impl Proxy {
    pub fn new(config: Config) -> Self {
        let window = i64::from(config.connection_window);
        let peer = Scripted::server(config, &[]);
        let uploads = BTreeMap::new();
        Self {
            peer,
            uploads,
            window,
            next: 1,
            calls: BTreeMap::new(),
            arrived: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    /// Begins the upload of a message of `size` bytes, which stops `stops` bytes before its end.
    pub fn upload(&mut self, size: usize, stops: usize) -> u32 {
        let stream = self.next;
        self.next += 2;
        self.peer.feed(&headers(stream, 0, &block(&REQUEST))).expect("a good request");
        let left = VecDeque::from(halfclose_wire::message(&vec![7; size]));
        let upload = Upload { left, stops, buffered: VecDeque::new(), window: DEFAULT_WINDOW, ended: false };
        self.uploads.insert(stream, upload);
        stream
    }

    /// Runs all parties until none can proceed. Returns the time that this took while only the server's timers moved,
    /// at most `limit`.
    pub fn run(&mut self, limit: Duration) -> Duration {
        let begun = self.peer.now;
        loop {
            while self.turn() {}
            let due = self.peer.core.poll_timeout().map(|(at, _)| at);
            match due {
                Some(at) if at - begun <= limit && !self.is_done() => {
                    let now = at.max(self.peer.now);
                    self.peer.now = now;
                    self.peer.core.handle_timeout(now);
                }
                _ => return self.peer.now - begun,
            }
        }
    }

    /// Returns whether every upload that is not meant to stop has ended.
    pub fn is_done(&self) -> bool {
        self.uploads.values().all(|upload| upload.ended || upload.stops > 0)
    }

    fn turn(&mut self) -> bool {
        let took = self.take_in();
        let sent = self.forward();
        self.serve();
        self.hear();
        took || sent
    }

    /// Lets clients send as the shared window allows, in turn.
    fn take_in(&mut self) -> bool {
        let mut room = SHARED - self.uploads.values().map(|upload| upload.buffered.len()).sum::<usize>();
        let mut any = false;
        for upload in self.uploads.values_mut() {
            let count = upload.left.len().saturating_sub(upload.stops).min(FRAME).min(room);
            upload.buffered.extend(upload.left.drain(..count));
            room -= count;
            any |= count > 0;
        }
        any
    }

    /// Lets the proxy send as the server's windows allow.
    fn forward(&mut self) -> bool {
        let mut any = false;
        let streams: Vec<u32> = self.uploads.keys().copied().collect();
        for stream in streams {
            let Some(upload) = self.uploads.get_mut(&stream) else { continue };
            let most = usize::try_from(upload.window.min(self.window).max(0)).expect("small");
            let count = upload.buffered.len().min(FRAME).min(most);
            if count == 0 || upload.ended {
                continue;
            }
            let piece: Vec<u8> = upload.buffered.drain(..count).collect();
            let last = upload.left.is_empty() && upload.buffered.is_empty();
            upload.window -= count as i64;
            self.window -= count as i64;
            self.peer.feed(&data(stream, if last { END_STREAM } else { 0 }, &piece)).expect("good DATA");
            any = true;
            self.serve();
            self.hear();
        }
        any
    }

    /// Lets handlers receive their message and answer.
    fn serve(&mut self) {
        for event in self.peer.events() {
            match event {
                Event::Request(call) => {
                    // Streams and calls begin in the same order.
                    let stream = self.calls.len() as u32 * 2 + 1;
                    self.calls.insert(stream, call);
                    self.read(stream, call);
                }
                Event::Readable(call) => {
                    let stream = *self.calls.iter().find(|(_, other)| **other == call).expect("a call").0;
                    self.read(stream, call);
                }
                _ => {}
            }
        }
    }

    fn read(&mut self, stream: u32, call: CallId) {
        loop {
            match self.peer.core.recv(call) {
                Ok(Recv::Message(message)) => _ = self.arrived.insert(stream, message.payload.len()),
                Ok(Recv::HalfClosed) => {
                    self.peer.core.finish(call, Status::ok(), Metadata::new()).expect("open");
                    return;
                }
                _ => return,
            }
        }
    }

    /// Handles the server's frames: credit, and the ends of calls, which free what the proxy holds of them.
    fn hear(&mut self) {
        for frame in self.peer.sent() {
            match frame.kind {
                kind::WINDOW_UPDATE if frame.stream == 0 => self.window += increment(&frame),
                kind::WINDOW_UPDATE => {
                    if let Some(upload) = self.uploads.get_mut(&frame.stream) {
                        upload.window += increment(&frame);
                    }
                }
                kind::HEADERS if frame.ends_stream() => self.end(frame.stream),
                _ => {}
            }
        }
    }

    fn end(&mut self, stream: u32) {
        let Some(upload) = self.uploads.get_mut(&stream) else { return };
        upload.ended = true;
        upload.buffered.clear();
        upload.left.clear();
        let good = self.arrived.contains_key(&stream);
        self.ended.insert(stream, if good { Code::Ok } else { Code::ResourceExhausted });
    }
}

fn increment(frame: &Frame) -> i64 {
    frame.word(0).map_or(0, i64::from)
}
