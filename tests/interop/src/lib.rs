//! The gRPC interoperability programs on halfclose: the server, the client, and what they share. The peers that they
//! meet are in `tests/interop/peers`.
//!
//! Nothing here but [`runtime`] knows which runtime it runs on, and that is chosen in `main`.
#![forbid(unsafe_code)]

pub mod cli;
pub mod client;
pub mod load;
pub mod messages;
pub mod methods;
pub mod runtime;
pub mod service;
