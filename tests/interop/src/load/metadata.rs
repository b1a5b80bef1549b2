//! Metadata that exceeds the buffers of some proxies.

use halfclose_driver::Channel;
use halfclose_driver::halfclose::Metadata;

use super::options;
use crate::client::payloads::sized_request;
use crate::client::{Failure, Target, equal};
use crate::methods::{ECHO_INITIAL, UNARY_CALL};

/// The number of calls, one after the other: long values are sent the second time by their place in a table.
const CALLS: usize = 3;

pub(super) async fn metadata(target: &Target, bytes: usize) -> Result<String, Failure> {
    let value = "m".repeat(bytes);
    let all = async |channel: &Channel| {
        for _ in 0..CALLS {
            call(channel, &value).await?;
        }
        Ok(())
    };
    target.session(all).await.map(|()| String::new())
}

async fn call(channel: &Channel, value: &str) -> Result<(), Failure> {
    let mut metadata = Metadata::new();
    metadata.append(ECHO_INITIAL, value).map_err(|error| Failure::Check(format!("metadata: {error}")))?;
    let response = channel.unary(&UNARY_CALL, &sized_request(10, 10), options().metadata(metadata)).await?;
    let echoed = response.headers.get_all(ECHO_INITIAL).map(<[u8]>::len).collect::<Vec<_>>();
    equal("lengths of the values that came back", echoed, vec![value.len()])
}
