//! The project's own bounds of the figures, and whether the figures keep them.

use crate::comparison::Comparison;
use crate::parts::long_path::C_CORE;
use crate::table::short;

/// A figure with its bounds: at most `must`, better at most `goal`.
struct Bound {
    figure: &'static str,
    what: &'static str,
    who: &'static str,
    /// The contestant that the bounds are a share of; `None` if they are absolute.
    over: Option<&'static str>,
    must: f64,
    goal: f64,
}

const TONIC: Option<&str> = Some("tonic");
const TOKIO: &str = "halfclose on tokio";

const fn bound(what: &'static str, must: f64, goal: f64) -> Bound {
    Bound { figure: what, what, who: TOKIO, over: TONIC, must, goal }
}

const BOUNDS: [Bound; 22] = [
    Bound {
        figure: "in memory, client and server cores, small unary: instructions a call",
        who: "halfclose",
        over: None,
        ..bound("in memory, both sides, unary", 6000.0, 2500.0)
    },
    Bound {
        figure: "server over tokio, 1x100: instructions a call",
        over: None,
        ..bound("server, /grpc.testing.BenchmarkService/UnaryCall, 1x100", 4500.0, 2000.0)
    },
    bound("CPU per call, 1x100", 0.12, 0.06),
    bound("CPU per call, 10x100", 0.12, 0.06),
    bound("CPU per call, 1x10", 0.25, 0.18),
    bound("CPU per call, 1x1", 0.55, 0.45),
    bound("p50, one call at a time", 0.60, 0.50),
    bound("client CPU per call, 1x100", 0.15, 0.08),
    Bound {
        figure: "64 KiB server streaming, both ends",
        ..bound("server streaming, both ends", 0.75, 0.60)
    },
    Bound {
        figure: "100 B server streaming, server per message",
        ..bound("server per message, tonic's client", 1.0, 0.5)
    },
    header_bound("HPACK decode, nghttp2 corpus", "decode, nghttp2", 0.5, 0.33),
    header_bound("HPACK decode, all-indexed gRPC block", "decode, gRPC, all indexed", 0.2, 0.08),
    Bound {
        figure: "KB per idle connection",
        over: None,
        ..bound("an idle connection (of 1,000)", 8.0, 3.0)
    },
    Bound {
        figure: "KB per idle open stream",
        over: None,
        ..bound("an idle stream of StreamingCall (of 10,000 on 100)", 2.0, 1.0)
    },
    Bound {
        figure: "allocations per small unary call in the cores",
        who: "halfclose",
        over: None,
        ..bound("allocations, unary", 0.0, 0.0)
    },
    long_path("long path, server streaming: C-core's rate", "50 ms, server streaming, 1 at once"),
    long_path("long path, server streaming, 8 at once: C-core's rate", "50 ms, server streaming, 8 at once"),
    long_path("long path, client streaming: C-core's rate", "50 ms, client streaming, 1 at once"),
    long_path("long path, client streaming, 8 at once: C-core's rate", "50 ms, client streaming, 8 at once"),
    on_smol("smol against tokio, server CPU, 1x100", "CPU per call, 1x100"),
    on_smol("smol against tokio, client CPU, 1x100", "client CPU per call, 1x100"),
    on_smol("smol against tokio, 64 KiB streaming, both ends", "server streaming, both ends"),
];

const fn header_bound(figure: &'static str, what: &'static str, must: f64, goal: f64) -> Bound {
    Bound { figure, who: "halfclose", over: Some("h2"), ..bound(what, must, goal) }
}

/// C-core's rate as a share of ours: what is bounded is at most a number.
const fn long_path(figure: &'static str, what: &'static str) -> Bound {
    Bound { figure, who: C_CORE, over: Some(TOKIO), ..bound(what, 1.0, 0.8) }
}

const fn on_smol(figure: &'static str, what: &'static str) -> Bound {
    Bound { figure, who: "halfclose on smol", over: Some(TOKIO), ..bound(what, 1.15, 1.0) }
}

impl Bound {
    /// Returns the median of the figure; `None` if it was not measured.
    fn measured(&self, tables: &[Comparison]) -> Option<f64> {
        tables.iter().find_map(|table| {
            let samples = table.samples(self.what, self.who)?;
            Some(match self.over {
                Some(other) => samples.over(table.samples(self.what, other)?).median(),
                None => samples.median(),
            })
        })
    }

    fn verdict(&self, value: f64) -> &'static str {
        match value {
            value if value <= self.goal => "the goal",
            value if value <= self.must => "the must",
            _ => "no",
        }
    }
}

/// Prints the bounds of the figures that were measured, as rows of Markdown.
pub fn print(tables: &[Comparison]) {
    println!("\n### Bounds\n\n| figure | of | measured | must | goal | met |\n|---|---|---|---|---|---|");
    for bound in &BOUNDS {
        let Some(value) = bound.measured(tables) else { continue };
        let of = bound.over.map_or_else(String::new, |other| format!("{other}'s"));
        let (must, goal) = (short(bound.must), short(bound.goal));
        println!(
            "| {} | {of} | {} | {must} | {goal} | {} |",
            bound.figure,
            short(value),
            bound.verdict(value)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_medians_of_ratios_and_judged_against_both_bounds() {
        let bound = bound("CPU per call, 1x100", 0.12, 0.06);
        let mut table = Comparison::new("test");
        assert_eq!(bound.measured(&[]), None);
        for (tonic, ours) in [(10.0, 1.0), (20.0, 2.0), (10.0, 9.0)] {
            table.add(bound.what, "tonic", tonic, "us");
            table.add(bound.what, TOKIO, ours, "us");
        }
        assert_eq!(bound.measured(&[Comparison::new("other"), table]), Some(0.1));
        assert_eq!([0.13, 0.12, 0.06].map(|value| bound.verdict(value)), ["no", "the must", "the goal"]);
    }
}
