//! RFC 9113 §8: malformed messages end their stream, and never their connection.

use halfclose::Code;
use halfclose::frame::ErrorCode;
use halfclose_conformance::Expect::{Status, Stream};
use halfclose_conformance::ask::request_with;
use halfclose_conformance::cases;
use halfclose_wire::{END_STREAM, RESPONSE, TRAILERS, block, data, headers, literal, message};

const PROTOCOL: ErrorCode = ErrorCode::PROTOCOL_ERROR;

/// Returns a good request with one field replaced or added.
fn with(name: &str, value: &str) -> Vec<u8> {
    headers(1, 0, &block(&request_with(&[(name, value)])))
}

/// Returns a good request without this field.
fn without(name: &str) -> Vec<u8> {
    let mut fields = request_with(&[]);
    fields.retain(|field| field.0 != name);
    headers(1, 0, &block(&fields))
}

/// Returns a good request with this field before all others.
fn before(name: &str, value: &str) -> Vec<u8> {
    headers(1, 0, &[literal(name.as_bytes(), value.as_bytes()), block(&request_with(&[]))].concat())
}

/// Returns a good request with a field that appears twice.
fn twice(name: &str, one: &str, other: &str) -> Vec<u8> {
    let first = block(&request_with(&[(name, one)]));
    headers(1, 0, &[first, literal(name.as_bytes(), other.as_bytes())].concat())
}

/// Returns a request for a tunnel (RFC 9113 §8.5) with one more field.
fn connect(name: &str, value: &str) -> Vec<u8> {
    headers(1, 0, &block(&[(":method", "CONNECT"), (":authority", "localhost:80"), (name, value)]))
}

/// Returns a request with a content-length, and the content.
fn content(length: &str, flags: u8, bytes: usize) -> Vec<u8> {
    [with("content-length", length), data(1, flags, &vec![0; bytes])].concat()
}

/// Returns response headers.
fn head(fields: &[(&str, &str)]) -> Vec<u8> {
    headers(1, 0, &block(fields))
}

/// Returns good response headers with one more field.
fn headers_with(name: &str, value: &str) -> Vec<u8> {
    head(&[RESPONSE[0], RESPONSE[1], (name, value)])
}

/// Returns a response up to and including these trailers.
fn trailers(fields: &[(&str, &str)]) -> Vec<u8> {
    [head(&RESPONSE), headers(1, END_STREAM, &block(fields))].concat()
}

