//! Every attack has its required result: code, scope, debug text; and if the connection stays open, the next call is
//! served.

use std::panic::catch_unwind;

use halfclose_security::{Attack, Side, client, server};

fn check<R: Side>(attacks: impl Iterator<Item = &'static Attack<R>>) {
    let mut failures = Vec::new();
    for attack in attacks {
        match catch_unwind(|| attack.check(&mut attack.target())) {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => failures.push(failure),
            Err(panic) => failures.push(format!("{}: {:?}", attack.name, panic.downcast_ref::<String>())),
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn a_server_under_attack() {
    check(server::attacks());
}

#[test]
fn a_client_under_attack() {
    check(client::attacks());
}
