//! What cargo-deny cannot check about the dependencies (`tests/security/deny.sh` runs it): which of them only tests
//! have.

use std::process::Command;

use serde_json::Value;

/// Crates that must not reach a user: the oracle of the HPACK tests, whose advisories deny.toml ignores for that
/// reason, and the stacks that halfclose is compared with.
const FOR_TESTS: [&str; 5] = ["hpack", "h2", "hyper", "tonic", "proptest"];

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Returns the members that users can depend on.
fn published() -> Vec<String> {
    let text = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&text).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let names = packages.iter().filter(|package| package["publish"].is_null());
    names.map(|package| package["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn no_published_crate_brings_what_is_for_tests() {
    let published = published();
    assert!(published.iter().any(|name| name == "halfclose"), "{published:?}");
    for package in published {
        let edges = ["--edges", "normal,build", "--all-features", "--prefix", "none"];
        let tree = cargo(&[&["tree", "--package", &package], &edges[..]].concat());
        let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(names.contains(&package.as_str()));
        let brought: Vec<&&str> = FOR_TESTS.iter().filter(|name| names.contains(name)).collect();
        assert!(brought.is_empty(), "{package} brings {brought:?}");
    }
}
