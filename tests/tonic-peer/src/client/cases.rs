//! The core cases.

use std::time::Duration;

use halfclose_interop::messages::{Empty, Payload, StreamingInputCallRequest, StreamingOutputCallRequest};
use halfclose_interop::methods::{UNIMPLEMENTED_CALL, UNIMPLEMENTED_SERVICE_CALL};
use tonic::{Code, Status};

use super::calls::{
    Client, DOWNLOAD_SIZES, UPLOAD_SIZES, asking_for, duplex_request, echo, ended, limited, next, requests,
};
use super::{Checked, Failure, check, equal, fails_with};

const SPECIAL: &str = "\t\ntest with whitespace\r\nand Unicode BMP \u{263a} and non-BMP \u{1f608}\t\n";

pub(super) async fn client_streaming(client: &Client) -> Checked {
    let requests = UPLOAD_SIZES.map(|size| StreamingInputCallRequest {
        payload: Some(Payload::zeros(size)),
        expect_compressed: None,
    });
    equal("aggregated_payload_size", client.upload(tokio_stream::iter(requests)).await?, 74_922)
}

pub(super) async fn server_streaming(client: &Client) -> Checked {
    let mut responses = client.download(duplex_request(0, &DOWNLOAD_SIZES)).await?;
    for size in DOWNLOAD_SIZES {
        next(&mut responses, size).await?;
    }
    ended(responses).await
}

pub(super) async fn ping_pong(client: &Client) -> Checked {
    let mut rounds = UPLOAD_SIZES.into_iter().zip(DOWNLOAD_SIZES);
    let Some((request, response)) = rounds.next() else { return Ok(()) };
    let (sender, mut responses) = client.conversation(duplex_request(request, &[response])).await?;
    next(&mut responses, response).await?;
    for (request, response) in rounds {
        // A call that is over reports so by its status.
        let _ = sender.send(duplex_request(request, &[response])).await;
        next(&mut responses, response).await?;
    }
    drop(sender);
    ended(responses).await
}

pub(super) async fn empty_stream(client: &Client) -> Checked {
    let (sender, requests) = requests();
    drop(sender);
    ended(client.duplex(requests).await?.into_inner()).await
}

pub(super) async fn status_code_and_message(client: &Client) -> Checked {
    let wanted = "test status message";
    let status = fails_with(client.unary(limited(asking_for(wanted))).await, Code::Unknown)?;
    equal("status message", status.message(), wanted)?;

    let request = StreamingOutputCallRequest { response_status: Some(echo(wanted)), ..Default::default() };
    let (sender, requests) = requests();
    let _ = sender.send(request).await;
    drop(sender);
    // The status may arrive with the headers or after them.
    let result = async { client.duplex(requests).await?.into_inner().message().await }.await;
    equal("status message", fails_with(result, Code::Unknown)?.message(), wanted)
}

pub(super) async fn special_status_message(client: &Client) -> Checked {
    let status = fails_with(client.unary(limited(asking_for(SPECIAL))).await, Code::Unknown)?;
    equal("status message", status.message(), SPECIAL)
}

pub(super) async fn unimplemented_method(client: &Client) -> Checked {
    let result = client.call::<Empty, Empty>(UNIMPLEMENTED_CALL.path(), limited(Empty {})).await;
    fails_with(result, Code::Unimplemented).map(drop)
}

pub(super) async fn unimplemented_service(client: &Client) -> Checked {
    let result = client.call::<Empty, Empty>(UNIMPLEMENTED_SERVICE_CALL.path(), limited(Empty {})).await;
    fails_with(result, Code::Unimplemented).map(drop)
}

pub(super) async fn cancel_after_begin(client: &Client) -> Checked {
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.upload(tokio_stream::pending()).await }
    });
    // The answer to a later call shows that the headers were sent; at the end another shows the same of the reset.
    client.empty().await?;
    call.abort();
    check(call.await.is_err(), || "the call ended before it was cancelled".to_owned())?;
    client.empty().await
}

pub(super) async fn cancel_after_first_response(client: &Client) -> Checked {
    cancelled(client).await?;
    client.empty().await
}

/// Drops a call when its first response has arrived.
pub(super) async fn cancelled(client: &Client) -> Checked {
    let (_sender, mut responses) = client.conversation(duplex_request(27_182, &[31_415])).await?;
    next(&mut responses, 31_415).await
}

pub(super) async fn timeout_on_sleeping_server(client: &Client) -> Checked {
    let (sender, mut requests) = requests();
    requests.set_timeout(Duration::from_millis(1));
    let _ = sender.send(duplex_request(27_182, &[])).await;
    let result = async { client.duplex(requests).await?.into_inner().message().await }.await;
    out_of_time(result)
}

/// Checks that the call exceeded its deadline. tonic's own timer reports CANCELLED, "Timeout expired".
pub(super) fn out_of_time<T>(result: Result<T, Status>) -> Checked {
    match result {
        Err(status) if status.code() == Code::DeadlineExceeded => Ok(()),
        Err(status) if status.code() == Code::Cancelled && status.message() == "Timeout expired" => Ok(()),
        Err(status) => Err(Failure::Call { status: Box::new(status), wanted: "DEADLINE_EXCEEDED" }),
        Ok(_) => Err(Failure::Check("the call succeeded, want DEADLINE_EXCEEDED".to_owned())),
    }
}
