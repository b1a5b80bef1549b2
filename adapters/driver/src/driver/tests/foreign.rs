//! A probe in every hook that runs the code of others: is a connection locked there? May it come back to the connection?
//! What does its panic end?

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{IoSlice, Result};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use halfclose::grpc::compress::{CompressError, DecompressError, MessageCodec};
use halfclose::grpc::encoding::Encoding;
use halfclose::{Code, Config, Seed, Status, Time};

use super::kit::{Wire, poll};
use super::waking::{BufferedPipe, Task, Ticking, TickingTimer, run_for, settle};
use super::{CHAT, SAY};
use crate::io::{Clock, Io, Timer};
use crate::{CallOptions, Channel, Codec, Method, Response, Router, Shutdown, Sink};

const PROBED: Method<Vec<u8>, Vec<u8>, ProbingCodec> = Method::new("/driver.Test/Probed");

thread_local! {
    /// What each hook does besides its work, and how often it ran.
    static VISITS: RefCell<BTreeMap<&'static str, usize>> = const { RefCell::new(BTreeMap::new()) };
    /// Tells whether a connection of this test is locked.
    #[allow(clippy::type_complexity, reason = "said once")]
    static IS_LOCKED: RefCell<Vec<Box<dyn Fn() -> bool>>> = const { RefCell::new(Vec::new()) };
    /// Whom the hooks come back to.
    static CHANNEL: RefCell<Option<Channel>> = const { RefCell::new(None) };
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Checks in every hook whether a connection is locked, and gives commands to one.
fn probe(hook: &'static str) {
    let times = VISITS.with_borrow_mut(|visits| {
        let times = visits.entry(hook).or_default();
        *times += 1;
        *times
    });
    let locked = IS_LOCKED.with_borrow(|all| all.iter().any(|is_locked| is_locked()));
    assert!(!locked, "{hook} runs while a connection is locked");
    // A transport that gives its driver work whenever it is asked would never let it rest.
    if times > 20 || INSIDE.replace(true) {
        return;
    }
    let channel = CHANNEL.with_borrow(Option::clone);
    if let Some(channel) = channel {
        // A call that starts and ends, and a question.
        drop(channel.bidi_streaming(&CHAT, CallOptions::new()));
        let _ = channel.is_closed();
    }
    INSIDE.set(false);
}

fn visits(hook: &str) -> usize {
    VISITS.with_borrow(|visits| visits.get(hook).copied().unwrap_or_default())
}

/// An owner of bytes that probes when it is dropped.
struct ProbingOwner(Vec<u8>);

impl AsRef<[u8]> for ProbingOwner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for ProbingOwner {
    fn drop(&mut self) {
        probe("drop of an owner");
    }
}

fn owned(bytes: Vec<u8>) -> Bytes {
    Bytes::from_owner(ProbingOwner(bytes))
}

struct ProbingCodec;

impl Codec<Vec<u8>> for ProbingCodec {
    fn size_hint(_: &Vec<u8>) -> usize {
        probe("size hint");
        0
    }

    fn encode(message: &Vec<u8>, sink: &mut Sink) -> std::result::Result<(), Status> {
        probe("encode");
        assert_ne!(message, b"encode", "by intention");
        sink.put_bytes(owned(message.clone()));
        Ok(())
    }

    fn decode(payload: Bytes) -> std::result::Result<Vec<u8>, Status> {
        probe("decode");
        assert_ne!(payload, "decode", "by intention");
        Ok(payload.to_vec())
    }
}

/// A message encoding that turns every byte over.
#[derive(Debug)]
struct ProbingEncoding;

impl MessageCodec for ProbingEncoding {
    fn name(&self) -> &str {
        Encoding::Gzip.as_str()
    }

    fn compress(&self, payload: &[u8], out: &mut Vec<u8>) -> std::result::Result<(), CompressError> {
        probe("compress");
        assert_ne!(payload, b"compress", "by intention");
        out.extend(payload.iter().map(|byte| !byte));
        Ok(())
    }

    fn decompress(&self, payload: &[u8], _: usize) -> std::result::Result<Bytes, DecompressError> {
        probe("decompress");
        let payload: Vec<_> = payload.iter().map(|byte| !byte).collect();
        assert_ne!(payload, b"decompress", "by intention");
        Ok(payload.into())
    }
}

#[derive(Clone)]
struct ProbingClock(Ticking);

struct ProbingTimer(TickingTimer);

impl Clock for ProbingClock {
    type Timer = ProbingTimer;

    fn now(&self) -> Time {
        probe("clock");
        self.0.now()
    }

    fn timer(&self) -> ProbingTimer {
        ProbingTimer(self.0.timer())
    }
}

impl Timer for ProbingTimer {
    fn poll_at(&mut self, cx: &mut Context<'_>, at: Time) -> Poll<()> {
        probe("timer");
        self.0.poll_at(cx, at)
    }
}

struct ProbingIo(BufferedPipe);

impl Io for ProbingIo {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<Result<usize>> {
        probe("read");
        self.0.poll_read(cx, input)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        probe("write");
        self.0.poll_write(cx, slices)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        probe("flush");
        self.0.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        probe("close");
        self.0.poll_close(cx)
    }
}

/// Both ends of a connection whose hooks all probe.
struct Probed {
    channel: Channel,
    clock: Ticking,
    tasks: Vec<Task<'static>>,
    shutdown: Shutdown,
}

impl Probed {
    fn new(router: Router) -> Self {
        let clock = Ticking::default();
        let (near, far) = BufferedPipe::pair(65_536);
        let with_encoding = |mut config: Config| {
            config.codecs = config.codecs.with(Arc::new(ProbingEncoding)).expect("a name");
            config
        };
        let shutdown = Shutdown::new();
        let serving = Arc::new(router).serve(
            ProbingIo(far),
            ProbingClock(clock.clone()),
            with_encoding(Config::server()),
            Seed(1),
            &shutdown,
        );
        let config = with_encoding(Config::client());
        let (channel, driver) = Channel::new(ProbingIo(near), ProbingClock(clock.clone()), config, Seed(2));
        let (client, server) = (Arc::clone(driver.shared()), Arc::clone(serving.shared()));
        IS_LOCKED.set(vec![Box::new(move || client.is_locked()), Box::new(move || server.is_locked())]);
        CHANNEL.set(Some(channel.clone()));
        let tasks = vec![Task::new(async { drop(driver.await) }), Task::new(async { drop(serving.await) })];
        Self { channel, clock, tasks, shutdown }
    }

    /// Runs a task to its end, without any time passing.
    fn run(&mut self, task: impl Future<Output = ()> + 'static) {
        self.tasks.push(Task::new(task));
        settle(&mut self.tasks);
        assert!(self.tasks.pop().expect("the task").is_done());
    }

    /// Ends the connection.
    fn close(mut self) {
        CHANNEL.take();
        self.shutdown.trigger();
        drop(self.channel);
        run_for(&self.clock, &mut self.tasks, Duration::from_secs(30));
        assert!(self.tasks.iter().all(Task::is_done));
        IS_LOCKED.take();
    }
}

fn compressing() -> CallOptions {
    CallOptions::new().encoding(Encoding::Gzip)
}

/// Returns a router that echoes, compressed on request, and fails where a request asks for it.
fn router() -> Router {
    Router::new()
        .unary(&PROBED, |request| async move {
            assert_ne!(request.message, b"handler", "by intention");
            if request.compressed {
                request.context.set_encoding(Some(Encoding::Gzip)).map_err(Status::from)?;
            }
            if request.message == b"status" {
                return Err(Status::aborted("with details").with_details(owned(vec![1; 5_000])));
            }
            Ok(Response::new(match request.message.strip_prefix(b"answer ") {
                Some(message) => message.to_vec(),
                None => request.message,
            }))
        })
        .bidi_streaming(&CHAT, |mut call| async move {
            call.context().set_encoding(Some(Encoding::Gzip)).ok();
            while let Some(message) = call.recv().await? {
                call.send(&message).await?;
            }
            Ok(())
        })
}

#[test]
fn no_hook_runs_while_a_connection_is_locked_and_each_may_come_back() {
    let mut probed = Probed::new(router());
    let channel = probed.channel.clone();
    probed.run(async move {
        for size in [10, 5_000, 200_000] {
            for options in [CallOptions::new(), compressing()] {
                let mut options = options.timeout(Duration::from_secs(9));
                options.authority = Some(owned(b"there".to_vec()));
                let message = vec![7; size];
                let answer = channel.unary(&PROBED, &message, options).await.expect("an answer");
                assert_eq!(answer.message, message);
            }
        }
        let error = channel.unary(&PROBED, &b"status".to_vec(), CallOptions::new()).await;
        assert_eq!(error.expect_err("an error").status().details().len(), 5_000);
        let mut chat = channel.bidi_streaming(&CHAT, compressing()).expect("a call");
        for _ in 0..5 {
            let message = owned(vec![3; 100_000]);
            chat.send(&message).await.expect("buffer space");
            assert_eq!(chat.recv().await.expect("an answer"), Some(message));
        }
    });
    // Messages that are queued when their call is cancelled, forgotten, or out of time.
    for end in 0..4 {
        let channel = probed.channel.clone();
        probed.run(async move {
            let options = CallOptions::new().timeout(Duration::from_millis(1));
            let call = channel.bidi_streaming(&CHAT, options).expect("a call");
            let (mut sender, receiver) = call.split();
            while poll(pin!(sender.send(&owned(vec![3; 100_000])))).is_ready() {}
            match end {
                0 => receiver.cancel(),
                1 => drop(sender),
                2 => drop(receiver),
                _ => {}
            }
        });
        run_for(&probed.clock, &mut probed.tasks, Duration::from_millis(2));
    }
    probed.close();
    for hook in [
        "size hint",
        "encode",
        "decode",
        "compress",
        "decompress",
        "drop of an owner",
        "clock",
        "timer",
        "read",
        "write",
        "flush",
        "close",
    ] {
        assert!(visits(hook) > 0, "{hook}");
    }
    assert!(visits("drop of an owner") >= 10);
}

#[test]
fn messages_that_are_queued_when_a_connection_ends_are_dropped_when_it_is_unlocked() {
    for graceful in [true, false] {
        let mut probed = Probed::new(router());
        let before = visits("drop of an owner");
        let call = probed.channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call");
        let (mut sender, receiver) = call.split();
        while poll(pin!(sender.send(&owned(vec![3; 30_000])))).is_ready() {}
        if graceful {
            probed.channel.close();
            settle(&mut probed.tasks);
        } else {
            // The driver is dropped with its task.
            probed.tasks.clear();
        }
        assert!(visits("drop of an owner") > before, "{graceful}");
        drop((sender, receiver));
        probed.tasks.clear();
        probed.close();
    }
}

#[test]
fn a_panic_of_a_codec_or_a_handler_is_internal_of_its_call_alone() {
    let mut probed = Probed::new(router());
    let channel = probed.channel.clone();
    probed.run(async move {
        let mut other = channel.bidi_streaming(&CHAT, compressing()).expect("a call");
        // What panics on the client, on the server with the request, and there with the answer.
        for message in [
            "encode",
            "compress",
            "decompress",
            "decode",
            "handler",
            "answer encode",
            "answer compress",
            "answer decompress",
            "answer decode",
        ] {
            let error = channel.unary(&PROBED, &message.as_bytes().to_vec(), compressing()).await;
            let error = error.expect_err(message);
            assert_eq!(error.code(), Code::Internal, "{message}: {error}");
            let fine = channel.unary(&PROBED, &b"fine".to_vec(), compressing()).await;
            assert_eq!(fine.expect("an answer").message, b"fine", "{message}");
            let word = Bytes::from_static(b"on");
            other.send(&word).await.expect("buffer space");
            assert_eq!(other.recv().await.expect("an answer"), Some(word), "{message}");
        }
        // In streams of messages, sent and received.
        for message in ["compress", "decompress"] {
            let mut call = channel.bidi_streaming(&CHAT, compressing()).expect("a call");
            match call.send(&Bytes::from_static(message.as_bytes())).await {
                Ok(()) => {
                    let error = call.recv().await.expect_err(message);
                    assert_eq!(error.code(), Code::Internal, "{message}");
                }
                Err(error) => assert_eq!(Status::from(error).code, Code::Internal, "{message}"),
            }
        }
    });
    probed.close();
}

/// A task that panics when it is woken, and when its last waker is dropped.
struct PanickingWaker(Arc<AtomicUsize>);

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("by intention");
    }
}

