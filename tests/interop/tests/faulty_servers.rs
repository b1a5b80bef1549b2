//! The client passes a case only if everything in it held: servers with one fault each must fail the cases that the
//! fault affects, and no others.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use clap::ValueEnum;
use halfclose_interop::client::{Case, LoadSize, Soak, Target};
use halfclose_interop::messages::{
    Payload, SimpleRequest, SimpleResponse, StreamingInputCallResponse, StreamingOutputCallResponse,
};
use halfclose_interop::methods::{
    EMPTY_CALL, FULL_DUPLEX_CALL, STREAMING_INPUT_CALL, STREAMING_OUTPUT_CALL, UNARY_CALL,
    UNIMPLEMENTED_CALL, UNIMPLEMENTED_SERVICE_CALL,
};
use halfclose_interop::runtime::{Runtime, RuntimeName};
use halfclose_interop::service;
use halfclose_tokio::halfclose::Status;
use halfclose_tokio::{Method, Raw, Request, Response, Router};

const SOAK: Soak = Soak {
    iterations: 2,
    max_failures: 0,
    max_latency: Duration::from_secs(5),
    overall: Duration::from_secs(10),
    min_interval: Duration::ZERO,
    request_size: 10,
    response_size: 20,
};

/// Cases that are left out: against a faulty server the outcome of a deadline of one millisecond is a race, and a
/// thousand large calls are too many.
const LEFT_OUT: [Case; 2] = [Case::TimeoutOnSleepingServer, Case::ConcurrentLargeUnary];

/// Returns the names of the cases that fail against a server, of those that any good server passes.
fn failing(change: fn(Router) -> Router) -> BTreeSet<String> {
    let program = async |runtime: Runtime| {
        let host = "127.0.0.1".to_owned();
        let router = change(service::router(runtime.sleep));
        let serving = (runtime.serve)(host.clone(), 0, router, service::config(), None).await.unwrap();
        let target = Target {
            tls: None,
            host,
            port: serving.port,
            authority: None,
            runtime,
            soak: SOAK,
            load: LoadSize::default(),
            stream_window: None,
        };
        let mut failed = BTreeSet::new();
        // The cases after the soaks need a server of their own.
        for case in Case::value_variants().iter().take_while(|case| **case != Case::Goaway) {
            if !LEFT_OUT.contains(case) && case.run(&target).await.is_err() {
                failed.insert(case.name());
            }
        }
        failed
    };
    RuntimeName::Tokio.run(program).unwrap()
}

fn check(fault: &str, change: fn(Router) -> Router, wanted: &[&str]) {
    let wanted = wanted.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(failing(change), wanted, "{fault}");
}

fn sized(size: i32) -> Payload {
    Payload::zeros(usize::try_from(size).unwrap())
}

fn answer(payload: Payload) -> Result<Response<SimpleResponse>, Status> {
    Ok(Response::new(SimpleResponse { payload: Some(payload), ..SimpleResponse::default() }))
}

#[test]
fn no_fault_fails_no_case() {
    check("none", |router| router, &[]);
}

