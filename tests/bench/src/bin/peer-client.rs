//! Loads a server of `grpc.testing.BenchmarkService` through tonic's channels, as `bench-client` does through ours.
#![forbid(unsafe_code)]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use halfclose_bench::load::{Budget, Clocked, percentiles};
use halfclose_bench::options::{ClientOptions, Mode, Share};
use halfclose_bench::peers::tonic_client::BenchmarkClient;
use halfclose_bench::service::{request, response_bytes};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

type Failure = Box<dyn Error + Send + Sync>;
type Tasks = JoinSet<Result<(u64, u64), Failure>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let options = ClientOptions::parse();
    let mut clients = Vec::new();
    for _ in 0..options.conns.max(1) {
        let channel = Endpoint::from_shared(format!("http://{}", options.addr))?.tcp_nodelay(true);
        let mut client = BenchmarkClient::new(channel.connect().await?);
        client.unary_call(request(options.size, options.rsize)).await?;
        clients.push(client);
    }
    if options.mode == Mode::Pingpong {
        return pingpong(&options, clients).await;
    }
    let clocked = Clocked::start();
    let mut tasks = Tasks::new();
    match options.mode {
        Mode::Unary => spawn_unary(&options, &clients, &mut tasks),
        _ => spawn_streams(&options, &clients, &mut tasks),
    }
    let (mut messages, mut bytes) = (0, 0);
    while let Some(result) = tasks.join_next().await {
        let (count, size) = result??;
        messages += count;
        bytes += size;
    }
    println!("{}", clocked.line(messages, bytes));
    Ok(())
}

fn spawn_unary(options: &ClientOptions, clients: &[BenchmarkClient], tasks: &mut Tasks) {
    let budget = Arc::new(Budget::new(options.requests));
    for client in clients {
        for _ in 0..options.streams {
            let (mut client, budget) = (client.clone(), Arc::clone(&budget));
            let request = request(options.size, options.rsize);
            tasks.spawn(async move {
                let (mut calls, mut bytes) = (0, 0);
                while budget.take() {
                    let response = client.unary_call(request.clone()).await?;
                    bytes += response_bytes(response.get_ref()) as u64;
                    calls += 1;
                }
                Ok((calls, bytes))
            });
        }
    }
}

fn spawn_streams(options: &ClientOptions, clients: &[BenchmarkClient], tasks: &mut Tasks) {
    for client in clients.iter().cycle().take(options.streams) {
        let (options, client) = (options.clone(), client.clone());
        tasks.spawn(async move {
            match options.mode {
                Mode::Sstream => download(&options, client).await,
                Mode::Cstream => upload(&options, client).await,
                _ => chat(&options, client).await,
            }
        });
    }
}

async fn download(options: &ClientOptions, mut client: BenchmarkClient) -> Result<(u64, u64), Failure> {
    let call = client.streaming_from_server(request(options.size, options.rsize)).await?;
    let mut responses = call.into_inner();
    let (mut bytes, mut share) = (0, Share::of(options));
    while share.another() {
        let message = responses.message().await?.ok_or("the server ended the stream")?;
        bytes += response_bytes(&message) as u64;
    }
    Ok((share.done, bytes))
}

async fn upload(options: &ClientOptions, mut client: BenchmarkClient) -> Result<(u64, u64), Failure> {
    let request = request(options.size, options.rsize);
    let (counted, mut count) = mpsc::unbounded_channel();
    let mut share = Share::of(options);
    let requests = std::iter::from_fn(move || {
        let more = share.another();
        // The receiver lives until the call is over.
        let _ = counted.send(share.done);
        more.then(|| request.clone())
    });
    client.streaming_from_client(tokio_stream::iter(requests)).await?;
    let mut done = 0;
    while let Ok(sent) = count.try_recv() {
        done = sent;
    }
    Ok((done, done * options.size as u64))
}

async fn chat(options: &ClientOptions, mut client: BenchmarkClient) -> Result<(u64, u64), Failure> {
    let request = request(options.size, options.rsize);
    let (send, requests) = mpsc::channel(usize::try_from(options.window)?);
    let mut responses = client.streaming_call(ReceiverStream::new(requests)).await?.into_inner();
    let (mut sent, mut bytes) = (0, 0);
    for received in 0..options.per_stream() {
        while sent < options.per_stream() && sent - received < options.window {
            send.send(request.clone()).await?;
            sent += 1;
        }
        let message = responses.message().await?.ok_or("the server ended the stream")?;
        bytes += response_bytes(&message) as u64;
    }
    drop(send);
    while responses.message().await?.is_some() {}
    Ok((options.per_stream(), bytes))
}

async fn pingpong(options: &ClientOptions, clients: Vec<BenchmarkClient>) -> Result<(), Failure> {
    let mut client = clients.into_iter().next().ok_or("no connection")?;
    let request = request(options.size, options.rsize);
    let clocked = Clocked::start();
    let mut latencies: Vec<Duration> = Vec::with_capacity(usize::try_from(options.requests)?);
    let mut bytes = 0;
    for _ in 0..options.requests {
        let start = Instant::now();
        let response = client.unary_call(request.clone()).await?;
        latencies.push(start.elapsed());
        bytes += response_bytes(response.get_ref()) as u64;
    }
    println!("{} {}", clocked.line(options.requests, bytes), percentiles(&mut latencies));
    Ok(())
}
