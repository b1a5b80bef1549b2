//! The methods with a stream of requests or of responses.

use std::time::Duration;

use halfclose_driver::halfclose::Status;
use halfclose_driver::{
    BidiStreamingServer, ClientStreamingServer, Prost, Request, Response, SendError, ServerStreamingServer,
};

use super::wishes::{
    echo_metadata, echo_status, expect_compressed, gzip_not_accepted, is_true, offer_gzip, payload,
};
use crate::messages::{
    StreamingInputCallRequest, StreamingInputCallResponse, StreamingOutputCallRequest,
    StreamingOutputCallResponse,
};
use crate::runtime::Sleep;

/// The most responses that HalfDuplexCall remembers.
const MAX_REMEMBERED: usize = 100_000;

type Upload = ClientStreamingServer<StreamingInputCallRequest, StreamingInputCallResponse, Prost>;
type Download = ServerStreamingServer<StreamingOutputCallResponse, Prost>;
type Duplex = BidiStreamingServer<StreamingOutputCallRequest, StreamingOutputCallResponse, Prost>;

pub(super) async fn streaming_input_call(
    mut call: Upload,
) -> Result<Response<StreamingInputCallResponse>, Status> {
    echo_metadata(call.context())?;
    let mut total = 0_i32;
    while let Some(request) = call.recv().await? {
        expect_compressed(request.expect_compressed.as_ref(), call.was_compressed())?;
        let size = request.payload.map_or(0, |payload| payload.body.len());
        total = i32::try_from(size)
            .ok()
            .and_then(|size| total.checked_add(size))
            .ok_or_else(|| Status::out_of_range("more bytes than the answer can tell"))?;
    }
    Ok(call.send_and_close(StreamingInputCallResponse { aggregated_payload_size: total }))
}

pub(super) async fn streaming_output_call(
    sleep: Sleep,
    request: Request<StreamingOutputCallRequest>,
    mut call: Download,
) -> Result<(), Status> {
    let wanted = &request.message.response_parameters;
    let gzip = wanted.iter().any(|one| is_true(one.compressed.as_ref())) && offer_gzip(call.context());
    echo_metadata(call.context())?;
    answer(sleep, gzip, &request.message, &mut call).await
}

pub(super) async fn full_duplex_call(sleep: Sleep, mut call: Duplex) -> Result<(), Status> {
    // The response headers do not wait for the first request, so what the requests ask for is not known yet.
    let gzip = offer_gzip(call.context());
    echo_metadata(call.context())?;
    while let Some(request) = call.recv().await? {
        answer(sleep, gzip, &request, &mut call).await?;
    }
    Ok(())
}

pub(super) async fn half_duplex_call(sleep: Sleep, mut call: Duplex) -> Result<(), Status> {
    let gzip = offer_gzip(call.context());
    echo_metadata(call.context())?;
    let mut requests = Vec::new();
    let mut remembered = 0;
    while let Some(request) = call.recv().await? {
        remembered += 1 + request.response_parameters.len();
        if remembered > MAX_REMEMBERED {
            return Err(Status::resource_exhausted("too much to answer at the end"));
        }
        requests.push(StreamingOutputCallRequest { payload: None, ..request });
    }
    for request in &requests {
        answer(sleep, gzip, request, &mut call).await?;
    }
    Ok(())
}

/// Sends what one request asks for.
async fn answer(
    sleep: Sleep,
    gzip: bool,
    request: &StreamingOutputCallRequest,
    call: &mut impl Responses,
) -> Result<(), Status> {
    echo_status(request.response_status.as_ref())?;
    for wanted in &request.response_parameters {
        let compress = is_true(wanted.compressed.as_ref());
        if compress && !gzip {
            return Err(gzip_not_accepted());
        }
        let response = StreamingOutputCallResponse { payload: payload(request.response_type, wanted.size)? };
        if let Ok(micros @ 1..) = u64::try_from(wanted.interval_us) {
            sleep(Duration::from_micros(micros)).await;
        }
        call.respond(&response, compress).await?;
    }
    Ok(())
}

/// A sender of a stream of responses.
trait Responses: Send {
    fn respond(
        &mut self,
        response: &StreamingOutputCallResponse,
        compress: bool,
    ) -> impl Future<Output = Result<(), SendError>> + Send;
}

impl Responses for Download {
    async fn respond(
        &mut self,
        response: &StreamingOutputCallResponse,
        compress: bool,
    ) -> Result<(), SendError> {
        self.set_compress(compress);
        self.send(response).await
    }
}

impl Responses for Duplex {
    async fn respond(
        &mut self,
        response: &StreamingOutputCallResponse,
        compress: bool,
    ) -> Result<(), SendError> {
        self.set_compress(compress);
        self.send(response).await
    }
}