cases! {
    /// Requests that are malformed.
    requests of [server] {
        rfc9113_8_1_trailers_that_do_not_end_the_stream "trailers without END_STREAM" Open
            headers(1, 0, &block(&[("x-late", "1")])) => Stream(PROTOCOL);
        rfc9113_5_1_data_behind_our_own_reset "DATA that was under way when the server reset the stream" Settings
            [with("connection", "close"), data(1, 0, b"late"), data(1, END_STREAM, b"later")].concat() => Stream(PROTOCOL);
        rfc9113_8_1_1_content_length_that_is_no_number "a content-length that is no number" Settings
            with("content-length", "1x") => Stream(PROTOCOL);
        rfc9113_8_1_1_content_length_twice "two content-lengths that differ" Settings
            twice("content-length", "1", "2") => Stream(PROTOCOL);
        rfc9113_8_1_1_content_over_its_length "more content than content-length says" Settings
            content("3", 0, 4) => Stream(PROTOCOL);
        rfc9113_8_1_1_content_under_its_length "less content than content-length says" Settings
            content("5", END_STREAM, 4) => Stream(PROTOCOL);
        rfc9113_8_1_1_no_content_of_some_length "no content at all under a content-length" Settings
            headers(1, END_STREAM, &block(&request_with(&[("content-length", "5")]))) => Stream(PROTOCOL);
        rfc9113_8_2_an_upper_case_name "an upper-case name" Settings with("X-Case", "1") => Stream(PROTOCOL);
        rfc9113_8_2_1_a_name_with_a_space "a name with a space" Settings with("x case", "1") => Stream(PROTOCOL);
        rfc9113_8_2_1_a_name_with_a_colon "a name with a colon" Settings with("x:case", "1") => Stream(PROTOCOL);
        rfc9113_8_2_1_an_empty_name "an empty name" Settings with("", "1") => Stream(PROTOCOL);
        rfc9113_8_2_1_a_name_with_a_byte_over_127 "a name with a byte over 127" Settings
            with("x-caf\u{e9}", "1") => Stream(PROTOCOL);
        rfc9113_8_2_1_a_value_with_cr "a value with CR" Settings with("x-split", "a\rb") => Stream(PROTOCOL);
        rfc9113_8_2_1_a_value_with_lf "a value with LF" Settings with("x-split", "a\nb") => Stream(PROTOCOL);
        rfc9113_8_2_1_a_value_with_nul "a value with NUL" Settings with("x-split", "a\0b") => Stream(PROTOCOL);
        rfc9113_8_2_1_a_path_that_ends_with_a_space "a :path that ends with a space" Settings
            with(":path", "/demo.Echo/Call ") => Stream(PROTOCOL);
        rfc9113_8_2_1_a_host_that_begins_with_a_space "a host that begins with a space" Settings
            with("host", " localhost") => Stream(PROTOCOL);
        rfc9113_8_2_1_a_content_length_that_ends_with_a_tab "a content-length that ends with a tab" Settings
            with("content-length", "5\t") => Stream(PROTOCOL);
        rfc9113_8_2_2_connection "connection" Settings with("connection", "close") => Stream(PROTOCOL);
        rfc9113_8_2_2_keep_alive "keep-alive" Settings with("keep-alive", "1") => Stream(PROTOCOL);
        rfc9113_8_2_2_proxy_connection "proxy-connection" Settings
            with("proxy-connection", "close") => Stream(PROTOCOL);
        rfc9113_8_2_2_transfer_encoding "transfer-encoding" Settings
            with("transfer-encoding", "chunked") => Stream(PROTOCOL);
        rfc9113_8_2_2_upgrade "upgrade" Settings with("upgrade", "h2c") => Stream(PROTOCOL);
        rfc9113_8_2_2_te_other_than_trailers "te with another value than trailers" Settings
            with("te", "gzip") => Stream(PROTOCOL);
        rfc9113_8_3_an_unknown_pseudo_field "an unknown pseudo-header field" Settings
            before(":fancy", "1") => Stream(PROTOCOL);
        rfc9113_8_3_a_pseudo_field_of_responses "a response's pseudo-header field" Settings
            before(":status", "200") => Stream(PROTOCOL);
        rfc8441_4_protocol_without_the_setting ":protocol, where extended CONNECT was not offered" Settings
            before(":protocol", "websocket") => Stream(PROTOCOL);
        rfc9113_8_3_a_pseudo_field_behind_a_regular_one "a pseudo-header field behind a regular one" Settings
            before("x-first", "1") => Stream(PROTOCOL);
        rfc9113_8_3_1_no_method "no :method" Settings without(":method") => Stream(PROTOCOL);
        rfc9113_8_3_1_no_scheme "no :scheme" Settings without(":scheme") => Stream(PROTOCOL);
        rfc9113_8_3_1_no_path "no :path" Settings without(":path") => Stream(PROTOCOL);
        rfc9113_8_3_1_method_twice ":method twice" Settings before(":method", "POST") => Stream(PROTOCOL);
        rfc9113_8_3_1_scheme_twice ":scheme twice" Settings before(":scheme", "http") => Stream(PROTOCOL);
        rfc9113_8_3_1_path_twice ":path twice" Settings before(":path", "/demo.Echo/Call") => Stream(PROTOCOL);
        rfc9113_8_3_1_an_empty_path "an empty path" Settings with(":path", "") => Stream(PROTOCOL);
        rfc9113_8_3_1_a_path_without_a_slash "a path without a slash" Settings
            with(":path", "demo.Echo/Call") => Stream(PROTOCOL);
        rfc9113_8_5_connect_with_a_scheme "CONNECT with :scheme" Settings
            connect(":scheme", "http") => Stream(PROTOCOL);
        rfc9113_8_5_connect_with_a_path "CONNECT with :path" Settings connect(":path", "/") => Stream(PROTOCOL);
    }
}

