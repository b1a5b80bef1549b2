//! Header compression: nanoseconds for each field, decoded and encoded, each implementation in its own process.

use std::fs;
use std::io::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Effort;
use crate::blocks::{Corpus, all};
use crate::comparison::Comparison;
use crate::externals;
use crate::processes::{LOAD_CORE, Report, output, sibling};

/// Programs that take the work and a file of blocks.
struct Peers(Vec<(&'static str, PathBuf)>);

impl Peers {
    fn find() -> Result<Self> {
        let found = [("h2", externals::h2_hpack()?), ("nghttp2", externals::nghttp2()?)];
        Ok(Self(found.into_iter().filter_map(|(name, path)| Some((name, path?))).collect()))
    }
}

/// Measures the part. If h2's part could be built, ratios are relative to it.
///
/// # Errors
///
/// If a program fails.
pub fn run(effort: Effort, table: &mut Comparison) -> Result<()> {
    let peers = Peers::find()?;
    let directory = std::env::temp_dir().join(format!("halfclose-blocks-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let measured = all().iter().try_for_each(|corpus| {
        let file = directory.join(corpus.file_name());
        fs::write(&file, corpus.dump())?;
        (0..effort.rounds).try_for_each(|_| round(&peers, corpus, &file, effort, table))
    });
    fs::remove_dir_all(&directory)?;
    measured
}

fn round(peers: &Peers, corpus: &Corpus, file: &Path, effort: Effort, table: &mut Comparison) -> Result<()> {
    for work in ["decode", "encode"] {
        let what = format!("{work}, {}", corpus.name);
        let mut add = |who: &str, command: &mut Command| {
            table.add(&what, who, Report::new(output(command)?).get("ns_per_field")?, "ns a field");
            Ok::<_, std::io::Error>(())
        };
        for (who, program) in &peers.0 {
            add(who, pinned(program).arg(work).arg(file))?;
        }
        let fields = effort.of(400_000, 20_000).to_string();
        let ours = sibling("hpack-bench")?;
        let common = ["--rounds", "1", "--fields", &fields, "--corpus", &corpus.name, "--work"];
        add("halfclose", pinned(&ours).args(common).arg(work))?;
        if work == "decode" {
            add("hpack 0.3", pinned(&ours).args(common).arg("decode-by-hpack"))?;
        }
    }
    Ok(())
}

fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", LOAD_CORE]).arg(program);
    command
}
