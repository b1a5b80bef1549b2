//! The gRPC interoperability programs on halfclose: the server, the client, and what they share. Their peers are in
//! `tests/interop/peers`.
//!
//! Only [`runtime`] knows which runtime it runs on, and `main` selects that.
#![forbid(unsafe_code)]

pub mod cli;
pub mod client;
pub mod load;
pub mod messages;
pub mod methods;
pub mod runtime;
pub mod service;
