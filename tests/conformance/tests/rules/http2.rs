//! RFC 9113: what neither side may do.

use halfclose::frame::ErrorCode;
use halfclose_conformance::Expect::{Acknowledged, Connection, Fine, Stream};
use halfclose_conformance::cases;
use halfclose_wire::kind::{
    CONTINUATION, DATA, GOAWAY, HEADERS, PING, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};
use halfclose_wire::{
    ACK, END_HEADERS, END_STREAM, PADDED, RESPONSE, block, data, frame, goaway, headers, ping, reset,
    settings, settings_ack, update,
};

const PROTOCOL: ErrorCode = ErrorCode::PROTOCOL_ERROR;
const SIZE: ErrorCode = ErrorCode::FRAME_SIZE_ERROR;
const FLOW: ErrorCode = ErrorCode::FLOW_CONTROL_ERROR;
const CANCEL: ErrorCode = ErrorCode::CANCEL;
/// A code that RFC 9113 §7 does not have.
const UNKNOWN: ErrorCode = ErrorCode(0xdead);
/// The flag PRIORITY of HEADERS.
const PRIORITIZED: u8 = 0x20;

/// Returns HEADERS that begin a block on stream 1, and a frame before the block is complete.
fn within_a_block(next: &[u8]) -> Vec<u8> {
    [&frame(HEADERS, END_STREAM, 1, &[]), next].concat()
}

