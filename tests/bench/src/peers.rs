//! The same service by the peers.

pub mod h2_server;
pub mod tonic_client;
pub mod tonic_server;
