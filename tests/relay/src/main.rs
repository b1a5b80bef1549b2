//! `halfclose-relay --to 127.0.0.1:PORT --delay-ms 25`: prints `LISTENING <port>`, and forwards until it is killed.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use halfclose_relay::{Cut, CutKind, Path, Relay, Stalls};

/// A long path or a bad one to a server on loopback.
#[derive(Parser)]
struct Options {
    /// The server.
    #[arg(long)]
    to: SocketAddr,
    /// The port; 0 picks one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How long each byte is under way each way, in milliseconds.
    #[arg(long, default_value_t = 0.0)]
    delay_ms: f64,
    /// Bytes a second, each way.
    #[arg(long)]
    rate: Option<u64>,
    /// The most bytes that come through in one piece.
    #[arg(long)]
    piece: Option<usize>,
    /// Bytes between two stalls, in the mean.
    #[arg(long, requires = "stall_ms")]
    stall_every: Option<u64>,
    /// How long a stall takes, in milliseconds.
    #[arg(long, requires = "stall_every")]
    stall_ms: Option<f64>,
    /// Bytes in one direction after which a connection is cut.
    #[arg(long)]
    cut_after: Option<u64>,
    /// How it is cut.
    #[arg(long, value_enum, default_value = "reset", requires = "cut_after")]
    cut: Kind,
    /// Decides the places of the stalls.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Close,
    Reset,
    Silence,
}

impl Options {
    fn path(&self) -> Option<Path> {
        let time = |ms: f64| Duration::try_from_secs_f64(ms / 1e3).ok();
        let stalls = match (self.stall_every, self.stall_ms) {
            (Some(every), Some(pause)) => Some(Stalls { every, pause: time(pause)? }),
            _ => None,
        };
        let kind = match self.cut {
            Kind::Close => CutKind::Close,
            Kind::Reset => CutKind::Reset,
            Kind::Silence => CutKind::Silence,
        };
        Some(Path {
            delay: time(self.delay_ms)?,
            rate: self.rate,
            piece: self.piece,
            stalls,
            cut: self.cut_after.map(|after| Cut { after, kind }),
            seed: self.seed,
        })
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let Some(path) = options.path() else {
        eprintln!("a time must not be negative");
        return ExitCode::FAILURE;
    };
    match Relay::bind(options.port, options.to, path) {
        Ok(relay) => {
            println!("LISTENING {}", relay.address().port());
            relay.wait();
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("no relay: {error}");
            ExitCode::FAILURE
        }
    }
}