#[test]
fn faults_of_unary_calls() {
    let careless = |router: Router| {
        router.remove(UNARY_CALL.path()).unary(&UNARY_CALL, |call: Request<SimpleRequest>| async move {
            answer(sized(call.message.response_size))
        })
    };
    check(
        "asks for are ignored",
        careless,
        &[
            "client_compressed_unary",
            "server_compressed_unary",
            "custom_metadata",
            "status_code_and_message",
            "special_status_message",
        ],
    );

    const OF_PAYLOADS: [&str; 8] = [
        "large_unary",
        "client_compressed_unary",
        "server_compressed_unary",
        "custom_metadata",
        "status_code_and_message",
        "special_status_message",
        "rpc_soak",
        "channel_soak",
    ];
    let longer = |router: Router| {
        router.remove(UNARY_CALL.path()).unary(&UNARY_CALL, |call: Request<SimpleRequest>| async move {
            answer(sized(call.message.response_size + 1))
        })
    };
    check("a byte too many", longer, &OF_PAYLOADS);
    let ones = |router: Router| {
        router.remove(UNARY_CALL.path()).unary(&UNARY_CALL, |call: Request<SimpleRequest>| async move {
            let body = vec![1; usize::try_from(call.message.response_size).unwrap()].into();
            answer(Payload { r#type: 0, body })
        })
    };
    check("not zeros", ones, &OF_PAYLOADS);
    let typed = |router: Router| {
        router.remove(UNARY_CALL.path()).unary(&UNARY_CALL, |call: Request<SimpleRequest>| async move {
            answer(Payload { r#type: 1, ..sized(call.message.response_size) })
        })
    };
    check("another type", typed, &OF_PAYLOADS);
}

#[test]
fn faults_of_the_methods_that_do_nothing() {
    let loud = |router: Router| {
        let raw: Method<Bytes, Bytes, Raw> = Method::new(EMPTY_CALL.path());
        router
            .remove(raw.path())
            .unary(&raw, |_| async { Ok(Response::new(Bytes::from_static(b"\x78\x01"))) })
    };
    check("an unknown field in an empty message", loud, &["empty_unary"]);
    let there = |router: Router| {
        router
            .remove(UNIMPLEMENTED_CALL.path())
            .unary(&UNIMPLEMENTED_CALL, |call| async { Ok(Response::new(call.message)) })
            .remove(UNIMPLEMENTED_SERVICE_CALL.path())
            .unary(&UNIMPLEMENTED_SERVICE_CALL, |_| async { Err(Status::internal("not UNIMPLEMENTED")) })
    };
    check("implemented", there, &["unimplemented_method", "unimplemented_service"]);
}

#[test]
fn faults_of_uploads() {
    let careless = |router: Router| {
        router.remove(STREAMING_INPUT_CALL.path()).client_streaming(
            &STREAMING_INPUT_CALL,
            |mut call| async move {
                let mut total = 0;
                while let Some(request) = call.recv().await? {
                    total += request.payload.map_or(0, |payload| payload.body.len());
                }
                let total = i32::try_from(total).unwrap();
                Ok(call.send_and_close(StreamingInputCallResponse { aggregated_payload_size: total }))
            },
        )
    };
    check("compression is not checked", careless, &["client_compressed_streaming"]);
    let hasty = |router: Router| {
        router.remove(STREAMING_INPUT_CALL.path()).client_streaming(
            &STREAMING_INPUT_CALL,
            |call| async move {
                Ok(call.send_and_close(StreamingInputCallResponse { aggregated_payload_size: 74_922 }))
            },
        )
    };
    // It answers cancel_after_begin before that can cancel.
    let wanted = failing(hasty);
    assert!(wanted.contains("client_compressed_streaming"), "{wanted:?}");
}

#[test]
fn faults_of_downloads() {
    let extra = |router: Router| {
        router.remove(STREAMING_OUTPUT_CALL.path()).server_streaming(
            &STREAMING_OUTPUT_CALL,
            |request, mut call| async move {
                for parameters in &request.message.response_parameters {
                    let payload = Some(sized(parameters.size));
                    call.send(&StreamingOutputCallResponse { payload }).await?;
                }
                Ok(call.send(&StreamingOutputCallResponse::default()).await?)
            },
        )
    };
    check("one more", extra, &["server_streaming", "server_compressed_streaming"]);
    let fewer = |router: Router| {
        router.remove(STREAMING_OUTPUT_CALL.path()).server_streaming(
            &STREAMING_OUTPUT_CALL,
            |request, mut call| async move {
                for parameters in request.message.response_parameters.iter().skip(1) {
                    let payload = Some(sized(parameters.size));
                    call.send(&StreamingOutputCallResponse { payload }).await?;
                }
                Ok(())
            },
        )
    };
    check("one less", fewer, &["server_streaming", "server_compressed_streaming"]);
}

#[test]
fn faults_of_conversations() {
    let talkative = |router: Router| {
        router.remove(FULL_DUPLEX_CALL.path()).bidi_streaming(&FULL_DUPLEX_CALL, |mut call| async move {
            while let Some(request) = call.recv().await? {
                for parameters in &request.response_parameters {
                    let payload = Some(sized(parameters.size));
                    call.send(&StreamingOutputCallResponse { payload }).await?;
                }
            }
            Ok(call.send(&StreamingOutputCallResponse::default()).await?)
        })
    };
    check(
        "a response after the half-close",
        talkative,
        &["ping_pong", "empty_stream", "custom_metadata", "status_code_and_message"],
    );
    let absent = |router: Router| {
        router.remove(FULL_DUPLEX_CALL.path()).bidi_streaming(&FULL_DUPLEX_CALL, |_| async { Ok(()) })
    };
    check(
        "no response at all",
        absent,
        &["ping_pong", "custom_metadata", "status_code_and_message", "cancel_after_first_response"],
    );
}
