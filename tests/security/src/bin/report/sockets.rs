//! Attacks over TCP on both runtimes.

use std::time::Duration;

use halfclose_e2e::{Runtime, Serving, Smol, Tokio};
use halfclose_security::socket::attacker::{Budget, Told, attack};
use halfclose_security::socket::bystander::beside;
use halfclose_security::socket::floods::{FLOODS, Flood, HONEST, Outcome};
use halfclose_security::socket::hostile::{HOSTILE, serve};
use halfclose_security::socket::router;

use crate::child::Server;

/// How long each attack lasts, twice.
const SPAN: Duration = Duration::from_millis(500);
/// What no call of another client may take.
const LIMIT: Duration = Duration::from_millis(100);

/// All of them; whether each came to its outcome, and no call waited for [`LIMIT`].
pub(crate) fn report() -> bool {
    println!("\n## Over TCP");
    println!(
        "\nEach attack lasts {} ms, as fast as one raw peer can, which connects again when it is cut off. The \
         server has a process of its own. Once the attacker is alone with it: processor time of the server for each octet \
         that it was sent, against honest calls of 100 octets, and its memory at most above what it had. And once another \
         client calls it without a pause: how many calls there were, and how long they took. The first row is no attack.",
        SPAN.as_millis()
    );
    let servers = servers::<Tokio, Smol>() & servers::<Smol, Tokio>();
    println!(
        "\nA hostile server answers one call; another client on the same runtime calls a good server meanwhile."
    );
    servers & clients::<Tokio, Smol>() & clients::<Smol, Tokio>()
}

fn millis(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

/// Nanoseconds of processor time for each octet, octets, and KiB of memory.
struct Cost {
    each: f64,
    told: Told,
    memory: usize,
}

fn cost(runtime: &str, flood: &Flood) -> Cost {
    let server = Server::start(runtime);
    // What is made once for all is not counted.
    let _ = attack(server.address, &HONEST, Budget::of(Duration::from_millis(20)));
    let (before, (memory, _)) = (server.processor_time(), server.memory());
    let told = attack(server.address, flood, Budget::of(SPAN));
    let spent = server.processor_time() - before;
    let each = spent.as_secs_f64() * 1e9 / told.octets.max(1) as f64;
    Cost { each, memory: server.memory().1.saturating_sub(memory), told }
}

fn outcome(expected: Outcome, told: &Told) -> (bool, String) {
    match (told.check(expected), expected) {
        (Err(wrong), _) => (false, wrong),
        (Ok(()), Outcome::Endured) => (true, "serves on".to_owned()),
        (Ok(()), Outcome::Cut(code, debug)) => (true, format!("{code} \"{debug}\"")),
    }
}

/// Floods of servers on runtime `S`; the other client is of runtime `C`.
fn servers<S: Runtime, C: Runtime>() -> bool {
    println!("\n### A server on {}\n", S::NAME);
    println!(
        "| attack | class | outcome | cut off | MB sent | ns an octet | honest calls are 1 | KiB | other calls | half under ms | all under ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let honest = cost(S::NAME, &HONEST);
    let mut good = true;
    for flood in [&HONEST].into_iter().chain(FLOODS) {
        let cost = cost(S::NAME, flood);
        let server = Server::start(S::NAME);
        let (told, waits) =
            beside::<C, _>(server.address, || attack(server.address, flood, Budget::of(SPAN)));
        let (as_expected, outcome) = outcome(flood.outcome, &told);
        // The honest load is there to be compared with: whoever asks for all that a server can give may delay others.
        good &= as_expected && (waits.worst < LIMIT || flood.name == HONEST.name);
        println!(
            "| {} | {} | {outcome} | {} times | {:.1} | {:.1} | {:.1} | {} | {} | {} | {} |",
            flood.name,
            flood.class,
            cost.told.goaways.values().sum::<usize>(),
            cost.told.octets as f64 / 1e6,
            cost.each,
            cost.each / honest.each,
            cost.memory,
            waits.calls,
            millis(waits.median),
            millis(waits.worst),
        );
    }
    good
}

/// Hostile servers and a client of runtime `C`.
fn clients<C: Runtime, S: Runtime>() -> bool {
    println!("\n### A client on {}\n", C::NAME);
    println!(
        "| hostile server | class | the call ends with | the client says | MB sent | other calls | half under ms | all under ms |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let honest = Serving::<S>::start(router());
    let mut good = true;
    for hostile in HOSTILE {
        let ((code, told), waits) = beside::<C, _>(honest.address(), || serve::<C>(hostile, SPAN));
        let (as_expected, outcome) = outcome(hostile.outcome, &told);
        good &= as_expected && code == hostile.code && waits.worst < LIMIT;
        println!(
            "| {} | {} | {code:?} | {} | {:.1} | {} | {} | {} |",
            hostile.name,
            hostile.class,
            if hostile.outcome == Outcome::Endured && as_expected { "nothing" } else { &outcome },
            told.octets as f64 / 1e6,
            waits.calls,
            millis(waits.median),
            millis(waits.worst),
        );
    }
    good
}
