//! A deadline on the server: the client receives a status whenever one can be written, as from C-core's server.

mod common;

use std::time::Duration;

use bytes::{Buf, Bytes};
use common::{Pair, Scripted};
use halfclose::frame::ErrorCode;
use halfclose::{
    CallId, CallType, Cause, Code, Config, Event, Metadata, Misuse, Request, Server, Status, Time, TimerKind,
};
use halfclose_wire::{Block, END_STREAM, Frame, REQUEST, block, data, headers, kind, message, reset, update};

const SECOND: Duration = Duration::from_secs(1);
/// How long after the deadline a server ends the call.
const GRACE: Duration = Duration::from_millis(2);
/// How long the server waits for the transport to accept the status.
const PATIENCE: Duration = Duration::from_secs(5);

/// Creates a server whose client has these SETTINGS, and a call whose deadline is a second away.
fn timed(entries: &[(u16, u32)], flags: u8) -> (Scripted<Server>, CallId) {
    let mut server = Scripted::<Server>::server(Config::server(), entries);
    let call = open(&mut server, 1, flags);
    (server, call)
}

fn open(server: &mut Scripted<Server>, stream: u32, flags: u8) -> CallId {
    let fields = Block(block(&REQUEST)).field(b"grpc-timeout", b"1S");
    server.feed(&headers(stream, flags, &fields.0)).unwrap();
    let [Event::Request(call)] = server.events()[..] else { panic!("no request") };
    call
}

