//! A server or a client in a process of its own, so that its processor time and memory can be measured alone.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use halfclose::{Code, Config};
use halfclose_driver::CallOptions;
use halfclose_e2e::{Runtime, Serving, Smol, Tokio};
use halfclose_security::socket::hostile::{self, HOSTILE, REQUEST};
use halfclose_security::socket::{ANSWERS, router};

const SERVE: &str = "--serve";
const CALL: &str = "--call";

/// Does the work of a child if this process is one. Returns whether it is.
pub(crate) fn is_child() -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [role, runtime] = &arguments[..] else { return false };
    match (role.as_str(), runtime == Tokio::NAME) {
        (SERVE, true) => serve::<Tokio>(),
        (SERVE, false) => serve::<Smol>(),
        (CALL, true) => call::<Tokio>(),
        (CALL, false) => call::<Smol>(),
        _ => return false,
    }
    true
}

/// Serves until standard input ends.
fn serve<R: Runtime>() {
    let server = Serving::<R>::start(router());
    println!("{}", server.address());
    // The parent may be gone.
    let _ = io::stdin().read_to_end(&mut Vec::new());
}

/// Makes the calls that standard input requests, see [`Process::call`], each on a connection of its own, and prints
/// how many ended as required.
fn call<R: Runtime>() {
    for order in io::stdin().lines() {
        let order = order.expect("a line");
        let words: Vec<&str> = order.splitn(3, ' ').collect();
        let [address, times, whom] = words[..] else { panic!("no order: {order}") };
        let address: SocketAddr = address.parse().expect("an address");
        let times: usize = times.parse().expect("a number");
        let one = || match HOSTILE.iter().find(|hostile| hostile.name == whom) {
            Some(hostile) => R::block_on(hostile::call::<R>(address, hostile)) == hostile.code,
            None => R::block_on(answers::<R>(address, whom)) == Ok(()),
        };
        println!("{}", (0..times).filter(|_| one()).count());
    }
}

/// Asks an honest server for `count` messages, by a request of as many bytes as hostile servers get.
async fn answers<R: Runtime>(address: SocketAddr, count: &str) -> Result<(), Code> {
    let channel = R::connect(address, Config::client()).await.expect("the server accepts");
    let request = Bytes::from(format!("{count:0>REQUEST$}"));
    let call = channel.server_streaming(&ANSWERS, &request, CallOptions::new()).await;
    let mut call = call.map_err(|error| error.code())?;
    while call.recv().await.map_err(|error| error.code())?.is_some() {}
    Ok(())
}

/// What some work cost a process: processor time, and the most memory in KiB beyond what it had.
pub(crate) struct Cost {
    pub(crate) time: Duration,
    pub(crate) memory: usize,
}

/// The process.
pub(crate) struct Process {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(role: &str, runtime: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command.args([role, runtime]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("this program runs");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        Self { input: process.stdin.take(), output, process }
    }

    /// Starts a server on this runtime. Returns it and its address.
    pub(crate) fn server(runtime: &str) -> (Self, SocketAddr) {
        let mut server = Self::start(SERVE, runtime);
        let address = server.line().parse().expect("an address");
        (server, address)
    }

    /// Starts a client on this runtime.
    pub(crate) fn client(runtime: &str) -> Self {
        Self::start(CALL, runtime)
    }

    /// Lets the client call the server at `address` this many times: a hostile one by its name, or an honest one for
    /// this number of messages. Returns whether each call ended as required.
    pub(crate) fn call(&mut self, address: SocketAddr, times: usize, whom: &str) -> bool {
        writeln!(self.input.as_ref().expect("it runs"), "{address} {times} {whom}")
            .expect("the client lives");
        self.line().parse() == Ok(times)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    /// Measures what some work costs the process.
    pub(crate) fn cost_of<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> (T, Cost) {
        let (time, memory) = (self.processor_time(), self.memory("VmRSS:"));
        let done = work(self);
        let time = self.processor_time() - time;
        (done, Cost { time, memory: self.memory("VmHWM:").saturating_sub(memory) })
    }

    /// Returns the processor time of all its threads so far.
    fn processor_time(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.process.id())).expect("Linux");
        let spent = threads.flatten().map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
        });
        Duration::from_nanos(spent.sum())
    }

    /// Returns its memory in KiB: `VmRSS:` now, `VmHWM:` at most.
    fn memory(&self, name: &str) -> usize {
        let text = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("Linux");
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        value.and_then(|value| value.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its standard input ends the process.
        drop(self.input.take());
        let _ = self.process.wait();
    }
}
