//! Attacks over TCP on both runtimes.

use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use halfclose_e2e::{Runtime, Serving, Smol, Tokio};
use halfclose_security::socket::attacker::{Budget, Told, attack};
use halfclose_security::socket::bystander::beside;
use halfclose_security::socket::floods::{FLOODS, Flood, HONEST, Outcome};
use halfclose_security::socket::hostile::{HOSTILE, Hostile, answer, serve};
use halfclose_security::socket::router;

use crate::child::{Cost, Process};
use crate::wanted;

/// How long each attack lasts, twice.
const SPAN: Duration = Duration::from_millis(500);
/// Bytes of a message of 100 with its prefix.
const MESSAGE: usize = 105;
/// The most time that a call of another client may take.
const LIMIT: Duration = Duration::from_millis(100);

/// Prints all rows. Returns whether each attack had its required result, and no call waited for [`LIMIT`].
pub(crate) fn report() -> bool {
    println!("\n## Over TCP");
    println!(
        "\nEach attack lasts {} ms, as fast as one raw peer can, which connects again when it is cut off. The \
         server has a process of its own. Once the attacker is alone with it: processor time of the server for each byte \
         that it was sent, against honest calls of 100 bytes, and its memory at most above what it had. And once another \
         client calls it without a pause: how many calls there were, and how long they took. The first row is no attack.",
        SPAN.as_millis()
    );
    let servers = servers::<Tokio, Smol>() & servers::<Smol, Tokio>();
    println!(
        "\nA client in a process of its own calls each hostile server 100 times (5 times if it waits for its deadline), with \
         10,000 bytes, each time on a new connection: bytes that it was sent for each call; its processor time for each of \
         these bytes, against the same calls of an honest server that answers with as many, in messages of 100 and one at \
         least; its memory at most above what it had. Then one call more, while another client on the same runtime calls a \
         good server."
    );
    servers & clients::<Tokio, Smol>() & clients::<Smol, Tokio>()
}

fn millis(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

/// Returns the nanoseconds of processor time for each byte.
fn each(cost: &Cost, bytes: usize) -> f64 {
    cost.time.as_secs_f64() * 1e9 / bytes.max(1) as f64
}

fn cost_to_server(runtime: &str, flood: &Flood) -> (Told, Cost) {
    let (mut server, address) = Process::server(runtime);
    // What is created once for all is not counted.
    let _ = attack(address, &HONEST, Budget::of(Duration::from_millis(20)));
    server.cost_of(|_| attack(address, flood, Budget::of(SPAN)))
}

/// The cost of a hostile server's calls for a client.
struct CostToClient {
    as_expected: bool,
    /// Bytes that each call received.
    bytes: usize,
    cost: Cost,
    each: f64,
    /// The ratio to the same calls of an honest server that answers with as many bytes.
    honest: f64,
}

fn cost_to_client(runtime: &str, hostile: &'static Hostile, good: SocketAddr) -> CostToClient {
    let times = if hostile.timeout.is_some() { 5 } else { 100 };
    let mut client = Process::client(runtime);
    let warm = client.call(good, 10, "1");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        let mut told = Told::default();
        (0..times).for_each(|_| answer(&listener, hostile, SPAN, &mut told));
        told.bytes / times
    });
    let ((met, bytes), cost) = client.cost_of(|client| {
        let met = client.call(address, times, hostile.name);
        (met, server.join().expect("the server does as it should"))
    });
    let messages = (bytes / MESSAGE).max(1);
    let (served, honest) = client.cost_of(|client| client.call(good, times, &messages.to_string()));
    let each = each(&cost, bytes * times);
    let honest = cost.time.as_secs_f64() / honest.time.as_secs_f64();
    CostToClient { as_expected: warm && met && served, bytes, cost, each, honest }
}

fn outcome(expected: Outcome, told: &Told) -> (bool, String) {
    match (told.check(expected), expected) {
        (Err(wrong), _) => (false, wrong),
        (Ok(()), Outcome::Endured) => (true, "serves on".to_owned()),
        (Ok(()), Outcome::Cut(code, debug)) => (true, format!("{code} \"{debug}\"")),
    }
}

/// Reports floods of servers on runtime `S`; the other client uses runtime `C`.
fn servers<S: Runtime, C: Runtime>() -> bool {
    println!("\n### A server on {}\n", S::NAME);
    println!(
        "| attack | class | outcome | cut off | MB sent | ns a byte | honest calls are 1 | KiB | other calls | half under ms | all under ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let (honest, cost) = cost_to_server(S::NAME, &HONEST);
    let honest = each(&cost, honest.bytes);
    let mut good = true;
    for flood in [&HONEST].into_iter().chain(FLOODS).filter(|flood| wanted(flood.name)) {
        let (alone, cost) = cost_to_server(S::NAME, flood);
        let each = each(&cost, alone.bytes);
        let (_server, address) = Process::server(S::NAME);
        let (told, waits) = beside::<C, _>(address, || attack(address, flood, Budget::of(SPAN)));
        let (as_expected, outcome) = outcome(flood.outcome, &told);
        good &= as_expected && waits.worst < LIMIT;
        println!(
            "| {} | {} | {outcome} | {} times | {:.1} | {:.1} | {:.1} | {} | {} | {} | {} |",
            flood.name,
            flood.class,
            alone.goaways.values().sum::<usize>(),
            alone.bytes as f64 / 1e6,
            each,
            each / honest,
            cost.memory,
            waits.calls,
            millis(waits.median),
            millis(waits.worst),
        );
    }
    good
}

/// Reports hostile servers and a client of runtime `C`.
fn clients<C: Runtime, S: Runtime>() -> bool {
    println!("\n### A client on {}\n", C::NAME);
    println!(
        "| hostile server | class | the call ends with | the client says | bytes a call | ns a byte | honest answers are 1 | KiB | other calls | half under ms | all under ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let honest = Serving::<S>::start(router());
    let mut good = true;
    for hostile in HOSTILE.iter().filter(|hostile| wanted(hostile.name)) {
        let alone = cost_to_client(C::NAME, hostile, honest.address());
        let ((code, told), waits) = beside::<C, _>(honest.address(), || serve::<C>(hostile, SPAN));
        let (as_expected, outcome) = outcome(hostile.outcome, &told);
        good &= as_expected && code == hostile.code && alone.as_expected && waits.worst < LIMIT;
        println!(
            "| {} | {} | {code:?} | {} | {} | {:.1} | {:.1} | {} | {} | {} | {} |",
            hostile.name,
            hostile.class,
            if hostile.outcome == Outcome::Endured && as_expected { "nothing" } else { &outcome },
            alone.bytes,
            alone.each,
            alone.honest,
            alone.cost.memory,
            waits.calls,
            millis(waits.median),
            millis(waits.worst),
        );
    }
    good
}
