//! What halfclose depends on: licences, sources, bans and duplicates, by the lists of deny.toml and without a network.
//! `cargo deny check` looks at the same and, where it can be reached, at the advisory database.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use toml::Table;

fn root() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../..")
}

fn deny() -> Table {
    let text = std::fs::read_to_string(format!("{}/deny.toml", root())).expect("deny.toml");
    text.parse().expect("TOML")
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--all-features"])
        .current_dir(root())
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn packages(metadata: &Value) -> Vec<&Value> {
    metadata["packages"].as_array().expect("packages").iter().collect()
}

fn text<'a>(package: &'a Value, field: &str) -> &'a str {
    package[field].as_str().unwrap_or_default()
}

fn strings(list: &toml::Value) -> BTreeSet<String> {
    list.as_array().expect("a list").iter().map(|item| item.as_str().expect("text").to_owned()).collect()
}

/// Whether an SPDX expression can be satisfied with `allowed` licences: AND binds closer than OR.
fn satisfied(tokens: &mut Vec<&str>, allowed: &BTreeSet<String>) -> bool {
    let mut any = all_of(tokens, allowed);
    while matches!(tokens.last(), Some(&"OR" | &"/")) {
        tokens.pop();
        any |= all_of(tokens, allowed);
    }
    any
}

fn all_of(tokens: &mut Vec<&str>, allowed: &BTreeSet<String>) -> bool {
    let mut all = one_of(tokens, allowed);
    while tokens.last() == Some(&"AND") {
        tokens.pop();
        all &= one_of(tokens, allowed);
    }
    all
}

fn one_of(tokens: &mut Vec<&str>, allowed: &BTreeSet<String>) -> bool {
    if tokens.last() == Some(&"(") {
        tokens.pop();
        let inner = satisfied(tokens, allowed);
        assert_eq!(tokens.pop(), Some(")"));
        return inner;
    }
    let licence = tokens.pop().expect("a licence");
    if tokens.last() == Some(&"WITH") {
        // An exception gives rights and takes none.
        tokens.truncate(tokens.len() - 2);
    }
    allowed.contains(licence)
}

fn may_be_used(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " / ");
    let mut tokens: Vec<&str> = spaced.split_whitespace().rev().collect();
    !tokens.is_empty() && satisfied(&mut tokens, allowed) && tokens.is_empty()
}

#[test]
fn expressions_of_licences() {
    let allowed = ["MIT", "Zlib"].map(str::to_owned).into();
    for (expression, usable) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR Apache-2.0) AND Zlib", true),
        ("(MIT OR Apache-2.0) AND ISC", false),
        ("Apache-2.0 WITH LLVM-exception OR MIT", true),
        ("", false),
    ] {
        assert_eq!(may_be_used(expression, &allowed), usable, "{expression}");
    }
}

#[test]
fn every_licence_is_allowed() {
    let allowed = strings(&deny()["licenses"]["allow"]);
    let metadata = metadata();
    let refused: Vec<String> = packages(&metadata)
        .into_iter()
        .filter(|package| !may_be_used(text(package, "license"), &allowed))
        .map(|package| {
            format!("{} {}: {:?}", text(package, "name"), text(package, "version"), package["license"])
        })
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn everything_comes_from_the_registry() {
    let known = strings(&deny()["sources"]["allow-registry"]);
    let metadata = metadata();
    for package in packages(&metadata) {
        let Some(source) = package["source"].as_str() else { continue };
        let registry = source.strip_prefix("registry+").unwrap_or(source);
        assert!(known.contains(registry), "{} comes from {source}", text(package, "name"));
    }
}

#[test]
fn what_is_banned_is_used_only_where_it_is_excused() {
    let deny = deny();
    let metadata = metadata();
    let mut dependents: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in packages(&metadata) {
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            // What an optional dependency could bring in is there only when it is locked.
            dependents.entry(text(dependency, "name")).or_default().insert(text(package, "name").to_owned());
        }
    }
    let locked: BTreeSet<&str> =
        packages(&metadata).into_iter().map(|package| text(package, "name")).collect();
    for ban in deny["bans"]["deny"].as_array().expect("a list") {
        let name = ban["crate"].as_str().expect("a name");
        let Some(wrappers) = ban.get("wrappers") else {
            assert!(!locked.contains(name), "{name} is banned, and locked");
            continue;
        };
        let ours: BTreeSet<String> = dependents
            .get(name)
            .into_iter()
            .flatten()
            .filter(|dependent| dependent.starts_with("halfclose"))
            .cloned()
            .collect();
        let excused = strings(wrappers);
        assert!(ours.is_subset(&excused), "{name} is banned, and used by {ours:?}");
    }
}

#[test]
fn no_crate_is_there_twice_without_a_reason() {
    let deny = deny();
    let skipped: BTreeSet<&str> = deny["bans"]["skip"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|skip| skip["crate"].as_str().expect("a name").split('@').next().unwrap_or_default())
        .collect();
    let metadata = metadata();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages(&metadata) {
        versions.entry(text(package, "name")).or_default().insert(text(package, "version"));
    }
    versions.retain(|name, versions| versions.len() > 1 && !skipped.contains(name));
    assert!(versions.is_empty(), "{versions:?}");
}
