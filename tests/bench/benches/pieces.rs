//! The hot pieces by themselves, on the wall clock: for looking at, not for gates.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
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

criterion_group!(benches, calls);
criterion_main!(benches);
