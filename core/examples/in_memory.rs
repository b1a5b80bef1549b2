//! A client and a server core in one thread, without sockets and without a clock: bytes are copied from one to the
//! other, and time passes when the program says so. Tests and simulations work like this.
//!
//! `cargo run -p halfclose --example in_memory`

use std::error::Error;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use halfclose::{
    CallType, Client, Config, Connection, Event, Misuse, Next, Received, Request, Role, Seed, Server, Time,
};

/// Does everything that `core` can do now, with what came for it. Returns what it has written, and when to go on at the
/// latest.
fn turn<R: Role>(
    now: Time,
    name: &str,
    core: &mut Connection<R>,
    mut input: BytesMut,
    mut on_event: impl FnMut(&mut Connection<R>, Event) -> Result<(), Misuse>,
) -> Result<(BytesMut, Option<Time>), Misuse> {
    let mut output = BytesMut::new();
    // What was wrong is told by the last event.
    let _ = core.receive(now, &mut input);
    loop {
        match core.poll(now) {
            Next::Event(event) => {
                println!("{now:>6?} {name}: {event:?}");
                on_event(core, event)?;
            }
            Next::Transmit(mut out) => output.extend_from_slice(&out.copy_to_bytes(out.remaining())),
            Next::Receive => drop(core.receive(now, &mut input)),
            Next::Wait(wait) => return Ok((output, wait.until)),
            Next::Close => return Ok((output, None)),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut now = Time::ZERO;
    let mut client = Connection::<Client>::new(Config::client(), Seed(1), now);
    let mut server = Connection::<Server>::new(Config::server(), Seed(2), now);

    // A stream of ticks, a second apart, and a deadline before the fourth.
    let mut request = Request::new("/demo.Clock/Tick", CallType::SERVER_STREAMING);
    request.deadline = Some(now + Duration::from_millis(2_500));
    let mut call = client.server_streaming(now, request)?.send(&mut client, "go".into())?;
    let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
    let mut ticking = None;
    let mut next_tick = now;
    loop {
        // The server: its handler begins with the request, ticks, and is dropped with the call.
        let (written, server_until) = turn(now, "server", &mut server, up.split(), |server, event| {
            match event {
                Event::Request(id) => {
                    ticking = Some(server.accept_server_streaming(id)?.without_metadata());
                }
                Event::Ended(..) => ticking = None,
                _ => {}
            }
            Ok(())
        })?;
        down.unsplit(written);
        if let (Some(handler), true) = (&mut ticking, next_tick <= now) {
            handler.send(&mut server, format!("tick at {now:?}").into())?;
            next_tick = now + Duration::from_secs(1);
            // A command: there is something to write.
            continue;
        }
        // The client: it receives what is there.
        let (written, client_until) = turn(now, "client", &mut client, down.split(), |_, _| Ok(()))?;
        up.unsplit(written);
        loop {
            match call.recv(&mut client)? {
                Received::Message(message) => println!("{now:>6?} client: got {:?}", message.payload),
                Received::Pending => break,
                Received::End(outcome) => {
                    println!("{now:>6?} client: {} by {:?}", outcome.status, outcome.cause);
                    return Ok(());
                }
            }
        }
        let (written, _) = turn(now, "client", &mut client, BytesMut::new(), |_, _| Ok(()))?;
        up.unsplit(written);
        if up.is_empty() && down.is_empty() {
            // Nothing is left to do at this time: it jumps to whatever comes next.
            now = [client_until, server_until].into_iter().flatten().fold(next_tick.max(now), Time::min);
        }
    }
}

#[test]
fn the_deadline_ends_the_call() -> Result<(), Box<dyn Error>> {
    main()
}
