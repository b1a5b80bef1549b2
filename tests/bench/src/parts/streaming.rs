//! Streams of large and of small messages: the CPU time of both ends.

use std::io::Result;

use super::{CLIENTS, Client, Effort, SMOL, Server, TOKIO, TONIC, measure};
use crate::comparison::Comparison;

const LARGE: u64 = 64 * 1024;
const SMALL: u64 = 100;
/// The most messages in flight on a stream in both directions.
const WINDOW: u64 = 64;

/// Server and client of one kind.
const PAIRS: [(Server, Client); 3] = [(TONIC, CLIENTS[0]), (TOKIO, CLIENTS[1]), (SMOL, CLIENTS[2])];

/// The cost of one run.
struct Run {
    /// CPU time of the server, in seconds.
    server: f64,
    /// CPU time of the client, in seconds.
    client: f64,
    /// Payload in both directions.
    megabytes_per_second: f64,
}

/// Runs one stream of messages of `size` bytes.
fn stream(server: Server, client: Client, mode: &str, size: u64, messages: u64) -> Result<Run> {
    let both_ways = mode == "bidi";
    let pairs = [
        ("mode", mode.to_owned()),
        ("size", if both_ways { size } else { 0 }.to_string()),
        ("rsize", size.to_string()),
        ("requests", messages.to_string()),
        ("window", WINDOW.to_string()),
    ];
    let serving = server.start()?;
    let (used, report) = measure(&serving, || client.run(&serving, &pairs))?;
    Ok(Run {
        server: used.as_secs_f64(),
        client: report.get("client_cpu_us")? * 1e-6 * messages as f64,
        megabytes_per_second: report.get("MBps")? * if both_ways { 2.0 } else { 1.0 },
    })
}

/// Measures 64 KiB messages: the CPU time of both ends for a gigabyte.
///
/// # Errors
///
/// If a program fails.
pub fn large(effort: Effort, table: &mut Comparison) -> Result<()> {
    for (what, mode, messages, ways) in
        [("server streaming", "sstream", 30_000, 1), ("bidi, 64 in flight", "bidi", 12_000, 2)]
    {
        let messages = effort.of(messages, 500);
        let gigabytes = (ways * messages * LARGE) as f64 / 1e9;
        for _ in 0..effort.rounds {
            for (server, client) in PAIRS {
                let run = stream(server, client, mode, LARGE, messages)?;
                let mut add = |which: &str, seconds: f64| {
                    table.add(&format!("{what}, {which}"), server.name, seconds / gigabytes, "CPU s/GB");
                };
                add("both ends", run.server + run.client);
                add("server", run.server);
                add("client", run.client);
                table.add(&format!("{what}, rate"), server.name, run.megabytes_per_second, "MB/s");
            }
        }
    }
    Ok(())
}

/// Measures 100 byte messages: the CPU time of each end for a message.
///
/// # Errors
///
/// If a program fails.
pub fn small(effort: Effort, table: &mut Comparison) -> Result<()> {
    let messages = effort.of(3_000_000, 10_000);
    let each = |seconds: f64, messages: u64| seconds * 1e6 / messages as f64;
    for _ in 0..effort.rounds {
        for server in [TONIC, TOKIO, SMOL] {
            let run = stream(server, CLIENTS[0], "sstream", SMALL, messages)?;
            table.add("server per message, tonic's client", server.name, each(run.server, messages), "us");
        }
    }
    for _ in 0..effort.rounds {
        for client in CLIENTS {
            let run = stream(TOKIO, client, "sstream", SMALL, messages)?;
            table.add(
                "client per message, halfclose's server",
                client.name,
                each(run.client, messages),
                "us",
            );
        }
    }
    let messages = effort.of(700_000, 10_000);
    for _ in 0..effort.rounds {
        for (server, client) in PAIRS {
            let run = stream(server, client, "bidi", SMALL, messages)?;
            table.add(
                "bidi, 64 in flight, server per message",
                server.name,
                each(run.server, messages),
                "us",
            );
            table.add(
                "bidi, 64 in flight, client per message",
                server.name,
                each(run.client, messages),
                "us",
            );
        }
    }
    Ok(())
}
