//! Which calls are accepted, and why others are refused: a refusal changes nothing (P-4, P-5, P-10, P-18, P-19).

mod common;

use bytes::Bytes;
use common::{Backwards, Scripted};
use halfclose::frame::ErrorCode;
use halfclose::grpc::encoding::Encoding;
use halfclose::{CallType, Client, Config, Misuse, Request};
use halfclose_wire::{Frame, Reader, goaway, kind};

fn request(path: &'static str) -> Request {
    Request::new(path, CallType::UNARY)
}

/// Starts a call. Returns the reason if it was refused, which must leave no trace.
fn start(peer: &mut Scripted<Client>, request: Request) -> Option<Misuse> {
    let before = format!("{:?}", peer.core);
    let refused = peer.core.start(peer.now, request).err();
    let sent = peer.sent();
    if refused.is_some() {
        assert_eq!(format!("{:?}", peer.core), before);
        assert!(sent.is_empty(), "nothing is sent of a call that is refused");
    }
    refused
}

#[test]
fn paths() {
    // P-4: a slash, then visible ASCII.
    let mut peer = Scripted::<Client>::client(Config::client(), &[]);
    for good in ["/", "/a", "/demo.Echo/Call", "/!~", "//"] {
        assert_eq!(start(&mut peer, request(good)), None, "{good:?}");
    }
    for bad in ["", "a/b", "*", "/a b", "/a\tb", "/\u{7f}", "/\u{e9}", "/a\r\nb", " /a"] {
        assert_eq!(start(&mut peer, request(bad)), Some(Misuse::InvalidPath), "{bad:?}");
    }
}

#[test]
fn authorities() {
    // P-5: the call's own authority, or else the connection's.
    for (default, own, refused) in [
        ("localhost", None, false),
        ("localhost", Some("example.org:443"), false),
        ("localhost", Some("exam ple"), true),
        ("exam ple", None, true),
        ("exam ple", Some("example.org"), false),
        ("", None, false),
    ] {
        let mut config = Config::client();
        config.authority = Bytes::from_static(default.as_bytes());
        let mut peer = Scripted::<Client>::client(config, &[]);
        let mut request = request("/a/b");
        request.authority = own.map(|own| Bytes::from_static(own.as_bytes()));
        let expected = refused.then_some(Misuse::InvalidAuthority);
        assert_eq!(start(&mut peer, request), expected, "{default:?} {own:?}");
    }
}

#[test]
fn encodings() {
    // P-10: only encodings with a codec; identity needs none.
    let mut config = Config::client();
    config.codecs = Backwards::alone();
    let mut peer = Scripted::<Client>::client(config, &[]);
    let table = [
        (None, None),
        (Some(Encoding::Identity), None),
        (Some(Encoding::Gzip), None),
        (Some(Encoding::Zstd), Some(Misuse::UnsupportedEncoding)),
    ];
    for (encoding, expected) in table {
        let mut request = request("/a/b");
        request.encoding = encoding;
        assert_eq!(start(&mut peer, request), expected, "{encoding:?}");
    }
}

#[test]
fn calls_that_wait_are_bounded() {
    // P-19: the server allows no streams yet.
    let mut config = Config::client();
    config.limits.queued_calls = 3;
    let mut peer = Scripted::<Client>::client(config, &[(3, 0)]);
    for _ in 0..3 {
        assert_eq!(start(&mut peer, request("/a/b")), None);
    }
    let full = Misuse::TooManyQueuedCalls { queued: 3, limit: 3 };
    assert_eq!(start(&mut peer, request("/a/b")), Some(full));
}

#[test]
fn a_connection_that_goes_away_or_is_closed_takes_none() {
    type End = fn(&mut Scripted<Client>);
    let table: [(End, Misuse); 4] = [
        (|peer| peer.feed(&goaway(1, ErrorCode::NO_ERROR)).unwrap(), Misuse::GoingAway),
        (|peer| peer.core.shutdown(peer.now), Misuse::GoingAway),
        (|peer| peer.core.close(peer.now, ErrorCode::NO_ERROR, "over"), Misuse::Closed),
        (|peer| peer.core.receive_eof(peer.now), Misuse::Closed),
    ];
    for (end, expected) in table {
        let mut peer = Scripted::<Client>::client(Config::client(), &[]);
        peer.start();
        peer.sent();
        assert!(peer.core.takes_calls());
        end(&mut peer);
        peer.sent();
        assert!(!peer.core.takes_calls());
        assert_eq!(start(&mut peer, request("/a/b")), Some(expected));
    }
}

/// Returns the paths of these requests, in order.
fn paths_of(sent: &[Frame]) -> Vec<String> {
    let mut reader = Reader::new();
    let heads = sent.iter().filter(|frame| frame.kind == kind::HEADERS);
    heads.map(|frame| reader.read(frame).unwrap().get(":path").unwrap().to_owned()).collect()
}

#[test]
fn requests_that_repeat_are_the_same_on_the_wire_however_many_there_are() {
    // More distinct paths than the number of templates, each of them three times, after the table has settled.
    let paths: Vec<String> = (0..12).map(|n| format!("/demo.Echo/{n}")).collect();
    let mut peer = Scripted::<Client>::client(Config::client(), &[(3, 1_000)]);
    let mut sent = Vec::new();
    for _ in 0..4 {
        for path in &paths {
            peer.core.start(peer.now, Request::new(path.clone(), CallType::UNARY)).unwrap();
        }
        sent.extend(peer.sent());
    }
    assert_eq!(paths_of(&sent), [&paths[..]; 4].concat());
}
