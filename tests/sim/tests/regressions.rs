//! What random programs once found, each as the smallest program that shows it.

use std::time::Duration;

use halfclose::CallType;
use halfclose_sim::{Call, Program, Send, Side, run};

const CLIENT: usize = Side::Client as usize;
const SERVER: usize = Side::Server as usize;

fn send(size: u32) -> Send {
    Send { delay: Duration::ZERO, size, compress: false }
}

/// Returns one call over a network with this latency that is otherwise perfect.
fn calm(latency: Duration) -> Program {
    let mut program = Program::from_bytes(&[]);
    program.net.latency = latency;
    program
}

fn call(program: &Program, call_type: CallType, requests: &[u32], responses: &[u32]) -> Call {
    let mut call = program.calls[0].clone();
    call.call_type = call_type;
    call.requests = requests.iter().copied().map(send).collect();
    call.answer.accept = Some(call_type);
    call.answer.responses = responses.iter().copied().map(send).collect();
    call.answer.wait = true;
    call
}

fn passes(program: &Program) {
    let report = run(program).unwrap_or_else(|breach| panic!("{breach:?}\n{program:#?}"));
    assert_eq!(report.completed, program.calls.len(), "every call completes: {report:?}");
}

/// Checks that what is sent before SETTINGS arrive is within the default window (RFC 9113 §6.9.3).
#[test]
fn a_smaller_window_holds_from_the_acknowledgement_on() {
    for window in [1, 4, 5, 1_000, 40_000, 65_534] {
        let mut program = calm(Duration::from_millis(10));
        program.tuning[SERVER].initial_window = window;
        program.calls = vec![call(&program, CallType::CLIENT_STREAMING, &[10, 60_000, 70_000, 3], &[1])];
        passes(&program);
    }
}

/// Checks that the peer's encoder uses the table of 4,096 bytes until it acknowledges SETTINGS (RFC 9113 §4.3.1).
#[test]
fn a_smaller_table_holds_from_the_acknowledgement_on() {
    for table in [0, 100, 16_384] {
        let mut program = calm(Duration::from_millis(10));
        program.tuning[SERVER].table = table;
        program.tuning[CLIENT].table = 4_096;
        let mut one = call(&program, CallType::UNARY, &[10], &[10]);
        one.metadata = 9;
        let mut late = one.clone();
        late.start = Duration::from_millis(100);
        program.calls = vec![one.clone(), one, late];
        passes(&program);
    }
}

/// Checks P-103 with a window that does not even hold a message's prefix.
#[test]
fn a_window_smaller_than_a_prefix_stalls_nobody() {
    for window in 1..6 {
        let mut program = calm(Duration::ZERO);
        for tuning in &mut program.tuning {
            tuning.initial_window = window;
            tuning.max_window = 0;
        }
        program.calls = vec![call(&program, CallType::BIDI, &[0, 3, 100_000], &[100_000, 0, 1])];
        passes(&program);
    }
}

/// Checks that the id is stale once the caller has seen the end, while the server's own answer is still in flight.
#[test]
fn an_id_is_stale_once_the_end_was_told() {
    let mut program = calm(Duration::from_millis(1));
    program.tuning[SERVER].max_receive = 100;
    let mut one = call(&program, CallType::CLIENT_STREAMING, &[10, 101, 7], &[1]);
    one.requests[1].delay = Duration::from_millis(50);
    program.calls = vec![one];
    let report = run(&program).unwrap_or_else(|breach| panic!("{breach:?}"));
    assert_eq!(report.completed, 0, "the library answers in the handler's place: {report:?}");
}

/// Checks that messages of calls that wait for a stream do not block those that have one, or both would wait for
/// ever.
#[test]
fn calls_that_wait_for_a_stream_do_not_fill_the_buffer_of_those_that_have_one() {
    let mut program = calm(Duration::from_millis(1));
    program.tuning[SERVER].max_streams = 1;
    program.tuning[CLIENT].memory = 0;
    let mut slow = call(&program, CallType::UNARY, &[94], &[1]);
    slow.requests[0].delay = Duration::from_millis(50);
    slow.start = Duration::from_millis(10);
    let mut eager = call(&program, CallType::UNARY, &[10], &[1]);
    eager.start = Duration::from_millis(20);
    program.calls = vec![slow, eager];
    passes(&program);
}

/// Checks that no message waits for the excess window of another stream, which may keep it for ever.
#[test]
fn a_stream_that_is_silent_keeps_nothing_that_another_waits_for() {
    for window in [1, 5, 200, 1_000] {
        let mut program = calm(Duration::from_millis(1));
        program.tuning[CLIENT].initial_window = window;
        program.tuning[CLIENT].max_window = 0;
        program.tuning[CLIENT].memory = 0;
        program.tuning[CLIENT].max_receive = 3_000;
        let mut pausing = call(&program, CallType::SERVER_STREAMING, &[1], &[7, 1_500, 7]);
        for response in &mut pausing.answer.responses[1..] {
            response.delay = Duration::from_millis(50);
        }
        let mut large = call(&program, CallType::SERVER_STREAMING, &[1], &[3_000]);
        large.start = Duration::from_millis(20);
        program.calls = vec![pausing, large];
        passes(&program);
    }
}

/// Checks that bytes dropped unread when a handler ends its call count as much as later ones (RFC 9113 §6.9.1).
#[test]
fn what_a_handler_leaves_unread_is_credited() {
    let mut program = calm(Duration::from_millis(1));
    program.tuning[SERVER].initial_window = 100;
    program.tuning[SERVER].max_window = 0;
    program.tuning[CLIENT].initial_window = 10;
    let mut one = call(&program, CallType::BIDI, &[80, 300], &[50]);
    // Not before the server's SETTINGS have arrived.
    one.start = Duration::from_millis(50);
    one.answer.wait = false;
    one.answer.read.delay = Duration::from_millis(500);
    one.answer.responses[0].delay = Duration::from_millis(100);
    // The status follows a message that its reader receives slowly.
    one.read.delay = Duration::from_millis(300);
    program.calls = vec![one];
    passes(&program);
}

/// Runs seeds that once failed for faults that no small program shows: among them a Writable after the end of a call,
/// calls left open at the end of the transport, and streams of one byte.
#[test]
fn seeds_that_once_failed_pass() {
    for seed in [
        2, 9, 24, 43, 59, 66, 79, 246, 353, 850, 1406, 1591, 2315, 27_320, 38_071, 79_263, 79_513, 95_943,
        207_579, 221_125,
    ] {
        run(&Program::from_seed(seed)).unwrap_or_else(|breach| panic!("seed {seed}: {breach:?}"));
    }
}