cases! {
    /// Frames, streams, settings and windows.
    both of [server client] {
        rfc9113_4_1_a_frame_of_an_unknown_type "a frame of an unknown type" Settings
            frame(0xbe, 0xff, 0, b"?") => Fine;
        rfc9113_4_1_a_frame_of_an_unknown_type_on_a_stream "a frame of an unknown type on an open stream" Open
            frame(0x0c, 0, 1, b"?") => Fine;
        rfc9113_4_1_flags_without_meaning "flags without meaning" Settings
            frame(PING, 0xf6, 0, b"12345678") => Fine;
        rfc9113_4_1_the_reserved_bit "the reserved bit of a stream id" Settings
            frame(SETTINGS, 0, 0x8000_0000, &[]) => Fine;
        rfc9113_4_2_a_frame_of_the_largest_size "a frame of SETTINGS_MAX_FRAME_SIZE bytes" Settings
            frame(0x7f, 0, 0, &[0; 16_384]) => Fine;
        rfc9113_4_2_a_frame_too_large "a frame over SETTINGS_MAX_FRAME_SIZE" Open
            frame(DATA, 0, 1, &[0; 16_385]) => Connection(SIZE);
        rfc9113_4_2_an_unknown_frame_too_large "an unknown frame over SETTINGS_MAX_FRAME_SIZE" Settings
            frame(0x7f, 0, 0, &[0; 16_385]) => Connection(SIZE);
        rfc9113_4_3_another_frame_within_a_block "another frame within a header block" Open
            within_a_block(&ping(b"not here")) => Connection(PROTOCOL);
        rfc9113_4_3_data_within_a_block "DATA within a header block" Open
            within_a_block(&data(1, 0, b"x")) => Connection(PROTOCOL);
        rfc9113_4_3_headers_within_a_block "HEADERS within a header block" Open
            within_a_block(&headers(1, 0, &block(&RESPONSE))) => Connection(PROTOCOL);
        rfc9113_5_1_data_on_an_idle_stream "DATA on an idle stream" Settings
            data(5, 0, b"x") => Connection(PROTOCOL);
        rfc9113_5_1_rst_stream_on_an_idle_stream "RST_STREAM on an idle stream" Settings
            reset(5, CANCEL) => Connection(PROTOCOL);
        rfc9113_5_1_window_update_on_an_idle_stream "WINDOW_UPDATE on an idle stream" Settings
            update(5, 1) => Connection(PROTOCOL);
        rfc9113_5_1_priority_on_an_idle_stream "PRIORITY on an idle stream" Settings
            frame(PRIORITY, 0, 5, &[0, 0, 0, 0, 9]) => Fine;
        rfc9113_5_1_window_update_after_rst_stream "WINDOW_UPDATE after RST_STREAM" Open
            [reset(1, CANCEL), update(1, 1)].concat() => Fine;
        rfc9113_5_4_2_rst_stream_after_rst_stream "RST_STREAM after RST_STREAM" Open
            reset(1, CANCEL).repeat(2) => Fine;
        rfc9113_5_1_priority_after_rst_stream "PRIORITY after RST_STREAM" Open
            [reset(1, CANCEL), frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 9])].concat() => Fine;
        rfc9113_5_5_an_unknown_frame_within_a_block "an unknown frame within a header block" Open
            within_a_block(&frame(0xbe, 0, 1, &[])) => Connection(PROTOCOL);
        rfc9113_6_1_data_on_stream_0 "DATA on stream 0" Settings data(0, 0, b"x") => Connection(PROTOCOL);
        rfc9113_6_1_padding_over_the_frame "padding longer than the frame" Open
            frame(DATA, PADDED, 1, &[5, 0, 0, 0, 0]) => Connection(PROTOCOL);
        rfc9113_6_1_padded_without_a_length "PADDED without a length" Open
            frame(DATA, PADDED, 1, &[]) => Connection(SIZE);
        rfc9113_6_2_headers_on_stream_0 "HEADERS on stream 0" Settings
            headers(0, 0, &block(&RESPONSE)) => Connection(PROTOCOL);
        rfc9113_6_2_padding_over_the_frame "HEADERS with padding longer than the frame" Open
            frame(HEADERS, PADDED | END_HEADERS, 1, &[9, 0]) => Connection(PROTOCOL);
        rfc9113_6_2_padded_without_a_length "HEADERS with PADDED and no length" Open
            frame(HEADERS, PADDED | END_HEADERS, 1, &[]) => Connection(SIZE);
        rfc9113_6_2_priority_fields_cut_short "HEADERS with PRIORITY and four bytes" Open
            frame(HEADERS, PRIORITIZED | END_HEADERS, 1, &[0; 4]) => Connection(SIZE);
        rfc9113_6_3_priority_on_stream_0 "PRIORITY on stream 0" Settings
            frame(PRIORITY, 0, 0, &[0, 0, 0, 0, 9]) => Connection(PROTOCOL);
        rfc9113_6_3_priority_of_four_bytes "PRIORITY of four bytes" Open
            frame(PRIORITY, 0, 1, &[0; 4]) => Stream(SIZE);
        rfc7540_5_3_1_priority_on_itself "PRIORITY of a stream that depends on itself" Open
            frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 9]) => Stream(PROTOCOL);
        rfc9113_6_4_rst_stream_on_stream_0 "RST_STREAM on stream 0" Settings
            reset(0, CANCEL) => Connection(PROTOCOL);
        rfc9113_6_4_rst_stream_of_three_bytes "RST_STREAM of three bytes" Open
            frame(RST_STREAM, 0, 1, &[0; 3]) => Connection(SIZE);
        rfc9113_6_5_settings_on_a_stream "SETTINGS on a stream" Settings
            frame(SETTINGS, 0, 1, &[]) => Connection(PROTOCOL);
        rfc9113_6_5_settings_of_five_bytes "SETTINGS of five bytes" Settings
            frame(SETTINGS, 0, 0, &[0; 5]) => Connection(SIZE);
        rfc9113_6_5_settings_ack_with_a_payload "SETTINGS ACK with a payload" Settings
            frame(SETTINGS, ACK, 0, &[0; 6]) => Connection(SIZE);
        rfc9113_6_5_2_an_unknown_setting "an unknown setting" Settings settings(&[(0xfafa, 7)]) => Fine;
        rfc9113_6_5_2_settings_of_extensions_that_are_not_supported "settings 0x8 and 0x9 with values that their own RFCs do not know" Settings
            settings(&[(8, 2), (9, 7), (8, u32::MAX), (9, u32::MAX)]) => Fine;
        p46_true_binary_metadata "the setting of true binary metadata" Settings settings(&[(0xfe03, 1)]) => Fine;
        rfc9113_6_5_2_enable_push_2 "ENABLE_PUSH 2" Settings settings(&[(2, 2)]) => Connection(PROTOCOL);
        rfc9113_6_5_2_initial_window_size_too_large "INITIAL_WINDOW_SIZE 2^31" Settings
            settings(&[(4, 1 << 31)]) => Connection(FLOW);
        rfc9113_6_5_2_max_frame_size_16_383 "MAX_FRAME_SIZE 16,383" Settings
            settings(&[(5, 16_383)]) => Connection(PROTOCOL);
        rfc9113_6_5_2_max_frame_size_0 "MAX_FRAME_SIZE 0" Settings settings(&[(5, 0)]) => Connection(PROTOCOL);
        rfc9113_6_5_2_max_frame_size_too_large "MAX_FRAME_SIZE 2^24" Settings
            settings(&[(5, 1 << 24)]) => Connection(PROTOCOL);
        rfc9113_6_5_2_max_frame_size_largest "MAX_FRAME_SIZE 2^24-1" Settings
            settings(&[(5, (1 << 24) - 1)]) => Fine;
        rfc9113_6_5_3_settings_are_acknowledged "SETTINGS" Settings settings(&[(1, 0)]) => Acknowledged(SETTINGS);
        rfc9113_6_5_3_settings_ack_that_nobody_waits_for "SETTINGS ACK that nobody waits for" Settings
            settings_ack() => Connection(PROTOCOL);
        rfc9113_6_7_ping_is_acknowledged "PING" Settings ping(b"question") => Acknowledged(PING);
        rfc9113_6_7_ping_on_a_stream "PING on a stream" Settings
            frame(PING, 0, 1, &[0; 8]) => Connection(PROTOCOL);
        rfc9113_6_7_ping_of_seven_bytes "PING of seven bytes" Settings
            frame(PING, 0, 0, &[0; 7]) => Connection(SIZE);
        rfc9113_6_7_ping_ack_that_nobody_waits_for "PING ACK that nobody waits for" Settings
            frame(PING, ACK, 0, &[0; 8]) => Fine;
        rfc9113_6_8_goaway_on_a_stream "GOAWAY on a stream" Settings
            frame(GOAWAY, 0, 1, &[0; 8]) => Connection(PROTOCOL);
        rfc9113_6_8_goaway_of_seven_bytes "GOAWAY of seven bytes" Settings
            frame(GOAWAY, 0, 0, &[0; 7]) => Connection(SIZE);
        rfc9113_6_8_goaway_that_takes_a_refusal_back "GOAWAY that takes a refusal back" Open
            [goaway(1, ErrorCode::NO_ERROR), goaway(3, ErrorCode::NO_ERROR)].concat() => Connection(PROTOCOL);
        rfc9113_6_9_window_update_of_0_on_the_connection "WINDOW_UPDATE of 0 on the connection" Settings
            update(0, 0) => Connection(PROTOCOL);
        rfc9113_6_9_window_update_of_0_on_a_stream "WINDOW_UPDATE of 0 on a stream" Open
            update(1, 0) => Stream(PROTOCOL);
        rfc9113_6_9_window_update_of_three_bytes "WINDOW_UPDATE of three bytes" Settings
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]) => Connection(SIZE);
        rfc9113_6_9_1_connection_window_too_large "a connection window over 2^31-1" Settings
            update(0, 0x7fff_ffff) => Connection(FLOW);
        rfc9113_6_9_1_stream_window_too_large "a stream window over 2^31-1" Open
            update(1, 0x7fff_ffff) => Stream(FLOW);
        rfc9113_6_9_1_stream_window_largest "a stream window of 2^31-1" Open
            update(1, 0x7fff_ffff - 65_535) => Fine;
        rfc9113_6_9_2_settings_make_a_window_too_large "SETTINGS that take a stream window over 2^31-1" Open
            [update(1, 1), settings(&[(4, 0x7fff_ffff)])].concat() => Connection(FLOW);
        rfc9113_6_9_2_settings_make_a_window_negative "SETTINGS that take a window below zero" Open
            settings(&[(4, 0)]) => Fine;
        rfc9113_6_10_continuation_without_headers "CONTINUATION without HEADERS" Open
            frame(CONTINUATION, END_HEADERS, 1, &[]) => Connection(PROTOCOL);
        rfc9113_6_10_continuation_on_another_stream "CONTINUATION on another stream" Open
            within_a_block(&frame(CONTINUATION, END_HEADERS, 3, &[])) => Connection(PROTOCOL);
        rfc9113_6_10_continuation_on_stream_0 "CONTINUATION on stream 0" Open
            within_a_block(&frame(CONTINUATION, END_HEADERS, 0, &[])) => Connection(PROTOCOL);
        rfc9113_7_rst_stream_with_an_unknown_code "RST_STREAM with an unknown code" Open
            reset(1, UNKNOWN) => Fine;
        rfc9113_8_4_push_promise "PUSH_PROMISE" Open
            frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]) => Connection(PROTOCOL);
        rfc9113_6_6_push_promise_on_stream_0 "PUSH_PROMISE on stream 0" Settings
            frame(PUSH_PROMISE, END_HEADERS, 0, &[0, 0, 0, 2]) => Connection(PROTOCOL);
        rfc9113_5_1_1_push_promise_of_a_clients_stream "PUSH_PROMISE of an odd stream" Open
            frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 3]) => Connection(PROTOCOL);
        rfc9113_6_6_push_promise_cut_short "PUSH_PROMISE of three bytes" Open
            frame(PUSH_PROMISE, END_HEADERS, 1, &[0; 3]) => Connection(PROTOCOL);
    }
}
