//! Fields that only inform (messages, details, metadata) never change a call's status, and none is sent with white
//! space at its ends (RFC 9113 §8.2.1, P-42, P-44).

mod common;

use bytes::Bytes;
use common::{Pair, Scripted};
use halfclose::grpc::field::check_value;
use halfclose::{CallId, CallType, Client, Code, Config, Event, Metadata, Outcome, Recv, Server, Status};
use halfclose_wire::{END_STREAM, REQUEST, RESPONSE, block, data, headers, kind, message};

const SPACED: [&str; 8] = ["a ", " a", " a ", "  a  ", " ", "   ", "a \u{e9} ", " %20 "];

/// Returns the values of all fields in the header blocks that a connection sends, read with an independent decoder.
fn sent_values(server: &mut Scripted<Server>, name: &str) -> Vec<Vec<u8>> {
    let mut decoder = hpack::Decoder::new();
    let mut values = Vec::new();
    for frame in server.sent() {
        if frame.kind == kind::HEADERS {
            let fields = decoder.decode(&frame.payload).expect("a block");
            values.extend(fields.into_iter().filter(|field| field.0 == name.as_bytes()).map(|field| field.1));
        }
    }
    values
}

#[test]
fn a_message_never_leaves_with_white_space_at_its_ends() {
    for text in SPACED {
        for trailers_only in [true, false] {
            let mut server = Scripted::<Server>::server(Config::server(), &[]);
            let call = server.open(1);
            if !trailers_only {
                server.core.send_message(call, Bytes::from_static(b"m"), false).unwrap();
            }
            server.core.finish(call, Status::not_found(text), Metadata::new()).unwrap();
            let sent = sent_values(&mut server, "grpc-message");
            assert_eq!(sent.len(), 1, "{text:?}");
            assert_eq!(check_value(&sent[0]), Ok(()), "{text:?}");
            assert_eq!(halfclose::grpc::percent::decode(&sent[0]), text, "nothing of it is lost");
        }
    }
}

#[test]
fn a_message_that_is_cut_to_the_peers_limit_does_not_end_with_a_space() {
    // SETTINGS_MAX_HEADER_LIST_SIZE (6), at every cut of a message of words.
    for limit in 100..200 {
        let mut server = Scripted::<Server>::server(Config::server(), &[(6, limit)]);
        let call = server.open(1);
        server.core.send_message(call, Bytes::from_static(b"m"), false).unwrap();
        let status = Status::not_found(" no  such   thing    ".repeat(20));
        server.core.finish(call, status, Metadata::new()).unwrap();
        for value in sent_values(&mut server, "grpc-message") {
            assert_eq!(check_value(&value), Ok(()), "{limit}");
            assert!(44 + 44 + value.len() <= limit as usize, "{limit}");
        }
    }
}

fn answered(frames: &[u8]) -> (Scripted<Client>, CallId) {
    let mut peer = Scripted::<Client>::client(Config::client(), &[]);
    let call = peer.start();
    peer.core.half_close(call).unwrap();
    peer.sent();
    peer.feed(frames).unwrap();
    (peer, call)
}

