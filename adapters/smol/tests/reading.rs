//! Reading into buffers that messages still share, and when the reactor wakes.

use std::future::poll_fn;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use halfclose_smol::{Io, SmolIo};
use smol::Async;

#[test]
fn a_buffer_that_a_message_still_looks_into_is_read_to_all_the_same() {
    let (mut peer, ours) = UnixStream::pair().unwrap();
    let mut io = SmolIo::new(Async::new(ours).unwrap());
    let mut input = BytesMut::with_capacity(64);
    input.put_slice(b"message, rest");
    let message = input.split_to(7).freeze();

    peer.write_all(b" of it").unwrap();
    let read = smol::block_on(poll_fn(|cx| io.poll_read(cx, &mut input))).unwrap();

    assert_eq!((read, &input[..], &message[..]), (6, &b", rest of it"[..], &b"message"[..]));
}

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Checks a reactor that waits already when the socket is registered: it wakes the task for bytes and then reports
/// that there are none.
#[test]
fn whoever_is_woken_by_bytes_reads_them() {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    let mut io = SmolIo::new(Async::new(ours).unwrap());
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    for round in 0..100 {
        let mut input = BytesMut::with_capacity(64);
        assert!(io.poll_read(&mut cx, &mut input).is_pending(), "nothing has come");
        peer.write_all(b"bytes").unwrap();
        let mut wakes = 0;
        let read = loop {
            thread::park_timeout(Duration::from_secs(10));
            wakes += 1;
            if let Poll::Ready(read) = io.poll_read(&mut cx, &mut input) {
                break read.unwrap();
            }
            // One wake may be left from earlier bytes.
            assert!(wakes < 3, "round {round}: woken for nothing");
        };
        assert_eq!(&input[..read], b"bytes");
    }
}
