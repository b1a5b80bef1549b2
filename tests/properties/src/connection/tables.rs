//! The state tables as the model: how a half may move, and how a command must be answered.

use std::sync::LazyLock;

use halfclose::HalfStates;
use halfclose::machine::{ClientRecv, ClientSend, ServerRecv, ServerSend, Table};

/// The states of a call's halves: the table and the index of the state.
pub(super) type Halves = [(HalfTable, usize); 2];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HalfTable {
    ClientSend,
    ClientRecv,
    ServerSend,
    ServerRecv,
}

/// For each state of a table, the states that its rows lead to in any number of steps, one bit each.
static REACH: LazyLock<[Vec<u32>; 4]> = LazyLock::new(|| {
    [ClientSend::TABLE, ClientRecv::TABLE, ServerSend::TABLE, ServerRecv::TABLE].map(|table| closure(&table))
});

fn closure(table: &Table) -> Vec<u32> {
    let index = |name: &str| table.states.iter().position(|state| *state == name);
    let mut reach: Vec<u32> = (0..table.states.len()).map(|state| 1 << state).collect();
    for _ in table.states {
        for row in table.rows {
            if let (Some(from), Some(to)) = (index(row.state), index(row.outcome)) {
                reach[from] |= reach[to];
            }
        }
    }
    reach
}

pub(super) fn halves(states: &HalfStates) -> Halves {
    match *states {
        HalfStates::Client { send, recv } => {
            [(HalfTable::ClientSend, send as usize), (HalfTable::ClientRecv, recv as usize)]
        }
        HalfStates::Server { send, recv } => {
            [(HalfTable::ServerSend, send as usize), (HalfTable::ServerRecv, recv as usize)]
        }
    }
}

/// Asserts that rows of the tables lead from `before` to `after`.
pub(super) fn assert_reachable(before: Halves, after: Halves) {
    for ((half, from), (same, to)) in before.into_iter().zip(after) {
        assert_eq!(half, same, "a call changed its side");
        assert!(
            REACH[half as usize][from] & (1 << to) != 0,
            "no row of {half:?} leads from state {from} to {to}"
        );
    }
}
