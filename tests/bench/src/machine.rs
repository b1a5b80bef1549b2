//! The machine and the versions of a measurement.

use std::fs;
use std::process::Command;

/// Returns one line: date, processor, kernel, compiler, and the versions of the peers.
#[must_use]
pub fn description() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<_> = cpus.lines().filter_map(|line| line.strip_prefix("model name")).collect();
    let model = models.first().map_or("unknown", |model| model.trim_start_matches([' ', '\t', ':']));
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.map_or_else(
            |_| String::new(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
    };
    let peers: Vec<_> = ["tonic", "h2", "tokio", "smol", "prost"]
        .into_iter()
        .filter_map(|name| Some(format!("{name} {}", locked(name)?)))
        .collect();
    format!(
        "{}; {} x {model}; Linux {}; {}; {}",
        said("date", &["-u", "+%-d %B %Y, %H:%M UTC"]),
        models.len(),
        said("uname", &["-r"]),
        said("rustc", &["--version"]),
        peers.join(", ")
    )
}

/// Returns the version of a crate that the workspace is locked to.
fn locked(name: &str) -> Option<String> {
    let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).ok()?;
    let (_, package) = lock.split_once(&format!("name = \"{name}\"\n"))?;
    Some(package.lines().next()?.strip_prefix("version = ")?.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        assert!(locked("tokio").is_some_and(|version| version.starts_with("1.")));
        assert_eq!(locked("no-such-crate"), None);
    }
}
