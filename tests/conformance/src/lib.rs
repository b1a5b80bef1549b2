//! Connections driven octet by octet: the frames are written by hand (`halfclose_wire`), so that wrong ones can be
//! written too, and what a connection sends is read without the code that wrote it.
#![forbid(unsafe_code)]

pub mod case;

mod peer;

pub use peer::Peer;
