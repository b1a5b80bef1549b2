//! What a client's call ends with when two causes of its end coincide.

mod common;

use bytes::{Bytes, BytesMut};
use common::Pair;
use halfclose::frame::ErrorCode;
use halfclose::hpack::{Encoder, Indexing};
use halfclose::{
    CallId, CallType, Cause, Client, Code, Config, Connection, Event, Metadata, Misuse, Recv, Request, Seed,
    Sent, Status, Time,
};
use halfclose_wire::frame;
use std::time::Duration;

/// A client that is answered by frames written here.
struct Scripted {
    client: Connection<Client>,
    encoder: Encoder,
    now: Time,
}

impl Scripted {
    fn new(config: Config) -> Self {
        let mut client = Connection::new(config, Seed(1), Time::ZERO);
        common::feed(&mut client, Time::ZERO, &mut BytesMut::from(frame(4, 0, 0, &[]).as_slice()));
        Self { client, encoder: Encoder::new(0), now: Time::ZERO }
    }

    fn start(&mut self, deadline: Option<Duration>) -> CallId {
        let mut request = Request::new("/demo.Echo/Call", CallType::BIDI);
        request.deadline = deadline.map(|span| Time::ZERO + span);
        let call = self.client.start(self.now, request).unwrap();
        common::written(&mut self.client, self.now);
        call
    }

    fn receive(&mut self, bytes: &[u8]) {
        common::feed(&mut self.client, self.now, &mut BytesMut::from(bytes));
    }

    fn headers(&mut self, end: bool, fields: &[(&str, &str)]) {
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        for (name, value) in fields {
            self.encoder.field(name.as_bytes(), value.as_bytes(), Indexing::Without, &mut block);
        }
        self.receive(&frame(1, 4 | u8::from(end), 1, &block));
    }

    fn end(&mut self, call: CallId) -> (Code, Cause) {
        match self.client.recv(call) {
            Ok(Recv::End(outcome)) => (outcome.status.code, outcome.cause),
            other => panic!("no end: {other:?}"),
        }
    }
}

const HEAD: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/grpc")];
const MESSAGE: [u8; 7] = [0, 0, 0, 0, 2, b'h', b'i'];

#[test]
fn initial_metadata_that_cannot_be_kept_fails_the_call_whatever_the_trailers_say() {
    // P-30, P-45: otherwise messages would be lost under the status OK.
    let too_large = "x".repeat(16_360);
    let table = [("x-broken-bin", "#", Code::Internal), ("x-large", &too_large, Code::ResourceExhausted)];
    for (name, value, code) in table {
        let mut peer = Scripted::new(Config::client());
        let call = peer.start(None);
        peer.headers(false, &[HEAD[0], HEAD[1], (name, value)]);
        peer.receive(&frame(0, 0, 1, &MESSAGE));
        peer.headers(true, &[("grpc-status", "0")]);
        let (met, cause) = peer.end(call);
        assert_eq!(met, code, "{name}");
        assert!(matches!(cause, Cause::Reset { code: ErrorCode::CANCEL, .. }), "{cause:?}");
    }
}

#[test]
fn an_answer_that_is_not_grpcs_is_never_ok() {
    // P-28, P-29: the status in the trailers has priority over the HTTP status, but messages were not read.
    let foreign = [(":status", "200"), ("content-type", "text/html")];
    for (head, trailer, code) in [
        (foreign, "0", Code::Unknown),
        (foreign, "5", Code::NotFound),
        ([(":status", "503"), ("content-type", "application/grpc")], "0", Code::Unavailable),
        ([(":status", "503"), ("content-type", "application/grpc")], "8", Code::ResourceExhausted),
    ] {
        let mut peer = Scripted::new(Config::client());
        let call = peer.start(None);
        peer.headers(false, &head);
        peer.headers(true, &[("grpc-status", trailer)]);
        assert_eq!(peer.end(call).0, code, "{head:?} {trailer}");
    }
}

