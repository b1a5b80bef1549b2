//! `grpc.testing.TestService`, written once for every runtime; it needs only a way to sleep from it.

mod streaming;
mod unary;
mod wishes;

use std::time::Duration;

use halfclose_driver::Router;
use halfclose_driver::halfclose::Config;
use halfclose_driver::halfclose::grpc::compress::Codecs;

use crate::methods::{
    CACHEABLE_UNARY_CALL, EMPTY_CALL, FULL_DUPLEX_CALL, HALF_DUPLEX_CALL, STREAMING_INPUT_CALL,
    STREAMING_OUTPUT_CALL, UNARY_CALL,
};
use crate::runtime::Sleep;

/// How long the calls that are open at SIGTERM may continue.
const DRAIN: Duration = Duration::from_secs(10);

/// Returns the whole service. The router refuses UnimplementedCall and every other path.
#[must_use]
pub fn router(sleep: Sleep) -> Router {
    Router::new()
        .unary(&EMPTY_CALL, unary::empty_call)
        .unary(&UNARY_CALL, unary::unary_call)
        .unary(&CACHEABLE_UNARY_CALL, unary::cacheable_unary_call)
        .client_streaming(&STREAMING_INPUT_CALL, streaming::streaming_input_call)
        .server_streaming(&STREAMING_OUTPUT_CALL, move |request, call| {
            streaming::streaming_output_call(sleep, request, call)
        })
        .bidi_streaming(&FULL_DUPLEX_CALL, move |call| streaming::full_duplex_call(sleep, call))
        .bidi_streaming(&HALF_DUPLEX_CALL, move |call| streaming::half_duplex_call(sleep, call))
}

/// Returns a server's defaults, among them the receive limit of 4 MiB and the stream limit that the service
/// announces.
#[must_use]
pub fn config() -> Config {
    let mut config = Config::server();
    config.codecs = Codecs::builtin();
    config.drain_timeout = Some(DRAIN);
    config
}
