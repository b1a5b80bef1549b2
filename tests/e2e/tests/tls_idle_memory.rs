//! An idle TLS connection holds little memory, whatever it has done before. Both ends are in memory; there is one
//! test only, because the allocator counts for the whole program.

use std::future::Future;
use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use halfclose_driver::halfclose::{Config, Seed, Time};
use halfclose_driver::tls::{ClientTls, Identity, ServerTls, Tls};
use halfclose_driver::{
    CallOptions, Channel, ClientDriver, Clock, Io, Method, Raw, Response, Router, ServerDriver, Shutdown,
    Timer,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const SAY: Method<Bytes, Bytes, Raw> = Method::new("/e2e.Idle/Say");
/// The memory of both ends of an idle connection, TLS and HTTP/2, in bytes. rustls keeps 4 KiB for its next read, and
/// its session; our side keeps nothing.
const BOTH_ENDS: usize = 40 * 1024;
/// How many bytes more an idle connection with a past may hold.
const SLACK: usize = 2 * 1024;

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

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
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

struct Joined {
    clock: Still,
    channel: Channel,
    client: Pin<Box<ClientDriver<Tls<End>, Still>>>,
    server: Pin<Box<ServerDriver<Tls<End>, Still>>>,
}

impl Joined {
    fn new(client: &ClientTls, server: &ServerTls) -> Self {
        let (clock, up, down) = (Still::default(), Half::default(), Half::default());
        let near = End { coming: down.clone(), going: up.clone() };
        let near = client.start(near, "localhost").expect("a name");
        let far = server.start(End { coming: up, going: down }).expect("settings");
        let router = Router::new().unary(&SAY, |request| async move { Ok(Response::new(request.message)) });
        let (channel, client) = Channel::new(near, clock.clone(), Config::client(), Seed(1));
        let server = Arc::new(router).serve(far, clock.clone(), Config::server(), Seed(2), &Shutdown::new());
        Self { clock, channel, client: Box::pin(client), server: Box::pin(server) }
    }

    fn turn(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(self.client.as_mut().poll(&mut cx).is_pending());
        assert!(self.server.as_mut().poll(&mut cx).is_pending());
    }

    fn say(&mut self, message: &Bytes) {
        let channel = self.channel.clone();
        let mut call = Box::pin(channel.unary(&SAY, message, CallOptions::new()));
        let mut cx = Context::from_waker(Waker::noop());
        while call.as_mut().poll(&mut cx).is_pending() {
            self.turn();
        }
    }

    fn idle(&mut self) {
        for _ in 0..3 {
            (0..5).for_each(|_| self.turn());
            *self.clock.0.lock().expect("no test panicked with it") += Duration::from_secs(2);
        }
        self.turn();
    }
}

#[test]
fn idle_sessions_give_their_buffers_back() {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (chain, key) = (issued.cert.pem(), issued.signing_key.serialize_pem());
    let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).expect("a certificate");
    let server = ServerTls::builder(identity).build().expect("settings");
    let client = ClientTls::builder().ca_pem(chain.as_bytes()).and_then(|tls| tls.build()).expect("settings");
    // Warms up what is created once: the buffers of the thread, the cache of sessions.
    for _ in 0..3 {
        let mut warm = Joined::new(&client, &server);
        (0..5).for_each(|_| warm.say(&Bytes::from(vec![7; 3 << 20])));
        warm.idle();
    }
    let held = |message: Option<usize>| {
        let before = ALLOCATOR.current_usage();
        let mut joined = Joined::new(&client, &server);
        joined.say(&Bytes::from_static(b"hello"));
        if let Some(length) = message {
            (0..5).for_each(|_| joined.say(&Bytes::from(vec![7; length])));
        }
        joined.idle();
        ALLOCATOR.current_usage().saturating_sub(before)
    };
    let fresh = held(None);
    println!("an idle connection, both ends: {fresh} bytes");
    assert!(fresh <= BOTH_ENDS, "{fresh} bytes");
    for length in [100, 16 << 10, 1 << 20, 3 << 20] {
        let met = held(Some(length));
        println!("after messages of {length} bytes: {met} bytes");
        assert!(met <= fresh + SLACK, "{met} bytes after messages of {length}, {fresh} without");
    }
}
