//! Attacks of hostile servers on a client over TCP.

use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use halfclose::Code;
use halfclose::frame::ErrorCode;
use halfclose_driver::CallOptions;
use halfclose_driver::halfclose::Config;
use halfclose_e2e::Runtime;

use super::SAY;
use super::attacker::{Told, send};
use super::floods::{Outcome, small_bomb};
use crate::wire::{
    Block, END_STREAM, Socket, data, frame, goaway, headers, kind, message, ping, prefixed, settings,
    settings_ack,
};

/// Bytes of the request.
pub const REQUEST: usize = 10_000;

/// A server's answer to the call on stream 1: `start`, then one piece after the other, if any.
#[derive(Clone, Copy, Debug)]
pub struct Hostile {
    /// Its name.
    pub name: &'static str,
    /// The CVE numbers or the rule.
    pub class: &'static str,
    /// The status with which the call must end.
    pub code: Code,
    /// Whether the client sends a GOAWAY with an error.
    pub outcome: Outcome,
    /// The timeout of the call.
    pub timeout: Option<Duration>,
    /// The first bytes.
    pub start: fn() -> Vec<u8>,
    /// The rest: endless pieces, or nothing.
    pub piece: Option<fn(u32) -> Vec<u8>>,
}

const fn hostile(name: &'static str, class: &'static str, code: Code, start: fn() -> Vec<u8>) -> Hostile {
    Hostile { name, class, code, outcome: Outcome::Endured, timeout: None, start, piece: None }
}

const fn flood(
    name: &'static str,
    class: &'static str,
    debug: &'static str,
    start: fn() -> Vec<u8>,
    piece: fn(u32) -> Vec<u8>,
) -> Hostile {
    let outcome = Outcome::Cut(ErrorCode::ENHANCE_YOUR_CALM, debug);
    Hostile { outcome, piece: Some(piece), ..hostile(name, class, Code::Unavailable, start) }
}

/// Returns a server whose call must end by its own deadline.
const fn never(name: &'static str, class: &'static str, start: fn() -> Vec<u8>) -> Hostile {
    let timeout = Some(Duration::from_millis(100));
    Hostile { timeout, ..hostile(name, class, Code::DeadlineExceeded, start) }
}

const fn nothing() -> Vec<u8> {
    Vec::new()
}

fn response() -> Vec<u8> {
    headers(1, 0, &Block::response().0)
}

fn ok() -> Vec<u8> {
    headers(1, END_STREAM, &Block::status("0").0)
}

