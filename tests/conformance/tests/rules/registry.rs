//! The rules of gRPC over HTTP/2 by their numbers, and the tests that check each.

/// A rule and its tests.
pub(crate) struct Rule {
    /// Its number.
    pub(crate) id: &'static str,
    /// A summary of the rule.
    pub(crate) what: &'static str,
    /// Prefixes of the names of further cases that check it, beside those that begin with its number.
    pub(crate) cases: &'static [&'static str],
    /// The other tests that check it: a file, and a function in it.
    pub(crate) tests: &'static [(&'static str, &'static str)],
    /// The reason why there is no test, or other remarks.
    pub(crate) note: &'static str,
}

impl Rule {
    /// Returns whether a test of this name checks the rule: `p7_…` checks P-7, `p70_p71_…` both.
    pub(crate) fn is_held_by(&self, name: &str) -> bool {
        let number = self.id.replace("P-", "p");
        let by_number = name.split('_').take_while(|part| is_number(part)).any(|part| part == number);
        by_number || self.cases.iter().any(|prefix| name.starts_with(prefix))
    }
}

/// Returns whether `part` is `p` and digits.
fn is_number(part: &str) -> bool {
    part.strip_prefix('p').is_some_and(|number| number.parse::<u16>().is_ok())
}

macro_rules! rules {
    ($($id:literal $what:literal [$($cases:literal),*] [$($file:ident :: $test:ident),*] $note:literal;)+) => {
        /// Every rule.
        pub(crate) const RULES: &[Rule] = &[ $( Rule {
            id: $id, what: $what, cases: &[ $($cases),* ], tests: &[ $( ($file, stringify!($test)) ),* ], note: $note,
        } ),+ ];
    };
}

const CLIENT: &str = "tests/conformance/tests/rules/grpc_client.rs";
const SERVER: &str = "tests/conformance/tests/rules/grpc_server.rs";
const CELLS: &str = "tests/conformance/tests/cells/main.rs";
const CALLS: &str = "core/tests/four_calls.rs";
const QUEUED: &str = "core/tests/queued_calls.rs";
const OUTCOMES: &str = "core/tests/outcomes.rs";
const REFUSED: &str = "core/tests/refused_requests.rs";
const SUBTYPES: &str = "core/tests/content_subtypes.rs";
const HANDLES: &str = "core/tests/typed_handles.rs";
const REQUEST: &str = "core/src/grpc/headers/request_tests.rs";
const RESPONSE: &str = "core/src/grpc/headers/response_tests.rs";
const WRITE: &str = "core/src/grpc/headers/write_tests.rs";
const METADATA: &str = "core/src/grpc/metadata/tests.rs";
const MESSAGE: &str = "core/src/grpc/message/tests.rs";
const COMPRESS: &str = "core/src/grpc/compress/tests.rs";
const STATUS: &str = "core/src/grpc/status.rs";
const TIMEOUT: &str = "core/src/grpc/timeout.rs";
const PERCENT: &str = "core/src/grpc/percent.rs";
const BASE64: &str = "core/src/grpc/base64.rs";
const AGENT: &str = "core/src/grpc/user_agent.rs";
const SECURITY: &str = "tests/security/tests/outcomes.rs";
const SIM: &str = "tests/sim/tests/programs.rs";
const EXHAUSTIVE: &str = "tests/sim/tests/exhaustive.rs";
const CUTS: &str = "tests/conformance/tests/rules/cuts.rs";
const CONNECTION: &str = "tests/conformance/tests/rules/connection.rs";

