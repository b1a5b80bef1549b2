//! The gRPC interoperability client: runs test cases against a server, and exits 0 if all of them passed.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Parser};
use halfclose_driver::tls::{ClientTls, Identity, TlsError};
use halfclose_interop::cli;
use halfclose_interop::client::{Case, LoadSize, Soak, Target};
use halfclose_interop::runtime::{Runtime, RuntimeName};

/// The gRPC interoperability client on halfclose. Prints `PASS name`, followed by the measurements of a load, or
/// `FAIL name: why` for each case.
#[derive(Parser)]
#[command(name = "interop-client")]
struct Options {
    /// The server's host.
    #[arg(long = "server_host", default_value = "localhost")]
    server_host: String,
    /// The server's port.
    #[arg(long = "server_port")]
    server_port: u16,
    /// The `:authority` of requests, host and port by default, and the name in the server's certificate.
    #[arg(long = "server_host_override")]
    server_host_override: Option<String>,
    /// The case to run, or several with commas between them.
    #[arg(long = "test_case", value_enum, value_delimiter = ',', default_value = "large_unary")]
    test_case: Vec<Case>,
    /// The runtime.
    #[arg(long, value_enum, default_value_t = RuntimeName::Tokio)]
    runtime: RuntimeName,
    /// Connects with TLS: with the roots of the system, unless there is a `--ca_file`.
    #[arg(long = "use_tls", action = ArgAction::Set, default_value_t = false, default_missing_value = "true", num_args = 0..=1)]
    use_tls: bool,
    /// The authorities to trust, PEM.
    #[arg(long = "ca_file")]
    ca_file: Option<PathBuf>,
    /// The client's certificate, PEM.
    #[arg(long = "tls_cert", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long = "tls_key", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    #[command(flatten)]
    soak: SoakOptions,
    #[command(flatten)]
    load: LoadOptions,
}

/// The numbers of the cases under load.
#[derive(clap::Args)]
struct LoadOptions {
    /// Load: how many calls, or messages.
    #[arg(long, default_value_t = 1000)]
    calls: usize,
    /// Load: how many of them at a time.
    #[arg(long = "at_once", default_value_t = 1)]
    at_once: usize,
    /// Load: how many seconds a load without a number of calls takes.
    #[arg(long, default_value_t = 1)]
    seconds: u64,
}

impl From<LoadOptions> for LoadSize {
    fn from(options: LoadOptions) -> Self {
        Self {
            calls: options.calls,
            at_once: options.at_once.max(1),
            time: Duration::from_secs(options.seconds),
        }
    }
}

/// The numbers of rpc_soak and channel_soak.
#[derive(clap::Args)]
struct SoakOptions {
    /// Soak: how many calls.
    #[arg(long = "soak_iterations", default_value_t = 10)]
    iterations: usize,
    /// Soak: how many calls may fail.
    #[arg(long = "soak_max_failures", default_value_t = 0)]
    max_failures: usize,
    /// Soak: a call that takes longer has failed.
    #[arg(long = "soak_per_iteration_max_acceptable_latency_ms", default_value_t = 1000)]
    max_latency_ms: u64,
    /// Soak: calls that were not made by then have failed; iterations times latency by default.
    #[arg(long = "soak_overall_timeout_seconds")]
    overall_seconds: Option<u64>,
    /// Soak: from the start of one call to the start of the next, at least.
    #[arg(long = "soak_min_time_ms_between_rpcs", default_value_t = 0)]
    min_interval_ms: u64,
    /// Soak: bytes of a request's payload.
    #[arg(long = "soak_request_size", default_value_t = 271_828)]
    request_size: usize,
    /// Soak: bytes of a response's payload.
    #[arg(long = "soak_response_size", default_value_t = 314_159)]
    response_size: usize,
}

impl From<SoakOptions> for Soak {
    fn from(options: SoakOptions) -> Self {
        let max_latency = Duration::from_millis(options.max_latency_ms);
        let all = max_latency.saturating_mul(u32::try_from(options.iterations).unwrap_or(u32::MAX));
        Self {
            iterations: options.iterations,
            max_failures: options.max_failures,
            max_latency,
            overall: options.overall_seconds.map_or(all, Duration::from_secs),
            min_interval: Duration::from_millis(options.min_interval_ms),
            request_size: options.request_size,
            response_size: options.response_size,
        }
    }
}

fn main() -> ExitCode {
    let options: Options = match cli::parse() {
        Ok(options) => options,
        Err(code) => return code,
    };
    let tls = match options.use_tls.then(|| client_tls(&options)).transpose() {
        Ok(tls) => tls,
        Err(error) => return cli::refuse(&error.to_string()),
    };
    match options.runtime.run(|runtime| run(runtime, options, tls)) {
        Ok(code) => code,
        Err(error) => cli::fail(&error),
    }
}

fn client_tls(options: &Options) -> Result<ClientTls, TlsError> {
    let mut tls = ClientTls::builder();
    if let Some(file) = &options.ca_file {
        tls = tls.ca_file(file)?;
    }
    if let (Some(chain), Some(key)) = (&options.tls_cert, &options.tls_key) {
        tls = tls.identity(Identity::from_files(chain, key)?);
    }
    let tls = tls.build()?;
    match &options.server_host_override {
        Some(name) => tls.server_name(name.rsplit_once(':').map_or(name.as_str(), |(host, _)| host)),
        None => Ok(tls),
    }
}

async fn run(runtime: Runtime, options: Options, tls: Option<ClientTls>) -> ExitCode {
    let target = Target {
        host: options.server_host,
        port: options.server_port,
        authority: options.server_host_override,
        tls,
        runtime,
        soak: options.soak.into(),
        load: options.load.into(),
        stream_window: None,
    };
    let mut code = ExitCode::SUCCESS;
    for case in options.test_case {
        match case.run(&target).await {
            Ok(said) if said.is_empty() => println!("PASS {}", case.name()),
            Ok(said) => println!("PASS {}: {said}", case.name()),
            Err(failure) => {
                eprintln!("FAIL {}: {failure}", case.name());
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
