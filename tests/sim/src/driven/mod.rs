//! Plans of [`pipes`](crate::pipes) through the drivers of both roles: over a transport that keeps what is written until it is flushed,
//! in virtual time, with a waker of its own for each poll of a task. The connection has a past: the calls come twice,
//! with an idle time between. Every call must end as it may, with no message lost or doubled; nobody waits who could go
//! on; and when all is over nobody's waker is kept.

mod app;
mod pipe;
mod runtime;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use halfclose::Seed;
use halfclose_driver::{Channel, Clock, Shutdown};

pub use app::DrivenOutcome;

use crate::pipes::{Ending, Plan};
use app::{DrivenCaller, Notes, router};
use pipe::PipeEnd;
use runtime::{Executor, lock};

/// No call takes longer, and no connection longer to end.
const LONGEST: Duration = Duration::from_secs(600);

/// Returns the plan of a seed: as for the bare cores, and now and then all that is cut is cut at one instant.
#[must_use]
pub fn plan(seed: u64) -> Plan {
    let mut plan = Plan::from_seed(seed);
    let mut rng = fastrand::Rng::with_seed(seed);
    // A byte at a time is much work for little.
    if rng.u8(..16) > 0 {
        plan.capacity = plan.capacity.map(|capacity| capacity.max(200));
    }
    for size in plan.calls.iter_mut().flat_map(|call| call.requests.iter_mut().chain(&mut call.responses)) {
        *size /= 4;
    }
    if rng.u8(..4) == 0 {
        let instant = Duration::from_micros(rng.u64(..60_000));
        for call in &mut plan.calls {
            match call.ending {
                Ending::Cancel(_) => call.ending = Ending::Cancel(instant),
                Ending::Deadline(_) if rng.bool() => call.ending = Ending::Cancel(instant),
                Ending::Early(_) | Ending::Abort(_) => call.ending = Ending::Early(0),
                _ => {}
            }
        }
    }
    plan
}

/// Plays a plan. The outcome is the same every time.
///
/// # Errors
///
/// What failed first.
pub fn run(plan: &Plan) -> Result<DrivenOutcome, String> {
    let mut executor = Executor::default();
    // The calls of both bursts.
    let burst = plan.calls.len();
    let calls = Arc::new([&plan.calls[..], &plan.calls[..]].concat());
    let notes = Arc::new(Mutex::new(Notes::default()));
    let (near, far) = PipeEnd::pair(plan.capacity);
    let (client, server) = plan.configs();
    let shutdown = Shutdown::new();
    let serving = Arc::new(router(&calls, &notes)).serve(
        far,
        executor.clock.clone(),
        server,
        Seed(plan.seed),
        &shutdown,
    );
    let (channel, driver) = Channel::new(near, executor.clock.clone(), client, Seed(!plan.seed));
    executor.spawn("client's driver".to_owned(), async { drop(driver.await) });
    executor.spawn("server's driver".to_owned(), async { drop(serving.await) });
    let caller = DrivenCaller {
        channel: channel.clone(),
        clock: executor.clock.clone(),
        calls,
        notes: Arc::clone(&notes),
        is_short: plan.is_short_of_memory(),
    };
    // The server's settings come first: it refuses what is too much for them.
    executor.run("client's driver", Duration::from_millis(5));
    // With PINGs each millisecond a long idle time is much work for little.
    let idle = Duration::from_millis(if plan.pings { 20 } else { 90_000 });
    for first in [0, burst] {
        let begun = executor.clock.now();
        for index in first..first + burst {
            executor.spawn(format!("call {index}"), caller.clone().call(index, begun));
        }
        let open = executor.run("call", LONGEST);
        if let Some(what) = lock(&notes).breach.take() {
            return Err(what);
        }
        if !open.is_empty() {
            return Err(format!("{} of {burst} calls have not ended: {}", open.len(), open.join(", ")));
        }
        executor.run("client's driver", idle);
    }
    drop((channel, caller));
    let open = executor.run("", LONGEST);
    if !open.is_empty() {
        return Err(format!("these have not ended: {}", open.join(", ")));
    }
    if executor.kept_wakers() > 0 {
        return Err(format!("{} wakers are kept", executor.kept_wakers()));
    }
    let mut outcome = lock(&notes).outcome.clone();
    outcome.polls = executor.polls();
    Ok(outcome)
}
