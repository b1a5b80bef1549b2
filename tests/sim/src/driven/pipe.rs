//! A transport that keeps what is written until it is flushed, and holds few bytes.

use std::io::{IoSlice, Result};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use halfclose_driver::Io;

use super::runtime::lock;

/// One direction.
#[derive(Default)]
struct PipeHalf {
    kept: BytesMut,
    gone: BytesMut,
    /// What the writer keeps and what the reader has not taken may each be as long.
    capacity: usize,
    ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl PipeHalf {
    fn flush(&mut self, cx: &Context<'_>) -> (Poll<Result<()>>, Option<Waker>) {
        let space = self.capacity - self.gone.len();
        let count = space.min(self.kept.len());
        self.gone.extend_from_slice(&self.kept[..count]);
        self.kept.advance(count);
        let woken = if count > 0 { self.reader.take() } else { None };
        if self.kept.is_empty() {
            return (Poll::Ready(Ok(())), woken);
        }
        self.writer = Some(cx.waker().clone());
        (Poll::Pending, woken)
    }
}

/// One end of a pipe.
pub(super) struct PipeEnd {
    inbound: Arc<Mutex<PipeHalf>>,
    outbound: Arc<Mutex<PipeHalf>>,
}

impl PipeEnd {
    /// Returns both ends of a pipe that holds these numbers of bytes up and down.
    pub(super) fn pair(capacity: [usize; 2]) -> (Self, Self) {
        let [up, down] = capacity.map(|capacity| {
            Arc::new(Mutex::new(PipeHalf { capacity: capacity.max(1), ..PipeHalf::default() }))
        });
        let far = Self { inbound: Arc::clone(&up), outbound: Arc::clone(&down) };
        (Self { inbound: down, outbound: up }, far)
    }

    fn end(half: &Mutex<PipeHalf>) {
        let mut half = lock(half);
        half.ended = true;
        let woken = [half.reader.take(), half.writer.take()];
        drop(half);
        woken.into_iter().flatten().for_each(Waker::wake);
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        Self::end(&self.outbound);
        Self::end(&self.inbound);
    }
}

impl Io for PipeEnd {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<Result<usize>> {
        let mut half = lock(&self.inbound);
        let count = half.gone.len().min(input.capacity() - input.len());
        if count == 0 && !half.ended {
            half.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        input.extend_from_slice(&half.gone[..count]);
        half.gone.advance(count);
        let woken = half.writer.take();
        drop(half);
        woken.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        let mut half = lock(&self.outbound);
        if half.ended {
            return Poll::Ready(Err(std::io::ErrorKind::BrokenPipe.into()));
        }
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
        let mut half = lock(&self.outbound);
        if half.ended {
            return Poll::Ready(Err(std::io::ErrorKind::BrokenPipe.into()));
        }
        let (flushed, woken) = half.flush(cx);
        drop(half);
        woken.into_iter().for_each(Waker::wake);
        flushed
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = self.poll_flush(cx);
        if flushed.is_ready() {
            Self::end(&self.outbound);
        }
        flushed
    }
}
