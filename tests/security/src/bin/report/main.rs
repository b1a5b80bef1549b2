//! Prints docs/attacks.md: the result of each attack, over TCP on both runtimes and in memory, and its cost.
//!
//! `cargo run --release -p halfclose-security --bin report > docs/attacks.md`, on a machine that does nothing else.
//! With words as arguments, as in `… --bin report honest bombs`, only the rows whose name contains one of them.
#![forbid(unsafe_code)]

mod child;
mod in_memory;
mod sockets;

use std::process::{Command, ExitCode};

use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Returns whether the row of this name is selected.
fn wanted(name: &str) -> bool {
    let mut words = std::env::args().skip(1).peekable();
    words.peek().is_none() || words.any(|word| name.contains(&word))
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// Describes the processor, and how many other tasks wanted it at the start.
fn machine() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{cores} cores, {}; load average {load} at the start",
        model.map_or("unknown", |(_, model)| model)
    )
}

const HEAD: &str = "\
# Attacks

Printed by `cargo run --release -p halfclose-security --bin report`; limits and outcomes are explained in
[limits.md](limits.md). `cargo test -p halfclose-security` holds every outcome, the bounds of memory and the bounds of
the work in one turn.

A server must stay with its outcome, and calls of another client must take less than 100 ms meanwhile.
";

fn main() -> ExitCode {
    if child::is_child() {
        return ExitCode::SUCCESS;
    }
    println!("{HEAD}\nMeasured on {} ({}).", output("date", &["-u", "+%F"]), machine());
    let over_tcp = sockets::report();
    let in_memory = in_memory::report();
    if over_tcp && in_memory { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
