//! RFC 9113: what only a client or only a server may not do.

use halfclose::frame::ErrorCode;
use halfclose_conformance::Expect::{Connection, Fine, Foreign, Reset, Stream};
use halfclose_conformance::cases;
use halfclose_wire::kind::{CONTINUATION, DATA, HEADERS, PRIORITY};
use halfclose_wire::{
    END_HEADERS, END_STREAM, PADDED, PREFACE, REQUEST, RESPONSE, block, data, frame, goaway, headers,
    message, ping, reset, settings, update,
};

const PROTOCOL: ErrorCode = ErrorCode::PROTOCOL_ERROR;
const CLOSED: ErrorCode = ErrorCode::STREAM_CLOSED;
const FLOW: ErrorCode = ErrorCode::FLOW_CONTROL_ERROR;
const CANCEL: ErrorCode = ErrorCode::CANCEL;

fn request(stream: u32) -> Vec<u8> {
    headers(stream, END_STREAM, &block(&REQUEST))
}

fn answer(flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    headers(1, flags, &block(fields))
}

/// Returns messages of 66,020 bytes in total, prefixes included: more than the initial window of 65,535 of a stream.
fn more_than_a_window() -> Vec<u8> {
    let whole = data(1, 0, &message(&[0; 16_000])).repeat(4);
    [whole, data(1, 0, &[0; 2_000])].concat()
}

cases! {
    /// What a client may not do.
    to_a_server of [server] {
        rfc9113_3_4_another_protocol "another protocol" Nothing
            b"GET / HTTP/1.1\r\n\r\n\r\n\r\n\r\n".to_vec() => Connection(PROTOCOL);
        rfc9113_3_4_a_wrong_byte_in_the_preface "one byte of the preface is wrong" Nothing
            b"PRI * HTTP/2.0\r\n\r\nSN".to_vec() => Connection(PROTOCOL);
        rfc9113_3_4_no_settings_behind_the_preface "no SETTINGS in the beginning" Nothing
            [PREFACE, &ping(b"too soon")].concat() => Connection(PROTOCOL);
        rfc9113_3_4_an_acknowledgement_behind_the_preface "SETTINGS ACK in the beginning" Nothing
            [PREFACE, &halfclose_wire::settings_ack()].concat() => Connection(PROTOCOL);
        rfc9113_5_1_data_after_end_stream "DATA after END_STREAM" HalfClosed data(1, 0, b"x") => Stream(CLOSED);
        rfc9113_5_1_headers_after_end_stream "HEADERS after END_STREAM" HalfClosed
            answer(END_STREAM, &RESPONSE) => Stream(CLOSED);
        rfc9113_5_1_data_after_rst_stream "DATA after RST_STREAM" Open
            [reset(1, CANCEL), data(1, 0, b"x")].concat() => Stream(CLOSED);
        rfc9113_5_1_headers_after_rst_stream "HEADERS after RST_STREAM" Open
            [reset(1, CANCEL), request(1)].concat() => Stream(CLOSED);
        rfc9113_5_1_window_update_after_end_stream "WINDOW_UPDATE after END_STREAM" HalfClosed update(1, 9) => Fine;
        rfc9113_5_1_priority_after_end_stream "PRIORITY after END_STREAM" HalfClosed
            frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 9]) => Fine;
        rfc9113_5_1_rst_stream_after_end_stream "RST_STREAM after END_STREAM" HalfClosed reset(1, CANCEL) => Fine;
        rfc9113_5_1_1_an_even_stream_id "an even stream id" Settings headers(2, 0, &[]) => Connection(PROTOCOL);
        rfc9113_5_1_1_a_stream_id_that_was_passed_over "a stream id that was passed over" Settings
            [request(5), request(3)].concat() => Connection(PROTOCOL);
        p18_ids_may_leave_some_out "stream ids that leave some out" Settings
            [request(1), request(7), request(9)].concat() => Fine;
        rfc9113_5_1_2_a_stream_too_many "a stream over SETTINGS_MAX_CONCURRENT_STREAMS" Open
            @(|config| config.limits.max_concurrent_streams = 1)
            request(3) => Reset(3, ErrorCode::REFUSED_STREAM);
        rfc9113_5_2_data_over_the_window_of_a_stream "DATA over the window of a stream" Open
            more_than_a_window() => Stream(FLOW);
        rfc9113_6_1_padding_as_long_as_the_frame "padding as long as the frame" Open
            frame(DATA, PADDED, 1, &[4, 0, 0, 0, 0]) => Fine;
        rfc9113_6_8_goaway_from_a_client "GOAWAY" Open goaway(0, ErrorCode::NO_ERROR) => Fine;
        p108_unknown_flags_of_headers "flags of HEADERS without meaning" Settings
            frame(HEADERS, END_HEADERS | END_STREAM | 0xd2, 1, &block(&REQUEST)) => Fine;
        rfc9113_6_10_continuation_behind_a_whole_block "CONTINUATION behind END_HEADERS" Open
            frame(CONTINUATION, END_HEADERS, 1, &[]) => Connection(PROTOCOL);
        rfc9113_7_goaway_with_an_unknown_code "GOAWAY with an unknown code" Open
            goaway(0, ErrorCode(0xdead)) => Fine;
    }
}

