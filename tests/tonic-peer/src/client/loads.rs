//! Cases under load.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::iter;
use halfclose_interop::messages::{EchoStatus, Payload, SimpleRequest, StreamingOutputCallRequest};
use tonic::{Code, Request};

use super::calls::{
    Client, RequestSender, check_payload, duplex_request, ended, large_request, next, requests,
};
use super::cases::{cancelled, out_of_time};
use super::{Checked, Failure, Target, check, equal, fails_with};

/// The deadline of calls that are all made at once: more than any peer needs for all of them.
const AT_ONCE_LIMIT: Duration = Duration::from_secs(80);
/// Calls of a soak, and how long each may take.
const SOAK: usize = 100;
const SOAK_LIMIT: Duration = Duration::from_secs(1);
/// Bytes of the payload's body in a message of ten bytes.
const TINY: usize = 6;
/// Messages that are sent, and asked for, of each call that ends early.
const UNDER_WAY: usize = 400;
/// The deadline of a call that other calls must not delay.
const SMALL_LIMIT: Duration = Duration::from_secs(5);

/// Runs `one` for each number below `calls`, `at_once` of them at a time, even if some fail.
async fn in_parallel(at_once: usize, calls: usize, one: impl AsyncFn(usize) -> Checked) -> Checked {
    let results = iter(0..calls).map(|number| one(number)).buffer_unordered(at_once);
    let failures: Vec<Failure> = results.filter_map(async |result: Checked| result.err()).collect().await;
    check(failures.is_empty(), || {
        let first = failures.first().map_or_else(String::new, Failure::to_string);
        format!("{} of {calls} calls failed, the first: {first}", failures.len())
    })
}

impl Target {
    /// Runs `one` for each call of the load. Returns the duration in words.
    async fn load(
        &self,
        what: &str,
        one: impl AsyncFn(&Client, usize) -> Checked,
    ) -> Result<String, Failure> {
        let client = self.connect().await?;
        let began = Instant::now();
        in_parallel(self.at_once, self.calls, async |number| one(&client, number).await).await?;
        Ok(format!("{} {what} in {:.1} s", self.calls, began.elapsed().as_secs_f64()))
    }
}

/// Makes a call of one byte each way, which other calls must not delay.
pub(super) async fn small(client: &Client) -> Checked {
    let payload = Some(Payload::zeros(1));
    let mut request = Request::new(SimpleRequest { response_size: 1, payload, ..SimpleRequest::default() });
    request.set_timeout(SMALL_LIMIT);
    check_payload(client.unary(request).await?.get_ref().payload.as_ref(), 1)
}

pub(super) async fn concurrent_large_unary(client: &Client) -> Checked {
    in_parallel(1000, 1000, async |_| client.large_within(AT_ONCE_LIMIT, large_request()).await).await
}

async fn soak(one: impl AsyncFn() -> Checked) -> Result<String, Failure> {
    let mut slowest = Duration::ZERO;
    for _ in 0..SOAK {
        let began = Instant::now();
        one().await?;
        slowest = slowest.max(began.elapsed());
    }
    check(slowest <= SOAK_LIMIT, || format!("a call took {slowest:?}"))?;
    Ok(format!("slowest call {} ms", slowest.as_millis()))
}

pub(super) async fn rpc_soak(client: &Client) -> Result<String, Failure> {
    soak(async || client.large(large_request()).await).await
}

pub(super) async fn channel_soak(target: &Target) -> Result<String, Failure> {
    soak(async || target.connect().await?.large(large_request()).await).await
}

/// Makes small calls, one after another.
pub(super) async fn many_unary(target: &Target) -> Result<String, Failure> {
    let client = target.connect().await?;
    let began = Instant::now();
    in_parallel(1, target.calls, async |_| small(&client).await).await?;
    Ok(format!("{} calls in {:.1} s", target.calls, began.elapsed().as_secs_f64()))
}

/// Sends messages on a few streams, each after the answer to the previous one.
pub(super) async fn long_bidi(target: &Target) -> Result<String, Failure> {
    let (client, messages) = (target.connect().await?, target.calls / target.at_once);
    in_parallel(target.at_once, target.at_once, async |_| {
        let (sender, mut responses) = client.conversation(duplex_request(10, &[10])).await?;
        next(&mut responses, 10).await?;
        for _ in 1..messages {
            let _ = sender.send(duplex_request(10, &[10])).await;
            next(&mut responses, 10).await?;
        }
        drop(sender);
        ended(responses).await
    })
    .await?;
    Ok(format!("{} streams of {messages}", target.at_once))
}

/// Lets the server end each call at once, while messages of ten bytes are in flight to it.
pub(super) async fn ended_early(target: &Target) -> Result<String, Failure> {
    let one = async |client: &Client, _| {
        let (sender, requests) = requests();
        let response_status = Some(EchoStatus { code: 9, message: "early".to_owned() });
        let _ = sender.send(StreamingOutputCallRequest { response_status, ..Default::default() }).await;
        tokio::spawn(keep_sending(sender));
        let result = async { client.duplex(requests).await?.into_inner().message().await }.await;
        equal("status message", fails_with(result, Code::FailedPrecondition)?.message(), "early")
    };
    target.load("calls", one).await
}

/// Sends until everything is sent or the call has ended.
async fn keep_sending(sender: RequestSender) {
    for _ in 0..UNDER_WAY {
        if sender.send(duplex_request(TINY, &[])).await.is_err() {
            return;
        }
    }
    sender.closed().await;
}

/// Drops each call at the client while messages of ten bytes are in flight both ways.
pub(super) async fn dropped_early(target: &Target) -> Result<String, Failure> {
    let one = async |client: &Client, _| {
        let (sender, mut responses) = client.conversation(duplex_request(0, &[TINY; UNDER_WAY])).await?;
        let sending = tokio::spawn(keep_sending(sender));
        for _ in 0..3 {
            next(&mut responses, TINY).await?;
        }
        // tonic resets a stream whose requests have an end.
        sending.abort();
        Ok(())
    };
    target.load("calls", one).await
}

/// Makes calls that are never answered, each of which must exceed its deadline.
pub(super) async fn expired_deadlines(target: &Target) -> Result<String, Failure> {
    let one = async |client: &Client, number| {
        expired(client, Duration::from_millis(20 + u64::try_from(number % 40).unwrap_or(0))).await
    };
    target.load("calls", one).await
}

async fn expired(client: &Client, limit: Duration) -> Checked {
    let (_sender, mut requests) = requests();
    requests.set_timeout(limit);
    out_of_time(async { client.duplex(requests).await?.into_inner().message().await }.await)
}

/// Makes calls of which one in five is cancelled or exceeds its deadline; the others must succeed.
pub(super) async fn mixed_ends(target: &Target) -> Result<String, Failure> {
    let client = target.connect().await?;
    let until = Instant::now() + target.time;
    let (well, badly) = (AtomicUsize::new(0), AtomicUsize::new(0));
    in_parallel(target.at_once, target.at_once, async |first| {
        for number in (first..).take_while(|_| Instant::now() < until) {
            if number.is_multiple_of(5) {
                end_badly(&client, number).await?;
                badly.fetch_add(1, Ordering::Relaxed);
            } else {
                small(&client).await?;
                well.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    })
    .await?;
    Ok(format!(
        "{} calls ended well, {} were cancelled or out of time",
        well.into_inner(),
        badly.into_inner()
    ))
}

async fn end_badly(client: &Client, number: usize) -> Checked {
    if number.is_multiple_of(2) {
        return expired(client, Duration::from_millis(10)).await;
    }
    cancelled(client).await
}
