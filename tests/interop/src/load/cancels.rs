//! Calls of which some are cancelled, at every point of their life.

use futures_util::future::FutureExt;
use halfclose_driver::halfclose::Code;
use halfclose_driver::{CallError, Channel};

use super::deadlines::run_out;
use super::pool::{callers, none_is_left, unless_refused};
use super::{four_types, options};
use crate::client::payloads::{check_payload, duplex_request, sized_request};
use crate::client::{Failure, Target, fails_with, streaming::next};
use crate::messages::{Payload, StreamingInputCallRequest};
use crate::methods::{FULL_DUPLEX_CALL, STREAMING_INPUT_CALL, STREAMING_OUTPUT_CALL, UNARY_CALL};

pub(super) async fn cancels(target: &Target, at_once: usize, calls: usize) -> Result<String, Failure> {
    let all = async |channel: &Channel| {
        callers(at_once, calls, |number| unless_refused(move || one(channel, number))).await?;
        none_is_left(channel).await
    };
    target.session(all).await.map(|()| String::new())
}

/// Makes calls of which one in ten is cancelled and one in ten exceeds its deadline.
async fn one(channel: &Channel, number: usize) -> Result<(), Failure> {
    match number % 10 {
        3 => given_up(channel, number / 10).await,
        8 => run_out(channel, number).await,
        other => four_types::call(channel, number / 10 + other).await,
    }
}

async fn given_up(channel: &Channel, number: usize) -> Result<(), Failure> {
    match number % 5 {
        0 => at_once(channel),
        1 => in_a_request(channel).await,
        2 => after_a_response(channel).await,
        3 => in_a_download(channel).await,
        _ => dropped_in_a_download(channel).await,
    }
}

/// Drops a call as soon as it was started.
fn at_once(channel: &Channel) -> Result<(), Failure> {
    let _ = channel.unary(&UNARY_CALL, &sized_request(10_000, 10_000), options()).now_or_never();
    Ok(())
}

/// Drops a call while its request is in flight.
async fn in_a_request(channel: &Channel) -> Result<(), Failure> {
    let mut call = channel.client_streaming(&STREAMING_INPUT_CALL, options())?;
    let payload = Some(Payload::zeros(100_000));
    let request = StreamingInputCallRequest { payload, expect_compressed: None };
    call.send(&request).await?;
    call.send(&request).await?;
    fails_with(Err::<(), _>(call.cancel_and_recv().await), Code::Cancelled).map(drop)
}

async fn after_a_response(channel: &Channel) -> Result<(), Failure> {
    let mut call = channel.bidi_streaming(&FULL_DUPLEX_CALL, options())?;
    call.send(&duplex_request(10, &[10])).await?;
    let response = call.recv().await?.unwrap_or_default();
    check_payload(response.payload.as_ref(), 10)?;
    call.cancel();
    fails_with(call.recv().await, Code::Cancelled).map(drop)
}

/// Cancels a call while many responses, small ones among them, are in flight.
async fn in_a_download(channel: &Channel) -> Result<(), Failure> {
    let request = duplex_request(0, &[10; 100]);
    let mut call = channel.server_streaming(&STREAMING_OUTPUT_CALL, &request, options()).await?;
    next(&mut call).await?;
    call.cancel();
    // What arrived earlier is returned first, and that may be everything.
    let end: Result<(), CallError> = loop {
        match call.recv().await {
            Ok(Some(_)) => {}
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    if end.is_ok() { Ok(()) } else { fails_with(end, Code::Cancelled).map(drop) }
}

async fn dropped_in_a_download(channel: &Channel) -> Result<(), Failure> {
    let request = duplex_request(0, &[30_000; 20]);
    let mut call = channel.server_streaming(&STREAMING_OUTPUT_CALL, &request, options()).await?;
    next(&mut call).await.map(drop)
}
