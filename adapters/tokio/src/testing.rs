//! Tests without sockets.
//!
//! With `tokio::time::pause` the time of both sides stands still, and deadlines pass as fast as the test asks for them.

use halfclose_driver::{Channel, Router};

pub use halfclose_driver::testing::{ManualClock, ManualTimer, Pipe, joined, pipe};

use crate::TokioClock;

/// Serves a router in this process, on tasks of the runtime, and returns a channel to it.
///
/// ```
/// use bytes::Bytes;
/// use halfclose_tokio::{CallOptions, Method, Raw, Response, Router, testing};
///
/// const SAY: Method<Bytes, Bytes, Raw> = Method::new("/demo.Echo/Say");
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let router = Router::new().unary(&SAY, |request| async move { Ok(Response::new(request.message)) });
/// let channel = testing::pair(router);
/// let reply = channel.unary(&SAY, &Bytes::from("hello"), CallOptions::new()).await?;
/// assert_eq!(reply.message, "hello");
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// Outside of a runtime.
#[must_use]
pub fn pair(router: Router) -> Channel {
    let (channel, client, server) = joined(router, TokioClock::new());
    // How the connection ends is told by its calls.
    tokio::spawn(async move { client.await.ok() });
    tokio::spawn(async move { server.await.ok() });
    channel
}
