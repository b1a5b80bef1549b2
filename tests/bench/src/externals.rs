//! Measures programs outside the workspace: C, and code that a peer keeps private. Each has a script that builds it
//! beside the other programs, or says why it cannot.

use std::io::{Error, Result};
use std::path::PathBuf;
use std::process::Command;

use crate::processes::sibling;

/// Returns nghttp2's C library; `None` if it is not installed.
///
/// # Errors
///
/// If a build fails.
pub fn nghttp2() -> Result<Option<PathBuf>> {
    build("c", "nghttp2_bench")
}

/// Returns the header compression of the h2 crate; `None` if its source is not present.
///
/// # Errors
///
/// If a build fails.
pub fn h2_hpack() -> Result<Option<PathBuf>> {
    build("h2", "h2-hpack")
}

fn build(directory: &str, program: &str) -> Result<Option<PathBuf>> {
    let script = format!("{}/{directory}/build.sh", env!("CARGO_MANIFEST_DIR"));
    let program = sibling(program)?;
    let output = Command::new(&script).arg(&program).output()?;
    if !output.status.success() {
        return Err(Error::other(format!("{script}: {}", String::from_utf8_lossy(&output.stderr))));
    }
    eprint!("{}", String::from_utf8_lossy(&output.stdout));
    Ok(program.exists().then_some(program))
}