fn outcome(peer: &mut Scripted<Client>, call: CallId) -> Outcome {
    loop {
        match peer.core.recv(call).unwrap() {
            Recv::End(outcome) => return outcome,
            Recv::Message(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Returns the outcomes of trailers with these fields after a status, in a block of their own and as Trailers-Only.
fn both_ways(code: &str, fields: &[(&str, &str)]) -> [Outcome; 2] {
    let status = [&[("grpc-status", code)][..], fields].concat();
    let behind = [
        headers(1, 0, &block(&RESPONSE)),
        data(1, 0, &message(b"m")),
        headers(1, END_STREAM, &block(&status)),
    ]
    .concat();
    let only = headers(1, END_STREAM, &block(&[&RESPONSE[..], &status].concat()));
    [behind, only].map(|frames| {
        let (mut peer, call) = answered(&frames);
        outcome(&mut peer, call)
    })
}

#[test]
fn a_peers_spaces_cost_no_status_message_details_or_trailers() {
    for (left, right) in [("", " "), (" ", ""), ("  ", "  "), ("\t", ""), ("", "\t"), (" \t ", "\t \t")] {
        let padded = |text: &str| format!("{left}{text}{right}");
        let (code, text, details) = (padded("9"), padded("no%20such  thing"), padded("Zm9v"));
        let (one, bin) = (padded("one"), padded("Zm9v"));
        for outcome in both_ways(
            &code,
            &[
                ("grpc-message", &text),
                ("grpc-status-details-bin", &details),
                ("x-one", &one),
                ("x-two-bin", &bin),
                ("user-agent", &one),
            ],
        ) {
            let status = &outcome.status;
            assert_eq!((status.code, status.message()), (Code::FailedPrecondition, "no such  thing"));
            assert_eq!(status.details().as_ref(), b"foo");
            assert_eq!(outcome.trailers.get_str("x-one"), Some("one"), "{one:?}");
            assert_eq!(outcome.trailers.get_bin("x-two-bin"), Some(&b"foo"[..]));
        }
    }
}

#[test]
fn a_peers_spaces_in_response_headers() {
    let head = [RESPONSE[0], ("content-type", " application/grpc\t"), ("x-one", " one "), ("x-none", "  ")];
    let frames = [
        headers(1, 0, &block(&head)),
        data(1, 0, &message(b"m")),
        headers(1, END_STREAM, &block(&[("grpc-status", "0 ")])),
    ];
    let (mut peer, call) = answered(&frames.concat());
    let response = peer.core.response(call).expect("headers").clone();
    assert_eq!(response.metadata.get_str("x-one"), Some("one"));
    assert_eq!(response.metadata.get_str("x-none"), Some(""));
    assert_eq!(outcome(&mut peer, call).status, Status::ok());
}

#[test]
fn a_clients_spaces_in_request_headers() {
    let fields = [
        &REQUEST[..5],
        &[
            ("content-type", "application/grpc "),
            ("grpc-timeout", " 5S"),
            ("grpc-encoding", "identity "),
            ("user-agent", "\tgrpc-test/1 "),
            ("x-one", " one "),
            ("x-two-bin", " Zm9v "),
        ],
    ]
    .concat();
    let mut server = Scripted::<Server>::server(Config::server(), &[]);
    server.feed(&headers(1, 0, &block(&fields))).unwrap();
    let [Event::Request(call)] = server.events()[..] else { panic!("no request") };
    let head = server.core.request(call).unwrap();
    assert_eq!(head.metadata.get_str("x-one"), Some("one"));
    assert_eq!(head.metadata.get_str("user-agent"), Some("grpc-test/1"));
    assert_eq!(head.metadata.get_bin("x-two-bin"), Some(&b"foo"[..]));
    assert_eq!(head.timeout, Some(std::time::Duration::from_secs(5)));
}

#[test]
fn what_cannot_be_read_beside_an_error_costs_neither_its_code_nor_its_message_nor_the_rest() {
    for (name, value) in [
        ("grpc-status-details-bin", "*"),
        ("grpc-status-details-bin", "Zm9v,Zm9v"),
        ("grpc-status-details-bin", "Zg=="),
        ("x-two-bin", "a!b"),
        ("x-two-bin", "A"),
        ("x-two", "caf\u{e9}"),
        ("grpc-message", "no such thing"),
        ("grpc-accept-encoding", "\u{e9}"),
        ("grpc-encoding", "unheard-of"),
        ("grpc-timeout", "soon"),
        ("content-type", "text/html"),
    ] {
        for outcome in both_ways(
            "9",
            &[("grpc-message", "no such thing"), ("x-one", "one"), (name, value), ("x-last", "2")],
        ) {
            let status = &outcome.status;
            let met = (status.code, status.message());
            assert_eq!(met, (Code::FailedPrecondition, "no such thing"), "{name}: {value}");
            assert_eq!(outcome.trailers.get_str("x-one"), Some("one"), "{name}: {value}");
            assert_eq!(outcome.trailers.get_str("x-last"), Some("2"), "{name}: {value}");
        }
    }
}

#[test]
fn details_that_cannot_be_read_leave_an_ok_alone_and_metadata_does_not() {
    // Metadata belongs to the application: P-30 wants it to learn that part is missing.
    for (name, code) in [("grpc-status-details-bin", Code::Ok), ("x-bin", Code::Internal)] {
        for outcome in both_ways("0", &[(name, "*"), ("x-one", "one")]) {
            assert_eq!(
                (outcome.status.code, outcome.trailers.get_str("x-one")),
                (code, Some("one")),
                "{name}"
            );
        }
    }
}

#[test]
fn control_characters_in_a_message_are_text_and_those_that_split_lines_are_malformed() {
    // RFC 9110 §5.5: CR, LF and NUL are dangerous; others may be kept where they are safe, as in a Rust string.
    for byte in (1..0x20).chain([0x7f]) {
        let byte = char::from(byte);
        let text = format!("{byte}a{byte}b{byte}");
        for outcome in both_ways("5", &[("grpc-message", &text), ("x-one", "one")]) {
            if matches!(byte, '\r' | '\n') {
                assert_eq!(outcome.status.code, Code::Internal, "{byte:?}");
            } else {
                let kept = if byte == '\t' { "a\tb" } else { &text };
                assert_eq!((outcome.status.code, outcome.status.message()), (Code::NotFound, kept));
                assert_eq!(outcome.trailers.get_str("x-one"), Some("one"));
            }
        }
    }
}

#[test]
fn a_status_with_spaces_goes_from_one_end_to_the_other() {
    for text in SPACED {
        let mut pair = Pair::new();
        let call = pair.start(CallType::UNARY);
        pair.client.half_close(call).unwrap();
        let served = pair.accept(CallType::UNARY);
        pair.server.finish(served, Status::not_found(text), Metadata::new()).unwrap();
        pair.exchange();
        assert_eq!(pair.outcome(call).status, Status::not_found(text));
    }
}
