//! What a request may ask for beside its method: echoes, a status, compression, a payload.

use halfclose_driver::Context;
use halfclose_driver::halfclose::grpc::encoding::Encoding;
use halfclose_driver::halfclose::{Code, Metadata, Status};

use crate::messages::{BoolValue, EchoStatus, Payload, PayloadType};
use crate::methods::{ECHO_INITIAL, ECHO_TRAILING};

/// The largest payload that is made on request.
const MAX_PAYLOAD: usize = 64 << 20;

/// Returns the two well-known keys, whichever of them the client sent: one as initial metadata, the other as
/// trailing. The encoding must be settled before, because it is sent with the initial metadata.
pub(super) fn echo_metadata(context: &Context) -> Result<(), Status> {
    let mut initial = Metadata::new();
    for value in context.metadata().get_all(ECHO_INITIAL) {
        initial.push_received(ECHO_INITIAL.as_bytes(), value).map_err(not_echoed)?;
    }
    let mut trailing = Metadata::new();
    for value in context.metadata().get_all(ECHO_TRAILING) {
        trailing.append_bin(ECHO_TRAILING, value).map_err(not_echoed)?;
    }
    context.add_trailers(&trailing);
    if !initial.is_empty() {
        context.send_headers(initial).map_err(not_echoed)?;
    }
    Ok(())
}

fn not_echoed(error: impl std::fmt::Display) -> Status {
    Status::internal(format!("the metadata cannot be sent back: {error}"))
}

/// Ends the call with the status that the request asks for, if that is another than OK.
pub(super) fn echo_status(wish: Option<&EchoStatus>) -> Result<(), Status> {
    let Some(EchoStatus { code, message }) = wish else { return Ok(()) };
    let known = Code::ALL.into_iter().find(|known| i64::from(known.as_u32()) == i64::from(*code));
    match known {
        Some(Code::Ok) => Ok(()),
        Some(code) => Err(Status::new(code, message.clone())),
        None => Err(Status::invalid_argument(format!("no status code {code}"))),
    }
}

/// Checks that a message arrived as its sender says.
pub(super) fn expect_compressed(wish: Option<&BoolValue>, came_compressed: bool) -> Result<(), Status> {
    match wish {
        Some(wish) if wish.value != came_compressed => {
            let name = |compressed| if compressed { "compressed" } else { "uncompressed" };
            Err(Status::invalid_argument(format!(
                "expected a message {}, got it {}",
                name(wish.value),
                name(came_compressed)
            )))
        }
        _ => Ok(()),
    }
}

/// Returns whether a response must be compressed.
pub(super) fn is_true(wish: Option<&BoolValue>) -> bool {
    wish.is_some_and(|wish| wish.value)
}

/// Selects gzip if the client accepts it; each message says whether it is compressed. Returns `false` if the client
/// does not.
pub(super) fn offer_gzip(context: &Context) -> bool {
    context.accepts().contains(Encoding::Gzip) && context.set_encoding(Some(Encoding::Gzip)).is_ok()
}

/// Returns the status of a call that asks for compressed responses and does not accept them.
pub(super) fn gzip_not_accepted() -> Status {
    Status::invalid_argument("compressed responses are asked for, and the client does not accept gzip")
}

/// Returns a payload of `size` zeros.
pub(super) fn payload(kind: i32, size: i32) -> Result<Option<Payload>, Status> {
    if PayloadType::try_from(kind).is_err() {
        return Err(Status::invalid_argument(format!("no payload type {kind}")));
    }
    match usize::try_from(size) {
        Ok(size) if size <= MAX_PAYLOAD => Ok(Some(Payload::zeros(size))),
        Ok(size) => Err(Status::resource_exhausted(format!("a payload of {size} bytes, over {MAX_PAYLOAD}"))),
        Err(_) => Err(Status::invalid_argument(format!("a payload cannot have {size} bytes"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_echoed_whatever_its_number() {
        let echo = |code| echo_status(Some(&EchoStatus { code, message: "m".into() }));
        assert_eq!(echo(0), Ok(()));
        assert_eq!(echo_status(None), Ok(()));
        for code in Code::ALL.into_iter().skip(1) {
            assert_eq!(echo(i32::try_from(code.as_u32()).unwrap()), Err(Status::new(code, "m")));
        }
        for code in [17, -1, i32::MAX] {
            assert_eq!(echo(code).unwrap_err().code, Code::InvalidArgument);
        }
    }

    #[test]
    fn a_message_that_came_otherwise_than_announced_is_refused() {
        let wish = |value| Some(BoolValue { value });
        for came in [false, true] {
            assert_eq!(expect_compressed(None, came), Ok(()));
            assert_eq!(expect_compressed(wish(came).as_ref(), came), Ok(()));
            let refused = expect_compressed(wish(!came).as_ref(), came).unwrap_err();
            assert_eq!(refused.code, Code::InvalidArgument);
        }
    }

    #[test]
    fn a_payload_has_the_size_that_was_asked_for_or_is_refused() {
        for size in [0, 1, 314_159] {
            let made = payload(0, size).unwrap().unwrap();
            assert_eq!(made.body.len(), usize::try_from(size).unwrap());
        }
        assert_eq!(payload(0, -1).unwrap_err().code, Code::InvalidArgument);
        assert_eq!(payload(1, 1).unwrap_err().code, Code::InvalidArgument);
        assert_eq!(payload(0, i32::MAX).unwrap_err().code, Code::ResourceExhausted);
    }
}
