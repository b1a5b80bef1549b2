//! RFC 9113: what any peer may not do, to a client or to a server.

use halfclose::frame::ErrorCode;
use halfclose_conformance::case::Before::{HalfClosed, Headers, Nothing, Open, Settings};
use halfclose_conformance::case::Case;
use halfclose_conformance::case::Expect::{Connection, Fine, Stream};
use halfclose_wire::{
    ACK, END_HEADERS, END_STREAM, PADDED, PREFACE, RESPONSE, block, data, frame, goaway, headers,
    kind::{
        CONTINUATION, DATA, GOAWAY, HEADERS, PING, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS,
        WINDOW_UPDATE,
    },
    message, reset, settings, settings_ack, update,
};

const PROTOCOL: ErrorCode = ErrorCode::PROTOCOL_ERROR;
const SIZE: ErrorCode = ErrorCode::FRAME_SIZE_ERROR;
const FLOW: ErrorCode = ErrorCode::FLOW_CONTROL_ERROR;

macro_rules! cases {
    ($($rule:literal $name:literal $before:ident $octets:expr => $expect:expr;)+) => {
        &[ $( Case { rule: $rule, name: $name, before: $before, octets: || $octets, expect: $expect } ),+ ]
    };
}

/// Rules that hold for both roles.
pub(crate) const BOTH: &[Case] = cases! {
    "RFC 9113 §4.1" "a frame of an unknown type" Settings frame(0xbe, 0xff, 0, b"?") => Fine;
    "RFC 9113 §4.1" "a frame of an unknown type on an open stream" Open frame(0x0c, 0, 1, b"?") => Fine;
    "RFC 9113 §4.1" "flags without meaning" Settings frame(PING, 0xf6, 0, b"12345678") => Fine;
    "RFC 9113 §4.1" "the reserved bit of a stream id" Settings frame(SETTINGS, 0, 0x8000_0000, &[]) => Fine;
    "RFC 9113 §4.2" "a frame over SETTINGS_MAX_FRAME_SIZE" Open frame(DATA, 0, 1, &[0; 16_385]) => Connection(SIZE);
    "RFC 9113 §4.2" "an unknown frame over SETTINGS_MAX_FRAME_SIZE" Settings frame(0x7f, 0, 0, &[0; 16_385]) => Connection(SIZE);
    "RFC 9113 §5.1" "DATA on an idle stream" Settings data(5, 0, b"x") => Connection(PROTOCOL);
    "RFC 9113 §5.1" "RST_STREAM on an idle stream" Settings reset(5, ErrorCode::CANCEL) => Connection(PROTOCOL);
    "RFC 9113 §5.1" "WINDOW_UPDATE on an idle stream" Settings update(5, 1) => Connection(PROTOCOL);
    "RFC 9113 §5.1" "PRIORITY on an idle stream" Settings frame(PRIORITY, 0, 5, &[0, 0, 0, 0, 9]) => Fine;
    "RFC 9113 §5.5" "an unknown frame within a header block" Open
        [frame(HEADERS, END_STREAM, 1, &[]), frame(0xbe, 0, 1, &[])].concat() => Connection(PROTOCOL);
    "RFC 9113 §6.1" "DATA on stream 0" Settings data(0, 0, b"x") => Connection(PROTOCOL);
    "RFC 9113 §6.1" "padding longer than the frame" Open frame(DATA, PADDED, 1, &[5, 0, 0, 0, 0]) => Connection(PROTOCOL);
    "RFC 9113 §6.1" "PADDED without a length" Open frame(DATA, PADDED, 1, &[]) => Connection(SIZE);
    "RFC 9113 §6.2" "HEADERS on stream 0" Settings headers(0, 0, &block(&RESPONSE)) => Connection(PROTOCOL);
    "RFC 9113 §6.2" "HEADERS with padding longer than the frame" Open
        frame(HEADERS, PADDED | END_HEADERS, 1, &[9, 0]) => Connection(PROTOCOL);
    "RFC 9113 §6.3" "PRIORITY on stream 0" Settings frame(PRIORITY, 0, 0, &[0, 0, 0, 0, 9]) => Connection(PROTOCOL);
    "RFC 9113 §6.3" "PRIORITY of four octets" Open frame(PRIORITY, 0, 1, &[0; 4]) => Stream(SIZE);
    "RFC 9113 §6.4" "RST_STREAM on stream 0" Settings reset(0, ErrorCode::CANCEL) => Connection(PROTOCOL);
    "RFC 9113 §6.4" "RST_STREAM of three octets" Open frame(RST_STREAM, 0, 1, &[0; 3]) => Connection(SIZE);
    "RFC 9113 §6.5" "SETTINGS on a stream" Settings frame(SETTINGS, 0, 1, &[]) => Connection(PROTOCOL);
    "RFC 9113 §6.5" "SETTINGS of five octets" Settings frame(SETTINGS, 0, 0, &[0; 5]) => Connection(SIZE);
    "RFC 9113 §6.5" "SETTINGS ACK with a payload" Settings frame(SETTINGS, ACK, 0, &[0; 6]) => Connection(SIZE);
    "RFC 9113 §6.5.2" "an unknown setting" Settings settings(&[(0xfafa, 7)]) => Fine;
    "RFC 9113 §6.5.2" "ENABLE_PUSH 2" Settings settings(&[(2, 2)]) => Connection(PROTOCOL);
    "RFC 9113 §6.5.2" "INITIAL_WINDOW_SIZE 2^31" Settings settings(&[(4, 1 << 31)]) => Connection(FLOW);
    "RFC 9113 §6.5.2" "MAX_FRAME_SIZE 16,383" Settings settings(&[(5, 16_383)]) => Connection(PROTOCOL);
    "RFC 9113 §6.5.2" "MAX_FRAME_SIZE 0" Settings settings(&[(5, 0)]) => Connection(PROTOCOL);
    "RFC 9113 §6.5.2" "MAX_FRAME_SIZE 2^24" Settings settings(&[(5, 1 << 24)]) => Connection(PROTOCOL);
    "RFC 9113 §6.5.2" "MAX_FRAME_SIZE 2^24-1" Settings settings(&[(5, (1 << 24) - 1)]) => Fine;
    "RFC 9113 §6.5.3" "SETTINGS ACK that nobody waits for" Settings
        [settings_ack(), settings_ack()].concat() => Connection(PROTOCOL);
    "RFC 9113 §6.7" "PING on a stream" Settings frame(PING, 0, 1, &[0; 8]) => Connection(PROTOCOL);
    "RFC 9113 §6.7" "PING of seven octets" Settings frame(PING, 0, 0, &[0; 7]) => Connection(SIZE);
    "RFC 9113 §6.7" "PING ACK that nobody waits for" Settings frame(PING, ACK, 0, &[0; 8]) => Fine;
    "RFC 9113 §6.8" "GOAWAY on a stream" Settings frame(GOAWAY, 0, 1, &[0; 8]) => Connection(PROTOCOL);
    "RFC 9113 §6.8" "GOAWAY of seven octets" Settings frame(GOAWAY, 0, 0, &[0; 7]) => Connection(SIZE);
    "RFC 9113 §6.8" "GOAWAY that takes a refusal back" Open
        [goaway(1, ErrorCode::NO_ERROR), goaway(3, ErrorCode::NO_ERROR)].concat() => Connection(PROTOCOL);
    "RFC 9113 §6.9" "WINDOW_UPDATE of 0 on the connection" Settings update(0, 0) => Connection(PROTOCOL);
    "RFC 9113 §6.9" "WINDOW_UPDATE of 0 on a stream" Open update(1, 0) => Stream(PROTOCOL);
    "RFC 9113 §6.9" "WINDOW_UPDATE of three octets" Settings frame(WINDOW_UPDATE, 0, 0, &[0; 3]) => Connection(SIZE);
    "RFC 9113 §6.9.1" "a connection window over 2^31-1" Settings
        update(0, 0x7fff_ffff) => Connection(FLOW);
    "RFC 9113 §6.9.1" "a stream window over 2^31-1" Open update(1, 0x7fff_ffff) => Stream(FLOW);
    "RFC 9113 §6.9.1" "a stream window of 2^31-1" Open update(1, 0x7fff_ffff - 65_535) => Fine;
    "RFC 9113 §6.9.2" "SETTINGS that take a stream window over 2^31-1" Open
        [update(1, 1), settings(&[(4, 0x7fff_ffff)])].concat() => Connection(FLOW);
    "RFC 9113 §6.9.2" "SETTINGS that take a window below zero" Open settings(&[(4, 0)]) => Fine;
    "RFC 9113 §6.10" "CONTINUATION without HEADERS" Open
        frame(CONTINUATION, END_HEADERS, 1, &[]) => Connection(PROTOCOL);
    "RFC 9113 §6.10" "CONTINUATION on another stream" Open
        [frame(HEADERS, END_STREAM, 1, &[]), frame(CONTINUATION, END_HEADERS, 3, &[])].concat() => Connection(PROTOCOL);
    "RFC 9113 §6.10" "CONTINUATION on stream 0" Open
        [frame(HEADERS, END_STREAM, 1, &[]), frame(CONTINUATION, END_HEADERS, 0, &[])].concat() => Connection(PROTOCOL);
    "RFC 9113 §4.3" "another frame within a header block" Open
        [frame(HEADERS, END_STREAM, 1, &[]), frame(PING, 0, 0, &[0; 8])].concat() => Connection(PROTOCOL);
    "RFC 9113 §4.3" "a block that HPACK cannot decode" Open
        headers(1, END_STREAM, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) => Connection(ErrorCode::COMPRESSION_ERROR);
    "RFC 7541 §2.3.3" "index 0" Open headers(1, END_STREAM, &[0x80]) => Connection(ErrorCode::COMPRESSION_ERROR);
    "RFC 7541 §2.3.3" "an index beyond both tables" Open headers(1, END_STREAM, &[0xbe]) => Connection(ErrorCode::COMPRESSION_ERROR);
    "RFC 7541 §4.2" "a size update after a field" Open headers(1, END_STREAM, &[0x88, 0x20]) => Connection(ErrorCode::COMPRESSION_ERROR);
    "RFC 7541 §6.3" "a size update over the announced size" Open
        headers(1, END_STREAM, &[0x3f, 0xe2, 0x1f]) => Connection(ErrorCode::COMPRESSION_ERROR);
    "RFC 7541 §5.2" "Huffman padding of eight bits" Open
        headers(1, END_STREAM, &[0x00, 0x82, 0xf8, 0xff, 0x01, b'x']) => Connection(ErrorCode::COMPRESSION_ERROR);
    "RFC 7541 §5.2" "EOS in a Huffman string" Open
        headers(1, END_STREAM, &[0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x01, b'x']) => Connection(ErrorCode::COMPRESSION_ERROR);
    "RFC 7541 §5.1" "an integer of six octets" Open
        headers(1, END_STREAM, &[0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]) => Connection(ErrorCode::COMPRESSION_ERROR);
    "RFC 9113 §8.4" "PUSH_PROMISE" Open
        frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]) => Connection(PROTOCOL);
    "RFC 9113 §3.4" "no SETTINGS in the beginning" Nothing
        [PREFACE, &frame(PING, 0, 0, &[0; 8])].concat() => Connection(PROTOCOL);
};

