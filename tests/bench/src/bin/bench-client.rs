//! Loads a server of `grpc.testing.BenchmarkService` through halfclose's channels, as an application would.
#![forbid(unsafe_code)]

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use halfclose_bench::load::{Budget, Clocked, percentiles};
use halfclose_bench::options::{ClientOptions, Mode, Runtime, Share};
use halfclose_bench::service::{
    STREAMING_CALL, STREAMING_FROM_CLIENT, STREAMING_FROM_SERVER, SimpleRequest, SimpleResponse, UNARY_CALL,
    request, response_bytes,
};
use halfclose_tokio::{CallOptions, Channel, Config, Many, Method, Prost};
use tokio::sync::{Semaphore, mpsc};

type Failure = Box<dyn Error + Send + Sync>;
type Requests = Many<SimpleRequest>;
type Responses = Many<SimpleResponse>;

const UNARY: Method<SimpleRequest, SimpleResponse, Prost> = Method::new(UNARY_CALL);
const SERVER: Method<SimpleRequest, Responses, Prost> = Method::new(STREAMING_FROM_SERVER);
const CLIENT: Method<Requests, SimpleResponse, Prost> = Method::new(STREAMING_FROM_CLIENT);
const BIDI: Method<Requests, Responses, Prost> = Method::new(STREAMING_CALL);

fn main() -> Result<(), Failure> {
    let options = ClientOptions::parse();
    match options.runtime {
        Runtime::Tokio => {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(options))
        }
        Runtime::Smol => smol::block_on(run(options)),
    }
}

/// Runs a task; its result goes to `done`.
fn spawn<T: Send + 'static>(
    runtime: Runtime,
    done: &mpsc::UnboundedSender<Result<T, Failure>>,
    task: impl Future<Output = Result<T, Failure>> + Send + 'static,
) {
    let done = done.clone();
    let task = async move {
        // The receiver lives until all tasks are done.
        let _ = done.send(task.await);
    };
    match runtime {
        Runtime::Tokio => drop(tokio::spawn(task)),
        Runtime::Smol => smol::spawn(task).detach(),
    }
}

async fn run(options: ClientOptions) -> Result<(), Failure> {
    let mut channels = Vec::new();
    for _ in 0..options.conns.max(1) {
        channels.push(match options.runtime {
            Runtime::Tokio => halfclose_tokio::connect(options.addr, Config::client()).await?,
            Runtime::Smol => halfclose_smol::connect(options.addr, Config::client()).await?,
        });
    }
    for channel in &channels {
        // A first call, so that connecting and the first header blocks are not part of the measurement.
        channel.unary(&UNARY, &request(options.size, options.rsize), CallOptions::new()).await?;
    }
    if options.mode == Mode::Pingpong {
        return pingpong(&options, channels).await;
    }
    let clocked = Clocked::start();
    let (done, mut results) = mpsc::unbounded_channel();
    match options.mode {
        Mode::Unary => spawn_unary(&options, &channels, &done),
        _ => spawn_streams(&options, &channels, &done),
    }
    drop(done);
    let (mut messages, mut bytes) = (0, 0);
    while let Some(result) = results.recv().await {
        let (count, size) = result?;
        messages += count;
        bytes += size;
    }
    println!("{}", clocked.line(messages, bytes));
    Ok(())
}

type Done = mpsc::UnboundedSender<Result<(u64, u64), Failure>>;

fn spawn_unary(options: &ClientOptions, channels: &[Channel], done: &Done) {
    let budget = Arc::new(Budget::new(options.requests));
    for channel in channels {
        for _ in 0..options.streams {
            let (channel, budget) = (channel.clone(), Arc::clone(&budget));
            let request = request(options.size, options.rsize);
            spawn(options.runtime, done, async move {
                let (mut calls, mut bytes) = (0, 0);
                while budget.take() {
                    let response = channel.unary(&UNARY, &request, CallOptions::new()).await?;
                    bytes += response_bytes(&response.message) as u64;
                    calls += 1;
                }
                Ok((calls, bytes))
            });
        }
    }
}

fn spawn_streams(options: &ClientOptions, channels: &[Channel], done: &Done) {
    for (stream, channel) in (0..options.streams).zip(channels.iter().cycle()) {
        let (options, channel) = (options.clone(), channel.clone());
        let _ = stream;
        spawn(options.runtime, done, async move {
            match options.mode {
                Mode::Sstream => download(&options, &channel).await,
                Mode::Cstream => upload(&options, &channel).await,
                _ => chat(&options, &channel).await,
            }
        });
    }
}

/// Receives this stream's share of messages, and cancels.
async fn download(options: &ClientOptions, channel: &Channel) -> Result<(u64, u64), Failure> {
    let request = request(options.size, options.rsize);
    let mut call = channel.server_streaming(&SERVER, &request, CallOptions::new()).await?;
    let (mut bytes, mut share) = (0, Share::of(options));
    while share.another() {
        let message = call.recv().await?.ok_or("the server ended the stream")?;
        bytes += response_bytes(&message) as u64;
    }
    Ok((share.done, bytes))
}

/// Sends this stream's share of messages, and receives the answer to them.
async fn upload(options: &ClientOptions, channel: &Channel) -> Result<(u64, u64), Failure> {
    let request = request(options.size, options.rsize);
    let mut call = channel.client_streaming(&CLIENT, CallOptions::new())?;
    let mut share = Share::of(options);
    while share.another() {
        call.send(&request).await?;
    }
    call.close_and_recv().await?;
    Ok((share.done, share.done * options.size as u64))
}

/// Sends this stream's share of messages, with at most a window of them unanswered. Both directions run at once: a
/// client that reads only when it is not sending waits for ever once more is in flight than the windows allow.
async fn chat(options: &ClientOptions, channel: &Channel) -> Result<(u64, u64), Failure> {
    let request = request(options.size, options.rsize);
    let (mut send, mut receive) = channel.bidi_streaming(&BIDI, CallOptions::new())?.split();
    let unanswered = Semaphore::new(usize::try_from(options.window)?);
    let sending = async {
        for _ in 0..options.per_stream() {
            unanswered.acquire().await?.forget();
            send.send(&request).await?;
        }
        send.close_send()?;
        Ok::<_, Failure>(())
    };
    let receiving = async {
        let mut bytes = 0;
        while let Some(message) = receive.recv().await? {
            bytes += response_bytes(&message) as u64;
            unanswered.add_permits(1);
        }
        Ok(bytes)
    };
    let ((), bytes) = tokio::try_join!(sending, receiving)?;
    Ok((options.per_stream(), bytes))
}

async fn pingpong(options: &ClientOptions, channels: Vec<Channel>) -> Result<(), Failure> {
    let channel = channels.into_iter().next().ok_or("no connection")?;
    let request = request(options.size, options.rsize);
    let clocked = Clocked::start();
    let mut latencies: Vec<Duration> = Vec::with_capacity(usize::try_from(options.requests)?);
    let mut bytes = 0;
    for _ in 0..options.requests {
        let start = Instant::now();
        let response = channel.unary(&UNARY, &request, CallOptions::new()).await?;
        latencies.push(start.elapsed());
        bytes += response_bytes(&response.message) as u64;
    }
    println!("{} {}", clocked.line(options.requests, bytes), percentiles(&mut latencies));
    Ok(())
}
