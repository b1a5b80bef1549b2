//! Random programs from fixed seeds.

use halfclose_sim::{Program, run};

/// Seeds of the ordinary test run; a campaign goes on from there.
const SEEDS: u64 = 200;

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
fn the_same_seed_gives_the_same_octets() {
    for seed in 0..SEEDS / 10 {
        let program = Program::from_seed(seed);
        assert_eq!(run(&program), run(&program), "seed {seed}");
    }
}
