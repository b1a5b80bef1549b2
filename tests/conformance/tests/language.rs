//! The project speaks one language: each type of a crate has a name of its own, docs/rules.md has each rule that the
//! code cites, and each item that docs/glossary.md explains exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The libraries of the workspace; each is a crate, and so is each of their integration tests and programs.
const CRATES: [&str; 17] = [
    "core",
    "adapters/codegen",
    "adapters/driver",
    "adapters/tokio",
    "adapters/smol",
    "tests/bench",
    "tests/conformance",
    "tests/e2e",
    "tests/interop",
    "tests/properties",
    "tests/quickstart",
    "tests/relay",
    "tests/security",
    "tests/sim",
    "tests/stubs",
    "tests/tonic-peer",
    "tests/wire",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns every Rust file below a folder, with its path.
fn sources(folder: &Path, skip: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.map(|entry| entry.expect("an entry").path()) {
        let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if skip.contains(&name) {
            continue;
        }
        if entry.is_dir() {
            found.extend(sources(&entry, skip));
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&entry).expect("a source file");
            found.push((entry, text));
        }
    }
    found
}

/// Returns the name of the type that a line defines, if it defines one. Aliases count only at the margin, because
/// indented ones are associated types.
fn defined(line: &str) -> Option<&str> {
    let at_margin = !line.starts_with(' ');
    let mut words = line.split_whitespace();
    let mut word = words.next()?;
    if word == "pub" || word.starts_with("pub(") {
        word = words.next()?;
        // `pub(in path)` has a space in it.
        if word.ends_with(')') {
            word = words.next()?;
        }
    }
    let defines = matches!(word, "struct" | "enum" | "trait" | "union") || (word == "type" && at_margin);
    let name = words.next().filter(|_| defines)?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    Some(&name[..end]).filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// Returns every type that a library defines, with the places of its definitions.
fn types(library: &str) -> BTreeMap<String, Vec<String>> {
    let mut types = BTreeMap::<String, Vec<String>>::new();
    for (path, text) in sources(&root().join(library).join("src"), &["bin"]) {
        for (number, line) in text.lines().enumerate() {
            if let Some(name) = defined(line) {
                types.entry(name.to_owned()).or_default().push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    types
}

#[test]
fn no_two_types_of_a_crate_share_a_name() {
    let twice: Vec<String> = CRATES
        .iter()
        .flat_map(|library| types(library).into_iter().filter(|(_, places)| places.len() > 1))
        .map(|(name, places)| format!("{name}: {}", places.join(", ")))
        .collect();
    assert!(twice.is_empty(), "\n{}", twice.join("\n"));
}

/// Returns the numbers after `P-` in a text.
fn cited(text: &str) -> BTreeSet<u32> {
    text.match_indices("P-")
        .filter(|(at, _)| !text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '-'))
        .filter_map(|(at, _)| {
            let digits = &text[at + 2..];
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            digits[..end].parse().ok()
        })
        .collect()
}

#[test]
fn every_rule_that_is_cited_has_its_place() {
    let headings: BTreeSet<u32> =
        read("docs/rules.md").lines().filter(|line| line.starts_with("### P-")).flat_map(cited).collect();
    let mut missing = Vec::new();
    for folder in ["core", "adapters", "tests", "fuzz/fuzz_targets"] {
        for (path, text) in sources(&root().join(folder), &["target"]) {
            let unknown: Vec<u32> = cited(&text).difference(&headings).copied().collect();
            if !unknown.is_empty() {
                missing.push(format!("{}: {unknown:?}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "cited, and not in docs/rules.md:\n{}", missing.join("\n"));
    let page = cited(&read("docs/conformance.md"));
    assert_eq!(headings, page, "docs/rules.md and docs/conformance.md list different rules");
}

/// Returns the words in `code font` of the first column of the glossary's tables.
fn glossary_items(page: &str) -> impl Iterator<Item = &str> {
    page.lines()
        .filter(|line| line.starts_with("| "))
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
}

#[test]
fn every_item_of_the_glossary_exists() {
    let known: BTreeSet<String> =
        ["core", "adapters/driver"].into_iter().flat_map(|library| types(library).into_keys()).collect();
    let page = read("docs/glossary.md");
    let terms = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| term")).count();
    assert!(terms >= 40, "{terms} terms");
    let unknown: Vec<&str> = glossary_items(&page).filter(|item| !known.contains(*item)).collect();
    assert!(unknown.is_empty(), "in docs/glossary.md, and not in the code: {unknown:?}");
}

/// Phrases of the project's old style, which comments and documents no longer use.
const OLD_STYLE: [&str; 6] =
    ["so many", "seldom", "all the same", "as a rule", "whether it did.", "somebody"];

/// The comment of a line of Rust, if it has one.
fn comment(line: &str) -> &str {
    line.find("//").map_or("", |at| &line[at..])
}

#[test]
fn comments_and_documents_are_in_plain_words() {
    let mut met = Vec::new();
    let mut check = |path: &Path, number: usize, text: &str| {
        let text = text.to_lowercase();
        let words = |phrase: &str| {
            text.match_indices(phrase).any(|(at, _)| {
                let around = [text[..at].chars().next_back(), text[at + phrase.len()..].chars().next()];
                around.into_iter().flatten().all(|c| !c.is_alphanumeric() && c != '_')
            })
        };
        met.extend(
            OLD_STYLE
                .iter()
                .filter(|phrase| words(phrase))
                .map(|phrase| format!("{}:{number}: {phrase}", path.display())),
        );
    };
    for folder in ["core", "adapters", "tests", "fuzz/fuzz_targets"] {
        for (path, text) in sources(&root().join(folder), &["target", "language.rs"]) {
            text.lines().enumerate().for_each(|(n, line)| check(&path, n + 1, comment(line)));
        }
    }
    for page in documents() {
        read(&page).lines().enumerate().for_each(|(n, line)| check(Path::new(&page), n + 1, line));
    }
    assert!(met.is_empty(), "\n{}", met.join("\n"));
}

/// The documents that are written by hand; docs/attacks.md is a report, whose rows have names.
fn documents() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned(), "SECURITY.md".to_owned()];
    for folder in ["docs", "docs/decisions"] {
        for entry in fs::read_dir(root().join(folder)).expect("a folder of documents") {
            let name = entry.expect("an entry").file_name().into_string().expect("a name in UTF-8");
            if name.ends_with(".md") && name != "attacks.md" {
                pages.push(format!("{folder}/{name}"));
            }
        }
    }
    pages
}

/// Whether a line begins a function, with or without a visibility and the like.
fn begins_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.by_ref().find(|word| !matches!(*word, "const" | "async" | "unsafe") && !word.starts_with("pub"))
        == Some("fn")
        && words.next().is_some()
}

/// Whether a sentence begins with a verb in the third person, such as `Returns`.
fn begins_with_verb(sentence: &str) -> bool {
    let verb = sentence.split([' ', ',', ';', ':', '.']).next().unwrap_or_default();
    let letters = verb.strip_prefix(|c: char| c.is_ascii_uppercase()).unwrap_or_default();
    letters.ends_with('s') && letters.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

#[test]
fn what_a_function_does_is_a_verb() {
    let mut met = Vec::new();
    for folder in ["core/src", "adapters"] {
        for (path, text) in sources(&root().join(folder), &["target"]) {
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            for (at, _) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
                let attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#[")).count();
                let docs =
                    lines[..at - attributes].iter().rev().take_while(|line| line.starts_with("///")).count();
                let first = lines[at - attributes - docs].strip_prefix("///").unwrap_or("Is").trim();
                if docs > 0 && !begins_with_verb(first) {
                    met.push(format!("{}:{}: {first}", path.display(), at + 1 - attributes - docs));
                }
            }
        }
    }
    assert!(met.is_empty(), "\n{}", met.join("\n"));
}

/// Words that the project replaced by those of the standards.
const RETIRED: [&str; 8] =
    ["octet", "Octet", "Breach", "Shape::", "FrameHead ", "RequestHead ", "HeadReader", "HeadWriter"];

#[test]
fn retired_words_stay_away() {
    let mut met = Vec::new();
    for folder in ["core", "adapters", "tests", "fuzz/fuzz_targets"] {
        for (path, text) in sources(&root().join(folder), &["target", "language.rs"]) {
            met.extend(
                RETIRED
                    .iter()
                    .filter(|word| text.contains(**word))
                    .map(|word| format!("{}: {word}", path.display())),
            );
        }
    }
    assert!(met.is_empty(), "\n{}", met.join("\n"));
}

#[test]
fn the_map_of_the_connection_names_each_of_its_modules() {
    let map = read("core/src/http2/mod.rs");
    let (docs, code): (Vec<&str>, Vec<&str>) = map.lines().partition(|line| line.starts_with("//!"));
    let docs = docs.join("\n");
    let unnamed: Vec<&str> = code
        .iter()
        .filter_map(|line| line.strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| name))
        .filter(|name| !docs.contains(&format!("`{name}`")) && !docs.contains(&format!("[`{name}::")))
        .collect();
    assert!(unnamed.is_empty(), "not in the table of core/src/http2/mod.rs: {unnamed:?}");
}
