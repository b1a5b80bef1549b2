//! Many calls in a row, each within a latency.

use std::time::{Duration, Instant};

use halfclose_driver::Channel;

use super::failure::{Failure, check};
use super::payloads::{check_payload, sized_request};
use super::target::{Target, options};
use crate::methods::UNARY_CALL;

/// The numbers of the soak cases.
#[derive(Clone, Copy, Debug)]
pub struct Soak {
    /// How many calls.
    pub iterations: usize,
    /// How many of them may fail, or take too long.
    pub max_failures: usize,
    /// How long is too long.
    pub max_latency: Duration,
    /// How long all of them together may take; what has not run by then has failed.
    pub overall: Duration,
    /// From the start of one call to the start of the next, at least.
    pub min_interval: Duration,
    /// Bytes of a request's payload.
    pub request_size: usize,
    /// Bytes of a response's payload.
    pub response_size: usize,
}

impl Default for Soak {
    /// The numbers of the interop descriptions.
    fn default() -> Self {
        Self {
            iterations: 10,
            max_failures: 0,
            max_latency: Duration::from_secs(1),
            overall: Duration::from_secs(10),
            min_interval: Duration::ZERO,
            request_size: 271_828,
            response_size: 314_159,
        }
    }
}

/// All calls on one connection.
pub(super) async fn rpc_soak(target: &Target) -> Result<String, Failure> {
    target
        .session(async |channel: &Channel| soak(target, async || one_call(target, channel).await).await)
        .await
}

/// Each call on a connection of its own.
pub(super) async fn channel_soak(target: &Target) -> Result<String, Failure> {
    let on_its_own = async || target.session(async |channel: &Channel| one_call(target, channel).await).await;
    soak(target, on_its_own).await
}

async fn one_call(target: &Target, channel: &Channel) -> Result<(), Failure> {
    let Soak { request_size, response_size, .. } = target.soak;
    let request = sized_request(request_size, response_size);
    let response = channel.unary(&UNARY_CALL, &request, options()).await?;
    check_payload(response.message.payload.as_ref(), response_size)
}

async fn soak(target: &Target, call: impl AsyncFn() -> Result<(), Failure>) -> Result<String, Failure> {
    let soak = target.soak;
    let began = Instant::now();
    let (mut ran, mut slowest, mut failures) = (0, Duration::ZERO, Vec::new());
    while ran < soak.iterations && began.elapsed() < soak.overall {
        let start = Instant::now();
        let result = call().await;
        let took = start.elapsed();
        slowest = slowest.max(took);
        match result {
            Err(failure) => failures.push(format!("call {ran}: {failure}")),
            Ok(()) if took > soak.max_latency => failures.push(format!("call {ran} took {took:?}")),
            Ok(()) => {}
        }
        ran += 1;
        if let Some(rest) = soak.min_interval.checked_sub(start.elapsed()).filter(|rest| !rest.is_zero()) {
            (target.runtime.sleep)(rest).await;
        }
    }
    check(ran == soak.iterations, || {
        format!("{ran} of {} calls were made in {:?}", soak.iterations, soak.overall)
    })?;
    check(failures.len() <= soak.max_failures, || {
        format!("{} of {ran} calls failed; the first: {}", failures.len(), failures.join("; "))
    })?;
    Ok(format!(
        "{ran} calls in {:.1?}, the slowest in {slowest:.1?}, {} failures",
        began.elapsed(),
        failures.len()
    ))
}