#[test]
fn cancelled_after_our_own_deadline_is_deadline_exceeded() {
    // P-84: the server's status for the deadline may arrive before our own timer was checked.
    let late = Duration::from_secs(2);
    let reset = frame(3, 0, 1, &8_u32.to_be_bytes());
    for (now, code) in [(Duration::from_secs(1), Code::Cancelled), (late, Code::DeadlineExceeded)] {
        let mut peer = Scripted::new(Config::client());
        let call = peer.start(Some(late));
        peer.now = Time::ZERO + now;
        peer.receive(&reset);
        assert_eq!(peer.end(call).0, code, "RST_STREAM at {now:?}");

        let mut peer = Scripted::new(Config::client());
        let call = peer.start(Some(late));
        peer.now = Time::ZERO + now;
        peer.headers(true, &[HEAD[0], HEAD[1], ("grpc-status", "1")]);
        assert_eq!(peer.end(call).0, code, "trailers at {now:?}");
    }
    // A response that the server has completed is not dropped.
    let mut peer = Scripted::new(Config::client());
    let call = peer.start(Some(late));
    peer.now = Time::ZERO + late;
    peer.headers(true, &[HEAD[0], HEAD[1], ("grpc-status", "0")]);
    assert_eq!(peer.end(call).0, Code::Ok);
}

#[test]
fn the_end_of_the_transport_after_goaway_says_what_goaway_said() {
    // P-93, P-105: the call was accepted, so the server may have processed it.
    let mut peer = Scripted::new(Config::client());
    let call = peer.start(None);
    let mut goaway = Vec::from(1_u32.to_be_bytes());
    goaway.extend_from_slice(&11_u32.to_be_bytes());
    goaway.extend_from_slice(b"too_many_pings");
    peer.receive(&frame(7, 0, 0, &goaway));
    peer.client.receive_eof(peer.now);
    let Ok(Recv::End(outcome)) = peer.client.recv(call) else { panic!("no end") };
    assert_eq!(outcome.cause, Cause::GoAway { code: ErrorCode::ENHANCE_YOUR_CALM, processed: true });
    assert_eq!(outcome.status.code, Code::Unavailable);
    assert!(outcome.status.message().contains("too_many_pings"));
    assert!(!outcome.not_processed());
}

#[test]
fn a_call_that_the_server_began_to_answer_was_processed() {
    // What arrived before, and whether the call may be tried elsewhere then.
    type Begin = fn(&mut Scripted);
    let began: [(&str, Begin, bool); 5] = [
        ("nothing", |_| (), true),
        ("an interim response", |peer| peer.headers(false, &[(":status", "103")]), false),
        ("headers", |peer| peer.headers(false, &HEAD), false),
        (
            "headers and a message",
            |peer| {
                peer.headers(false, &HEAD);
                peer.receive(&frame(0, 0, 1, &MESSAGE));
            },
            false,
        ),
        ("a page that is not gRPC's", |peer| peer.headers(false, &[(":status", "503")]), false),
    ];
    // REFUSED_STREAM (7), and a GOAWAY below the call (P-93).
    let ends = [frame(3, 0, 1, &7_u32.to_be_bytes()), frame(7, 0, 0, &[0; 8])];
    for (name, begin, not_processed) in began {
        for end in &ends {
            let mut peer = Scripted::new(Config::client());
            let call = peer.start(None);
            begin(&mut peer);
            peer.receive(end);
            let outcome = loop {
                match peer.client.recv(call) {
                    Ok(Recv::End(outcome)) => break outcome,
                    Ok(Recv::Message(_)) => {}
                    other => panic!("{name}: {other:?}"),
                }
            };
            assert_eq!(outcome.not_processed(), not_processed, "{name}: {:?}", outcome.cause);
            if let Cause::GoAway { processed, .. } = outcome.cause {
                assert_eq!(processed, !not_processed, "{name}");
            }
        }
    }
}

#[test]
fn what_one_call_had_of_an_answer_is_not_the_next_ones() {
    let mut peer = Scripted::new(Config::client());
    let first = peer.start(None);
    peer.headers(false, &HEAD);
    peer.receive(&frame(3, 0, 1, &7_u32.to_be_bytes()));
    assert!(matches!(peer.client.recv(first), Ok(Recv::End(outcome)) if !outcome.not_processed()));
    let second = peer.start(None);
    assert_eq!(second.slot(), first.slot());
    peer.receive(&frame(3, 0, 3, &7_u32.to_be_bytes()));
    assert!(matches!(peer.client.recv(second), Ok(Recv::End(outcome)) if outcome.not_processed()));
}

