//! The core's dependencies and what it avoids: no hashing, no I/O, and three dependencies with theirs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the crates in the normal dependency tree of a package.
fn tree(package: &str, arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--prefix", "none", "--edges", "normal", "--package", package])
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo tree runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_core_depends_on_bytes_http_and_thiserror() {
    let allowed = [
        "halfclose",
        "bytes",
        "http",
        "itoa",
        "thiserror",
        "thiserror-impl",
        "proc-macro2",
        "quote",
        "syn",
        "unicode-ident",
    ];
    let others: Vec<_> =
        tree("halfclose", &[]).into_iter().filter(|name| !allowed.contains(&name.as_str())).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn neither_runtime_brings_the_other() {
    let has = |package: &str, name: &str| tree(package, &[]).contains(name);
    assert!(has("halfclose-tokio", "tokio") && !has("halfclose-tokio", "smol"));
    assert!(has("halfclose-smol", "smol") && !has("halfclose-smol", "tokio"));
    assert!(!has("halfclose-driver", "tokio") && !has("halfclose-driver", "smol"));
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_hashing_finds_a_stream_and_nothing_does_io() {
    let mut files = Vec::new();
    sources(&root().join("core/src"), &mut files);
    assert!(files.len() > 50);
    for file in files {
        if file.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("a source file");
        for word in
            ["HashMap", "HashSet", "std::net", "std::thread", "Instant::now", "SystemTime", "unsafe {"]
        {
            assert!(!text.contains(word), "{} names {word}", file.display());
        }
    }
}
