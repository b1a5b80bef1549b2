//! gRPC over HTTP/2: how a client handles a server's answers (P-20 to P-30, P-50 to P-61, P-70, P-71, P-74, P-93, and
//! the tables of HTTP statuses and reset codes).

use halfclose::Code;
use halfclose::frame::ErrorCode;
use halfclose_conformance::Expect::{Connection, Cut, Late, Status, Stream};
use halfclose_conformance::cases;
use halfclose_wire::{
    END_STREAM, RESPONSE, TRAILERS, TRAILERS_ONLY, block, data, flagged, goaway, headers, message, prefixed,
    reset, settings,
};

use crate::requests::compressed;

fn head() -> Vec<u8> {
    headers(1, 0, &block(&RESPONSE))
}

fn headers_with(name: &str, value: &str) -> Vec<u8> {
    headers(1, 0, &block(&[RESPONSE[0], RESPONSE[1], (name, value)]))
}

/// Returns trailers with these fields.
fn last(fields: &[(&str, &str)]) -> Vec<u8> {
    headers(1, END_STREAM, &block(fields))
}

fn trailers() -> Vec<u8> {
    last(&TRAILERS)
}

/// Returns Trailers-Only with this `:status` and no `grpc-status`, as proxies answer.
fn http(status: &str) -> Vec<u8> {
    last(&[(":status", status), ("content-type", "text/html")])
}

/// Returns Trailers-Only with this `grpc-status`.
fn grpc(status: &str) -> Vec<u8> {
    last(&[RESPONSE[0], RESPONSE[1], ("grpc-status", status)])
}

/// Returns one message.
fn one() -> Vec<u8> {
    data(1, 0, &message(b"whole"))
}

/// Returns response headers, these bytes as content, and trailers with status OK.
fn body(bytes: &[u8]) -> Vec<u8> {
    [head(), data(1, 0, bytes), trailers()].concat()
}

/// Returns the same under an encoding.
fn encoded(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    [headers_with("grpc-encoding", encoding), data(1, 0, bytes), trailers()].concat()
}

/// Returns a good response that is reset after its trailers.
fn whole_and(code: ErrorCode) -> Vec<u8> {
    [head(), one(), trailers(), reset(1, code)].concat()
}

