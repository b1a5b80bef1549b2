//! Headers and trailers far over the limit end their call and never their connection: tonic's servers and clients
//! ignore SETTINGS_MAX_HEADER_LIST_SIZE. Blocks that expand when decoded (HPACK bombs) still end the connection.

mod common;

use common::Scripted;
use halfclose::frame::ErrorCode;
use halfclose::hpack::{Encoder, Indexing};
use halfclose::{
    CallId, Client, Code, Config, ConnectionError, Event, Flood, Outcome, Recv, Server, Violation,
};
use halfclose_wire::{
    Block, END_HEADERS, END_STREAM, REQUEST, RESPONSE, TRAILERS_ONLY, block, data, frame, headers, kind,
    message,
};

/// Bytes that an honest sender puts into one frame (RFC 9113 §4.2).
const FRAME: usize = 16_384;

/// Returns HEADERS and as many CONTINUATION frames as a block needs.
fn long(stream: u32, flags: u8, block: &[u8], piece: usize) -> Vec<u8> {
    let mut pieces = block.chunks(piece);
    let first = pieces.next().unwrap_or_default();
    let rest: Vec<_> = pieces.collect();
    let end = |last: bool| if last { END_HEADERS } else { 0 };
    let mut frames = frame(kind::HEADERS, flags | end(rest.is_empty()), stream, first);
    for (n, piece) in rest.iter().enumerate() {
        frames.extend(frame(kind::CONTINUATION, end(n + 1 == rest.len()), stream, piece));
    }
    frames
}

fn started(config: Config) -> (Scripted<Client>, CallId) {
    let mut peer = Scripted::<Client>::client(config, &[]);
    let call = peer.start();
    peer.core.half_close(call).unwrap();
    peer.sent();
    (peer, call)
}

