//! Bytes provoke every entry of the registry of violations, or this file names the reason why none can.
//!
//! The core's enums know the names of their variants (`NAMES`), and a variant without a name does not compile. So a
//! new one fails the test below until a case reaches it.

use std::collections::BTreeSet;
use std::time::Duration;

use halfclose::frame::{ErrorCode, FRAME_HEADER_LEN, FrameError, FrameHeader};
use halfclose::grpc::MalformedReason;
use halfclose::grpc::field::FieldError;
use halfclose::hpack::{BlockLimits, DecodeError, Decoder};
use halfclose::internals::{RequestError, RequestHeadersBuilder};
use halfclose::{Client, CloseReason, Config, Event, Rate, Role, Server};
use halfclose::{ConnectionError, Flood, Timeout, Violation};
use halfclose_conformance::memory::InMemory;
use halfclose_conformance::{Expect, Line, Peer, Transport};
use halfclose_wire::kind::{CONTINUATION, HEADERS, PUSH_PROMISE};
use halfclose_wire::{
    Block, END_HEADERS, END_STREAM, PREFACE, REQUEST, block, data, frame, goaway, headers, message, ping,
    reset, settings, settings_ack,
};

use crate::tables::TABLES;

/// A name, and its enum.
type Name = (&'static str, &'static str);

/// Returns every name.
fn registry() -> BTreeSet<Name> {
    let enums: [(&str, &[&str]); 8] = [
        ("ConnectionError", ConnectionError::NAMES),
        ("Violation", Violation::NAMES),
        ("Flood", Flood::NAMES),
        ("Timeout", Timeout::NAMES),
        ("FrameError", FrameError::NAMES),
        ("DecodeError", DecodeError::NAMES),
        ("MalformedReason", MalformedReason::NAMES),
        ("FieldError", FieldError::NAMES),
    ];
    enums.into_iter().flat_map(|(of, names)| names.iter().map(move |name| (of, *name))).collect()
}

/// Returns the names that a violation reaches: its own and those of its content.
fn names_of(violation: &Violation) -> Vec<Name> {
    let inner = match violation {
        Violation::Frame(error) => vec![("FrameError", error.name())],
        Violation::Hpack(error) => vec![("DecodeError", error.name())],
        Violation::Malformed(MalformedReason::Field(error)) => {
            vec![("MalformedReason", "Field"), ("FieldError", error.name())]
        }
        Violation::Malformed(reason) => vec![("MalformedReason", reason.name())],
        Violation::Flood { flood, .. } => vec![("Flood", flood.name())],
        Violation::Timeout(timeout) => vec![("Timeout", timeout.name())],
        _ => Vec::new(),
    };
    [vec![("Violation", violation.name())], inner].concat()
}

/// Returns what a connection reported, as names; the section that each violation cites counts as one.
fn told(violations: &[Violation], error: Option<&ConnectionError>) -> Vec<Name> {
    for violation in violations {
        let section = violation.section();
        assert!(section.starts_with("RFC ") || section.starts_with("P-"), "{violation}: {section}");
    }
    let names = violations.iter().flat_map(names_of);
    names.chain(error.map(|error| ("ConnectionError", error.name()))).collect()
}

/// Returns what the rows of all tables reach, in memory.
fn by_the_tables() -> BTreeSet<Name> {
    let mut reached = BTreeSet::new();
    for table in TABLES {
        for case in table.rows.iter().map(|row| row()) {
            if table.sides.contains(&"server") {
                let mut line = InMemory::connect(&InMemory::serve(case.config(Config::server())));
                case.provoke_server(&mut line);
                reached.extend(told(&line.violations, line.error.as_ref()));
            }
            if table.sides.contains(&"client") {
                let mut client = InMemory::client(case.config(Config::client()));
                case.provoke_client(&mut client);
                reached.extend(told(&client.violations, client.error.as_ref()));
                // A connection that has not ended yet ends with its transport.
                if !matches!(case.expect, Expect::Connection(_) | Expect::Foreign) {
                    client.close();
                    reached.extend(told(&[], client.error.as_ref()));
                }
            }
        }
    }
    reached
}

