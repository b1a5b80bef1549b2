//! The committed corpora, replayed with stable Rust: every seed, and every input that a fuzz target ever found.
//!
//! `HALFCLOSE_CORPUS=dir` replays another set of corpora too, such as the working ones of a long run.
//! `HALFCLOSE_WRITE_SEEDS=1` writes the seeds of the generator into `fuzz/corpus`.

use std::path::{Path, PathBuf};
use std::{env, fs};

use halfclose_properties::{PROPERTIES, seeds};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn inputs(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).map(|entries| entries.map(|entry| entry.expect("readable").path()));
    let mut inputs: Vec<_> = entries.into_iter().flatten().filter(|path| path.is_file()).collect();
    inputs.sort();
    inputs
}

fn replay(folder: &Path) -> usize {
    let mut count = 0;
    for (name, property) in PROPERTIES {
        let inputs = inputs(&folder.join(name));
        for input in &inputs {
            // Printed only if the property panics.
            println!("replaying {}", input.display());
            property(&fs::read(input).expect("readable"));
        }
        count += inputs.len();
    }
    count
}

#[test]
fn every_property_holds_on_its_corpus() {
    for (name, _) in PROPERTIES {
        assert!(!inputs(&fuzz().join("corpus").join(name)).is_empty(), "{name} has no seeds");
    }
    replay(&fuzz().join("corpus"));
    if let Some(more) = env::var_os("HALFCLOSE_CORPUS") {
        let count = replay(Path::new(&more));
        assert!(count > 0, "no inputs in {}", more.display());
    }
}

#[test]
fn the_seeds_are_those_of_the_generator() {
    for (name, _) in PROPERTIES {
        let folder = fuzz().join("corpus").join(name);
        if env::var_os("HALFCLOSE_WRITE_SEEDS").is_some() {
            fs::create_dir_all(&folder).expect("a folder");
            for (seed, bytes) in seeds::of(name) {
                fs::write(folder.join(format!("seed-{seed}")), bytes).expect("a seed");
            }
        }
        let committed: Vec<_> = inputs(&folder)
            .into_iter()
            .filter_map(|path| {
                let name = path.file_name()?.to_str()?.strip_prefix("seed-")?.to_owned();
                Some((name, fs::read(&path).expect("readable")))
            })
            .collect();
        assert!(committed == seeds::of(name), "{name}: the seeds differ from the generator's");
    }
}

#[test]
fn every_property_has_its_target() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("fuzz/Cargo.toml");
    assert_eq!(manifest.matches("[[bin]]").count(), PROPERTIES.len());
    for (name, _) in PROPERTIES {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
        let target = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).expect("a target");
        assert!(target.contains(&format!("halfclose_properties::{name}(data)")), "{name}");
    }
}