#[test]
fn a_sender_that_waits_for_room_is_told_of_the_end() {
    // P-88: a send would wait for ever, because the server does not read any more.
    let mut pair = Pair::new();
    let call = pair.start(CallType::CLIENT_STREAMING);
    let at_server = pair.accept(CallType::CLIENT_STREAMING);
    let message = Bytes::from(vec![0; 60_000]);
    assert_eq!(pair.client.send_message(call, message.clone(), false), Ok(Sent::Ready));
    assert_eq!(pair.client.send_message(call, message, false), Ok(Sent::Full));
    pair.exchange();
    while pair.client.poll_event().is_some() {}
    pair.server.finish(at_server, Status::resource_exhausted("enough"), Metadata::new()).unwrap();
    pair.exchange();
    assert_eq!(pair.client.poll_event(), Some(Event::Writable(call)));
    assert_eq!(pair.client.send_message(call, Bytes::new(), false), Err(Misuse::CallEnded));
    assert_eq!(pair.outcome(call).status.code, Code::ResourceExhausted);
}

#[test]
fn trailers_that_lack_a_status_or_a_part_of_the_content_are_not_ok() {
    // P-26, and RFC 9113 §8.1.1: a truncated response must not count as complete.
    let table = [
        (None, ("x-other", "1"), Code::Unknown),
        (Some(("content-length", "8")), ("grpc-status", "0"), Code::Internal),
        (Some(("content-length", "7")), ("grpc-status", "0"), Code::Ok),
    ];
    for (extra, trailer, code) in table {
        let mut peer = Scripted::new(Config::client());
        let call = peer.start(None);
        let head: Vec<_> = HEAD.into_iter().chain(extra).collect();
        peer.headers(false, &head);
        peer.receive(&frame(0, 0, 1, &MESSAGE));
        peer.headers(true, &[trailer]);
        assert!(matches!(peer.client.recv(call), Ok(Recv::Message(_))));
        assert_eq!(peer.end(call).0, code, "{extra:?} {trailer:?}");
    }
}

#[test]
fn a_shutdown_goes_on_when_the_client_does_not_answer_its_ping() {
    // P-94: five seconds, then the second GOAWAY.
    let mut pair = Pair::new();
    pair.server.shutdown(pair.now);
    common::written(&mut pair.server, pair.now);
    assert!(!pair.server.is_closed());
    let (at, kind) = pair.server.poll_timeout().unwrap();
    assert_eq!((at, kind), (pair.now + Duration::from_secs(5), halfclose::TimerKind::DrainPing));
    pair.server.handle_timeout(at);
    assert!(pair.server.is_closed());
}

/// The parts of an answer in an outcome: the HTTP status, an entry of the headers, one of the trailers.
type Came = (Option<u16>, bool, bool);

fn came(outcome: &halfclose::Outcome) -> Came {
    let headers = outcome.headers.as_ref();
    let entry = headers.is_some_and(|head| head.metadata.get("x-head").is_some());
    (outcome.http_status(), entry, outcome.trailers.get("x-tail").is_some())
}

/// A way in which a call ends, applied to a call on stream 1.
type Play = fn(&mut Scripted, CallId);

fn head(peer: &mut Scripted, end: bool, more: &[(&str, &str)]) {
    let mut fields = vec![(":status", "200"), ("content-type", "application/grpc"), ("x-head", "a")];
    for (name, value) in more {
        fields.retain(|(met, _)| met != name);
        fields.push((name, value));
    }
    fields.sort_by_key(|(name, _)| !name.starts_with(':'));
    peer.headers(end, &fields);
}

fn trailers(peer: &mut Scripted, code: &str) {
    peer.headers(true, &[("grpc-status", code), ("x-tail", "b")]);
}

