//! Runs every comparison in one alternating run and prints the tables: `bench-table --rounds 7`.
//!
//! Servers are measured in turn (A B C A B C ...), pinned to core 0, the load to core 1; ratios are formed inside a
//! round, and medians are given with minimum and maximum. Instructions are counted by valgrind's cachegrind, as the
//! difference of two lengths of run. Everything has to be built with `--features peers` and `--release`.
//!
//! A part that fails prints what it has, and the others still run; the exit code reports the failure.
#![forbid(unsafe_code)]

use std::io::Result;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use halfclose_bench::bounds;
use halfclose_bench::comparison::Comparison;
use halfclose_bench::machine;
use halfclose_bench::parts::{
    Effort, client, cores, headers, instructions, long_path, memory, streaming, unary,
};

/// Every comparison in one alternating run.
#[derive(Parser)]
struct Options {
    /// Rounds of each comparison.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How much work a measurement is, in thousandths of the full measure.
    #[arg(long, default_value_t = 1000)]
    scale: u64,
    /// Only these parts; all of them by default.
    #[arg(long, value_enum)]
    part: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Part {
    Unary,
    Client,
    Large,
    Small,
    LongPath,
    Cores,
    Headers,
    Memory,
    Instructions,
}

impl Part {
    const fn title(self) -> &'static str {
        match self {
            Self::Unary => "Server, small unary calls, light client",
            Self::Client => "Client, small unary calls, halfclose's server",
            Self::Large => "64 KiB messages, both ends of one kind",
            Self::Small => "100 B messages",
            Self::LongPath => "Long path: what each receiver takes of 64 KiB messages, from halfclose",
            Self::Cores => "Two threads, small unary calls, light client",
            Self::Headers => "Header compression",
            Self::Memory => "Memory, growth of a fresh server's resident set",
            Self::Instructions => "Instructions, by cachegrind",
        }
    }

    fn run(self, effort: Effort, table: &mut Comparison) -> Result<()> {
        match self {
            Self::Unary => unary::run(effort, table),
            Self::Client => client::run(effort, table),
            Self::Large => streaming::large(effort, table),
            Self::Small => streaming::small(effort, table),
            Self::LongPath => long_path::measure(effort, table),
            Self::Cores => cores::run(effort, table),
            Self::Headers => headers::run(effort, table),
            Self::Memory => memory::run(effort, table),
            Self::Instructions => instructions::run(effort, table),
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let effort = Effort { rounds: options.rounds, scale: options.scale };
    println!(
        "{}; {} rounds at {}/1000 of the full work",
        machine::description(),
        effort.rounds,
        effort.scale
    );
    let mut tables = Vec::new();
    let mut failed = false;
    for part in Part::value_variants() {
        if !options.part.is_empty() && !options.part.contains(part) {
            continue;
        }
        let (start, mut table) = (Instant::now(), Comparison::new(part.title()));
        let result = part.run(effort, &mut table);
        table.print();
        tables.push(table);
        if let Err(error) = &result {
            println!("\n**Failed:** {error}");
            failed = true;
        }
        eprintln!("{part:?}: {:.0} s", start.elapsed().as_secs_f64());
    }
    bounds::print(&tables);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