#[test]
fn a_waker_that_panics_keeps_no_other_call_from_its_answer() {
    let mut probed = Probed::new(router());
    let times = Arc::new(AtomicUsize::new(0));
    let message = b"fine".to_vec();
    let channel = probed.channel.clone();
    let waker = Waker::from(Arc::new(PanickingWaker(Arc::clone(&times))));
    let mut panicking = pin!(channel.unary(&PROBED, &message, CallOptions::new()));
    assert!(panicking.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let mut closed = Box::pin(channel.closed());
    assert!(closed.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let other = probed.channel.clone();
    probed.run(async move {
        let answer = other.unary(&PROBED, &b"other".to_vec(), CallOptions::new()).await;
        assert_eq!(answer.expect("an answer").message, b"other");
    });
    assert_eq!(times.load(Ordering::Relaxed), 1);
    assert!(poll(panicking.as_mut()).is_ready());
    probed.channel.close();
    settle(&mut probed.tasks);
    assert_eq!(times.load(Ordering::Relaxed), 2);
    drop(closed);
    probed.close();
}

/// A clock, or a transport, that panics from now on.
#[derive(Clone, Default)]
struct Broken(Arc<AtomicUsize>);

impl Broken {
    fn check(&self) {
        assert_eq!(self.0.load(Ordering::Relaxed), 0, "by intention");
    }
}

impl Clock for Broken {
    type Timer = Self;

    fn now(&self) -> Time {
        self.check();
        Time::ZERO
    }

    fn timer(&self) -> Self {
        self.clone()
    }
}

impl Timer for Broken {
    fn poll_at(&mut self, _: &mut Context<'_>, _: Time) -> Poll<()> {
        self.check();
        Poll::Pending
    }
}

#[test]
fn a_clock_that_panics_ends_the_calls_of_its_connection_and_nothing_else() {
    let (wire, clock) = (Wire::default(), Broken::default());
    let (channel, driver) = Channel::new(wire, clock.clone(), Config::client(), Seed(1));
    let mut driver = Box::pin(driver);
    assert!(poll(driver.as_mut()).is_pending());
    let message = Bytes::new();
    let mut call = Box::pin(channel.unary(&SAY, &message, CallOptions::new()));
    assert!(poll(call.as_mut()).is_pending());
    clock.0.store(1, Ordering::Relaxed);
    let polled = crate::outside::contained(move || {
        let mut driver: Pin<Box<_>> = driver;
        poll(driver.as_mut())
    });
    assert!(polled.is_none(), "it panics, and the driver is dropped with that");
    let Poll::Ready(Err(error)) = poll(call.as_mut()) else { panic!("nobody drives the call") };
    assert_eq!(error.code(), Code::Unavailable);
    drop(call);
    // A channel that is dropped asks what time it is.
    drop(channel);
}