/// Rules about what a client sends.
pub(crate) const SERVER: &[Case] = cases! {
    "RFC 9113 §6.1" "padding as long as the frame" Open frame(DATA, PADDED, 1, &[4, 0, 0, 0, 0]) => Fine;
    "RFC 9113 §3.4" "another protocol" Nothing b"GET / HTTP/1.1\r\n\r\n\r\n\r\n\r\n".to_vec() => Connection(PROTOCOL);
    "RFC 9113 §3.4" "one octet of the preface is wrong" Nothing b"PRI * HTTP/2.0\r\n\r\nSN".to_vec() => Connection(PROTOCOL);
    "RFC 9113 §5.1" "DATA after END_STREAM" HalfClosed data(1, 0, b"x") => Stream(ErrorCode::STREAM_CLOSED);
    "RFC 9113 §5.1" "HEADERS after END_STREAM" HalfClosed
        headers(1, END_STREAM, &block(&RESPONSE)) => Stream(ErrorCode::STREAM_CLOSED);
    "RFC 9113 §5.1" "DATA after RST_STREAM" Open
        [reset(1, ErrorCode::CANCEL), data(1, 0, b"x")].concat() => Stream(ErrorCode::STREAM_CLOSED);
    "RFC 9113 §5.1" "WINDOW_UPDATE after END_STREAM" HalfClosed update(1, 9) => Fine;
    "RFC 9113 §5.1.1" "an even stream id" Settings headers(2, 0, &[]) => Connection(PROTOCOL);
    "RFC 9113 §5.1.1" "a stream id that was passed over" Settings
        [headers(5, END_STREAM, &[0x82]), headers(3, END_STREAM, &[0x82])].concat() => Connection(PROTOCOL);
    "RFC 9113 §5.2" "DATA over the window of a stream" Open
        [(0..4).flat_map(|_| data(1, 0, &message(&[0; 16_000]))).collect::<Vec<_>>(), data(1, 0, &[0; 2_000])].concat()
        => Stream(FLOW);
};

