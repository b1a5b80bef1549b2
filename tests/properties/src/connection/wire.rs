//! Any bytes as the peer's input.

use std::time::Duration;

use halfclose::{Client, Config, Role, Server};

use super::caller::{ask, config, listen, serve};
use super::endpoint::Endpoint;

/// How the bytes arrive: the number at a time, and the time between.
struct Pace {
    step: usize,
    pause: Duration,
}

impl Pace {
    fn new(byte: u8) -> Self {
        let step = [usize::MAX, 1, 3, 9, 64, 500, 17, 4096][usize::from(byte) % 8];
        let pause = [0, 0, 1, 1_000, 4_000, 11_000, 60_000, 7_300_000][usize::from(byte >> 3) % 8];
        Self { step, pause: Duration::from_millis(pause) }
    }
}

/// Checks a server. The first three bytes are its caller's habit, its limits and the pace; the rest comes from the
/// client.
pub fn server_connection(data: &[u8]) {
    let Some((&[habit, profile, pace], wire)) = data.split_first_chunk() else { return };
    let pace = Pace::new(pace);
    let mut server = Endpoint::<Server>::new(config(Config::server(), profile), false);
    for piece in wire.chunks(pace.step) {
        server.feed(piece, usize::MAX);
        serve(&mut server, habit);
        server.flush(pace.step);
        server.advance(server.now + pace.pause);
    }
    finish(&mut server, |server| serve(server, habit));
}

/// Checks a client. The first three bytes are its caller's habit, its limits and the pace; the rest comes from the
/// server.
pub fn client_connection(data: &[u8]) {
    let Some((&[habit, profile, pace], wire)) = data.split_first_chunk() else { return };
    let pace = Pace::new(pace);
    let mut client = Endpoint::<Client>::new(config(Config::client(), profile), true);
    ask(&mut client, habit);
    for piece in wire.chunks(pace.step) {
        // The peer cannot answer what has not been written yet.
        client.flush(pace.step);
        client.feed(piece, usize::MAX);
        listen(&mut client, habit);
        client.advance(client.now + pace.pause);
    }
    finish(&mut client, |client| listen(client, habit));
}

/// Ends the transport, and checks that every call ends, then the connection, and that no timer is left.
pub(super) fn finish<R: Role>(end: &mut Endpoint<R>, caller: impl Fn(&mut Endpoint<R>)) {
    end.flush(usize::MAX);
    end.core.receive_eof(end.now);
    for id in end.calls.iter().map(|call| call.id).collect::<Vec<_>>() {
        if end.call(id).is_some() && end.is_client() {
            while matches!(end.recv(id), halfclose::Recv::Message(_)) {}
        }
    }
    caller(end);
    end.flush(usize::MAX);
    caller(end);
    assert!(end.core.is_closed() || !end.is_client(), "nobody can answer any more");
    // A server cannot write an answer that it has not written yet.
    end.core.transport_failed(end.now);
    caller(end);
    assert!(!end.core.wants_transmit(), "nothing is written to a transport that failed");
    assert!(end.core.is_closed(), "the transport ended");
    assert!(end.closed.is_some(), "nobody was told that the connection is over");
    assert!(end.calls.is_empty(), "calls outlive their connection: {}", end.calls.len());
    assert!(end.core.is_idle(), "a slot outlives its call");
    assert_eq!(end.core.poll_timeout(), None);
}
