//! gRPC over HTTP/2: how a server handles a client's requests (P-1 to P-19, P-40 to P-61, P-72, P-73).

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use halfclose::frame::ErrorCode;
use halfclose_conformance::Expect::{Answer, Connection, Reset};
use halfclose_conformance::ask::request_with;
use halfclose_conformance::{ECHO, cases};
use halfclose_wire::{
    END_STREAM, REQUEST, block, data, flagged, headers, literal, message, ping, prefixed, reset,
};

/// Returns a whole unary request, with fields that replace those of a good one or are added to it.
fn ask(changes: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut fields = request_with(&[(":path", ECHO)]);
    fields.retain(|field| changes.iter().all(|change| change.0 != field.0));
    for (name, value) in changes {
        // Pseudo-header fields come first.
        let at = if name.starts_with(':') { 0 } else { fields.len() };
        fields.insert(at, (name, value));
    }
    [headers(1, 0, &block(&fields)), data(1, END_STREAM, body)].concat()
}

/// Returns a request with one field replaced or added.
fn with(name: &str, value: &str) -> Vec<u8> {
    ask(&[(name, value)], &message(b"m"))
}

/// Returns a request with a field that appears twice.
fn twice(name: &str, one: &str, other: &str) -> Vec<u8> {
    let first = block(&request_with(&[(":path", ECHO), (name, one)]));
    let second = literal(name.as_bytes(), other.as_bytes());
    [headers(1, 0, &[first, second].concat()), data(1, END_STREAM, &message(b"m"))].concat()
}

/// Returns a request without a field.
fn without(name: &str) -> Vec<u8> {
    let fields: Vec<_> =
        request_with(&[(":path", ECHO)]).into_iter().filter(|field| field.0 != name).collect();
    [headers(1, 0, &block(&fields)), data(1, END_STREAM, &message(b"m"))].concat()
}

/// Returns a request with this body.
fn body(bytes: &[u8]) -> Vec<u8> {
    ask(&[], bytes)
}

/// Returns a request whose messages may be compressed by gzip, with this body.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    ask(&[("grpc-encoding", "gzip")], bytes)
}

/// Returns bytes compressed by gzip.
pub(crate) fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// Returns a message in frames of one byte each, the last of which ends the stream.
fn byte_by_byte() -> Vec<u8> {
    let head = headers(1, 0, &block(&request_with(&[(":path", ECHO)])));
    let whole = message(b"whole");
    let last = whole.len() - 1;
    let frames = whole.iter().enumerate().flat_map(|(at, byte)| data(1, u8::from(at == last), &[*byte]));
    head.into_iter().chain(frames).collect()
}

