//! Honest loads over TCP on both runtimes: none of them ends a connection or blocks a call. Each load names the limit
//! that it comes close to (`src/socket/honest.rs`), as does docs/limits.md.

use halfclose_e2e::{Runtime, Serving, Smol, Tokio};
use halfclose_security::socket::honest::{CLIENT_LOADS, SERVER_LOADS, call_server, drop_streams};
use halfclose_security::socket::router;

fn clients<S: Runtime>() {
    let server = Serving::<S>::start(router());
    for load in CLIENT_LOADS {
        println!("{}: {} on {}", load.limit, load.name, S::NAME);
        load.run(server.address());
    }
}

#[test]
fn clients_of_a_tokio_server() {
    clients::<Tokio>();
}

#[test]
fn clients_of_a_smol_server() {
    clients::<Smol>();
}

#[test]
fn servers_of_a_tokio_client() {
    SERVER_LOADS.iter().for_each(call_server::<Tokio>);
}

#[test]
fn servers_of_a_smol_client() {
    SERVER_LOADS.iter().for_each(call_server::<Smol>);
}

/// Runs a client of this library that drops its streams, with and without other calls on the connection.
fn dropped<S: Runtime, C: Runtime>() {
    for among in [0, 1] {
        let server = Serving::<S>::start(router());
        server.run::<C, _>(|channel| async move { drop_streams(&channel, 1_000, among).await });
    }
}

#[test]
fn streams_that_a_smol_client_drops() {
    dropped::<Tokio, Smol>();
}

#[test]
fn streams_that_a_tokio_client_drops() {
    dropped::<Smol, Tokio>();
}
