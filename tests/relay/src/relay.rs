//! The listener, and the threads of each connection: for each direction one that reads and one that writes.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::path::{CutKind, Path};
use crate::schedule::Schedule;
use crate::transit::{Arrival, Transit};

/// What is read at once.
const READ: usize = 256 * 1024;
/// How long a write may take before the writer looks whether the connection is still wanted.
const PATIENCE: Duration = Duration::from_millis(50);

/// Forwards connections to one address over a path. Ends with all its connections when it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    path: Path,
    over: AtomicBool,
    connections: Mutex<Vec<Weak<Connection>>>,
}

/// Both sockets of a forwarded connection, and what is under way between them.
#[derive(Debug)]
struct Connection {
    near: TcpStream,
    far: TcpStream,
    transits: [Transit; 2],
}

/// The direction of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// From the client to the target.
    Up,
    Down,
}

impl Relay {
    /// Starts a relay on a free port of loopback.
    ///
    /// # Errors
    ///
    /// What the system says about listening.
    pub fn start(target: SocketAddr, path: Path) -> Result<Self> {
        Self::bind(0, target, path)
    }

    /// Starts a relay on a port of loopback.
    ///
    /// # Errors
    ///
    /// What the system says about listening.
    pub fn bind(port: u16, target: SocketAddr, path: Path) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let over = AtomicBool::new(false);
        let shared = Arc::new(Shared { target, path, over, connections: Mutex::default() });
        let accepting = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.accept(&listener))
        };
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for ever: the relay goes on until the process ends.
    pub fn wait(mut self) {
        if let Some(accepting) = self.accepting.take() {
            // It ends only where it panics.
            let _ = accepting.join();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        for connection in self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if let Some(connection) = connection.upgrade() {
                connection.end();
            }
        }
        // The listener is woken, to see that it is over.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(accepting) = self.accepting.take()
            && woken
        {
            let _ = accepting.join();
        }
    }
}

impl Shared {
    fn accept(&self, listener: &TcpListener) {
        let mut number = 0;
        for near in listener.incoming() {
            if self.over.load(Ordering::Acquire) {
                return;
            }
            // A connection that is gone already, or a target that does not listen: the client sees its end.
            let Ok(near) = near else { continue };
            let Ok(far) = TcpStream::connect(self.target) else { continue };
            if let Ok(connection) = Connection::new(near, far) {
                let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
                connections.retain(|connection| connection.strong_count() > 0);
                connections.push(Arc::downgrade(&connection));
                connection.spawn(self.path, number);
                if self.over.load(Ordering::Acquire) {
                    // Its end may have been looked for before it was there.
                    connection.end();
                }
            }
            number += 2;
        }
    }
}

impl Connection {
    fn new(near: TcpStream, far: TcpStream) -> Result<Arc<Self>> {
        for socket in [&near, &far] {
            socket.set_nodelay(true)?;
            socket.set_write_timeout(Some(PATIENCE))?;
        }
        Ok(Arc::new(Self { near, far, transits: Default::default() }))
    }

    fn spawn(self: &Arc<Self>, path: Path, number: u64) {
        for (way, number) in [(Way::Up, number), (Way::Down, number + 1)] {
            let reader = Arc::clone(self);
            std::thread::spawn(move || reader.read(way, Schedule::new(path, number)));
            let writer = Arc::clone(self);
            std::thread::spawn(move || writer.write(way));
        }
    }

    const fn transit(&self, way: Way) -> &Transit {
        let [up, down] = &self.transits;
        match way {
            Way::Up => up,
            Way::Down => down,
        }
    }

    const fn from(&self, way: Way) -> &TcpStream {
        match way {
            Way::Up => &self.near,
            Way::Down => &self.far,
        }
    }

    const fn to(&self, way: Way) -> &TcpStream {
        match way {
            Way::Up => &self.far,
            Way::Down => &self.near,
        }
    }

    /// Reads to the end, and puts what came on its way.
    fn read(&self, way: Way, mut schedule: Schedule) {
        let (mut from, transit) = (self.from(way), self.transit(way));
        let mut buffer = transit.buffer(READ);
        loop {
            if let Some(kind) = schedule.cut() {
                let _ = transit.send(schedule.end(Instant::now()), Arrival::Cut(kind));
                if kind == CutKind::Silence {
                    // The sender notices nothing.
                    while matches!(from.read(&mut buffer), Ok(1..)) {}
                }
                return;
            }
            let room = schedule.room(READ);
            let count = match from.read(buffer.get_mut(..room).unwrap_or_default()) {
                Ok(0) => {
                    let _ = transit.send(schedule.end(Instant::now()), Arrival::End);
                    return;
                }
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // The sender reset its connection: so is the other one.
                Err(_) => {
                    let _ = transit.send(schedule.end(Instant::now()), Arrival::Cut(CutKind::Reset));
                    return;
                }
            };
            let chunk = chunk(transit, &mut buffer, count);
            let due = schedule.depart(Instant::now(), count);
            if transit.send(due, Arrival::Chunk(chunk)).is_err() {
                return;
            }
        }
    }

    /// Writes what arrives, when it is due.
    fn write(&self, way: Way) {
        let transit = self.transit(way);
        loop {
            match transit.receive() {
                Ok(Arrival::Chunk(chunk)) => {
                    if !self.write_all(way, &chunk) {
                        return self.end();
                    }
                    transit.recycle(chunk, READ);
                }
                Ok(Arrival::End) => {
                    // Who is gone already has no use for it.
                    let _ = self.to(way).shutdown(Shutdown::Write);
                    return;
                }
                Ok(Arrival::Cut(CutKind::Silence)) => {}
                Ok(Arrival::Cut(CutKind::Close)) => return self.end(),
                Ok(Arrival::Cut(CutKind::Reset)) => return self.reset(),
                Err(_) => return,
            }
        }
    }

    /// Whether everything was written.
    fn write_all(&self, way: Way, mut bytes: &[u8]) -> bool {
        let mut to = self.to(way);
        while !bytes.is_empty() {
            match to.write(bytes) {
                Ok(count @ 1..) => bytes = bytes.get(count..).unwrap_or_default(),
                Ok(_) => return false,
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) =>
                {
                    if self.transit(way).is_closed() {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
        true
    }

    /// Ends both connections and wakes all their threads.
    fn end(&self) {
        for transit in &self.transits {
            transit.close();
        }
        for socket in [&self.near, &self.far] {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// The same with a reset: what the sockets do when the last of their threads has ended.
    fn reset(&self) {
        for socket in [&self.near, &self.far] {
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
        for transit in &self.transits {
            transit.close();
        }
        for socket in [&self.near, &self.far] {
            // Wakes who reads, and says nothing to the other end.
            let _ = socket.shutdown(Shutdown::Read);
        }
    }
}

/// The first `count` bytes of the buffer: the buffer itself where they are much of it.
fn chunk(transit: &Transit, buffer: &mut Vec<u8>, count: usize) -> Vec<u8> {
    if count < READ / 8 {
        return buffer.get(..count).unwrap_or_default().to_vec();
    }
    let mut chunk = std::mem::replace(buffer, transit.buffer(READ));
    chunk.truncate(count);
    chunk
}
