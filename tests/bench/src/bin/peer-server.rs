//! `grpc.testing.BenchmarkService` by a peer.
#![forbid(unsafe_code)]

use std::error::Error;

use clap::{Parser, ValueEnum};
use halfclose_bench::peers::{h2_server, tonic_server};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

type Failure = Box<dyn Error + Send + Sync>;

/// Serves grpc.testing.BenchmarkService by a peer; prints `LISTENING <port>` when it is ready.
#[derive(Parser)]
struct Options {
    /// The port; 0 picks one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Which one.
    #[arg(long, value_enum, default_value = "tonic")]
    kind: Kind,
    /// Threads of the runtime; one runs everything on the main thread.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Tonic,
    /// UnaryCall only.
    H2,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let mut builder = match options.threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().worker_threads(options.threads.max(1)).build()?;
    // On a runtime of several threads the accepting task runs on one of them, not on the thread that waits.
    runtime.block_on(async { tokio::spawn(serve(options)).await? })
}

async fn serve(options: Options) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
    println!("LISTENING {}", listener.local_addr()?.port());
    match options.kind {
        Kind::Tonic => {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            Server::builder().add_service(tonic_server::Benchmark).serve_with_incoming(incoming).await?;
        }
        Kind::H2 => loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            tokio::spawn(async move {
                // How a connection ends does not affect the others.
                let _ = h2_server::serve(socket).await;
            });
        },
    }
    Ok(())
}