cases! {
    /// Requests that are answered by the library, and requests that reach their handler.
    requests of [server] {
        p1_fields_in_any_order "te and content-type before the rest" Settings
            ask(&[("user-agent", "grpc-test/1"), ("te", "trailers")], &message(b"m")) => Answer("200", "0");
        p2_get ":method GET" Settings with(":method", "GET") => Answer("405", "13");
        rfc9110_9_3_2_head ":method HEAD" Settings
            headers(1, END_STREAM, &block(&request_with(&[(":method", "HEAD")]))) => Answer("405", "13");
        p2_put ":method PUT" Settings with(":method", "PUT") => Answer("405", "13");
        p2_connect "CONNECT" Settings
            headers(1, END_STREAM, &block(&[(":method", "CONNECT"), (":authority", "localhost:80")])) => Answer("405", "13");
        p2_options ":method OPTIONS, :path *" Settings
            ask(&[(":method", "OPTIONS"), (":path", "*")], &message(b"m")) => Answer("405", "13");
        p3_https ":scheme https" Settings with(":scheme", "https") => Answer("200", "0");
        p4_an_unknown_method "the path of no method" Settings with(":path", "/demo.Echo/Nothing") => Answer("200", "12");
        p4_a_path_in_another_case "a path in another case" Settings with(":path", "/demo.echo/say") => Answer("200", "12");
        p4_a_path_without_a_method "a path without a second slash" Settings with(":path", "/demo.Echo") => Answer("200", "12");
        p5_host_stands_in_for_authority "host and no :authority" Settings
            [without(":authority")].concat() => Answer("200", "0");
        // RFC 9113 §8.1.1 lets a server answer a malformed request before it closes the stream; gRFC A41 says how.
        p5_authority_twice ":authority twice" Settings
            headers(1, END_STREAM, &[literal(b":authority", b"a"), block(&REQUEST)].concat()) => Answer("400", "13");
        p5_host_beside_authority "host beside :authority" Settings with("host", "elsewhere") => Answer("200", "0");
        p5_host_twice "host twice" Settings
            headers(1, END_STREAM, &[block(&REQUEST), literal(b"host", b"a"), literal(b"host", b"b")].concat())
            => Answer("400", "13");
        p6_no_te "no te" Settings without("te") => Answer("200", "0");
        p6_no_te_where_it_is_required "no te, and it is required" Settings
            @(|config| config.require_te = true)
            without("te") => Answer("400", "13");
        p7_the_longest_timeout "grpc-timeout 99999999H" Settings with("grpc-timeout", "99999999H") => Answer("200", "0");
        p7_nine_digits "grpc-timeout of nine digits" Settings with("grpc-timeout", "123456789S") => Answer("400", "13");
        p7_no_unit "grpc-timeout without a unit" Settings with("grpc-timeout", "1") => Answer("400", "13");
        p7_an_unknown_unit "grpc-timeout with an unknown unit" Settings with("grpc-timeout", "1h") => Answer("400", "13");
        p7_a_sign "grpc-timeout with a sign" Settings with("grpc-timeout", "-1S") => Answer("400", "13");
        p7_an_empty_timeout "an empty grpc-timeout" Settings with("grpc-timeout", "") => Answer("400", "13");
        p7_two_timeouts "grpc-timeout 1S and 2S" Settings
            twice("grpc-timeout", "1S", "2S") => Answer("400", "13");
        p7_one_timeout_twice "grpc-timeout 9S and 9000m" Settings
            twice("grpc-timeout", "9S", "9000m") => Answer("200", "0");
        p8_two_types "content-type application/grpc and application/grpc+json" Settings
            twice("content-type", "application/grpc", "application/grpc+json") => Answer("415", "2");
        p8_another_type "content-type text/plain" Settings with("content-type", "text/plain") => Answer("415", "2");
        p8_a_longer_type "content-type application/grpcx" Settings
            with("content-type", "application/grpcx") => Answer("415", "2");
        p8_no_type "no content-type" Settings without("content-type") => Answer("415", "2");
        p8_a_codec "content-type application/grpc+proto" Settings
            with("content-type", "application/grpc+proto") => Answer("200", "0");
        p8_a_parameter "content-type application/grpc;charset=utf-8" Settings
            with("content-type", "application/grpc;charset=utf-8") => Answer("200", "0");
        p9_a_message_type "grpc-message-type" Settings with("grpc-message-type", "demo.Word") => Answer("200", "0");
        p10_an_unknown_encoding "grpc-encoding snappy" Settings with("grpc-encoding", "snappy") => Answer("200", "12");
        p10_two_encodings "grpc-encoding gzip and identity" Settings
            twice("grpc-encoding", "gzip", "identity") => Answer("200", "12");
        p10_identity "grpc-encoding identity" Settings with("grpc-encoding", "identity") => Answer("200", "0");
        p11_accepted_encodings "grpc-accept-encoding with names that are unknown here" Settings
            with("grpc-accept-encoding", "br, identity,gzip,,snappy") => Answer("200", "0");
        p12_any_user_agent "any user-agent" Settings with("user-agent", "curl/8 (x; y)") => Answer("200", "0");
        p13_custom_metadata "metadata with every kind of byte in its name" Settings
            with("0a-_.z", "value") => Answer("200", "0");
        p14_te_with_more_than_trailers "te: trailers, deflate" Settings
            with("te", "trailers, deflate") => Reset(1, ErrorCode::PROTOCOL_ERROR);
        p16_request_trailers "trailers that end a request" Open
            headers(1, END_STREAM, &block(&[("x-late", "1")])) => Reset(1, ErrorCode::PROTOCOL_ERROR);
        p17_an_empty_frame_ends_the_request "END_STREAM on an empty DATA frame" Settings
            [headers(1, 0, &block(&request_with(&[(":path", ECHO)]))), data(1, 0, &message(b"m")), data(1, END_STREAM, &[])]
                .concat() => Answer("200", "0");
        p17_headers_end_the_request "END_STREAM on HEADERS, and no message (P-72)" Settings
            headers(1, END_STREAM, &block(&request_with(&[(":path", ECHO)]))) => Answer("200", "12");
        p19_a_stream_too_many "a call over the limit" Open
            @(|config| config.limits.max_concurrent_streams = 1)
            headers(3, END_STREAM, &block(&REQUEST)) => Reset(3, ErrorCode::REFUSED_STREAM);
        p40_a_name_in_upper_case "metadata in upper case" Settings
            with("X-Name", "1") => Reset(1, ErrorCode::PROTOCOL_ERROR);
        p41_names_that_grpc_reserves "metadata under names that gRPC reserves" Settings
            ask(&[("grpc-previous-rpc-attempts", "1"), ("grpc-tags-bin", "AAE"), ("grpc-of-tomorrow", "x")], &message(b"m"))
            => Answer("200", "0");
        p42_a_value_that_is_not_ascii "a value with bytes over 127" Settings
            with("x-high", "caf\u{e9}") => Answer("200", "0");
        p42_values_with_spaces_at_their_ends "values that begin or end with white space" Settings
            ask(&[("x-one", " a"), ("x-two", "a\t"), ("x-three", "  "), ("grpc-timeout", "9S "), ("grpc-encoding", " identity")],
                &message(b"m")) => Answer("200", "0");
        p43_base64_without_padding "-bin without padding" Settings with("x-bin", "q6ur") => Answer("200", "0");
        p43_base64_with_padding_and_commas "-bin values joined by a comma, padded and not" Settings
            with("x-bin", "q6urqw==,qw") => Answer("200", "0");
        p43_no_base64 "-bin that is no base64" Settings with("x-bin", "a!b") => Answer("200", "13");
        p45_a_header_list_over_the_limit "a header list over the limit" Settings
            ask(&[("x", ""); 500], &message(b"m")) => Answer("200", "8");
        p50_flag_2 "flag 2" Settings body(&flagged(2, b"m")) => Answer("200", "13");
        p50_flag_255 "flag 255" Settings body(&flagged(255, b"m")) => Answer("200", "13");
        p51_compressed_without_an_encoding "a compressed message without grpc-encoding" Settings
            body(&flagged(1, &compressed(b"m"))) => Answer("200", "13");
        p51_compressed_under_identity "a compressed message under grpc-encoding identity" Settings
            ask(&[("grpc-encoding", "identity")], &flagged(1, &compressed(b"m"))) => Answer("200", "13");
        p53_no_gzip "a message that is not gzip" Settings gzip(&flagged(1, b"no gzip")) => Answer("200", "13");
        p53_gzip_cut_short "a gzip message that is cut short" Settings
            gzip(&flagged(1, &compressed(b"a message of some length")[..12])) => Answer("200", "13");
        p54_a_message_over_the_limit "a message of 4 MiB and a byte, of which one byte came" Settings
            body(&prefixed(0, (4 << 20) + 1, b"m")) => Answer("200", "8");
        p54_a_message_of_4_gib "a message of 2^32-1 bytes, of which none came" Settings
            body(&prefixed(0, u32::MAX, b"")) => Answer("200", "8");
        p54_a_message_that_grows_over_the_limit "a gzip message that is over the limit decompressed" Settings
            gzip(&flagged(1, &compressed(&vec![0; (4 << 20) + 1]))) => Answer("200", "8");
        p56_a_message_cut_short "END_STREAM within a message" Settings body(&message(b"cut")[..6]) => Answer("200", "13");
        p56_a_prefix_cut_short "END_STREAM within a prefix" Settings body(&[0, 0, 0]) => Answer("200", "13");
        p57_plain_under_an_encoding "a plain message under grpc-encoding gzip" Settings
            gzip(&message(b"plain")) => Answer("200", "0");
        p58_a_compressed_message "a gzip message" Settings gzip(&flagged(1, &compressed(b"m"))) => Answer("200", "0");
        p59_byte_by_byte "a message in frames of one byte" Settings byte_by_byte() => Answer("200", "0");
        p61_an_empty_message "a message without bytes" Settings body(&message(b"")) => Answer("200", "0");
        p61_an_empty_compressed_message "no bytes that are said to be compressed" Settings
            gzip(&flagged(1, b"")) => Answer("200", "0");
        p72_no_request "no message" Settings body(b"") => Answer("200", "12");
        p73_two_requests "two messages" Settings body(&message(b"m").repeat(2)) => Answer("200", "12");
        p73_two_requests_by_the_other_policy "two messages, where the policy is INTERNAL" Settings
            @(|config| config.cardinality = halfclose::CardinalityPolicy::Internal)
            body(&message(b"m").repeat(2)) => Answer("200", "13");
        p98_pings_too_often "PINGs more often than the policy allows" Settings
            ping(b"are you?").repeat(4) => Connection(ErrorCode::ENHANCE_YOUR_CALM);
        p82_data_behind_the_clients_reset "RST_STREAM, and DATA behind it" Open
            [reset(1, ErrorCode::CANCEL), data(1, 0, b"late")].concat() => Reset(1, ErrorCode::STREAM_CLOSED);
    }
}
