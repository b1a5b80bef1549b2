//! `docs/conformance.md`, generated from the tables.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use halfclose_conformance::{Case, Expect, rule};

use crate::registry::{RULES, Rule};
use crate::tables::{TABLES, Table};

const HEAD: &str = "# Conformance

What RFC 9113, RFC 7541 and the gRPC documents demand, and the tests that hold it. This page is generated from the tables in
`tests/conformance/tests/rules`; `UPDATE=1 cargo test -p halfclose-conformance` writes it anew, and a test fails when it
differs.

Each row is a test of its own for every transport and every side that it names: `memory` is the core alone, `tokio` and `smol` are
the adapters' servers and clients on TCP sockets, provoked by the same bytes. `http2::both::client::smol::rfc9113_6_7_ping_on_a_stream`
is the row of that name against a client on smol, and `cargo test -p halfclose-conformance rfc9113_6_7` runs all of that section.
A server must serve a call on another connection after every row; a client's call must end with the status that the row says, or
with UNAVAILABLE after a connection error and INTERNAL after a stream error, and the next call on a connection that lives must be
answered. None of the tests is left out of `cargo test --workspace`.

How the bytes arrive makes no difference: every row is also sent in two pieces, cut at every byte (`splits.rs`), and so is every flight
of recorded sessions of the four call types (`tests/conformance/tests/sessions.rs`).

Each cell of the state tables is driven by `tests/conformance/tests/cells`, each entry of the
registry of violations by `tests/conformance/tests/rules/violations.rs`, each attack class by `tests/security`.

";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn expected(expect: Expect) -> String {
    match expect {
        Expect::Connection(code) => format!("connection error {code}"),
        Expect::Foreign => "end of the connection".to_owned(),
        Expect::Stream(code) => format!("stream error {code}"),
        Expect::Reset(stream, code) => format!("stream error {code} on stream {stream}"),
        Expect::Fine => "nothing is wrong".to_owned(),
        Expect::Acknowledged(_) => "it is acknowledged".to_owned(),
        Expect::Answer(http, grpc) => format!("`:status` {http}, `grpc-status` {grpc}"),
        Expect::Late(_) => "the call ends with DeadlineExceeded".to_owned(),
        Expect::Status(code) | Expect::Cut(code) => format!("the call ends with {code:?}"),
    }
}

fn table(page: &mut String, table: &Table) {
    let Table { title, module, sides, rows } = table;
    let sides = sides.join(" and ");
    let _ = writeln!(page, "## {title}\n\nTests `{module}::…`, against a {sides}.\n");
    page.push_str("| requirement | what is sent | result | test | transports |\n|---|---|---|---|---|\n");
    for row in *rows {
        let Case { name, text, expect, .. } = row();
        let (rule, expected) = (rule(name), expected(expect));
        let _ = writeln!(page, "| {rule} | {text} | {expected} | `{name}` | memory, tokio, smol |");
    }
    page.push('\n');
}

/// Returns the names of all cases.
fn names() -> BTreeSet<&'static str> {
    TABLES.iter().flat_map(|table| table.rows).map(|row| row().name).collect()
}

fn rules(page: &mut String, names: &BTreeSet<&str>) {
    page.push_str(
        "## gRPC over HTTP/2\n\nThe rules by their numbers. Cases are rows of the tables above.\n\n",
    );
    page.push_str("| rule | what | cases | other tests | note |\n|---|---|---|---|---|\n");
    for rule in RULES {
        let cases: Vec<_> =
            names.iter().filter(|name| rule.is_held_by(name)).map(|name| format!("`{name}`")).collect();
        let tests: Vec<_> = rule.tests.iter().map(|(file, test)| format!("[`{test}`](../{file})")).collect();
        let Rule { id, what, note, .. } = rule;
        let _ = writeln!(page, "| {id} | {what} | {} | {} | {note} |", cases.join(", "), tests.join(", "));
    }
    let held = RULES.iter().filter(|rule| is_held(rule, names)).count();
    let _ =
        writeln!(page, "\n{held} of {} rules are held by tests; the others carry their reason.", RULES.len());
}

fn is_held(rule: &Rule, names: &BTreeSet<&str>) -> bool {
    !rule.tests.is_empty() || names.iter().any(|name| rule.is_held_by(name))
}

#[test]
fn the_page_is_the_tables() {
    let mut page = HEAD.to_owned();
    let names = names();
    let rows: usize = TABLES.iter().map(|table| table.rows.len()).sum();
    let tests: usize = TABLES.iter().map(|table| 3 * table.rows.len() * table.sides.len()).sum();
    let _ = writeln!(page, "{rows} rows, {tests} tests.\n");
    for one in TABLES {
        table(&mut page, one);
    }
    rules(&mut page, &names);
    let path = root().join("docs/conformance.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).expect("docs/conformance.md can be written");
    }
    let written = std::fs::read_to_string(&path).expect("docs/conformance.md is there");
    assert!(written == page, "docs/conformance.md differs from the tables: run with UPDATE=1");
}

#[test]
fn every_test_that_is_named_exists_and_every_rule_has_one_or_a_reason() {
    let names = names();
    for rule in RULES {
        assert!(is_held(rule, &names) || !rule.note.is_empty(), "{} has neither", rule.id);
        for prefix in rule.cases {
            assert!(names.iter().any(|name| name.starts_with(prefix)), "{}: no case {prefix}…", rule.id);
        }
        for (file, test) in rule.tests {
            let text = std::fs::read_to_string(root().join(file)).expect(file);
            assert!(text.contains(&format!("fn {test}(")), "{}: no test {test} in {file}", rule.id);
        }
    }
}

#[test]
fn every_case_begins_with_a_rule() {
    for name in names() {
        if name.starts_with("rfc") {
            assert!(rule(name).chars().any(|letter| letter.is_ascii_digit()), "{name}");
        } else if !name.starts_with("grpc_errors_") {
            assert!(RULES.iter().any(|rule| rule.is_held_by(name)), "{name} is of no rule");
        }
    }
}
