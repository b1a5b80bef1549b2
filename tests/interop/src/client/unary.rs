//! Unary calls.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use halfclose_driver::{CallOptions, Channel, Method, Raw};

use super::failure::{Failure, equal};
use super::payloads::{check_large, check_payload, large_request, sized_request};
use super::target::options;
use crate::methods::{EMPTY_CALL, UNARY_CALL};

/// Calls of `concurrent_large_unary`.
const CONCURRENT: usize = 1_000;

/// The deadline of calls that are all made at once: more than any peer needs for all of them.
const AT_ONCE_LIMIT: Duration = Duration::from_secs(80);

pub(crate) async fn empty_unary(channel: &Channel) -> Result<(), Failure> {
    // As bytes, because a message of unknown fields would decode to an empty one too.
    let method: Method<Bytes, Bytes, Raw> = Method::new(EMPTY_CALL.path());
    let response = channel.unary(&method, &Bytes::new(), options()).await?;
    equal("bytes in the response", response.message.len(), 0)
}

pub(crate) async fn small_unary(channel: &Channel) -> Result<(), Failure> {
    let response = channel.unary(&UNARY_CALL, &sized_request(10, 10), options()).await?;
    check_payload(response.message.payload.as_ref(), 10)
}

pub(crate) async fn large_unary(channel: &Channel) -> Result<(), Failure> {
    large_within(channel, options()).await
}

async fn large_within(channel: &Channel, options: CallOptions) -> Result<(), Failure> {
    let response = channel.unary(&UNARY_CALL, &large_request(), options).await?;
    check_large(&response.message)
}

pub(crate) async fn concurrent_large_unary(channel: &Channel) -> Result<(), Failure> {
    at_once(channel, CONCURRENT).await
}

/// Makes `calls` large calls, all started before the first is awaited.
pub(crate) async fn at_once(channel: &Channel, calls: usize) -> Result<(), Failure> {
    let options = CallOptions::new().timeout(AT_ONCE_LIMIT);
    try_join_all((0..calls).map(|_| large_within(channel, options.clone()))).await.map(drop)
}
