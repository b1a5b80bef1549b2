//! Runs every comparison in one alternating run and prints the tables: `bench-table --rounds 7`.
//!
//! Servers are visited in turn (A B C A B C ...), pinned to core 0, the load to core 1; ratios are formed inside a
//! round, and medians are given with minimum and maximum. Instructions are counted by valgrind's cachegrind, as the
//! difference of two lengths of run. Everything must have been built with `--features peers` and `--release`.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{Error, Result};
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use halfclose_bench::idle::Idle;
use halfclose_bench::processes::{Report, Serving, counted, instructions, load};
use halfclose_bench::table::Samples;
use halfclose_bench::{cpu, service};

/// Every comparison in one alternating run.
#[derive(Parser)]
struct Options {
    /// Rounds of each comparison.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How much work a measurement is, in thousandths of the full measure.
    #[arg(long, default_value_t = 1000)]
    scale: u64,
    /// Only these parts; all of them by default.
    #[arg(long, value_enum)]
    part: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Unary,
    Client,
    Large,
    Small,
    Memory,
    Instructions,
}

/// A server under comparison.
#[derive(Clone, Copy)]
struct Server {
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
}

const TONIC: Server = Server { name: "tonic", program: "peer-server", arguments: &["--kind", "tonic"] };
const TOKIO: Server = Server { name: "halfclose on tokio", program: "bench-server", arguments: &[] };
const SMOL: Server =
    Server { name: "halfclose on smol", program: "bench-server", arguments: &["--runtime", "smol"] };
const H2: Server = Server { name: "h2, bare", program: "peer-server", arguments: &["--kind", "h2"] };

/// What measures and prints one part of the table.
type Run = fn(&Options) -> Result<()>;

fn main() -> Result<()> {
    let options = Options::parse();
    let parts: [(Part, Run); 6] = [
        (Part::Unary, unary),
        (Part::Client, client),
        (Part::Large, large),
        (Part::Small, small),
        (Part::Memory, memory),
        (Part::Instructions, instruction_table),
    ];
    for (part, run) in parts {
        if options.part.is_empty() || options.part.contains(&part) {
            run(&options)?;
        }
    }
    Ok(())
}

fn arguments(server: &Serving, pairs: &[(&str, String)]) -> Vec<String> {
    let mut all = vec!["--addr".to_owned(), server.address().to_string()];
    for (key, value) in pairs {
        all.push(format!("--{key}"));
        if !value.is_empty() {
            all.push(value.clone());
        }
    }
    all
}

/// Prints a figure of each contestant and its ratio to the first one's.
fn print(what: &str, unit: &str, names: &[&str], figures: &[Samples]) {
    let Some(first) = figures.first() else { return };
    for (name, figure) in names.iter().zip(figures) {
        println!("| {what} | {name} | {figure} {unit} | {} |", figure.over(first));
    }
}

fn header(title: &str) {
    println!("\n### {title}\n\n| what | who | median [min..max] | ratio to the first |\n|---|---|---|---|");
}

/// Small unary calls by the light client: the server's CPU time a call, and latencies.
fn unary(options: &Options) -> Result<()> {
    header("Server, small unary calls, light client");
    let servers = [TONIC, TOKIO, SMOL, H2];
    let names = servers.map(|server| server.name);
    for (conns, streams, requests) in
        [(1, 100, 300_000), (10, 100, 300_000), (1, 10, 150_000), (1, 1, 30_000)]
    {
        let requests = (requests * options.scale / 1000).max(1000);
        let mut cpu = vec![Samples::default(); servers.len()];
        let mut latency = cpu.clone();
        let mut tail = cpu.clone();
        for _ in 0..options.rounds {
            for (nth, server) in servers.iter().enumerate() {
                let serving = Serving::start(server.program, server.arguments)?;
                let mut pairs = vec![
                    ("conns", conns.to_string()),
                    ("streams", streams.to_string()),
                    ("requests", requests.to_string()),
                ];
                if conns * streams == 1 {
                    pairs.push(("pingpong", String::new()));
                }
                let (used, report) = measure(&serving, || load("flood", &arguments(&serving, &pairs)))?;
                cpu[nth].push(used.as_secs_f64() * 1e6 / requests as f64);
                if conns * streams == 1 {
                    latency[nth].push(report.get("p50_us")?);
                    tail[nth].push(report.get("p99_us")?);
                }
            }
        }
        print(&format!("CPU per call, {conns}x{streams}"), "us", &names, &cpu);
        if conns * streams == 1 {
            print("p50, one call at a time", "us", &names, &latency);
            print("p99, one call at a time", "us", &names, &tail);
        }
    }
    Ok(())
}

