use super::{ClientRecv, ClientRecvInput, Row, Step, TABLES, Table};
use crate::frame::{ErrorCode, Scope};
use std::collections::BTreeSet;

fn row<'a>(table: &'a Table, state: &str, input: &str) -> &'a Row {
    table.rows.iter().find(|row| row.state == state && row.input == input).expect("a row")
}

#[test]
fn every_state_and_input_has_exactly_one_row() {
    for table in TABLES {
        let cells: BTreeSet<_> = table.rows.iter().map(|row| (row.state, row.input)).collect();
        assert_eq!(cells.len(), table.rows.len(), "{}: a cell stands twice", table.name);
        assert_eq!(cells.len(), table.states.len() * table.inputs.len(), "{}: a cell is missing", table.name);
    }
}

#[test]
fn every_outcome_is_a_state_or_a_known_kind_and_names_its_rule() {
    for table in TABLES {
        for row in table.rows {
            let kind = row.outcome.split('(').next().unwrap_or_default();
            let known = ["ignore", "never", "stream", "connection", "misuse", "cardinality"].contains(&kind)
                || table.states.contains(&row.outcome);
            assert!(known, "{}: {row:?}", table.name);
            assert!(row.section.starts_with("RFC 9113 §") || row.section.starts_with("P-"), "{row:?}");
        }
    }
}

#[test]
fn every_state_can_be_reached_from_the_first() {
    for table in TABLES {
        // A stream without a slot has no transitions: its state is looked up.
        if table.name == "ClosedStream" {
            continue;
        }
        let mut reached = BTreeSet::from([table.states[0]]);
        loop {
            let more: Vec<_> = table
                .rows
                .iter()
                .filter(|row| reached.contains(row.state) && table.states.contains(&row.outcome))
                .map(|row| row.outcome)
                .collect();
            let before = reached.len();
            reached.extend(more);
            if reached.len() == before {
                break;
            }
        }
        assert_eq!(reached.len(), table.states.len(), "{}: {reached:?}", table.name);
    }
}

#[test]
fn the_code_is_the_table() {
    assert_eq!(ClientRecv::AwaitHeaders.step(ClientRecvInput::Headers), Step::To(ClientRecv::Body));
    let Step::Stream(breach) = ClientRecv::Body.step(ClientRecvInput::Headers) else { panic!("no breach") };
    assert_eq!((breach.scope, breach.code), (Scope::Stream, ErrorCode::PROTOCOL_ERROR));
    assert_eq!((breach.machine, breach.state, breach.input), ("ClientRecv", "Body", "Headers"));
    assert_eq!(row(&ClientRecv::TABLE, "Body", "Headers").outcome, "stream(PROTOCOL_ERROR)");
}
