//! Long campaigns:
//!
//! * `cargo run --release -p halfclose-sim -- --programs 100000 [--from SEED] [--twice]`: random programs,
//! * `cargo run --release -p halfclose-sim -- --exhaustive DEPTH [--messages N]`: every order of inputs,
//! * `cargo run --release -p halfclose-sim -- --pipes N [--from SEED]`: two busy ends over pipes of a few bytes,
//! * `cargo run --release -p halfclose-sim -- --driven N [--from SEED] [--twice]`: the same through the drivers.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use halfclose_sim::exhaust::{SHAPES, one, pair};
use halfclose_sim::{Program, Side, pipes, run};

/// Failures that are printed in full.
const MOST_SHOWN: usize = 10;

/// The longest sequences to one core, by [`Side::index`]. These are played one by one, so a depth that the product
/// reaches easily would take days.
const DEEPEST: [usize; 2] = [5, 8];

fn argument(name: &str) -> Option<u64> {
    let mut arguments = std::env::args();
    arguments.find(|argument| argument == name)?;
    arguments.next()?.parse().ok()
}

fn exhaustive(depth: usize) -> ExitCode {
    let messages = argument("--messages").and_then(|it| usize::try_from(it).ok()).unwrap_or(1);
    for side in Side::BOTH {
        for call_type in SHAPES {
            let started = Instant::now();
            match one::enumerate(side, call_type, depth.min(DEEPEST[side.index()])) {
                Ok(count) => println!(
                    "one {side:?}, {call_type:?}: {} sequences played, {} of them extended, depth {}, {:.1} s",
                    count.sequences,
                    count.states,
                    count.depth,
                    started.elapsed().as_secs_f64()
                ),
                Err((breach, sequence)) => {
                    println!("FAILED {side:?} {call_type:?}: {breach:?}\n{sequence:?}");
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    for call_type in SHAPES {
        let started = Instant::now();
        match pair::enumerate(call_type, messages, depth) {
            Ok(count) => println!(
                "client x server x network, {call_type:?}, {messages} messages: {} sequences, {} states, depth {}, \
                 complete: {}, {:.1} s",
                count.sequences,
                count.states,
                count.depth,
                count.complete,
                started.elapsed().as_secs_f64()
            ),
            Err((breach, sequence)) => {
                println!("FAILED {call_type:?}: {breach:?}\n{sequence:?}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn narrow_pipes(count: u64) -> ExitCode {
    let from = argument("--from").unwrap_or(0);
    let started = Instant::now();
    let (mut turns, mut messages, mut whole, mut cut) = (0, 0, 0, 0);
    for seed in from..from + count {
        match pipes::run(&pipes::Plan::from_seed(seed)) {
            Ok(outcome) => {
                turns += outcome.turns;
                messages += outcome.client.messages + outcome.server.messages;
                whole += outcome.client.whole;
                cut += outcome.client.cut;
            }
            Err(breach) => {
                println!("FAILED seed {seed}: {breach:?}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!(
        "{count} plans from seed {from}: {whole} calls whole, {cut} cut, {messages} messages, {turns} turns in {:.1} s; \
         nobody stood still",
        started.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}

fn driven(count: u64) -> ExitCode {
    let from = argument("--from").unwrap_or(0);
    let twice = std::env::args().any(|argument| argument == "--twice");
    let started = Instant::now();
    let mut all = halfclose_sim::driven::DrivenOutcome::default();
    for seed in from..from + count {
        let plan = halfclose_sim::driven::plan(seed);
        match halfclose_sim::driven::run(&plan) {
            Ok(outcome) => {
                if twice && halfclose_sim::driven::run(&plan).as_ref() != Ok(&outcome) {
                    println!("FAILED seed {seed}: another outcome the second time");
                    return ExitCode::FAILURE;
                }
                all.whole += outcome.whole;
                all.cut += outcome.cut;
                all.messages += outcome.messages;
                all.polls += outcome.polls;
            }
            Err(what) => {
                println!("FAILED seed {seed}: {what}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!(
        "{count} programs through both drivers from seed {from}: {} calls whole, {} cut, {} messages, {} polls in \
         {:.1} s; no property failed",
        all.whole,
        all.cut,
        all.messages,
        all.polls,
        started.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}

fn main() -> ExitCode {
    if let Some(count) = argument("--driven") {
        return driven(count);
    }
    if let Some(count) = argument("--pipes") {
        return narrow_pipes(count);
    }
    if let Some(depth) = argument("--exhaustive") {
        return exhaustive(usize::try_from(depth).unwrap_or(usize::MAX));
    }
    let programs = argument("--programs").unwrap_or(100_000);
    let from = argument("--from").unwrap_or(0);
    let twice = std::env::args().any(|argument| argument == "--twice");
    let started = Instant::now();
    let (mut calls, mut completed, mut messages, mut frames, mut bytes) = (0, 0, 0, 0, 0);
    let mut span = std::time::Duration::ZERO;
    let mut failures: BTreeMap<&'static str, Vec<(u64, String)>> = BTreeMap::new();
    for seed in from..from + programs {
        let program = Program::from_seed(seed);
        match run(&program) {
            Ok(report) => {
                calls += report.calls;
                completed += report.completed;
                messages += report.messages;
                frames += report.frames;
                bytes += report.bytes;
                span += report.span;
                if twice && run(&program).as_ref() != Ok(&report) {
                    failures.entry("same seed, same bytes").or_default().push((seed, String::new()));
                }
            }
            Err(breach) => failures.entry(breach.property).or_default().push((seed, breach.detail)),
        }
    }
    println!(
        "{programs} programs from seed {from}: {calls} calls, {completed} completed as ordered, {messages} messages, \
         {frames} frames, {bytes} bytes, {} hours of virtual time in {:.1} s",
        span.as_secs() / 3600,
        started.elapsed().as_secs_f64()
    );
    for (property, seeds) in &failures {
        let first = seeds.first().map_or(0, |(seed, _)| seed - from + 1);
        println!("FAILED {property}: {} programs, the first is number {first}", seeds.len());
        for (seed, detail) in seeds.iter().take(MOST_SHOWN) {
            println!("  seed {seed}: {detail:.600}");
        }
    }
    if failures.is_empty() {
        println!("no property failed");
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}