const NONE: Rate = Rate { burst: 0, per_second: 0 };

fn request(stream: u32, flags: u8) -> Vec<u8> {
    headers(stream, flags, &block(&REQUEST))
}

/// Checks that a server with this limit reports this flood for these bytes, which arrive piece by piece, while its
/// caller handles all events between two pieces.
fn flood(expected: Flood, limit: fn(&mut Config), pieces: &[Vec<u8>]) -> Vec<Name> {
    let mut config = Config::server();
    limit(&mut config);
    let mut peer = Peer::server(config);
    for piece in pieces {
        if let Err(ConnectionError::Violation(violation)) = peer.feed(piece) {
            assert!(matches!(violation, Violation::Flood { flood, .. } if flood == expected), "{violation}");
            assert_eq!(violation.code(), ErrorCode::ENHANCE_YOUR_CALM);
            return names_of(&violation);
        }
        peer.events();
        peer.sent();
    }
    panic!("no {expected}");
}

/// Provokes each limit against abuse, with a small value.
fn by_floods() -> Vec<Name> {
    let pair = |stream| [request(stream, 0), reset(stream, ErrorCode::CANCEL)];
    let malformed = [1, 3].map(|stream| headers(stream, 0, &block(&[("x", "y")])));
    let too_long = [frame(HEADERS, END_STREAM, 1, &block(&[("x", &"y".repeat(2_000))]))];
    let in_two = [frame(HEADERS, END_STREAM, 1, &block(&REQUEST)), frame(CONTINUATION, 0, 1, b"")];
    [
        flood(Flood::Resets, |config| config.limits.resets = NONE, &[pair(1), pair(3)].concat()),
        flood(Flood::InternalResets, |config| config.limits.internal_resets = NONE, &malformed),
        flood(Flood::ControlFrames, |config| config.limits.control_frames = NONE, &[settings(&[]).repeat(8)]),
        flood(Flood::Pings, |_| (), &[ping(b"too many").repeat(4)]),
        flood(
            Flood::DataFrames,
            |config| config.limits.empty_data = NONE,
            &[request(1, 0), data(1, 0, b"").repeat(2)],
        ),
        flood(Flood::Continuations, |config| config.limits.max_continuations = 0, &in_two),
        flood(Flood::HeaderBlock, |config| config.limits.max_header_block = 0, &too_long),
        flood(Flood::HeaderList, |_| (), &[headers(1, 0, &block(&[("x", ""); 2_000]))]),
        flood(Flood::SettingsEntries, |config| config.limits.settings_entries = 0, &[settings(&[(1, 0); 9])]),
        flood(Flood::Glitches, |config| config.limits.glitches = NONE, &[frame(0xbe, 0, 0, b"?").repeat(2)]),
    ]
    .concat()
}

/// Returns what bytes cause that stop where more must follow, after this time.
fn timeout(bytes: &[u8], seconds: u64, interval: Option<Duration>) -> Vec<Name> {
    let mut config = Config::server();
    config.keepalive.interval = interval;
    let mut peer = Peer::<Server>::silent(config);
    peer.feed(bytes).expect("nothing is wrong yet");
    // A connection checks its timers when they are due, one after the other.
    for _ in 0..seconds {
        peer.sent();
        peer.now = peer.now + Duration::from_secs(1);
        peer.connection.handle_timeout(peer.now);
    }
    let Some(Event::Closed(CloseReason::Error(error))) = peer.events().pop() else { panic!("no end") };
    let ConnectionError::Violation(violation) = &error else { panic!("{error}") };
    told(std::slice::from_ref(violation), Some(&error))
}

/// Provokes the timeout of PINGs whose answers are not read.
fn unread() -> Vec<Name> {
    let mut config = Config::server();
    config.limits.queued_replies = 8;
    config.keepalive.max_strikes = None;
    let mut peer = Peer::server(config);
    peer.feed(&ping(b"question").repeat(9)).expect("nothing is wrong yet");
    peer.now = peer.now + Duration::from_secs(20);
    peer.connection.handle_timeout(peer.now);
    the_end(&mut peer)
}