cases! {
    /// Answers, and the status that a unary call ends with.
    answers of [client] {
        p20_p87_a_whole_response "a whole response" Incoming [head(), one(), trailers()].concat() => Status(Code::Ok);
        p21_details_and_metadata "trailers with a message, details and metadata" Incoming
            [head(), last(&[("grpc-status", "9"), ("grpc-message", "a%20b%zz"), ("grpc-status-details-bin", "CAk"), ("x", "y")])]
                .concat() => Status(Code::FailedPrecondition);
        p21_two_statuses "grpc-status twice, OK first" Incoming
            [head(), one(), last(&[("grpc-status", "0"), ("grpc-status", "13")])].concat() => Status(Code::Internal);
        p21_two_statuses_ok_last "grpc-status twice, OK last" Incoming
            [head(), one(), last(&[("grpc-status", "13"), ("grpc-status", "0")])].concat() => Status(Code::Internal);
        p21_one_status_twice "grpc-status twice, the same" Incoming
            [head(), one(), last(&[("grpc-status", "0"), ("grpc-status", "0")])].concat() => Status(Code::Ok);
        p22_trailers_only "Trailers-Only" Incoming last(&TRAILERS_ONLY) => Status(Code::NotFound);
        p23_a_status_in_response_headers "grpc-status in headers that do not end the stream" Incoming
            [headers_with("grpc-status", "5"), last(&[("grpc-status", "9")])].concat() => Status(Code::FailedPrecondition);
        p23_a_status_in_response_headers_and_none_in_trailers "grpc-status in headers, and END_STREAM on DATA" Incoming
            [headers_with("grpc-status", "5"), data(1, END_STREAM, &message(b"m"))].concat() => Status(Code::Internal);
        p24_interim_responses "100 and 103 before the answer" Incoming
            [headers(1, 0, &block(&[(":status", "100")])), headers(1, 0, &block(&[(":status", "103")])), last(&TRAILERS_ONLY)]
                .concat() => Status(Code::NotFound);
        p25_trailers_that_do_not_end_the_stream "trailers without END_STREAM" Incoming
            [head(), headers(1, 0, &block(&TRAILERS))].concat() => Stream(ErrorCode::PROTOCOL_ERROR);
        p26_no_trailers "END_STREAM on DATA" Incoming
            [head(), data(1, END_STREAM, &message(b"m"))].concat() => Status(Code::Internal);
        p26_no_trailers_and_no_message "END_STREAM on an empty DATA frame" Incoming
            [head(), data(1, END_STREAM, b"")].concat() => Status(Code::Internal);
        p26_trailers_without_a_status "trailers without grpc-status" Incoming
            [head(), one(), last(&[("x", "y")])].concat() => Status(Code::Unknown);
        p27_status_16 "grpc-status 16" Incoming grpc("16") => Status(Code::Unauthenticated);
        p27_status_17 "grpc-status 17" Incoming grpc("17") => Status(Code::Unknown);
        p27_a_large_status "grpc-status over 2^64" Incoming grpc("99999999999999999999") => Status(Code::Unknown);
        p27_a_word "grpc-status that is no number" Incoming grpc("x") => Status(Code::Unknown);
        p27_an_empty_status "an empty grpc-status" Incoming grpc("") => Status(Code::Unknown);
        p27_a_negative_status "grpc-status -1" Incoming grpc("-1") => Status(Code::Unknown);
        p28_another_type "content-type text/html" Incoming
            [headers(1, 0, &block(&[(":status", "200"), ("content-type", "text/html")])), data(1, END_STREAM, b"<h1>")]
                .concat() => Status(Code::Unknown);
        p28_two_types "content-type text/html and application/grpc" Incoming
            [headers(1, 0, &block(&[(":status", "200"), ("content-type", "text/html"), RESPONSE[1]])), one(), trailers()]
                .concat() => Status(Code::Unknown);
        p28_no_type "no content-type" Incoming
            [headers(1, 0, &block(&[(":status", "200")])), one(), trailers()].concat() => Status(Code::Unknown);
        p29_a_grpc_status_beside_an_http_status ":status 503 and grpc-status 7" Incoming
            last(&[(":status", "503"), ("content-type", "application/grpc"), ("grpc-status", "7")])
            => Status(Code::PermissionDenied);
        p30_no_base64_in_trailers "-bin in trailers that is no base64" Incoming
            [head(), one(), last(&[("grpc-status", "0"), ("x-bin", "a!b")])].concat() => Status(Code::Internal);
        p30_no_base64_in_headers "-bin in headers that is no base64" Incoming
            [headers_with("x-bin", "a!b"), one(), trailers()].concat() => Status(Code::Internal);
        p32_two_heads "response headers twice" Incoming [head(), head()].concat() => Stream(ErrorCode::PROTOCOL_ERROR);
        p30_no_base64_beside_an_error "-bin in trailers that is no base64, beside an error" Incoming
            [head(), one(), last(&[("grpc-status", "5"), ("x-bin", "a!b"), ("grpc-status-details-bin", "*")])].concat()
            => Status(Code::NotFound);
        p42_spaces_in_response_headers "response headers whose values begin or end with white space" Incoming
            [headers(1, 0, &block(&[RESPONSE[0], ("content-type", "application/grpc "), ("x", "\ta")])), one(), trailers()].concat()
            => Status(Code::Ok);
        p44_spaces_in_trailers "a status, message and metadata that begin or end with white space" Incoming
            [head(), one(), last(&[("grpc-status", "5 "), ("grpc-message", " no such thing "), ("x", "a\t")])].concat()
            => Status(Code::NotFound);
        p44_spaces_in_trailers_only "the same in Trailers-Only" Incoming
            last(&[RESPONSE[0], RESPONSE[1], ("grpc-status", "\t5"), ("grpc-message", " "), ("x", " a")]) => Status(Code::NotFound);
        p44_control_characters "control characters in grpc-message" Incoming
            [head(), one(), last(&[("grpc-status", "5"), ("grpc-message", "\u{1b}[31mred\u{7f}")])].concat()
            => Status(Code::NotFound);
        p45_trailers_over_the_limit "a header list over the limit" Incoming
            [head(), one(), last(&[&TRAILERS[..], &[("x", ""); 500]].concat())].concat()
            => Status(Code::ResourceExhausted);
        p50_flag_2 "flag 2" Incoming body(&flagged(2, b"m")) => Status(Code::Internal);
        p50_flag_255 "flag 255" Incoming body(&flagged(255, b"m")) => Status(Code::Internal);
        p51_compressed_without_an_encoding "a compressed message without grpc-encoding" Incoming
            body(&flagged(1, b"m")) => Status(Code::Internal);
        p52_an_unknown_encoding "a message compressed by snappy" Incoming
            encoded("snappy", &flagged(1, b"m")) => Status(Code::Internal);
        p52_two_encodings "grpc-encoding gzip and identity" Incoming
            [headers(1, 0, &block(&[RESPONSE[0], RESPONSE[1], ("grpc-encoding", "gzip"), ("grpc-encoding", "identity")])), one(), trailers()]
                .concat() => Status(Code::Internal);
        p53_no_gzip "a message that is not gzip" Incoming encoded("gzip", &flagged(1, b"no gzip")) => Status(Code::Internal);
        p54_a_message_over_the_limit "a message of 4 MiB and a byte, of which none came" Incoming
            body(&prefixed(0, (4 << 20) + 1, b"")) => Status(Code::ResourceExhausted);
        p54_a_message_that_grows_over_the_limit "a gzip message that is over the limit decompressed" Incoming
            encoded("gzip", &flagged(1, &compressed(&vec![0; (4 << 20) + 1]))) => Status(Code::ResourceExhausted);
        p58_a_compressed_message "a gzip message" Incoming encoded("gzip", &flagged(1, &compressed(b"m"))) => Status(Code::Ok);
        p56_a_message_cut_short "trailers within a message" Incoming body(&message(b"cut")[..6]) => Status(Code::Internal);
        p56_a_message_cut_short_by_the_end "END_STREAM within a message" Incoming
            [head(), data(1, END_STREAM, &message(b"cut")[..6])].concat() => Status(Code::Internal);
        p57_plain_under_an_encoding "a plain message under grpc-encoding gzip" Incoming
            encoded("gzip", &message(b"plain")) => Status(Code::Ok);
        p61_an_empty_compressed_message "no bytes that are said to be compressed" Incoming
            encoded("gzip", &flagged(1, b"")) => Status(Code::Ok);
        p70_no_response "status OK and no message" Incoming [head(), trailers()].concat() => Status(Code::Unimplemented);
        p70_no_response_in_trailers_only "Trailers-Only with status OK" Incoming grpc("0") => Status(Code::Unimplemented);
        p71_two_responses "status OK and two messages" Incoming
            body(&message(b"m").repeat(2)) => Status(Code::Unimplemented);
        p71_two_responses_by_the_other_policy "two messages, where the policy is INTERNAL" Incoming
            @(|config| config.cardinality = halfclose::CardinalityPolicy::Internal)
            body(&message(b"m").repeat(2)) => Status(Code::Internal);
        p80_messages_behind_the_half_close "a response to a request that has ended" HalfClosed
            [head(), one(), one(), trailers()].concat() => Status(Code::Ok);
        p81_a_status_before_the_half_close "Trailers-Only to a request that has not ended" Open
            last(&TRAILERS_ONLY) => Status(Code::NotFound);
        p74_an_error_behind_a_message "an error status behind a message" Incoming
            [head(), one(), last(&[("grpc-status", "5")])].concat() => Status(Code::NotFound);
        p89_a_reset_behind_the_trailers "RST_STREAM(NO_ERROR) behind the trailers" Incoming
            whole_and(ErrorCode::NO_ERROR) => Status(Code::Ok);
        p89_a_cancel_behind_the_trailers "RST_STREAM(CANCEL) behind the trailers" Incoming
            whole_and(ErrorCode::CANCEL) => Status(Code::Ok);
    }
}

