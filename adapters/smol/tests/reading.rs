//! Reading into buffers that messages still look into.

use std::future::poll_fn;
use std::io::Write;
use std::os::unix::net::UnixStream;

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
