//! The calls of `grpc.testing.TestService` as tonic's code generator would write them, and their messages.

use std::time::Duration;

use halfclose_interop::messages::{
    EchoStatus, Empty, Payload, ResponseParameters, SimpleRequest, SimpleResponse, StreamingInputCallRequest,
    StreamingInputCallResponse, StreamingOutputCallRequest, StreamingOutputCallResponse,
};
use halfclose_interop::methods::{
    EMPTY_CALL, FULL_DUPLEX_CALL, STREAMING_INPUT_CALL, STREAMING_OUTPUT_CALL, UNARY_CALL,
};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::{CALL_LIMIT, Checked, Failure, check, equal};

pub(super) const LARGE_REQUEST: usize = 271_828;
pub(super) const LARGE_RESPONSE: usize = 314_159;
pub(super) const UPLOAD_SIZES: [usize; 4] = [27_182, 8, 1_828, 45_904];
pub(super) const DOWNLOAD_SIZES: [usize; 4] = [31_415, 9, 2_653, 58_979];

type Downloading = Streaming<StreamingOutputCallResponse>;

/// The sender of a call's stream of requests.
pub(super) type RequestSender = mpsc::Sender<StreamingOutputCallRequest>;

/// A client on one connection.
#[derive(Clone, Debug)]
pub(super) struct Client {
    grpc: Grpc<Channel>,
}

impl Client {
    pub(super) fn new(channel: Channel) -> Self {
        Self { grpc: Grpc::new(channel).accept_compressed(CompressionEncoding::Gzip) }
    }

    /// Returns a client on the same connection whose requests are compressed.
    pub(super) fn compressing(&self) -> Self {
        Self { grpc: self.grpc.clone().send_compressed(CompressionEncoding::Gzip) }
    }

    async fn ready(&self) -> Result<Grpc<Channel>, Status> {
        let mut grpc = self.grpc.clone();
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(grpc)
    }

    /// Makes a call with one request and one response, of any method.
    pub(super) async fn call<Req, Res>(
        &self,
        path: &'static str,
        request: Request<Req>,
    ) -> Result<Response<Res>, Status>
    where
        Req: Message + Send + Sync + 'static,
        Res: Message + Default + Send + Sync + 'static,
    {
        let codec = ProstCodec::<Req, Res>::default();
        self.ready().await?.unary(request, PathAndQuery::from_static(path), codec).await
    }

    pub(super) async fn unary(
        &self,
        request: Request<SimpleRequest>,
    ) -> Result<Response<SimpleResponse>, Status> {
        self.call(UNARY_CALL.path(), request).await
    }

    pub(super) async fn upload(
        &self,
        requests: impl Stream<Item = StreamingInputCallRequest> + Send + 'static,
    ) -> Result<i32, Status> {
        let codec = ProstCodec::<StreamingInputCallRequest, StreamingInputCallResponse>::default();
        let path = PathAndQuery::from_static(STREAMING_INPUT_CALL.path());
        let response = self.ready().await?.client_streaming(limited(requests), path, codec).await?;
        Ok(response.into_inner().aggregated_payload_size)
    }

    pub(super) async fn download(&self, request: StreamingOutputCallRequest) -> Result<Downloading, Status> {
        let codec = ProstCodec::<StreamingOutputCallRequest, StreamingOutputCallResponse>::default();
        let path = PathAndQuery::from_static(STREAMING_OUTPUT_CALL.path());
        Ok(self.ready().await?.server_streaming(limited(request), path, codec).await?.into_inner())
    }

    /// Makes a call with streams both ways. Returns the response when its headers have arrived.
    pub(super) async fn duplex(
        &self,
        requests: Request<ReceiverStream<StreamingOutputCallRequest>>,
    ) -> Result<Response<Downloading>, Status> {
        let codec = ProstCodec::<StreamingOutputCallRequest, StreamingOutputCallResponse>::default();
        let path = PathAndQuery::from_static(FULL_DUPLEX_CALL.path());
        self.ready().await?.streaming(requests, path, codec).await
    }

    /// Makes a call with streams both ways whose first request is sent before it waits for the response headers.
    pub(super) async fn conversation(
        &self,
        first: StreamingOutputCallRequest,
    ) -> Result<(RequestSender, Downloading), Failure> {
        let (sender, requests) = requests();
        sender.send(first).await.map_err(|_| Failure::Check("the call is over".to_owned()))?;
        Ok((sender, self.duplex(requests).await?.into_inner()))
    }

    pub(super) async fn empty(&self) -> Checked {
        self.call::<Empty, Empty>(EMPTY_CALL.path(), limited(Empty {})).await?;
        Ok(())
    }

    pub(super) async fn large(&self, request: SimpleRequest) -> Checked {
        self.large_within(CALL_LIMIT, request).await
    }

    pub(super) async fn large_within(&self, limit: Duration, request: SimpleRequest) -> Checked {
        let mut request = Request::new(request);
        request.set_timeout(limit);
        check_large(self.unary(request).await?.get_ref())
    }
}

/// Returns a request with the deadline of every call.
pub(super) fn limited<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_LIMIT);
    request
}

/// Returns the sender and the stream of a call's requests.
pub(super) fn requests() -> (RequestSender, Request<ReceiverStream<StreamingOutputCallRequest>>) {
    let (sender, receiver) = mpsc::channel(4);
    (sender, limited(ReceiverStream::new(receiver)))
}

pub(super) fn large_request() -> SimpleRequest {
    SimpleRequest {
        response_size: size(LARGE_RESPONSE),
        payload: Some(Payload::zeros(LARGE_REQUEST)),
        ..SimpleRequest::default()
    }
}

/// Returns a request for a status.
pub(super) fn asking_for(message: &str) -> SimpleRequest {
    SimpleRequest { response_status: Some(echo(message)), ..SimpleRequest::default() }
}

pub(super) fn echo(message: &str) -> EchoStatus {
    EchoStatus { code: 2, message: message.to_owned() }
}

/// Returns a request for responses of these sizes, with a payload.
pub(super) fn duplex_request(request: usize, responses: &[usize]) -> StreamingOutputCallRequest {
    let parameters = |&bytes| ResponseParameters { size: size(bytes), ..ResponseParameters::default() };
    StreamingOutputCallRequest {
        response_parameters: responses.iter().map(parameters).collect(),
        payload: (request > 0).then(|| Payload::zeros(request)),
        ..StreamingOutputCallRequest::default()
    }
}

/// Returns a size as the messages carry it. Sizes here are far below the limit of the field.
pub(super) fn size(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

pub(super) fn check_large(response: &SimpleResponse) -> Checked {
    check_payload(response.payload.as_ref(), LARGE_RESPONSE)
}

/// Checks that a payload is `bytes` zeros.
pub(super) fn check_payload(payload: Option<&Payload>, bytes: usize) -> Checked {
    let none = Payload::default();
    let body = &payload.unwrap_or(&none).body;
    equal("bytes in the payload", body.len(), bytes)?;
    check(body.iter().all(|&byte| byte == 0), || "the payload is not all zeros".to_owned())
}

/// Receives a response that must be there and have this size.
pub(super) async fn next(responses: &mut Downloading, bytes: usize) -> Checked {
    let missing = || Failure::Check("fewer responses than were asked for".to_owned());
    let response = responses.message().await?.ok_or_else(missing)?;
    check_payload(response.payload.as_ref(), bytes)
}

/// Checks that the call succeeds now, without another response.
pub(super) async fn ended(mut responses: Downloading) -> Checked {
    check(responses.message().await?.is_none(), || "more responses than were asked for".to_owned())
}
