//! The whole loop around a connection: what an embedder copies.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use halfclose::{CallId, Config, Connection, Event, Needed, Role, Seed, Time};

/// Any error, so that `?` works.
pub(crate) type Result<T = (), E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// A connection, its socket and its clock.
pub(crate) struct Link<R: Role> {
    /// The connection.
    pub(crate) core: Connection<R>,
    socket: TcpStream,
    input: BytesMut,
    epoch: Instant,
    /// On a server, calls that have not been accepted yet.
    pub(crate) requests: VecDeque<CallId>,
}

impl<R: Role> Link<R> {
    /// Creates a connection over a connected socket.
    pub(crate) fn new(socket: TcpStream, config: Config) -> Result<Self> {
        socket.set_nodelay(true)?;
        let core = Connection::new(config, Seed(std::process::id().into()), Time::ZERO);
        let (input, epoch) = (BytesMut::new(), Instant::now());
        Ok(Self { core, socket, input, epoch, requests: VecDeque::new() })
    }

    /// Returns the time since the start.
    pub(crate) fn now(&self) -> Time {
        Time::from_duration(self.epoch.elapsed())
    }

    /// Writes the pending output.
    pub(crate) fn flush(&mut self) -> Result {
        let now = self.now();
        while let Some(mut out) = self.core.poll_transmit(now) {
            let mut slices = [IoSlice::new(&[]); 16];
            let count = out.chunks_vectored(&mut slices);
            let written = self.socket.write_vectored(&slices[..count])?;
            out.advance(written);
        }
        Ok(())
    }

    /// Waits for bytes or for the next timer, and passes the bytes to the connection.
    fn read(&mut self) -> Result {
        let wait = self.core.poll_timeout().map(|(at, _)| (at - self.now()).max(Duration::from_millis(1)));
        self.socket.set_read_timeout(wait)?;
        let mut bytes = [0; 16 * 1024];
        match self.socket.read(&mut bytes) {
            Ok(0) => self.core.receive_eof(self.now()),
            Ok(n) => self.input.extend_from_slice(&bytes[..n]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        self.core.handle_timeout(self.now());
        loop {
            match self.core.receive(self.now(), &mut self.input) {
                Ok(Needed::Again) => {}
                Ok(Needed::Drain) => self.flush()?,
                // The last event reports what was wrong.
                Ok(_) | Err(_) => return Ok(()),
            }
        }
    }

    /// Runs the loop until `ready` returns something; `None` if the connection closes first.
    pub(crate) fn wait<T>(
        &mut self,
        mut ready: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        loop {
            while let Some(event) = self.core.poll_event() {
                match event {
                    Event::Request(call) => self.requests.push_back(call),
                    Event::Ended(_, cause) => println!("{:>44} by {cause:?}", "server: ended"),
                    Event::Closed(_) => return self.flush().map(|()| None),
                    _ => {}
                }
            }
            if let Some(found) = ready(self)? {
                return Ok(Some(found));
            }
            self.flush()?;
            self.read()?;
        }
    }

    /// Prints the states of both halves of a call.
    pub(crate) fn show(&self, call: CallId, what: impl std::fmt::Display) {
        let states = self.core.states(call).map_or_else(|_| "over".into(), |states| states.to_string());
        println!("{what:<44} {states}");
    }
}
