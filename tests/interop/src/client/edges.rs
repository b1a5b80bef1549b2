//! Cases beyond the official ones: behaviour of real peers in edge cases of status, metadata and headers.

use halfclose_driver::halfclose::{Cause, Code, Initiator, Metadata};
use halfclose_driver::{CallOptions, Channel};

use super::failure::{Failure, check, equal, fails_with};
use super::payloads::{check_payload, duplex_request};
use super::target::options;
use crate::messages::{EchoStatus, SimpleRequest};
use crate::methods::{ECHO_INITIAL, ECHO_TRAILING, FULL_DUPLEX_CALL, UNARY_CALL};

const SPACED: [&str; 4] = [" before", "after ", "  both  ", " "];
const SPACED_OCTETS: &[u8] = b" \0 ";

fn asking_for(message: &str) -> SimpleRequest {
    let response_status = Some(EchoStatus { code: 2, message: message.to_owned() });
    SimpleRequest { response_status, ..SimpleRequest::default() }
}

/// Checks that a status message with spaces at its ends never changes the status. A server may send the spaces raw,
/// and they may be gone then. The same holds for metadata (PROTOCOL-HTTP2: leading and trailing whitespace "may be
/// stripped").
pub(super) async fn spaces_at_the_ends(channel: &Channel) -> Result<(), Failure> {
    for message in SPACED {
        let error =
            fails_with(channel.unary(&UNARY_CALL, &asking_for(message), options()).await, Code::Unknown)?;
        equal("status message without its ends", error.status().message().trim(), message.trim())?;
    }
    let mut metadata = Metadata::new();
    let valid = |error| Failure::Check(format!("metadata: {error}"));
    metadata.append(ECHO_INITIAL, "in the middle").map_err(valid)?;
    metadata.append_bin(ECHO_TRAILING, SPACED_OCTETS).map_err(valid)?;
    let spaced = || options().metadata(metadata.clone());
    let result = channel.unary(&UNARY_CALL, &asking_for(" with metadata "), spaced()).await;
    let error = fails_with(result, Code::Unknown)?;
    equal("status message without its ends", error.status().message().trim(), "with metadata")?;
    let echoed: Vec<_> = error.trailers().get_all(ECHO_TRAILING).map(<[u8]>::to_vec).collect();
    equal("echo in the trailing metadata", echoed, vec![SPACED_OCTETS.to_vec()])
}

/// Checks that trailers over this client's limit end their call, and a call that is open beside it continues. A
/// server that keeps within the client's limit sends less instead: a reset, or the beginning of the message.
pub(super) async fn long_status_message(channel: &Channel) -> Result<(), Failure> {
    let mut beside = channel.bidi_streaming(&FULL_DUPLEX_CALL, options())?;
    for bytes in [20_000, 70_000] {
        beside.send(&duplex_request(8, &[9])).await?;
        let missing = || Failure::Check("the call beside it ended".to_owned());
        check_payload(beside.recv().await?.ok_or_else(missing)?.payload.as_ref(), 9)?;
        let message = "m".repeat(bytes);
        let result = channel.unary(&UNARY_CALL, &asking_for(&message), options()).await;
        let Err(error) = result else { return Err(Failure::Check("the call succeeded".to_owned())) };
        let reset = matches!(error.cause(), Cause::Reset { by: Initiator::Remote, .. });
        let cut = error.code() == Code::Unknown && message.starts_with(error.status().message());
        if !(reset || cut) {
            fails_with(Err::<(), _>(error), Code::ResourceExhausted)?;
        }
    }
    beside.close_send()?;
    check(beside.recv().await?.is_none(), || "a response after the half-close".to_owned())
}

/// Sends the first message when the response headers have arrived; only a server that sends them early serves it.
pub(super) async fn waits_for_headers(channel: &Channel) -> Result<(), Failure> {
    let mut call =
        channel.bidi_streaming(&FULL_DUPLEX_CALL, CallOptions::new().timeout(super::loads::SMALL_LIMIT))?;
    if call.headers().await.is_none() {
        return fails_with(call.recv().await, Code::Ok).map(drop);
    }
    call.send(&duplex_request(8, &[9])).await?;
    let missing = || Failure::Check("no response".to_owned());
    check_payload(call.recv().await?.ok_or_else(missing)?.payload.as_ref(), 9)?;
    call.close_send()?;
    check(call.recv().await?.is_none(), || "a response after the half-close".to_owned())
}
