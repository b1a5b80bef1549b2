//! One case for each rule that a peer can break or rely on; `docs/conformance.md` is generated from the same tables.

mod connection;
mod cuts;
mod floods;
mod grpc_client;
mod grpc_server;
mod hpack;
mod http2;
mod malformed;
mod page;
mod registry;
mod requests;
mod responses;
mod roles;
mod splits;
mod tables;
mod violations;
