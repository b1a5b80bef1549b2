//! The gRPC interoperability server: `grpc.testing.TestService` on halfclose, until SIGTERM.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{ArgAction, Parser};
use halfclose_interop::runtime::{Runtime, RuntimeName};
use halfclose_interop::{cli, service};

/// The gRPC interoperability server on halfclose. Prints `LISTENING <port>` when it is ready; SIGTERM stops it
/// gracefully.
#[derive(Parser)]
#[command(name = "interop-server")]
struct Options {
    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 10000)]
    port: u16,
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The runtime.
    #[arg(long, value_enum, default_value_t = RuntimeName::Tokio)]
    runtime: RuntimeName,
    /// Sends the response headers of a call before its first request has come.
    #[arg(long = "early_headers")]
    early_headers: bool,
    /// Only `false`: there is no TLS here.
    #[arg(long = "use_tls", action = ArgAction::Set, default_value_t = false, default_missing_value = "true", num_args = 0..=1)]
    use_tls: bool,
}

fn main() -> ExitCode {
    let options: Options = match cli::parse() {
        Ok(options) => options,
        Err(code) => return code,
    };
    if options.use_tls {
        return cli::refuse("--use_tls=true: there is no TLS here");
    }
    let runtime = options.runtime;
    match runtime.run(|runtime| serve(runtime, options)).and_then(|served| served) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::fail(&error),
    }
}

async fn serve(runtime: Runtime, options: Options) -> io::Result<()> {
    let Options { host, port, early_headers, .. } = options;
    let address = format!("{host}:{port}");
    let router = service::router(runtime.sleep).early_headers(early_headers);
    let listening = (runtime.serve)(host, port, router, service::config());
    let serving =
        listening.await.map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
    let terminated = (runtime.terminated)()?;
    let mut out = io::stdout();
    writeln!(out, "LISTENING {}", serving.port)?;
    out.flush()?;

    terminated.await;
    serving.shutdown.trigger();
    serving.served.await;
    Ok(())
}
