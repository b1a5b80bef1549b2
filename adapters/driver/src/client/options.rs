//! The options of a call besides its message.

use std::time::Duration;

use bytes::Bytes;
use halfclose::Metadata;
use halfclose::grpc::encoding::Encoding;

/// The options of one call.
///
/// ```
/// use std::time::Duration;
/// use halfclose_driver::CallOptions;
///
/// let mut options = CallOptions::new().timeout(Duration::from_secs(2));
/// options.metadata.append("x-request", "17")?;
/// # Ok::<(), halfclose_driver::halfclose::grpc::MetadataError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CallOptions {
    /// Initial metadata.
    pub metadata: Metadata,
    /// How long the call may take in total, including waiting for a stream ([P-85](halfclose::manual::rules#p-85));
    /// unlimited by default.
    pub timeout: Option<Duration>,
    /// `:authority`; that of the connection by default ([P-5](halfclose::manual::rules#p-5)).
    pub authority: Option<Bytes>,
    /// The encoding of the messages that this side sends, unless `set_compress` turns it off; identity by default.
    pub encoding: Option<Encoding>,
    /// Whether the call waits while a [`ManagedChannel`](crate::ManagedChannel) has no connection and its attempts fail.
    /// `None`, the default, leaves that to the service config, and then the call fails at once. A [`Channel`](crate::Channel)
    /// has its connection and does not look at this.
    pub wait_for_ready: Option<bool>,
}

impl CallOptions {
    /// Makes options without metadata, timeout or compression.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the timeout.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets whether the call waits for a connection.
    #[must_use]
    pub const fn wait_for_ready(mut self, wait: bool) -> Self {
        self.wait_for_ready = Some(wait);
        self
    }

    /// Sets the encoding.
    #[must_use]
    pub const fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = Some(encoding);
        self
    }

    /// Sets the metadata.
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }
}
