//! A server that runs out of file descriptors continues when some are free again. This is a binary of its own,
//! because the limit applies to the process.
#![cfg(unix)]

use std::fs::File;
use std::time::Duration;

use bytes::Bytes;
use halfclose_driver::{CallOptions, Method, Raw, Response, Router};
use halfclose_e2e::{PATIENCE, Runtime, Serving, Smol, Tokio, within};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

const SAY: Method<Bytes, Bytes, Raw> = Method::new("/e2e.Descriptors/Say");
const LIMIT: u64 = 256;
const WAITING: usize = 5;

/// Opens files until no descriptor is left.
fn take_all() -> Vec<File> {
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    taken
}

async fn goes_on<R: Runtime>(server: Serving<R>) {
    // Connecting sockets need no further descriptor; the server's ends of them do.
    let sockets: Vec<Socket> = (0..WAITING)
        .map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor is left"))
        .collect();
    let channel = server.connect::<R>().await;
    let text = Bytes::from_static(b"said");
    let say = async |channel: &halfclose_driver::Channel| {
        let reply = channel.unary(&SAY, &text, CallOptions::new()).await.expect("status OK");
        assert_eq!(reply.message, text);
    };
    say(&channel).await;

    let taken = take_all();
    for socket in &sockets {
        socket.connect(&server.address().into()).expect("the system accepts");
    }
    // Long enough for the server to fail a few times.
    R::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.shutdown().connections(), 1, "there is no descriptor for another one");
    say(&channel).await;

    drop(taken);
    let late = server.connect::<R>().await;
    say(&late).await;
    assert_eq!(server.shutdown().connections(), 2 + WAITING, "those that waited came first");
    drop((sockets, late, channel));
    server.stop::<R>().await;
}

fn serving<R: Runtime>() -> Serving<R> {
    Serving::start(Router::new().unary(&SAY, |request| async move { Ok(Response::new(request.message)) }))
}

#[test]
fn a_server_without_descriptors_for_a_while_goes_on() {
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(LIMIT), ..before }).expect("a lower limit is legal");
    // One after the other, because the limit applies to the process.
    Tokio::block_on(within::<Tokio, _>(PATIENCE, goes_on::<Tokio>(serving())));
    Smol::block_on(within::<Smol, _>(PATIENCE, goes_on::<Smol>(serving())));
}