cases! {
    /// HTTP statuses without `grpc-status`, and the gRPC status of each.
    http_statuses of [client] {
        p29_http_200 ":status 200" Incoming http("200") => Status(Code::Unknown);
        p29_http_400 ":status 400" Incoming http("400") => Status(Code::Internal);
        p29_http_401 ":status 401" Incoming http("401") => Status(Code::Unauthenticated);
        p29_http_403 ":status 403" Incoming http("403") => Status(Code::PermissionDenied);
        p29_http_404 ":status 404" Incoming http("404") => Status(Code::Unimplemented);
        p29_http_409 ":status 409" Incoming http("409") => Status(Code::Unknown);
        p29_http_415 ":status 415" Incoming http("415") => Status(Code::Unknown);
        p29_http_412 ":status 412" Incoming http("412") => Status(Code::Unknown);
        p29_http_413 ":status 413" Incoming http("413") => Status(Code::Unknown);
        p29_http_418 ":status 418" Incoming http("418") => Status(Code::Unknown);
        p29_http_429 ":status 429" Incoming http("429") => Status(Code::Unavailable);
        p29_http_431 ":status 431" Incoming http("431") => Status(Code::Unknown);
        p29_http_502 ":status 502" Incoming http("502") => Status(Code::Unavailable);
        p29_http_503 ":status 503" Incoming http("503") => Status(Code::Unavailable);
        p29_http_504 ":status 504" Incoming http("504") => Status(Code::Unavailable);
        p29_http_505 ":status 505" Incoming http("505") => Status(Code::Unknown);
        p29_http_800 ":status 800" Incoming http("800") => Status(Code::Unknown);
    }
}

