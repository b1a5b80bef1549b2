//! Metadata, and cases beyond the official ones.

use std::time::Duration;

use halfclose_interop::messages::SimpleRequest;
use halfclose_interop::methods::{ECHO_INITIAL, ECHO_TRAILING};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Request};

use super::calls::{
    Client, LARGE_REQUEST, LARGE_RESPONSE, asking_for, check_large, duplex_request, ended, large_request,
    limited, next, requests,
};
use super::{Checked, Failure, check, equal, fails_with};

const INITIAL: &str = "test_initial_metadata_value";
const TRAILING: &[u8] = &[0xab; 3];
/// The time limit for headers that are sent at once.
const HEADERS: Duration = Duration::from_secs(5);

fn echoing<T>(mut request: Request<T>, initial: &'static str, trailing: &[u8]) -> Request<T> {
    request.metadata_mut().insert(ECHO_INITIAL, MetadataValue::from_static(initial));
    request.metadata_mut().insert_bin(ECHO_TRAILING, MetadataValue::from_bytes(trailing));
    request
}

pub(super) async fn custom_metadata(client: &Client) -> Checked {
    // tonic puts the trailers of a unary response into the one map of its metadata.
    let response = client.unary(echoing(limited(large_request()), INITIAL, TRAILING)).await?;
    check_large(response.get_ref())?;
    check_initial(response.metadata(), INITIAL)?;
    check_trailing(response.metadata(), TRAILING)?;

    let (sender, requests) = requests();
    let _ = sender.send(duplex_request(LARGE_REQUEST, &[LARGE_RESPONSE])).await;
    drop(sender);
    let response = client.duplex(echoing(requests, INITIAL, TRAILING)).await?;
    check_initial(response.metadata(), INITIAL)?;
    let mut responses = response.into_inner();
    next(&mut responses, LARGE_RESPONSE).await?;
    check(responses.message().await?.is_none(), || "more than one response".to_owned())?;
    check_trailing(&responses.trailers().await?.unwrap_or_default(), TRAILING)
}

fn check_initial(metadata: &MetadataMap, wanted: &str) -> Checked {
    let values: Vec<_> =
        metadata.get_all(ECHO_INITIAL).iter().map(|value| value.as_bytes().to_vec()).collect();
    equal("echo in the initial metadata", values, vec![wanted.into()])
}

fn check_trailing(metadata: &MetadataMap, wanted: &[u8]) -> Checked {
    let values = metadata.get_all_bin(ECHO_TRAILING);
    let values: Vec<_> = values.iter().map(|value| value.to_bytes().map(Vec::from)).collect();
    equal(
        "echo in the trailing metadata",
        format!("{values:?}"),
        format!("{:?}", [Ok::<_, ()>(wanted.to_vec())]),
    )
}

/// Checks that a status message with spaces at its ends is returned whole, and so are bytes in metadata.
pub(super) async fn spaces_at_the_ends(client: &Client) -> Checked {
    for message in [" before", "after ", "  both  ", " "] {
        let status = fails_with(client.unary(limited(asking_for(message))).await, Code::Unknown)?;
        equal("status message", status.message(), message)?;
    }
    let request: Request<SimpleRequest> = limited(asking_for(" with metadata "));
    let result = client.unary(echoing(request, "  in the middle  ", b" \0 ")).await;
    let status = fails_with(result, Code::Unknown)?;
    equal("status message", status.message(), " with metadata ")?;
    check_trailing(status.metadata(), b" \0 ")
}

/// Sends the first request when the headers have arrived, as users of tonic do who await the call first; only a
/// server that sends them early serves it.
pub(super) async fn waits_for_headers(client: &Client) -> Checked {
    let (sender, mut requests) = requests();
    requests.set_timeout(HEADERS);
    let mut responses = client.duplex(requests).await?.into_inner();
    let sent = sender.send(duplex_request(8, &[9])).await;
    sent.map_err(|_| Failure::Check("the call is over".to_owned()))?;
    next(&mut responses, 9).await?;
    drop(sender);
    ended(responses).await
}
