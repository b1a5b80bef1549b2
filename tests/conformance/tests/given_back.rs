//! An idle connection that is told to shrink gives back what its calls took. Alone in its binary: it counts every byte.

use std::alloc::System;

use bytes::{Bytes, BytesMut};
use halfclose::{
    CallType, Client, Config, Connection, Event, Metadata, Needed, Recv, Request, Role, Seed, Server, Status,
    Time,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW: Time = Time::ZERO;

fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn pump<A: Role, B: Role>(from: &mut Connection<A>, to: &mut Connection<B>) -> bool {
    let mut wire = BytesMut::new();
    while let Some(out) = from.take_transmit(NOW) {
        out.segments().iter().for_each(|segment| wire.extend_from_slice(segment));
    }
    let any = !wire.is_empty();
    while to.receive(NOW, &mut wire).expect("no violation") == Needed::Again {}
    any
}

/// One call with a message of `size` bytes each way.
fn call(client: &mut Connection<Client>, server: &mut Connection<Server>, path: &str, size: usize) {
    let mut request = Request::new(path.to_owned(), CallType::UNARY);
    request.metadata.append("x-name", path).expect("good metadata");
    request.deadline = Some(NOW + std::time::Duration::from_secs(1));
    let call = client.start(NOW, request).expect("a good request");
    client.send_message(call, Bytes::from(vec![1; size]), false).expect("a message");
    client.half_close(call).expect("the first half-close");
    while pump(client, server) | pump(server, client) {}
    while let Some(event) = server.poll_event() {
        let Event::Request(call) = event else { continue };
        let Ok(Recv::Message(message)) = server.recv(call) else { panic!("a request") };
        server.send_message(call, message.payload, false).expect("a reply");
        server.finish(call, Status::ok(), Metadata::new()).expect("the first status");
    }
    while pump(server, client) | pump(client, server) {}
    while server.poll_event().is_some() {}
    assert!(matches!(client.recv(call), Ok(Recv::Message(_))));
    assert!(matches!(client.recv(call), Ok(Recv::End(_))));
    while client.poll_event().is_some() {}
}

#[test]
fn what_is_kept_for_speed_is_given_back() {
    let mut client = Connection::<Client>::new(Config::client(), Seed(1), NOW);
    let mut server = Connection::<Server>::new(Config::server(), Seed(2), NOW);
    while pump(&mut client, &mut server) | pump(&mut server, &mut client) {}
    for round in 0..20 {
        for n in 0..12 {
            call(&mut client, &mut server, &format!("/demo.Echo/{n}"), [10, 3_000, 60_000][round % 3]);
        }
    }
    let before = held();
    client.shrink();
    let between = held();
    server.shrink();
    let after = held();
    println!("a client gave back {}, a server {}, {after} bytes are held", before - between, between - after);
    assert!(before - between > 4_000, "a client gave back {}", before - between);
    assert!(between - after > 4_000, "a server gave back {}", between - after);
    // What is left are the two tables of each side, the slots of its calls, and itself.
    call(&mut client, &mut server, "/demo.Echo/again", 10);
    let mut growth = Vec::new();
    for _ in 0..3 {
        call(&mut client, &mut server, "/demo.Echo/again", 60_000);
        client.shrink();
        server.shrink();
        growth.push(held());
    }
    assert!(growth.iter().all(|held| *held <= after + 1_000), "{growth:?} over {after}");
}