/// The CPU time that the server spends while `run` runs.
fn measure(serving: &Serving, run: impl FnOnce() -> Result<Report>) -> Result<(Duration, Report)> {
    let before = serving.cpu();
    let report = run()?;
    Ok((serving.cpu().saturating_sub(before), report))
}

const CLIENTS: [(&str, &str, &str); 3] = [
    ("tonic", "peer-client", "tokio"),
    ("halfclose on tokio", "bench-client", "tokio"),
    ("halfclose on smol", "bench-client", "smol"),
];

/// Small unary calls by each client against one server: the client's CPU time a call.
fn client(options: &Options) -> Result<()> {
    header("Client, small unary calls, halfclose's server");
    let names = CLIENTS.map(|(name, ..)| name);
    for (mode, streams, requests) in
        [("unary", 100, 200_000), ("unary", 10, 100_000), ("pingpong", 1, 30_000)]
    {
        let requests = (requests * options.scale / 1000).max(1000);
        let mut cpu = vec![Samples::default(); CLIENTS.len()];
        for _ in 0..options.rounds {
            for (nth, (_, program, runtime)) in CLIENTS.iter().enumerate() {
                let serving = Serving::start(TOKIO.program, TOKIO.arguments)?;
                let report = load(
                    program,
                    &arguments(
                        &serving,
                        &[
                            ("mode", mode.to_owned()),
                            ("runtime", (*runtime).to_owned()),
                            ("streams", streams.to_string()),
                            ("requests", requests.to_string()),
                        ],
                    ),
                )?;
                cpu[nth].push(report.get("client_cpu_us")?);
            }
        }
        print(&format!("client CPU per call, 1x{streams}"), "us", &names, &cpu);
    }
    Ok(())
}

/// A download of messages of `size` octets: the CPU time of the server and of the client, in seconds.
fn download(
    server: Server,
    (_, program, runtime): (&str, &str, &str),
    size: usize,
    messages: u64,
) -> Result<(f64, f64)> {
    let serving = Serving::start(server.program, server.arguments)?;
    let pairs = [
        ("mode", "sstream".to_owned()),
        ("runtime", runtime.to_owned()),
        ("rsize", size.to_string()),
        ("requests", messages.to_string()),
    ];
    let (used, report) = measure(&serving, || load(program, &arguments(&serving, &pairs)))?;
    Ok((used.as_secs_f64(), report.get("client_cpu_us")? * 1e-6 * messages as f64))
}

/// 64 KiB messages: the CPU time of both ends for a gigabyte.
fn large(options: &Options) -> Result<()> {
    header("64 KiB server streaming, both ends of one kind");
    let servers = [TONIC, TOKIO, SMOL];
    let messages = (30_000 * options.scale / 1000).max(500);
    let gigabytes = messages as f64 * 65_536.0 / 1e9;
    let mut figures = vec![vec![Samples::default(); servers.len()]; 3];
    for _ in 0..options.rounds {
        for (nth, (server, client)) in servers.iter().zip(CLIENTS).enumerate() {
            let (sender, receiver) = download(*server, client, 65_536, messages)?;
            figures[0][nth].push((sender + receiver) / gigabytes);
            figures[1][nth].push(sender / gigabytes);
            figures[2][nth].push(receiver / gigabytes);
        }
    }
    let names = servers.map(|server| server.name);
    for (what, figure) in ["both ends", "sender", "receiver"].iter().zip(&figures) {
        print(what, "CPU s/GB", &names, figure);
    }
    Ok(())
}

