//! The load client: runs loads against a server, and exits 0 if all of them passed.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use halfclose_interop::cli;
use halfclose_interop::client::{LoadSize, Soak, Target};
use halfclose_interop::load::Load;
use halfclose_interop::runtime::{Runtime, RuntimeName};

/// The load client on halfclose. Prints `PASS load (measurements)` or `FAIL load: why` for each load.
#[derive(Parser)]
#[command(name = "interop-load")]
struct Options {
    /// The server's host.
    #[arg(long = "server_host", default_value = "localhost")]
    server_host: String,
    /// The server's port.
    #[arg(long = "server_port")]
    server_port: u16,
    /// The load to run, or several with commas between them: a name and its numbers, such as `uploads:5x4000000`.
    #[arg(long, value_delimiter = ',', required = true, value_parser = named)]
    load: Vec<(String, Load)>,
    /// The receive window of a stream at its start, in bytes.
    #[arg(long = "stream_window")]
    stream_window: Option<u32>,
    /// The runtime.
    #[arg(long, value_enum, default_value_t = RuntimeName::Tokio)]
    runtime: RuntimeName,
}

fn main() -> ExitCode {
    let options: Options = match cli::parse() {
        Ok(options) => options,
        Err(code) => return code,
    };
    let runtime = options.runtime;
    match runtime.run(|runtime| run(runtime, options)) {
        Ok(code) => code,
        Err(error) => cli::fail(&error),
    }
}

/// Parses a load. Returns it with its text.
fn named(text: &str) -> Result<(String, Load), String> {
    Ok((text.to_owned(), text.parse()?))
}

async fn run(runtime: Runtime, options: Options) -> ExitCode {
    let target = Target {
        tls: None,
        host: options.server_host,
        port: options.server_port,
        authority: None,
        runtime,
        soak: Soak::default(),
        load: LoadSize::default(),
        stream_window: options.stream_window,
    };
    let mut code = ExitCode::SUCCESS;
    for (name, load) in options.load {
        let began = Instant::now();
        match load.run(&target).await {
            Ok(told) => println!("PASS {name} ({})", tell(told, began.elapsed())),
            Err(failure) => {
                println!("FAIL {name}: {failure}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn tell(told: String, took: Duration) -> String {
    let took = format!("{:.2} s", took.as_secs_f64());
    if told.is_empty() { took } else { format!("{took}, {told}") }
}
