//! The programs under test, and one place to stop what a test has started.
#![allow(dead_code, unreachable_pub)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

pub const RUNTIMES: [&str; 2] = ["tokio", "smol"];

/// A server program that runs; killed when it is dropped.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Server {
    pub fn start(runtime: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_interop-server"))
            .args(["--port=0", "--runtime", runtime])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("LISTENING ").and_then(|port| port.parse().ok());
        Self { port: port.unwrap_or_else(|| panic!("no port in {line:?}")), child }
    }

    pub fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn client(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_interop-client")).args(arguments).output().unwrap()
}

pub fn load(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_interop-load")).args(arguments).output().unwrap()
}

pub fn server(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_interop-server")).args(arguments).output().unwrap()
}
