//! Streams that are busy in both directions for a while.

use std::time::{Duration, Instant};

use futures_util::future::{try_join, try_join_all};
use halfclose_driver::{BidiStreaming, ClientReceiver, ClientSender, Prost};

use super::options;
use crate::client::payloads::{check_payload, duplex_request};
use crate::client::{Failure, Target, check, equal};
use crate::messages::{StreamingOutputCallRequest, StreamingOutputCallResponse};
use crate::methods::FULL_DUPLEX_CALL;

/// The divisor of a stream's fair share below which the stream counts as starved.
const LEAST_SHARE: usize = 10;

type Stream = BidiStreaming<StreamingOutputCallRequest, StreamingOutputCallResponse, Prost>;

/// Runs `talk` on each of `streams` streams of one connection. It returns the number of messages each way on its
/// stream.
async fn streams<F>(
    target: &Target,
    count: usize,
    time: Duration,
    talk: impl Fn(Stream) -> F,
) -> Result<String, Failure>
where
    F: Future<Output = Result<usize, Failure>>,
{
    let timeout = options().timeout.unwrap_or_default() + time;
    let all = async |channel: &halfclose_driver::Channel| {
        let open = || channel.bidi_streaming(&FULL_DUPLEX_CALL, options().timeout(timeout));
        let opened = (0..count).map(|_| open()).collect::<Result<Vec<_>, _>>()?;
        try_join_all(opened.into_iter().map(&talk)).await
    };
    let messages = target.session(all).await?;
    let (sum, fewest) = (messages.iter().sum::<usize>(), messages.iter().min().copied().unwrap_or_default());
    let told = format!("{sum} messages each way, {fewest} on the slowest stream");
    check(fewest * count * LEAST_SHARE >= sum, || format!("a stream starves: {told}"))?;
    Ok(told)
}

/// Lets each stream send and receive as fast as it can.
pub(super) async fn bidi(
    target: &Target,
    count: usize,
    bytes: usize,
    time: Duration,
) -> Result<String, Failure> {
    let until = Instant::now() + time;
    let talk = |stream: Stream| async move {
        let (sender, receiver) = stream.split();
        let (sent, received) = try_join(send(sender, bytes, until), receive(receiver, bytes)).await?;
        equal("responses", received, sent)?;
        Ok(sent)
    };
    streams(target, count, time, talk).await
}

/// Sends until the time is up. A call that has ended gives the reason on its receiving half.
async fn send(
    mut sender: ClientSender<StreamingOutputCallRequest, Prost>,
    bytes: usize,
    until: Instant,
) -> Result<usize, Failure> {
    let request = duplex_request(bytes, &[bytes]);
    let mut sent = 0;
    while Instant::now() < until && sender.send(&request).await.is_ok() {
        sent += 1;
    }
    let _ = sender.close_send();
    Ok(sent)
}

async fn receive(
    mut receiver: ClientReceiver<StreamingOutputCallResponse, Prost>,
    bytes: usize,
) -> Result<usize, Failure> {
    let mut received = 0;
    while let Some(response) = receiver.recv().await? {
        check_payload(response.payload.as_ref(), bytes)?;
        received += 1;
    }
    Ok(received)
}

/// Lets each stream wait for the answer to a message before it sends the next one.
pub(super) async fn turns(
    target: &Target,
    count: usize,
    bytes: usize,
    time: Duration,
) -> Result<String, Failure> {
    let until = Instant::now() + time;
    let talk = |mut stream: Stream| async move {
        let request = duplex_request(bytes, &[bytes]);
        let mut sent = 0;
        while Instant::now() < until {
            // A call that has ended gives the reason on its receiving half.
            let _ = stream.send(&request).await;
            let response = stream.recv().await?.unwrap_or_default();
            check_payload(response.payload.as_ref(), bytes)?;
            sent += 1;
        }
        let _ = stream.close_send();
        equal("responses after the half-close", stream.recv().await?.is_some(), false)?;
        Ok(sent)
    };
    streams(target, count, time, talk).await
}
