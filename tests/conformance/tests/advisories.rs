//! docs/advisories.md: each row has its cells, and each test that it names is in the tree.

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

#[test]
fn every_test_that_is_named_exists() {
    let page = fs::read_to_string(root().join("docs/advisories.md")).expect("the page");
    let mut text = String::new();
    for folder in ["core", "adapters", "tests"] {
        sources(&root().join(folder), &mut text);
    }
    let defined = defined(&text);
    let (mut rows, mut missing) = (0, Vec::new());
    for line in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| id ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, what, answer, tests] = cells[..] else { panic!("four cells: {line}") };
        assert!(!id.is_empty() && !what.is_empty() && !answer.is_empty(), "{line}");
        let (functions, attacks): (Vec<_>, Vec<_>) =
            (between(tests, '`').collect(), between(tests, '"').collect());
        assert!(functions.len() + attacks.len() > 0, "no test: {line}");
        missing.extend(functions.into_iter().filter(|name| !defined.contains(name)));
        missing.extend(attacks.into_iter().filter(|name| !text.contains(&format!("\"{name}\""))));
        rows += 1;
    }
    assert!(rows > 40, "{rows} rows");
    assert!(missing.is_empty(), "named on the page and nowhere else: {missing:?}");
}