fn end(peer: &mut Scripted<Client>, call: CallId) -> Outcome {
    loop {
        match peer.core.recv(call).unwrap() {
            Recv::End(outcome) => return outcome,
            Recv::Message(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Checks that the next call can use the entry that the long block put into the table.
fn next_call(peer: &mut Scripted<Client>, stream: u32) {
    let call = peer.start();
    peer.core.half_close(call).unwrap();
    peer.sent();
    let fields = Block(block(&TRAILERS_ONLY)).index(62);
    peer.feed(&headers(stream, END_STREAM, &fields.0)).unwrap();
    let outcome = end(peer, call);
    assert_eq!(outcome.status.code, Code::NotFound);
    assert_eq!(outcome.trailers.get_str("x-mark"), Some("the entry"));
}

fn huffman(name: &str, value: &str) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(0), Vec::new());
    encoder.field(name.as_bytes(), value.as_bytes(), Indexing::Without, &mut out);
    out
}

/// Returns blocks of about `size` bytes after a status, in the forms in which honest senders write them.
fn fillers(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let text = "the quick brown fox jumps over the lazy dog 0123456789 ".repeat(size / 54 + 1);
    let entries: Vec<_> =
        (0..size / 40).map(|n| (format!("x-entry-{n:06}"), format!("a value {n:016}"))).collect();
    let entry = |out: &mut Vec<u8>, (name, value): &(String, String)| {
        out.extend(Block::new().field(name.as_bytes(), value.as_bytes()).0);
    };
    let mut many = Vec::new();
    entries.iter().for_each(|field| entry(&mut many, field));
    let mut coded = Vec::new();
    entries.iter().for_each(|(name, value)| coded.extend(huffman(name, value)));
    let mut indexed = Vec::new();
    for (name, value) in &entries {
        indexed.extend(Block::new().indexing(name.as_bytes(), value.as_bytes()).0);
    }
    vec![
        ("a message", Block::new().field(b"grpc-message", &text.as_bytes()[..size]).0),
        ("a message, Huffman", huffman("grpc-message", &text[..size])),
        ("the shortest codes", huffman("grpc-message", &"a".repeat(size))),
        ("details", Block::new().field(b"grpc-status-details-bin", &vec![b'A'; size / 4 * 4]).0),
        ("one entry", Block::new().field(b"x-one", &text.as_bytes()[..size]).0),
        ("many entries", many),
        ("many entries, Huffman", coded),
        ("many entries, indexed", indexed),
    ]
}

/// Returns the blocks of `fillers`, between a status and an entry for the table.
fn long_blocks(size: usize, start: &[(&str, &str)]) -> Vec<(&'static str, Vec<u8>)> {
    let whole = |(name, filler): (&'static str, Vec<u8>)| {
        (name, Block(block(start)).raw(&filler).indexing(b"x-mark", b"the entry").0)
    };
    fillers(size).into_iter().map(whole).collect()
}

#[test]
fn long_trailers_cost_a_client_one_call() {
    for size in [17_000, 66_000, 70_000, 200_000, 1_000_000] {
        for (name, trailers) in long_blocks(size, &[("grpc-status", "5")]) {
            let (mut peer, call) = started(Config::client());
            let other = peer.start();
            peer.core.half_close(other).unwrap();
            peer.sent();
            peer.feed(&headers(1, 0, &block(&RESPONSE))).unwrap();
            peer.feed(&headers(3, 0, &block(&RESPONSE))).unwrap();
            peer.feed(&data(1, 0, &message(b"m"))).unwrap();
            peer.feed(&long(1, END_STREAM, &trailers, FRAME))
                .unwrap_or_else(|error| panic!("{name} {size}: {error}"));
            let outcome = end(&mut peer, call);
            assert_eq!(outcome.status.code, Code::ResourceExhausted, "{name} {size}");
            let text = outcome.status.message();
            assert!(text.len() < 200 && text.contains("NOT_FOUND"), "{text}");
            assert!(outcome.trailers.is_empty(), "{name}: nothing is kept");
            // The call beside it continues, and the one after it is decoded correctly.
            peer.feed(&headers(3, END_STREAM, &block(&[("grpc-status", "0")]))).unwrap();
            assert!(end(&mut peer, other).status.is_ok());
            next_call(&mut peer, 5);
        }
    }
}

#[test]
fn long_trailers_only_and_long_response_headers_cost_a_client_one_call() {
    for (flags, start) in [(END_STREAM, &TRAILERS_ONLY[..]), (0, &RESPONSE[..])] {
        for (name, fields) in long_blocks(70_000, start) {
            let (mut peer, call) = started(Config::client());
            peer.feed(&long(1, flags, &fields, FRAME)).unwrap();
            assert_eq!(end(&mut peer, call).status.code, Code::ResourceExhausted, "{name}");
            let reset =
                peer.sent().iter().find(|frame| frame.kind == kind::RST_STREAM).and_then(|f| f.code());
            assert_eq!(reset, (flags == 0).then_some(ErrorCode::CANCEL), "{name}");
            next_call(&mut peer, 3);
        }
    }
}

#[test]
fn long_trailers_of_a_call_that_is_over_cost_nothing() {
    for (name, fields) in long_blocks(70_000, &TRAILERS_ONLY) {
        let (mut peer, call) = started(Config::client());
        peer.core.cancel(call).unwrap();
        peer.sent();
        peer.feed(&long(1, END_STREAM, &fields, FRAME)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(end(&mut peer, call).status.code, Code::Cancelled);
        next_call(&mut peer, 3);
    }
}

#[test]
fn interim_responses_may_be_long_too() {
    let (mut peer, call) = started(Config::client());
    let (_, fields) = long_blocks(70_000, &[(":status", "103")]).swap_remove(4);
    peer.feed(&long(1, 0, &fields, FRAME)).unwrap();
    peer.feed(&headers(1, END_STREAM, &block(&TRAILERS_ONLY))).unwrap();
    assert_eq!(end(&mut peer, call).status.code, Code::NotFound);
    next_call(&mut peer, 3);
}

#[test]
fn a_long_request_costs_a_server_one_call() {
    // Within `max_header_block`, which is less than a client's: 70,000 bytes of text as tonic's clients send them.
    for (name, fields) in long_blocks(70_000, &REQUEST) {
        if fields.len() > Config::server().limits.max_header_block as usize || name.starts_with("many") {
            continue;
        }
        let mut server = Scripted::<Server>::server(Config::server(), &[]);
        server.feed(&long(1, END_STREAM, &fields, FRAME)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(server.events(), [], "{name}");
        let answer: Vec<_> = server.sent().into_iter().filter(|frame| frame.kind == kind::HEADERS).collect();
        let answer = hpack::Decoder::new().decode(&answer[0].payload).unwrap();
        assert!(answer.contains(&(b"grpc-status".to_vec(), b"8".to_vec())), "{name}: {answer:?}");
        let next = Block(block(&REQUEST)).index(62);
        server.feed(&headers(3, END_STREAM, &next.0)).unwrap();
        let [Event::Request(call)] = server.events()[..] else { panic!("{name}: no request") };
        let request = server.core.request(call).unwrap();
        assert_eq!(request.metadata.get_str("x-mark"), Some("the entry"), "{name}");
    }
}

fn flood(error: Option<ConnectionError>) -> Option<Flood> {
    match error? {
        ConnectionError::Violation(Violation::Flood { flood, .. }) => Some(flood),
        other => panic!("{other}"),
    }
}

/// Returns trailers of `size` bytes.
fn trailers_of(size: usize) -> Vec<u8> {
    let of = |filler: usize| Block::status("5").field(b"x", &vec![b'x'; filler]).0;
    let start = of(size).len() - size;
    let trailers = of(size - start);
    assert!(trailers.len() <= size && size - trailers.len() < 4);
    // A smaller length field may save a byte or two.
    of(2 * size - start - trailers.len())
}

/// Returns the limit that these frames exceed in the place of trailers, if any.
fn met(frames: &[u8]) -> Option<Flood> {
    let (mut peer, _) = started(Config::client());
    peer.feed(&headers(1, 0, &block(&RESPONSE))).unwrap();
    flood(peer.feed(frames).err())
}

#[test]
fn blocks_have_an_absolute_limit() {
    let most = Config::client().limits.max_header_block as usize;
    assert_eq!(most, 1 << 20);
    for (size, expected) in [(most - 1, None), (most, None), (most + 1, Some(Flood::HeaderBlock))] {
        let trailers = trailers_of(size);
        assert_eq!(trailers.len(), size);
        assert_eq!(met(&long(1, END_STREAM, &trailers, FRAME)), expected, "{size}");
    }
}

#[test]
fn what_expands_costs_the_connection() {
    let bomb =
        |entries: usize| Block::status("5").indexing(b"x-bomb", &[b'b'; 3_800]).raw(&vec![0xbe; entries]).0;
    let limit = 4 * Config::client().limits.max_header_list as usize;
    let each = 3_800 + 6 + 32;
    let fits = (limit - 44 - each) / each;
    let over = Some(Flood::HeaderList);
    for (entries, expected) in [(12, None), (fits, None), (fits + 1, over), (11_000, over)] {
        assert_eq!(met(&long(1, END_STREAM, &bomb(entries), FRAME)), expected, "{entries}");
    }
    let mut server = Scripted::<Server>::server(Config::server(), &[]);
    let crumbs = Block(block(&REQUEST)).raw(&[0, 1, b'x', 0].repeat(2_000)).0;
    assert_eq!(flood(server.feed(&long(1, END_STREAM, &crumbs, FRAME)).err()), Some(Flood::HeaderList));
}

#[test]
fn continuations_are_counted_by_what_they_bring() {
    // Eight, and one more for each 8 KiB of the block.
    for (piece, count, expected) in [
        (10, 8, None),
        (10, 9, Some(Flood::Continuations)),
        (800, 8, None),
        (800, 10, Some(Flood::Continuations)),
        (4_096, 17, None),
        (4_096, 18, Some(Flood::Continuations)),
        (8_192, 120, None),
        (FRAME, 63, None),
    ] {
        let frames = long(1, END_STREAM, &trailers_of(piece * (count + 1)), piece);
        assert_eq!(met(&frames), expected, "{count} of {piece}");
    }
    // Large frames before them do not raise the number of empty ones.
    let mut frames = long(1, END_STREAM, &trailers_of(9 * FRAME), FRAME);
    let last = frames.split_off(frames.len() - FRAME - 9);
    let empty = |count: usize| frame(kind::CONTINUATION, 0, 1, b"").repeat(count);
    for (count, expected) in [(16, None), (19, Some(Flood::Continuations))] {
        assert_eq!(met(&[&frames[..], &empty(count), &last].concat()), expected, "{count}");
    }
}
