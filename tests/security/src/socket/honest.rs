//! Honest peers that come closest to the limits, over TCP: as fast as they can, and within every rule.
//!
//! The tests write these peers byte by byte, because they have to do what no library does on demand: a PING for each
//! round trip, DATA in the pieces of a proxy, resets among calls.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use bytes::Bytes;
use halfclose::frame::ErrorCode;
use halfclose_driver::halfclose::Config;
use halfclose_driver::{CallOptions, Channel};
use halfclose_e2e::Runtime;

use super::{ANSWERS, SAY};
use crate::wire::{
    Block, END_STREAM, Frame, PREFACE, Socket, data, headers, kind, message, ping, reset, settings,
    settings_ack, update,
};

/// The window of every stream and of the connection for the server's answers, so large that it needs no credit.
const WIDE: u32 = 0x7ff0_0000;
/// The window that a server allows on a stream by default (RFC 9113 §6.9.2).
const WINDOW: i64 = 65_535;

/// A client that keeps within the server's windows.
pub struct HonestClient {
    socket: Socket,
    next_id: u32,
    /// The bytes that may be sent on the connection, and on the open streams.
    window: i64,
    windows: BTreeMap<u32, i64>,
    /// Streams that are over, by their trailers or a reset.
    over: BTreeSet<u32>,
    /// Bytes of DATA received.
    received: usize,
    /// PINGs that were answered.
    pongs: usize,
}

impl HonestClient {
    fn connect(address: SocketAddr) -> Self {
        let socket = Socket::connect(address).expect("the server accepts");
        let mut client = Self {
            socket,
            next_id: 1,
            window: WINDOW,
            windows: BTreeMap::new(),
            over: BTreeSet::new(),
            received: 0,
            pongs: 0,
        };
        client.send(&[PREFACE, &settings(&[(4, WIDE)]), &update(0, WIDE), &settings_ack()].concat());
        client
    }

    fn send(&mut self, bytes: &[u8]) {
        self.socket.write(bytes).expect("the server lets it live");
    }

    /// Handles the next frame.
    fn hear(&mut self) {
        let frame = self.socket.next_frame().expect("the server lets it live");
        let Frame { kind, stream, .. } = frame;
        match kind {
            kind::WINDOW_UPDATE => {
                let increment = i64::from(frame.word(0).expect("an increment"));
                if stream == 0 {
                    self.window += increment;
                } else if let Some(window) = self.windows.get_mut(&stream) {
                    *window += increment;
                }
            }
            kind::DATA => self.received += frame.payload.len(),
            kind::HEADERS if frame.ends_stream() => self.end(stream),
            kind::RST_STREAM => self.end(stream),
            kind::PING => self.pongs += usize::from(frame.is_ack()),
            kind::GOAWAY => panic!("the server says {}", String::from_utf8_lossy(&frame.payload[8..])),
            _ => {}
        }
    }

    fn end(&mut self, stream: u32) {
        self.windows.remove(&stream);
        self.over.insert(stream);
    }

    fn hear_until(&mut self, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            self.hear();
        }
    }

    fn open_with(&mut self, flags: u8, block: Block) -> u32 {
        let id = self.next_id;
        self.next_id += 2;
        self.windows.insert(id, WINDOW);
        self.send(&headers(id, flags, &block.0));
        id
    }

    fn open(&mut self, path: &str) -> u32 {
        self.open_with(0, Block::request_to(path.as_bytes()))
    }

    /// Sends DATA once the windows allow it.
    fn data(&mut self, stream: u32, flags: u8, bytes: &[u8]) {
        let length = i64::try_from(bytes.len()).expect("short");
        self.hear_until(|client| {
            client.window >= length && client.windows.get(&stream).is_none_or(|window| *window >= length)
        });
        self.window -= length;
        if let Some(window) = self.windows.get_mut(&stream) {
            *window -= length;
        }
        self.send(&data(stream, flags, bytes));
    }

    fn ends(&mut self, stream: u32) {
        self.hear_until(|client| client.over.contains(&stream));
    }

    /// Makes one whole call of `size` bytes.
    fn call(&mut self, size: usize) -> u32 {
        let before = self.received;
        let id = self.open("/demo.Echo/Say");
        let bytes = message(&vec![7; size]);
        let pieces: Vec<&[u8]> = bytes.chunks(16_384).collect();
        for (n, piece) in pieces.iter().enumerate() {
            self.data(id, if n + 1 == pieces.len() { END_STREAM } else { 0 }, piece);
        }
        self.ends(id);
        assert_eq!(self.received - before, bytes.len(), "its answer");
        id
    }
}

impl std::fmt::Debug for HonestClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HonestClient").field("next_id", &self.next_id).finish_non_exhaustive()
    }
}

