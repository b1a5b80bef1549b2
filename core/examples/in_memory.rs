//! A client and a server core in one thread, without sockets and without a clock: bytes are copied from one to the
//! other, and time passes when the program says so. Tests and simulations work like this.
//!
//! `cargo run -p halfclose --example in_memory`

use std::error::Error;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use halfclose::{
    CallType, Client, Config, Connection, Event, Needed, Received, Request, Role, Seed, Server, Time,
};

/// Carries everything that `from` has to write to `to`. Returns whether there was anything.
fn carry<A: Role, B: Role>(
    now: Time,
    from: &mut Connection<A>,
    to: &mut Connection<B>,
) -> Result<bool, Box<dyn Error>> {
    let mut wire = BytesMut::new();
    while let Some(mut out) = from.poll_transmit(now) {
        while out.has_remaining() {
            let piece = out.chunk().len();
            wire.extend_from_slice(out.chunk());
            out.advance(piece);
        }
    }
    let any = !wire.is_empty();
    while to.receive(now, &mut wire)? == Needed::Again {}
    Ok(any)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut now = Time::ZERO;
    let mut client = Connection::<Client>::new(Config::client(), Seed(1), now);
    let mut server = Connection::<Server>::new(Config::server(), Seed(2), now);

    // A stream of ticks, a second apart, and a deadline before the fourth.
    let mut request = Request::new("/demo.Clock/Tick", CallType::SERVER_STREAMING);
    request.deadline = Some(now + Duration::from_millis(2_500));
    let mut call = client.server_streaming(now, request)?.send(&mut client, "go".into())?;
    let mut ticking = None;
    let mut next_tick = now;
    loop {
        while carry(now, &mut client, &mut server)? | carry(now, &mut server, &mut client)? {}
        while let Some(event) = server.poll_event() {
            println!("{now:>6?} server: {event:?}");
            match event {
                Event::Request(id) => ticking = Some(server.accept_server_streaming(id)?.without_metadata()),
                Event::Ended(..) => ticking = None,
                _ => {}
            }
        }
        if let (Some(handler), true) = (&mut ticking, next_tick <= now) {
            handler.send(&mut server, format!("tick at {now:?}").into())?;
            next_tick = now + Duration::from_secs(1);
            continue;
        }
        while let Some(event) = client.poll_event() {
            println!("{now:>6?} client: {event:?}");
        }
        loop {
            match call.recv(&mut client)? {
                Received::Message(message) => println!("{now:>6?} client: took {:?}", message.payload),
                Received::Pending => break,
                Received::End(outcome) => {
                    println!("{now:>6?} client: {} by {:?}", outcome.status, outcome.cause);
                    return Ok(());
                }
            }
        }
        // Nothing is left to do at this time, so it jumps to the next timer.
        let timers = [client.poll_timeout(), server.poll_timeout()];
        let timer = timers.into_iter().flatten().map(|(at, _)| at).min();
        now = timer.unwrap_or(next_tick).min(next_tick);
        client.handle_timeout(now);
        server.handle_timeout(now);
    }
}

#[test]
fn the_deadline_ends_the_call() -> Result<(), Box<dyn Error>> {
    main()
}
