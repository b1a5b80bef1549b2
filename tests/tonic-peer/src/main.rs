//! The gRPC interoperability server and client on tonic, with the command lines of the other peers in
//! `tests/interop/peers`: the cases that tonic's API allows.
#![forbid(unsafe_code)]

mod client;
mod service;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use halfclose_interop::cli;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use client::Target;

/// The gRPC interoperability programs on tonic.
#[derive(Parser)]
#[command(name = "tonic-peer")]
struct Options {
    #[command(subcommand)]
    program: Program,
}

#[derive(Subcommand)]
enum Program {
    /// Serves until SIGTERM; prints `LISTENING <port>` when it is ready.
    Server {
        /// The port to listen on; 0 takes a free one.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// The window that each stream begins with; tonic's default otherwise.
        #[arg(long = "stream_window")]
        stream_window: Option<u32>,
    },
    /// Runs cases; prints `PASS name` or `FAIL name: why` for each.
    Client {
        /// The server's host.
        #[arg(long = "server_host", default_value = "127.0.0.1")]
        host: String,
        /// The server's port.
        #[arg(long = "server_port")]
        port: u16,
        /// The cases, with commas between them.
        #[arg(long = "test_case", value_delimiter = ',', default_value = "large_unary")]
        cases: Vec<String>,
        /// Load: how many calls, or messages.
        #[arg(long, default_value_t = 1000)]
        calls: usize,
        /// Load: how many of them at a time.
        #[arg(long = "at_once", default_value_t = 1)]
        at_once: usize,
        /// Load: how many seconds a load without a number of calls takes.
        #[arg(long, default_value_t = 1)]
        seconds: u64,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let options: Options = match cli::parse() {
        Ok(options) => options,
        Err(code) => return code,
    };
    match options.program {
        Program::Server { port, stream_window } => match serve(port, stream_window).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => cli::fail(&*error),
        },
        Program::Client { host, port, cases, calls, at_once, seconds } => {
            let target = Target {
                address: format!("http://{host}:{port}"),
                calls,
                at_once: at_once.max(1),
                time: Duration::from_secs(seconds),
            };
            run(&target, &cases).await
        }
    }
}

async fn serve(port: u16, stream_window: Option<u32>) -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let port = listener.local_addr()?.port();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut out = io::stdout();
    writeln!(out, "LISTENING {port}")?;
    out.flush()?;
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    tonic::transport::Server::builder()
        .initial_stream_window_size(stream_window)
        .initial_connection_window_size(stream_window.map(|window| window.saturating_mul(256)))
        .add_service(service::TestService)
        .serve_with_incoming_shutdown(incoming, async move {
            terminate.recv().await;
        })
        .await?;
    Ok(())
}

async fn run(target: &Target, cases: &[String]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for case in cases {
        match target.run(case).await {
            Ok(said) => println!("PASS {case}: {said}"),
            Err(failure) => {
                println!("FAIL {case}: {failure}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
