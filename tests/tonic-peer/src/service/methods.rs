//! The methods.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use halfclose_interop::messages::{
    BoolValue, EchoStatus, Empty, Payload, SimpleRequest, SimpleResponse, StreamingInputCallRequest,
    StreamingInputCallResponse, StreamingOutputCallRequest, StreamingOutputCallResponse,
};
use halfclose_interop::methods::{ECHO_INITIAL, ECHO_TRAILING};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};

use super::{Responses, flags_of};

type UploadRequest = Request<Streaming<StreamingInputCallRequest>>;
type DuplexRequest = Request<Streaming<StreamingOutputCallRequest>>;
type DownloadResponse = Response<Responses<StreamingOutputCallResponse>>;
type ResponseSender = mpsc::Sender<Result<StreamingOutputCallResponse, Status>>;

pub(super) async fn empty_call(request: Request<Empty>) -> Result<Response<Empty>, Status> {
    let mut response = Response::new(Empty {});
    echo_initial(request.metadata(), response.metadata_mut());
    Ok(response)
}

pub(super) async fn cacheable_unary_call(
    _: Request<SimpleRequest>,
) -> Result<Response<SimpleResponse>, Status> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let payload = Some(Payload { r#type: 0, body: now.to_string().into() });
    let mut response = Response::new(SimpleResponse { payload, ..SimpleResponse::default() });
    response
        .metadata_mut()
        .insert("cache-control", tonic::metadata::MetadataValue::from_static("max-age=60, public"));
    Ok(response)
}

pub(super) async fn unary_call(request: Request<SimpleRequest>) -> Result<Response<SimpleResponse>, Status> {
    let mut response = Response::new(simple_response(&request)?);
    if !is_true(request.get_ref().response_compressed.as_ref()) {
        response.disable_compression();
    }
    echo_initial(request.metadata(), response.metadata_mut());
    Ok(response)
}

/// Answers a client that wants trailing metadata back.
pub(super) async fn unary_call_with_trailers(
    request: Request<SimpleRequest>,
) -> Result<Response<Responses<SimpleResponse>>, Status> {
    let message = simple_response(&request).map_err(|status| with_echo(status, request.metadata()))?;
    let last = well_ended(request.metadata());
    let messages = Box::pin(tokio_stream::iter([Ok(message), Err(last)])) as Responses<_>;
    let mut response = Response::new(messages);
    echo_initial(request.metadata(), response.metadata_mut());
    Ok(response)
}

fn simple_response(request: &Request<SimpleRequest>) -> Result<SimpleResponse, Status> {
    let wanted = request.get_ref();
    expect_compressed(wanted.expect_compressed.as_ref(), flags_of(request).next())?;
    echo_status(wanted.response_status.as_ref())?;
    let payload = Some(payload(wanted.response_type, wanted.response_size)?);
    Ok(SimpleResponse { payload, ..SimpleResponse::default() })
}

pub(super) async fn streaming_input_call(
    request: UploadRequest,
) -> Result<Response<StreamingInputCallResponse>, Status> {
    let flags = flags_of(&request);
    let mut requests = request.into_inner();
    let mut total = 0;
    while let Some(request) = requests.message().await? {
        expect_compressed(request.expect_compressed.as_ref(), flags.next())?;
        total += request.payload.map_or(0, |payload| payload.body.len());
    }
    let aggregated_payload_size = i32::try_from(total).unwrap_or(i32::MAX);
    Ok(Response::new(StreamingInputCallResponse { aggregated_payload_size }))
}

pub(super) async fn streaming_output_call(
    request: Request<StreamingOutputCallRequest>,
) -> Result<DownloadResponse, Status> {
    let metadata = request.metadata().clone();
    let wanted = request.into_inner();
    Ok(download(&metadata, |sender| async move { answer(&wanted, &sender).await }))
}

pub(super) async fn full_duplex_call(request: DuplexRequest) -> Result<DownloadResponse, Status> {
    let metadata = request.metadata().clone();
    let mut requests = request.into_inner();
    Ok(download(&metadata, |sender| async move {
        while let Some(request) = requests.message().await? {
            answer(&request, &sender).await?;
        }
        Ok(())
    }))
}

pub(super) async fn half_duplex_call(request: DuplexRequest) -> Result<DownloadResponse, Status> {
    let metadata = request.metadata().clone();
    let mut requests = request.into_inner();
    Ok(download(&metadata, |sender| async move {
        let mut all = Vec::new();
        while let Some(request) = requests.message().await? {
            all.push(request);
        }
        for request in &all {
            answer(request, &sender).await?;
        }
        Ok(())
    }))
}

/// Returns a response whose messages `send` sends in a task of its own, followed by the status.
fn download<F>(metadata: &MetadataMap, send: impl FnOnce(ResponseSender) -> F) -> DownloadResponse
where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(1);
    let (sending, last) = (send(sender.clone()), well_ended(metadata));
    tokio::spawn(async move {
        let status = sending.await.err().unwrap_or(last);
        // The call may be over.
        let _ = sender.send(Err(status)).await;
    });
    let mut response = Response::new(Box::pin(ReceiverStream::new(receiver)) as Responses<_>);
    echo_initial(metadata, response.metadata_mut());
    response
}

