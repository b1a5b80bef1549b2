//! The programs under measurement, each pinned to its core.

use std::io::{BufRead, BufReader, Error, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cpu;

/// The core of the server.
pub const SERVER_CORE: &str = "0";
/// The core of the load.
pub const LOAD_CORE: &str = "1";
/// Both.
pub const ALL_CORES: &str = "0,1";
/// The seconds after which a load counts as hanging: it is killed, and that is an error.
const PATIENCE: &str = "120";

/// Returns the path of another program of this crate, which is in the same folder.
///
/// # Errors
///
/// If the system cannot tell this program's path.
pub fn sibling(name: &str) -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

/// A server that listens; killed when it is dropped.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    address: SocketAddr,
}

impl Serving {
    /// Starts a server on its cores, and waits until it listens.
    ///
    /// # Errors
    ///
    /// If the program does not start, or does not listen.
    pub fn start(program: &str, arguments: &[&str], cores: &str) -> Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", cores]).arg(sibling(program)?).args(arguments);
        Self::wait(command)
    }

    /// Starts a server as [`start`](Self::start) does, under valgrind's cachegrind, whose counts go to `log`.
    ///
    /// # Errors
    ///
    /// If the program does not start, or does not listen.
    pub fn start_counted(program: &str, arguments: &[&str], log: &Path) -> Result<Self> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
        command.arg(format!("--log-file={}", log.display())).arg(sibling(program)?).args(arguments);
        Self::wait(command)
    }

    /// Starts a server by its command, and waits until it listens.
    ///
    /// # Errors
    ///
    /// A program that does not start, or does not listen.
    pub fn wait(mut command: Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or_else(|| Error::other("no output"))?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let port = line.trim().strip_prefix("LISTENING ").and_then(|port| port.parse().ok());
        let Some(port) = port else {
            child.kill()?;
            return Err(Error::other(format!("the server does not listen: {line:?}")));
        };
        Ok(Self { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) })
    }

    /// Returns the address where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its process id.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Returns its CPU time so far.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        cpu::of_process(self.child.id()).unwrap_or_default()
    }

    /// Asks it to end and waits for that, so that valgrind prints its counts.
    ///
    /// # Errors
    ///
    /// If a system call fails.
    pub fn terminate(mut self) -> Result<()> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One line of `key=value`.
#[derive(Clone, Debug)]
pub struct Report(String);

impl Report {
    /// A line.
    #[must_use]
    pub const fn new(line: String) -> Self {
        Self(line)
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// If the line does not have it.
    pub fn get(&self, key: &str) -> Result<f64> {
        let pairs = self.0.split_whitespace().filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == key).filter_map(|(_, value)| value.parse().ok());
        values.next().ok_or_else(|| Error::other(format!("no {key} in {:?}", self.0)))
    }
}

/// Runs a load program on its cores, to its end.
///
/// # Errors
///
/// If the program fails, or hangs.
pub fn load(program: &str, arguments: &[String], cores: &str) -> Result<Report> {
    let mut command = Command::new("taskset");
    command.args(["-c", cores]).arg(sibling(program)?).args(arguments);
    patient(command).map(Report::new)
}

/// Runs a program to its end, and gives what it prints; one that hangs is ended.
///
/// # Errors
///
/// A program that fails, or hangs.
pub fn patient(command: Command) -> Result<String> {
    let mut bounded = Command::new("timeout");
    bounded.args(["--kill-after=1", PATIENCE]).arg(command.get_program()).args(command.get_args());
    output(&mut bounded)
}

/// Runs a program to its end. Returns its output.
///
/// # Errors
///
/// If the program fails.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        return Err(Error::other(format!("{command:?} failed, {}: {text}", output.status)));
    }
    Ok(text)
}

/// Returns the instructions in a log of cachegrind.
///
/// # Errors
///
/// If the log has none.
pub fn instructions(log: &str) -> Result<u64> {
    let line = log.lines().find(|line| line.contains("I") && line.contains("refs:"));
    let number = line.and_then(|line| line.rsplit(':').next()).map(|number| number.trim().replace(',', ""));
    number.and_then(|number| number.parse().ok()).ok_or_else(|| Error::other(format!("no count in {log:?}")))
}

/// Runs a program under cachegrind. Returns the instructions.
///
/// # Errors
///
/// If the program fails, or valgrind is missing.
pub fn counted(program: &Path, arguments: &[&str]) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
    let output = command.arg(program).args(arguments).output()?;
    if !output.status.success() {
        return Err(Error::other(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))));
    }
    instructions(&String::from_utf8_lossy(&output.stderr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_by_key() {
        let report = Report::new("requests=10 client_cpu_us=1.5".to_owned());
        assert_eq!(report.get("client_cpu_us").unwrap(), 1.5);
        assert!(report.get("cpu_us").is_err());
    }

    #[test]
    fn the_count_of_cachegrind_is_found() {
        let log = "==1== Cachegrind\n==1== \n==1== I   refs:      1,234,567\n";
        assert_eq!(instructions(log).unwrap(), 1_234_567);
        assert!(instructions("==1== nothing").is_err());
    }
}