/// The servers.
pub const HOSTILE: &[Hostile] = &[
    flood("PING", "CVE-2019-9512", "too_many_control_frames", nothing, |_| ping(b"pingpong")),
    flood("SETTINGS", "CVE-2019-9515", "too_many_control_frames", nothing, |_| settings(&[])),
    flood("SETTINGS of 2,730 entries", "CVE-2020-11080", "too_many_settings", nothing, |_| {
        settings(&[(0x99, 1); 2730])
    }),
    flood("unknown frames", "useless frames", "too_many_useless_frames", nothing, |_| {
        frame(0xbb, 0, 0, b"x")
    }),
    flood("1xx without end", "section 8", "too_many_useless_frames", nothing, |_| {
        headers(1, 0, &Block::new().field(b":status", b"103").0)
    }),
    flood("empty DATA", "CVE-2019-9518", "too_many_data_frames", response, |_| data(1, 0, b"")),
    flood(
        "CONTINUATION",
        "CVE-2024-28182",
        "too_many_continuations",
        || frame(kind::HEADERS, 0, 1, &Block::response().0),
        |_| frame(kind::CONTINUATION, 0, 1, b""),
    ),
    flood("HPACK bomb", "CVE-2016-1544", "header_list_too_large", nothing, |_| {
        headers(1, 0, &Block::response().indexing(b"x-bomb", &[b'b'; 3_800]).raw(&[0xbe; 11_000]).0)
    }),
    flood("GOAWAY", "useless frames", "too_many_useless_frames", nothing, |_| goaway(1, ErrorCode::NO_ERROR)),
    Hostile {
        outcome: Outcome::Cut(ErrorCode::PROTOCOL_ERROR, "RFC 9113 §6.5.2"),
        ..hostile("MAX_FRAME_SIZE 0", "CVE-2026-33814", Code::Unavailable, || settings(&[(5, 0)]))
    },
    Hostile {
        outcome: Outcome::Cut(ErrorCode::PROTOCOL_ERROR, "RFC 9113 §8.4"),
        ..hostile("PUSH_PROMISE", "section 8", Code::Unavailable, || {
            frame(kind::PUSH_PROMISE, 4, 1, &[&[0, 0, 0, 2][..], &Block::request().0].concat())
        })
    },
    hostile("decompression bomb", "gzip, 1 to 1,000", Code::ResourceExhausted, || {
        let head = headers(1, 0, &Block::response().field(b"grpc-encoding", b"gzip").0);
        let bomb = small_bomb();
        let length = u32::try_from(bomb.len()).expect("short");
        [head, data(1, 0, &prefixed(1, length, bomb)), ok()].concat()
    }),
    hostile("message of 4 GiB", "P-54", Code::ResourceExhausted, || {
        [response(), data(1, 0, &prefixed(0, u32::MAX, b"x"))].concat()
    }),
    hostile("OK behind half a message", "P-56", Code::Internal, || {
        [response(), data(1, 0, &prefixed(0, 100, b"half")), ok()].concat()
    }),
    hostile("OK without a message", "P-70", Code::Unimplemented, || [response(), ok()].concat()),
    hostile("the end of the stream without trailers", "P-26", Code::Internal, || {
        [response(), data(1, END_STREAM, &message(b"pong"))].concat()
    }),
    hostile("a web page", "P-28", Code::Unknown, || {
        let head = Block::new().index(8).field(b"content-type", b"text/html");
        [headers(1, 0, &head.0), data(1, 0, &[b'x'; 16_000])].concat()
    }),
    never("no answer", "section 8", nothing),
    never("half an answer", "section 8", || [response(), data(1, 0, &message(b"pong"))].concat()),
    never("a byte of an answer now and then", "section 8", || {
        [response(), data(1, 0, &prefixed(0, 1_000, b"x"))].concat()
    }),
];

/// Calls such a server once, on a connection of its own, from a client on runtime `R`. Returns the status of the
/// call.
///
/// # Panics
///
/// If the server does not accept.
pub async fn call<R: Runtime>(address: SocketAddr, hostile: &Hostile) -> Code {
    let channel = R::connect(address, Config::client()).await.expect("the server accepts");
    let mut options = CallOptions::new();
    options.timeout = hostile.timeout;
    match channel.unary(&SAY, &Bytes::from(vec![7; REQUEST]), options).await {
        Ok(_) => Code::Ok,
        Err(error) => error.code(),
    }
}

/// Lets a client on runtime `R` call such a server. Returns the status of its call and what the client sent.
///
/// # Panics
///
/// If no port is free.
pub fn serve<R: Runtime>(hostile: &Hostile, span: Duration) -> (Code, Told) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut told = Told::default();
    let code = thread::scope(|scope| {
        scope.spawn(|| answer(&listener, hostile, span, &mut told));
        R::block_on(call::<R>(address, hostile))
    });
    (code, told)
}

/// Acts as such a server for one connection, from the request on, up to its end or for `span`.
///
/// # Panics
///
/// If the peer is no client.
pub fn answer(listener: &TcpListener, hostile: &Hostile, span: Duration, told: &mut Told) {
    let mut socket = Socket::accept(listener).expect("a client");
    let opening = [settings(&[]), settings_ack()].concat();
    socket.write(&opening).expect("the client is there");
    socket.frames_until(|frame| frame.kind == kind::HEADERS);
    let start = (hostile.start)();
    let _ = socket.write(&start);
    told.bytes += opening.len() + start.len();
    let until = Instant::now() + span;
    match hostile.piece {
        Some(piece) => send(&mut socket, piece, true, (until, usize::MAX), told),
        None => told.listen(&mut socket),
    }
}
