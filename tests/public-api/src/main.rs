//! Compares the public items of each published crate with the list in `docs/public-api`, and prints which were added
//! and removed, so that a change of the public interface is seen in review. `--write` writes the lists again.
//!
//! Rustdoc's JSON is unstable, so `RUSTC_BOOTSTRAP=1` lets the stable compiler write it.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

const CRATES: [&str; 5] =
    ["halfclose", "halfclose-channel", "halfclose-driver", "halfclose-tokio", "halfclose-smol"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the public items of a crate, one per line, in the order of their paths.
fn items(name: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let target = root().join("target/public-api");
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root())
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["rustdoc", "--quiet", "--lib", "--all-features", "--package", name, "--target-dir"])
        .arg(&target)
        .args(["--", "-Zunstable-options", "--output-format=json", "--cap-lints=allow"])
        .status()?;
    if !status.success() {
        return Err(format!("rustdoc failed on {name}").into());
    }
    let json = target.join("doc").join(format!("{}.json", name.replace('-', "_")));
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    Ok(api.items().map(ToString::to_string).collect())
}

/// Compares one crate with its list. Returns whether they are the same.
fn compare(name: &str, write: bool) -> Result<bool, Box<dyn Error>> {
    let list = root().join("docs/public-api").join(format!("{name}.txt"));
    let items = items(name)?;
    let text = items.join("\n") + "\n";
    if write {
        fs::create_dir_all(root().join("docs/public-api"))?;
        fs::write(list, text)?;
        return Ok(true);
    }
    let committed = fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
    if committed == text {
        println!("{name}: {} public items, as listed", items.len());
        return Ok(true);
    }
    let now: BTreeSet<&str> = text.lines().collect();
    let before: BTreeSet<&str> = committed.lines().collect();
    for gone in before.difference(&now) {
        println!("- {gone}");
    }
    for come in now.difference(&before) {
        println!("+ {come}");
    }
    println!(
        "{name}: differs from docs/public-api/{name}.txt; `cargo run --manifest-path tests/public-api/Cargo.toml -- --write` accepts it"
    );
    Ok(false)
}

fn main() -> ExitCode {
    let write = env::args().any(|argument| argument == "--write");
    let mut same = true;
    for name in CRATES {
        match compare(name, write) {
            Ok(equal) => same &= equal,
            Err(error) => {
                eprintln!("{name}: {error}");
                same = false;
            }
        }
    }
    if same { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