/// Sends what one request asks for.
async fn answer(request: &StreamingOutputCallRequest, sender: &ResponseSender) -> Result<(), Status> {
    echo_status(request.response_status.as_ref())?;
    for wanted in &request.response_parameters {
        if let Ok(micros @ 1..) = u64::try_from(wanted.interval_us) {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_micros(micros)) => {}
                () = sender.closed() => {}
            }
        }
        let payload = Some(payload(request.response_type, wanted.size)?);
        let sent = sender.send(Ok(StreamingOutputCallResponse { payload })).await;
        sent.map_err(|_| Status::cancelled("the call is over"))?;
    }
    Ok(())
}

/// Puts the one well-known key into the initial metadata.
fn echo_initial(received: &MetadataMap, initial: &mut MetadataMap) {
    for value in received.get_all(ECHO_INITIAL) {
        initial.append(ECHO_INITIAL, value.clone());
    }
}

/// Returns a status that carries both well-known keys.
fn with_echo(status: Status, received: &MetadataMap) -> Status {
    let mut metadata = trailing(received);
    echo_initial(received, &mut metadata);
    Status::with_metadata(status.code(), status.message(), metadata)
}

/// Returns the end of a successful call with the other well-known key, because tonic has trailing metadata in a
/// status only.
fn well_ended(received: &MetadataMap) -> Status {
    Status::with_metadata(Code::Ok, "", trailing(received))
}

fn trailing(received: &MetadataMap) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    for value in received.get_all_bin(ECHO_TRAILING) {
        metadata.append_bin(ECHO_TRAILING, value.clone());
    }
    metadata
}

/// Ends the call with the status that the request asks for, if that is another than OK.
fn echo_status(wanted: Option<&EchoStatus>) -> Result<(), Status> {
    match wanted {
        None | Some(EchoStatus { code: 0, .. }) => Ok(()),
        Some(EchoStatus { code: code @ 1..=16, message }) => Err(Status::new(Code::from_i32(*code), message)),
        Some(EchoStatus { code, .. }) => Err(Status::invalid_argument(format!("no status code {code}"))),
    }
}

fn expect_compressed(wanted: Option<&BoolValue>, came: bool) -> Result<(), Status> {
    match wanted {
        Some(wanted) if wanted.value != came => {
            Err(Status::invalid_argument(format!("a message came with the compressed flag {came}")))
        }
        _ => Ok(()),
    }
}

fn is_true(wanted: Option<&BoolValue>) -> bool {
    wanted.is_some_and(|wanted| wanted.value)
}

fn payload(kind: i32, size: i32) -> Result<Payload, Status> {
    match (kind, usize::try_from(size)) {
        (0, Ok(size)) => Ok(Payload::zeros(size)),
        (0, Err(_)) => Err(Status::invalid_argument(format!("a payload cannot have {size} bytes"))),
        _ => Err(Status::invalid_argument(format!("no payload type {kind}"))),
    }
}
