//! User-space instructions of a call, by valgrind's cachegrind: the difference of two lengths of run.

use std::fs;
use std::io::Result;
use std::path::Path;
use std::process::Command;

use super::{Effort, H2, SMOL, Server, TOKIO, TONIC, arguments};
use crate::comparison::Comparison;
use crate::externals;
use crate::processes::{LOAD_CORE, Report, Serving, counted, instructions, load, output, sibling};
use crate::service::UNARY_CALL;

const UNIT: &str = "instructions";

/// Measures the part. Counts of one build agree within a thousandth, so there are no rounds.
///
/// # Errors
///
/// If a program fails, or valgrind is missing.
pub fn run(_: Effort, table: &mut Comparison) -> Result<()> {
    in_memory(table)?;
    for (streams, calls) in [(100, 10_000), (1, 2_000)] {
        for server in [TONIC, TOKIO, SMOL, H2] {
            let [short, long] = [calls, 3 * calls].map(|calls| server_instructions(server, streams, calls));
            let each = (long? - short?) as f64 / (2 * calls) as f64;
            table.add(&format!("server, {UNARY_CALL}, 1x{streams}"), server.name, each, UNIT);
        }
    }
    Ok(())
}

/// Measures client and server in one thread, with 100 calls open.
fn in_memory(table: &mut Comparison) -> Result<()> {
    let bench = sibling("bench-mem")?;
    for shape in ["unary", "client-streaming", "server-streaming", "bidi"] {
        let what = format!("in memory, both sides, {shape}");
        table.add(&what, "halfclose", per_call(&bench, &["--shape", shape, "--rounds"], [100, 300])?, UNIT);
        let report = Report::new(output(Command::new(&bench).args(["--shape", shape]))?);
        let allocations = report.get("allocations_per_rpc")?;
        table.add(&format!("allocations, {shape}"), "halfclose", allocations, "a call");
    }
    let what = "in memory, both sides, unary";
    let peers = sibling("peer-mem")?;
    for kind in ["h2", "tonic"] {
        table.add(what, kind, per_call(&peers, &["--kind", kind, "--rounds"], [20, 60])?, UNIT);
    }
    if let Some(nghttp2) = externals::nghttp2()? {
        table.add(what, "nghttp2", per_call(&nghttp2, &["calls"], [100, 300])?, UNIT);
    }
    Ok(())
}

/// Returns the instructions per call of a program whose last argument is the number of rounds of 100 calls.
fn per_call(program: &Path, arguments: &[&str], rounds: [u32; 2]) -> Result<f64> {
    let [short, long] = rounds.map(|rounds| {
        let rounds = rounds.to_string();
        let mut arguments = arguments.to_vec();
        arguments.push(&rounds);
        counted(program, &arguments)
    });
    let [few, many] = rounds;
    Ok((long? - short?) as f64 / f64::from(100 * (many - few)))
}

fn server_instructions(server: Server, streams: u64, calls: u64) -> Result<u64> {
    let log = std::env::temp_dir().join(format!("halfclose-bench-{}.log", std::process::id()));
    let serving = Serving::start_counted(server.program, server.arguments, &log)?;
    let pairs = [("streams", streams.to_string()), ("requests", calls.to_string())];
    load(server.load, &arguments(&serving, &pairs), LOAD_CORE)?;
    serving.terminate()?;
    let counted = instructions(&fs::read_to_string(&log)?);
    fs::remove_file(&log)?;
    counted
}
