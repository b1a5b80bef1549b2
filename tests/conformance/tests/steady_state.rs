//! The cost of a small call in the core in its steady state: no allocation on either side.

use std::alloc::System;

use bytes::{Buf, Bytes, BytesMut};
use halfclose::{
    CallType, Client, Config, Connection, Event, Metadata, Recv, Request, Role, Seed, Server, Status, Time,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW: Time = Time::ZERO;
const WARM_UP: usize = 2_000;
const COUNTED: usize = 1_000;

struct Pair {
    client: Connection<Client>,
    server: Connection<Server>,
    wire: BytesMut,
}

fn pump<A: Role, B: Role>(from: &mut Connection<A>, to: &mut Connection<B>, wire: &mut BytesMut) {
    while let Some(mut out) = from.poll_transmit(NOW) {
        while out.has_remaining() {
            let count = out.chunk().len();
            wire.extend_from_slice(out.chunk());
            out.advance(count);
        }
    }
    to.receive(NOW, wire).expect("no violation");
    // All bytes were accepted, so the buffer starts again.
    wire.clear();
    wire.reserve(64 * 1024);
}

impl Pair {
    fn unary(&mut self, request: &Request, payload: &Bytes) {
        let call = self.client.start(NOW, request.clone()).expect("a good request");
        self.client.send_message(call, payload.clone(), false).expect("a message");
        self.client.half_close(call).expect("the first half-close");
        assert!(matches!(self.client.recv(call), Ok(Recv::Pending)));
        pump(&mut self.client, &mut self.server, &mut self.wire);
        while let Some(event) = self.server.poll_event() {
            let Event::Request(call) = event else { continue };
            self.server.accept(call, CallType::UNARY).expect("an open call");
            let Ok(Recv::Message(message)) = self.server.recv(call) else { panic!("a request") };
            assert!(matches!(self.server.recv(call), Ok(Recv::HalfClosed)));
            self.server.send_message(call, message.payload, false).expect("a reply");
            self.server.finish(call, Status::ok(), Metadata::new()).expect("the first status");
        }
        pump(&mut self.server, &mut self.client, &mut self.wire);
        while self.server.poll_event().is_some() {}
        while self.client.poll_event().is_some() {}
        assert!(matches!(self.client.recv(call), Ok(Recv::Message(_))));
        assert!(matches!(self.client.recv(call), Ok(Recv::End(_))));
    }
}

#[test]
fn a_small_unary_call_allocates_nothing() {
    let mut pair = Pair {
        client: Connection::new(Config::client(), Seed(1), NOW),
        server: Connection::new(Config::server(), Seed(2), NOW),
        wire: BytesMut::with_capacity(64 * 1024),
    };
    pump(&mut pair.client, &mut pair.server, &mut pair.wire);
    pump(&mut pair.server, &mut pair.client, &mut pair.wire);
    let request = Request::new(Bytes::from_static(b"/demo.Echo/Call"), CallType::UNARY);
    let payload = Bytes::from_static(b"sixteen bytes!!");
    for _ in 0..WARM_UP {
        pair.unary(&request, &payload);
    }
    let region = Region::new(ALLOCATOR);
    for _ in 0..COUNTED {
        pair.unary(&request, &payload);
    }
    let change = region.change();
    println!("{} allocations, {} reallocations in {COUNTED} calls", change.allocations, change.reallocations);
    assert_eq!((change.allocations, change.reallocations), (0, 0));
}