cases! {
    /// What a server may not do.
    to_a_client of [client] {
        rfc9113_3_4_no_settings_in_the_beginning "no SETTINGS in the beginning" Nothing
            ping(b"too soon") => Connection(PROTOCOL);
        rfc9113_3_4_another_protocol "an HTTP/1.1 response" Nothing
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_vec() => Foreign;
        rfc9113_5_1_1_a_stream_that_the_client_did_not_open "a stream that the client did not open" Settings
            headers(2, 0, &block(&RESPONSE)) => Connection(PROTOCOL);
        rfc9113_5_1_headers_on_an_idle_stream "HEADERS on an idle stream" Settings
            headers(5, 0, &block(&RESPONSE)) => Connection(PROTOCOL);
        rfc9113_5_2_data_over_the_window_of_a_stream "DATA over the window of a stream" Headers
            more_than_a_window() => Stream(FLOW);
        rfc9113_6_1_padding_as_long_as_the_frame "padding as long as the frame" Headers
            frame(DATA, PADDED, 1, &[4, 0, 0, 0, 0]) => Fine;
        rfc9113_6_5_2_enable_push_1_from_a_server "ENABLE_PUSH 1 from a server" Settings
            settings(&[(2, 1)]) => Connection(PROTOCOL);
        p109_no_streams_and_then_some "MAX_CONCURRENT_STREAMS 0, then 1" Settings
            [settings(&[(3, 0)]), settings(&[(3, 1)])].concat() => Fine;
        rfc9113_6_8_goaway_that_names_an_even_stream "GOAWAY that names an even stream" Settings
            goaway(2, ErrorCode::NO_ERROR) => Connection(PROTOCOL);
        rfc9113_8_1_data_before_headers "DATA before HEADERS" HalfClosed
            data(1, 0, &message(b"x")) => Stream(PROTOCOL);
        rfc9113_8_1_an_interim_response_that_ends_the_stream "an interim response that ends the stream" HalfClosed
            answer(END_STREAM, &[(":status", "103")]) => Stream(PROTOCOL);
        rfc9113_8_1_interim_responses_before_the_answer "interim responses before the answer" HalfClosed
            [answer(0, &[(":status", "103")]), answer(0, &[(":status", "100")]), answer(0, &RESPONSE)].concat() => Fine;
        rfc9113_8_6_switching_protocols "101 Switching Protocols" HalfClosed
            answer(0, &[(":status", "101")]) => Stream(PROTOCOL);
    }
}
