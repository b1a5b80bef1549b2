//! When and by what the driver is woken: by commands that set an earlier timer, by timers of a task that has moved,
//! and by transports that buffer bytes until they are flushed. Tasks run only when they were woken, and time jumps to
//! the next timer.

use std::future::Future;
use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use halfclose::{Code, Config, Seed, Status, Time};

use super::{CHAT, SAY};
use crate::io::{Clock, Io, Timer};
use crate::{CallOptions, Channel, Response, Router, Shutdown};

/// A clock whose timers wake their tasks when the time is set past them.
#[derive(Clone, Default)]
pub(super) struct Ticking(Arc<Mutex<Ticks>>);

#[derive(Default)]
struct Ticks {
    now: Duration,
    /// By timer: its time and its waker.
    timers: Vec<Option<(Time, Waker)>>,
}

impl Ticking {
    /// Advances to the next timer and wakes its task. Returns whether there was one by `until`.
    fn tick(&self, until: Duration) -> bool {
        let mut ticks = self.0.lock().expect("no test panicked with it");
        let next = ticks.timers.iter().flatten().map(|(at, _)| *at).min();
        let Some(at) = next.filter(|at| *at <= Time::from_duration(until)) else {
            ticks.now = ticks.now.max(until);
            return false;
        };
        ticks.now = ticks.now.max(at.since_epoch());
        let due = ticks.timers.iter_mut().filter_map(|timer| timer.take_if(|(due, _)| *due <= at));
        let due: Vec<_> = due.collect();
        drop(ticks);
        due.into_iter().for_each(|(_, waker)| waker.wake());
        true
    }
}

impl Clock for Ticking {
    type Timer = TickingTimer;

    fn now(&self) -> Time {
        Time::from_duration(self.0.lock().expect("no test panicked with it").now)
    }

    fn timer(&self) -> TickingTimer {
        let mut ticks = self.0.lock().expect("no test panicked with it");
        ticks.timers.push(None);
        TickingTimer { clock: self.clone(), index: ticks.timers.len() - 1 }
    }
}

pub(super) struct TickingTimer {
    clock: Ticking,
    index: usize,
}

impl Timer for TickingTimer {
    fn poll_at(&mut self, cx: &mut Context<'_>, at: Time) -> Poll<()> {
        let mut ticks = self.clock.0.lock().expect("no test panicked with it");
        if Time::from_duration(ticks.now) >= at {
            return Poll::Ready(());
        }
        ticks.timers[self.index] = Some((at, cx.waker().clone()));
        Poll::Pending
    }
}

/// One direction of a pipe that behaves like a buffered transport: only a flush sends what was written.
#[derive(Default)]
struct PipeHalf {
    kept: BytesMut,
    gone: BytesMut,
    /// The most bytes that the reader has not read, and the most in the buffer.
    capacity: usize,
    ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// One end of a pipe.
pub(super) struct BufferedPipe {
    inbound: Arc<Mutex<PipeHalf>>,
    outbound: Arc<Mutex<PipeHalf>>,
}

impl BufferedPipe {
    /// Returns both ends of a pipe that holds `capacity` bytes each way, and buffers as many.
    pub(super) fn pair(capacity: usize) -> (Self, Self) {
        let [up, down] = [(); 2].map(|()| Arc::new(Mutex::new(PipeHalf { capacity, ..PipeHalf::default() })));
        let other = Self { inbound: Arc::clone(&up), outbound: Arc::clone(&down) };
        (Self { inbound: down, outbound: up }, other)
    }

