//! The lower bound of every server on tokio: plain TCP that moves as many bytes per call as gRPC does, and does
//! nothing else. What a server costs beyond it is the server's own; the rest is the kernel's and the runtime's.

use std::io::{Error, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bytes of a small unary call's request, as [`Flood`](crate::flood::Flood) sends it: HEADERS and DATA.
pub const REQUEST: usize = 52;
/// Bytes of its response: HEADERS of two bytes, DATA with a message of 20, trailers of one.
pub const RESPONSE: usize = (9 + 2) + (9 + 5 + 20) + (9 + 1);

const READ: usize = 64 * 1024;

/// Answers every [`REQUEST`] bytes of a connection with [`RESPONSE`] bytes, everything from one read in one write.
///
/// # Errors
///
/// If the socket fails.
pub async fn serve(mut socket: tokio::net::TcpStream) -> Result<()> {
    socket.set_nodelay(true)?;
    let mut input = vec![0; READ];
    let output = vec![0; (READ / REQUEST + 1) * RESPONSE];
    let mut pending = 0;
    loop {
        let count = socket.read(&mut input).await?;
        if count == 0 {
            return Ok(());
        }
        pending += count;
        let answers = pending / REQUEST;
        pending %= REQUEST;
        socket.write_all(output.get(..answers * RESPONSE).unwrap_or_default()).await?;
    }
}

/// The load for the floor: a number of open requests on one connection, the next ones written as answers are read.
#[derive(Debug)]
pub struct Load {
    socket: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    partial: usize,
}

impl Load {
    /// Connects.
    ///
    /// # Errors
    ///
    /// If the socket fails.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, input: vec![0; READ], output: Vec::new(), partial: 0 })
    }

    /// Makes `requests` requests, `open` of them at a time.
    ///
    /// # Errors
    ///
    /// If the socket fails.
    pub fn run(&mut self, open: u64, requests: u64) -> Result<()> {
        let mut unsent = requests - requests.min(open);
        let mut unanswered = requests;
        let mut next = requests.min(open);
        while unanswered > 0 {
            self.write(next)?;
            let answers = self.read()?;
            unanswered -= answers;
            next = answers.min(unsent);
            unsent -= next;
        }
        Ok(())
    }

    /// Makes one request at a time. Returns the duration of each.
    ///
    /// # Errors
    ///
    /// If the socket fails.
    pub fn pingpong(&mut self, requests: u64) -> Result<Vec<Duration>> {
        (0..requests)
            .map(|_| {
                let start = Instant::now();
                self.run(1, 1)?;
                Ok(start.elapsed())
            })
            .collect()
    }

    fn write(&mut self, requests: u64) -> Result<()> {
        let bytes = usize::try_from(requests).unwrap_or(usize::MAX) * REQUEST;
        if self.output.len() < bytes {
            self.output.resize(bytes, 0);
        }
        self.socket.write_all(self.output.get(..bytes).unwrap_or_default())
    }

    /// Reads once. Returns the number of answers that this completed.
    fn read(&mut self) -> Result<u64> {
        let count = self.socket.read(&mut self.input)?;
        if count == 0 {
            return Err(Error::other("the server closed the connection"));
        }
        self.partial += count;
        let answers = self.partial / RESPONSE;
        self.partial %= RESPONSE;
        Ok(answers as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_answered_once() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let served = runtime.spawn(async move { serve(listener.accept().await?.0).await });
        let mut load = Load::connect(address).unwrap();
        load.run(100, 1234).unwrap();
        load.run(7, 3).unwrap();
        assert_eq!(load.pingpong(5).unwrap().len(), 5);
        assert_eq!(load.partial, 0);
        drop(load);
        runtime.block_on(served).unwrap().unwrap();
    }
}
