//! The hot pieces by themselves, on the wall clock: for looking at, not for gates.

use criterion::{Criterion, Throughput};
use halfclose::Shape;
use halfclose_bench::memory::{OPEN, Pair};

fn calls(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("in memory, both sides");
    group.throughput(Throughput::Elements(OPEN as u64));
    for (name, shape) in [
        ("unary", Shape::UNARY),
        ("client streaming", Shape::CLIENT_STREAMING),
        ("server streaming", Shape::SERVER_STREAMING),
        ("bidi", Shape::BIDI),
    ] {
        let mut pair = Pair::new(shape);
        group.bench_function(name, |bencher| bencher.iter(|| pair.run(1)));
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    calls(&mut criterion);
    criterion.final_summary();
}
