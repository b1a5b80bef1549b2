//! A server in a process of its own, so that its processor time and memory are nobody else's.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use halfclose_e2e::{Runtime, Serving, Smol, Tokio};
use halfclose_security::socket::router;

/// The runtime that this process is to serve on, when it is a child.
pub(crate) fn role() -> Option<String> {
    let mut arguments = std::env::args().skip(1);
    (arguments.next()? == "serve").then(|| arguments.next())?
}

/// Serves until standard input ends.
pub(crate) fn serve(runtime: &str) {
    if runtime == Tokio::NAME { serve_on::<Tokio>() } else { serve_on::<Smol>() }
}

fn serve_on<R: Runtime>() {
    let server = Serving::<R>::start(router());
    println!("{}", server.address());
    // The parent may be gone.
    let _ = io::stdin().read_to_end(&mut Vec::new());
}

/// The server's process.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts one on this runtime.
    pub(crate) fn start(runtime: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command.args(["serve", runtime]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("this program runs");
        let mut line = String::new();
        let output = process.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("an address");
        Self { process, address: line.trim().parse().expect("an address") }
    }

    /// The processor time of all its threads so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.process.id())).expect("Linux");
        let spent = threads.flatten().map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
        });
        Duration::from_nanos(spent.sum())
    }

    /// Its memory in KiB, now and at most.
    pub(crate) fn memory(&self) -> (usize, usize) {
        let text = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("Linux");
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name))?;
            value.trim().trim_end_matches(" kB").parse().ok()
        };
        (field("VmRSS:").unwrap_or(0), field("VmHWM:").unwrap_or(0))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its standard input ends, and so does it.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
