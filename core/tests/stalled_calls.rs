//! Calls whose peer reads nothing of them cost their own memory only: others on the connection take the same steps as beside
//! none, whichever side is held up.

mod common;

use bytes::Bytes;
use common::{Pair, message};
use halfclose::{CallId, CallType, Config, Event, Metadata, Recv, Status};

/// Calls that stand still, and messages that each of them was given to send.
const STALLED: usize = 20;
const LARGE: usize = 1 << 20;
const SMALL: usize = 200;

/// One small call; how often bytes had to be carried for it, and how many.
fn small_call(pair: &mut Pair) -> (usize, usize) {
    let call = pair.start(CallType::UNARY);
    pair.client.send_message(call, Bytes::from_static(b"ping"), false).unwrap();
    pair.client.half_close(call).unwrap();
    let (mut rounds, mut bytes) = (0, 0);
    loop {
        rounds += 1;
        assert!(rounds < 10, "the call goes on");
        bytes += pair.carry_up();
        while let Some(event) = pair.server.poll_event() {
            let Event::Request(call) = event else { continue };
            pair.server.accept(call, CallType::UNARY).unwrap();
            assert_eq!(message(pair.server.recv(call).unwrap()), "ping");
            pair.server.send_message(call, Bytes::from_static(b"pong"), false).unwrap();
            pair.server.finish(call, Status::ok(), Metadata::new()).unwrap();
        }
        bytes += pair.carry_down();
        while pair.client.poll_event().is_some() {}
        if let Ok(Recv::Message(answer)) = pair.client.recv(call) {
            assert_eq!(answer.payload, "pong");
            assert_eq!(pair.outcome(call).status, Status::ok());
            return (rounds, bytes);
        }
    }
}

/// What the small calls take beside calls whose large messages, the client's or the server's, nobody reads.
fn steps(stalled: usize, server_is_held_up: bool) -> Vec<(usize, usize)> {
    let mut pair = Pair::with(Config::client(), Config::server());
    let calls: Vec<(CallId, CallId)> =
        (0..stalled).map(|_| (pair.start(CallType::BIDI), pair.accept(CallType::BIDI))).collect();
    // The first call of a connection tells what later ones need not.
    small_call(&mut pair);
    for (at_client, at_server) in calls {
        let large = Bytes::from(vec![7; LARGE]);
        if server_is_held_up {
            pair.server.send_message(at_server, large, false).unwrap();
        } else {
            pair.client.send_message(at_client, large, false).unwrap();
        }
    }
    pair.exchange();
    while pair.server.poll_event().is_some() {}
    (0..SMALL).map(|_| small_call(&mut pair)).collect()
}

#[test]
fn small_calls_take_the_same_steps_beside_calls_that_stand_still() {
    for server_is_held_up in [false, true] {
        let (alone, beside) = (steps(0, server_is_held_up), steps(STALLED, server_is_held_up));
        assert!(beside.iter().all(|(rounds, _)| *rounds == 1), "one round trip each: {beside:?}");
        let most = |steps: &[(usize, usize)]| steps.iter().map(|step| step.1).max();
        // Identifiers of more digits, and credit for the connection now and then.
        assert!(most(&beside) <= most(&alone).map(|bytes| bytes + 26), "{beside:?}");
    }
}
