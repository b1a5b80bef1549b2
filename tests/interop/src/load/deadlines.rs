//! Calls whose time runs out, and what they leave behind.

use std::time::Duration;

use futures_util::future::try_join_all;
use halfclose_driver::Channel;
use halfclose_driver::halfclose::Code;

use super::options;
use super::pool::callers;
use crate::client::payloads::duplex_request;
use crate::client::{Failure, Target, fails_with, unary};
use crate::methods::FULL_DUPLEX_CALL;

/// More calls at once than a server's streams or threads are many: what a call that is over still holds is missed here.
const AFTER: usize = 300;

pub(super) async fn deadlines(target: &Target, at_once: usize, calls: usize) -> Result<String, Failure> {
    let all = async |channel: &Channel| {
        callers(at_once, calls, |number| run_out(channel, number)).await?;
        try_join_all((0..AFTER).map(|_| unary::small_unary(channel))).await.map(drop)
    };
    target.session(all).await.map(|()| String::new())
}

/// A call that is never answered, because its client never half-closes.
pub(super) async fn run_out(channel: &Channel, number: usize) -> Result<(), Failure> {
    let timeout = Duration::from_millis(5 + number as u64 % 50);
    let mut call = channel.bidi_streaming(&FULL_DUPLEX_CALL, options().timeout(timeout))?;
    // The deadline may pass before the message is sent; the receiving side has the status then too.
    let _ = call.send(&duplex_request(1_000, &[])).await;
    fails_with(call.recv().await, Code::DeadlineExceeded).map(drop)
}