/// 100 octet messages to one client: the CPU time of the server for a message.
fn small(options: &Options) -> Result<()> {
    header("100 B server streaming, tonic's client");
    let servers = [TONIC, TOKIO, SMOL];
    let messages = (3_000_000 * options.scale / 1000).max(10_000);
    let mut figures = vec![Samples::default(); servers.len()];
    for _ in 0..options.rounds {
        for (nth, server) in servers.iter().enumerate() {
            let (sender, _) = download(*server, CLIENTS[0], 100, messages)?;
            figures[nth].push(sender * 1e6 / messages as f64);
        }
    }
    print("server CPU per message", "us", &servers.map(|server| server.name), &figures);
    Ok(())
}

/// What a fresh server keeps for connections and streams that do nothing.
fn memory(_: &Options) -> Result<()> {
    header("Memory, growth of a fresh server's resident set");
    let servers = [TONIC, TOKIO, SMOL];
    let names = servers.map(|server| server.name);
    let (mut connections, mut streams) = (vec![Samples::default(); 3], vec![Samples::default(); 3]);
    for _ in 0..3 {
        for (nth, server) in servers.iter().enumerate() {
            connections[nth].push(growth(*server, 1000, 0)? / 1000.0);
            streams[nth].push(growth(*server, 100, 100)? / 10_000.0);
        }
    }
    print("an idle connection (of 1,000)", "KB", &names, &connections);
    print("an idle stream of StreamingCall (of 10,000 on 100)", "KB", &names, &streams);
    Ok(())
}

fn growth(server: Server, connections: u32, streams: u32) -> Result<f64> {
    let serving = Serving::start(server.program, server.arguments)?;
    let resident = || cpu::resident(serving.process()).ok_or_else(|| Error::other("no resident set"));
    // One of them first, so that what the first of all brings is not counted.
    let _first = Idle::connect(serving.address(), streams)?;
    let before = resident()?;
    let mut all = Vec::new();
    for _ in 0..connections {
        all.push(Idle::connect(serving.address(), streams)?);
    }
    // Idle is what has been so for a while: servers give memory back then.
    thread::sleep(Duration::from_secs(3));
    Ok(resident()?.saturating_sub(before) as f64 / 1000.0)
}

/// User-space instructions, by cachegrind.
fn instruction_table(_: &Options) -> Result<()> {
    println!("\n### Instructions, by cachegrind\n\n| what | who | instructions a call |\n|---|---|---|");
    for shape in ["unary", "client-streaming", "server-streaming", "bidi"] {
        let [short, long] = [100, 300]
            .map(|rounds: u64| counted("bench-mem", &["--shape", shape, "--rounds", &rounds.to_string()]));
        println!("| in memory, both sides, {shape} | halfclose | {} |", (long? - short?) / 20_000);
    }
    for kind in ["h2", "tonic"] {
        let [short, long] = [20, 60]
            .map(|rounds: u64| counted("peer-mem", &["--kind", kind, "--rounds", &rounds.to_string()]));
        println!("| in memory, both sides, unary | {kind} | {} |", (long? - short?) / 4_000);
    }
    for (streams, calls) in [(100, 10_000), (1, 2_000)] {
        for server in [TONIC, TOKIO, SMOL, H2] {
            let short = server_instructions(server, streams, calls)?;
            let long = server_instructions(server, streams, 3 * calls)?;
            let per_call = (long - short) / (2 * calls);
            println!("| server, {}, 1x{streams} | {} | {per_call} |", service::UNARY_CALL, server.name);
        }
    }
    Ok(())
}

fn server_instructions(server: Server, streams: u64, calls: u64) -> Result<u64> {
    let log = std::env::temp_dir().join(format!("halfclose-bench-{}.log", std::process::id()));
    let serving = Serving::start_counted(server.program, server.arguments, &log)?;
    let pairs = [("streams", streams.to_string()), ("requests", calls.to_string())];
    load("flood", &arguments(&serving, &pairs))?;
    serving.terminate()?;
    let counted = instructions(&fs::read_to_string(&log)?);
    fs::remove_file(&log)?;
    counted
}
