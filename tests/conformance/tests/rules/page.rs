//! `docs/conformance.md`, generated from the tables.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use halfclose_conformance::case::{Case, Expect};

use crate::http2::{BOTH, CLIENT, SERVER};
use crate::malformed::{REQUESTS, RESPONSES, TRAILER_BLOCKS};
use crate::registry::RULES;

const HEAD: &str = "# Conformance

What RFC 9113, RFC 7541 and the gRPC documents demand, and the tests that hold it. This page is generated from the tables in
`tests/conformance/tests/rules`; `UPDATE=1 cargo test -p halfclose-conformance` writes it anew, and a test fails when it
differs. Every rule below that names a test is held by it: the tests run with `cargo test --workspace`, and none is left out there.
Each cell of the state tables is driven by `tests/conformance/tests/cells`, each attack class by `tests/security`.

";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn expected(expect: Expect) -> String {
    match expect {
        Expect::Connection(code) => format!("connection error {code}"),
        Expect::Stream(code) => format!("stream error {code}"),
        Expect::Fine => "nothing is wrong".to_owned(),
    }
}

fn cases(page: &mut String, title: &str, cases: &[Case]) {
    let _ = writeln!(page, "## {title}\n\n| rule | what is sent | what comes of it |\n|---|---|---|");
    let mut cases: Vec<&Case> = cases.iter().collect();
    cases.sort_by_key(|case| (case.rule.starts_with("RFC 7541"), section(case.rule)));
    for case in cases {
        let _ = writeln!(page, "| {} | {} | {} |", case.rule, case.name, expected(case.expect));
    }
    page.push('\n');
}

/// The numbers of a section, to sort by.
fn section(rule: &str) -> Vec<u32> {
    let numbers = rule.split('§').nth(1).unwrap_or_default();
    numbers.split(['.', ' ']).filter_map(|number| number.parse().ok()).collect()
}

fn malformed(page: &mut String) {
    page.push_str(
        "## Malformed messages\n\nEach is a stream error PROTOCOL_ERROR; the connection lives.\n\n",
    );
    page.push_str("| rule | message | what is wrong |\n|---|---|---|\n");
    for (message, table) in [("request", REQUESTS), ("response", RESPONSES), ("trailers", TRAILER_BLOCKS)] {
        for (rule, name, _) in table {
            let _ = writeln!(page, "| {rule} | {message} | {name} |");
        }
    }
    page.push('\n');
}

fn rules(page: &mut String) {
    page.push_str("## gRPC over HTTP/2\n\n| rule | what | tests | note |\n|---|---|---|---|\n");
    for rule in RULES {
        let tests: Vec<String> =
            rule.tests.iter().map(|(file, test)| format!("[`{test}`](../{file})")).collect();
        let _ = writeln!(page, "| {} | {} | {} | {} |", rule.id, rule.what, tests.join(", "), rule.note);
    }
    let held = RULES.iter().filter(|rule| !rule.tests.is_empty()).count();
    let _ =
        writeln!(page, "\n{held} of {} rules are held by tests; the others carry their reason.", RULES.len());
}

#[test]
fn the_page_is_the_tables() {
    let mut page = HEAD.to_owned();
    cases(&mut page, "What neither side may do", BOTH);
    cases(&mut page, "What a client may not do", SERVER);
    cases(&mut page, "What a server may not do", CLIENT);
    malformed(&mut page);
    rules(&mut page);
    let path = root().join("docs/conformance.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).expect("docs/conformance.md can be written");
    }
    let written = std::fs::read_to_string(&path).expect("docs/conformance.md is there");
    assert!(written == page, "docs/conformance.md differs from the tables: run with UPDATE=1");
}

#[test]
fn every_test_that_is_named_exists_and_every_rule_has_one_or_a_reason() {
    for rule in RULES {
        assert!(!rule.tests.is_empty() || !rule.note.is_empty(), "{} has neither", rule.id);
        for (file, test) in rule.tests {
            let text = std::fs::read_to_string(root().join(file)).expect(file);
            assert!(text.contains(&format!("fn {test}(")), "{}: no test {test} in {file}", rule.id);
        }
    }
}
