//! Cost oracles: the allocations of each parser, codec and table of the core for its input, counted by the allocator.
//! Each is bounded in bytes and in allocations per byte of input, so that no input costs out of proportion to its
//! length. The oracles run in one thread, one after the other, without a test harness.

use std::alloc::System;

use bytes::{Buf, BytesMut};
use halfclose::frame::ErrorCode;
use halfclose::grpc::{base64, percent};
use halfclose::hpack::{BlockLimits, Decoder, Encoder, Indexing};
use halfclose::{
    CallType, Client, Config, Connection, Event, Needed, Rate, Request, Role, Seed, Server, Time,
};
use halfclose_wire::{
    END_HEADERS, PREFACE, REQUEST, block, data, frame, goaway, headers, kind, reset, settings, settings_ack,
    update,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW: Time = Time::ZERO;
/// The bytes that any input may allocate, however short it is.
const START: usize = 16 * 1024;

/// Runs `work` on an input of this length. It may allocate `START` and `bytes` for each byte of input, in 64
/// allocations and `per_hundred` for each hundred bytes.
fn costs<T>(name: &str, input: usize, (bytes, per_hundred): (usize, usize), work: impl FnOnce() -> T) -> T {
    let region = Region::new(ALLOCATOR);
    let result = work();
    let change = region.change();
    let allocated = change.bytes_allocated + usize::try_from(change.bytes_reallocated.max(0)).unwrap_or(0);
    let times = change.allocations + change.reallocations;
    println!("{name:50} input {input:>8}  allocated {allocated:>9}  in {times:>6}");
    assert!(allocated <= START + bytes * input, "{name}: {allocated} bytes for {input}");
    assert!(times <= 64 + per_hundred * input / 100, "{name}: {times} allocations for {input}");
    result
}

/// Each length is ten times the previous one, so that a cost which grows faster than the input exceeds the bound for
/// one.
const LENGTHS: [usize; 3] = [1_000, 10_000, 100_000];

const LIMITS: BlockLimits = BlockLimits { max_string: 1 << 20, max_list_size: 1 << 30 };

/// Decodes a block, in one pass. Returns the fields and their bytes.
fn decode(decoder: &mut Decoder, block: &[u8]) -> (usize, usize) {
    let (mut fields, mut bytes) = (0, 0);
    decoder
        .decode(block, &LIMITS, |field| {
            fields += 1;
            bytes += field.name.len() + field.value.len();
        })
        .expect("a block");
    (fields, bytes)
}

fn decoding_a_block_costs_its_bytes() {
    for length in LENGTHS {
        // Entries that evict one another, and each is found again by its index.
        let (mut encoder, mut block, mut n) = (Encoder::new(4_096), Vec::new(), 0_u32);
        while block.len() < length {
            let name = format!("x-{n}");
            encoder.field(name.as_bytes(), b"a value of some length", Indexing::Incremental, &mut block);
            encoder.field(name.as_bytes(), b"a value of some length", Indexing::Incremental, &mut block);
            n += 1;
        }
        let mut decoder = Decoder::new(4_096);
        let (fields, _) =
            costs("a block whose entries are evicted", block.len(), (1, 1), || decode(&mut decoder, &block));
        assert!(fields <= block.len(), "a field costs its sender a byte");
        // One entry repeated: the most fields per byte.
        let indexed = vec![0x80 | 62; length];
        let (fields, _) = costs("a block of indices", length, (0, 0), || decode(&mut decoder, &indexed));
        assert_eq!(fields, length);
    }
}

fn huffman_costs_its_bytes() {
    for length in LENGTHS {
        // `0` has a code of five bits, the shortest there is.
        let (mut encoder, mut block) = (Encoder::new(0), Vec::new());
        encoder.field(b"x", &vec![b'0'; length * 8 / 5], Indexing::Without, &mut block);
        assert!(block.len() < length + 16);
        let (_, bytes) = costs("a string in Huffman's code", block.len(), (4, 1), || {
            decode(&mut Decoder::new(4_096), &block)
        });
        assert!(bytes <= block.len() * 8 / 5);
    }
}

fn text_codecs_cost_their_bytes() {
    for length in LENGTHS {
        let (text, worst) = ("%41".repeat(length / 3), "\u{1f375}".repeat(length / 4));
        costs("percent decoding", text.len(), (4, 1), || percent::decode(text.as_bytes()).len());
        costs("percent encoding", worst.len(), (8, 1), || percent::encode(&worst).len());
        let mut encoded = Vec::new();
        base64::encode(&vec![7; length], &mut encoded);
        costs("base64 decoding", encoded.len(), (3, 1), || {
            let mut out = Vec::new();
            base64::decode(&encoded, &mut out).expect("base64");
            out.len()
        });
    }
}

/// One core whose limits on abuse are raised, so that only cost is measured.
struct Fed<R: Role> {
    core: Connection<R>,
    wire: BytesMut,
}

impl<R: Role> Fed<R> {
    fn new(mut config: Config, first: &[u8]) -> Self {
        let any = Rate { burst: u32::MAX, per_second: 0 };
        let limits = &mut config.limits;
        (limits.control_frames, limits.resets, limits.internal_resets) = (any, any, any);
        (limits.empty_data, limits.small_data, limits.glitches) = (any, any, any);
        (limits.max_continuations, limits.max_header_block) = (u32::MAX, u32::MAX);
        (limits.queued_replies, limits.max_concurrent_streams) = (u32::MAX, u32::MAX);
        config.keepalive.max_strikes = None;
        let mut fed = Self { core: Connection::new(config, Seed(1), NOW), wire: BytesMut::new() };
        fed.feed(first);
        fed
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.load(bytes);
        self.run();
    }

    /// Puts bytes into the buffer that the core reads; that cost is not the core's.
    fn load(&mut self, bytes: &[u8]) {
        self.wire = BytesMut::from(bytes);
    }

    /// Reads them to their end. Returns the number of turns.
    fn run(&mut self) -> usize {
        let mut turns = 1;
        loop {
            let needed = self.core.receive(NOW, &mut self.wire).expect("no violation");
            while self.core.poll_event().is_some() {}
            self.drain();
            if needed == Needed::More {
                return turns;
            }
            turns += 1;
        }
    }

    fn drain(&mut self) {
        while let Some(mut out) = self.core.poll_transmit(NOW) {
            let count = out.remaining();
            out.advance(count);
        }
    }
}

fn server() -> Fed<Server> {
    Fed::new(Config::server(), &[PREFACE, &settings(&[]), &settings_ack()].concat())
}

fn client() -> Fed<Client> {
    Fed::new(Config::client(), &[settings(&[]), settings_ack()].concat())
}

/// Returns frames up to this length.
fn many(length: usize, one: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut n = 0;
    while bytes.len() < length {
        bytes.extend(one(n));
        n += 1;
    }
    bytes
}

fn frames_cost_their_bytes() {
    for length in LENGTHS {
        for (name, frames) in [
            ("PING", many(length, |_| frame(kind::PING, 0, 0, b"pingpong"))),
            ("SETTINGS", many(length, |n| settings(&[(3, n), (4, 100 + n % 2), (6, n)]))),
            ("PRIORITY", many(length, |n| frame(kind::PRIORITY, 0, 2 * n + 1, &[0, 0, 0, 0, 7]))),
            ("unknown types", many(length, |_| frame(0xbe, 0, 0, b"whatever"))),
            ("WINDOW_UPDATE", many(length, |_| update(0, 1))),
            ("empty frames of an unknown type", many(length, |_| frame(0xbe, 0, 0, b""))),
        ] {
            let mut fed = server();
            fed.load(&frames);
            let turns = costs(name, frames.len(), (2, 1), || fed.run());
            // A turn ends for 64 frames or 64 KiB.
            assert!(turns <= 2 + frames.len() / (9 * 64), "{name}: {turns} turns");
        }
    }
}

fn a_block_in_pieces_costs_its_bytes() {
    for length in LENGTHS {
        let fields = block(&[&REQUEST[..], &[("x-long", &"x".repeat(length / 2))]].concat());
        let mut pieces = fields.chunks(8).peekable();
        let mut frames = frame(kind::HEADERS, 0, 1, pieces.next().expect("a piece"));
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
            frames.extend(frame(kind::CONTINUATION, flags, 1, piece));
        }
        let mut fed = server();
        fed.load(&frames);
        costs("HEADERS in CONTINUATION of 8 bytes", frames.len(), (4, 1), || fed.run());
    }
}

