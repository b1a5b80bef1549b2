//! Endless input of hostile clients.

use std::sync::OnceLock;

use halfclose::frame::ErrorCode;

use crate::server::messages::gzip_of_zeros;
use crate::wire::{
    Block, END_STREAM, data, frame, headers, kind, message, ping, prefixed, reset, settings, update,
};

/// The required result of a flood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// GOAWAY with this code, and debug data that begin with this text.
    Cut(ErrorCode, &'static str),
    /// No GOAWAY: the flood costs the server no more than it can bear.
    Endured,
}

/// One flood: what is sent first, then one piece after the other. A piece may open the stream whose id it receives.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    /// Its name.
    pub name: &'static str,
    /// The CVE numbers or the rule.
    pub class: &'static str,
    /// The required result.
    pub outcome: Outcome,
    /// Whether the attacker reads the answers while it attacks.
    pub reads: bool,
    /// The bytes before the pieces. They may use stream 1.
    pub start: fn() -> Vec<u8>,
    /// One piece; the ids begin at 1001.
    pub piece: fn(u32) -> Vec<u8>,
}

const fn calm(debug: &'static str) -> Outcome {
    Outcome::Cut(ErrorCode::ENHANCE_YOUR_CALM, debug)
}

const fn flood(
    name: &'static str,
    class: &'static str,
    outcome: Outcome,
    start: fn() -> Vec<u8>,
    piece: fn(u32) -> Vec<u8>,
) -> Flood {
    Flood { name, class, outcome, reads: true, start, piece }
}

const fn unread(mut flood: Flood) -> Flood {
    flood.reads = false;
    flood
}

const fn nothing() -> Vec<u8> {
    Vec::new()
}

/// Returns the headers of a call to a method.
fn call(id: u32, flags: u8) -> Vec<u8> {
    headers(id, flags, &Block::request().0)
}

/// Returns the headers of a call that is never answered.
fn hang(id: u32) -> Vec<u8> {
    headers(id, 0, &Block::request_to(b"/demo.Echo/Hang").0)
}

fn call_on_stream_1() -> Vec<u8> {
    call(1, 0)
}

fn hang_200() -> Vec<u8> {
    (1..400).step_by(2).flat_map(hang).collect()
}

fn open_block() -> Vec<u8> {
    frame(kind::HEADERS, 0, 1, &Block::request().0)
}

/// Returns a request whose list is just below four times the limit, by 15 references to one large entry.
fn bomb(id: u32) -> Vec<u8> {
    headers(id, END_STREAM, &Block::request().raw(&[0xbe; 15]).0)
}

/// Returns a message a little over the limit, in 4 KiB.
pub(super) fn small_bomb() -> &'static [u8] {
    static BOMB: OnceLock<Vec<u8>> = OnceLock::new();
    BOMB.get_or_init(|| gzip_of_zeros(4_200_000))
}

/// A whole call of 100 bytes there and back.
fn say(id: u32) -> Vec<u8> {
    let head = headers(id, 0, &Block::request_to(b"/demo.Echo/Say").0);
    [head, data(id, END_STREAM, &message(&[7; 100])), update(0, 105)].concat()
}

/// An honest call: 100 bytes there and back. The cost of attacks is compared with it.
pub const HONEST: Flood = flood("honest calls", "-", Outcome::Endured, nothing, say);

