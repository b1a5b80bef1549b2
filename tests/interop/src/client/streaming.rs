//! Uploads, downloads and conversations.

use halfclose_driver::{Channel, ServerStreaming};

use super::failure::{Failure, check, equal};
use super::payloads::{DOWNLOAD_SIZES, UPLOAD_SIZES, check_payload, duplex_request};
use super::target::options;
use crate::messages::{Payload, StreamingInputCallRequest, StreamingOutputCallResponse};
use crate::methods::{FULL_DUPLEX_CALL, STREAMING_INPUT_CALL, STREAMING_OUTPUT_CALL};

pub(crate) async fn client_streaming(channel: &Channel) -> Result<(), Failure> {
    let mut call = channel.client_streaming(&STREAMING_INPUT_CALL, options())?;
    for bytes in UPLOAD_SIZES {
        let payload = Some(Payload::zeros(bytes));
        // A call that has ended says why when its response is asked for.
        let _ = call.send(&StreamingInputCallRequest { payload, expect_compressed: None }).await;
    }
    let response = call.close_and_recv().await?;
    equal("aggregated_payload_size", response.message.aggregated_payload_size, 74_922)
}

pub(crate) async fn server_streaming(channel: &Channel) -> Result<(), Failure> {
    let request = duplex_request(0, &DOWNLOAD_SIZES);
    let mut call = channel.server_streaming(&STREAMING_OUTPUT_CALL, &request, options()).await?;
    for bytes in DOWNLOAD_SIZES {
        check_payload(next(&mut call).await?.payload.as_ref(), bytes)?;
    }
    check(call.recv().await?.is_none(), || "more responses than were asked for".to_owned())
}

/// The next response, which must be there.
pub(crate) async fn next<C>(
    call: &mut ServerStreaming<StreamingOutputCallResponse, C>,
) -> Result<StreamingOutputCallResponse, Failure>
where
    C: halfclose_driver::Codec<StreamingOutputCallResponse>,
{
    let missing = || Failure::Check("fewer responses than were asked for".to_owned());
    call.recv().await?.ok_or_else(missing)
}

pub(crate) async fn ping_pong(channel: &Channel) -> Result<(), Failure> {
    let mut call = channel.bidi_streaming(&FULL_DUPLEX_CALL, options())?;
    for (request, response) in UPLOAD_SIZES.into_iter().zip(DOWNLOAD_SIZES) {
        // A call that has ended says why on its receiving side.
        let _ = call.send(&duplex_request(request, &[response])).await;
        let missing = || Failure::Check("the stream ended before every request was answered".to_owned());
        let answer = call.recv().await?.ok_or_else(missing)?;
        check_payload(answer.payload.as_ref(), response)?;
    }
    let _ = call.close_send();
    check(call.recv().await?.is_none(), || "a response after the half-close".to_owned())
}

pub(crate) async fn empty_stream(channel: &Channel) -> Result<(), Failure> {
    let mut call = channel.bidi_streaming(&FULL_DUPLEX_CALL, options())?;
    call.close_send()?;
    check(call.recv().await?.is_none(), || "a response to no request".to_owned())
}
