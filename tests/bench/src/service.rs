//! `grpc.testing.BenchmarkService`: its messages, and the answers of its methods.

use bytes::Bytes;
pub use halfclose_interop::messages::{Payload, SimpleRequest, SimpleResponse};

/// One request, one response.
pub const UNARY_CALL: &str = "/grpc.testing.BenchmarkService/UnaryCall";
/// A response to every request.
pub const STREAMING_CALL: &str = "/grpc.testing.BenchmarkService/StreamingCall";
/// Many requests, one response at their end.
pub const STREAMING_FROM_CLIENT: &str = "/grpc.testing.BenchmarkService/StreamingFromClient";
/// One request, responses until the client cancels.
pub const STREAMING_FROM_SERVER: &str = "/grpc.testing.BenchmarkService/StreamingFromServer";

/// The bytes of every payload that is not larger; its content does not affect the measurement.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Returns a payload of `bytes` bytes.
#[must_use]
pub fn payload(bytes: usize) -> Option<Payload> {
    let body = match ZEROS.get(..bytes) {
        Some(zeros) => Bytes::from_static(zeros),
        None => Bytes::from(vec![0; bytes]),
    };
    Some(Payload { r#type: 0, body })
}

/// A request that carries `bytes` and asks for `response`.
#[must_use]
pub fn request(bytes: usize, response: usize) -> SimpleRequest {
    SimpleRequest {
        response_size: i32::try_from(response).unwrap_or(i32::MAX),
        payload: payload(bytes),
        ..SimpleRequest::default()
    }
}

/// What a request asks for.
#[must_use]
pub fn response(request: &SimpleRequest) -> SimpleResponse {
    let bytes = usize::try_from(request.response_size).unwrap_or(0);
    SimpleResponse { payload: payload(bytes), ..SimpleResponse::default() }
}

/// Bytes in a response's payload.
#[must_use]
pub fn response_bytes(response: &SimpleResponse) -> usize {
    response.payload.as_ref().map_or(0, |payload| payload.body.len())
}
