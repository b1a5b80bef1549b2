//! The whole loop around a connection, over a socket that blocks: a thread reads, so that this end goes on reading while
//! it writes. Without that, two ends that both have much to write would wait for each other for ever.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use halfclose::{CallId, Config, Connection, Event, Next, Role, Seed, Time, Wait};

/// Any error, so that `?` does.
pub(crate) type Result<T = (), E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// A connection, its socket and its clock.
pub(crate) struct Link<R: Role> {
    /// The connection.
    pub(crate) core: Connection<R>,
    socket: TcpStream,
    /// What the reading thread has read; it ends with the transport.
    came: Receiver<Vec<u8>>,
    input: BytesMut,
    epoch: Instant,
    /// Server: calls that nobody has taken yet.
    pub(crate) requests: VecDeque<CallId>,
}

impl<R: Role> Link<R> {
    /// A connection over a socket that is connected.
    pub(crate) fn new(socket: TcpStream, config: Config) -> Result<Self> {
        socket.set_nodelay(true)?;
        let mut reading = socket.try_clone()?;
        let (send, came) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 16 * 1024];
            while let Ok(count @ 1..) = reading.read(&mut bytes) {
                if send.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let core = Connection::new(config, Seed(std::process::id().into()), Time::ZERO);
        let (input, epoch) = (BytesMut::new(), Instant::now());
        Ok(Self { core, socket, came, input, epoch, requests: VecDeque::new() })
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Time {
        Time::from_duration(self.epoch.elapsed())
    }

    /// Does everything that can be done now. Returns what to wait for, or `None` when the connection is over.
    pub(crate) fn turn(&mut self) -> Result<Option<Wait>> {
        loop {
            let now = self.now();
            match self.core.poll(now) {
                Next::Event(Event::Request(call)) => self.requests.push_back(call),
                Next::Event(Event::Ended(_, cause)) => println!("{:>44} by {cause:?}", "server: ended"),
                Next::Event(_) => {}
                Next::Transmit(mut out) => {
                    let written = self.socket.write(out.chunk())?;
                    out.advance(written);
                }
                // What was wrong is told by the last event.
                Next::Receive => drop(self.core.receive(now, &mut self.input)),
                Next::Wait(wait) => return Ok(Some(wait)),
                Next::Close => return Ok(None),
            }
        }
    }

    /// Waits for bytes or for the time to come, and gives the connection what came.
    fn sleep(&mut self, wait: Wait) {
        let span = wait.until.map_or(Duration::from_secs(3600), |at| at - self.now());
        match self.came.recv_timeout(span) {
            Ok(bytes) => {
                self.input.extend_from_slice(&bytes);
                let _ = self.core.receive(self.now(), &mut self.input);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.core.receive_eof(self.now()),
        }
    }

    /// Turns the loop until `ready` has something; `None` when the connection closes before.
    pub(crate) fn wait<T>(
        &mut self,
        mut ready: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        loop {
            self.turn()?;
            if let Some(found) = ready(self)? {
                return Ok(Some(found));
            }
            // `ready` gives commands: what they call for is done before anybody sleeps.
            match self.turn()? {
                Some(wait) => self.sleep(wait),
                None => return Ok(None),
            }
        }
    }

    /// Prints the states of both halves of a call.
    pub(crate) fn show(&self, call: CallId, what: impl std::fmt::Display) {
        let states = self.core.states(call).map_or_else(|_| "over".into(), |states| states.to_string());
        println!("{what:<44} {states}");
    }
}

/// The reading thread ends with the socket, and not with its copy here.
impl<R: Role> Drop for Link<R> {
    fn drop(&mut self) {
        // A socket that is closed already needs no end.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}
