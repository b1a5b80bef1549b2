//! The accounts of a budget, and a connection's lease, without tasks.

use halfclose::{Config, Seed, Server};
use proptest::prelude::*;

use super::*;

const MIB: u64 = 1 << 20;

fn accounts(total: u64) -> Accounts<usize> {
    Accounts { total, free: total, ..Accounts::default() }
}

/// Returns what a connection reports whose messages wait for `wanted` bytes, the shortest of them for `least`.
fn waiting(wanted: u64, least: u64) -> Memory {
    let mut memory = Memory::default();
    (memory.wanted, memory.waiting, memory.least) = (wanted, wanted, least);
    memory
}

/// Returns what a connection reports that lacks `wanted` bytes for what it has queued.
fn sending(queued: u64, wanted: u64) -> Memory {
    let mut memory = Memory::default();
    (memory.held, memory.sending, memory.wanted) = (queued, queued, wanted);
    memory
}

fn at(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}

#[test]
fn one_that_asks_leaves_as_much_as_it_has() {
    let mut budget = accounts(256 * MIB);
    let one = budget.open(1, at(0));
    assert_eq!(budget.ask(one, waiting(1_000 * MIB, MIB), at(0)).bytes, 128 * MIB);
    assert_eq!(budget.ask(one, waiting(MIB, MIB), at(0)).bytes, 0);
    // Each one gets half of what is left, so there is always something left.
    for given in [64, 32, 16, 8, 4, 2, 1] {
        let next = budget.open(2, at(0));
        assert_eq!(budget.ask(next, waiting(1_000 * MIB, MIB), at(0)).bytes, given * MIB);
    }
}

#[test]
fn what_is_of_no_use_is_not_given() {
    let mut budget = accounts(10 * MIB);
    let one = budget.open(1, at(0));
    assert_eq!(budget.ask(one, waiting(20 * MIB, 5 * MIB + 1), at(0)).bytes, 0);
    assert_eq!(budget.ask(one, waiting(20 * MIB, 5 * MIB), at(0)).bytes, 5 * MIB);
}

#[test]
fn what_is_queued_for_sending_has_half_of_the_budget() {
    let mut budget = accounts(64 * MIB);
    let numbers = [0; 8].map(|_| budget.open(1, at(0)));
    let given = numbers.map(|number| budget.ask(number, sending(8 * MIB, 8 * MIB), at(0)).bytes / MIB);
    assert_eq!(given, [8, 8, 8, 8, 0, 0, 0, 0]);
    // A message that waits gets the other half.
    let other = budget.open(2, at(0));
    assert_eq!(budget.ask(other, waiting(8 * MIB, 8 * MIB), at(0)).bytes, 8 * MIB);
    // Bytes that one connection has sent may be queued by others; three have returned theirs.
    for number in [numbers[0], numbers[5], numbers[6], numbers[7]] {
        budget.give_back(number, 8 * MIB, 0, at(0));
    }
    assert_eq!(budget.ask(numbers[4], sending(8 * MIB, 8 * MIB), at(0)).bytes, 8 * MIB);
}

#[test]
fn those_who_have_something_hear_of_one_that_lacks_it() {
    let mut budget = accounts(100 * MIB);
    let [first, second, third] = [1, 2, 3].map(|signal| budget.open(signal, at(0)));
    assert_eq!(budget.ask(first, waiting(40 * MIB, MIB), at(5)).bytes, 40 * MIB);
    assert_eq!(budget.ask(second, waiting(30 * MIB, MIB), at(4)).bytes, 30 * MIB);
    // 30 MiB are left, of which a new connection may have 15.
    let refused = budget.ask(third, waiting(20 * MIB, 20 * MIB), at(6));
    assert_eq!((refused.bytes, refused.told), (0, vec![2, 1]), "who has been silent for longest first");
    assert_eq!([first, second, third].map(|one| budget.lacking_elsewhere(one)), [10 * MIB, 10 * MIB, 0]);
    // They are not notified again at once.
    assert!(budget.ask(third, waiting(20 * MIB, 20 * MIB), at(6)).told.is_empty());
    assert_eq!(budget.ask(third, waiting(20 * MIB, 20 * MIB), at(7)).told, [2, 1]);
    // A connection that lacks memory is notified of what becomes free, and lacks less then.
    assert_eq!(budget.give_back(first, 6 * MIB, 0, at(8)), [3]);
    assert_eq!(budget.lacking_elsewhere(second), 4 * MIB);
    assert_eq!(budget.close(second), [3]);
    assert_eq!(budget.lacking_elsewhere(first), 0);
    assert_eq!(budget.ask(third, waiting(20 * MIB, 20 * MIB), at(9)).bytes, 20 * MIB);
}