/// Returns a summary of these frames: `:status`, `grpc-status`, the code of a reset, the bytes of DATA.
fn told(sent: &[Frame]) -> Vec<String> {
    let mut decoder = hpack::Decoder::new();
    let tell = |frame: &Frame| match frame.kind {
        kind::HEADERS => {
            let fields = decoder.decode(&frame.payload).expect("a block");
            let value = |name: &str| {
                let field = fields.iter().find(|field| field.0 == name.as_bytes())?;
                Some(format!("{name} {}", String::from_utf8_lossy(&field.1)))
            };
            let end = (frame.flags & END_STREAM > 0).then(|| "end".to_owned());
            [value(":status"), value("grpc-status"), end].into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
        kind::RST_STREAM => format!("reset {}", frame.code().expect("a code").0),
        kind::DATA => format!("data {}", frame.payload.len()),
        other => format!("frame {other}"),
    };
    sent.iter().map(tell).collect()
}

const ONLY: &str = ":status 200, grpc-status 4, end";
const TRAILERS: &str = "grpc-status 4, end";
const HEADERS: &str = ":status 200";
/// P-31: the reset that asks the client to send nothing more.
const STOP: &str = "reset 0";

#[test]
fn a_call_that_was_not_answered_ends_with_a_status() {
    for (flags, expected) in [(END_STREAM, &[ONLY][..]), (0, &[ONLY, STOP])] {
        let (mut server, call) = timed(&[], flags);
        server.wait(SECOND + GRACE - Duration::from_nanos(1));
        assert_eq!((server.events(), server.sent().len()), (vec![], 0));
        server.wait(Duration::from_nanos(1));
        assert_eq!(server.events(), [Event::Ended(call, Cause::Deadline)]);
        assert_eq!(told(&server.sent()), expected);
        assert!(server.core.is_idle());
        assert_eq!(server.core.finish(call, Status::ok(), Metadata::new()), Err(Misuse::UnknownCall));
        assert_ne!(server.core.poll_timeout().map(|timer| timer.1), Some(TimerKind::Deadline));
    }
}

#[test]
fn a_call_that_was_begun_ends_with_trailers() {
    let begin: [fn(&mut Scripted<Server>, CallId); 3] = [
        |server, call| {
            server.core.send_message(call, Bytes::from_static(b"one"), false).unwrap();
        },
        |server, call| server.core.send_headers(call, Metadata::new()).unwrap(),
        // Initial metadata that was set is sent with the status.
        |server, call| {
            let mut metadata = Metadata::new();
            metadata.append("x-set", "1").unwrap();
            server.core.set_headers(call, metadata).unwrap();
        },
    ];
    for begin in begin {
        let (mut server, call) = timed(&[], END_STREAM);
        begin(&mut server, call);
        let mut sent = server.sent();
        server.wait(SECOND + GRACE);
        sent.extend(server.sent());
        let told = told(&sent);
        assert_eq!(
            (told.first().map(String::as_str), told.last().map(String::as_str)),
            (Some(HEADERS), Some(TRAILERS))
        );
        assert_eq!(server.events(), [Event::Ended(call, Cause::Deadline)]);
        assert!(server.core.is_idle());
    }
}

#[test]
fn messages_that_wait_give_way_to_the_status() {
    // INITIAL_WINDOW_SIZE (4): none of the message fits, or a part of it does.
    for (window, begun) in [(0, None), (10, Some("data 10"))] {
        for finished in [false, true] {
            let (mut server, call) = timed(&[(4, window)], END_STREAM);
            server.core.send_message(call, Bytes::from(vec![7; 1_000]), false).unwrap();
            if finished {
                // The handler's own status follows the message, so the client would receive it too late.
                server.core.finish(call, Status::ok(), Metadata::new()).unwrap();
            }
            let begun = [Some(HEADERS), begun].into_iter().flatten();
            assert_eq!(told(&server.sent()), begun.collect::<Vec<_>>());
            server.wait(SECOND + GRACE);
            assert_eq!(told(&server.sent()), [TRAILERS], "{window} {finished}");
            assert_eq!(server.events(), [Event::Ended(call, Cause::Deadline)]);
            assert!(server.core.is_idle());
            // Credit that arrives now is for a stream that has ended.
            server.feed(&update(1, 1_000)).unwrap();
            assert!(server.sent().is_empty());
        }
    }
}

#[test]
fn a_status_needs_no_window_of_the_connection() {
    let (mut server, call) = timed(&[(4, 1 << 20)], END_STREAM);
    let other = open(&mut server, 3, END_STREAM);
    server.core.send_message(other, Bytes::from(vec![7; 65_530]), false).unwrap();
    server.core.send_message(call, Bytes::from_static(b"one"), false).unwrap();
    // The connection's window is used up, and the client does not read.
    let sent = server.sent();
    let sizes: usize =
        sent.iter().filter(|frame| frame.kind == kind::DATA).map(|frame| frame.payload.len()).sum();
    assert_eq!(sizes, 65_535);
    server.wait(SECOND + GRACE);
    let ends: Vec<_> =
        server.sent().iter().map(|frame| (frame.stream, frame.kind, frame.flags & END_STREAM)).collect();
    assert!(ends.contains(&(1, kind::HEADERS, END_STREAM)), "{ends:?}");
}

#[test]
fn a_status_that_is_next_is_left_as_it_is() {
    // The handler was in time, and the transport was not.
    let (mut server, call) = timed(&[], END_STREAM);
    server.core.finish(call, Status::not_found("none"), Metadata::new()).unwrap();
    server.wait(SECOND + GRACE);
    assert_eq!(told(&server.sent()), [":status 200, grpc-status 5, end"]);
    assert_eq!(server.events(), [Event::Ended(call, Cause::TrailersOnly)]);
    assert!(server.core.is_idle());
}

#[test]
fn a_transport_that_takes_nothing_for_a_while_gets_a_reset() {
    for finished in [false, true] {
        let (mut server, call) = timed(&[], END_STREAM);
        if finished {
            server.core.finish(call, Status::not_found("none"), Metadata::new()).unwrap();
        }
        server.wait(SECOND + GRACE);
        // A handler that has not finished learns of it at once.
        let ended = [Event::Ended(call, Cause::Deadline)];
        assert_eq!(server.events(), ended[usize::from(finished)..]);
        assert_eq!(server.core.poll_timeout(), Some((server.now + PATIENCE, TimerKind::Deadline)));
        server.wait(PATIENCE - Duration::from_nanos(1));
        assert!(!server.core.is_idle());
        server.wait(Duration::from_nanos(1));
        assert_eq!(server.events(), ended[usize::from(!finished)..]);
        assert!(server.core.is_idle());
        assert_eq!(told(&server.sent()), ["reset 8"]);
    }
}

#[test]
fn a_slow_transport_gets_the_status_when_its_turn_comes() {
    let (mut server, call) = timed(&[(4, 1 << 20)], END_STREAM);
    server.feed(&update(0, 1 << 20)).unwrap();
    let other = open(&mut server, 3, END_STREAM);
    server.core.send_message(other, Bytes::from(vec![7; 600_000]), false).unwrap();
    // The connection accepts as much as is cut at once, and the transport none of it.
    assert!(server.core.poll_transmit(server.now).is_some_and(|out| out.remaining() > 100_000));
    server.wait(SECOND + GRACE);
    assert_eq!(server.events().len(), 2);
    let sent = server.sent();
    let ends: Vec<_> =
        sent.iter().filter(|frame| frame.flags & END_STREAM > 0 && frame.kind == kind::HEADERS).collect();
    assert_eq!(ends.iter().map(|frame| frame.stream).collect::<Vec<_>>(), [1, 3]);
    assert!(sent.iter().all(|frame| frame.kind != kind::RST_STREAM));
    assert!(server.core.states(call).is_err());
}

#[test]
fn what_comes_behind_the_status_is_no_error() {
    let (mut server, _) = timed(&[], 0);
    server.wait(SECOND + GRACE);
    assert_eq!(told(&server.sent()), [ONLY, STOP]);
    server.events();
    let late = [data(1, 0, &message(b"late")), data(1, END_STREAM, b""), reset(1, ErrorCode::CANCEL)];
    server.feed(&late.concat()).unwrap();
    assert!(server.sent().is_empty());
    let next = server.open(3);
    server.core.finish(next, Status::ok(), Metadata::new()).unwrap();
    assert_eq!(
        server.events(),
        [Event::Ended(next, Cause::TrailersOnly)].into_iter().take(0).collect::<Vec<_>>()
    );
    assert_eq!(server.sent().len(), 2);
}

#[test]
fn a_client_without_a_clock_hears_of_the_deadline() {
    let timeout = Duration::from_millis(1);
    let mut pair = Pair::new();
    let mut request = Request::new("/demo.Echo/Call", CallType::UNARY);
    request.deadline = Some(Time::ZERO + timeout);
    let call = pair.client.start(pair.now, request).unwrap();
    let served = pair.accept(CallType::UNARY);
    assert_eq!(pair.server.deadline(served), Some(Time::ZERO + timeout), "handlers are told the true one");

    pair.server.handle_timeout(Time::ZERO + timeout);
    assert_eq!(pair.server.poll_event(), None, "the client's own clock comes first");
    let (at, _) = pair.server.poll_timeout().unwrap();
    assert_eq!(at, Time::ZERO + timeout + GRACE);
    pair.server.handle_timeout(at);
    assert_eq!(pair.server.poll_event(), Some(Event::Ended(served, Cause::Deadline)));
    pair.now = at;
    pair.carry_down();
    let outcome = pair.outcome(call);
    assert_eq!((outcome.status.code, outcome.cause), (Code::DeadlineExceeded, Cause::TrailersOnly));
}

#[test]
fn no_handler_starts_at_or_after_its_deadline() {
    // P-7: a timeout of zero has passed already.
    for timeout in ["0n", "0S", "00000000H"] {
        for (flags, expected) in [(END_STREAM, &[ONLY][..]), (0, &[ONLY, STOP])] {
            let mut server = Scripted::<Server>::server(Config::server(), &[]);
            let fields = Block(block(&REQUEST)).field(b"grpc-timeout", timeout.as_bytes());
            server.feed(&headers(1, flags, &fields.0)).unwrap();
            assert_eq!(server.events(), [], "{timeout}");
            assert_eq!(told(&server.sent()), expected);
            assert!(server.core.is_idle());
        }
    }
    // One that passes before the caller asks for events, during a call of any method that tells the time.
    for (late, heard) in [(SECOND - Duration::from_nanos(1), true), (SECOND, false), (SECOND + GRACE, false)]
    {
        let mut server = Scripted::<Server>::server(Config::server(), &[]);
        let fields = Block(block(&REQUEST)).field(b"grpc-timeout", b"1S");
        server.feed(&headers(1, END_STREAM, &fields.0)).unwrap();
        server.now = server.now + late;
        server.feed(&halfclose_wire::ping(b"whatever")).unwrap();
        assert_eq!(server.events().len(), usize::from(heard), "{late:?}");
        let sent: Vec<_> = server.sent().into_iter().filter(|frame| frame.kind != kind::PING).collect();
        assert_eq!(told(&sent), if heard { &[][..] } else { &[ONLY] }, "{late:?}");
        assert_eq!(server.core.is_idle(), !heard);
    }
}