/// Checks that every end keeps the answer that has arrived by then, whichever side ends the call and why.
#[test]
fn every_end_has_the_headers_the_trailers_and_the_http_status_that_came() {
    let table: [(&str, Play, Came); 16] = [
        (
            "trailers",
            |peer, _| {
                head(peer, false, &[]);
                trailers(peer, "5");
            },
            (Some(200), true, true),
        ),
        (
            "OK",
            |peer, _| {
                head(peer, false, &[]);
                trailers(peer, "0");
            },
            (Some(200), true, true),
        ),
        (
            "no status",
            |peer, _| {
                head(peer, false, &[]);
                peer.headers(true, &[("x-tail", "b")]);
            },
            (Some(200), true, true),
        ),
        (
            "Trailers-Only",
            |peer, _| {
                peer.headers(true, &[HEAD[0], HEAD[1], ("grpc-status", "5"), ("x-tail", "b")]);
            },
            (Some(200), false, true),
        ),
        (
            "HTTP 503 in one block",
            |peer, _| {
                peer.headers(true, &[(":status", "503"), ("x-tail", "b")]);
            },
            (Some(503), false, true),
        ),
        (
            "HTTP 503 with a body",
            |peer, _| {
                head(peer, false, &[(":status", "503")]);
                peer.receive(&frame(0, 1, 1, b"sorry"));
            },
            (Some(503), true, false),
        ),
        (
            "HTTP 503 with trailers",
            |peer, _| {
                head(peer, false, &[(":status", "503")]);
                trailers(peer, "5");
            },
            (Some(503), true, true),
        ),
        (
            "HTTP 503 with trailers that say OK",
            |peer, _| {
                head(peer, false, &[(":status", "503")]);
                trailers(peer, "0");
            },
            (Some(503), true, true),
        ),
        (
            "another content-type",
            |peer, call| {
                head(peer, false, &[("content-type", "text/html")]);
                peer.client.cancel(call).unwrap();
            },
            (Some(200), true, false),
        ),
        (
            "an unknown encoding",
            |peer, _| head(peer, false, &[("grpc-encoding", "x")]),
            (Some(200), true, false),
        ),
        ("bad metadata", |peer, _| head(peer, false, &[("x-bad-bin", "?")]), (Some(200), true, false)),
        (
            "a reset",
            |peer, _| {
                head(peer, false, &[]);
                peer.receive(&frame(3, 0, 1, &8_u32.to_be_bytes()));
            },
            (Some(200), true, false),
        ),
        (
            "a bad message",
            |peer, _| {
                head(peer, false, &[]);
                peer.receive(&frame(0, 0, 1, &[7, 0, 0, 0, 0]));
            },
            (Some(200), true, false),
        ),
        (
            "no trailers",
            |peer, _| {
                head(peer, false, &[]);
                peer.receive(&frame(0, 1, 1, &[]));
            },
            (Some(200), true, false),
        ),
        (
            "the end of the connection",
            |peer, _| {
                head(peer, false, &[]);
                peer.client.receive_eof(peer.now);
            },
            (Some(200), true, false),
        ),
        ("nothing came", |peer, call| peer.client.cancel(call).unwrap(), (None, false, false)),
    ];
    for (name, play, expected) in table {
        for release in [false, true] {
            let mut peer = Scripted::new(Config::client());
            let call = peer.start(None);
            play(&mut peer, call);
            let outcome = if release {
                peer.client.release(call).expect("an outcome")
            } else {
                match peer.client.recv(call) {
                    Ok(Recv::End(outcome)) => outcome,
                    other => panic!("{name}: no end, but {other:?}"),
                }
            };
            assert_eq!(came(&outcome), expected, "{name}: {outcome:?}");
            assert!(peer.client.release(call).is_none() && peer.client.response(call).is_none());
        }
    }
}

#[test]
fn a_deadline_keeps_the_headers_that_came() {
    let mut peer = Scripted::new(Config::client());
    let call = peer.start(Some(Duration::from_secs(1)));
    head(&mut peer, false, &[]);
    peer.now = peer.now + Duration::from_secs(2);
    peer.client.handle_timeout(peer.now);
    let Ok(Recv::End(outcome)) = peer.client.recv(call) else { panic!("no end") };
    assert_eq!((outcome.status.code, came(&outcome)), (Code::DeadlineExceeded, (Some(200), true, false)));
}

#[test]
fn what_is_counted_wrong_when_it_is_taken_keeps_what_came() {
    let mut peer = Scripted::new(Config::client());
    let call = peer.client.start(peer.now, Request::new("/demo.Echo/Call", CallType::UNARY)).unwrap();
    common::written(&mut peer.client, peer.now);
    // P-70: OK without the one message.
    head(&mut peer, false, &[]);
    trailers(&mut peer, "0");
    let Ok(Recv::End(outcome)) = peer.client.recv(call) else { panic!("no end") };
    assert_eq!((outcome.status.code, came(&outcome)), (Code::Unimplemented, (Some(200), true, true)));
}
