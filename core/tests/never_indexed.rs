//! Fields that a peer marks as never indexed keep the mark: they are not printed, and are forwarded with it (RFC 7541
//! §6.2.3, §7.1.3).

mod common;

use common::Scripted;
use halfclose::hpack::{BlockLimits, Decoder, Encoder, Indexing};
use halfclose::{CallType, Client, Config, Event, Metadata, Recv, Request, Server, Status};
use halfclose_wire::{END_STREAM, Frame, REQUEST, RESPONSE, headers, kind};

const SECRET: &str = "Bearer c2VjcmV0";

/// Returns a block whose last fields are marked as never indexed.
fn block(open: &[(&str, &str)], secret: &[(&str, &str)]) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(0), Vec::new());
    let fields = open.iter().map(|field| (field, Indexing::Without));
    for ((name, value), how) in fields.chain(secret.iter().map(|field| (field, Indexing::Never))) {
        encoder.field(name.as_bytes(), value.as_bytes(), how, &mut out);
    }
    out
}

/// Returns whether the named field of the first header block is marked as never indexed; the field must be there.
fn is_never_indexed(sent: &[Frame], name: &str) -> bool {
    let limits = BlockLimits { max_string: 1 << 16, max_list_size: 1 << 16 };
    let mut decoder = Decoder::new(4_096);
    let mut found = None;
    for frame in sent.iter().filter(|frame| frame.kind == kind::HEADERS) {
        let sink = |field: halfclose::hpack::Field<'_>| {
            if field.name == name.as_bytes() {
                found = Some(field.sensitive);
            }
        };
        decoder.decode(&frame.payload, &limits, sink).expect("a block");
    }
    found.unwrap_or_else(|| panic!("no {name}"))
}

/// The secret fields of these tests, as text and as a binary value; `x-open` is neither.
const FIELDS: [(&str, &str); 2] = [("authorization", SECRET), ("x-key-bin", "c2VjcmV0,c2VjcmV0")];

fn received_by_server() -> Metadata {
    let mut server = Scripted::<Server>::server(Config::server(), &[]);
    let open = [&REQUEST[..], &[("x-open", "seen")]].concat();
    server.feed(&headers(1, END_STREAM, &block(&open, &FIELDS))).unwrap();
    let [Event::Request(call)] = server.events()[..] else { panic!("no request") };
    let request = server.core.request(call).unwrap();
    assert_hidden(&format!("{request:?}"));
    request.metadata.clone()
}

fn assert_hidden(debug: &str) {
    assert!(debug.contains("seen"), "{debug}");
    assert!(!debug.contains("c2VjcmV0") && !debug.contains("secret"), "{debug}");
}

/// Returns response headers, trailers and Trailers-Only, as a client receives them.
fn received_by_client() -> [Metadata; 3] {
    let client = || {
        let mut peer = Scripted::<Client>::client(Config::client(), &[]);
        let call = peer.start();
        peer.core.half_close(call).unwrap();
        peer.sent();
        (peer, call)
    };
    let open = |fields: &[(&'static str, &'static str)]| [fields, &[("x-open", "seen")]].concat();
    let (mut peer, call) = client();
    peer.feed(&headers(1, 0, &block(&open(&RESPONSE), &FIELDS))).unwrap();
    let response = peer.core.response(call).unwrap().clone();
    assert_hidden(&format!("{response:?}"));
    peer.feed(&headers(1, END_STREAM, &block(&open(&[("grpc-status", "0")]), &FIELDS))).unwrap();
    let Recv::End(behind) = peer.core.recv(call).unwrap() else { panic!("no end") };
    assert_hidden(&format!("{behind:?}"));
    let (mut peer, call) = client();
    let only = open(&[RESPONSE[0], RESPONSE[1], ("grpc-status", "0")]);
    peer.feed(&headers(1, END_STREAM, &block(&only, &FIELDS))).unwrap();
    let Recv::End(only) = peer.core.recv(call).unwrap() else { panic!("no end") };
    assert_hidden(&format!("{only:?}"));
    [response.metadata.clone(), (*behind.trailers).clone(), (*only.trailers).clone()]
}

/// Forwards metadata in a request, in response headers and in trailers.
fn passed_on(metadata: &Metadata) -> [Vec<Frame>; 3] {
    let mut peer = Scripted::<Client>::client(Config::client(), &[]);
    let mut request = Request::new("/demo.Echo/Call", CallType::UNARY);
    request.metadata = metadata.clone();
    peer.core.start(peer.now, request).unwrap();
    let mut server = Scripted::<Server>::server(Config::server(), &[]);
    let call = server.open(1);
    server.core.send_headers(call, metadata.clone()).unwrap();
    let head = server.sent();
    let other = server.open(3);
    server.core.finish(other, Status::ok(), metadata.clone()).unwrap();
    let mut trailers = head.clone();
    trailers.extend(server.sent());
    [peer.sent(), head, trailers]
}

#[test]
fn it_is_kept_through_decoding_metadata_and_encoding() {
    for metadata in [received_by_server()].into_iter().chain(received_by_client()) {
        assert_eq!(metadata.get_str("authorization"), Some(SECRET));
        assert_eq!(metadata.get_all("x-key-bin").collect::<Vec<_>>(), [b"secret", b"secret"]);
        // Copies, merges and header maps keep the mark.
        let mut merged = Metadata::new();
        merged.append("x-first", "1").unwrap();
        merged.merge(&metadata);
        let mapped = {
            let map = metadata.to_header_map().unwrap();
            assert!(map["authorization"].is_sensitive() && map["x-key-bin"].is_sensitive());
            Metadata::try_from(&map).unwrap()
        };
        for kept in [metadata, merged, mapped] {
            for sent in passed_on(&kept) {
                assert!(is_never_indexed(&sent, "authorization") && is_never_indexed(&sent, "x-key-bin"));
                assert!(!is_never_indexed(&sent, "x-open"));
            }
        }
    }
}

#[test]
fn binary_entries_of_this_sides_own_may_be_secret_too() {
    let mut metadata = Metadata::new();
    metadata.append_bin_sensitive("x-key-bin", b"secret").unwrap();
    assert!(!format!("{metadata:?}").contains("secret"));
    assert!(passed_on(&metadata).iter().all(|sent| is_never_indexed(sent, "x-key-bin")));
}

#[test]
fn a_secret_path_is_not_printed() {
    let mut server = Scripted::<Server>::server(Config::server(), &[]);
    let open: Vec<_> = REQUEST.iter().filter(|field| field.0 != ":path").copied().collect();
    // Pseudo-header fields come first.
    let fields = [block(&open[..3], &[(":path", "/demo.Echo/c2VjcmV0")]), block(&open[3..], &[])].concat();
    server.feed(&headers(1, END_STREAM, &fields)).unwrap();
    let [Event::Request(call)] = server.events()[..] else { panic!("no request") };
    let request = server.core.request(call).unwrap();
    assert_eq!(request.path(), "/demo.Echo/c2VjcmV0");
    assert!(!format!("{request:?}").contains("c2VjcmV0"));
}
