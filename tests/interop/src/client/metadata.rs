//! What is sent beside the messages: metadata and status.

use halfclose_driver::halfclose::{Code, Metadata};
use halfclose_driver::{CallError, CallOptions, Channel};

use super::failure::{Failure, check, equal, fails_with};
use super::payloads::{
    LARGE_REQUEST, LARGE_RESPONSE, check_large, check_payload, duplex_request, large_request,
};
use super::target::options;
use crate::messages::{EchoStatus, Empty, SimpleRequest, StreamingOutputCallRequest};
use crate::methods::{
    ECHO_INITIAL, ECHO_TRAILING, FULL_DUPLEX_CALL, UNARY_CALL, UNIMPLEMENTED_CALL, UNIMPLEMENTED_SERVICE_CALL,
};

const INITIAL: &str = "test_initial_metadata_value";
const TRAILING: [u8; 3] = [0xab; 3];
const SPECIAL: &str = "\t\ntest with whitespace\r\nand Unicode BMP \u{263a} and non-BMP \u{1f608}\t\n";

pub(super) async fn custom_metadata(channel: &Channel) -> Result<(), Failure> {
    let mut metadata = Metadata::new();
    let valid = |error| Failure::Check(format!("metadata: {error}"));
    metadata.append(ECHO_INITIAL, INITIAL).map_err(valid)?;
    metadata.append_bin(ECHO_TRAILING, &TRAILING).map_err(valid)?;
    let echoing = || options().metadata(metadata.clone());

    let response = channel.unary(&UNARY_CALL, &large_request(), echoing()).await?;
    check_large(&response.message)?;
    check_echo(&response.headers, &response.trailers)?;
    duplex_metadata(channel, echoing()).await
}

async fn duplex_metadata(channel: &Channel, echoing: CallOptions) -> Result<(), Failure> {
    let mut call = channel.bidi_streaming(&FULL_DUPLEX_CALL, echoing)?;
    call.send(&duplex_request(LARGE_REQUEST, &[LARGE_RESPONSE])).await?;
    call.close_send()?;
    let missing = || Failure::Check("no response".to_owned());
    let response = call.recv().await?.ok_or_else(missing)?;
    check_payload(response.payload.as_ref(), LARGE_RESPONSE)?;
    check(call.recv().await?.is_none(), || "more than one response".to_owned())?;
    let header = call.headers().await.cloned().unwrap_or_default();
    check_echo(&header, call.trailers().unwrap_or(&Metadata::new()))
}

/// Checks that each value was returned once, and in its place.
fn check_echo(header: &Metadata, trailer: &Metadata) -> Result<(), Failure> {
    let values = |metadata: &Metadata, name| metadata.get_all(name).map(<[u8]>::to_vec).collect::<Vec<_>>();
    equal("echo in the initial metadata", values(header, ECHO_INITIAL), vec![INITIAL.into()])?;
    equal("echo in the trailing metadata", values(trailer, ECHO_TRAILING), vec![TRAILING.into()])
}

pub(super) async fn status_code_and_message(channel: &Channel) -> Result<(), Failure> {
    let wanted = "test status message";
    check_message(&unary_status(channel, wanted).await?, wanted)?;

    let mut call = channel.bidi_streaming(&FULL_DUPLEX_CALL, options())?;
    let response_status = Some(EchoStatus { code: 2, message: wanted.to_owned() });
    call.send(&StreamingOutputCallRequest { response_status, ..duplex_request(0, &[]) }).await?;
    // A fast server has ended the call by now, and its status is what counts.
    let _ = call.close_send();
    check_message(&fails_with(call.recv().await, Code::Unknown)?, wanted)
}

pub(super) async fn special_status_message(channel: &Channel) -> Result<(), Failure> {
    check_message(&unary_status(channel, SPECIAL).await?, SPECIAL)
}

async fn unary_status(channel: &Channel, message: &str) -> Result<CallError, Failure> {
    let response_status = Some(EchoStatus { code: 2, message: message.to_owned() });
    let request = SimpleRequest { response_status, ..SimpleRequest::default() };
    fails_with(channel.unary(&UNARY_CALL, &request, options()).await, Code::Unknown)
}

fn check_message(error: &CallError, wanted: &str) -> Result<(), Failure> {
    equal("status message", error.status().message(), wanted)
}

pub(super) async fn unimplemented_method(channel: &Channel) -> Result<(), Failure> {
    let result = channel.unary(&UNIMPLEMENTED_CALL, &Empty {}, options()).await;
    fails_with(result, Code::Unimplemented).map(drop)
}

pub(super) async fn unimplemented_service(channel: &Channel) -> Result<(), Failure> {
    let result = channel.unary(&UNIMPLEMENTED_SERVICE_CALL, &Empty {}, options()).await;
    fails_with(result, Code::Unimplemented).map(drop)
}