fn by_silence() -> Vec<Name> {
    let hello = [PREFACE, &settings(&[])].concat();
    let greeted = [&hello[..], &settings_ack()].concat();
    [
        timeout(&PREFACE[..10], 10, None),
        timeout(&hello, 10, None),
        timeout(&[&greeted[..], &frame(HEADERS, 0, 1, &[])].concat(), 10, None),
        timeout(&greeted, 21, Some(Duration::from_secs(1))),
        unread(),
    ]
    .concat()
}

/// Provokes the limits on a peer that asks and does not read the answers.
fn by_not_reading() -> Vec<Name> {
    let mut config = Config::server();
    config.limits.queued_replies = 8;
    config.keepalive.max_strikes = None;
    let mut peer = Peer::server(config.clone());
    peer.feed(&settings_ack()).expect("an answer to SETTINGS");
    peer.feed(&ping(b"question").repeat(9)).expect("it waits for its reader");
    peer.now = peer.now + config.limits.unread_timeout;
    peer.connection.handle_timeout(peer.now);
    the_end(&mut peer)
}

/// Returns what a connection reports that a violation has ended.
fn the_end<R: Role>(peer: &mut Peer<R>) -> Vec<Name> {
    let Some(Event::Closed(CloseReason::Error(error))) = peer.events().pop() else { panic!("no end") };
    let ConnectionError::Violation(violation) = &error else { panic!("{error}") };
    told(std::slice::from_ref(violation), Some(&error))
}

/// Provokes the end of a connection by the peer's GOAWAY.
fn by_goaway() -> Vec<Name> {
    let mut peer = Peer::<Client>::client(Config::client());
    peer.start(halfclose::CallType::UNARY);
    peer.sent();
    peer.feed(&goaway(1, ErrorCode::INTERNAL_ERROR)).expect("GOAWAY");
    peer.connection.receive_eof(peer.now);
    match peer.events().pop() {
        Some(Event::Closed(CloseReason::Error(error))) => vec![("ConnectionError", error.name())],
        other => panic!("{other:?}"),
    }
}

/// Returns the error of a server that receives these bytes after its client's SETTINGS.
fn error_of(bytes: &[u8]) -> Option<Violation> {
    match Peer::server(Config::server()).feed(bytes) {
        Err(ConnectionError::Violation(violation)) => Some(violation),
        _ => None,
    }
}

/// Returns a block in as many frames as it needs.
fn in_pieces(block: &[u8]) -> Vec<u8> {
    let (first, rest) = block.split_at(16_384);
    let mut bytes = frame(HEADERS, END_STREAM, 1, first);
    let count = rest.len().div_ceil(16_384);
    for (number, piece) in rest.chunks(16_384).enumerate() {
        let flags = if number + 1 == count { END_HEADERS } else { 0 };
        bytes.extend(frame(CONTINUATION, flags, 1, piece));
    }
    bytes
}

