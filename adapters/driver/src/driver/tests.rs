//! The driver on a transport and a clock that the test controls, for what tests over sockets cannot time.

mod decompression;
mod dropped_futures;
mod early_headers;
mod foreign;
mod kit;
mod waking;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use halfclose::Rate;
use halfclose::{
    CallType, Client, Code, Config, Connection, Event, Recv, Request, Seed, Server, Status, Time,
};

use super::{Driver, RoleHooks};
use crate::client::ClientDriver;
use crate::shared::{Shared, State};
use crate::{CallOptions, Channel, Many, Method, Raw, Response, Router, Shutdown};
use kit::{Counted, Peer, Still, Wire, poll};

const SAY: Method<Bytes, Bytes, Raw> = Method::new("/driver.Test/Say");
const CHAT: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new("/driver.Test/Chat");

type Driven = ClientDriver<Wire, Still>;

fn client(wire: &Wire) -> (Channel, Driven) {
    Channel::new(wire.clone(), Still::default(), Config::client(), Seed(1))
}

/// Returns a client's driver whose server has said hello.
fn connected(wire: &Wire) -> (Channel, Driven, Peer<Server>) {
    let (channel, mut driver) = client(wire);
    let mut server = Peer::<Server>::new(Config::server());
    assert!(poll(&mut driver).is_pending());
    server.exchange(wire);
    assert!(poll(&mut driver).is_pending());
    (channel, driver, server)
}

/// A side that records the end of the connection and nothing else.
struct Noting {
    noted: bool,
    done: Arc<AtomicUsize>,
    call: Option<halfclose::CallId>,
}

impl RoleHooks for Noting {
    type Role = Server;

    fn on_event(&mut self, _: &mut State<Server>, event: &Event) {
        match *event {
            Event::Request(call) => self.call = Some(call),
            Event::Closed(_) => self.noted = true,
            _ => {}
        }
    }

    fn run(&mut self, _: &Arc<Shared<Server>>, _: Time) -> bool {
        if std::mem::take(&mut self.noted) {
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        false
    }

    fn settle(&mut self, _: &mut State<Server>) {}

    fn shrink(&mut self) {}

    fn has_work(&self) -> bool {
        self.noted
    }
}

#[test]
fn what_the_last_write_asks_for_is_done_before_the_driver_lingers() {
    let (wire, clock, done) = (Wire::default(), Still::default(), Arc::new(AtomicUsize::new(0)));
    let connection = Connection::<Server>::new(Config::server(), Seed(1), Time::ZERO);
    let side = Noting { noted: false, done: Arc::clone(&done), call: None };
    let mut driver = Driver::new(wire.clone(), clock, connection, side);
    let mut client = Peer::<Client>::new(Config::client());
    client.connection.start(Time::ZERO, Request::new("/driver.Test/Say", CallType::BIDI)).expect("a call");
    client.exchange(&wire);
    assert!(poll(&mut driver).is_pending());
    driver.shared().command(|state| state.connection.shutdown(Time::ZERO));
    // The GOAWAY and its PING, and the answer.
    assert!(poll(&mut driver).is_pending());
    client.exchange(&wire);
    assert!(poll(&mut driver).is_pending());
    assert_eq!(done.load(Ordering::Relaxed), 0, "a call is open");

    // The connection is over when the trailers of its last call are sent.
    let call = driver.works.side.call.expect("the call");
    let finished =
        driver.shared().command(|state| state.connection.finish(call, Status::ok(), Default::default()));
    finished.expect("an open call");
    assert!(poll(&mut driver).is_pending(), "it lingers");
    assert_eq!(done.load(Ordering::Relaxed), 1);
}

#[test]
fn an_answer_that_came_before_the_transport_broke_is_delivered() {
    let wire = Wire::default();
    let (channel, mut driver, mut server) = connected(&wire);
    let request = Bytes::from_static(b"ask");
    let mut first = pin!(channel.unary(&SAY, &request, CallOptions::new()));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(&mut driver).is_pending());
    server.answer_every_call(&wire, b"answer");
    wire.lock().eof = true;
    // The answer is read in small pieces, and a write fails before all of it was read.
    (wire.lock().most_read, wire.lock().broken) = (5, true);
    let mut second = pin!(channel.unary(&SAY, &request, CallOptions::new()));
    assert!(poll(second.as_mut()).is_pending());
    assert!(poll(&mut driver).is_ready(), "the transport has ended");
    let Poll::Ready(Ok(answer)) = poll(first.as_mut()) else { panic!("the answer was there") };
    assert_eq!(&answer.message[..], b"answer");
    let Poll::Ready(Err(error)) = poll(second.as_mut()) else { panic!("nobody answered the second call") };
    assert_eq!(error.code(), Code::Unavailable);
}

