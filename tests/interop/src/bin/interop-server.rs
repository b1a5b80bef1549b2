//! The gRPC interoperability server: `grpc.testing.TestService` on halfclose, until SIGTERM.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Parser};
use halfclose_driver::tls::{Identity, ServerTls, TlsError};
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
    /// Sends the response headers of a call before its first request has arrived.
    #[arg(long = "early_headers")]
    early_headers: bool,
    /// The receive window of a stream at its start, in bytes.
    #[arg(long = "stream_window")]
    stream_window: Option<u32>,
    /// Serves with TLS.
    #[arg(long = "use_tls", action = ArgAction::Set, default_value_t = false, default_missing_value = "true", num_args = 0..=1)]
    use_tls: bool,
    /// The server's certificate, PEM.
    #[arg(long = "tls_cert", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long = "tls_key", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The authorities that clients' certificates must be of, PEM.
    #[arg(long = "ca_file")]
    ca_file: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options: Options = match cli::parse() {
        Ok(options) => options,
        Err(code) => return code,
    };
    let tls = match server_tls(&options) {
        Ok(tls) => tls,
        Err(why) => return cli::refuse(&why),
    };
    let runtime = options.runtime;
    match runtime.run(|runtime| serve(runtime, options, tls)).and_then(|served| served) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::fail(&error),
    }
}

fn server_tls(options: &Options) -> Result<Option<ServerTls>, String> {
    if !options.use_tls {
        return Ok(None);
    }
    let (Some(chain), Some(key)) = (&options.tls_cert, &options.tls_key) else {
        return Err("--use_tls needs --tls_cert and --tls_key".to_owned());
    };
    let build = || {
        let tls = ServerTls::builder(Identity::from_files(chain, key)?);
        match &options.ca_file {
            Some(file) => tls.client_ca_file(file)?.build(),
            None => tls.build(),
        }
    };
    build().map(Some).map_err(|error: TlsError| error.to_string())
}

async fn serve(runtime: Runtime, options: Options, tls: Option<ServerTls>) -> io::Result<()> {
    let Options { host, port, early_headers, stream_window, .. } = options;
    let address = format!("{host}:{port}");
    let router = service::router(runtime.sleep).early_headers(early_headers);
    let mut config = service::config();
    config.initial_stream_window = stream_window.unwrap_or(config.initial_stream_window);
    let listening = (runtime.serve)(host, port, router, config, tls);
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
