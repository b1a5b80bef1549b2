//! Calls that exceed their deadline, and what they leave behind.

use std::time::Duration;

use halfclose_driver::Channel;
use halfclose_driver::halfclose::Code;

use super::options;
use super::pool::{callers, none_is_left, unless_refused};
use crate::client::payloads::duplex_request;
use crate::client::{Failure, Target, fails_with};
use crate::methods::FULL_DUPLEX_CALL;

pub(super) async fn deadlines(target: &Target, at_once: usize, calls: usize) -> Result<String, Failure> {
    let all = async |channel: &Channel| {
        callers(at_once, calls, |number| unless_refused(move || run_out(channel, number))).await?;
        none_is_left(channel).await
    };
    target.session(all).await.map(|()| String::new())
}

/// Makes a call that is never answered, because its client never half-closes.
pub(super) async fn run_out(channel: &Channel, number: usize) -> Result<(), Failure> {
    let timeout = Duration::from_millis(5 + number as u64 % 50);
    let mut call = channel.bidi_streaming(&FULL_DUPLEX_CALL, options().timeout(timeout))?;
    // The deadline may pass before the message is sent; the receiving half has the status then too.
    let _ = call.send(&duplex_request(1_000, &[])).await;
    fails_with(call.recv().await, Code::DeadlineExceeded).map(drop)
}
