//! Connections driven byte by byte: the tests write the frames by hand (`halfclose_wire`), so they can write wrong
//! ones too, and read what a connection sends without the code that wrote it.
//!
//! A [`Case`] is one rule, provoked: the state of the connection, what is sent, and the required reaction. [`cases!`]
//! makes a table of them and one test of each for every [`Transport`]: the core in memory, and the adapters' servers
//! and clients on TCP sockets.
#![forbid(unsafe_code)]

pub mod ask;
pub mod case;
pub mod memory;
pub mod tcp;

mod peer;
mod table;
mod transport;

pub use case::{Before, Case, Expect};
pub use peer::Peer;
pub use table::rule;
pub use transport::{Caller, DEADLINE, ECHO, End, HOLD, Line, Transport};
