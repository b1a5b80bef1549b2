//! A long path or a bad one, on loopback: forwards TCP, delays every byte by a given time each way, and where asked
//! limits the rate, stands still now and then, or cuts the connection.
//!
//! - `path`: what a path does to the bytes on it.
//! - `schedule`: when each chunk is due, and after which byte the path stands still or is cut: pure.
//! - `transit`: the chunks under way in one direction.
//! - `relay`: the listener, and the threads of each connection.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::{TcpListener, TcpStream};
//! use std::time::{Duration, Instant};
//!
//! use halfclose_relay::{Path, Relay};
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let relay = Relay::start(listener.local_addr()?, Path::of_delay(Duration::from_millis(5)))?;
//! let mut near = TcpStream::connect(relay.address())?;
//! let (mut far, _) = listener.accept()?;
//! let sent = Instant::now();
//! near.write_all(b"ping")?;
//! let mut bytes = [0; 4];
//! far.read_exact(&mut bytes)?;
//! assert_eq!(&bytes, b"ping");
//! assert!(sent.elapsed() >= Duration::from_millis(5));
//! # Ok::<(), std::io::Error>(())
//! ```

#![forbid(unsafe_code)]

mod path;
mod relay;
mod schedule;
mod transit;

pub use path::{Cut, CutKind, Path, Stalls};
pub use relay::Relay;
