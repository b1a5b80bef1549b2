//! Large messages, many at once. If one waits for another for ever, at any point of the path, its deadline reports
//! it.

use futures_util::future::try_join_all;
use halfclose_driver::halfclose::Code;
use halfclose_driver::{CallError, Channel};

use super::options;
use crate::client::payloads::{check_payload, duplex_request, sized_request};
use crate::client::{Failure, Target, equal, fails_with, streaming::next, unary};
use crate::messages::{Payload, StreamingInputCallRequest};
use crate::methods::{STREAMING_INPUT_CALL, STREAMING_OUTPUT_CALL, UNARY_CALL};

pub(super) async fn uploads(target: &Target, calls: usize, bytes: usize) -> Result<String, Failure> {
    let all = async |channel: &Channel| {
        try_join_all((0..calls).map(|number| upload(channel, number, bytes))).await.map(drop)
    };
    target.session(all).await.map(|()| String::new())
}

/// Uploads; every other call is a stream of one request, whose answer says what the server has counted.
async fn upload(channel: &Channel, number: usize, bytes: usize) -> Result<(), Failure> {
    if number.is_multiple_of(2) {
        let response = channel.unary(&UNARY_CALL, &sized_request(bytes, 0), options()).await?;
        return check_payload(response.message.payload.as_ref(), 0);
    }
    let counted = streamed(channel, bytes).await?;
    equal("aggregated_payload_size", counted, bytes)
}

/// What the server has counted of a stream of one request.
async fn streamed(channel: &Channel, bytes: usize) -> Result<usize, CallError> {
    let mut call = channel.client_streaming(&STREAMING_INPUT_CALL, options())?;
    let payload = Some(Payload::zeros(bytes));
    // A call that has ended gives the reason when its response is asked for.
    let _ = call.send(&StreamingInputCallRequest { payload, expect_compressed: None }).await;
    let response = call.close_and_recv().await?;
    Ok(usize::try_from(response.message.aggregated_payload_size).unwrap_or_default())
}

/// Requests over the limit of the server, and small calls behind them.
pub(super) async fn refused(target: &Target, calls: usize, bytes: usize) -> Result<String, Failure> {
    let all = async |channel: &Channel| {
        try_join_all((0..calls).map(|number| refuse(channel, number, bytes))).await?;
        try_join_all((0..calls).map(|_| unary::small_unary(channel))).await.map(drop)
    };
    target.session(all).await.map(|()| String::new())
}

async fn refuse(channel: &Channel, number: usize, bytes: usize) -> Result<(), Failure> {
    let ended = if number.is_multiple_of(2) {
        channel.unary(&UNARY_CALL, &sized_request(bytes, 0), options()).await.map(drop)
    } else {
        streamed(channel, bytes).await.map(drop)
    };
    fails_with(ended, Code::ResourceExhausted).map(drop)
}

pub(super) async fn downloads(target: &Target, calls: usize, bytes: usize) -> Result<String, Failure> {
    let all = async |channel: &Channel| {
        try_join_all((0..calls).map(|number| download(channel, number, bytes))).await.map(drop)
    };
    target.session(all).await.map(|()| String::new())
}

/// Downloads; every other call is a stream of one response.
async fn download(channel: &Channel, number: usize, bytes: usize) -> Result<(), Failure> {
    if number.is_multiple_of(2) {
        let response = channel.unary(&UNARY_CALL, &sized_request(0, bytes), options()).await?;
        return check_payload(response.message.payload.as_ref(), bytes);
    }
    let request = duplex_request(0, &[bytes]);
    let mut call = channel.server_streaming(&STREAMING_OUTPUT_CALL, &request, options()).await?;
    check_payload(next(&mut call).await?.payload.as_ref(), bytes)?;
    equal("responses after the last", call.recv().await?.is_some(), false)
}
