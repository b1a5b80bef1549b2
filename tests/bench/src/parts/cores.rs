//! Servers on a runtime of two threads: the gain with many connections, and the cost with one.

use std::io::Result;

use super::{Effort, Server, TONIC, arguments, measure, micros_each};
use crate::comparison::Comparison;
use crate::processes::{ALL_CORES, LOAD_CORE, SERVER_CORE, Serving, load};

const ONE: Server = Server::new("halfclose, one thread", "bench-server", &["--threads", "1"]);
const TWO: Server = Server::new("halfclose, two threads", "bench-server", &["--threads", "2"]);
const TONIC_TWO: Server =
    Server::new("tonic, two threads", "peer-server", &["--kind", "tonic", "--threads", "2"]);

/// A load, and the cores of both ends.
struct Setting {
    what: &'static str,
    conns: u64,
    server: &'static str,
    load: &'static str,
}

const SETTINGS: [Setting; 2] = [
    Setting { what: "8x100, both on both cores", conns: 8, server: ALL_CORES, load: ALL_CORES },
    Setting { what: "1x100, a core for each", conns: 1, server: SERVER_CORE, load: LOAD_CORE },
];

/// Measures the part.
///
/// # Errors
///
/// If a program fails.
pub fn run(effort: Effort, table: &mut Comparison) -> Result<()> {
    let requests = effort.of(300_000, 1000);
    for setting in SETTINGS {
        for _ in 0..effort.rounds {
            for server in [ONE, TWO, TONIC, TONIC_TWO] {
                visit(server, &setting, requests, table)?;
            }
        }
    }
    Ok(())
}

fn visit(server: Server, setting: &Setting, requests: u64, table: &mut Comparison) -> Result<()> {
    let serving = Serving::start(server.program, server.arguments, setting.server)?;
    let pairs = [
        ("conns", setting.conns.to_string()),
        ("streams", "100".to_owned()),
        ("requests", requests.to_string()),
    ];
    let (used, report) = measure(&serving, || load(server.load, &arguments(&serving, &pairs), setting.load))?;
    let what = setting.what;
    table.add(&format!("CPU per call, {what}"), server.name, micros_each(used, requests), "us");
    table.add(&format!("rate, {what}"), server.name, report.get("rps")? / 1000.0, "k calls/s");
    Ok(())
}