    /// Ends the sending direction alone.
    fn half_close(half: &Mutex<PipeHalf>) {
        let mut half = half.lock().expect("no test panicked with it");
        half.ended = true;
        if let Some(waker) = half.reader.take() {
            waker.wake();
        }
    }
}

impl PipeHalf {
    fn flush(&mut self, cx: &Context<'_>) -> Poll<Result<()>> {
        let space = self.capacity - self.gone.len();
        let count = space.min(self.kept.len());
        self.gone.extend_from_slice(&self.kept.split_to(count));
        if count > 0
            && let Some(waker) = self.reader.take()
        {
            waker.wake();
        }
        if self.kept.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Io for BufferedPipe {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<Result<usize>> {
        let mut half = self.inbound.lock().expect("no test panicked with it");
        let count = half.gone.len().min(input.capacity() - input.len());
        if count == 0 && !half.ended {
            half.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        input.extend_from_slice(&half.gone.split_to(count));
        if let Some(waker) = half.writer.take() {
            waker.wake();
        }
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        let mut half = self.outbound.lock().expect("no test panicked with it");
        let space = half.capacity - half.kept.len();
        if space == 0 {
            // Only a flush makes space.
            half.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut count = 0;
        for slice in slices {
            let step = slice.len().min(space - count);
            half.kept.extend_from_slice(&slice[..step]);
            count += step;
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.outbound.lock().expect("no test panicked with it").flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut half = self.outbound.lock().expect("no test panicked with it");
        let flushed = half.flush(cx);
        if flushed.is_ready() {
            drop(half);
            Self::half_close(&self.outbound);
        }
        flushed
    }
}

/// A task that runs when it was woken. Each poll has a waker of its own, and the one before it wakes nobody: whoever keeps
/// an old one loses its wake.
pub(super) struct Task<'a> {
    future: Option<Pin<Box<dyn Future<Output = ()> + 'a>>>,
    waker: Arc<TaskWaker>,
}

#[derive(Default)]
struct TaskWaker {
    woken: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
    }
}

impl<'a> Task<'a> {
    pub(super) fn new(future: impl Future<Output = ()> + 'a) -> Self {
        let waker = Arc::new(TaskWaker { woken: AtomicBool::new(true) });
        Self { future: Some(Box::pin(future)), waker }
    }

    /// Polls the task if it was woken. Returns whether it was.
    fn run(&mut self) -> bool {
        if !self.waker.woken.load(Ordering::Relaxed) {
            return false;
        }
        self.waker = Arc::default();
        let waker = Waker::from(Arc::clone(&self.waker));
        if let Some(future) = &mut self.future
            && future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        {
            self.future = None;
        }
        true
    }

    pub(super) fn is_done(&self) -> bool {
        self.future.is_none()
    }
}

/// Runs tasks until none was woken.
pub(super) fn settle(tasks: &mut [Task<'_>]) {
    while tasks.iter_mut().map(Task::run).fold(false, |any, ran| any | ran) {}
}

/// Runs tasks for so long.
pub(super) fn run_for(clock: &Ticking, tasks: &mut [Task<'_>], span: Duration) {
    let until = clock.now().since_epoch() + span;
    settle(tasks);
    while clock.tick(until) {
        settle(tasks);
    }
}

/// Returns both ends of a connection, with the server's handlers and settings as given, and the drivers as tasks.
fn joined<'a>(
    clock: &Ticking,
    router: Router,
    client: Config,
    server: Config,
    capacity: usize,
) -> (Channel, Vec<Task<'a>>) {
    let (near, far) = BufferedPipe::pair(capacity);
    let serving = Arc::new(router).serve(far, clock.clone(), server, Seed(1), &Shutdown::new());
    let (channel, driver) = Channel::new(near, clock.clone(), client, Seed(2));
    let tasks = vec![Task::new(async { drop(driver.await) }), Task::new(async { drop(serving.await) })];
    (channel, tasks)
}

fn echo() -> Router {
    Router::new().unary(&SAY, |request| async move { Ok(Response::new(request.message)) }).bidi_streaming(
        &CHAT,
        |mut call| async move {
            while let Some(message) = call.recv().await? {
                call.send(&message).await?;
            }
            Ok(())
        },
    )
}

#[test]
fn a_deadline_of_a_call_that_waits_for_a_stream_is_kept() {
    let clock = Ticking::default();
    let mut server = Config::server();
    server.limits.max_concurrent_streams = 1;
    let (channel, mut tasks) = joined(&clock, echo(), Config::client(), server, 65_536);
    run_for(&clock, &mut tasks, Duration::from_secs(1));
    let open = channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call");
    run_for(&clock, &mut tasks, Duration::from_secs(1));
    let waiting = channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call");
    run_for(&clock, &mut tasks, Duration::from_secs(1));
    let options = CallOptions::new().timeout(Duration::from_millis(200));
    tasks.push(Task::new(async {
        let ended = channel.unary(&SAY, &Bytes::new(), options).await;
        assert_eq!(ended.expect_err("no stream is free").code(), Code::DeadlineExceeded);
    }));
    run_for(&clock, &mut tasks, Duration::from_millis(199));
    assert!(!tasks[2].is_done());
    run_for(&clock, &mut tasks, Duration::from_millis(1));
    assert!(tasks[2].is_done(), "after 200 ms");
    drop((open, waiting));
}

#[test]
fn a_channel_that_is_dropped_while_calls_wait_is_drained_in_time() {
    let clock = Ticking::default();
    let (mut client, mut server) = (Config::client(), Config::server());
    server.limits.max_concurrent_streams = 1;
    client.drain_timeout = Some(Duration::from_secs(3));
    let (channel, mut tasks) = joined(&clock, echo(), client, server, 65_536);
    run_for(&clock, &mut tasks, Duration::from_secs(1));
    let calls = [(); 2].map(|()| channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call"));
    run_for(&clock, &mut tasks, Duration::from_secs(1));
    drop(channel);
    for mut call in calls {
        tasks.push(Task::new(async move {
            assert_eq!(call.recv().await.expect_err("it is cut").code(), Code::Unavailable);
        }));
    }
    run_for(&clock, &mut tasks, Duration::from_millis(2_999));
    assert!(!tasks[2].is_done() && !tasks[3].is_done());
    run_for(&clock, &mut tasks, Duration::from_millis(1));
    assert!(tasks[2].is_done() && tasks[3].is_done());
}

#[test]
fn a_driver_that_moves_to_another_task_takes_its_timer_along() {
    let clock = Ticking::default();
    let (near, _far) = BufferedPipe::pair(65_536);
    let (channel, mut driver) = Channel::new(near, clock.clone(), Config::client(), Seed(2));
    let options = CallOptions::new().timeout(Duration::from_secs(5));
    let mut call = channel.bidi_streaming(&CHAT, options).expect("a call");
    // Polled here first, and later by a task.
    let _ = Pin::new(&mut driver).poll(&mut Context::from_waker(Waker::noop()));
    let mut tasks = [
        Task::new(async { drop(driver.await) }),
        Task::new(async move {
            assert_eq!(call.recv().await.expect_err("out of time").code(), Code::DeadlineExceeded);
        }),
    ];
    run_for(&clock, &mut tasks, Duration::from_secs(5));
    assert!(tasks[1].is_done());
}

#[test]
fn every_call_ends_over_a_transport_that_keeps_bytes_until_it_is_flushed() {
    for (capacity, size) in [(1, 40), (100, 5_000), (4_096, 100_000), (65_536, 300_000)] {
        let clock = Ticking::default();
        let (channel, mut tasks) = joined(&clock, echo(), Config::client(), Config::server(), capacity);
        for count in 0..4 {
            let channel = channel.clone();
            tasks.push(Task::new(async move {
                let message = Bytes::from(vec![count; size]);
                let options = || CallOptions::new().timeout(Duration::from_secs(60));
                let reply = channel.unary(&SAY, &message, options()).await.expect("an answer");
                assert_eq!(reply.message, message);
                let mut chat = channel.bidi_streaming(&CHAT, options()).expect("a call");
                for _ in 0..3 {
                    chat.send(&message).await.expect("buffer space");
                    assert_eq!(chat.recv().await.expect("an answer"), Some(message.clone()));
                }
                chat.close_send().expect("an open call");
                assert_eq!(chat.recv().await.expect("the end"), None);
            }));
        }
        // No time passes, so nothing may depend on a timer.
        settle(&mut tasks);
        assert!(tasks[2..].iter().all(Task::is_done), "{capacity}");
        drop(channel);
        settle(&mut tasks);
        assert!(tasks.iter().all(Task::is_done), "{capacity}: the connection ends too");
    }
}

#[test]
fn a_client_that_ends_its_side_after_its_last_request_gets_its_answers() {
    use halfclose::{CallType, Client, Connection, Recv, Request};

    let clock = Ticking::default();
    let (mut near, far) = BufferedPipe::pair(1 << 20);
    let asleep = clock.clone();
    let router = Router::new().unary(&SAY, move |request| {
        let mut timer = asleep.timer();
        let at = asleep.now() + Duration::from_secs(3);
        async move {
            std::future::poll_fn(move |cx| timer.poll_at(cx, at)).await;
            Ok(Response::new(request.message))
        }
    });
    let serving = Arc::new(router).serve(far, clock.clone(), Config::server(), Seed(1), &Shutdown::new());
    let mut tasks = [Task::new(async { serving.await.expect("a graceful end") })];
    let mut client = Connection::<Client>::new(Config::client(), Seed(2), Time::ZERO);
    let calls = [(); 3].map(|()| {
        let request = Request::new("/driver.Test/Say", CallType::UNARY);
        let call = client.start(Time::ZERO, request).expect("a call");
        client.send_message(call, "ask".into(), false).expect("buffer space");
        client.half_close(call).expect("an open call");
        call
    });
    while let Some(mut out) = client.poll_transmit(Time::ZERO) {
        let bytes = out.copy_to_bytes(out.remaining());
        near.outbound.lock().expect("no panic").gone.extend_from_slice(&bytes);
    }
    BufferedPipe::half_close(&near.outbound);
    run_for(&clock, &mut tasks, Duration::from_secs(5));
    let mut input = BytesMut::with_capacity(1 << 20);
    let cx = &mut Context::from_waker(Waker::noop());
    while matches!(near.poll_read(cx, &mut input), Poll::Ready(Ok(count)) if count > 0) {}
    client.receive(Time::ZERO, &mut input).expect("no violation");
    for call in calls {
        assert!(matches!(client.recv(call), Ok(Recv::Message(_))));
        assert!(matches!(client.recv(call), Ok(Recv::End(end)) if end.status == Status::ok()));
    }
    assert!(tasks[0].is_done(), "the connection ends with its last answer");
}

/// Checks both outcomes of a race that the client cannot see: whether the server's early answer has arrived when the
/// client half-closes.
#[test]
fn half_closing_a_call_that_the_server_has_ended_is_no_error() {
    let clock = Ticking::default();
    let router = Router::new().bidi_streaming(&CHAT, |mut call| async move {
        let first: Option<Bytes> = call.recv().await?;
        Err(Status::invalid_argument(format!("refused: {first:?}")))
    });
    let (channel, mut tasks) = joined(&clock, router, Config::client(), Config::server(), 65_536);
    run_for(&clock, &mut tasks, Duration::from_secs(1));
    let chat = || channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call");
    let (mut whole, mut split) = (chat(), chat());
    tasks.push(Task::new(async move {
        whole.send(&Bytes::from("a")).await.expect("buffer space");
        assert!(whole.headers().await.is_none(), "the call has ended");
        whole.close_send().expect("nothing is left to close");
        assert_eq!(whole.recv().await.expect_err("a status").code(), Code::InvalidArgument);
        split.send(&Bytes::from("a")).await.expect("buffer space");
        let (sender, mut receiver) = split.split();
        assert!(receiver.headers().await.is_none(), "the call has ended");
        sender.close_send().expect("nothing is left to close");
        assert_eq!(receiver.recv().await.expect_err("a status").code(), Code::InvalidArgument);
    }));
    settle(&mut tasks);
    assert!(tasks.last().is_some_and(Task::is_done));
}
