//! Calls that fail without a response: the server's only frame has headers and trailers in one, and all of it must
//! arrive.

use futures_util::future::try_join_all;
use halfclose_driver::halfclose::{Code, Metadata};
use halfclose_driver::{CallError, Channel};

use super::options;
use crate::client::{Failure, Target, equal, fails_with};
use crate::messages::{EchoStatus, Empty, SimpleRequest};
use crate::methods::{ECHO_TRAILING, UNARY_CALL, UNIMPLEMENTED_CALL, UNIMPLEMENTED_SERVICE_CALL};

/// A message with text that a proxy could mistake for the end of a field, and bytes that must be percent-encoded.
const MESSAGE: &str = "100 % of it: \"quoted\", comma; semicolon\r\n\u{263a} and  spaces";

/// Texts that RFC 9113 §8.2.1 does not allow at the ends of a field, so that the sender has to percent-encode them.
const SPACES: [&str; 5] = [" at the front", "at the end ", "  at both  ", "\ttabs\t", " "];

const TRAILING: [u8; 4] = [0, 0xff, 0x0a, 0x2c];

pub(super) async fn trailers_only(target: &Target, calls: usize) -> Result<String, Failure> {
    let failing = Code::ALL.into_iter().filter(|&code| code != Code::Ok);
    let all = async |channel: &Channel| {
        for code in failing {
            try_join_all((0..calls).map(|_| status(channel, code, MESSAGE))).await?;
        }
        try_join_all((0..calls).map(|_| unimplemented(channel))).await.map(drop)
    };
    target.session(all).await.map(|()| String::new())
}

pub(super) async fn spaces(target: &Target, calls: usize) -> Result<String, Failure> {
    let all = async |channel: &Channel| {
        for message in SPACES {
            try_join_all((0..calls).map(|_| status(channel, Code::NotFound, message))).await?;
        }
        Ok(())
    };
    target.session(all).await.map(|()| String::new())
}

async fn status(channel: &Channel, code: Code, message: &str) -> Result<(), Failure> {
    let mut metadata = Metadata::new();
    metadata
        .append_bin(ECHO_TRAILING, &TRAILING)
        .map_err(|error| Failure::Check(format!("metadata: {error}")))?;
    let number = i32::try_from(code.as_u32()).unwrap_or_default();
    let response_status = Some(EchoStatus { code: number, message: message.to_owned() });
    let request = SimpleRequest { response_status, ..SimpleRequest::default() };
    let result = channel.unary(&UNARY_CALL, &request, options().metadata(metadata)).await;
    let error = fails_with(result, code)?;
    equal("status message", error.status().message(), message)?;
    let echoed = error.trailers().get_all(ECHO_TRAILING).map(<[u8]>::to_vec).collect::<Vec<_>>();
    equal("trailing metadata", echoed, vec![TRAILING.to_vec()])
}

async fn unimplemented(channel: &Channel) -> Result<(), Failure> {
    let refused = |result: Result<_, CallError>| fails_with(result, Code::Unimplemented).map(drop);
    refused(channel.unary(&UNIMPLEMENTED_CALL, &Empty {}, options()).await)?;
    refused(channel.unary(&UNIMPLEMENTED_SERVICE_CALL, &Empty {}, options()).await)
}
