//! Programs through the drivers of both roles: see `halfclose_sim::driven`.

use halfclose_sim::driven::{plan, run};

/// Seeds of the ordinary test run.
const SEEDS: u64 = 40;

fn check(seed: u64) {
    let plan = plan(seed);
    if let Err(what) = run(&plan) {
        panic!(
            "{what}\nrun it again: HALFCLOSE_DRIVEN_SEED={seed} cargo test -p halfclose-sim --test driven\n{plan:#?}"
        );
    }
}

#[test]
fn every_call_ends_as_it_may_through_the_drivers() {
    if let Ok(seed) = std::env::var("HALFCLOSE_DRIVEN_SEED") {
        return check(seed.parse().expect("HALFCLOSE_DRIVEN_SEED is a number"));
    }
    (0..SEEDS).for_each(check);
}

#[test]
fn the_same_seed_gives_the_same_outcome() {
    for seed in 0..SEEDS / 10 {
        assert_eq!(run(&plan(seed)), run(&plan(seed)), "seed {seed}");
    }
}
