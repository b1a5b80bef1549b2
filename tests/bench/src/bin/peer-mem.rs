//! Whole unary RPCs in memory by the peers: a client and a server on one thread, a tokio duplex pipe between them, 100
//! calls open at once. Compare `bench-mem`.
#![forbid(unsafe_code)]

use std::error::Error;
use std::time::Instant;

use bytes::Bytes;
use clap::{Parser, ValueEnum};
use halfclose_bench::memory::OPEN;
use halfclose_bench::peers::tonic_client::BenchmarkClient;
use halfclose_bench::peers::{h2_server, tonic_server};
use halfclose_bench::service::{UNARY_CALL, request};
use http::Request;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::io::DuplexStream;
use tokio::task::JoinSet;
use tonic::transport::{Endpoint, Server};
use tower::service_fn;

type Failure = Box<dyn Error + Send + Sync>;

/// Whole unary RPCs in memory by a peer, client and server in one thread, 100 calls open at once.
#[derive(Parser)]
struct Options {
    /// Which one.
    #[arg(long, value_enum, default_value = "tonic")]
    kind: Kind,
    /// How many times 100 calls.
    #[arg(long, default_value_t = 500)]
    rounds: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Tonic,
    H2,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let (near, far) = tokio::io::duplex(256 * 1024);
    let (calls, elapsed) = match options.kind {
        Kind::Tonic => tonic(near, far, options.rounds).await?,
        Kind::H2 => h2(near, far, options.rounds).await?,
    };
    println!("rpcs={calls} ns_per_rpc={:.1}", elapsed.as_nanos() as f64 / calls as f64);
    Ok(())
}

async fn tonic(
    near: DuplexStream,
    far: DuplexStream,
    rounds: usize,
) -> Result<(usize, std::time::Duration), Failure> {
    tokio::spawn(
        Server::builder().add_service(tonic_server::Benchmark).serve_with_incoming(tokio_stream::once(Ok::<
            _,
            std::io::Error,
        >(
            far
        ))),
    );
    let mut near = Some(TokioIo::new(near));
    let connector = service_fn(move |_| {
        let near = near.take().ok_or_else(|| std::io::Error::other("one connection is all there is"));
        async move { near }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector(connector).await?;
    let mut client = BenchmarkClient::new(channel);
    client.unary_call(request(16, 16)).await?;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..OPEN {
        let mut client = client.clone();
        tasks.spawn(async move {
            let request = request(16, 16);
            for _ in 0..rounds {
                client.unary_call(request.clone()).await?;
            }
            Ok::<_, tonic::Status>(())
        });
    }
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    Ok((OPEN * rounds, start.elapsed()))
}

async fn h2(
    near: DuplexStream,
    far: DuplexStream,
    rounds: usize,
) -> Result<(usize, std::time::Duration), Failure> {
    tokio::spawn(h2_server::serve(far));
    let (send, connection) = h2::client::handshake(near).await?;
    tokio::spawn(connection);
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..OPEN {
        let send = send.clone();
        tasks.spawn(async move {
            let message = request(16, 16).encode_to_vec();
            let mut framed = vec![0];
            framed.extend_from_slice(&u32::try_from(message.len())?.to_be_bytes());
            framed.extend_from_slice(&message);
            let framed = Bytes::from(framed);
            for _ in 0..rounds {
                h2_call(send.clone(), framed.clone()).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    Ok((OPEN * rounds, start.elapsed()))
}

async fn h2_call(send: h2::client::SendRequest<Bytes>, message: Bytes) -> Result<(), Failure> {
    let mut send = send.ready().await?;
    let head = Request::builder()
        .method("POST")
        .uri(format!("http://localhost{UNARY_CALL}"))
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .header("user-agent", "bench/1")
        .body(())?;
    let (response, mut body) = send.send_request(head, false)?;
    body.send_data(message, true)?;
    let mut answer = response.await?.into_body();
    while let Some(chunk) = answer.data().await {
        let chunk = chunk?;
        answer.flow_control().release_capacity(chunk.len())?;
    }
    let trailers = answer.trailers().await?.ok_or("no trailers")?;
    if trailers.get("grpc-status").is_none_or(|status| status != "0") {
        return Err("the call failed".into());
    }
    Ok(())
}
