//! Calls that are cancelled or exceed their deadline, alone and among calls that succeed.

use std::cell::Cell;
use std::time::{Duration, Instant};

use halfclose_driver::halfclose::Code;
use halfclose_driver::{CallOptions, Channel};

use super::super::cancelling::cancel_after_first_response;
use super::super::failure::{Failure, fails_with};
use super::super::target::Target;
use super::{in_parallel, small};
use crate::methods::FULL_DUPLEX_CALL;

/// Makes calls that are never answered, each of which must end with DEADLINE_EXCEEDED.
pub(in super::super) async fn expired_deadlines(target: &Target) -> Result<String, Failure> {
    let load = target.load;
    let one = async |channel: &Channel, number: usize| {
        let spread = u64::try_from(number % 40).unwrap_or(0);
        out_of_time(channel, Duration::from_millis(20 + spread)).await
    };
    target
        .session(async |channel: &Channel| load.run("calls", async |number| one(channel, number).await).await)
        .await
}

async fn out_of_time(channel: &Channel, limit: Duration) -> Result<(), Failure> {
    let mut call = channel.bidi_streaming(&FULL_DUPLEX_CALL, CallOptions::new().timeout(limit))?;
    fails_with(call.recv().await, Code::DeadlineExceeded).map(drop)
}

/// Makes calls of which one in five is cancelled or exceeds its deadline; the others must succeed.
pub(in super::super) async fn mixed_ends(target: &Target) -> Result<String, Failure> {
    let load = target.load;
    let until = Instant::now() + load.time;
    let (well, badly) = (Cell::new(0_usize), Cell::new(0_usize));
    let one_after_another = async |channel: &Channel, first: usize| {
        for number in first.. {
            if Instant::now() >= until {
                break;
            }
            if number.is_multiple_of(5) {
                end_badly(channel, number).await?;
                badly.set(badly.get() + 1);
            } else {
                small(channel).await?;
                well.set(well.get() + 1);
            }
        }
        Ok(())
    };
    target
        .session(async |channel: &Channel| {
            in_parallel(load.at_once, load.at_once, async |first| one_after_another(channel, first).await)
                .await
        })
        .await?;
    Ok(format!("{} calls ended well, {} were cancelled or out of time", well.get(), badly.get()))
}

async fn end_badly(channel: &Channel, number: usize) -> Result<(), Failure> {
    if number.is_multiple_of(2) {
        return out_of_time(channel, Duration::from_millis(10)).await;
    }
    cancel_after_first_response(channel).await
}