/// A load of an honest client, and the limit that it comes close to.
#[derive(Clone, Copy, Debug)]
pub struct ClientLoad {
    /// What it is.
    pub name: &'static str,
    /// The limit.
    pub limit: &'static str,
    run: fn(&mut HonestClient),
}

impl ClientLoad {
    /// Runs the load on a connection of its own, to a server of [`router`](super::router), and checks that the
    /// connection then serves a call.
    ///
    /// # Panics
    ///
    /// If the server closes the connection.
    pub fn run(&self, address: SocketAddr) {
        let mut client = HonestClient::connect(address);
        (self.run)(&mut client);
        client.call(100);
    }
}

/// The loads of clients.
pub const CLIENT_LOADS: &[ClientLoad] = &[
    ClientLoad {
        name: "a PING with each round trip",
        limit: "control_frames",
        run: |client| {
            for _ in 0..3_000 {
                client.call(10);
                client.send(&ping(b"estimate"));
            }
            client.hear_until(|client| client.pongs == 3_000);
        },
    },
    ClientLoad {
        name: "a PING with each message",
        limit: "control_frames",
        run: |client| {
            let id = client.open("/demo.Echo/Call");
            for n in 1..=3_000 {
                client.data(id, 0, &message(b"ping"));
                client.hear_until(|client| client.received == n * 9);
                client.send(&ping(b"estimate"));
            }
        },
    },
    ClientLoad {
        name: "messages in the pieces of a proxy",
        limit: "small_data",
        run: |client| {
            let ids = [(); 16].map(|()| client.open("/demo.Echo/Call"));
            let bytes = message(&vec![7; 100_000]);
            for sizes in [[16_201, 183], [16_384, 1], [4_096, 4], [600, 1]] {
                for id in ids {
                    let mut rest = bytes.as_slice();
                    for size in sizes.iter().cycle() {
                        let (piece, next) = rest.split_at(rest.len().min(*size));
                        client.data(id, 0, piece);
                        rest = next;
                        if rest.is_empty() {
                            break;
                        }
                    }
                }
            }
            let all = 4 * 16 * bytes.len();
            client.hear_until(|client| client.received == all);
        },
    },
    ClientLoad {
        name: "prefixes in frames of their own, and empty frames",
        limit: "empty_data",
        run: |client| {
            let id = client.open("/demo.Echo/Call");
            let bytes = message(b"ping");
            for _ in 0..5_000 {
                client.data(id, 0, &bytes[..1]);
                client.data(id, 0, b"");
                client.data(id, 0, &bytes[1..]);
            }
            client.hear_until(|client| client.received == 5_000 * bytes.len());
        },
    },
    ClientLoad {
        name: "messages of ten bytes under way when calls end early",
        limit: "small_data",
        run: |client| {
            for _ in 0..20 {
                // A second message is one too many for a unary method, so the server ends the call.
                let ids = [(); 10].map(|()| client.open("/demo.Echo/Say"));
                for id in ids {
                    let under_way = data(id, 0, &message(&[7; 10])).repeat(1_000);
                    client.window -= 15_000;
                    client.send(&under_way);
                }
                ids.into_iter().for_each(|id| client.ends(id));
                client.hear_until(|client| client.window >= WINDOW);
            }
        },
    },
    ClientLoad {
        name: "cancels among as many calls that complete",
        limit: "resets",
        run: |client| {
            for _ in 0..3_000 {
                let id = client.open("/demo.Echo/Hang");
                client.send(&reset(id, ErrorCode::CANCEL));
                client.call(10);
            }
        },
    },
    ClientLoad {
        name: "streams dropped after their first message",
        limit: "resets",
        run: |client| {
            for n in 1..=3_000 {
                let id = client.open("/demo.Echo/Call");
                client.data(id, 0, &message(b"ping"));
                client.hear_until(|client| client.received == n * 9);
                client.send(&reset(id, ErrorCode::CANCEL));
            }
        },
    },
    ClientLoad {
        name: "calls that run out of time",
        limit: "resets",
        run: |client| {
            for _ in 0..20 {
                let block = || Block::request_to(b"/demo.Echo/Hang").field(b"grpc-timeout", b"20m");
                let ids = [(); 100].map(|()| client.open_with(0, block()));
                // The server's own timer ends them, and the client's reset arrives then.
                ids.into_iter().for_each(|id| client.ends(id));
                client.send(&ids.map(|id| reset(id, ErrorCode::CANCEL)).concat());
            }
        },
    },
    ClientLoad {
        name: "credit for answers that have ended, byte by byte",
        limit: "glitches",
        run: |client| {
            for _ in 0..20 {
                let id = client.call(1_000);
                client.send(&update(id, 1).repeat(1_005));
            }
        },
    },
];

