//! The rules of A61 and A62 one by one, and every order of events to a depth.

use super::*;

impl Address for u8 {
    fn is_ipv6(&self) -> bool {
        *self >= 100
    }
}

const DELAY: Duration = Duration::from_millis(250);

fn shared() -> Shared<u8> {
    Shared::new(Random::new(1), BackoffConfig::default(), DELAY)
}

fn connects(shared: &mut Shared<u8>) -> Vec<(ConnectionId, u8)> {
    let connect = |output| match output {
        Output::Connect(id, address) => Some((id, address)),
        _ => None,
    };
    shared.outputs.drain(..).filter_map(connect).collect()
}

fn begun(addresses: &[u8]) -> (Shared<u8>, PickFirst<u8>) {
    let (mut shared, mut policy) = (shared(), PickFirst::new());
    policy.set_addresses(&mut shared, addresses.to_vec());
    assert_eq!(policy.state(), Connectivity::Idle);
    policy.exit_idle(&mut shared);
    (shared, policy)
}

#[test]
fn rfc_8305_section_4_families_take_turns() {
    assert_eq!(interleaved(vec![1, 2, 3, 101, 102]), [1, 101, 2, 102, 3]);
    assert_eq!(interleaved(vec![101, 1, 2, 3]), [101, 1, 2, 3]);
    assert_eq!(interleaved::<u8>(vec![]), [0; 0]);
}

#[test]
fn a61_another_attempt_begins_after_the_connection_attempt_delay() {
    let (mut shared, mut policy) = begun(&[1, 2, 3]);
    let first = connects(&mut shared);
    assert_eq!(first.len(), 1);
    assert_eq!(policy.timeout(), Time::ZERO + DELAY);
    shared.now = Time::ZERO + DELAY;
    policy.handle_timeout(&mut shared);
    let second = connects(&mut shared);
    assert_eq!(second.iter().map(|(_, address)| *address).collect::<Vec<_>>(), [2]);
    // The first connection that is ready is used, and the other is given up.
    assert!(policy.connected(&mut shared, second[0].0));
    assert_eq!(shared.outputs.drain(..).collect::<Vec<_>>(), [Output::Abandon(first[0].0)]);
    assert_eq!(policy.state(), Connectivity::Ready);
    assert!(!policy.connected(&mut shared, first[0].0), "it was given up");
}

#[test]
fn a61_the_next_address_is_tried_at_once_when_the_last_one_fails() {
    let (mut shared, mut policy) = begun(&[1, 2, 3]);
    for address in [1, 2, 3] {
        let tried = connects(&mut shared);
        assert_eq!(tried.iter().map(|(_, address)| *address).collect::<Vec<_>>(), [address]);
        assert_eq!(policy.state(), Connectivity::Connecting);
        assert!(policy.failed(&mut shared, tried[0].0, "refused"));
    }
    assert_eq!(policy.state(), Connectivity::TransientFailure);
    assert!(shared.wants_addresses, "the end of a pass asks for addresses");
    assert_eq!(policy.last_error(), "refused");
}

#[test]
fn a61_after_the_pass_each_address_is_tried_in_its_own_time() {
    let (mut shared, mut policy) = begun(&[1, 2]);
    for _ in 0..2 {
        let tried = connects(&mut shared);
        policy.failed(&mut shared, tried[0].0, "refused");
    }
    shared.wants_addresses = false;
    shared.now = Time::ZERO + Duration::from_secs(1);
    policy.handle_timeout(&mut shared);
    let again = connects(&mut shared);
    assert_eq!(again.len(), 2, "both at once");
    policy.failed(&mut shared, again[0].0, "refused");
    assert!(!shared.wants_addresses);
    policy.failed(&mut shared, again[1].0, "refused");
    assert!(shared.wants_addresses, "after as many failures as there are addresses");
}

#[test]
fn a62_transient_failure_lasts_until_a_connection_is_ready() {
    let (mut shared, mut policy) = begun(&[1]);
    let tried = connects(&mut shared);
    policy.failed(&mut shared, tried[0].0, "refused");
    shared.now = Time::ZERO + Duration::from_secs(2);
    policy.handle_timeout(&mut shared);
    let again = connects(&mut shared);
    assert_eq!((again.len(), policy.state()), (1, Connectivity::TransientFailure));
    policy.set_addresses(&mut shared, vec![2]);
    assert_eq!(policy.state(), Connectivity::TransientFailure);
    let other = connects(&mut shared);
    policy.connected(&mut shared, other[0].0);
    assert_eq!(policy.state(), Connectivity::Ready);
}

#[test]
fn a_ready_connection_stays_while_its_address_does() {
    let (mut shared, mut policy) = begun(&[1, 2]);
    let tried = connects(&mut shared);
    policy.connected(&mut shared, tried[0].0);
    policy.set_addresses(&mut shared, vec![3, 1]);
    assert!(shared.outputs.is_empty());
    assert_eq!(policy.ready(), Some(tried[0].0));
    policy.set_addresses(&mut shared, vec![3]);
    assert_eq!(shared.outputs.drain(..).collect::<Vec<_>>(), [Output::Drain(tried[0].0)]);
    assert_eq!(policy.state(), Connectivity::Idle);
}

