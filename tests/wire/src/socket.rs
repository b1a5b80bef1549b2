//! A peer on a TCP connection, whose every byte the test writes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::frame::{Frame, PREFACE, take_frame};

/// The time limit for each frame: far longer than it takes, because only failures wait for it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A blocking TCP connection that is written byte by byte and read frame by frame. It answers nothing by itself.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    /// Bytes that were read and are not a complete frame yet.
    input: Vec<u8>,
    /// Whether the client's preface has not been read yet.
    preface: bool,
    /// Whether the connection has ended.
    ended: bool,
}

impl Socket {
    fn new(stream: TcpStream, preface: bool) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, input: Vec::new(), preface, ended: false })
    }

    /// Connects to the server at `address`. Nothing is sent, not even the preface.
    ///
    /// # Errors
    ///
    /// An error of the operating system.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::new(TcpStream::connect(address)?, false)
    }

    /// Accepts the next client of a listener. Nothing is sent, and the client's preface is skipped when frames are
    /// read.
    ///
    /// # Errors
    ///
    /// An error of the operating system.
    pub fn accept(listener: &TcpListener) -> io::Result<Self> {
        Self::new(listener.accept()?.0, true)
    }

    /// Writes bytes, whatever they are.
    ///
    /// # Errors
    ///
    /// An error of the operating system: the other side has closed, or reads nothing for [`PATIENCE`].
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Returns a second handle on the connection, to write with while this one is read.
    ///
    /// # Errors
    ///
    /// An error of the operating system.
    pub fn writer(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }

    /// Shuts the sending direction down; the other one stays open.
    ///
    /// # Errors
    ///
    /// An error of the operating system.
    pub fn finish(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Returns the next frame, or `None` at the end of the connection, including an end by a reset.
    ///
    /// # Panics
    ///
    /// If neither arrives within [`PATIENCE`], or the connection ends within a frame.
    pub fn next_frame(&mut self) -> Option<Frame> {
        let until = Instant::now() + PATIENCE;
        loop {
            if self.preface && self.input.len() >= PREFACE.len() {
                assert!(self.input.starts_with(PREFACE), "a client begins with its preface");
                self.input.drain(..PREFACE.len());
                self.preface = false;
            }
            if !self.preface
                && let Some(frame) = take_frame(&mut self.input)
            {
                return Some(frame);
            }
            if self.ended {
                assert!(self.input.is_empty(), "a connection ends with a whole frame");
                return None;
            }
            self.fill(until);
        }
    }

    /// Reads once.
    fn fill(&mut self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "neither a frame nor the end within {PATIENCE:?}");
        self.stream.set_read_timeout(Some(left)).expect("an open socket");
        let mut some = [0; 16 * 1024];
        match self.stream.read(&mut some) {
            Ok(0) => self.ended = true,
            Ok(count) => self.input.extend_from_slice(&some[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => self.ended = true,
            Err(error) => panic!("the connection cannot be read: {error}"),
        }
    }

    /// Returns the frames up to and including the first for which `last` is true, or all up to the end of the
    /// connection.
    ///
    /// # Panics
    ///
    /// As [`next_frame`](Self::next_frame).
    pub fn frames_until(&mut self, mut last: impl FnMut(&Frame) -> bool) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next_frame() {
            let done = last(&frame);
            frames.push(frame);
            if done {
                break;
            }
        }
        frames
    }

    /// Returns the frames up to the end of the connection.
    ///
    /// # Panics
    ///
    /// As [`next_frame`](Self::next_frame).
    pub fn frames_to_end(&mut self) -> Vec<Frame> {
        self.frames_until(|_| false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{ping, settings};

    #[test]
    fn frames_arrive_whole_however_they_are_written_and_then_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut client = Socket::connect(listener.local_addr().expect("an address")).expect("a listener");
        let mut server = Socket::accept(&listener).expect("a client");
        let bytes = [PREFACE, &settings(&[]), &ping(b"question")].concat();
        for byte in &bytes {
            client.write(std::slice::from_ref(byte)).expect("an open connection");
        }
        client.finish().expect("an open connection");
        assert_eq!(server.frames_to_end(), crate::frames(&bytes));
        server.write(&ping(b"question")).expect("the other direction is open");
        assert_eq!(client.frames_until(|_| true).len(), 1);
        drop(server);
        assert_eq!(client.next_frame(), None);
    }
}