#[test]
fn a_broken_transport_that_never_ends_is_left_after_a_second() {
    let wire = Wire::default();
    let (channel, mut driver, _) = connected(&wire);
    wire.lock().broken = true;
    let request = Bytes::new();
    let mut call = pin!(channel.unary(&SAY, &request, CallOptions::new()));
    assert!(poll(call.as_mut()).is_pending());
    assert!(poll(&mut driver).is_pending(), "the peer may have answered");
    assert!(poll(call.as_mut()).is_pending());
    driver.works.clock.advance(Duration::from_secs(1));
    assert!(poll(&mut driver).is_ready());
    let Poll::Ready(Err(error)) = poll(call.as_mut()) else { panic!("nobody answers") };
    assert_eq!(error.code(), Code::Unavailable);
}

#[test]
fn a_flood_is_handled_a_bounded_piece_at_a_time() {
    let wire = Wire::default();
    let mut config = Config::server();
    let any = Rate { burst: u32::MAX, per_second: u32::MAX };
    (config.limits.control_frames, config.limits.glitches) = (any, any);
    config.keepalive.max_strikes = None;
    let frames_per_turn = config.limits.frames_per_turn as usize;
    let router = Arc::new(Router::new());
    let mut driver = router.serve(wire.clone(), Still::default(), config, Seed(1), &Shutdown::new());
    let mut client = Peer::<Client>::new(Config::client());
    client.exchange(&wire);
    assert!(poll(&mut driver).is_pending());
    client.exchange(&wire);
    assert!(poll(&mut driver).is_pending());

    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    wire.lock().endless = ping.to_vec();
    for _ in 0..3 {
        wire.lock().written.clear();
        let (waker, woken) = Counted::new();
        let polled = Pin::new(&mut driver).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        assert_eq!(woken.count(), 1, "it asks for another turn");
        let answers = wire.lock().written.len() / ping.len();
        assert!(answers > 0 && answers <= super::TURNS_PER_POLL * frames_per_turn, "{answers} in one turn");
    }
}

#[test]
fn a_poll_that_takes_long_is_over_with_the_handler_that_runs() {
    let (wire, clock, begun) = (Wire::default(), Still::default(), Arc::new(AtomicUsize::new(0)));
    let (count, time) = (Arc::clone(&begun), clock.clone());
    let router = Arc::new(Router::new().bidi_streaming(&CHAT, move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        // Its work takes a while.
        time.advance(Duration::from_millis(1));
        std::future::pending()
    }));
    let mut driver = router.serve(wire.clone(), clock, Config::server(), Seed(1), &Shutdown::new());
    let mut client = Peer::<Client>::new(Config::client());
    for _ in 0..100 {
        let request = Request::new("/driver.Test/Chat", CallType::BIDI);
        client.connection.start(Time::ZERO, request).expect("a call");
    }
    client.exchange(&wire);
    let (waker, woken) = Counted::new();
    assert!(Pin::new(&mut driver).poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(begun.load(Ordering::Relaxed), 2, "two milliseconds");
    assert_eq!(woken.count(), 1, "it asks for another one");
    for _ in 0..100 {
        assert!(poll(&mut driver).is_pending());
    }
    assert_eq!(begun.load(Ordering::Relaxed), 100);
}