cases! {
    /// RST_STREAM, and the gRPC status of each code.
    resets of [client] {
        grpc_errors_no_error "RST_STREAM(NO_ERROR) in the place of trailers" Incoming
            [head(), one(), reset(1, ErrorCode::NO_ERROR)].concat() => Status(Code::Internal);
        grpc_errors_protocol_error "RST_STREAM(PROTOCOL_ERROR)" Incoming reset(1, ErrorCode::PROTOCOL_ERROR) => Status(Code::Internal);
        grpc_errors_internal_error "RST_STREAM(INTERNAL_ERROR)" Incoming reset(1, ErrorCode::INTERNAL_ERROR) => Status(Code::Internal);
        grpc_errors_flow_control_error "RST_STREAM(FLOW_CONTROL_ERROR)" Incoming
            reset(1, ErrorCode::FLOW_CONTROL_ERROR) => Status(Code::Internal);
        grpc_errors_stream_closed "RST_STREAM(STREAM_CLOSED)" Incoming reset(1, ErrorCode::STREAM_CLOSED) => Status(Code::Internal);
        grpc_errors_frame_size_error "RST_STREAM(FRAME_SIZE_ERROR)" Incoming
            reset(1, ErrorCode::FRAME_SIZE_ERROR) => Status(Code::Internal);
        grpc_errors_refused_stream "RST_STREAM(REFUSED_STREAM)" Incoming
            reset(1, ErrorCode::REFUSED_STREAM) => Status(Code::Unavailable);
        grpc_errors_cancel "RST_STREAM(CANCEL)" Incoming reset(1, ErrorCode::CANCEL) => Status(Code::Cancelled);
        grpc_errors_enhance_your_calm "RST_STREAM(ENHANCE_YOUR_CALM)" Incoming
            reset(1, ErrorCode::ENHANCE_YOUR_CALM) => Status(Code::ResourceExhausted);
        grpc_errors_inadequate_security "RST_STREAM(INADEQUATE_SECURITY)" Incoming
            reset(1, ErrorCode::INADEQUATE_SECURITY) => Status(Code::PermissionDenied);
        grpc_errors_http_1_1_required "RST_STREAM(HTTP_1_1_REQUIRED)" Incoming
            reset(1, ErrorCode::HTTP_1_1_REQUIRED) => Status(Code::Internal);
        grpc_errors_unknown_code "RST_STREAM with an unknown code" Incoming reset(1, ErrorCode(0xdead)) => Status(Code::Unknown);
    }
}

cases! {
    /// Servers that let a call wait for ever; its deadline ends it.
    waits of [client] {
        p84_silence "nothing" Timed Vec::new() => Late(Some(ErrorCode::CANCEL));
        p84_headers_and_then_silence "response headers, and nothing more" Timed head() => Late(Some(ErrorCode::CANCEL));
        p84_half_a_message "response headers and half a message" Timed
            [head(), data(1, 0, &message(b"half of it")[..9])].concat() => Late(Some(ErrorCode::CANCEL));
        p84_interim_responses_only "100, again and again" Timed
            headers(1, 0, &block(&[(":status", "100")])).repeat(20) => Late(Some(ErrorCode::CANCEL));
        p84_no_window "INITIAL_WINDOW_SIZE 0, and no window ever" Settings settings(&[(4, 0)]) => Late(Some(ErrorCode::CANCEL));
        p85_no_stream "MAX_CONCURRENT_STREAMS 0" Settings settings(&[(3, 0)]) => Late(None);
    }
}

cases! {
    /// The connection ends before the call: never OK, never a hang.
    cuts of [client] {
        p26_cut_before_the_answer "nothing" Incoming Vec::new() => Cut(Code::Unavailable);
        p26_cut_within_a_frame "response headers, and half of a DATA frame" Incoming
            [head(), one()[..11].to_vec()].concat() => Cut(Code::Unavailable);
        p26_cut_within_the_trailers "all but the last byte of a response" Incoming
            { let mut bytes = [head(), one(), trailers()].concat(); bytes.pop(); bytes } => Cut(Code::Unavailable);
        p26_cut_before_the_trailers "a message and no trailers" Incoming [head(), one()].concat() => Cut(Code::Unavailable);
        p93_goaway_that_leaves_the_call_out "GOAWAY that names no call" Incoming
            goaway(0, ErrorCode::NO_ERROR) => Cut(Code::Unavailable);
        p93_goaway_and_the_end "GOAWAY that names the call, and the end of the connection" Incoming
            goaway(1, ErrorCode::NO_ERROR) => Cut(Code::Unavailable);
        p93_goaway_and_the_answer "GOAWAY, and then the whole answer" Incoming
            [goaway(1, ErrorCode::NO_ERROR), head(), one(), trailers()].concat() => Cut(Code::Ok);
        p93_goaway_with_an_error "GOAWAY(ENHANCE_YOUR_CALM) that names no call" Incoming
            goaway(0, ErrorCode::ENHANCE_YOUR_CALM) => Cut(Code::Unavailable);
        p105_a_connection_error "a frame that is wrong, behind half of an answer" Incoming
            [head(), data(0, 0, b"x")].concat() => Connection(ErrorCode::PROTOCOL_ERROR);
    }
}
