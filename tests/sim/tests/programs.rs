//! Random programs from fixed seeds.

use std::time::Duration;

use halfclose_sim::{Program, run};

/// Seeds of the ordinary test run; a campaign continues from there.
const SEEDS: u64 = 400;

fn check(seed: u64) {
    let program = Program::from_seed(seed);
    match run(&program) {
        Ok(_) => {}
        Err(breach) => panic!(
            "seed {seed}: {}: {}\nrun it again: HALFCLOSE_SIM_SEED={seed} cargo test -p halfclose-sim\n{program:#?}",
            breach.property, breach.detail
        ),
    }
}

#[test]
fn random_programs_keep_every_property() {
    if let Ok(seed) = std::env::var("HALFCLOSE_SIM_SEED") {
        return check(seed.parse().expect("HALFCLOSE_SIM_SEED is a number"));
    }
    (0..SEEDS).for_each(check);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for seed in 0..SEEDS / 10 {
        let program = Program::from_seed(seed);
        assert_eq!(run(&program), run(&program), "seed {seed}");
    }
}

/// Checks that any split of what arrives and is accepted gives the same bytes and the same events.
#[test]
fn chunking_does_not_matter() {
    for seed in 0..SEEDS / 4 {
        let mut program = Program::from_seed(seed);
        // Pieces must not change when bytes arrive.
        program.net.jitter = Duration::ZERO;
        program.net.bandwidth = 0;
        program.net.capacity = 1 << 30;
        let played = [(false, 0), (true, 0), (false, 100), (true, 1_000)].map(|(resplit, piece)| {
            program.net.resplit = resplit;
            program.net.piece = piece;
            run(&program).map(|report| (report.digest, report.messages, report.completed))
        });
        assert!(played[0].is_ok(), "seed {seed}: {played:?}");
        assert!(played.iter().all(|it| *it == played[0]), "seed {seed}: {played:?}");
    }
}
