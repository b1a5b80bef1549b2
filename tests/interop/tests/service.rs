//! Behaviour of the service that no case of the client checks.

use std::time::{Duration, Instant};

use halfclose_interop::messages::{
    BoolValue, EchoStatus, Empty, Payload, ResponseParameters, SimpleRequest, StreamingInputCallRequest,
    StreamingOutputCallRequest,
};
use halfclose_interop::methods::{
    CACHEABLE_UNARY_CALL, ECHO_INITIAL, ECHO_TRAILING, EMPTY_CALL, FULL_DUPLEX_CALL, HALF_DUPLEX_CALL,
    STREAMING_INPUT_CALL, STREAMING_OUTPUT_CALL, UNARY_CALL,
};
use halfclose_interop::runtime::{Runtime, RuntimeName};
use halfclose_interop::service;
use halfclose_tokio::halfclose::grpc::compress::Codecs;
use halfclose_tokio::{CallOptions, Channel, Code, Config, Metadata};

/// Runs a client on a fresh server, on each runtime.
fn with_server(body: impl AsyncFn(&Channel)) {
    with_client(&client_with(Codecs::builtin()), body);
}

fn client_with(codecs: Codecs) -> Config {
    let mut config = Config::client();
    config.codecs = codecs;
    config
}

fn with_client(config: &Config, body: impl AsyncFn(&Channel)) {
    for name in [RuntimeName::Tokio, RuntimeName::Smol] {
        let program = async |runtime: Runtime| {
            let host = || "127.0.0.1".to_owned();
            let router = service::router(runtime.sleep);
            let serving = (runtime.serve)(host(), 0, router, service::config(), None).await.unwrap();
            let connection = (runtime.connect)(host(), serving.port, config.clone(), None).await.unwrap();
            body(&connection.channel).await;
            drop(connection.channel);
            connection.driven.await.unwrap();
            serving.shutdown.trigger();
            serving.served.await;
        };
        name.run(program).unwrap();
    }
}

fn options() -> CallOptions {
    CallOptions::new().timeout(Duration::from_secs(20))
}

fn sized(size: i32) -> ResponseParameters {
    ResponseParameters { size, ..ResponseParameters::default() }
}

fn download(sizes: &[i32]) -> StreamingOutputCallRequest {
    let response_parameters = sizes.iter().map(|size| sized(*size)).collect();
    StreamingOutputCallRequest { response_parameters, ..Default::default() }
}

#[test]
fn initial_and_trailing_metadata_are_echoed_independently_of_each_other() {
    with_server(async |channel| {
        for (initial, trailing) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut metadata = Metadata::new();
            if initial {
                metadata.append(ECHO_INITIAL, "a").unwrap();
            }
            if trailing {
                metadata.append_bin(ECHO_TRAILING, b"\x00\xff").unwrap();
            }
            let wanted = SimpleRequest::default();
            let response = channel.unary(&UNARY_CALL, &wanted, options().metadata(metadata)).await.unwrap();
            assert_eq!(response.headers.get(ECHO_INITIAL), initial.then_some(&b"a"[..]));
            assert_eq!(response.trailers.get(ECHO_TRAILING), trailing.then_some(&b"\x00\xff"[..]));
        }
    });
}

#[test]
fn eight_kibibytes_of_metadata_are_echoed_in_either_place_beside_an_error_too() {
    with_server(async |channel| {
        let text = "x".repeat(8 * 1024);
        let bytes = vec![0xab; 6 * 1024];
        let mut initial = Metadata::new();
        initial.append(ECHO_INITIAL, &text).unwrap();
        let mut trailing = Metadata::new();
        trailing.append_bin(ECHO_TRAILING, &bytes).unwrap();

        let request = SimpleRequest::default();
        let response = channel.unary(&UNARY_CALL, &request, options().metadata(initial)).await.unwrap();
        assert_eq!(response.headers.get(ECHO_INITIAL), Some(text.as_bytes()));

        let response_status = Some(EchoStatus { code: 9, message: "m".into() });
        let request = SimpleRequest { response_status, ..SimpleRequest::default() };
        let error = channel.unary(&UNARY_CALL, &request, options().metadata(trailing)).await.unwrap_err();
        assert_eq!((error.code(), error.status().message()), (Code::FailedPrecondition, "m"));
        assert_eq!(error.trailers().get(ECHO_TRAILING), Some(&bytes[..]));
    });
}

#[test]
fn a_message_over_four_mebibytes_is_refused_and_one_of_that_size_is_not() {
    with_server(async |channel| {
        let limit = 4 << 20;
        // Tag and length of the payload (5) and of its body (5).
        for (bytes, code) in [(limit - 10, Code::Ok), (limit - 9, Code::ResourceExhausted)] {
            let payload = Some(Payload::zeros(bytes));
            let request = SimpleRequest { payload, ..SimpleRequest::default() };
            let result = channel.unary(&UNARY_CALL, &request, options()).await;
            assert_eq!(result.map_or_else(|error| error.code(), |_| Code::Ok), code, "{bytes}");
        }
    });
}

