//! Connections driven octet by octet: the frames are written here by hand, so that wrong ones can be written too, and
//! what a connection sends is read without the code that wrote it.
#![forbid(unsafe_code)]

pub mod block;
pub mod case;
pub mod wire;

mod peer;

pub use peer::Peer;