/// The floods.
pub const FLOODS: &[Flood] = &[
    flood("PING", "CVE-2019-9512", calm("too_many_pings"), nothing, |_| ping(b"pingpong")),
    unread(flood("PING, ACKs unread", "CVE-2019-9512", calm("too_many_pings"), nothing, |_| {
        ping(b"pingpong")
    })),
    flood("SETTINGS", "CVE-2019-9515", calm("too_many_control_frames"), nothing, |_| settings(&[(1, 4096)])),
    unread(flood("SETTINGS, ACKs unread", "CVE-2019-9515", calm("too_many_control_frames"), nothing, |_| {
        settings(&[(1, 4096)])
    })),
    flood("SETTINGS of 2,730 entries", "CVE-2020-11080", calm("too_many_settings"), nothing, |_| {
        settings(&[(0x99, 1); 2730])
    }),
    flood("windows to and fro", "SETTINGS work", calm("too_many_control_frames"), hang_200, |_| {
        settings(&[(4, 65_535), (4, 65_534)].repeat(16))
    }),
    flood("PRIORITY", "CVE-2019-9513", Outcome::Endured, nothing, |id| {
        frame(kind::PRIORITY, 0, id, &[0, 0, 0, 1, 7])
    }),
    flood("unknown frames", "CVE-2026-27141", calm("too_many_useless_frames"), nothing, |_| {
        frame(0xbb, 0, 0, b"x")
    }),
    flood(
        "updates of a closed stream",
        "useless frames",
        calm("too_many_useless_frames"),
        || [hang(1), reset(1, ErrorCode::CANCEL)].concat(),
        |_| update(1, 1),
    ),
    flood("malformed requests", "CVE-2019-9514", calm("too_many_internal_resets"), nothing, |id| {
        headers(id, END_STREAM, &Block::request().field(b"Upper", b"case").0)
    }),
    unread(flood(
        "malformed requests, resets unread",
        "CVE-2019-9514",
        calm("too_many_internal_resets"),
        nothing,
        |id| headers(id, END_STREAM, &Block::request().field(b"Upper", b"case").0),
    )),
    flood("rapid reset", "CVE-2023-44487", calm("too_many_resets"), nothing, |id| {
        [call(id, 0), reset(id, ErrorCode::CANCEL)].concat()
    }),
    flood(
        "two resets for each call that completes",
        "CVE-2023-44487",
        calm("too_many_resets"),
        nothing,
        |id| {
            // A piece is given one odd id, and the next piece the next one: three times as much leaves room for two more.
            let resets = [call(3 * id, 0), reset(3 * id, ErrorCode::CANCEL)].concat();
            let again = [call(3 * id + 2, 0), reset(3 * id + 2, ErrorCode::CANCEL)].concat();
            [resets, again, say(3 * id + 4)].concat()
        },
    ),
    flood("a reset for each call that completes", "CVE-2023-44487", Outcome::Endured, nothing, |id| {
        [call(2 * id + 1, 0), reset(2 * id + 1, ErrorCode::CANCEL), say(2 * id + 3)].concat()
    }),
    flood("streams over the limit", "CVE-2023-44487", calm("too_many_useless_frames"), hang_200, hang),
    flood(
        "made you reset: WINDOW_UPDATE 0",
        "CVE-2025-8671",
        calm("too_many_internal_resets"),
        nothing,
        |id| [hang(id), update(id, 0)].concat(),
    ),
    flood(
        "made you reset: DATA after END_STREAM",
        "CVE-2025-8671",
        calm("too_many_internal_resets"),
        nothing,
        |id| [hang(id), data(id, END_STREAM, b""), data(id, 0, b"more")].concat(),
    ),
    flood("empty DATA", "CVE-2019-9518", calm("too_many_data_frames"), call_on_stream_1, |_| data(1, 0, b"")),
    flood(
        "one-byte DATA",
        "CVE-2019-9518",
        calm("too_many_data_frames"),
        || [call_on_stream_1(), data(1, 0, &prefixed(0, 4_000_000, b""))].concat(),
        |_| data(1, 0, b"x"),
    ),
    flood("CONTINUATION, empty", "CVE-2019-9518", calm("too_many_continuations"), open_block, |_| {
        frame(kind::CONTINUATION, 0, 1, b"")
    }),
    flood("CONTINUATION, large", "CVE-2024-27316", calm("header_block_too_large"), open_block, |_| {
        frame(kind::CONTINUATION, 0, 1, &Block::new().field(b"a", &[b'a'; 16_000]).0)
    }),
    flood("HPACK bomb", "CVE-2016-1544", calm("header_list_too_large"), nothing, |id| {
        headers(id, END_STREAM, &Block::request().indexing(b"x-bomb", &[b'b'; 3_800]).raw(&[0xbe; 11_000]).0)
    }),
    flood(
        "HPACK bombs within four times the limit",
        "CVE-2016-6581",
        Outcome::Endured,
        || headers(1, END_STREAM, &Block::request().indexing(b"x-bomb", &[b'b'; 3_800]).0),
        bomb,
    ),
    flood("length prefixes of 4 GiB", "message length", Outcome::Endured, nothing, |id| {
        [call(id, 0), data(id, END_STREAM, &prefixed(0, u32::MAX, b"some bytes"))].concat()
    }),
    flood("decompression bombs of 4 KiB", "gzip, 1 to 1,000", Outcome::Endured, nothing, |id| {
        let bomb = small_bomb();
        let head = headers(id, 0, &Block::request().field(b"grpc-encoding", b"gzip").0);
        let length = u32::try_from(bomb.len()).expect("short");
        [head, data(id, END_STREAM, &prefixed(1, length, bomb))].concat()
    }),
    flood(
        "data dribble",
        "CVE-2019-9511",
        Outcome::Endured,
        || settings(&[(4, 0)]),
        |id| {
            // The answer is as long, and its window is opened byte by byte.
            let request = [call(id, 0), data(id, END_STREAM, &message(&[7; 20]))].concat();
            [request, update(id, 1).repeat(25), update(0, 25)].concat()
        },
    ),
];