cases! {
    /// Responses that are malformed.
    responses of [client] {
        rfc9113_8_1_a_pseudo_field_in_trailers "a pseudo-header field in trailers" Incoming
            trailers(&[(":status", "200"), ("grpc-status", "0")]) => Stream(PROTOCOL);
        rfc9113_8_1_1_content_over_its_length "more content than content-length says" Incoming
            [headers_with("content-length", "3"), data(1, 0, &message(b"four"))].concat() => Stream(PROTOCOL);
        rfc9113_8_1_1_content_under_its_length "less content than content-length says" Incoming
            [headers_with("content-length", "30"), headers(1, END_STREAM, &block(&TRAILERS))].concat() => Status(Code::Internal);
        rfc9113_8_1_1_content_length_that_is_no_number "a content-length that is no number" Incoming
            headers_with("content-length", "three") => Stream(PROTOCOL);
        rfc9113_8_2_an_upper_case_name "an upper-case name" Incoming headers_with("X-Case", "1") => Stream(PROTOCOL);
        rfc9113_8_2_an_upper_case_name_in_trailers "an upper-case name in trailers" Incoming
            trailers(&[("grpc-status", "0"), ("X-Case", "1")]) => Stream(PROTOCOL);
        rfc9113_8_2_1_an_empty_name "an empty name" Incoming headers_with("", "1") => Stream(PROTOCOL);
        rfc9113_8_2_1_a_name_with_a_space "a name with a space" Incoming headers_with("x case", "1") => Stream(PROTOCOL);
        rfc9113_8_2_1_a_status_that_ends_with_a_space "a :status that ends with a space" Incoming
            head(&[(":status", "200 ")]) => Stream(PROTOCOL);
        rfc9113_8_2_1_a_content_length_that_begins_with_a_space "a content-length that begins with a space" Incoming
            headers_with("content-length", " 5") => Stream(PROTOCOL);
        rfc9113_8_2_1_a_value_with_lf "a value with LF" Incoming headers_with("x-split", "a\nb") => Stream(PROTOCOL);
        rfc9113_8_2_1_a_value_with_cr_in_trailers "a value with CR in trailers" Incoming
            trailers(&[("grpc-status", "0"), ("grpc-message", "a\rb")]) => Stream(PROTOCOL);
        rfc9113_8_2_2_connection "connection" Incoming headers_with("connection", "close") => Stream(PROTOCOL);
        rfc9113_8_2_2_te_other_than_trailers "te with another value than trailers" Incoming
            headers_with("te", "gzip") => Stream(PROTOCOL);
        rfc9113_8_3_a_pseudo_field_of_requests "a request's pseudo-header field" Incoming
            head(&[(":status", "200"), (":path", "/")]) => Stream(PROTOCOL);
        rfc9113_8_3_a_pseudo_field_behind_a_regular_one "a pseudo-header field behind a regular one" Incoming
            head(&[("x-first", "1"), (":status", "200")]) => Stream(PROTOCOL);
        rfc9113_8_3_2_no_status "no :status" Incoming head(&[("content-type", "application/grpc")]) => Stream(PROTOCOL);
        rfc9113_8_3_2_status_twice ":status twice" Incoming
            head(&[(":status", "200"), (":status", "200")]) => Stream(PROTOCOL);
        rfc9113_8_3_2_a_status_of_two_digits "a status of two digits" Incoming head(&[(":status", "20")]) => Stream(PROTOCOL);
        rfc9113_8_3_2_a_status_that_is_no_number "a status that is no number" Incoming
            head(&[(":status", "2x0")]) => Stream(PROTOCOL);
    }
}
