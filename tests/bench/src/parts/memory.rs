//! What a fresh server keeps for connections and streams that do nothing.

use std::io::{Error, Result};
use std::thread;
use std::time::Duration;

use super::{Effort, SMOL, Server, TOKIO, TONIC};
use crate::comparison::Comparison;
use crate::cpu;
use crate::idle::Idle;

/// Memory differs little between rounds.
const ROUNDS: usize = 3;

/// Measures the part.
///
/// # Errors
///
/// If a program fails.
pub fn run(effort: Effort, table: &mut Comparison) -> Result<()> {
    for _ in 0..ROUNDS.min(effort.rounds) {
        for server in [TONIC, TOKIO, SMOL] {
            let connection = growth(server, 1000, 0)? / 1000.0;
            table.add("an idle connection (of 1,000)", server.name, connection, "KB");
            let stream = growth(server, 100, 100)? / 10_000.0;
            table.add("an idle stream of StreamingCall (of 10,000 on 100)", server.name, stream, "KB");
        }
    }
    Ok(())
}

/// Returns the growth in kilobytes.
fn growth(server: Server, connections: u32, streams: u32) -> Result<f64> {
    let serving = server.start()?;
    let resident = || cpu::resident(serving.process()).ok_or_else(|| Error::other("no resident set"));
    // One of them first, so that what only the first one causes is not counted.
    let _first = Idle::connect(serving.address(), streams)?;
    let before = resident()?;
    let _all =
        (0..connections).map(|_| Idle::connect(serving.address(), streams)).collect::<Result<Vec<_>>>()?;
    // Servers free memory after a time without activity, so the test waits first.
    thread::sleep(Duration::from_secs(3));
    Ok(resident()?.saturating_sub(before) as f64 / 1000.0)
}
