//! The parts of the table, and what they share: the contestants, and the amount of work.

use std::io::Result;
use std::time::Duration;

use crate::processes::{LOAD_CORE, Report, SERVER_CORE, Serving, load};

pub mod client;
pub mod cores;
pub mod headers;
pub mod instructions;
pub mod long_path;
pub mod memory;
pub mod streaming;
pub mod unary;

/// The amount of work.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds of each comparison.
    pub rounds: usize,
    /// The work of one measurement, in thousandths of the full measure.
    pub scale: u64,
}

impl Effort {
    /// Returns the part of `full` that the scale selects, at least `least`.
    #[must_use]
    pub const fn of(&self, full: u64, least: u64) -> u64 {
        let scaled = full * self.scale / 1000;
        if scaled < least { least } else { scaled }
    }
}

/// A server under comparison.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// Its name in the table.
    pub name: &'static str,
    /// The program.
    pub program: &'static str,
    /// Its arguments.
    pub arguments: &'static [&'static str],
    /// The light load that it understands.
    pub load: &'static str,
}

impl Server {
    const fn new(name: &'static str, program: &'static str, arguments: &'static [&'static str]) -> Self {
        Self { name, program, arguments, load: "flood" }
    }

    fn start(&self) -> Result<Serving> {
        Serving::start(self.program, self.arguments, SERVER_CORE)
    }
}

/// The peer that everything is compared with.
pub const TONIC: Server = Server::new("tonic", "peer-server", &["--kind", "tonic"]);
/// Our server on tokio.
pub const TOKIO: Server = Server::new("halfclose on tokio", "bench-server", &[]);
/// Our server on smol.
pub const SMOL: Server = Server::new("halfclose on smol", "bench-server", &["--runtime", "smol"]);
/// HTTP/2 without gRPC.
pub const H2: Server = Server::new("h2, bare", "peer-server", &["--kind", "h2"]);
/// As many bytes without HTTP/2.
pub const FLOOR: Server =
    Server { name: "floor (bare TCP, tokio)", program: "floor-server", arguments: &[], load: "floor-client" };

/// A client under comparison.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Its name in the table.
    pub name: &'static str,
    program: &'static str,
    runtime: &'static str,
}

/// The clients, the peer's first; in the order of [`TONIC`], [`TOKIO`], [`SMOL`].
pub const CLIENTS: [Client; 3] = [
    Client { name: "tonic", program: "peer-client", runtime: "tokio" },
    Client { name: "halfclose on tokio", program: "bench-client", runtime: "tokio" },
    Client { name: "halfclose on smol", program: "bench-client", runtime: "smol" },
];

impl Client {
    fn run(&self, serving: &Serving, pairs: &[(&str, String)]) -> Result<Report> {
        let mut pairs = pairs.to_vec();
        pairs.push(("runtime", self.runtime.to_owned()));
        load(self.program, &arguments(serving, &pairs), LOAD_CORE)
    }
}

/// Returns the command line of a load; an empty value is a switch.
fn arguments(server: &Serving, pairs: &[(&str, String)]) -> Vec<String> {
    let mut all = vec!["--addr".to_owned(), server.address().to_string()];
    for (key, value) in pairs {
        all.push(format!("--{key}"));
        if !value.is_empty() {
            all.push(value.clone());
        }
    }
    all
}

/// Returns the CPU time that the server uses while `run` runs, and the report.
fn measure(serving: &Serving, run: impl FnOnce() -> Result<Report>) -> Result<(Duration, Report)> {
    let before = serving.cpu();
    let report = run()?;
    Ok((serving.cpu().saturating_sub(before), report))
}

/// Returns the microseconds per item.
fn micros_each(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}