/// Rules about what a server sends.
pub(crate) const CLIENT: &[Case] = cases! {
    "RFC 9113 §6.1" "padding as long as the frame" Headers frame(DATA, PADDED, 1, &[4, 0, 0, 0, 0]) => Fine;
    "RFC 9113 §6.5.2" "ENABLE_PUSH 1 from a server" Settings settings(&[(2, 1)]) => Connection(PROTOCOL);
    "RFC 9113 §5.1.1" "a stream that the client did not open" Settings headers(2, 0, &block(&RESPONSE)) => Connection(PROTOCOL);
    "RFC 9113 §6.8" "GOAWAY that names an even stream" Settings goaway(2, ErrorCode::NO_ERROR) => Connection(PROTOCOL);
    "RFC 9113 §8.1" "DATA before HEADERS" HalfClosed data(1, 0, &message(b"x")) => Stream(PROTOCOL);
    "RFC 9113 §8.1" "an interim response that ends the stream" HalfClosed
        headers(1, END_STREAM, &block(&[(":status", "103")])) => Stream(PROTOCOL);
    "RFC 9113 §8.1" "interim responses before the answer" HalfClosed
        [headers(1, 0, &block(&[(":status", "103")])), headers(1, 0, &block(&RESPONSE))].concat() => Fine;
    "RFC 9113 §8.6" "101 Switching Protocols" HalfClosed headers(1, 0, &block(&[(":status", "101")])) => Stream(PROTOCOL);
};

fn check(results: impl Iterator<Item = Option<String>>) {
    let wrong: Vec<String> = results.flatten().collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_no_peer_may_do_to_a_server() {
    check(BOTH.iter().chain(SERVER).map(Case::on_server));
}

#[test]
fn what_no_peer_may_do_to_a_client() {
    // A client's peer sends no preface.
    let both = BOTH.iter().filter(|case| case.before != Nothing);
    check(both.chain(CLIENT).map(Case::on_client));
}
