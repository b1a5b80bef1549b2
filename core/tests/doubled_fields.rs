//! Deciding fields that appear twice: with different values they never mean success, with the same value they count
//! once.

mod common;

use common::Scripted;
use halfclose::{CallType, Client, Code, Config, Event, Outcome, Recv, Request, Server};
use halfclose_wire::{END_STREAM, REQUEST, RESPONSE, block, data, headers, kind, message};

type Fields<'a> = &'a [(&'a str, &'a str)];

/// Returns the outcome of a unary call that was answered by these frames.
fn outcome(frames: &[u8]) -> Outcome {
    let mut peer = Scripted::<Client>::client(Config::client(), &[]);
    let call = peer.core.start(peer.now, Request::new("/demo.Echo/Call", CallType::UNARY)).unwrap();
    peer.core.half_close(call).unwrap();
    peer.sent();
    peer.feed(frames).unwrap();
    loop {
        match peer.core.recv(call).unwrap() {
            Recv::End(outcome) => return outcome,
            Recv::Message(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Returns a whole response with these headers and these trailers.
fn response(head: Fields<'_>, trailers: Fields<'_>) -> Vec<u8> {
    [headers(1, 0, &block(head)), data(1, 0, &message(b"m")), headers(1, END_STREAM, &block(trailers))]
        .concat()
}

#[test]
fn a_status_that_contradicts_itself_is_never_ok() {
    // If both are errors the last one counts, as in C-core.
    let table = [
        (["0", "0"], Code::Ok),
        (["0", "00"], Code::Ok),
        (["0", "13"], Code::Internal),
        (["13", "0"], Code::Internal),
        (["5", "7"], Code::PermissionDenied),
        (["7", "7"], Code::PermissionDenied),
        (["x", "0"], Code::Unknown),
        (["0", "x"], Code::Unknown),
        (["17", "0"], Code::Unknown),
        (["0", ""], Code::Unknown),
    ];
    for (codes, expected) in table {
        let status = codes.map(|code| ("grpc-status", code));
        let behind = outcome(&response(&RESPONSE, &status));
        assert_eq!(behind.status.code, expected, "{codes:?}");
        // Separated, with other fields between them.
        let apart = [status[0], ("grpc-message", "m"), ("x", "y"), status[1]];
        assert_eq!(outcome(&response(&RESPONSE, &apart)).status.code, expected, "{codes:?}");
        let only = [&RESPONSE[..], &status].concat();
        let only = outcome(&headers(1, END_STREAM, &block(&only)));
        let expected = if expected == Code::Ok { Code::Unimplemented } else { expected };
        assert_eq!(only.status.code, expected, "Trailers-Only without a message: {codes:?}");
    }
    for position in 0..3 {
        let mut codes = [("grpc-status", "0"); 3];
        codes[position].1 = "5";
        assert_eq!(outcome(&response(&RESPONSE, &codes)).status.code, Code::NotFound, "{position}");
    }
}

#[test]
fn a_response_whose_encoding_or_type_contradicts_itself_is_no_success() {
    let ok = [("grpc-status", "0")];
    let head =
        |fields: Fields<'_>| outcome(&response(&[&[(":status", "200")], fields].concat(), &ok)).status.code;
    let encodings = |one, other| {
        head(&[("content-type", "application/grpc"), ("grpc-encoding", one), ("grpc-encoding", other)])
    };
    assert_eq!(encodings("identity", "identity"), Code::Ok);
    assert_eq!(encodings("identity", "gzip"), Code::Internal);
    assert_eq!(encodings("gzip", "identity"), Code::Internal);
    assert_eq!(encodings("identity", ""), Code::Internal);
    assert_eq!(encodings("identity, identity", "identity"), Code::Internal);
    let types = |one, other| head(&[("content-type", one), ("content-type", other)]);
    let grpc = "application/grpc";
    assert_eq!(types(grpc, grpc), Code::Ok);
    assert_eq!(types("application/grpc+proto", "application/grpc+proto"), Code::Ok);
    assert_eq!(types(grpc, "text/html"), Code::Unknown);
    assert_eq!(types("text/html", grpc), Code::Unknown);
    assert_eq!(types(grpc, "application/grpc+json"), Code::Unknown);
    assert_eq!(types("application/grpc+json", grpc), Code::Unknown);
    let lengths =
        |one, other| head(&[("content-type", grpc), ("content-length", one), ("content-length", other)]);
    assert_eq!(
        (lengths("6", "6"), lengths("6", "7"), lengths("7", "6")),
        (Code::Ok, Code::Internal, Code::Internal)
    );
    let twice = [(":status", "200"), (":status", "200"), ("content-type", grpc)];
    assert_eq!(outcome(&response(&twice, &ok)).status.code, Code::Internal);
}

/// Returns how a server refuses a request with these additional fields, by `:status` and `grpc-status`; `None` if it
/// does not.
fn refusal(fields: Fields<'_>) -> Option<(String, String)> {
    let kept =
        REQUEST.iter().filter(|field| field.0 != "content-type" || fields.iter().all(|own| own.0 != field.0));
    let fields: Vec<_> = kept.chain(fields).copied().collect();
    let mut server = Scripted::<Server>::server(Config::server(), &[]);
    server.feed(&headers(1, END_STREAM, &block(&fields))).unwrap();
    if let [Event::Request(_)] = server.events()[..] {
        return None;
    }
    let mut decoder = hpack::Decoder::new();
    let blocks = server.sent().into_iter().filter(|frame| frame.kind == kind::HEADERS);
    let fields: Vec<_> = blocks.flat_map(|frame| decoder.decode(&frame.payload).unwrap()).collect();
    let value = |name: &str| {
        let field = fields.iter().find(|field| field.0 == name.as_bytes()).expect(name);
        String::from_utf8(field.1.clone()).unwrap()
    };
    Some((value(":status"), value("grpc-status")))
}

#[test]
fn a_request_that_contradicts_itself_reaches_no_handler() {
    type Refusal = Option<(&'static str, &'static str)>;
    let table: [(&str, &str, &str, Refusal); 14] = [
        ("grpc-encoding", "identity", "identity", None),
        // RFC 9110 §5.3: joined into one list, which is the name of no encoding (P-10).
        ("grpc-encoding", "identity", "gzip", Some(("200", "12"))),
        ("grpc-encoding", "gzip", "identity", Some(("200", "12"))),
        ("content-type", "application/grpc", "application/grpc", None),
        ("content-type", "application/grpc", "text/html", Some(("415", "2"))),
        ("content-type", "text/html", "application/grpc", Some(("415", "2"))),
        ("content-type", "application/grpc", "application/grpc+json", Some(("415", "2"))),
        ("content-type", "application/grpc+json", "application/grpc+proto", Some(("415", "2"))),
        ("grpc-timeout", "1S", "1S", None),
        ("grpc-timeout", "1S", "1000m", None),
        ("grpc-timeout", "1S", "2S", Some(("400", "13"))),
        ("grpc-timeout", "2S", "1S", Some(("400", "13"))),
        ("grpc-timeout", "2S", "x", Some(("400", "13"))),
        ("content-length", "0", "0", None),
    ];
    for (name, one, other, expected) in table {
        let met = refusal(&[(name, one), ("x", "y"), (name, other)]);
        let expected = expected.map(|(http, grpc)| (http.to_owned(), grpc.to_owned()));
        assert_eq!(met, expected, "{name}: {one}, {other}");
    }
}

#[test]
fn many_encodings_cost_no_more_than_their_bytes() {
    // Names that differ from field to field are not collected repeatedly.
    let lines: Vec<_> =
        (0..100).map(|n| ("grpc-encoding", if n % 2 == 0 { "one" } else { "other" })).collect();
    assert_eq!(refusal(&lines), Some(("200".to_owned(), "12".to_owned())));
}
