//! Compressed messages expand to far more bytes than the frames that carry them: the number that is received before
//! other tasks run is bounded, whichever task receives them and however many wait.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use halfclose::grpc::compress::{CompressError, DecompressError, MessageCodec, UnpackSteps};
use halfclose::grpc::encoding::Encoding;
use halfclose::{CallType, Client, Config, Event, Metadata, Misuse, Request, Seed, Server, Status, Time};

use super::kit::{Counted, Peer, Still, Wire, poll};
use super::{CHAT, SAY};
use crate::server::ServerDriver;
use crate::wakers::Waiter;
use crate::{CallOptions, Channel, Response, Router, Shutdown};

/// The number of compressed messages that wait.
const MESSAGES: usize = 10;

/// A codec whose every message is long and takes longer to decompress than a poll may.
#[derive(Clone, Default)]
struct Swell {
    clock: Still,
    times: Arc<AtomicUsize>,
}

impl Swell {
    const LENGTH: usize = 2 << 20;
    /// Input that costs as much work, but is no message.
    const CORRUPT: &'static [u8] = b"corrupt";

    /// Returns how many messages the codec was given to decompress.
    fn times(&self) -> usize {
        self.times.load(Ordering::Relaxed)
    }

    fn configure(&self, mut config: Config) -> Config {
        config.codecs = config.codecs.with(Arc::new(self.clone())).expect("a name");
        config
    }
}

impl std::fmt::Debug for Swell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Swell")
    }
}

impl MessageCodec for Swell {
    fn name(&self) -> &str {
        Encoding::Gzip.as_str()
    }

    fn compress(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        out.extend_from_slice(payload);
        Ok(())
    }

    fn decompress(&self, payload: &[u8], _: usize) -> Result<Bytes, DecompressError> {
        self.times.fetch_add(1, Ordering::Relaxed);
        self.clock.advance(Duration::from_millis(3));
        if payload == Self::CORRUPT {
            return Err(DecompressError::Corrupt);
        }
        Ok(Bytes::from(vec![0; Self::LENGTH]))
    }
}

/// Returns a server with a unary and a bidirectional method, and a client that has said nothing yet.
fn server(wire: &Wire, swell: &Swell) -> (ServerDriver<Wire, Still>, Peer<Client>) {
    let router = Router::new()
        .unary(&SAY, |_| async move { Ok(Response::new(Bytes::new())) })
        .bidi_streaming(&CHAT, |mut call| async move {
            while call.recv().await?.is_some() {}
            Ok(())
        });
    let config = swell.configure(Config::server());
    let clock = swell.clock.clone();
    let driver = Arc::new(router).serve(wire.clone(), clock, config, Seed(1), &Shutdown::new());
    (driver, Peer::<Client>::new(swell.configure(Config::client())))
}

/// Starts a call with these compressed messages.
fn start(client: &mut Peer<Client>, path: &'static str, call_type: CallType, messages: &[&'static [u8]]) {
    let mut request = Request::new(path, call_type);
    request.encoding = Some(Encoding::Gzip);
    let call = client.connection.start(Time::ZERO, request).expect("a call");
    for message in messages {
        client.connection.send_message(call, Bytes::from_static(message), true).expect("room");
    }
    client.connection.half_close(call).expect("an open call");
}

/// Polls the driver until it is pending, and checks that all messages were handled, never two in one poll.
fn check_one_at_a_time(driver: &mut ServerDriver<Wire, Still>, swell: &Swell) {
    let mut before = swell.times();
    loop {
        let (waker, woken) = Counted::new();
        assert!(Pin::new(&mut *driver).poll(&mut Context::from_waker(&waker)).is_pending());
        let met = swell.times() - before;
        assert!(met <= 1, "{met} messages decompressed in one poll");
        if woken.count() == 0 {
            break;
        }
        before = swell.times();
    }
    assert_eq!(swell.times(), MESSAGES);
}

#[test]
fn handlers_take_one_long_message_a_turn_whatever_their_number() {
    for (path, call_type, message) in [
        (CHAT.path(), CallType::BIDI, &b"long"[..]),
        (CHAT.path(), CallType::BIDI, Swell::CORRUPT),
        (SAY.path(), CallType::UNARY, b"long"),
        (SAY.path(), CallType::UNARY, Swell::CORRUPT),
    ] {
        let (wire, swell) = (Wire::default(), Swell::default());
        let (mut driver, mut client) = server(&wire, &swell);
        for _ in 0..MESSAGES {
            start(&mut client, path, call_type, &[message]);
        }
        client.exchange(&wire);
        check_one_at_a_time(&mut driver, &swell);
    }
}

