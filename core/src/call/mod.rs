//! Calls: their types, the connection that carries them, and the typed handles of the four call types.

pub mod client;
pub mod connection;
pub mod server;
pub mod typed;

pub use crate::types;
