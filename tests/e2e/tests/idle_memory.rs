//! An idle connection holds the same memory whatever it has done before. Both ends are in memory, with a clock that
//! the test sets; there is one test only, because the allocator counts for the whole program.

use std::future::Future;
use std::io::{IoSlice, Result};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use halfclose_driver::halfclose::{Config, Metadata, Seed, Status, Time};
use halfclose_driver::{
    CallOptions, Channel, ClientDriver, Clock, Io, Many, Method, Raw, Response, Router, ServerDriver,
    Shutdown, Timer,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const SAY: Method<Bytes, Bytes, Raw> = Method::new("/e2e.Idle/Say");
const CHAT: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new("/e2e.Idle/Chat");
/// How many bytes more an idle connection with a past may hold: the values of its HPACK tables differ slightly.
const SLACK: usize = 2 * 1024;
/// What an idle connection holds less than (docs/limits.md).
const IDLE: usize = 16 * 1024;

/// One direction of a pipe.
#[derive(Clone, Default)]
struct Half(Arc<Mutex<BytesMut>>);

impl Half {
    fn lock(&self) -> MutexGuard<'_, BytesMut> {
        self.0.lock().expect("no test panicked with it")
    }
}

struct End {
    coming: Half,
    going: Half,
}

impl Io for End {
    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, _: &mut Context<'_>, input: &mut BytesMut) -> Poll<Result<usize>> {
        let mut coming = self.coming.lock();
        let count = coming.len().min(input.capacity() - input.len());
        if count == 0 {
            return Poll::Pending;
        }
        input.extend_from_slice(&coming.split_to(count));
        if coming.is_empty() {
            *coming = BytesMut::new();
        }
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        let mut going = self.going.lock();
        slices.iter().for_each(|slice| going.extend_from_slice(slice));
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A clock that the test sets.
#[derive(Clone, Default)]
struct Still(Arc<Mutex<Duration>>);

impl Clock for Still {
    type Timer = Self;

    fn now(&self) -> Time {
        Time::from_duration(*self.0.lock().expect("no test panicked with it"))
    }

    fn timer(&self) -> Self {
        self.clone()
    }
}

impl Timer for Still {
    fn poll_at(&mut self, _: &mut Context<'_>, at: Time) -> Poll<()> {
        if self.now() >= at { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// A client and a server.
struct Joined {
    clock: Still,
    up: Half,
    down: Half,
    channel: Channel,
    client: ClientDriver<End, Still>,
    server: ServerDriver<End, Still>,
}

impl Joined {
    fn new() -> Self {
        let (clock, up, down) = (Still::default(), Half::default(), Half::default());
        let router = Router::new()
            .unary(&SAY, |request| async move {
                if request.message == "fail" {
                    return Err(Status::aborted("as asked"));
                }
                Ok(Response::new(request.message))
            })
            .bidi_streaming(&CHAT, |mut call| async move {
                while let Some(message) = call.recv().await? {
                    call.send(&message).await?;
                }
                Ok(())
            });
        let io = End { coming: down.clone(), going: up.clone() };
        let (channel, client) = Channel::new(io, clock.clone(), Config::client(), Seed(1));
        let mut config = Config::server();
        config.limits.max_concurrent_streams = 30_000;
        config.limits.resets.burst = u32::MAX;
        let io = End { coming: up.clone(), going: down.clone() };
        let server = Arc::new(router).serve(io, clock.clone(), config, Seed(2), &Shutdown::new());
        Self { clock, up, down, channel, client, server }
    }

    /// Polls both ends until neither has output.
    fn settle(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            loop {
                let client = Pin::new(&mut self.client).poll(&mut cx);
                assert!(client.is_pending(), "the client's connection ended: {client:?}");
                let server = Pin::new(&mut self.server).poll(&mut cx);
                assert!(server.is_pending(), "the server's connection ended: {server:?}");
                if self.up.lock().is_empty() && self.down.lock().is_empty() {
                    break;
                }
            }
        }
    }

    fn advance(&mut self, time: Duration) {
        *self.clock.0.lock().expect("no test panicked with it") += time;
        self.settle();
    }

    /// Returns the memory in use once the connection has been idle for long enough.
    fn idle(&mut self) -> usize {
        self.settle();
        (0..3).for_each(|_| self.advance(Duration::from_secs(2)));
        ALLOCATOR.current_usage()
    }

    /// Makes `count` calls at once, each polled until it is done.
    fn calls(&mut self, count: usize, message: &Bytes, metadata: &Metadata) {
        let channel = self.channel.clone();
        let call = || channel.unary(&SAY, message, CallOptions::new().metadata(metadata.clone()));
        let mut calls: Vec<_> = (0..count).map(|_| Box::pin(call())).collect();
        let mut cx = Context::from_waker(Waker::noop());
        while !calls.is_empty() {
            calls.retain_mut(|call| call.as_mut().poll(&mut cx).is_pending());
            self.settle();
        }
    }

    fn chats(&mut self, count: usize) {
        let mut cx = Context::from_waker(Waker::noop());
        let mut chats: Vec<_> = (0..count)
            .map(|_| self.channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call"))
            .collect();
        self.settle();
        for chat in &mut chats {
            assert!(pin!(chat.send(&Bytes::from_static(b"hello"))).poll(&mut cx).is_ready());
        }
        for chat in &mut chats {
            // Nothing has arrived yet, so the task waits, on both sides.
            assert!(pin!(chat.recv()).poll(&mut cx).is_pending());
        }
        self.settle();
    }
}

type Past = fn(&mut Joined);

/// The activity of a connection before it is idle.
const PASTS: [(&str, Past); 7] = [
    ("20,000 calls at once", |joined| joined.calls(20_000, &Bytes::from_static(b"hello"), &Metadata::new())),
    ("2,000 calls one after the other", |joined| {
        for _ in 0..2_000 {
            joined.calls(1, &Bytes::from_static(b"hello"), &Metadata::new());
        }
    }),
    ("large messages", |joined| joined.calls(8, &vec![7; 3 << 20].into(), &Metadata::new())),
    ("much metadata", |joined| {
        let mut metadata = Metadata::new();
        metadata.append("x-large", &"x".repeat(10_000)).expect("a legal entry");
        joined.calls(100, &Bytes::new(), &metadata);
    }),
    ("errors", |joined| joined.calls(1_000, &Bytes::from_static(b"fail"), &Metadata::new())),
    ("10,000 streams that are dropped", |joined| {
        joined.chats(10_000);
        joined.settle();
    }),
    ("a burst after an idle time", |joined| {
        joined.idle();
        joined.calls(200, &vec![7; 20_000].into(), &Metadata::new());
    }),
];

#[test]
fn an_idle_connection_holds_the_same_whatever_came_before() {
    // The thread's own buffers and the runtime's tables are allocated before anything is measured.
    let mut warm = Joined::new();
    PASTS.iter().for_each(|(_, past)| past(&mut warm));
    drop(warm);
    for (name, past) in PASTS {
        let before = ALLOCATOR.current_usage();
        let mut joined = Joined::new();
        joined.calls(1, &Bytes::from_static(b"hello"), &Metadata::new());
        let fresh = joined.idle();
        let both = fresh.saturating_sub(before);
        println!("two fresh ends: {both} bytes");
        assert!(both < 2 * IDLE, "two idle ends hold {both} bytes");
        past(&mut joined);
        let after = joined.idle();
        let more = after.saturating_sub(fresh);
        println!("{name}: {more} bytes more than a fresh connection");
        assert!(more <= SLACK, "{name}: {more} bytes more than a fresh connection");
    }
}
