//! The regression gate: instructions, counted by valgrind's cachegrind, against the numbers in `baseline.txt`.
//!
//! `bench-gate` fails when a figure exceeds its number by more than the tolerance; `bench-gate --update` writes new
//! numbers. Time is never judged, because it depends on the machine more than on the code.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{Error, Result};
use std::process::{Command, ExitCode};

use clap::Parser;
use halfclose_bench::processes::{counted, sibling};

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.txt");

/// Compares instruction counts with the committed numbers.
#[derive(Parser)]
struct Options {
    /// How much a figure may exceed its number, in hundredths. Counts of one build agree within 0.1; another compiler
    /// changes them by a few.
    #[arg(long, default_value_t = 5)]
    tolerance: u64,
    /// Write the numbers instead.
    #[arg(long)]
    update: bool,
}

/// The figures: a name, a program, its arguments for a short and a long run, and the number of units by which these
/// differ.
const FIGURES: [(&str, &str, [&[&str]; 2], u64); 5] = [
    (
        "unary",
        "bench-mem",
        [&["--shape", "unary", "--rounds", "20"], &["--shape", "unary", "--rounds", "120"]],
        10_000,
    ),
    (
        "client-streaming",
        "bench-mem",
        [
            &["--shape", "client-streaming", "--rounds", "20"],
            &["--shape", "client-streaming", "--rounds", "120"],
        ],
        10_000,
    ),
    (
        "server-streaming",
        "bench-mem",
        [
            &["--shape", "server-streaming", "--rounds", "20"],
            &["--shape", "server-streaming", "--rounds", "120"],
        ],
        10_000,
    ),
    (
        "bidi",
        "bench-mem",
        [&["--shape", "bidi", "--rounds", "20"], &["--shape", "bidi", "--rounds", "120"]],
        10_000,
    ),
    // Three times 101 blocks a pass.
    ("grpc-header-block", "hpack-bench", [&["--count", "20"], &["--count", "120"]], 30_300),
];

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: valgrind is not installed");
        return Ok(ExitCode::SUCCESS);
    }
    let mut figures = Vec::new();
    for (name, program, [short, long], units) in FIGURES {
        let program = sibling(program)?;
        figures.push((name, (counted(&program, long)? - counted(&program, short)?) / units));
    }
    if options.update {
        let lines: String = figures.iter().map(|(name, count)| format!("{name} {count}\n")).collect();
        fs::write(BASELINE, lines)?;
        return Ok(ExitCode::SUCCESS);
    }
    let baseline = fs::read_to_string(BASELINE)?;
    let mut worse = false;
    for (name, count) in figures {
        let known =
            baseline.lines().filter_map(|line| line.split_once(' ')).find(|(known, _)| *known == name);
        let number = known.and_then(|(_, number)| number.parse::<u64>().ok());
        let Some(number) = number else { return Err(Error::other(format!("no number for {name}"))) };
        let limit = number + number * options.tolerance / 100;
        let verdict = if count > limit { "WORSE" } else { "ok" };
        worse |= count > limit;
        println!("{name}: {count} instructions, {number} committed, {limit} allowed: {verdict}");
    }
    Ok(if worse { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