/// Lists what bytes cannot reach, why, and whether that is still true.
fn excused() -> Vec<(Name, &'static str, bool)> {
    let too_large = frame(0x7f, 0, 0, &[0; 16_385]);
    let head = FrameHeader::parse(too_large.first_chunk::<FRAME_HEADER_LEN>().expect("a head"));
    let promise = frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 3]);
    let list = headers(1, END_STREAM, &block(&vec![("x", ""); 2_000]));
    // Huffman coding fits more bytes into a block than its own limit: `0` has five bits.
    let zeros = Block::new().raw(&[0, 1, b'x', 0xff, 0xd1, 0x85, 0x03]).raw(&[0; 50_000]);
    let string = in_pieces(&zeros.0);
    let mut tunnel = RequestHeadersBuilder::new(16_384);
    for (name, value) in [(":method", "CONNECT"), (":authority", "a:1"), (":path", "/")] {
        tunnel.field(name.as_bytes(), value.as_bytes());
    }
    let mut closed = Peer::server(Config::server());
    closed.connection.close(closed.now, ErrorCode::INTERNAL_ERROR, "on demand");
    let mut failed = Peer::server(Config::server());
    failed.connection.transport_failed_because(failed.now, "a cable was cut");
    vec![
        (
            ("FrameError", "TooLarge"),
            "the connection says FrameTooLarge before it has the payload; this is for callers of the frame codec",
            matches!(error_of(&too_large), Some(Violation::FrameTooLarge { .. }))
                && matches!(head.check_length(16_384), Err(FrameError::TooLarge { .. })),
        ),
        (
            ("FrameError", "PromisedStream"),
            "PUSH_PROMISE is refused by the order of frames before its payload is read",
            matches!(error_of(&promise), Some(Violation::Order(_))),
        ),
        (
            ("DecodeError", "ListTooLarge"),
            "a header list over its limit is the flood HeaderList",
            matches!(error_of(&list), Some(Violation::Flood { flood: Flood::HeaderList, .. })),
        ),
        (
            ("DecodeError", "StringTooLong"),
            "a string never comes to three times its block, which a list may; this is for callers of the decoder",
            error_of(&string).is_none()
                && matches!(
                    Decoder::new(0).decode(
                        &zeros.0,
                        &BlockLimits { max_string: 65_536, max_list_size: 1 << 20 },
                        |_| ()
                    ),
                    Err(DecodeError::StringTooLong { .. })
                ),
        ),
        (
            ("MalformedReason", "ConnectPseudo"),
            "reached by the rows rfc9113_8_5_…, but nobody is told: a malformed request has no caller at a server. \
             The same fields give it by the parser that the connection uses",
            matches!(
                tunnel.finish(false),
                Err(RequestError::Malformed(MalformedReason::ConnectPseudo(":path")))
            ),
        ),
        (
            ("ConnectionError", "Closed"),
            "the caller's own order",
            matches!(
                closed.events().pop(),
                Some(Event::Closed(CloseReason::Error(ConnectionError::Closed { .. })))
            ),
        ),
        (
            ("ConnectionError", "Transport"),
            "what the caller says of its transport",
            matches!(
                failed.events().pop(),
                Some(Event::Closed(CloseReason::Error(ConnectionError::Transport(_))))
            ),
        ),
    ]
}

#[test]
fn every_entry_of_the_registry_is_provoked_by_bytes() {
    let mut reached = by_the_tables();
    reached.extend(by_floods());
    reached.extend(by_silence());
    reached.extend(by_not_reading());
    reached.extend(by_goaway());
    let mut missing: BTreeSet<Name> = registry().difference(&reached).copied().collect();
    for (name, reason, holds) in excused() {
        assert!(holds, "{name:?} is said to be out of reach: {reason}");
        assert!(missing.remove(&name), "{name:?} is reached after all");
    }
    assert!(missing.is_empty(), "no bytes reach {missing:?}");
    println!("{} entries, {} of them out of reach of bytes", registry().len(), excused().len());
}

/// Checks that both windows can be exceeded, each with its own scope.
#[test]
fn rfc9113_5_2_data_over_the_window_of_the_connection() {
    let mut config = Config::server();
    (config.initial_stream_window, config.connection_window) = (1 << 20, 65_535);
    // The connection's credit returns on receipt, so only a frame larger than all of it exceeds the window.
    config.limits.max_frame_size = 1 << 17;
    let mut peer = Peer::server(config);
    peer.open(1, 0);
    let fed = peer.feed(&data(1, 0, &message(&[0; 66_000])));
    let Err(ConnectionError::Violation(violation)) = fed else { panic!("{fed:?}") };
    assert!(matches!(violation, Violation::WindowExceeded { connection: true, .. }), "{violation}");
    assert_eq!(violation.code(), ErrorCode::FLOW_CONTROL_ERROR);
}
