//! Tests without sockets.

use halfclose_driver::{Channel, Clock, Router};

pub use halfclose_driver::testing::{ManualClock, ManualTimer, Pipe, joined, pipe};

use crate::SmolClock;

/// Serves a router in this process, on smol's global executor, and returns a channel to it.
///
/// ```
/// use bytes::Bytes;
/// use halfclose_smol::{CallOptions, Method, Raw, Response, Router, testing};
///
/// const SAY: Method<Bytes, Bytes, Raw> = Method::new("/demo.Echo/Say");
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let router = Router::new().unary(&SAY, |request| async move { Ok(Response::new(request.message)) });
/// let channel = testing::pair(router);
/// let reply = smol::block_on(channel.unary(&SAY, &Bytes::from("hello"), CallOptions::new()))?;
/// assert_eq!(reply.message, "hello");
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn pair(router: Router) -> Channel {
    pair_with(router, SmolClock::new())
}

/// As [`pair`], with another clock: a [`ManualClock`] stands still until the test moves it.
pub fn pair_with<K: Clock>(router: Router, clock: K) -> Channel {
    let (channel, client, server) = joined(router, clock);
    // How the connection ends is told by its calls.
    smol::spawn(async move { client.await.ok() }).detach();
    smol::spawn(async move { server.await.ok() }).detach();
    channel
}
