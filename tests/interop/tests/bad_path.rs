//! The core cases over a path that is long, slow, in pieces, stands still or is cut (`tests/relay`), on both runtimes.

use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;
use halfclose_interop::client::{Case, Failure, LoadSize, Soak, Target};
use halfclose_interop::runtime::{Runtime, RuntimeName, Serving};
use halfclose_interop::service;
use halfclose_relay::{Cut, CutKind, Path, Relay, Stalls};
use halfclose_tokio::halfclose::{Cause, Code};

/// More than any case takes on any of these paths, and more than the deadlines of its calls.
const LIMIT: Duration = Duration::from_secs(60);

const SOAK: Soak = Soak {
    iterations: 1,
    max_failures: 0,
    max_latency: LIMIT,
    overall: LIMIT,
    min_interval: Duration::ZERO,
    request_size: 10,
    response_size: 10,
};

/// The cases whose messages are some hundred kilobytes.
const LARGE: [Case; 4] =
    [Case::LargeUnary, Case::ClientCompressedUnary, Case::ServerCompressedUnary, Case::CustomMetadata];

fn core_cases() -> impl Iterator<Item = Case> {
    Case::value_variants().iter().copied().take_while(|case| *case != Case::ConcurrentLargeUnary)
}

async fn serve(runtime: Runtime) -> Serving {
    let router = service::router(runtime.sleep);
    let mut config = service::config();
    // A client whose path was closed looks like one that has only ended its side: complete requests go on for so long.
    config.limits.half_close_timeout = Duration::from_millis(500);
    (runtime.serve)("127.0.0.1".to_owned(), 0, router, config, None).await.unwrap()
}

async fn stop(runtime: Runtime, serving: Serving) {
    serving.shutdown.trigger();
    runtime.within(LIMIT, serving.served).await.expect("the server does not stop");
}

fn start(serving: &Serving, path: Path) -> Relay {
    Relay::start(SocketAddr::from(([127, 0, 0, 1], serving.port)), path).unwrap()
}

fn target(runtime: Runtime, relay: &Relay) -> Target {
    Target {
        tls: None,
        host: "127.0.0.1".to_owned(),
        port: relay.address().port(),
        authority: None,
        runtime,
        soak: SOAK,
        load: LoadSize::default(),
        stream_window: None,
    }
}

/// Every core case that `chosen` takes passes over a path.
fn all_pass(path: Path, chosen: fn(Case) -> bool) {
    for name in [RuntimeName::Tokio, RuntimeName::Smol] {
        name.run(async |runtime: Runtime| {
            let serving = serve(runtime).await;
            let relay = start(&serving, path);
            for case in core_cases().filter(|case| chosen(*case)) {
                let ended = runtime.within(LIMIT, case.run(&target(runtime, &relay))).await;
                let ended = ended.unwrap_or_else(|| panic!("{name:?}, {}: it hangs", case.name()));
                ended.unwrap_or_else(|failure| panic!("{name:?}, {}: {failure}", case.name()));
            }
            stop(runtime, serving).await;
        })
        .unwrap();
    }
}

#[test]
fn there_are_eighteen_core_cases() {
    assert_eq!(core_cases().count(), 18);
}

#[test]
fn over_a_long_path() {
    all_pass(Path::of_delay(Duration::from_millis(25)), |_| true);
}

#[test]
fn over_a_slow_path() {
    all_pass(Path { rate: Some(2_000_000), ..Path::of_delay(Duration::from_millis(2)) }, |_| true);
}

#[test]
fn byte_by_byte() {
    all_pass(Path { piece: Some(1), ..Path::default() }, |case| !LARGE.contains(&case));
}

#[test]
fn in_pieces_that_fit_no_frame() {
    all_pass(Path { piece: Some(97), ..Path::default() }, |case| LARGE.contains(&case));
}

#[test]
fn over_a_path_that_stands_still_now_and_then() {
    let stalls = Some(Stalls { every: 20_000, pause: Duration::from_millis(40) });
    all_pass(Path { stalls, seed: 7, ..Path::of_delay(Duration::from_millis(1)) }, |_| true);
}

/// Where nothing of a case was missing yet, it has passed.
fn is_cut(failure: &Failure) -> bool {
    match failure {
        Failure::Call { error, .. } => {
            error.code() == Code::Unavailable && matches!(error.cause(), Cause::Connection | Cause::NeverSent)
        }
        // A case that cancels compares the cause first.
        Failure::Check(text) => ["NeverSent", "Connection"]
            .iter()
            .any(|cause| *text == format!("what ended the call: got {cause}, want Cancelled")),
        // It was cut before the connection was there, in a message that was being sent, or behind the case.
        Failure::Connect { .. } | Failure::Send(_) | Failure::Connection(_) => true,
        _ => false,
    }
}

/// A path that is cut behind any byte: each call that was open ends with UNAVAILABLE because of its connection, on the
/// client's side. The server goes on, and has no handler left that keeps it from stopping.
fn each_call_ends(kind: CutKind) {
    for name in [RuntimeName::Tokio, RuntimeName::Smol] {
        name.run(async |runtime: Runtime| {
            let serving = serve(runtime).await;
            let mut cut = 0;
            for after in [0, 1, 23, 24, 40, 64, 100, 200, 400, 5_000, 50_000, 300_000] {
                let relay = start(&serving, Path { cut: Some(Cut { after, kind }), ..Path::default() });
                for case in core_cases() {
                    let what = format!("{name:?}, {}, {kind:?} after {after}", case.name());
                    let ended = runtime.within(LIMIT, case.run(&target(runtime, &relay))).await;
                    let ended = ended.unwrap_or_else(|| panic!("{what}: it hangs"));
                    if let Err(failure) = ended {
                        assert!(is_cut(&failure), "{what}: {failure}");
                        cut += 1;
                    }
                }
            }
            assert!(cut > 100, "{name:?}: only {cut} were cut");
            let direct = start(&serving, Path::default());
            Case::PingPong.run(&target(runtime, &direct)).await.unwrap();
            drop(direct);
            stop(runtime, serving).await;
        })
        .unwrap();
    }
}

#[test]
fn a_path_that_is_closed_ends_each_call() {
    each_call_ends(CutKind::Close);
}

#[test]
fn a_path_that_is_reset_ends_each_call() {
    each_call_ends(CutKind::Reset);
}