#[test]
fn missing_and_empty_payloads_count_as_no_bytes() {
    with_server(async |channel| {
        let mut call = channel.client_streaming(&STREAMING_INPUT_CALL, options()).unwrap();
        for payload in [None, Some(Payload::zeros(0)), Some(Payload::zeros(7))] {
            call.send(&StreamingInputCallRequest { payload, expect_compressed: None }).await.unwrap();
        }
        assert_eq!(call.close_and_recv().await.unwrap().message.aggregated_payload_size, 7);

        let call = channel.client_streaming(&STREAMING_INPUT_CALL, options()).unwrap();
        assert_eq!(call.close_and_recv().await.unwrap().message.aggregated_payload_size, 0);
    });
}

#[test]
fn the_interval_before_each_response_is_observed() {
    with_server(async |channel| {
        let mut request = download(&[1, 1, 1]);
        for parameters in &mut request.response_parameters {
            parameters.interval_us = 20_000;
        }
        let began = Instant::now();
        let mut call = channel.server_streaming(&STREAMING_OUTPUT_CALL, &request, options()).await.unwrap();
        for number in 1..=3 {
            assert!(call.recv().await.unwrap().is_some());
            assert!(began.elapsed() >= number * Duration::from_millis(20), "response {number}");
        }
        assert!(call.recv().await.unwrap().is_none());
    });
}

#[test]
fn half_duplex_answers_everything_after_the_half_close() {
    with_server(async |channel| {
        let mut call = channel.bidi_streaming(&HALF_DUPLEX_CALL, options()).unwrap();
        call.send(&download(&[1, 2])).await.unwrap();
        call.send(&download(&[3])).await.unwrap();
        // The answer shows that everything earlier on the connection has been handled.
        channel.unary(&EMPTY_CALL, &Empty {}, options()).await.unwrap();
        let (sender, mut receiver) = call.split();
        let mut first = Box::pin(receiver.recv());
        assert!(futures_util::poll!(&mut first).is_pending());
        sender.close_send().unwrap();
        let mut sizes = vec![first.await.unwrap()];
        while let Some(response) = receiver.recv().await.unwrap() {
            sizes.push(Some(response));
        }
        let sizes: Vec<_> = sizes.into_iter().flatten().map(|one| one.payload.unwrap().body.len()).collect();
        assert_eq!(sizes, [1, 2, 3]);
    });
}

#[test]
fn a_stream_ends_with_the_status_that_a_request_asks_for_after_the_responses_before_it() {
    with_server(async |channel| {
        let response_status = Some(EchoStatus { code: 11, message: "so far".into() });
        let last = StreamingOutputCallRequest { response_status, ..download(&[5]) };
        let mut call = channel.bidi_streaming(&FULL_DUPLEX_CALL, options()).unwrap();
        call.send(&download(&[4])).await.unwrap();
        call.send(&last).await.unwrap();
        assert_eq!(call.recv().await.unwrap().unwrap().payload.unwrap().body.len(), 4);
        let error = call.recv().await.unwrap_err();
        assert_eq!((error.code(), error.status().message()), (Code::OutOfRange, "so far"));

        let mut call = channel.server_streaming(&STREAMING_OUTPUT_CALL, &last, options()).await.unwrap();
        assert_eq!(call.recv().await.unwrap_err().code(), Code::OutOfRange);
    });
}

#[test]
fn a_compressed_response_is_refused_to_a_client_that_accepts_none() {
    with_client(&client_with(Codecs::none()), async |channel| {
        let yes = Some(BoolValue { value: true });
        let request = SimpleRequest { response_compressed: yes.clone(), ..SimpleRequest::default() };
        let error = channel.unary(&UNARY_CALL, &request, options()).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);

        let mut request = download(&[1]);
        request.response_parameters[0].compressed = yes;
        let mut call = channel.server_streaming(&STREAMING_OUTPUT_CALL, &request, options()).await.unwrap();
        assert_eq!(call.recv().await.unwrap_err().code(), Code::InvalidArgument);
    });
}

#[test]
fn a_cacheable_answer_says_for_how_long_and_differs_from_the_next() {
    with_server(async |channel| {
        let request = SimpleRequest::default();
        let first = channel.unary(&CACHEABLE_UNARY_CALL, &request, options()).await.unwrap();
        let second = channel.unary(&CACHEABLE_UNARY_CALL, &request, options()).await.unwrap();
        assert_eq!(first.headers.get_str("cache-control"), Some("max-age=60, public"));
        assert_ne!(first.message, second.message);
    });
}
