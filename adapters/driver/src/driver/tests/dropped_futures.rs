//! Dropped futures leave no waker behind, and the others are woken.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Context;

use bytes::Bytes;
use halfclose::{CallType, Client, Config, Request, Seed, Time};

use super::kit::{Counted, Peer, Still, Wire, poll};
use super::{CHAT, Driven, SAY, client};
use crate::{CallOptions, Channel, Raw, Router, ServerReceiver, ServerSender, Shutdown};

type Waits<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Polls and drops a thousand futures, each with a waker of its own, and checks that none is kept. One that stays is
/// woken, once.
fn check<'a>(make: impl Fn() -> Waits<'a>, happen: impl FnOnce()) {
    let (stays, woken) = Counted::new();
    let mut staying = make();
    assert!(staying.as_mut().poll(&mut Context::from_waker(&stays)).is_pending());
    for polls in [1, 3] {
        for _ in 0..1_000 {
            let mut future = make();
            let mut all = Vec::new();
            for _ in 0..polls {
                let (waker, counted) = Counted::new();
                assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                all.push(counted);
            }
            let kept = |counted: &Arc<Counted>| Arc::strong_count(counted) - 1;
            // The last poll counts.
            assert_eq!(all.iter().map(kept).sum::<usize>(), 1);
            drop(future);
            assert_eq!(all.iter().map(kept).sum::<usize>(), 0);
        }
    }
    happen();
    assert_eq!(woken.count(), 1);
    assert!(poll(staying).is_ready());
    assert!(poll(make()).is_ready());
}

fn channel() -> (Channel, Driven) {
    client(&Wire::default())
}

#[test]
fn who_waits_for_the_end_of_a_connection() {
    let (channel, driver) = channel();
    check(|| Box::pin(channel.closed()), || drop(driver));
}

#[test]
fn who_waits_for_the_trigger() {
    let shutdown = Shutdown::new();
    check(|| Box::pin(shutdown.triggered()), || shutdown.trigger());
}

#[test]
fn who_waits_for_the_last_connection() {
    let shutdown = Shutdown::new();
    let (_channel, mut driver) = channel();
    driver.watch(&shutdown);
    check(
        || Box::pin(shutdown.drained()),
        || {
            drop(driver);
            shutdown.trigger();
        },
    );
}

/// Polls a future with a waker of its own and drops it, a thousand times. Returns how many of the wakers are kept.
macro_rules! kept_after {
    ($future:expr) => {{
        let mut all = Vec::new();
        for _ in 0..1_000 {
            let (waker, counted) = Counted::new();
            assert!(std::pin::pin!($future).poll(&mut Context::from_waker(&waker)).is_pending());
            all.push(counted);
        }
        all.iter().map(|counted| Arc::strong_count(counted) - 1).sum::<usize>()
    }};
}

#[test]
fn who_waits_on_a_call_of_a_client() {
    let wire = Wire::default();
    let (channel, mut driver, _server) = super::connected(&wire);
    let mut call = channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call");
    assert_eq!(kept_after!(call.recv()), 0);
    assert_eq!(kept_after!(call.headers()), 0);
    let full = Bytes::from_static(&[7; 50_000]);
    while poll(call.send(&full)).is_ready() {}
    assert!(poll(&mut driver).is_pending());
    while poll(call.send(&full)).is_ready() {}
    assert_eq!(kept_after!(call.send(&full)), 0);
    let (mut sender, mut receiver) = call.split();
    assert_eq!(kept_after!(sender.send(&full)), 0);
    assert_eq!(kept_after!(receiver.recv()), 0);
    assert_eq!(kept_after!(channel.unary(&SAY, &full, CallOptions::new())), 0);
}

#[test]
fn who_waits_on_a_call_of_a_server() {
    type Halves = (ServerSender<Bytes, Raw>, ServerReceiver<Bytes, Raw>);
    let (wire, halves) = (Wire::default(), Arc::new(Mutex::new(None::<Halves>)));
    let place = Arc::clone(&halves);
    let router = Arc::new(Router::new().bidi_streaming(&CHAT, move |call| {
        *place.lock().expect("no panic") = Some(call.split());
        std::future::pending()
    }));
    let shutdown = Shutdown::new();
    let mut driver = router.serve(wire.clone(), Still::default(), Config::server(), Seed(1), &shutdown);
    let mut client = Peer::<Client>::new(Config::client());
    client.connection.start(Time::ZERO, Request::new(CHAT.path(), CallType::BIDI)).expect("a call");
    client.exchange(&wire);
    assert!(poll(&mut driver).is_pending());
    let (mut sender, mut receiver) = halves.lock().expect("no panic").take().expect("the handler began");
    assert_eq!(kept_after!(receiver.recv()), 0);
    let full = Bytes::from_static(&[7; 50_000]);
    for _ in 0..3 {
        while poll(sender.send(&full)).is_ready() {}
        assert!(poll(&mut driver).is_pending());
    }
    assert_eq!(kept_after!(sender.send(&full)), 0);
}

#[test]
fn the_task_of_a_driver_that_is_gone() {
    let (channel, mut driver) = channel();
    let (waker, counted) = Counted::new();
    assert!(Pin::new(&mut driver).poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(Arc::strong_count(&counted) > 1);
    drop((driver, waker));
    assert_eq!(Arc::strong_count(&counted), 1);
    drop(channel);
}
