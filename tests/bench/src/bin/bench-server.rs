//! `grpc.testing.BenchmarkService` on 127.0.0.1, plaintext HTTP/2, written as an application would.
#![forbid(unsafe_code)]

use std::io::Result;

use clap::{Parser, ValueEnum};
use halfclose_bench::service::{
    STREAMING_CALL, STREAMING_FROM_CLIENT, STREAMING_FROM_SERVER, SimpleRequest, SimpleResponse, UNARY_CALL,
    response,
};
use halfclose_tokio::{Config, Many, Method, Prost, Response, Router, SendError};

type Requests = Many<SimpleRequest>;
type Responses = Many<SimpleResponse>;

const UNARY: Method<SimpleRequest, SimpleResponse, Prost> = Method::new(UNARY_CALL);
const SERVER: Method<SimpleRequest, Responses, Prost> = Method::new(STREAMING_FROM_SERVER);
const CLIENT: Method<Requests, SimpleResponse, Prost> = Method::new(STREAMING_FROM_CLIENT);
const BIDI: Method<Requests, Responses, Prost> = Method::new(STREAMING_CALL);

/// Serves grpc.testing.BenchmarkService; prints `LISTENING <port>` when it is ready.
#[derive(Parser)]
struct Options {
    /// The port; 0 picks one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The runtime.
    #[arg(long, value_enum, default_value = "tokio")]
    runtime: Runtime,
    /// Threads of the runtime; one runs everything on the main thread.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Runtime {
    Tokio,
    Smol,
}

fn router() -> Router {
    Router::new()
        .unary(&UNARY, |request| async move { Ok(Response::new(response(&request.message))) })
        .bidi_streaming(&BIDI, |mut call| async move {
            while let Some(request) = call.recv().await? {
                call.send(&response(&request)).await?;
            }
            Ok(())
        })
        .client_streaming(&CLIENT, |mut call| async move {
            let mut last = SimpleRequest::default();
            while let Some(request) = call.recv().await? {
                last = request;
            }
            Ok(call.send_and_close(response(&last)))
        })
        .server_streaming(&SERVER, |request, mut call| async move {
            let response = response(&request.message);
            loop {
                match call.send(&response).await {
                    Ok(()) => {}
                    Err(SendError::Ended) => return Ok(()),
                    Err(error) => return Err(error.into()),
                }
            }
        })
}

fn main() -> Result<()> {
    let options = Options::parse();
    match options.runtime {
        Runtime::Tokio => on_tokio(&options),
        Runtime::Smol => on_smol(&options),
    }
}

fn on_tokio(options: &Options) -> Result<()> {
    let mut builder = match options.threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().worker_threads(options.threads.max(1)).build()?.block_on(async {
        let server = halfclose_tokio::Server::bind(("127.0.0.1", options.port), router()).await?;
        println!("LISTENING {}", server.local_addr()?.port());
        // On a runtime of several threads the accepting task runs on one of them, not on the thread that waits.
        let _ = tokio::spawn(server.config(Config::server()).serve()).await;
        Ok(())
    })
}

fn on_smol(options: &Options) -> Result<()> {
    if options.threads != 1 {
        return Err(std::io::Error::other("smol takes its number of threads from SMOL_THREADS"));
    }
    smol::block_on(async {
        let server = halfclose_smol::Server::bind(("127.0.0.1", options.port), router()).await?;
        println!("LISTENING {}", server.local_addr()?.port());
        server.config(Config::server()).serve().await;
        Ok(())
    })
}
