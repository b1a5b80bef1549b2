//! How the bytes arrive makes no difference: every case of every table, cut in two at every byte, has the same
//! result.

use halfclose::{CallType, Client, Config, Server};
use halfclose_conformance::memory::{App, InMemory, Memory, Trace};
use halfclose_conformance::{Caller, Case, Line, Transport};
use halfclose_wire::{
    PREFACE, REQUEST, RESPONSE, block, bytes_of, corpus, headers, json_files, settings, settings_ack,
};
use serde_json::Value;

use crate::tables::TABLES;

/// The length up to which bytes are cut everywhere; longer input is cut everywhere in its front, and then at
/// intervals.
const EVERYWHERE: usize = 1_000;
/// A prime, so that the cuts do not repeat a pattern of the input.
const STRIDE: usize = 1_009;

/// Returns the positions where input of this length is cut.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    (1..length).filter(move |at| length <= EVERYWHERE || *at < 30 || at % STRIDE == 0 || at + 10 > length)
}

/// Writes the bytes, cut at `at`.
fn write<R: App>(line: &mut Memory<R>, bytes: &[u8], at: usize) {
    let (front, back) = bytes.split_at(at);
    line.write_pieces(&[front, back]);
}

fn server(case: &Case, bytes: &[u8], at: usize) -> Trace {
    let mut line = InMemory::connect(&InMemory::serve(case.config(Config::server())));
    case.prepare_server(&mut line);
    write(&mut line, bytes, at);
    line.trace(None)
}

fn client(case: &Case, bytes: &[u8], at: usize) -> Trace {
    let mut client = InMemory::client(case.config(Config::client()));
    let call = case.prepare_client(&mut client);
    write(&mut client, bytes, at);
    client.trace(call.and_then(Result::ok))
}

/// Compares every cut of these bytes with the whole. Returns the number of cuts.
fn check(name: &str, bytes: &[u8], run: impl Fn(usize) -> Trace) -> usize {
    let whole = run(bytes.len());
    let mut count = 0;
    for at in cuts(bytes.len()) {
        assert_eq!(run(at), whole, "{name}, cut at byte {at} of {}", bytes.len());
        count += 1;
    }
    count
}

#[test]
fn every_case_cut_in_two_at_every_byte() {
    let mut count = 0;
    for table in TABLES {
        for case in table.rows.iter().map(|row| row()) {
            let bytes = (case.bytes)();
            if table.sides.contains(&"server") {
                count += check(case.name, &bytes, |at| server(&case, &bytes, at));
            }
            if table.sides.contains(&"client") {
                count += check(case.name, &bytes, |at| client(&case, &bytes, at));
            }
        }
    }
    println!("{count} cuts");
}

/// Creates a server with calls open on the streams that the corpus uses.
fn busy_server() -> Memory<Server> {
    let mut line = InMemory::connect(&InMemory::serve(Config::server()));
    let hello = [PREFACE, &settings(&[]), &settings_ack()].concat();
    let calls = (1..60).step_by(2).flat_map(|stream| headers(stream, 0, &block(&REQUEST)));
    line.write(&[hello, calls.collect()].concat());
    line
}

/// Creates a client with calls open on these streams, half of which have received response headers.
fn busy_client() -> Memory<Client> {
    let mut line = InMemory::client(Config::client());
    line.write(&[settings(&[]), settings_ack()].concat());
    for stream in (1..60).step_by(2) {
        line.start(CallType::BIDI, false).expect("a good request");
        if stream % 4 == 1 {
            line.write(&headers(stream, 0, &block(&RESPONSE)));
        }
    }
    line
}

#[test]
fn every_frame_of_the_corpus_cut_in_two_at_every_byte() {
    let Some(corpus) = corpus("http2-frame-test-case") else { return };
    let wire = |case: &Value| bytes_of(case["wire"].as_str().expect("hexadecimal digits"));
    let found: Vec<_> = json_files(&corpus).into_iter().map(|(name, case)| (name, wire(&case))).collect();
    assert!(found.len() >= 34, "{} cases", found.len());
    let mut count = 0;
    for (name, bytes) in &found {
        count += check(name, bytes, |at| {
            let mut line = busy_server();
            write(&mut line, bytes, at);
            line.trace(None)
        });
        count += check(name, bytes, |at| {
            let mut line = busy_client();
            write(&mut line, bytes, at);
            line.trace(None)
        });
    }
    println!("{} frames, {count} cuts", found.len());
}
