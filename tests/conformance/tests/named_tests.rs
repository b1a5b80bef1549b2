//! docs/advisories.md and docs/claims.md: each test that they name is in the tree, each claim is on its page, and the pages
//! make no claim that has no test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Adds the text of every source below a folder.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                sources(&path, text);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).expect("a source"));
        }
    }
}

/// The words that stand first in a line behind its spaces, where a function or a case of the rules is defined.
fn defined(text: &str) -> BTreeSet<&str> {
    let of = |line: &str| -> Option<(usize, usize)> {
        let trimmed = line.trim_start();
        let from = line.len() - trimmed.len() + if trimmed.starts_with("fn ") { 3 } else { 0 };
        let rest = line.get(from..)?;
        let len = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let after = rest.get(len..)?;
        let is_case = after.starts_with(" \"") && line.len() != trimmed.len();
        (trimmed.starts_with("fn ") || is_case).then_some((from, len))
    };
    text.lines().filter_map(|line| of(line).and_then(|(from, len)| line.get(from..from + len))).collect()
}

/// The parts of a cell between two of these marks.
fn between(cell: &str, mark: char) -> impl Iterator<Item = &str> {
    cell.split(mark).skip(1).step_by(2)
}

/// The rows of a page's tables, by cells.
fn rows(page: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let titles = ["| id ", "| claim "];
    let is_row = |line: &&str| line.starts_with("| ") && !titles.iter().any(|title| line.starts_with(title));
    page.lines().filter(is_row).map(cells).collect()
}

/// The tests in a cell, functions and cases in backticks and attacks in quotes, that are not in the tree.
fn missing<'a>(cell: &'a str, text: &str, defined: &BTreeSet<&str>) -> Vec<&'a str> {
    let (functions, attacks): (Vec<_>, Vec<_>) = (between(cell, '`').collect(), between(cell, '"').collect());
    assert!(functions.len() + attacks.len() > 0, "no test: {cell}");
    let functions = functions.into_iter().filter(|name| !defined.contains(name));
    functions.chain(attacks.into_iter().filter(|name| !text.contains(&format!("\"{name}\"")))).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn tree() -> String {
    let mut text = String::new();
    for folder in ["core", "adapters", "tests"] {
        sources(&root().join(folder), &mut text);
    }
    text
}

#[test]
fn every_advisory_has_its_tests() {
    let (page, text) = (read("docs/advisories.md"), tree());
    let defined = defined(&text);
    let rows = rows(&page);
    assert!(rows.len() > 40, "{} rows", rows.len());
    for row in &rows {
        let [id, what, answer, tests] = &row[..] else { panic!("four cells: {row:?}") };
        assert!(!id.is_empty() && !what.is_empty() && !answer.is_empty(), "{row:?}");
        assert_eq!(missing(tests, &text, &defined), Vec::<&str>::new(), "named for {id} and in no source");
    }
}

/// What has one of the words and is no claim.
const NO_CLAIM: [&str; 3] = ["same `Engine`", "at the same time", "soon as its peer does the same"];

/// Whether a sentence promises something.
fn promises(line: &str) -> bool {
    let lower = line.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphabetic());
    words.clone().any(|word| ["never", "always", "same"].contains(&word))
        || ["at most", "exactly once", "no panic"].iter().any(|words| lower.contains(words))
}

#[test]
fn every_claim_is_on_its_page_and_has_its_tests() {
    let (page, text) = (read("docs/claims.md"), tree());
    let defined = defined(&text);
    let rows = rows(&page);
    for row in &rows {
        let [claim, page, tests] = &row[..] else { panic!("three cells: {row:?}") };
        assert!(read(page).contains(claim.as_str()), "{page} does not say: {claim}");
        assert_eq!(missing(tests, &text, &defined), Vec::<&str>::new(), "named for {claim} and in no source");
    }
    for page in ["README.md", "docs/architecture.md", "docs/embedding.md"] {
        let page_text = read(page);
        let claims = rows.iter().filter(|row| row[1] == page).map(|row| row[0].as_str()).chain(NO_CLAIM);
        let claims: Vec<&str> = claims.collect();
        // What stands in examples is code.
        let prose = page_text.split("\n```").step_by(2);
        let untested: Vec<&str> = prose
            .flat_map(str::lines)
            .filter(|line| promises(line) && !claims.iter().any(|claim| line.contains(claim)))
            .collect();
        assert!(untested.is_empty(), "{page} promises what docs/claims.md has no test for: {untested:#?}");
    }
}
