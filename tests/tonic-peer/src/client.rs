//! The client: the cases by name, and what they share.

mod calls;
mod cases;
mod compression;
mod edges;
mod loads;
mod stalled;

use std::fmt::Debug;
use std::time::Duration;

use tonic::transport::Endpoint;
use tonic::{Code, Status};

use calls::Client;

/// The deadline of every call, unless its case says otherwise.
const CALL_LIMIT: Duration = Duration::from_secs(25);

/// Why a case did not pass.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A call ended with another status than the case describes.
    #[error("a call ended with {:?}, message {:?}; want {wanted}", status.code(), status.message())]
    Call {
        /// Its status.
        status: Box<Status>,
        /// What the case describes.
        wanted: &'static str,
    },
    /// Something that the case describes did not hold.
    #[error("{0}")]
    Check(String),
    /// There is no server.
    #[error("no connection: {0:?}")]
    Connect(#[from] tonic::transport::Error),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Call { status: Box::new(status), wanted: "OK" }
    }
}

type Checked = Result<(), Failure>;

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Failure::Check(otherwise())) }
}

fn equal<T: PartialEq + Debug>(what: &str, got: T, want: T) -> Checked {
    check(got == want, || format!("{what}: got {got:?}, want {want:?}"))
}

/// Checks that the call failed with this code. Returns its status.
fn fails_with<T>(result: Result<T, Status>, want: Code) -> Result<Status, Failure> {
    match result {
        Err(status) if status.code() == want => Ok(status),
        Err(status) => Err(Failure::Call { status: Box::new(status), wanted: want.description() }),
        Ok(_) => Err(Failure::Check(format!("the call succeeded, want {want:?}"))),
    }
}

/// The server under test, and the numbers of the loads.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its address.
    pub(crate) address: String,
    /// How many calls, or messages.
    pub(crate) calls: usize,
    /// How many of them at a time.
    pub(crate) at_once: usize,
    /// How many seconds a load without a number of calls takes.
    pub(crate) time: Duration,
}

impl Target {
    /// Runs a case by its name. Returns its measurements.
    pub(crate) async fn run(&self, case: &str) -> Result<String, Failure> {
        match case {
            "rpc_soak" => loads::rpc_soak(&self.connect().await?).await,
            "channel_soak" => loads::channel_soak(self).await,
            "many_unary" => loads::many_unary(self).await,
            "long_bidi" => loads::long_bidi(self).await,
            "ended_early" => loads::ended_early(self).await,
            "dropped_early" => loads::dropped_early(self).await,
            "expired_deadlines" => loads::expired_deadlines(self).await,
            "mixed_ends" => loads::mixed_ends(self).await,
            "stalled_downloads" => stalled::downloads(&self.connect_narrow().await?).await,
            "stalled_uploads" => stalled::uploads(&self.connect().await?).await,
            _ => self.case(case).await.map(|()| String::new()),
        }
    }

    /// Runs a case without measurements.
    async fn case(&self, case: &str) -> Checked {
        let client = self.connect().await?;
        match case {
            "empty_unary" => client.empty().await,
            "large_unary" => client.large(calls::large_request()).await,
            "client_compressed_unary" => compression::client_compressed_unary(&client).await,
            "server_compressed_unary" => compression::server_compressed_unary(&client).await,
            "client_streaming" => cases::client_streaming(&client).await,
            "server_streaming" => cases::server_streaming(&client).await,
            "server_compressed_streaming" => compression::server_compressed_streaming(&client).await,
            "ping_pong" => cases::ping_pong(&client).await,
            "empty_stream" => cases::empty_stream(&client).await,
            "custom_metadata" => edges::custom_metadata(&client).await,
            "status_code_and_message" => cases::status_code_and_message(&client).await,
            "special_status_message" => cases::special_status_message(&client).await,
            "unimplemented_method" => cases::unimplemented_method(&client).await,
            "unimplemented_service" => cases::unimplemented_service(&client).await,
            "cancel_after_begin" => cases::cancel_after_begin(&client).await,
            "cancel_after_first_response" => cases::cancel_after_first_response(&client).await,
            "timeout_on_sleeping_server" => cases::timeout_on_sleeping_server(&client).await,
            "concurrent_large_unary" => loads::concurrent_large_unary(&client).await,
            "spaces_at_the_ends" => edges::spaces_at_the_ends(&client).await,
            "waits_for_headers" => edges::waits_for_headers(&client).await,
            _ => Err(Failure::Check("no such case".to_owned())),
        }
    }

    async fn connect(&self) -> Result<Client, Failure> {
        let endpoint = Endpoint::from_shared(self.address.clone())?;
        Ok(Client::new(endpoint.connect().await?))
    }

    /// Connects with windows that leave credit on the connection when many streams are not read: tonic returns the
    /// connection's window when a message is received, and by default three streams can use all of it.
    async fn connect_narrow(&self) -> Result<Client, Failure> {
        let endpoint = Endpoint::from_shared(self.address.clone())?;
        let endpoint =
            endpoint.initial_stream_window_size(65_535).initial_connection_window_size(16 * 1024 * 1024);
        Ok(Client::new(endpoint.connect().await?))
    }
}
