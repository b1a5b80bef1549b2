//! Requests that two middleboxes may read differently, and how gRPC handles invalid values: each ends its call, never
//! the connection, and no handler sees a malformed one.

use std::time::Duration;

use halfclose::frame::ErrorCode;
use halfclose::{Code, Metadata, Server, Status};
use halfclose_security::wire::{Block, END_STREAM, data, headers, message, prefixed};
use halfclose_security::{Met, Target};

/// Returns the fields of a request with one of them replaced, followed by more.
fn request(replaced: &[(&str, &[u8])], more: &[(&str, &[u8])]) -> Block {
    let fields: [(&str, &[u8]); 6] = [
        (":method", b"POST"),
        (":scheme", b"http"),
        (":path", b"/demo.Echo/Call"),
        (":authority", b"localhost"),
        ("te", b"trailers"),
        ("content-type", b"application/grpc"),
    ];
    let value =
        |name: &str, value| replaced.iter().find(|(other, _)| *other == name).map_or(value, |(_, v)| *v);
    let all = fields.iter().map(|(name, bytes)| (*name, value(name, bytes))).chain(more.iter().copied());
    all.fold(Block::new(), |block, (name, value)| block.field(name.as_bytes(), value))
}

/// Returns the fields of a request without one field.
fn without(name: &str) -> Block {
    let fields: [(&str, &[u8]); 4] = [
        (":method", b"POST"),
        (":scheme", b"http"),
        (":path", b"/demo.Echo/Call"),
        ("content-type", b"application/grpc"),
    ];
    let rest = fields.iter().filter(|(other, _)| *other != name);
    rest.fold(Block::new(), |block, (name, value)| block.field(name.as_bytes(), value))
}

/// Returns the requests that RFC 9113 §8 calls malformed.
fn malformed() -> Vec<(&'static str, Block)> {
    let more = |name, value: &'static [u8]| request(&[], &[(name, value)]);
    let replaced = |name, value: &'static [u8]| request(&[(name, value)], &[]);
    vec![
        ("upper case in a name", more("X-Upper", b"v")),
        ("a space in a name", more("x y", b"v")),
        ("a colon in a name", more("x:y", b"v")),
        ("a byte above 0x7f in a name", more("x\u{e9}", b"v")),
        ("no name", more("", b"v")),
        ("CR in a name", more("x\ry", b"v")),
        ("LF in a name", more("x\ny", b"v")),
        ("NUL in a name", more("x\0y", b"v")),
        ("CR in a value", more("x", b"a\rb")),
        ("LF in a value", more("x", b"a\nb")),
        ("CR LF and a field in a value", more("x", b"a\r\nhost: evil")),
        ("NUL in a value", more("x", b"a\0b")),
        ("a space behind :path", replaced(":path", b"/demo.Echo/Call ")),
        ("a space before a content-length", more("content-length", b" 5")),
        ("a tab behind a host", more("host", b"localhost\t")),
        ("a space behind te", replaced("te", b"trailers ")),
        ("connection", more("connection", b"close")),
        ("keep-alive", more("keep-alive", b"timeout=5")),
        ("proxy-connection", more("proxy-connection", b"close")),
        ("transfer-encoding", more("transfer-encoding", b"chunked")),
        ("upgrade", more("upgrade", b"h2c")),
        ("te with anything but trailers", replaced("te", b"gzip")),
        ("te with trailers and more", replaced("te", b"trailers, deflate")),
        ("a pseudo-header field behind a regular one", more(":path", b"/demo.Echo/Other")),
        ("an unknown pseudo-header field", Block::new().field(b":unknown", b"v").raw(&request(&[], &[]).0)),
        ("two :method", Block::new().field(b":method", b"POST").raw(&request(&[], &[]).0)),
        ("two :path", Block::new().field(b":path", b"/demo.Echo/Call").raw(&request(&[], &[]).0)),
        ("two :scheme", Block::new().field(b":scheme", b"http").raw(&request(&[], &[]).0)),
        (":status", Block::new().field(b":status", b"200").raw(&request(&[], &[]).0)),
        ("no :method", without(":method")),
        ("no :path", without(":path")),
        ("no :scheme", without(":scheme")),
        ("an empty :path", replaced(":path", b"")),
        ("a :path without a slash", replaced(":path", b"demo.Echo/Call")),
        ("CR LF in :path", replaced(":path", b"/a HTTP/1.1\r\nhost: evil")),
        ("CR LF in :authority", replaced(":authority", b"a\r\nb")),
        (
            "two content-length that differ",
            request(&[], &[("content-length", b"5"), ("content-length", b"6")]),
        ),
        ("a content-length that is no number", more("content-length", b"5,5x")),
        ("a content-length with a sign", more("content-length", b"+5")),
    ]
}

fn silent() -> Target<Server> {
    let mut target = Target::with(|_| {});
    target.answers = false;
    target
}

