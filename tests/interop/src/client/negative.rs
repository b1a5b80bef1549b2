//! The HTTP/2 negative cases: servers that do what a client must survive.

use std::time::Duration;

use halfclose_driver::Channel;
use halfclose_driver::halfclose::frame::ErrorCode;
use halfclose_driver::halfclose::{Cause, Code, Initiator};

use super::failure::{Failure, check, equal, fails_with};
use super::payloads::large_request;
use super::target::{Target, options};
use super::unary::{at_once, large_unary};
use crate::methods::UNARY_CALL;

/// How long `goaway` waits before its second call.
const BETWEEN_CALLS: Duration = Duration::from_secs(1);

/// Calls of `max_streams` after the first.
const STREAMS: usize = 10;

/// The server says GOAWAY after the first response: the second call needs a new connection.
pub(super) async fn goaway(target: &Target) -> Result<String, Failure> {
    let sleep = target.runtime.sleep;
    target
        .session(async |channel: &Channel| {
            large_unary(channel).await?;
            sleep(BETWEEN_CALLS).await;
            check(!channel.is_open(), || "the connection takes calls after GOAWAY".to_owned())
        })
        .await?;
    target.case(large_unary).await
}

/// The server resets the stream before its trailers: the call fails, and nothing of a message is delivered.
pub(super) async fn reset(channel: &Channel) -> Result<(), Failure> {
    let error = fails_with(channel.unary(&UNARY_CALL, &large_request(), options()).await, Code::Internal)?;
    let reset = Cause::Reset { code: ErrorCode::NO_ERROR, by: Initiator::Remote };
    equal("what ended the call", error.cause(), &reset)
}

/// From the first call on the server allows one stream: the others wait for it.
pub(super) async fn max_streams(channel: &Channel) -> Result<(), Failure> {
    large_unary(channel).await?;
    at_once(channel, STREAMS).await
}
