//! Calls that their client cancels, and one whose deadline passes.

use std::time::Duration;

use halfclose_driver::Channel;
use halfclose_driver::halfclose::machine::ClientSend;
use halfclose_driver::halfclose::{Cause, Code, HalfStates};

use super::failure::{Failure, equal, fails_with};
use super::payloads::{check_payload, duplex_request};
use super::target::{Target, options};
use crate::methods::{FULL_DUPLEX_CALL, STREAMING_INPUT_CALL};
use crate::runtime::Sleep;

/// The time between two checks whether a call's headers have left.
const LOOK: Duration = Duration::from_millis(1);

pub(super) async fn cancel_after_begin(target: &Target) -> Result<String, Failure> {
    let sleep = target.runtime.sleep;
    target.case(async |channel: &Channel| begin_and_cancel(channel, sleep).await).await
}

async fn begin_and_cancel(channel: &Channel, sleep: Sleep) -> Result<(), Failure> {
    let call = channel.client_streaming(&STREAMING_INPUT_CALL, options())?;
    // A call that is cancelled before its headers leave never begins: nothing would be on the wire (P-83).
    while matches!(call.states(), Some(HalfStates::Client { send: ClientSend::Queued, .. })) {
        sleep(LOOK).await;
    }
    let error = call.cancel_and_recv().await;
    equal("what ended the call", error.cause(), &Cause::Cancelled)?;
    fails_with(Err::<(), _>(error), Code::Cancelled).map(drop)
}

pub(super) async fn cancel_after_first_response(channel: &Channel) -> Result<(), Failure> {
    let mut call = channel.bidi_streaming(&FULL_DUPLEX_CALL, options())?;
    call.send(&duplex_request(27_182, &[31_415])).await?;
    let missing = || Failure::Check("the stream ended without a response".to_owned());
    let response = call.recv().await?.ok_or_else(missing)?;
    check_payload(response.payload.as_ref(), 31_415)?;
    call.cancel();
    let error = fails_with(call.recv().await, Code::Cancelled)?;
    equal("what ended the call", error.cause(), &Cause::Cancelled)
}

pub(super) async fn timeout_on_sleeping_server(channel: &Channel) -> Result<(), Failure> {
    let short = options().timeout(Duration::from_millis(1));
    let mut call = channel.bidi_streaming(&FULL_DUPLEX_CALL, short)?;
    // The deadline may pass before the message is sent; the receiving half has the status then too.
    let _ = call.send(&duplex_request(27_182, &[])).await;
    fails_with(call.recv().await, Code::DeadlineExceeded).map(drop)
}