fn pieces_of_a_message_cost_its_bytes() {
    for length in [1_000, 10_000, 60_000] {
        let mut fed = server();
        fed.feed(&headers(1, 0, &block(&REQUEST)));
        let mut message = vec![0];
        message.extend(u32::try_from(length).expect("a length").to_be_bytes());
        message.extend(vec![7; length]);
        for size in [1, 5] {
            let stream = if size == 1 { 1 } else { 3 };
            if size == 5 {
                fed.feed(&headers(3, 0, &block(&REQUEST)));
            }
            let frames: Vec<u8> = message.chunks(size).flat_map(|piece| data(stream, 0, piece)).collect();
            fed.load(&frames);
            // By the bytes of the message, not by those of its frames.
            costs("a message in pieces", message.len(), (3, 1), || fed.run());
        }
    }
}

fn settings_reserve_nothing() {
    let largest = [(1, u32::MAX), (3, u32::MAX), (4, 0x7fff_ffff), (5, 0x00ff_ffff), (6, u32::MAX)];
    let frames = settings(&largest);
    let mut fed = server();
    fed.load(&frames);
    costs("SETTINGS of the largest values", frames.len(), (0, 0), || fed.run());
    let mut fed = client();
    fed.load(&frames);
    costs("the same from a server", frames.len(), (0, 0), || fed.run());
}

fn resets_cost_their_bytes() {
    for length in LENGTHS {
        let fields = block(&REQUEST);
        let pairs =
            many(length, |n| [headers(2 * n + 1, 0, &fields), reset(2 * n + 1, ErrorCode::CANCEL)].concat());
        let mut fed = server();
        fed.load(&pairs);
        costs("HEADERS and RST_STREAM", pairs.len(), (4, 2), || fed.run());
    }
}

fn goaway_costs_what_is_open() {
    let mut fed = client();
    for _ in 0..10_000 {
        fed.core.start(NOW, Request::new("/demo.Echo/Call", CallType::BIDI)).expect("a good request");
    }
    fed.drain();
    // All but the last one end.
    let resets: Vec<u8> = (0..9_999).flat_map(|n| reset(2 * n + 1, ErrorCode::CANCEL)).collect();
    fed.feed(&resets);
    for length in LENGTHS {
        let frames = many(length, |_| goaway(0x7fff_ffff, ErrorCode::NO_ERROR));
        fed.load(&frames);
        costs("GOAWAY behind many calls", frames.len(), (1, 1), || fed.run());
    }
    assert!(fed.core.poll_event() != Some(Event::PeerSettings));
}

fn main() {
    decoding_a_block_costs_its_bytes();
    huffman_costs_its_bytes();
    text_codecs_cost_their_bytes();
    frames_cost_their_bytes();
    a_block_in_pieces_costs_its_bytes();
    pieces_of_a_message_cost_its_bytes();
    settings_reserve_nothing();
    resets_cost_their_bytes();
    goaway_costs_what_is_open();
}
