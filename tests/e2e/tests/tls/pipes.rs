//! TLS over transports in memory that the test polls: small pipes, pipes that buffer until they are flushed, and the
//! memory of an idle session.

use std::future::Future;
use std::io::{IoSlice, Result};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use halfclose_driver::halfclose::{Config, Seed, Time};
use halfclose_driver::tls::{ClientTls, ServerTls, Tls};
use halfclose_driver::{CallOptions, Channel, ClientDriver, Clock, Io, ServerDriver, Shutdown, Timer};

use super::{LARGE, SAY, pki, router};

/// One direction of a pipe.
#[derive(Clone, Default)]
struct Half(Arc<Mutex<BytesMut>>);

impl Half {
    fn lock(&self) -> MutexGuard<'_, BytesMut> {
        self.0.lock().expect("no test panicked with it")
    }
}

/// An end of a pipe.
struct End {
    coming: Half,
    going: Half,
    /// The bytes that a direction holds.
    capacity: usize,
    /// The bytes that are buffered until a flush, as some transports do.
    kept: BytesMut,
    /// The capacity of that buffer; 0 for none.
    keeps: usize,
}

impl End {
    fn pair(capacity: usize, keeps: usize) -> (Self, Self) {
        let (up, down) = (Half::default(), Half::default());
        let end = |coming: &Half, going: &Half| Self {
            coming: coming.clone(),
            going: going.clone(),
            capacity,
            kept: BytesMut::new(),
            keeps,
        };
        (end(&down, &up), end(&up, &down))
    }

    fn pass_on(&mut self) -> Poll<Result<()>> {
        let mut going = self.going.lock();
        let count = self.kept.len().min(self.capacity - going.len());
        going.extend_from_slice(&self.kept.split_to(count));
        if self.kept.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl Io for End {
    fn poll_read(&mut self, _: &mut Context<'_>, input: &mut BytesMut) -> Poll<Result<usize>> {
        let mut coming = self.coming.lock();
        let count = coming.len().min(input.capacity() - input.len());
        if count == 0 {
            return Poll::Pending;
        }
        input.extend_from_slice(&coming.split_to(count));
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        let room = match self.keeps {
            0 => self.capacity - self.going.lock().len(),
            keeps => keeps - self.kept.len(),
        };
        let mut left = room;
        for slice in slices {
            let some = &slice[..slice.len().min(left)];
            self.kept.extend_from_slice(some);
            left -= some.len();
        }
        if left == room {
            return Poll::Pending;
        }
        if self.keeps == 0 {
            let _ = self.pass_on();
        }
        Poll::Ready(Ok(room - left))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        self.pass_on()
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        self.pass_on()
    }
}

/// A clock that does not advance.
#[derive(Clone)]
struct Still;

impl Clock for Still {
    type Timer = Self;

    fn now(&self) -> Time {
        Time::ZERO
    }

    fn timer(&self) -> Self {
        Self
    }
}

impl Timer for Still {
    fn poll_at(&mut self, _: &mut Context<'_>, _: Time) -> Poll<()> {
        Poll::Pending
    }
}

/// A client and a server with TLS between them.
struct Joined {
    channel: Channel,
    client: ClientDriver<Tls<End>, Still>,
    server: ServerDriver<Tls<End>, Still>,
}

impl Joined {
    /// Connects both drivers, which do the handshakes.
    fn new((near, far): (End, End), client: &ClientTls, server: &ServerTls) -> Self {
        let near = client.start(near, "localhost").expect("a name");
        let far = server.start(far).expect("settings");
        let (channel, client) = Channel::new(near, Still, Config::client(), Seed(1));
        let server = Arc::new(router()).serve(far, Still, Config::server(), Seed(2), &Shutdown::new());
        Self { channel, client, server }
    }

    fn turn(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut self.client).poll(&mut cx).is_pending());
        assert!(Pin::new(&mut self.server).poll(&mut cx).is_pending());
    }

    /// Makes `count` calls at once.
    fn calls(&mut self, count: usize, message: &Bytes) {
        let channel = self.channel.clone();
        let call = || channel.unary(&SAY, message, CallOptions::new());
        let mut calls: Vec<_> = (0..count).map(|_| Box::pin(call())).collect();
        let mut cx = Context::from_waker(Waker::noop());
        let mut turns = 0;
        while !calls.is_empty() {
            self.turn();
            turns += 1;
            assert!(turns < 100_000, "{} calls are stuck", calls.len());
            calls.retain_mut(|call| match call.as_mut().poll(&mut cx) {
                Poll::Ready(answer) => {
                    assert_eq!(answer.expect("an answer").message, message);
                    false
                }
                Poll::Pending => true,
            });
        }
    }
}

#[test]
fn pipes_of_every_size_and_transports_that_keep_what_they_take() {
    let (client, server) = (pki::client(), pki::server_builder().build().expect("settings"));
    for (capacity, keeps) in [
        (64 << 10, 0),
        (64 << 10, 8 << 10),
        (64 << 10, 1 << 20),
        (1 << 20, 64 << 10),
        (100, 0),
        (1, 0),
        (17, 3),
    ] {
        let mut joined = Joined::new(End::pair(capacity, keeps), &client, &server);
        joined.calls(10, &Bytes::from_static(b"hello"));
        if capacity > 1000 {
            // Both directions are full at once: neither end stops reading because it cannot write.
            joined.calls(4, &Bytes::from(vec![7; LARGE]));
        }
        joined.calls(1, &Bytes::new());
    }
}

#[test]
fn sessions_are_resumed() {
    let (client, server) = (pki::client(), pki::server_builder().build().expect("settings"));
    let mut cx = Context::from_waker(Waker::noop());
    let resumed = [(); 3].map(|()| {
        let (near, far) = End::pair(64 << 10, 0);
        let mut near = pin!(client.start(near, "localhost").expect("a name").handshake());
        let mut far = pin!(server.start(far).expect("settings").handshake());
        let (mut a, mut b) = (None, None);
        while a.is_none() || b.is_none() {
            if let (None, Poll::Ready(done)) = (&a, near.as_mut().poll(&mut cx)) {
                a = Some(done.expect("a session"));
            }
            if let (None, Poll::Ready(done)) = (&b, far.as_mut().poll(&mut cx)) {
                b = Some(done.expect("a session"));
            }
        }
        let (Some(mut a), Some(b)) = (a, b) else { unreachable!("both are there") };
        // The ticket follows the handshake.
        let mut input = BytesMut::with_capacity(1024);
        assert!(a.poll_read(&mut cx, &mut input).is_pending());
        let (a, b) = (a.session().cloned(), b.session().cloned());
        let (a, b) = (a.expect("a handshake that is over"), b.expect("a handshake that is over"));
        assert_eq!(b.server_name(), Some("localhost"));
        assert_eq!((a.peer_certificates().len(), b.peer_certificates().len()), (1, 0));
        assert_eq!(a.is_resumed(), b.is_resumed());
        assert_eq!(a.version(), b.version());
        a.is_resumed()
    });
    assert_eq!(resumed, [false, true, true]);
}
