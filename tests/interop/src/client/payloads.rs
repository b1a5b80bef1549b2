//! The messages that several cases send and expect.

use super::failure::{Failure, check, equal};
use crate::messages::{
    BoolValue, Payload, PayloadType, ResponseParameters, SimpleRequest, SimpleResponse,
    StreamingOutputCallRequest,
};

pub(super) const LARGE_REQUEST: usize = 271_828;
pub(super) const LARGE_RESPONSE: usize = 314_159;
pub(super) const UPLOAD_SIZES: [usize; 4] = [27_182, 8, 1_828, 45_904];
pub(super) const DOWNLOAD_SIZES: [usize; 4] = [31_415, 9, 2_653, 58_979];

/// A size as the messages carry it. Sizes here are far below the limit of the field.
pub(super) fn size(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

pub(super) fn boolean(value: bool) -> Option<BoolValue> {
    Some(BoolValue { value })
}

pub(super) fn large_request() -> SimpleRequest {
    sized_request(LARGE_REQUEST, LARGE_RESPONSE)
}

pub(crate) fn sized_request(request: usize, response: usize) -> SimpleRequest {
    SimpleRequest {
        response_type: PayloadType::Compressable.into(),
        response_size: size(response),
        payload: Some(Payload::zeros(request)),
        ..SimpleRequest::default()
    }
}

/// A request for responses of these sizes, with a payload.
pub(crate) fn duplex_request(request: usize, responses: &[usize]) -> StreamingOutputCallRequest {
    let parameters = |&bytes| ResponseParameters { size: size(bytes), ..ResponseParameters::default() };
    StreamingOutputCallRequest {
        response_type: PayloadType::Compressable.into(),
        response_parameters: responses.iter().map(parameters).collect(),
        payload: (request > 0).then(|| Payload::zeros(request)),
        response_status: None,
    }
}

/// Returns this many zeros, of the type that was asked for.
pub(crate) fn check_payload(payload: Option<&Payload>, bytes: usize) -> Result<(), Failure> {
    let none = Payload::default();
    let payload = payload.unwrap_or(&none);
    equal("payload type", payload.r#type, PayloadType::Compressable.into())?;
    equal("bytes in the payload", payload.body.len(), bytes)?;
    check(payload.body.iter().all(|&byte| byte == 0), || "the payload is not all zeros".to_owned())
}

pub(super) fn check_large(response: &SimpleResponse) -> Result<(), Failure> {
    check_payload(response.payload.as_ref(), LARGE_RESPONSE)
}
