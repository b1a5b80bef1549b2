//! Each attack against one connection in memory: its result, its memory, its processor time compared with an honest
//! load of as many bytes, and how long a call on another connection waited meanwhile in the same thread.

use std::time::{Duration, Instant};

use halfclose::{
    CallType, Client, Config, Connection, Event, Metadata, Recv, Request, Seed, Server, Status, Time,
};
use halfclose_security::wire::{Block, END_STREAM, data, headers, message};
use halfclose_security::{Attack, Side, client, server};

use crate::{HEAP, wanted};

/// A server and a client on another connection of the same thread.
struct Bystander {
    client: Connection<Client>,
    server: Connection<Server>,
}

impl Bystander {
    fn new() -> Self {
        Self {
            client: Connection::new(Config::client(), Seed(1), Time::ZERO),
            server: Connection::new(Config::server(), Seed(2), Time::ZERO),
        }
    }

    fn carry(&mut self) {
        let mut wire = bytes::BytesMut::new();
        while let Some(out) = self.client.take_transmit(Time::ZERO) {
            out.segments().iter().for_each(|segment| wire.extend_from_slice(segment));
        }
        let _ = self.server.receive(Time::ZERO, &mut wire);
        while let Some(event) = self.server.poll_event() {
            if let Event::Request(call) = event
                && let Ok(Recv::Message(message)) = self.server.recv(call)
            {
                let _ = self.server.send_message(call, message.payload, false);
                let _ = self.server.finish(call, Status::ok(), Metadata::new());
            }
        }
        let mut wire = bytes::BytesMut::new();
        while let Some(out) = self.server.take_transmit(Time::ZERO) {
            out.segments().iter().for_each(|segment| wire.extend_from_slice(segment));
        }
        let _ = self.client.receive(Time::ZERO, &mut wire);
    }

    /// Makes one whole call. Returns its duration.
    fn call(&mut self) -> Duration {
        let begun = Instant::now();
        let call =
            self.client.start(Time::ZERO, Request::new("/sec.Test/Call", CallType::UNARY)).expect("a call");
        self.client.send_message(call, "ping".into(), false).expect("room");
        self.client.half_close(call).expect("open");
        self.carry();
        let mut ended = false;
        while let Ok(recv) = self.client.recv(call) {
            if let Recv::End(outcome) = recv {
                ended = outcome.status.is_ok();
            }
        }
        while self.client.poll_event().is_some() {}
        assert!(ended, "the bystander's call is served");
        begun.elapsed()
    }
}

/// Makes unary calls of 100 bytes, as many bytes as an attack sent. Processor time is wall time here, because nothing
/// waits.
fn honest(bytes: usize) -> Duration {
    let mut target = Server::target(Server::config());
    let begun = Instant::now();
    while target.sent < bytes {
        let id = target.id();
        let mut call = headers(id, 0, &Block::request().0);
        call.extend(data(id, END_STREAM, &message(&[1; 100])));
        call.extend(halfclose_security::wire::update(0, 105));
        target.send(&call);
        target.fields.clear();
        target.data.clear();
    }
    begun.elapsed()
}

fn attack<R: Side>(attack: &Attack<R>) -> Result<Duration, String> {
    let mut target = R::target(R::config());
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let begun = Instant::now();
    (attack.run)(&mut target);
    let took = begun.elapsed();
    let peak = HEAP.peak_usage().saturating_sub(before);
    let (sent, met) = (target.sent, format!("{:?}", target.met()));
    attack.check(&mut target)?;
    // A second run, with the bystander calling between the attacker's turns.
    let mut bystander = Bystander::new();
    bystander.call();
    let mut target = R::target(R::config());
    target.between = Some(Box::new(move || bystander.call()));
    (attack.run)(&mut target);
    let waited = target.longest_turn + target.longest_between;
    let load = honest(sent);
    println!(
        "| {} | {} | {met} | {} | {} | {:.2} | {:.2} | {:.3} |",
        attack.name,
        attack.class,
        sent,
        peak.div_ceil(1024),
        took.as_secs_f64() * 1e3,
        load.as_secs_f64() * 1e3,
        waited.as_secs_f64() * 1e3,
    );
    Ok(waited)
}

fn all<R: Side>(title: &str, attacks: impl Iterator<Item = &'static Attack<R>>) -> bool {
    println!("\n### {title}\n");
    println!("| attack | class | outcome | bytes sent | peak KiB | ms | honest ms | another call, ms |");
    println!("|---|---|---|---|---|---|---|---|");
    let mut good = true;
    for each in attacks.filter(|attack| wanted(attack.name)) {
        match attack(each) {
            Ok(waited) if waited < Duration::from_millis(100) => {}
            Ok(waited) => {
                good = false;
                println!("{}: another call waited {waited:?}", each.name);
            }
            Err(failure) => {
                good = false;
                println!("{failure}");
            }
        }
    }
    good
}

/// Prints all rows. Returns whether each attack had its required result, and no call waited for 100 ms.
pub(crate) fn report() -> bool {
    honest(1 << 20);
    println!("\n## In memory");
    println!("\nOne connection and a call on another one between its turns, all in one thread.");
    let server = all("A server under attack", server::attacks());
    let client = all("A client under attack", client::attacks());
    server && client
}
