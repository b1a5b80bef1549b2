//! Many round trips, in each of which grpc-go sends a PING.

use std::time::Duration;

use halfclose_driver::{CallOptions, Channel};

use super::super::failure::{Failure, check};
use super::super::payloads::{check_payload, duplex_request};
use super::super::target::Target;
use super::{LoadSize, small};
use crate::methods::FULL_DUPLEX_CALL;

/// The deadline of a long conversation.
const CONVERSATION: Duration = Duration::from_secs(60);

/// Makes small calls, one after another.
pub(in super::super) async fn many_unary(target: &Target) -> Result<String, Failure> {
    let load = LoadSize { at_once: 1, ..target.load };
    target.session(async |channel: &Channel| load.run("calls", async |_| small(channel).await).await).await
}

/// Sends messages on a few streams, each after the answer to the previous one.
pub(in super::super) async fn long_bidi(target: &Target) -> Result<String, Failure> {
    let LoadSize { calls, at_once, .. } = target.load;
    let streams = LoadSize { calls: at_once, ..target.load };
    target
        .session(async |channel: &Channel| {
            streams
                .run(&format!("streams of {}", calls / at_once), async |_| {
                    conversation(channel, calls / at_once).await
                })
                .await
        })
        .await
}

async fn conversation(channel: &Channel, messages: usize) -> Result<(), Failure> {
    let mut call = channel.bidi_streaming(&FULL_DUPLEX_CALL, CallOptions::new().timeout(CONVERSATION))?;
    for number in 0..messages {
        let sent = call.send(&duplex_request(10, &[10])).await;
        let missing = || Failure::Check(format!("no answer to message {number}"));
        let answer = call.recv().await?.ok_or_else(missing)?;
        check_payload(answer.payload.as_ref(), 10)?;
        sent?;
    }
    call.close_send()?;
    check(call.recv().await?.is_none(), || "a response after the half-close".to_owned())
}