/// Returns how many of 200 handlers that take a millisecond each run in one poll of their driver, and how many polls
/// it takes until all have run. `woken` says whether they wait first and are woken at one instant, or begin with one
/// read.
fn heavy_handlers(woken: bool) -> (usize, usize) {
    let (wire, clock, begun) = (Wire::default(), Still::default(), Arc::new(AtomicUsize::new(0)));
    let (count, time) = (Arc::clone(&begun), clock.clone());
    let gate: Arc<std::sync::Mutex<Option<Vec<Waker>>>> =
        Arc::new(std::sync::Mutex::new(woken.then(Vec::new)));
    let closed = Arc::clone(&gate);
    let router = Arc::new(Router::new().bidi_streaming(&CHAT, move |_| {
        let (count, time, gate) = (Arc::clone(&count), time.clone(), Arc::clone(&closed));
        std::future::poll_fn(move |cx| {
            if let Some(waiting) = &mut *gate.lock().expect("no test panicked with it") {
                waiting.push(cx.waker().clone());
                return Poll::Pending;
            }
            count.fetch_add(1, Ordering::Relaxed);
            time.advance(Duration::from_millis(1));
            Poll::Ready(Ok(()))
        })
    }));
    let mut config = Config::server();
    (config.limits.frames_per_turn, config.limits.max_concurrent_streams) = (1_000, 1_000);
    let mut driver = router.serve(wire.clone(), clock, config, Seed(1), &Shutdown::new());
    let mut client = Peer::<Client>::new(Config::client());
    assert!(poll(&mut driver).is_pending());
    client.exchange(&wire);
    for _ in 0..200 {
        let request = Request::new("/driver.Test/Chat", CallType::BIDI);
        client.connection.start(Time::ZERO, request).expect("a call");
    }
    client.exchange(&wire);
    if woken {
        while poll(&mut driver).is_pending() && begun.load(Ordering::Relaxed) == 0 {
            if gate.lock().expect("no panic").as_ref().is_some_and(|waiting| waiting.len() == 200) {
                break;
            }
        }
        let waiting = gate.lock().expect("no panic").take();
        waiting.into_iter().flatten().for_each(Waker::wake);
    }
    let (mut first, mut polls) = (0, 0);
    while begun.load(Ordering::Relaxed) < 200 {
        let (waker, times) = Counted::new();
        let before = begun.load(Ordering::Relaxed);
        assert!(Pin::new(&mut driver).poll(&mut Context::from_waker(&waker)).is_pending());
        let ran = begun.load(Ordering::Relaxed) - before;
        assert!(ran > 0, "each poll makes progress");
        first = first.max(ran);
        polls += 1;
        assert!(times.count() > 0 || begun.load(Ordering::Relaxed) == 200, "it asks for another turn");
    }
    (first, polls)
}

#[test]
fn handlers_that_take_long_are_not_all_run_in_one_poll() {
    for woken in [false, true] {
        let (most, polls) = heavy_handlers(woken);
        assert!(most <= 3 && polls >= 60, "{woken}: {most} in one poll, {polls} polls");
    }
}

#[test]
fn a_call_that_ends_with_the_read_that_brought_it_leaves_no_handler() {
    let (wire, begun) = (Wire::default(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&begun);
    let router = Arc::new(Router::new().bidi_streaming(&CHAT, move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        std::future::pending()
    }));
    let shutdown = Shutdown::new();
    let mut driver = router.serve(wire.clone(), Still::default(), Config::server(), Seed(1), &shutdown);
    let mut client = Peer::<Client>::new(Config::client());
    let start = |client: &mut Peer<Client>| {
        let request = Request::new("/driver.Test/Chat", CallType::BIDI);
        let call = client.connection.start(Time::ZERO, request).expect("a call");
        client.exchange(&wire);
        call
    };
    let cancelled = start(&mut client);
    client.connection.cancel(cancelled).expect("an open call");
    start(&mut client);
    assert!(poll(&mut driver).is_pending());
    assert_eq!(begun.load(Ordering::Relaxed), 1, "the handler of the call that is open");
}