/// An honest server's answer, and the limit that it comes close to.
#[derive(Clone, Copy, Debug)]
pub struct ServerLoad {
    /// What it is.
    pub name: &'static str,
    /// The limit.
    pub limit: &'static str,
    /// The number of calls.
    pub calls: usize,
    /// Returns the answer on this stream.
    pub answer: fn(u32) -> Vec<u8>,
}

fn in_frames(stream: u32, bytes: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut rest = bytes;
    let mut frames = Vec::new();
    for size in sizes.iter().cycle() {
        let (piece, next) = rest.split_at(rest.len().min(*size));
        frames.extend(data(stream, 0, piece));
        rest = next;
        if rest.is_empty() {
            break;
        }
    }
    frames
}

fn around(stream: u32, frames: &[u8]) -> Vec<u8> {
    [&headers(stream, 0, &Block::response().0), frames, &headers(stream, END_STREAM, &Block::status("0").0)]
        .concat()
}

/// The loads of servers.
pub const SERVER_LOADS: &[ServerLoad] = &[
    ServerLoad {
        name: "a PING with each round trip",
        limit: "control_frames",
        calls: 3_000,
        answer: |id| [ping(b"estimate"), around(id, &data(id, 0, &message(b"pong")))].concat(),
    },
    ServerLoad {
        name: "SETTINGS with each round trip",
        limit: "control_frames",
        calls: 3_000,
        answer: |id| [settings(&[(4, 65_535 + id)]), around(id, &data(id, 0, &message(b"pong")))].concat(),
    },
    ServerLoad {
        name: "answers in the pieces of a proxy",
        limit: "small_data",
        calls: 500,
        answer: |id| around(id, &in_frames(id, &message(&vec![7; 60_000]), &[16_201, 183, 1, 4])),
    },
    ServerLoad {
        name: "answers in frames of ten bytes",
        limit: "small_data",
        calls: 100,
        answer: |id| around(id, &in_frames(id, &message(&vec![7; 10_000]), &[10])),
    },
    ServerLoad {
        name: "an answer byte by byte",
        limit: "small_data",
        calls: 1,
        answer: |id| around(id, &in_frames(id, &message(&vec![7; 50_000]), &[1])),
    },
    ServerLoad {
        name: "empty frames around each message",
        limit: "empty_data",
        calls: 3_000,
        answer: |id| {
            around(id, &[data(id, 0, b""), data(id, 0, &message(b"pong")), data(id, 0, b"")].concat())
        },
    },
    ServerLoad {
        name: "early hints, and credit that comes late",
        limit: "glitches",
        calls: 3_000,
        answer: |id| {
            let hint = headers(id, 0, &Block::new().field(b":status", b"103").0);
            [hint.repeat(2), around(id, &data(id, 0, &message(b"pong"))), update(id, 9)].concat()
        },
    },
];

/// Lets a client on runtime `R` call such a server repeatedly on one connection.
///
/// # Panics
///
/// If a call fails, or the client ends the connection.
pub fn call_server<R: Runtime>(load: &ServerLoad) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::scope(|scope| {
        scope.spawn(|| answer_calls(&listener, load));
        R::block_on(async {
            let channel = R::connect(address, Config::client()).await.expect("the server accepts");
            for n in 0..load.calls {
                let called = channel.unary(&SAY, &Bytes::from_static(b"ping"), CallOptions::new()).await;
                assert!(called.is_ok(), "{}, call {n}: {called:?}", load.name);
            }
            drop(channel);
        });
    });
}

/// Answers every request of one client, up to the end of the connection.
fn answer_calls(listener: &TcpListener, load: &ServerLoad) {
    let mut socket = Socket::accept(listener).expect("a client");
    let _ = socket.write(&[settings(&[]), update(0, WIDE), settings_ack()].concat());
    while let Some(frame) = socket.next_frame() {
        let farewell = frame.kind == kind::GOAWAY && frame.code() != Some(ErrorCode::NO_ERROR);
        assert!(!farewell, "{}: {}", load.name, String::from_utf8_lossy(&frame.payload[8..]));
        if frame.kind == kind::DATA && frame.ends_stream() {
            // The next frame shows that a client has gone.
            let _ = socket.write(&(load.answer)(frame.stream));
        }
    }
}

/// Drops streams of a server on one connection after their first message, as fast as it can, with as many complete
/// calls as `among` says.
///
/// # Panics
///
/// If a call fails.
pub async fn drop_streams(channel: &Channel, streams: usize, among: usize) {
    for n in 0..streams {
        let asked = Bytes::from_static(b"1000");
        let mut call = channel.server_streaming(&ANSWERS, &asked, CallOptions::new()).await.expect("a call");
        assert!(call.recv().await.expect("the stream lives").is_some(), "stream {n}");
        drop(call);
        for _ in 0..among {
            let called = channel.unary(&SAY, &Bytes::from_static(b"ping"), CallOptions::new()).await;
            assert!(called.is_ok(), "beside stream {n}: {called:?}");
        }
    }
}
