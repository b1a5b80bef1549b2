//! Small calls beside calls whose messages of 1 MiB are not received.

use std::time::{Duration, Instant};

use halfclose_interop::messages::ResponseParameters;

use super::Failure;
use super::calls::{Client, RequestSender, duplex_request, ended, next};
use super::loads::small;

const CALLS: usize = 20;
const SIZE: usize = 1 << 20;
const BESIDE: usize = 200;
/// The time that the handler of a stalled upload is busy, in microseconds: longer than the case.
const BUSY: i32 = 30_000_000;

/// Stalls downloads: the client receives only at the end.
pub(super) async fn downloads(client: &Client) -> Result<String, Failure> {
    let mut stalled = Vec::new();
    for _ in 0..CALLS {
        stalled.push(client.download(duplex_request(0, &[SIZE; 2])).await?);
    }
    let said = small_calls(client).await?;
    for mut responses in stalled {
        for _ in 0..2 {
            next(&mut responses, SIZE).await?;
        }
        ended(responses).await?;
    }
    Ok(said)
}

/// Stalls uploads: the server's handler answers once and is then busy with its second answer.
pub(super) async fn uploads(client: &Client) -> Result<String, Failure> {
    let mut stalled = Vec::new();
    for _ in 0..CALLS {
        let mut request = duplex_request(0, &[1]);
        let busy = ResponseParameters { size: 1, interval_us: BUSY, compressed: None };
        request.response_parameters.push(busy);
        let (sender, mut responses) = client.conversation(request).await?;
        next(&mut responses, 1).await?;
        tokio::spawn(keep_sending(sender));
        stalled.push(responses);
    }
    small_calls(client).await
}

async fn keep_sending(sender: RequestSender) {
    while sender.send(duplex_request(SIZE, &[])).await.is_ok() {}
}

/// Makes the small calls. Returns their duration in words.
async fn small_calls(client: &Client) -> Result<String, Failure> {
    let mut took = Vec::with_capacity(BESIDE);
    for _ in 0..BESIDE {
        let began = Instant::now();
        small(client).await?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    Ok(format!("p50 {:.1} ms, worst {:.1} ms", ms(took.get(BESIDE / 2)), ms(took.last())))
}
