//! Every cell of every state table, driven on a real connection by encoded frames and by its caller's commands.
//!
//! Each table has a driver that brings a connection into a row's state, gives it the row's input, and reports the
//! result, which must be exactly what the row states. A cell that cannot be provoked is listed by name, with the
//! reason and a check of that reason.

mod cardinality;
mod client;
mod closed;
mod lifecycle;
mod met;
mod server;
mod wire;

use halfclose::machine::{Row, TABLES, Table};
use met::Met;

/// Returns the result of a row's input in its state.
fn drive(table: &Table, row: &Row) -> Met {
    match table.name {
        "Wire" => wire::drive(row),
        "Lifecycle" => lifecycle::drive(row),
        "ClientSend" => client::send(row),
        "ClientRecv" => client::recv(row),
        "ServerRecv" => server::recv(row),
        "ServerSend" => server::send(row),
        "ClosedStream" => closed::drive(row),
        "OneRequest" => cardinality::requests(row),
        "OneResponse" => cardinality::responses(row),
        other => panic!("no driver for table {other}"),
    }
}

#[test]
fn every_cell_does_what_its_row_says() {
    let (mut cells, mut unreachable, mut wrong) = (0, 0, Vec::new());
    for table in TABLES {
        for row in table.rows {
            let met = drive(table, row);
            unreachable += usize::from(matches!(met, Met::Unreachable(_)));
            wrong.extend(met.check(table, row));
            cells += 1;
        }
    }
    println!(
        "{cells} cells of {} tables, {unreachable} of them only by what keeps them from being reached",
        TABLES.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(cells, TABLES.iter().map(|table| table.states.len() * table.inputs.len()).sum::<usize>());
}
