//! Public corpora of frames and header blocks, which are not part of this repository.

use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::Value;

/// Returns a corpus of the folder `shared/data` beside the workspace, or of the one that `HALFCLOSE_DATA` names. If
/// it is absent, a message is printed and its test checks nothing; in CI, which always has it, its absence is a
/// failure.
///
/// # Panics
///
/// If `CI` is `true` and the corpus is absent.
#[must_use]
pub fn corpus(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = env::var_os("HALFCLOSE_DATA").map_or_else(beside, PathBuf::from).join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    let is_ci = env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!is_ci, "no {}: HALFCLOSE_DATA names the folder above it", folder.display());
    println!("skipped: no {} (HALFCLOSE_DATA names the folder above it)", folder.display());
    None
}

/// Returns the JSON files in a folder and below it, sorted by name.
///
/// # Panics
///
/// If a file cannot be read or is not JSON.
#[must_use]
pub fn json_files(folder: &Path) -> Vec<(String, Value)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(json_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            let value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
            files.push((path.display().to_string(), value));
        }
    }
    files.sort_by(|one, other| one.0.cmp(&other.0));
    files
}

/// Returns the bytes of these hexadecimal digits.
///
/// # Panics
///
/// If a character is not a hexadecimal digit.
#[must_use]
pub fn bytes_of(digits: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("a digit");
    (0..digits.len()).step_by(2).map(byte).collect()
}
