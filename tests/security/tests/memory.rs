//! Memory under attack, counted by the allocator: each attack stays under its bound and under four bytes for each
//! byte sent, and leaves nothing behind. The attacks run in one thread one after the other, without a test harness.
//!
//! What is counted includes the attacker, and not what the zstd library allocates outside of Rust.

use std::process::ExitCode;

use halfclose::{Client, Config};
use halfclose_security::worst::{self, WORST, Worst};
use halfclose_security::{Attack, Side, client, server};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// The memory of a connection and its attacker for little or no input: themselves, 200 streams, and half a message
/// buffer.
const START: usize = 256 * 1024;

/// The bound with `Config::strict`: 2.3 MiB.
const STRICT: usize = 23 * 1024 * 1024 / 10;

/// Where bytes on the wire are no measure: HPACK makes one byte a field of the table, gzip one a thousand, the caller
/// sends what the attacker does not read, and the outcomes of the calls are kept by the test.
const FREE: [&str; 5] = [
    "grpc-accept-encoding in many lines",
    "HTTP/2 windows open, transport shut",
    "decompression bomb",
    "cancelled calls that are answered",
    "rapid reset before the caller hears of it",
];

fn measure<R: Side>(attack: &Attack<R>) -> Result<(), String> {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let target = attack.target();
    let peak = HEAP.peak_usage().saturating_sub(before);
    let sent = target.sent;
    drop(target);
    let left = HEAP.current_usage().saturating_sub(before);
    println!("{:60} sent {sent:>10}  peak {peak:>9}  bound {:>9}  left {left}", attack.name, attack.memory);
    let name = attack.name;
    if peak > attack.memory {
        return Err(format!("{name}: {peak} bytes, over the bound of {}", attack.memory));
    }
    if peak > START + 4 * sent && !FREE.contains(&name) {
        return Err(format!("{name}: {peak} bytes for {sent} bytes sent"));
    }
    if left > 0 {
        return Err(format!("{name}: {left} bytes are left"));
    }
    Ok(())
}

fn all<R: Side>(attacks: impl Iterator<Item = &'static Attack<R>>, failures: &mut Vec<String>) {
    let mut attacks = attacks.peekable();
    if let Some(first) = attacks.peek() {
        // What is allocated once for all is not counted.
        drop(first.target());
    }
    failures.extend(attacks.filter_map(|attack| measure(attack).err()));
}

/// Checks that the worst connection stays under the formula, and comes close to it.
fn worst(worst: &Worst, config: &Config) -> Result<(), String> {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let target = (worst.build)(config);
    let (held, peak) = (HEAP.current_usage() - before, HEAP.peak_usage() - before);
    let bound: usize = worst.parts.iter().map(|part| (part.most)(config)).sum();
    drop(target);
    println!("{:60} held {held:>10}  peak {peak:>9}  bound {bound:>9}", worst.name);
    if peak > bound {
        return Err(format!("{}: {peak} bytes, over the formula's {bound}", worst.name));
    }
    if peak * 100 < bound * worst.near {
        return Err(format!("{}: {peak} bytes, far from the formula's {bound}", worst.name));
    }
    Ok(())
}

/// Checks that nothing is kept of trailers that were far too long.
fn kept_of_long_trailers() -> Result<(), String> {
    let mut target = Client::target(Client::config());
    // The peer's own buffers hold a frame of each size from here on.
    client::long_trailers(&mut target, 20_000);
    target.outcomes.clear();
    let before = HEAP.current_usage();
    for size in [70_000, 1_000_000] {
        client::long_trailers(&mut target, size);
        target.outcomes.clear();
        let kept = HEAP.current_usage().saturating_sub(before);
        println!("trailers of {size} bytes: {kept} are kept");
        if kept > 2 * 1024 {
            return Err(format!("{kept} bytes are kept of trailers of {size}"));
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let mut failures = Vec::new();
    for (name, config) in [("defaults", Config::server()), ("strict", Config::server().strict())] {
        println!("{name}: {} bytes at most", worst::most(&config));
        failures.extend(WORST.iter().filter_map(|each| worst(each, &config).err()));
    }
    let strict = worst::most(&Config::server().strict());
    if strict > STRICT {
        failures.push(format!("strict: {strict} bytes by the formula"));
    }
    failures.extend(kept_of_long_trailers().err());
    all(server::attacks(), &mut failures);
    all(client::attacks(), &mut failures);
    if failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("{failures:#?}");
    ExitCode::FAILURE
}