#[test]
fn an_attempt_that_takes_too_long_has_failed() {
    let (mut shared, mut policy) = begun(&[1]);
    let tried = connects(&mut shared);
    assert_eq!(policy.timeout(), Time::ZERO + Duration::from_secs(20));
    shared.now = policy.timeout();
    policy.handle_timeout(&mut shared);
    assert_eq!(shared.outputs.pop_front(), Some(Output::Abandon(tried[0].0)));
    assert_eq!(policy.state(), Connectivity::TransientFailure);
}

/// A possible step.
#[derive(Clone, Copy, Debug)]
enum Step {
    Connected(usize),
    Failed(usize),
    Timeout,
    Gone,
    ExitIdle,
    Addresses(&'static [u8]),
}

fn steps(policy: &PickFirst<u8>) -> Vec<Step> {
    let mut steps = vec![Step::Timeout, Step::Gone, Step::ExitIdle];
    steps.extend([&[1, 2, 3][..], &[2], &[]].map(Step::Addresses));
    for nth in 0..policy.attempts().len() {
        steps.extend([Step::Connected(nth), Step::Failed(nth)]);
    }
    steps
}

/// Does one step. Returns whether it did anything that the last state did not allow.
fn take(shared: &mut Shared<u8>, policy: &mut PickFirst<u8>, step: Step) {
    match step {
        Step::Connected(nth) => assert!(policy.connected(shared, policy.attempts()[nth])),
        Step::Failed(nth) => assert!(policy.failed(shared, policy.attempts()[nth], "refused")),
        Step::Timeout => {
            if policy.timeout() != Time::MAX {
                shared.now = shared.now.max(policy.timeout());
                policy.handle_timeout(shared);
            }
        }
        Step::Gone => {
            if let Some(id) = policy.ready() {
                assert!(policy.gone(shared, id));
            }
        }
        Step::ExitIdle => policy.exit_idle(shared),
        Step::Addresses(addresses) => policy.set_addresses(shared, addresses.to_vec()),
    }
}

/// Checks what must hold in every state.
fn look(shared: &mut Shared<u8>, policy: &PickFirst<u8>, open: &mut Vec<ConnectionId>, was: Connectivity) {
    for output in shared.outputs.drain(..) {
        match output {
            Output::Connect(id, _) => open.push(id),
            Output::Abandon(id) => open.retain(|known| *known != id),
            _ => {}
        }
    }
    let attempts = policy.attempts();
    assert!(attempts.iter().all(|id| open.contains(id)), "an attempt that nobody was told of");
    let mut addresses: Vec<u8> = policy.candidates.iter().map(|candidate| candidate.address).collect();
    addresses.dedup();
    assert_eq!(addresses.len(), policy.candidates.len(), "an address twice");
    match policy.phase {
        Phase::Ready(_) => assert!(attempts.is_empty(), "attempts beside a ready connection"),
        Phase::Idle => assert!(attempts.is_empty(), "attempts that nobody wants"),
        // An attempt is pending or will be made, so no call waits for ever.
        Phase::Pass { .. } => assert!(!attempts.is_empty(), "a pass in which nothing is tried"),
        Phase::Failing => assert!(
            policy.candidates.is_empty() || !attempts.is_empty() || policy.timeout() != Time::MAX,
            "nothing is tried again"
        ),
    }
    if was == Connectivity::TransientFailure {
        let now = policy.state();
        assert!(
            matches!(now, Connectivity::TransientFailure | Connectivity::Ready),
            "{now} after TRANSIENT_FAILURE"
        );
    }
}

fn explore(shared: &Shared<u8>, policy: &PickFirst<u8>, open: &[ConnectionId], depth: u32, seen: &mut u64) {
    *seen += 1;
    if depth == 0 {
        return;
    }
    for step in steps(policy) {
        let mut shared = Shared {
            now: shared.now,
            random: shared.random.clone(),
            backoff: shared.backoff.clone(),
            attempt_delay: DELAY,
            outputs: VecDeque::new(),
            wants_addresses: false,
            next: shared.next,
        };
        let (mut policy, mut open) = (policy.clone(), open.to_vec());
        let was = policy.state();
        take(&mut shared, &mut policy, step);
        look(&mut shared, &policy, &mut open, was);
        explore(&shared, &policy, &open, depth - 1, seen);
    }
}

/// Checks every order of these events, six deep, from a channel that has three addresses.
#[test]
fn every_order_of_events_to_a_depth_of_six() {
    let (mut shared, policy) = begun(&[1, 2, 3]);
    let mut open = Vec::new();
    look(&mut shared, &policy, &mut open, Connectivity::Idle);
    let mut seen = 0;
    explore(&shared, &policy, &open, 6, &mut seen);
    println!("{seen} states");
    assert!(seen > 100_000);
}