/// Makes a call whose send buffer is full, and a send that waits.
macro_rules! full_call {
    ($channel:ident, $sender:ident, $receiver:ident, $sending:ident, $waker:ident, $woken:ident) => {
        let call = $channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call");
        let ($sender, $receiver) = call.split();
        let mut $sender = Some($sender);
        let ($waker, $woken) = Counted::new();
        let mut $sending = Box::pin(async {
            let mut sender = $sender.take().expect("a sender");
            while sender.send(&Bytes::from_static(&[7; 50_000])).await.is_ok() {}
        });
        assert!($sending.as_mut().poll(&mut Context::from_waker(&$waker)).is_pending());
    };
}

#[test]
fn a_sender_that_waits_for_room_hears_that_the_receiver_was_dropped() {
    let wire = Wire::default();
    let (channel, mut driver, _server) = connected(&wire);
    full_call!(channel, sender, receiver, sending, waker, woken);
    assert!(poll(&mut driver).is_pending());
    drop(receiver);
    assert!(poll(&mut driver).is_pending());
    assert!(woken.count() > 0, "nobody will make room");
    assert!(sending.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
}

#[test]
fn a_sender_that_waits_for_room_hears_that_the_receiver_took_the_end() {
    let wire = Wire::default();
    let (channel, _driver, _server) = connected(&wire);
    full_call!(channel, sender, receiver, sending, waker, woken);
    let mut receiver = receiver;
    receiver.cancel();
    // The caller receives the outcome before the driver is polled.
    assert!(matches!(poll(pin!(receiver.recv())), Poll::Ready(Err(_))));
    assert!(woken.count() > 0, "nobody will make room");
    assert!(sending.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
}

#[test]
fn a_receiver_that_waits_hears_that_the_sender_was_dropped() {
    let wire = Wire::default();
    let (channel, mut driver, _server) = connected(&wire);
    let (sender, mut receiver) = channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call").split();
    let (waker, woken) = Counted::new();
    let mut receiving = pin!(receiver.recv());
    assert!(receiving.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(sender);
    assert!(poll(&mut driver).is_pending());
    assert!(woken.count() > 0, "the call is cancelled");
    assert!(matches!(
        receiving.as_mut().poll(&mut Context::from_waker(&waker)),
        Poll::Ready(Err(error)) if error.code() == Code::Cancelled
    ));
}

/// Returns a waker that checks whether the connection is locked when it is woken or dropped.
fn suspicious(driver: &Driven) -> (Waker, Arc<AtomicUsize>) {
    let shared = Arc::clone(driver.shared());
    kit::Suspicious::waker(move || shared.is_locked())
}

#[test]
fn wakers_are_woken_and_dropped_outside_of_the_lock() {
    let wire = Wire::default();
    let (channel, mut driver, mut server) = connected(&wire);
    let mut caught = Vec::new();
    let mut polled = |driver: &Driven, future: Pin<&mut dyn Future<Output = ()>>| {
        let (waker, times) = suspicious(driver);
        caught.push(times);
        future.poll(&mut Context::from_waker(&waker)).is_pending()
    };
    let request = Bytes::new();

    // The end of a call, after its waker was replaced.
    let mut unary = pin!(async { drop(channel.unary(&SAY, &request, CallOptions::new()).await) });
    assert!(polled(&driver, unary.as_mut()) && polled(&driver, unary.as_mut()));
    assert!(poll(&mut driver).is_pending());
    server.answer_every_call(&wire, b"answer");
    assert!(poll(&mut driver).is_pending());
    assert!(!polled(&driver, unary.as_mut()));

    // Space to send, and the drop of the other half.
    full_call!(channel, sender, receiver, sending, _waker, _woken);
    assert!(polled(&driver, sending.as_mut()));
    assert!(poll(&mut driver).is_pending());
    drop(receiver);
    assert!(!polled(&driver, sending.as_mut()));

    // The end of the connection and of its driver, with a call that was dropped while it waited.
    let mut dropped = Box::pin(async { drop(channel.unary(&SAY, &request, CallOptions::new()).await) });
    assert!(polled(&driver, dropped.as_mut()));
    drop(dropped);
    let mut open = pin!(async { drop(channel.unary(&SAY, &request, CallOptions::new()).await) });
    let mut closed = pin!(channel.closed());
    assert!(polled(&driver, open.as_mut()) && polled(&driver, closed.as_mut()));
    let shared = Arc::clone(driver.shared());
    wire.lock().eof = true;
    assert!(poll(&mut driver).is_ready());
    drop(driver);
    assert!(shared.lock().connection.is_closed());
    let caught: Vec<_> = caught.iter().map(|times| times.load(Ordering::Relaxed)).collect();
    assert!(caught.iter().all(|times| *times == 0), "woken or dropped under the lock: {caught:?}");
}

#[test]
fn answers_leave_whatever_others_hold() {
    const LENGTH: usize = 60_000;
    const CALLS: usize = 20;
    let wire = Wire::default();
    let mut config = Config::server();
    config.limits.send_buffer = 1;
    let router = Arc::new(Router::new().unary(&SAY, |request| async move {
        let count = request.message[0];
        let mut response = Response::new(Bytes::from(vec![count; LENGTH]));
        response.trailers.insert("count", "one").expect("a trailer");
        Ok(response)
    }));
    let mut driver = router.serve(wire.clone(), Still::default(), config, Seed(1), &Shutdown::new());
    let mut client = Peer::<Client>::new(Config::client());
    let calls: Vec<_> = (0..CALLS as u8)
        .map(|count| {
            let request = Request::new("/driver.Test/Say", CallType::UNARY);
            let call = client.connection.start(Time::ZERO, request).expect("a call");
            client.connection.send_message(call, Bytes::from(vec![count]), false).expect("room");
            client.connection.half_close(call).expect("an open call");
            call
        })
        .collect();
    client.connection.cancel(calls[CALLS - 1]).expect("an open call");
    client.exchange(&wire);
    for (count, call) in calls.iter().enumerate().take(CALLS - 1) {
        // Each round brings bytes of some answer.
        let mut rounds = 0..1000;
        let message = loop {
            match client.connection.recv(*call).expect("an open call") {
                Recv::Message(message) => break message.payload,
                Recv::Pending => {}
                other => panic!("call {count}: {other:?}"),
            }
            assert!(rounds.next().is_some(), "call {count} gets no answer");
            assert!(poll(&mut driver).is_pending());
            client.exchange(&wire);
        };
        assert_eq!(message, vec![count as u8; LENGTH]);
        let Ok(Recv::End(outcome)) = client.connection.recv(*call) else { panic!("call {count}: no end") };
        assert_eq!((outcome.status.code, outcome.trailers.get("count")), (Code::Ok, Some(&b"one"[..])));
    }
}

#[test]
fn headers_that_the_client_does_not_take_end_the_call_and_are_not_left_out() {
    let wire = Wire::default();
    let router = Arc::new(Router::new().unary(&SAY, |_| async move {
        let mut response = Response::new(Bytes::from_static(b"answer"));
        response.headers.insert("long", &"x".repeat(1_024)).expect("a header");
        Ok(response)
    }));
    let mut driver =
        router.serve(wire.clone(), Still::default(), Config::server(), Seed(1), &Shutdown::new());
    let mut config = Config::client();
    config.limits.max_header_list = 1_024;
    let mut client = Peer::<Client>::new(config);
    let call = client.connection.start(Time::ZERO, Request::new("/driver.Test/Say", CallType::UNARY));
    let call = call.expect("a call");
    client.connection.send_message(call, Bytes::new(), false).expect("room");
    client.connection.half_close(call).expect("an open call");
    client.exchange(&wire);
    assert!(poll(&mut driver).is_pending());
    client.exchange(&wire);
    let Ok(Recv::End(outcome)) = client.connection.recv(call) else { panic!("no answer") };
    assert_eq!(outcome.status.code, Code::ResourceExhausted, "{}", outcome.status);
}
