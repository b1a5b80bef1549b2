//! Attacks over TCP on both runtimes: each has its required result, and the calls of another client proceed
//! meanwhile.
//!
//! The program `report` measures how long those take, on a machine that does nothing else; here, where other tests
//! may run at the same time, they must only not stall. `turns.rs` tests without a clock what bounds their wait.

use std::time::Duration;

use halfclose::Code;
use halfclose_e2e::{Runtime, Serving, Smol, Tokio};
use halfclose_security::socket::attacker::{Budget, attack};
use halfclose_security::socket::bystander::{Waits, beside};
use halfclose_security::socket::floods::{FLOODS, Outcome};
use halfclose_security::socket::hostile::{HOSTILE, serve};
use halfclose_security::socket::router;

/// The duration of an attack that is not disconnected.
const SPAN: Duration = Duration::from_millis(100);
/// A time that no wait comes close to unless something hangs: a call takes a fraction of a millisecond.
const STALL: Duration = Duration::from_secs(10);
const SLOW: Duration = Duration::from_secs(1);

fn has_stalled(waits: &Waits) -> Option<String> {
    let stalled = waits.worst > STALL || waits.median > SLOW;
    stalled.then(|| format!("another client's calls stalled: {waits:?}"))
}

/// Returns the budget of an attack: until it is disconnected, however slow the machine is, or no more than a debug
/// build can handle quickly.
const fn budget(outcome: Outcome) -> Budget {
    match outcome {
        Outcome::Cut(..) => Budget::of(STALL).and_connections(1),
        Outcome::Endured => Budget::of(SPAN).and_bytes(256 << 10),
    }
}

/// Runs each flood on a server of runtime `S`; the other client uses runtime `C`.
fn servers<S: Runtime, C: Runtime>() {
    let mut failures = Vec::new();
    for flood in FLOODS {
        let server = Serving::<S>::start(router());
        let budget = budget(flood.outcome);
        let (told, waits) = beside::<C, _>(server.address(), || attack(server.address(), flood, budget));
        println!("{:45} {told:?} {waits:?}", flood.name);
        let wrong = told.check(flood.outcome).err().or_else(|| has_stalled(&waits));
        failures.extend(wrong.map(|text| format!("{} on {}: {text}", flood.name, S::NAME)));
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn a_tokio_server_under_attack() {
    servers::<Tokio, Smol>();
}

#[test]
fn a_smol_server_under_attack() {
    servers::<Smol, Tokio>();
}

/// Lets a client of runtime `C` call each hostile server while another client of the same runtime calls a good one.
fn clients<C: Runtime, S: Runtime>() {
    let mut failures = Vec::new();
    let good = Serving::<S>::start(router());
    for hostile in HOSTILE {
        let ((code, told), waits) = beside::<C, _>(good.address(), || serve::<C>(hostile, STALL));
        println!("{:45} {code:?} {told:?} {waits:?}", hostile.name);
        assert_ne!(code, Code::Ok, "{}: nobody answered", hostile.name);
        let wrong = told.check(hostile.outcome).err().or_else(|| has_stalled(&waits));
        let wrong = wrong.or_else(|| (code != hostile.code).then(|| format!("the call ended with {code:?}")));
        failures.extend(wrong.map(|text| format!("{} on {}: {text}", hostile.name, C::NAME)));
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn a_tokio_client_of_hostile_servers() {
    clients::<Tokio, Smol>();
}

#[test]
fn a_smol_client_of_hostile_servers() {
    clients::<Smol, Tokio>();
}
