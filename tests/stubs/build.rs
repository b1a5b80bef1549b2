//! Generates the code that the tests use.

use std::fs;
use std::path::PathBuf;

use halfclose_build::messages::Raw;
use halfclose_build::{Error, Generator};

/// Code for the driver alone: the tests run it on every runtime.
fn generator(name: &str) -> Generator {
    Generator::new().runtime("halfclose_driver").name(name)
}

/// The oddest files that there are.
fn odd() -> Result<Vec<PathBuf>, std::io::Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir("proto/odd")? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let odd = odd()?;
    generate(&odd)?;
    Ok(())
}

fn generate(odd: &[PathBuf]) -> Result<(), Error> {
    generator("protos").compile("proto", ["proto/words.proto"])?;
    generator("raw").messages(Raw).compile("proto", ["proto/words.proto"])?;
    generator("odd").compile("proto", odd)?;
    generator("odd_raw").messages(Raw).compile("proto", odd)?;
    generator("odd_defaults").default_methods(true).compile("proto", odd)
}
