//! Messages that must be compressed, and messages that must not be.

use halfclose_driver::halfclose::Code;
use halfclose_driver::halfclose::grpc::encoding::Encoding;
use halfclose_driver::{CallOptions, Channel};

use super::failure::{Failure, check, equal, fails_with};
use super::payloads::{boolean, check_large, check_payload, large_request, size};
use super::streaming::next;
use super::target::options;
use crate::messages::{
    Payload, ResponseParameters, SimpleRequest, StreamingInputCallRequest, StreamingOutputCallRequest,
};
use crate::methods::{STREAMING_INPUT_CALL, STREAMING_OUTPUT_CALL, UNARY_CALL};

fn gzip() -> CallOptions {
    options().encoding(Encoding::Gzip)
}

pub(super) async fn client_compressed_unary(channel: &Channel) -> Result<(), Failure> {
    let compressed = SimpleRequest { expect_compressed: boolean(true), ..large_request() };
    let uncompressed = SimpleRequest { expect_compressed: boolean(false), ..large_request() };

    // A probe: a server that ignores the flag would accept it, and the rest would prove nothing.
    fails_with(channel.unary(&UNARY_CALL, &compressed, options()).await, Code::InvalidArgument)?;
    check_large(&channel.unary(&UNARY_CALL, &compressed, gzip()).await?.message)?;
    check_large(&channel.unary(&UNARY_CALL, &uncompressed, options()).await?.message)
}

pub(super) async fn server_compressed_unary(channel: &Channel) -> Result<(), Failure> {
    for compressed in [true, false] {
        let request = SimpleRequest { response_compressed: boolean(compressed), ..large_request() };
        let response = channel.unary(&UNARY_CALL, &request, options()).await?;
        equal("the response came compressed", response.compressed, compressed)?;
        check_large(&response.message)?;
    }
    Ok(())
}

pub(super) async fn client_compressed_streaming(channel: &Channel) -> Result<(), Failure> {
    let request = |bytes, compressed| StreamingInputCallRequest {
        payload: Some(Payload::zeros(bytes)),
        expect_compressed: boolean(compressed),
    };

    let mut probe = channel.client_streaming(&STREAMING_INPUT_CALL, options())?;
    probe.send(&request(27_182, true)).await?;
    fails_with(probe.close_and_recv().await, Code::InvalidArgument)?;

    let mut call = channel.client_streaming(&STREAMING_INPUT_CALL, gzip())?;
    call.send(&request(27_182, true)).await?;
    call.set_compress(false);
    call.send(&request(45_904, false)).await?;
    let response = call.close_and_recv().await?;
    equal("aggregated_payload_size", response.message.aggregated_payload_size, 73_086)
}

pub(super) async fn server_compressed_streaming(channel: &Channel) -> Result<(), Failure> {
    let wanted = [(31_415, true), (92_653, false)];
    let parameters = |(bytes, compressed)| ResponseParameters {
        size: size(bytes),
        interval_us: 0,
        compressed: boolean(compressed),
    };
    let request = StreamingOutputCallRequest {
        response_parameters: wanted.into_iter().map(parameters).collect(),
        ..StreamingOutputCallRequest::default()
    };
    let mut call = channel.server_streaming(&STREAMING_OUTPUT_CALL, &request, options()).await?;
    for (bytes, compressed) in wanted {
        let response = next(&mut call).await?;
        equal("the response came compressed", call.was_compressed(), compressed)?;
        check_payload(response.payload.as_ref(), bytes)?;
    }
    check(call.recv().await?.is_none(), || "more responses than were asked for".to_owned())
}