rules! {
    "P-1" "pseudo-header fields first, no other order enforced" ["rfc9113_8_3_"] [WRITE::a_request_in_its_order] "";
    "P-2" ":method is POST" [] [] "";
    "P-3" ":scheme by transport" [] [WRITE::a_request_in_its_order] "";
    "P-4" ":path is /service/method, case-sensitive" [] [REQUEST::paths_that_lead_nowhere_are_left_to_the_router] "Unknown methods are the router's to answer.";
    "P-5" "one authority; host stands in for it" [] [SERVER::p5_host_stands_in_for_the_authority, REQUEST::authority_and_host] "";
    "P-6" "te: trailers, lenient by default" [] [] "";
    "P-7" "grpc-timeout" [] [TIMEOUT::values_that_are_read, TIMEOUT::values_that_are_refused] "";
    "P-8" "content-type" [] [REFUSED::a_request_that_ends_well_is_forgotten, SUBTYPES::a_call_in_a_subtype_that_its_method_does_not_take_is_refused, SUBTYPES::a_response_in_a_subtype_that_the_call_does_not_take_ends_it] "";
    "P-9" "grpc-message-type is ignored" [] [] "";
    "P-10" "grpc-encoding" [] [SERVER::p10_the_list_of_encodings_comes_with_the_refusal_of_one] "";
    "P-11" "grpc-accept-encoding is remembered" [] [REQUEST::a_whole_request] "";
    "P-12" "user-agent" [] [AGENT::has_the_form_of_the_document] "";
    "P-13" "custom metadata" [] [METADATA::names, METADATA::received_fields] "";
    "P-14" "no hop-by-hop fields" ["rfc9113_8_2_2_"] [] "";
    "P-15" "the peer's header list limit" [] [QUEUED::a_request_over_the_peers_header_limit_lets_the_next_one_start, REQUEST::the_limit_at_its_edges, CONNECTION::p15_a_request_over_the_servers_header_limit_is_not_sent] "";
    "P-16" "no request trailers" ["rfc9113_8_1_trailers"] [] "";
    "P-17" "the half-close" [] [SERVER::p75_a_request_is_complete_with_its_half_close_only, CELLS::every_cell_does_what_its_row_says] "";
    "P-18" "stream ids" ["rfc9113_5_1_1_"] [] "";
    "P-19" "MAX_CONCURRENT_STREAMS" ["rfc9113_5_1_2_"] [QUEUED::calls_start_in_the_order_in_which_they_were_made] "";
    "P-20" "response headers" [] [SERVER::p33_headers_wait_for_the_first_message_and_trailers_for_the_last, RESPONSE::response_headers] "";
    "P-21" "trailers" [] [SERVER::p33_headers_wait_for_the_first_message_and_trailers_for_the_last, RESPONSE::details_and_metadata_of_trailers] "";
    "P-22" "Trailers-Only" [] [SERVER::p22_p44_a_status_at_once_is_trailers_only, CLIENT::p22_trailers_only_ends_the_call_in_one_block] "";
    "P-23" "Trailers-Only needs END_STREAM" [] [] "";
    "P-24" "1xx is skipped" [] [RESPONSE::interim_responses] "";
    "P-25" "no HEADERS in the middle of a response" [] [] "";
    "P-26" "a status is always made up" [] [CLIENT::p26_a_stream_that_ends_without_trailers_is_never_ok, CUTS::p26_answers_cut_at_every_byte] "";
    "P-27" "grpc-status that is none" [] [STATUS::wire_values_that_are_not_plain_codes] "";
    "P-28" "another content-type" [] [CLIENT::p28_another_content_type_is_unknown_and_its_text_is_kept, OUTCOMES::an_answer_that_is_not_grpcs_is_never_ok] "";
    "P-29" "grpc-status wins over the HTTP status" [] [] "";
    "P-30" "malformed -bin in an answer" [] [OUTCOMES::initial_metadata_that_cannot_be_kept_fails_the_call_whatever_the_trailers_say] "";
    "P-31" "the early end" [] [SERVER::p31_an_early_status_tells_the_client_to_stop, CLIENT::p31_p88_an_early_end_tells_the_server_that_nothing_more_comes, CALLS::early_status_stops_the_client] "";
    "P-32" "one head, one status" [] [CELLS::every_cell_does_what_its_row_says] "";
    "P-33" "response headers wait" [] [SERVER::p33_headers_wait_for_the_first_message_and_trailers_for_the_last] "";
    "P-40" "metadata names" ["rfc9113_8_2_"] [METADATA::names] "";
    "P-41" "reserved names" [] [METADATA::names] "";
    "P-42" "values that are not ASCII are taken" [] [METADATA::text_values] "";
    "P-43" "-bin values" [] [METADATA::binary_values_travel_in_base64, BASE64::vectors_of_rfc_4648] "";
    "P-44" "grpc-message is percent-encoded" [] [SERVER::p22_p44_a_status_at_once_is_trailers_only, PERCENT::arbitrary_bytes_decode, PERCENT::decoding_keeps_what_is_not_an_escape] "";
    "P-45" "header lists over the peer's limit" [] [WRITE::trailers_shrink_to_the_limit_one_part_after_the_other, RESPONSE::the_limit_at_its_edges] "";
    "P-46" "true binary metadata" [] [] "Optional, and not offered: its setting is ignored as any unknown one.";
    "P-50" "the compressed flag is 0 or 1" [] [] "";
    "P-51" "compressed without an encoding" [] [] "";
    "P-52" "an encoding without a codec" [] [] "";
    "P-53" "decompression fails" [] [] "";
    "P-54" "the receive limit" [] [CLIENT::p54_the_receive_limit_at_its_edge, COMPRESS::a_bomb_stops_at_the_limit, MESSAGE::a_promise_reserves_nothing] "";
    "P-55" "the send limit" [] [CONNECTION::p55_a_message_over_the_send_limit_is_misuse] "";
    "P-56" "a stream that ends in a message" [] [CLIENT::p26_a_stream_that_ends_without_trailers_is_never_ok, CUTS::p26_answers_cut_at_every_byte] "";
    "P-57" "uncompressed messages under an encoding" [] [] "";
    "P-58" "messages are compressed one by one" [] [COMPRESS::round_trip] "";
    "P-59" "messages have no relation to DATA frames" [] [MESSAGE::chunking_makes_no_difference, MESSAGE::byte_by_byte] "";
    "P-60" "only encodings that the client accepts" [] [CONNECTION::p60_a_server_compresses_only_what_its_client_accepts] "";
    "P-61" "empty messages" [] [COMPRESS::empty_messages] "";
    "P-70" "no response" [] [CLIENT::p70_p71_p74_one_response_means_one] "";
    "P-71" "two responses" [] [CLIENT::p70_p71_p74_one_response_means_one] "";
    "P-72" "no request" [] [SERVER::p72_p73_one_request_means_one] "";
    "P-73" "two requests" [] [SERVER::p72_p73_one_request_means_one] "";
    "P-74" "an error status wins over the count" [] [CLIENT::p70_p71_p74_one_response_means_one] "";
    "P-75" "a request is complete with its half-close" [] [SERVER::p75_a_request_is_complete_with_its_half_close_only, HANDLES::the_one_request_counts_only_with_the_half_close] "";
    "P-80" "half-close leaves the other half open" [] [CALLS::bidi_streaming_with_trailers, CELLS::every_cell_does_what_its_row_says] "";
    "P-81" "the server may end at any time" [] [CALLS::early_status_stops_the_client] "";
    "P-82" "frames after a cancel still count" [] [CONNECTION::p82_data_after_a_cancel_is_credited_and_its_headers_decoded] "";
    "P-83" "a cancel before HEADERS leaves nothing" [] [CLIENT::p83_a_call_cancelled_before_it_left_leaves_nothing] "";
    "P-84" "the client's deadline" [] [CLIENT::p84_the_deadline_ends_the_call_here, OUTCOMES::cancelled_after_our_own_deadline_is_deadline_exceeded] "";
    "P-85" "the deadline covers the wait" [] [QUEUED::the_deadline_covers_the_wait_for_a_stream] "";
    "P-86" "the server's deadline" [] [CONNECTION::p86_a_server_ends_a_call_at_its_deadline] "";
    "P-87" "one status, after every message" [] [SIM::random_programs_keep_every_property, EXHAUSTIVE::every_order_of_a_client_a_server_and_the_network_between] "";
    "P-88" "sending after the end" [] [CLIENT::p31_p88_an_early_end_tells_the_server_that_nothing_more_comes, HANDLES::an_order_for_a_call_that_the_peer_has_ended_is_misuse_and_its_message_is_kept] "";
    "P-89" "the first end wins" [] [CELLS::every_cell_does_what_its_row_says, EXHAUSTIVE::every_order_of_frames_and_orders_to_one_core] "";
    "P-90" "preface and SETTINGS first" ["rfc9113_3_4_"] [CONNECTION::p90_both_sides_speak_first] "";
    "P-91" "ALPN and prior knowledge" [] [] "TLS is not there yet; plaintext is HTTP/2 with prior knowledge.";
    "P-92" "TLS 1.2 and later" [] [] "TLS is not there yet.";
    "P-93" "GOAWAY received" ["rfc9113_6_8_"] [CONNECTION::p93_goaway_splits_calls_by_what_was_processed, OUTCOMES::the_end_of_the_transport_after_goaway_says_what_goaway_said] "";
    "P-94" "graceful shutdown" [] [CONNECTION::p94_a_server_shuts_down_in_two_steps, CALLS::graceful_shutdown_lets_calls_finish] "";
    "P-95" "PING is answered in the same turn" ["rfc9113_6_7_"] [CONNECTION::p95_a_ping_is_echoed] "";
    "P-96" "the client's keepalive" [] [CONNECTION::p96_p97_a_peer_that_does_not_answer_is_dead] "";
    "P-97" "the server's keepalive" [] [CONNECTION::p96_p97_a_peer_that_does_not_answer_is_dead] "";
    "P-98" "ping strikes" [] [SECURITY::a_server_under_attack] "";
    "P-99" "pings without data" [] [CONNECTION::p99_a_client_does_not_ping_without_end] "";
    "P-100" "idle and old connections" [] [CONNECTION::p100_idle_and_old_connections_shut_down] "";
    "P-101" "windows grow with use" [] [CONNECTION::p103_a_large_message_passes_a_small_window] "By what readers take, without probing PINGs: those count as strikes at strict peers.";
    "P-102" "one unread stream does not starve the others" [] [CONNECTION::p102_an_unread_stream_starves_nobody] "";
    "P-103" "messages larger than the window" [] [CONNECTION::p103_a_large_message_passes_a_small_window, CALLS::large_messages_pass_windows_both_ways] "";
    "P-104" "initial window changes" ["rfc9113_6_9_2_"] [SECURITY::a_server_under_attack, CONNECTION::p104_a_window_below_zero_is_filled_before_it_opens] "";
    "P-105" "connection errors end every call" [] [CONNECTION::p105_a_connection_error_ends_every_call, CUTS::p105_requests_cut_at_every_byte] "";
    "P-106" "limits on abuse" [] [SECURITY::a_server_under_attack, SECURITY::a_client_under_attack] "";
    "P-107" "no push" ["rfc9113_8_4_", "rfc9113_6_6_"] [CONNECTION::p107_a_client_says_that_it_takes_no_push] "";
    "P-108" "unknown frames, settings and flags" ["rfc9113_4_1_", "rfc9113_6_5_2_an_unknown", "rfc9113_7_"] [] "";
    "P-109" "MAX_CONCURRENT_STREAMS 0, then raised" [] [QUEUED::a_limit_of_no_streams_that_is_raised_later_starts_what_waits] "Scaling over several connections (A105) is above one connection.";
}
