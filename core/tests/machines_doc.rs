//! docs/machines.md describes the state tables; this test fails when they differ.
//!
//! `HALFCLOSE_BLESS=1 cargo test -p halfclose --test machines_doc` writes the page again.

use halfclose::machine::{TABLES, Table};
use std::fmt::Write;

const INTRO: &str = "\
# State tables

Generated from `core/src/machine/` by `HALFCLOSE_BLESS=1 cargo test -p halfclose --test machines_doc`; do not edit.

Each table is the code: `step(state, input)` is the only transition function, and a missing row does not compile. In a
cell stands the next state, or who is told what: `stream(CODE)` answers a broken rule with RST_STREAM,
`connection(CODE)` with GOAWAY, `misuse(Kind)` is an error to the caller that changes nothing, `ignore` means that the
input is legal and means nothing here, `cardinality` that the call has a wrong number of messages. `never` marks an
input that the core itself cannot give in that state: frames for a stream whose id is retired go to `ClosedStream`.
";

fn render(table: &Table, page: &mut String) {
    let about = table.about.trim();
    write!(page, "\n## {}\n\n{about}\n\n```mermaid\nstateDiagram-v2\n", table.name).unwrap();
    if table.name != "ClosedStream" {
        writeln!(page, "    [*] --> {}", table.states[0]).unwrap();
    }
    for row in table.rows.iter().filter(|row| table.states.contains(&row.outcome)) {
        writeln!(page, "    {} --> {}: {}", row.state, row.outcome, row.input).unwrap();
    }
    for state in table.states {
        writeln!(page, "    {state}").unwrap();
    }
    write!(page, "```\n\n| state | input | outcome | rule |\n|---|---|---|---|\n").unwrap();
    for row in table.rows {
        writeln!(page, "| {} | {} | {} | {} |", row.state, row.input, row.outcome, row.section).unwrap();
    }
}

#[test]
fn the_page_is_the_tables() {
    let mut page = INTRO.to_owned();
    for table in TABLES {
        render(table, &mut page);
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/machines.md");
    if std::env::var_os("HALFCLOSE_BLESS").is_some() {
        std::fs::write(path, &page).expect("docs/machines.md can be written");
    }
    let met = std::fs::read_to_string(path).unwrap_or_default();
    assert!(met == page, "docs/machines.md is not what the tables say; write it anew with HALFCLOSE_BLESS=1");
}
