//! Small unary calls by each client against one server: the client's CPU time a call.

use std::io::Result;

use super::{CLIENTS, Effort, TOKIO};
use crate::comparison::Comparison;

/// The mode of the clients, calls open at once, and calls in all.
const LOADS: [(&str, u64, u64); 3] =
    [("unary", 100, 200_000), ("unary", 10, 100_000), ("pingpong", 1, 30_000)];

/// Measures the part.
///
/// # Errors
///
/// If a program fails.
pub fn run(effort: Effort, table: &mut Comparison) -> Result<()> {
    for (mode, streams, requests) in LOADS {
        let pairs = [
            ("mode", mode.to_owned()),
            ("streams", streams.to_string()),
            ("requests", effort.of(requests, 1000).to_string()),
        ];
        for _ in 0..effort.rounds {
            for client in CLIENTS {
                let report = client.run(&TOKIO.start()?, &pairs)?;
                let what = format!("client CPU per call, 1x{streams}");
                table.add(&what, client.name, report.get("client_cpu_us")?, "us");
                if mode == "pingpong" {
                    table.add("p50, each its own client", client.name, report.get("p50_us")?, "us");
                }
            }
        }
    }
    Ok(())
}