#[test]
fn what_is_malformed_costs_its_stream_alone() {
    let mut wrong = Vec::new();
    for (name, block) in malformed() {
        let mut target = silent();
        let id = target.id();
        target.send(&headers(id, 0, &block.0));
        let reset = target.resets.get(&ErrorCode::PROTOCOL_ERROR.0) == Some(&1);
        if !(reset && target.met() == Met::Alive && target.most_running == 0 && target.serves()) {
            wrong.push((name, target.met(), target.resets.clone(), target.most_running));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn white_space_at_the_ends_of_metadata_is_no_part_of_it() {
    // P-42: C-core and grpc-go send metadata as it was given to them.
    for value in [&b" v"[..], b"v ", b"\tv", b" v\t "] {
        let mut target = silent();
        let id = target.id();
        target.send(&headers(id, 0, &request(&[], &[("x", value)]).0));
        assert_eq!((target.met(), target.most_running), (Met::Alive, 1));
        let head = target.conn.request(target.running[0]).expect("a call");
        assert_eq!(head.metadata.get_str("x"), Some("v"));
    }
}

#[test]
fn a_content_length_that_lies_costs_its_stream_alone() {
    for (said, sent) in [("4", 5), ("6", 5), ("0", 5), ("18446744073709551615", 5)] {
        let mut target = silent();
        let id = target.id();
        target.send(&headers(id, 0, &request(&[], &[("content-length", said.as_bytes())]).0));
        target.send(&data(id, END_STREAM, &vec![0; sent]));
        assert_eq!(target.resets.get(&ErrorCode::PROTOCOL_ERROR.0), Some(&1), "{said}");
        assert!(target.serves());
    }
}

/// Returns the status of a request that the library answers.
fn answered(block: &Block, payload: &[u8]) -> Option<String> {
    let mut target = Target::with(|_| {});
    let id = target.id();
    target.send(&headers(id, 0, &block.0));
    target.send(&data(id, END_STREAM, payload));
    let status = target.end_of(id).and_then(|fields| fields.get("grpc-status")).map(str::to_owned);
    assert!(target.serves(), "the connection lives");
    status
}

#[test]
fn values_that_are_no_values_end_their_call() {
    let internal = (Code::Internal as u8).to_string();
    for (name, value) in [
        ("a timeout of nine digits", ("grpc-timeout", &b"123456789S"[..])),
        ("a timeout without a unit", ("grpc-timeout", b"10")),
        ("a timeout with an unknown unit", ("grpc-timeout", b"10x")),
        ("a timeout with a sign", ("grpc-timeout", b"-10S")),
        ("an empty timeout", ("grpc-timeout", b"")),
        ("base64 that is none", ("x-bin", b"!!!")),
        ("base64 with one character too many", ("x-bin", b"AAAAA")),
    ] {
        let status = answered(&request(&[], &[value]), &message(b"ping"));
        assert_eq!(status.as_deref(), Some(internal.as_str()), "{name}");
    }
}

#[test]
fn a_timeout_always_is_a_deadline() {
    for (value, seconds) in [(&b"0n"[..], 1), (b"1S", 2)] {
        let mut target = silent();
        let id = target.id();
        target.send(&headers(id, 0, &request(&[], &[("grpc-timeout", value)]).0));
        target.wait(Duration::from_secs(seconds));
        assert!(target.running.is_empty(), "{}: it goes on", String::from_utf8_lossy(value));
    }
    // The longest timeout that can be expressed is beyond the clock's range, so the handler sees the latest time
    // (P-7).
    let mut target = silent();
    let id = target.id();
    target.send(&headers(id, 0, &request(&[], &[("grpc-timeout", b"99999999H")]).0));
    let head = target.conn.request(target.running[0]).expect("a call");
    assert_eq!(head.timeout, Some(Duration::from_nanos(u64::MAX)));
}

#[test]
fn every_flag_but_two_ends_its_call() {
    let internal = (Code::Internal as u8).to_string();
    for flag in 2..=255 {
        let status = answered(&request(&[], &[]), &prefixed(flag, 1, b"x"));
        assert_eq!(status.as_deref(), Some(internal.as_str()), "{flag}");
    }
    let truncated = answered(&request(&[], &[]), &prefixed(0, 100, b"half"));
    assert_eq!(truncated.as_deref(), Some(internal.as_str()));
}

#[test]
fn nothing_that_a_handler_says_splits_a_response() {
    let mut target = silent();
    let id = target.id();
    target.send(&headers(id, END_STREAM, &request(&[], &[]).0));
    let mut trailers = Metadata::new();
    for value in ["a\rb", "a\nb", "a\0b", "a\r\nset-cookie: b"] {
        assert!(trailers.insert("x-text", value).is_err(), "{value:?}");
    }
    for name in ["x\ry", "x\ny", "x y", ":status", "X", ""] {
        assert!(trailers.insert(name, "v").is_err(), "{name:?}");
    }
    trailers.insert_bin("x-bytes-bin", b"a\r\nb\0").expect("any bytes");
    let status = Status::new(Code::Aborted, "a\r\nset-cookie: b\0\u{7f}%");
    target.conn.finish(target.running[0], status, trailers).expect("open");
    target.settle();
    let end = target.end_of(id).expect("an answer");
    assert_eq!(end.get("grpc-message"), Some("a%0D%0Aset-cookie: b%00%7F%25"));
    assert_eq!(end.get("x-bytes-bin"), Some("YQ0KYgA"));
    let clean = |text: &str| text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    assert!(end.list.iter().all(|(name, value)| clean(name) && clean(value)), "{end:?}");
}