#[test]
fn a_handler_takes_one_long_message_a_turn_however_many_have_come() {
    let (wire, swell) = (Wire::default(), Swell::default());
    let (mut driver, mut client) = server(&wire, &swell);
    start(&mut client, CHAT.path(), CallType::BIDI, &[&b"long"[..]; MESSAGES]);
    client.exchange(&wire);
    check_one_at_a_time(&mut driver, &swell);
}

/// Makes a client whose server has answered a call with long messages, and OK after them.
macro_rules! answered {
    ($swell:ident, $driver:ident, $receiver:ident) => {
        let (wire, $swell) = (Wire::default(), Swell::default());
        let config = $swell.configure(Config::client());
        let (channel, mut $driver) = Channel::new(wire.clone(), $swell.clock.clone(), config, Seed(1));
        let mut server = Peer::<Server>::new($swell.configure(Config::server()));
        let (_sender, mut $receiver) =
            channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call").split();
        assert!(poll(&mut $driver).is_pending());
        server.exchange(&wire);
        while let Some(event) = server.connection.poll_event() {
            let Event::Request(call) = event else { continue };
            server.connection.set_encoding(call, Some(Encoding::Gzip)).expect("known to both");
            for _ in 0..MESSAGES {
                server.connection.send_message(call, Bytes::from_static(b"long"), true).expect("room");
            }
            server.connection.finish(call, Status::ok(), Metadata::new()).expect("an open call");
        }
        server.exchange(&wire);
        assert!(poll(&mut $driver).is_pending());
    };
}

