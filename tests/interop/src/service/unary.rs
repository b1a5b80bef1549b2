//! The methods with one request and one response.

use std::time::{SystemTime, UNIX_EPOCH};

use halfclose_driver::halfclose::Status;
use halfclose_driver::{Request, Response};

use super::wishes::{
    echo_metadata, echo_status, expect_compressed, gzip_not_accepted, is_true, offer_gzip, payload,
};
use crate::messages::{Empty, Payload, SimpleRequest, SimpleResponse};

pub(super) async fn empty_call(request: Request<Empty>) -> Result<Response<Empty>, Status> {
    echo_metadata(&request.context)?;
    Ok(Response::new(Empty {}))
}

pub(super) async fn unary_call(request: Request<SimpleRequest>) -> Result<Response<SimpleResponse>, Status> {
    let wanted = &request.message;
    let compress = is_true(wanted.response_compressed.as_ref());
    if compress && !offer_gzip(&request.context) {
        return Err(gzip_not_accepted());
    }
    echo_metadata(&request.context)?;
    expect_compressed(wanted.expect_compressed.as_ref(), request.compressed)?;
    echo_status(wanted.response_status.as_ref())?;
    let response = SimpleResponse {
        payload: payload(wanted.response_type, wanted.response_size)?,
        server_id: if wanted.fill_server_id { server_id() } else { String::new() },
        ..SimpleResponse::default()
    };
    let mut response = Response::new(response);
    response.compressed = compress;
    Ok(response)
}

pub(super) async fn cacheable_unary_call(
    request: Request<SimpleRequest>,
) -> Result<Response<SimpleResponse>, Status> {
    echo_metadata(&request.context)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let body = now.to_string().into();
    let response = SimpleResponse { payload: Some(Payload { r#type: 0, body }), ..SimpleResponse::default() };
    let mut response = Response::new(response);
    response
        .headers
        .append("cache-control", "max-age=60, public")
        .map_err(|error| Status::internal(error.to_string()))?;
    Ok(response)
}

/// Returns one value for each server instance.
fn server_id() -> String {
    format!("halfclose-{}", std::process::id())
}
