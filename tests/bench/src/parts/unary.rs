//! Small unary calls by the light client: the server's CPU time a call, and latencies.

use std::io::Result;

use super::{Effort, FLOOR, H2, SMOL, Server, TOKIO, TONIC, arguments, measure, micros_each};
use crate::comparison::Comparison;
use crate::processes::{LOAD_CORE, load};

/// Connections, calls open on each, and calls in all.
const LOADS: [(u64, u64, u64); 4] = [(1, 100, 300_000), (10, 100, 300_000), (1, 10, 150_000), (1, 1, 30_000)];

/// Measures the part.
///
/// # Errors
///
/// If a program fails.
pub fn run(effort: Effort, table: &mut Comparison) -> Result<()> {
    for (conns, streams, requests) in LOADS {
        let requests = effort.of(requests, 1000);
        for _ in 0..effort.rounds {
            for server in [TONIC, TOKIO, SMOL, H2, FLOOR] {
                visit(server, (conns, streams, requests), table)?;
            }
        }
    }
    Ok(())
}

fn visit(server: Server, (conns, streams, requests): (u64, u64, u64), table: &mut Comparison) -> Result<()> {
    let one_at_a_time = conns * streams == 1;
    let serving = server.start()?;
    let mut pairs = vec![
        ("conns", conns.to_string()),
        ("streams", streams.to_string()),
        ("requests", requests.to_string()),
    ];
    if one_at_a_time {
        pairs.push(("pingpong", String::new()));
    }
    let (used, report) = measure(&serving, || load(server.load, &arguments(&serving, &pairs), LOAD_CORE))?;
    let what = format!("CPU per call, {conns}x{streams}");
    table.add(&what, server.name, micros_each(used, requests), "us");
    if one_at_a_time {
        table.add("p50, one call at a time", server.name, report.get("p50_us")?, "us");
        table.add("p99, one call at a time", server.name, report.get("p99_us")?, "us");
    }
    Ok(())
}
