//! Connections driven byte by byte: the frames are written by hand (`halfclose_wire`), so that wrong ones can be
//! written too, and what a connection sends is read without the code that wrote it.
//!
//! A [`Case`] is one rule, provoked: where the connection stands, what is sent, what must come of it. [`cases!`] makes a
//! table of them and one test of each for every [`Transport`]: the core in memory, and the adapters' servers and clients
//! on TCP sockets.
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
