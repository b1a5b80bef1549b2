//! Many calls at once on one connection, on both runtimes.

use std::time::Duration;

use bytes::Bytes;
use halfclose_driver::halfclose::{Code, Config};
use halfclose_driver::{CallOptions, Channel, Many, Method, Raw, Response, Router};
use halfclose_e2e::{PATIENCE, Runtime, Serving, on_both, within};

const SAY: Method<Bytes, Bytes, Raw> = Method::new("/e2e.Load/Say");
const CHAT: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new("/e2e.Load/Chat");
const WAIT: Method<Bytes, Bytes, Raw> = Method::new("/e2e.Load/Wait");
/// The unary method, called as if it were another.
const WAIT_AS_STREAMS: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new(WAIT.path());
const WAIT_FOR_MANY: Method<Many<Bytes>, Bytes, Raw> = Method::new(WAIT.path());

on_both! {
    a_thousand_unary_calls_at_once
    two_hundred_bidi_streams_byte_for_byte
    five_hundred_calls_cancelled_at_once_and_a_healthy_one_behind_them
}

fn router() -> Router {
    Router::new()
        .unary(&SAY, |request| async move { Ok(Response::new(request.message)) })
        .unary(&WAIT, |_| std::future::pending())
        .bidi_streaming(&CHAT, |mut call| async move {
            while let Some(message) = call.recv().await? {
                call.send(&message).await?;
            }
            Ok(())
        })
}

/// Returns a server that accepts this many calls at once.
fn serving<R: Runtime>(streams: u32) -> Serving<R> {
    let mut config = Config::server();
    config.limits.max_concurrent_streams = streams;
    Serving::with(router(), config)
}

fn run<R: Runtime>(test: impl Future<Output = ()>) {
    R::block_on(within::<R, _>(PATIENCE, test));
}

/// Runs each future in a task of its own and waits for all of them; one that panics is missed in the count.
async fn all<R: Runtime, F: Future<Output = ()> + Send + 'static>(futures: impl Iterator<Item = F>) {
    let (done, finished) = smol::channel::unbounded();
    let mut tasks = 0;
    for future in futures {
        let done = done.clone();
        R::spawn(async move {
            future.await;
            done.send(()).await.expect("the test waits");
        });
        tasks += 1;
    }
    drop(done);
    for _ in 0..tasks {
        finished.recv().await.expect("no task panicked");
    }
}

async fn say(channel: &Channel, text: String) {
    let options = CallOptions::new().timeout(Duration::from_secs(50));
    let reply = channel.unary(&SAY, &Bytes::from(text.clone()), options).await.expect("status OK");
    assert_eq!(reply.message, text);
}

fn a_thousand_unary_calls_at_once<R: Runtime>() {
    let server = serving::<R>(1_000);
    run::<R>(async {
        let channel = server.connect::<R>().await;
        all::<R, _>((0..1_000).map(|number| {
            let channel = channel.clone();
            async move { say(&channel, format!("call {number}")).await }
        }))
        .await;
    });
}

/// Returns the bytes of a message, different for every message.
fn payload(stream: usize, number: usize, size: usize) -> Bytes {
    (0..size).map(|at| (at * 31 + stream * 7 + number) as u8).collect::<Vec<_>>().into()
}

async fn chat(channel: Channel, stream: usize) {
    let sizes = [0, 1, 200_000 - stream, (stream * 997) % 200_000, 16_384, 5];
    let call = channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call");
    let (mut sender, mut receiver) = call.split();
    let sending = async move {
        for (number, size) in sizes.into_iter().enumerate() {
            sender.send(&payload(stream, number, size)).await.expect("the server listens");
        }
        sender.close_send().expect("an open call");
    };
    let receiving = async move {
        for (number, size) in sizes.into_iter().enumerate() {
            let message = receiver.recv().await.expect("no error").expect("as many as were sent");
            assert!(message == payload(stream, number, size), "stream {stream}, message {number}");
        }
        assert_eq!(receiver.recv().await.expect("status OK"), None);
    };
    smol::future::zip(sending, receiving).await;
}

fn two_hundred_bidi_streams_byte_for_byte<R: Runtime>() {
    let server = serving::<R>(200);
    run::<R>(async {
        let channel = server.connect::<R>().await;
        all::<R, _>((0..200).map(|stream| chat(channel.clone(), stream))).await;
    });
}

fn five_hundred_calls_cancelled_at_once_and_a_healthy_one_behind_them<R: Runtime>() {
    let server = serving::<R>(1_000);
    run::<R>(async {
        let channel = server.connect::<R>().await;
        let mut calls = Vec::new();
        for number in 0..500 {
            let call = channel.bidi_streaming(&WAIT_AS_STREAMS, CallOptions::new()).expect("a call");
            // Every other one has sent its headers by the time it is cancelled.
            if number % 2 == 0 {
                calls.push(call);
            }
        }
        say(&channel, "between".to_owned()).await;
        drop(calls);
        say(&channel, "healthy".to_owned()).await;
        let cancelled = channel.client_streaming(&WAIT_FOR_MANY, CallOptions::new()).expect("a call");
        assert_eq!(cancelled.cancel_and_recv().await.code(), Code::Cancelled);
    });
}
