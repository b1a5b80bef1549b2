//! Calls: their types, the connection that carries them, and the typed handles of the four call types.

pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod server;
pub(crate) mod typed;