#[test]
fn a_clients_task_waits_for_the_driver_between_long_messages() {
    answered!(swell, driver, receiver);
    let mut receiving = pin!(async { while let Ok(Some(_)) = receiver.recv().await {} });
    for taken in 1..=MESSAGES {
        let (waker, woken) = Counted::new();
        assert!(receiving.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!((swell.times(), woken.count()), (taken, 0));
        assert!(poll(&mut driver).is_pending());
        assert_eq!(woken.count(), 1, "the driver has had its turn");
    }
    assert!(poll(receiving.as_mut()).is_ready());
}

#[test]
fn a_task_that_waits_for_its_turn_gets_it_when_the_driver_is_gone() {
    answered!(swell, driver, receiver);
    let mut receiving = pin!(async { while let Ok(Some(_)) = receiver.recv().await {} });
    let (waker, woken) = Counted::new();
    assert!(receiving.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(driver);
    assert_eq!((swell.times(), woken.count()), (1, 1));
    assert!(matches!(receiving.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(())));
    assert_eq!(swell.times(), MESSAGES, "what has come is not lost with the driver");
}

#[test]
fn who_asks_for_a_call_that_is_gone_takes_no_turn_from_the_call_in_its_slot() {
    answered!(swell, driver, receiver);
    assert!(poll(pin!(receiver.recv())).is_ready());
    let mut state = driver.shared().lock();
    assert!(state.is_sated());
    let request = || Request::new(CHAT.path(), CallType::BIDI);
    let stale = state.connection.start(Time::ZERO, request()).expect("a call");
    state.connection.release(stale);
    let next = state.connection.start(Time::ZERO, request()).expect("a call");
    assert_eq!(next.slot(), stale.slot());
    let (waits, woken) = Counted::new();
    let mut waiter = Waiter::new(&waits);
    assert!(state.poll_recv(next, &mut waiter).is_pending() && waiter.clone_if_wanted());
    assert!(state.poll_recv(next, &mut waiter).is_pending());
    let late = state.poll_recv(stale, &mut Waiter::new(Waker::noop()));
    assert!(matches!(late, Poll::Ready(Err(Misuse::UnknownCall))));
    drop(state);
    assert!(poll(&mut driver).is_pending());
    assert_eq!(woken.count(), 1);
}

/// A codec in steps: each byte of a message is a step that costs so much.
#[derive(Clone, Default, Debug)]
struct Steps(Arc<AtomicUsize>);

const EACH_STEP: usize = 300 * 1024;

struct StepsLeft {
    taken: usize,
    done: Arc<AtomicUsize>,
}

impl MessageCodec for Steps {
    fn name(&self) -> &str {
        Encoding::Gzip.as_str()
    }

    fn compress(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        out.extend_from_slice(payload);
        Ok(())
    }

    fn decompress(&self, _: &[u8], _: usize) -> Result<Bytes, DecompressError> {
        Err(DecompressError::Corrupt)
    }

    fn unpack_steps(&self, _: usize) -> Option<Box<dyn UnpackSteps>> {
        Some(Box::new(StepsLeft { taken: 0, done: Arc::clone(&self.0) }))
    }
}

impl UnpackSteps for StepsLeft {
    fn advance(&mut self, payload: &[u8], most: u64) -> Result<Option<Bytes>, DecompressError> {
        let end = (self.taken + (most as usize).div_ceil(EACH_STEP)).min(payload.len());
        self.done.fetch_add(end - self.taken, Ordering::Relaxed);
        self.taken = end;
        Ok((end == payload.len()).then(Bytes::new))
    }

    fn progress(&self) -> (usize, usize) {
        (0, self.taken * EACH_STEP)
    }
}

/// Returns the most of `count` that one poll of the driver adds, until it rests.
fn most_a_poll(driver: &mut ServerDriver<Wire, Still>, count: &AtomicUsize) -> usize {
    let mut most = 0;
    loop {
        let before = count.load(Ordering::Relaxed);
        let (waker, woken) = Counted::new();
        assert!(Pin::new(&mut *driver).poll(&mut Context::from_waker(&waker)).is_pending());
        most = most.max(count.load(Ordering::Relaxed) - before);
        if woken.count() == 0 {
            return most;
        }
    }
}

#[test]
fn a_message_that_costs_much_is_decompressed_over_many_turns() {
    for (path, call_type) in [(SAY.path(), CallType::UNARY), (CHAT.path(), CallType::BIDI)] {
        let (wire, steps) = (Wire::default(), Steps::default());
        let with = |mut config: Config| {
            config.codecs = config.codecs.with(Arc::new(steps.clone())).expect("a name");
            config
        };
        let router = Router::new()
            .unary(&SAY, |_| async move { Ok(Response::new(Bytes::new())) })
            .bidi_streaming(&CHAT, |mut call| async move {
                while call.recv().await?.is_some() {}
                Ok(())
            });
        let (config, shutdown) = (with(Config::server()), Shutdown::new());
        let mut driver = Arc::new(router).serve(wire.clone(), Still::default(), config, Seed(1), &shutdown);
        let mut client = Peer::<Client>::new(with(Config::client()));
        start(&mut client, path, call_type, &[&[7; 100]]);
        client.exchange(&wire);
        let most = most_a_poll(&mut driver, &steps.0);
        assert_eq!(steps.0.load(Ordering::Relaxed), 100, "all of it");
        assert!((1..=4).contains(&most), "{most} steps in one poll");
    }
}

#[test]
fn many_small_messages_are_taken_over_many_turns() {
    #[derive(Clone, Default, Debug)]
    struct Tiny(Arc<AtomicUsize>);

    impl MessageCodec for Tiny {
        fn name(&self) -> &str {
            Encoding::Gzip.as_str()
        }

        fn compress(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
            out.extend_from_slice(payload);
            Ok(())
        }

        fn decompress(&self, _: &[u8], _: usize) -> Result<Bytes, DecompressError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Bytes::new())
        }
    }

    let (wire, tiny) = (Wire::default(), Tiny::default());
    let with = |mut config: Config| {
        config.codecs = config.codecs.with(Arc::new(tiny.clone())).expect("a name");
        config
    };
    let router = Arc::new(Router::new().bidi_streaming(&CHAT, |mut call| async move {
        while call.recv().await?.is_some() {}
        Ok(())
    }));
    let (config, shutdown) = (with(Config::server()), Shutdown::new());
    let mut driver = router.serve(wire.clone(), Still::default(), config, Seed(1), &shutdown);
    let mut client = Peer::<Client>::new(with(Config::client()));
    start(&mut client, CHAT.path(), CallType::BIDI, &[&b"tiny"[..]; 1_000]);
    client.exchange(&wire);
    let most = most_a_poll(&mut driver, &tiny.0);
    assert_eq!(tiny.0.load(Ordering::Relaxed), 1_000, "all of them");
    // 16 KiB each, of a mebibyte.
    assert!((1..=64).contains(&most), "{most} messages in one poll");
}
