//! Two busy ends that obey the contract of `Connection::poll` over pipes of a few bytes: they never deadlock.

use std::time::Duration;

use halfclose_sim::pipes::{CallPlan, Ending, Plan, run};

/// Seeds of the ordinary test run.
const SEEDS: u64 = 60;

#[test]
fn two_ends_that_are_both_busy_never_stand_still() {
    let seeds = match std::env::var("HALFCLOSE_PIPES_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("HALFCLOSE_PIPES_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..SEEDS,
    };
    for seed in seeds {
        let plan = Plan::from_seed(seed);
        if let Err(breach) = run(&plan) {
            panic!("HALFCLOSE_PIPES_SEED={seed}: {breach:?}\n{plan:#?}");
        }
    }
}

/// Checks that both ends can reset all calls at one instant while neither can write: no reset may keep either from
/// reading, or they would wait for each other for ever.
#[test]
fn calls_that_all_end_at_one_instant_stop_nobody() {
    for (calls, capacity) in
        [(63, 65_536), (64, 65_536), (65, 65_536), (200, 65_536), (200, 100), (2_000, 4_096)]
    {
        let mut plan = Plan::from_seed(1);
        (plan.capacity, plan.streams) = ([capacity; 2], calls);
        (plan.window, plan.send_buffer, plan.memory) = (1 << 20, 65_536, 128 << 20);
        let instant = Ending::Deadline(Duration::from_micros(100));
        let call =
            CallPlan { requests: vec![20_000; 5], responses: vec![20_000; 5], ending: instant, asks: false };
        plan.calls = vec![call; calls as usize];
        // And one that continues.
        plan.calls[0].ending = Ending::Whole;
        let outcome = run(&plan).unwrap_or_else(|breach| panic!("{calls} calls, {capacity}: {breach:?}"));
        assert!(outcome.client.cut >= 60, "{outcome:?}");
    }
}
