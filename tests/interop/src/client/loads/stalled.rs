//! Small calls beside calls whose messages of 1 MiB are not received.

use std::convert::Infallible;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select, try_join_all};
use halfclose_driver::{CallOptions, Channel};

use super::super::failure::{Failure, check};
use super::super::payloads::{check_payload, duplex_request};
use super::super::streaming::next;
use super::super::target::Target;
use super::small;
use crate::messages::ResponseParameters;
use crate::methods::{FULL_DUPLEX_CALL, STREAMING_OUTPUT_CALL};

const CALLS: usize = 20;
const SIZE: usize = 1 << 20;
const BESIDE: usize = 200;
/// The deadline of the calls that stall.
const LIMIT: Duration = Duration::from_secs(20);
/// The time that the handler of a stalled upload is busy, in microseconds: longer than the case.
const BUSY: i32 = 30_000_000;

fn options() -> CallOptions {
    CallOptions::new().timeout(LIMIT)
}

/// Stalls downloads: the client receives only at the end.
pub(in super::super) async fn stalled_downloads(target: &Target) -> Result<String, Failure> {
    target.session(beside_downloads).await
}

async fn beside_downloads(channel: &Channel) -> Result<String, Failure> {
    let request = duplex_request(0, &[SIZE; 2]);
    let mut stalled = Vec::new();
    for _ in 0..CALLS {
        let mut call = channel.server_streaming(&STREAMING_OUTPUT_CALL, &request, options()).await?;
        call.headers().await;
        stalled.push(call);
    }
    let said = small_calls(channel).await?;
    for mut call in stalled {
        for _ in 0..2 {
            check_payload(next(&mut call).await?.payload.as_ref(), SIZE)?;
        }
        check(call.recv().await?.is_none(), || "more responses than were asked for".to_owned())?;
    }
    Ok(said)
}

/// Stalls uploads: the server does not receive.
pub(in super::super) async fn stalled_uploads(target: &Target) -> Result<String, Failure> {
    target
        .session(async |channel: &Channel| {
            let uploads = try_join_all((0..CALLS).map(|_| upload(channel)));
            match select(pin!(uploads), pin!(small_calls(channel))).await {
                Either::Left((ended, _)) => ended.map(|_: Vec<Infallible>| String::new()),
                Either::Right((said, _)) => said,
            }
        })
        .await
}

/// Sends large messages without end to a handler that answers once and is then busy with its second answer.
async fn upload(channel: &Channel) -> Result<Infallible, Failure> {
    let mut call = channel.bidi_streaming(&FULL_DUPLEX_CALL, options())?;
    let mut request = duplex_request(0, &[1]);
    request.response_parameters.push(ResponseParameters { size: 1, interval_us: BUSY, compressed: None });
    call.send(&request).await?;
    call.recv().await?;
    loop {
        call.send(&duplex_request(SIZE, &[])).await?;
    }
}

/// Makes the small calls. Returns their duration in words.
async fn small_calls(channel: &Channel) -> Result<String, Failure> {
    let mut took = Vec::with_capacity(BESIDE);
    for _ in 0..BESIDE {
        let began = Instant::now();
        small(channel).await?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    Ok(format!("p50 {:.1} ms, worst {:.1} ms", ms(took.get(BESIDE / 2)), ms(took.last())))
}
