//! Cases under load: what honest peers do for a long time, at high rates or with a slow reader, and what must not
//! disturb their other calls.

mod early;
mod ends;
mod rounds;
mod stalled;

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::iter;
use halfclose_driver::{CallOptions, Channel};

use super::failure::{Failure, check};
use super::payloads::{check_payload, sized_request};
use crate::methods::UNARY_CALL;

pub(crate) use early::{dropped_early, ended_early};
pub(super) use ends::{expired_deadlines, mixed_ends};
pub(super) use rounds::{long_bidi, many_unary};
pub(super) use stalled::{stalled_downloads, stalled_uploads};

/// The deadline of a call that other calls must not delay.
pub(super) const SMALL_LIMIT: Duration = Duration::from_secs(5);

/// Bytes of the payload's body in a message of ten bytes.
const TINY: usize = 6;

/// The numbers of the cases under load.
#[derive(Clone, Copy, Debug)]
pub struct LoadSize {
    /// How many calls or messages.
    pub calls: usize,
    /// How many of them at a time.
    pub at_once: usize,
    /// The duration of a load without a number of calls.
    pub time: Duration,
}

impl Default for LoadSize {
    fn default() -> Self {
        Self { calls: 1000, at_once: 1, time: Duration::from_secs(1) }
    }
}

impl LoadSize {
    /// Runs `one` for each call of the load. Returns the duration in words.
    async fn run(
        self,
        what: &str,
        one: impl AsyncFn(usize) -> Result<(), Failure>,
    ) -> Result<String, Failure> {
        let began = Instant::now();
        in_parallel(self.at_once, self.calls, one).await?;
        Ok(format!("{} {what} in {:.1} s", self.calls, began.elapsed().as_secs_f64()))
    }
}

/// Runs `one` for each number below `calls`, `at_once` of them at a time, even if some fail.
async fn in_parallel(
    at_once: usize,
    calls: usize,
    one: impl AsyncFn(usize) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let results = iter(0..calls).map(|number| one(number)).buffer_unordered(at_once);
    let failures: Vec<Failure> =
        results.filter_map(async |result: Result<(), Failure>| result.err()).collect().await;
    check(failures.is_empty(), || {
        let first = failures.first().map_or_else(String::new, Failure::to_string);
        format!("{} of {calls} calls failed, the first: {first}", failures.len())
    })
}

/// Makes a call of one byte each way, which other calls must not delay.
async fn small(channel: &Channel) -> Result<(), Failure> {
    let options = CallOptions::new().timeout(SMALL_LIMIT);
    let response = channel.unary(&UNARY_CALL, &sized_request(1, 1), options).await?;
    check_payload(response.message.payload.as_ref(), 1)
}