#[test]
fn one_that_has_its_share_is_owed_nothing() {
    let mut budget = accounts(100 * MIB);
    let [first, second] = [1, 2].map(|signal| budget.open(signal, at(0)));
    assert_eq!(budget.ask(first, waiting(50 * MIB, MIB), at(0)).bytes, 50 * MIB);
    assert_eq!(budget.ask(second, waiting(5 * MIB, MIB), at(0)).bytes, 5 * MIB);
    let refused = budget.ask(first, waiting(MIB, MIB), at(0));
    assert_eq!((refused.bytes, refused.told), (0, vec![]));
    assert_eq!(budget.lacking_elsewhere(second), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Open,
    Close(usize),
    Ask(usize, u64, u64, u64),
    Give(usize, u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Open),
        (0..6usize).prop_map(Step::Close),
        (0..6usize, 0..2_000u64, 0..500u64, 0..500u64)
            .prop_map(|(number, wanted, least, sending)| Step::Ask(number, wanted, least, sending)),
        (0..6usize, 0..2_000u64, 0..500u64)
            .prop_map(|(number, bytes, sending)| Step::Give(number, bytes, sending)),
    ]
}

proptest! {
    #[test]
    fn every_byte_of_a_budget_is_free_or_somebodys(steps in prop::collection::vec(step(), 0..80)) {
        let mut budget = accounts(3_000);
        for (time, step) in steps.into_iter().enumerate() {
            let now = at(time as u64);
            match step {
                Step::Open => drop(budget.open(0, now)),
                Step::Close(number) => drop(budget.close(number)),
                Step::Ask(number, wanted, least, sending) => {
                    let mut memory = waiting(wanted, least.min(wanted));
                    memory.sending = sending;
                    let before = budget.free;
                    let has = budget.get_mut(number).map_or(0, |account| account.granted);
                    let given = budget.ask(number, memory, now).bytes;
                    prop_assert!(given <= wanted && given <= before.saturating_sub(has) / 2);
                    prop_assert!(given == 0 || given >= memory.least);
                }
                Step::Give(number, bytes, sending) => drop(budget.give_back(number, bytes, sending, now)),
            }
            let sum = |count: fn(&Account<usize>) -> u64| budget.accounts.iter().flatten().map(count).sum::<u64>();
            prop_assert_eq!(sum(|account| account.granted) + budget.free, budget.total);
            prop_assert_eq!(sum(|account| account.sending), budget.sending);
            prop_assert_eq!(sum(|account| account.lacking), budget.lacking);
        }
        for number in 0..budget.accounts.len() {
            budget.close(number);
        }
        prop_assert_eq!((budget.free, budget.accounts.len()), (budget.total, 0));
    }
}

#[test]
fn a_lease_takes_what_a_connection_needs_not_and_gives_it_back_in_the_end() {
    let budget = MemoryBudget::new(64 * MIB);
    let mut connection = Connection::<Server>::new(Config::server(), Seed(1), Time::ZERO);
    assert_eq!(connection.memory().granted, 128 * MIB);
    let signal = Arc::default();
    let mut lease = Lease::new(&budget, &mut connection, &signal, Time::ZERO);
    assert_eq!((connection.memory().granted, budget.used()), (256 * 1024, 0));
    assert!(!lease.is_due(&connection));
    let mut told = Vec::new();
    lease.settle(&mut connection, Time::ZERO, &mut told);
    assert_eq!((connection.memory().granted, budget.used(), told.len()), (256 * 1024, 0, 0));
    drop(lease);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_budget_says_what_it_is() {
    assert_eq!(MemoryBudget::default().total(), 256 * MIB);
    assert_eq!(format!("{:?}", MemoryBudget::new(5)), "MemoryBudget { total: 5, used: 0 }");
}
