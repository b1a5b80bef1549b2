//! 64 KiB messages over a relay that delays every byte by 25 ms each way, and over one that does not: the rate at which
//! each receiver takes them from halfclose.

use std::io::Result;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use halfclose_relay::{Path, Relay};

use super::Effort;
use crate::processes::{ALL_CORES, Report, Serving, patient, sibling};

const SIZE: &str = "65536";
const ROUND_TRIPS: [u64; 2] = [50, 0];
const STREAMS: [u64; 2] = [1, 8];

/// The peer that everything is compared with.
pub const C_CORE: &str = "C-core";

/// What takes the messages: a client of [`Receiver::server`]'s kind, or that server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Receiver {
    CCore,
    Tonic,
    Tokio,
    Smol,
}

/// Which way messages go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Down,
    Up,
}

/// C-core's part is played by grpcio, in the Python of the interop suite. `None` where that is not installed.
fn python() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let default = || root.join("target/peers-venv");
    let venv = std::env::var_os("HALFCLOSE_PEERS_VENV").map_or_else(default, PathBuf::from);
    let python = venv.join("bin/python");
    let found = Command::new(&python).args(["-c", "import grpc"]).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success()).then_some(python)
}

impl Receiver {
    const fn name(self) -> &'static str {
        match self {
            Self::CCore => C_CORE,
            Self::Tonic => "tonic",
            Self::Tokio => "halfclose on tokio",
            Self::Smol => "halfclose on smol",
        }
    }

    /// The program, as a server or as a client.
    fn command(self, as_server: bool, python: Option<&PathBuf>) -> Result<Command> {
        let pinned = |program: PathBuf| {
            let mut command = Command::new("taskset");
            command.args(["-c", ALL_CORES]).arg(program);
            command
        };
        let of_ours = |server: &str, client: &str| sibling(if as_server { server } else { client });
        Ok(match (self, python) {
            (Self::CCore, Some(python)) => {
                let mut command = pinned(python.clone());
                let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/grpcio_load.py");
                command.arg(script).arg(if as_server { "server" } else { "client" });
                command
            }
            (Self::CCore | Self::Tonic, _) => pinned(of_ours("peer-server", "peer-client")?),
            (Self::Tokio, _) => pinned(of_ours("bench-server", "bench-client")?),
            (Self::Smol, _) => {
                let mut command = pinned(of_ours("bench-server", "bench-client")?);
                command.args(["--runtime", "smol"]);
                command
            }
        })
    }
}

/// The rate of one run, in megabytes a second.
fn run(
    (receiver, python): (Receiver, Option<&PathBuf>),
    way: Way,
    streams: u64,
    round_trip: u64,
    seconds: f64,
) -> Result<f64> {
    let (server, client) = match way {
        Way::Down => (Receiver::Tokio, receiver),
        Way::Up => (receiver, Receiver::Tokio),
    };
    let serving = Serving::wait(server.command(true, python)?)?;
    let path = Path::of_delay(Duration::from_millis(round_trip) / 2);
    let relay = Relay::start(serving.address(), path)?;
    let mut command = client.command(false, python)?;
    command.args(["--addr", &relay.address().to_string()]);
    command.args(match way {
        Way::Down => ["--mode", "sstream", "--rsize", SIZE, "--size", "0"],
        Way::Up => ["--mode", "cstream", "--size", SIZE, "--rsize", "0"],
    });
    command.args(["--streams", &streams.to_string(), "--seconds", &seconds.to_string()]);
    patient(command).map(Report::new)?.get("MBps")
}

/// Measures it.
///
/// # Errors
///
/// A program that fails.
pub fn measure(effort: Effort, table: &mut crate::comparison::Comparison) -> Result<()> {
    let python = python();
    let mut receivers = vec![Receiver::CCore, Receiver::Tonic, Receiver::Tokio, Receiver::Smol];
    if python.is_none() {
        println!(
            "\nlong path: C-core is skipped, since grpcio is not installed (tests/interop/peers/setup.sh)"
        );
        receivers.retain(|receiver| *receiver != Receiver::CCore);
    }
    let seconds = effort.of(5_000, 500) as f64 / 1e3;
    for round_trip in ROUND_TRIPS {
        for (way, name) in [(Way::Down, "server streaming"), (Way::Up, "client streaming")] {
            for streams in STREAMS {
                let what = figure(round_trip, name, streams);
                for _ in 0..effort.rounds {
                    for receiver in &receivers {
                        let rate = run((*receiver, python.as_ref()), way, streams, round_trip, seconds)?;
                        table.add(&what, receiver.name(), rate, "MB/s");
                    }
                }
            }
        }
    }
    Ok(())
}

fn figure(round_trip: u64, name: &str, streams: u64) -> String {
    format!("{round_trip} ms, {name}, {streams} at once")
}
