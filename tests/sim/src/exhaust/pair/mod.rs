//! The product of a client, a server and the frames in flight between them, for one call.
//!
//! States are merged by everything that can be observed of them: the halves' states on both sides, what the callers
//! know, and the bytes in flight. From every state the run is also brought to a fair end: the network delivers
//! everything, both callers act as honest callers do, and the call must end on both sides.

mod end;
mod joined;

use std::collections::HashSet;

use halfclose::CallType;

use super::{Count, Order};
use crate::wire::FailedProperty;
use joined::{Pair, Signature};

/// One action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// A command of the client's caller.
    Client(Order),
    /// A command of the server's caller.
    Server(Order),
    /// The arrival of the next frame from the client.
    Up,
    /// The arrival of the next frame from the server.
    Down,
}

const ACTIONS: [Action; 11] = [
    Action::Client(Order::Send),
    Action::Client(Order::Close),
    Action::Client(Order::Recv),
    Action::Client(Order::Cancel),
    Action::Server(Order::Recv),
    Action::Server(Order::Headers),
    Action::Server(Order::Send),
    Action::Server(Order::Close),
    Action::Server(Order::Cancel),
    Action::Up,
    Action::Down,
];

/// Enumerates all orders for a call of `call_type` with at most `messages` each way.
///
/// # Errors
/// The first property that does not hold, and the sequence that shows it.
pub fn enumerate(
    call_type: CallType,
    messages: usize,
    depth: usize,
) -> Result<Count, (FailedProperty, Vec<Action>)> {
    let mut seen = HashSet::new();
    let mut frontier = vec![Vec::new()];
    let mut count = Count::default();
    while !frontier.is_empty() && count.depth < depth {
        count.depth += 1;
        let mut next = Vec::new();
        for sequence in &frontier {
            for action in ACTIONS {
                let mut longer: Vec<Action> = sequence.clone();
                longer.push(action);
                count.sequences += 1;
                match play(call_type, messages, &longer) {
                    Ok(Some(signature)) => {
                        if seen.insert(signature) {
                            count.states += 1;
                            next.push(longer);
                        }
                    }
                    // The last action changed nothing, or could not be done.
                    Ok(None) => {}
                    Err(breach) => return Err((breach, longer)),
                }
            }
        }
        frontier = next;
    }
    count.complete = frontier.is_empty();
    Ok(count)
}

fn play(
    call_type: CallType,
    messages: usize,
    sequence: &[Action],
) -> Result<Option<Signature>, FailedProperty> {
    let mut pair = Pair::new(call_type, messages)?;
    for action in sequence {
        if !pair.act(*action)? {
            return Ok(None);
        }
    }
    let signature = pair.signature();
    pair.finish()?;
    Ok(Some(signature))
}
