//! The server of the command line.

use std::io;
use std::time::Duration;

use halfclose_driver::halfclose::Config;
use halfclose_driver::halfclose::Scheme;
use halfclose_driver::halfclose::grpc::compress::Codecs;
use halfclose_driver::tls::ClientTls;
use halfclose_driver::{CallOptions, Channel};

use super::failure::Failure;
use super::loads::LoadSize;
use super::soak::Soak;
use crate::runtime::{Connection, Runtime};

/// The deadline of every call, unless its case says otherwise.
const DEADLINE: Duration = Duration::from_secs(20);

/// The time limit for our last frames, once the connection is no longer needed.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// The options of a call: the deadline.
pub(super) fn options() -> CallOptions {
    CallOptions::new().timeout(DEADLINE)
}

/// The server's address, and how to connect to it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The `:authority` of requests; host and port otherwise.
    pub authority: Option<String>,
    /// The settings of TLS; plaintext without.
    pub tls: Option<ClientTls>,
    /// The runtime to connect with.
    pub runtime: Runtime,
    /// The numbers of the soak cases.
    pub soak: Soak,
    /// The numbers of the cases under load.
    pub load: LoadSize,
    /// The receive window of a stream, where it is not the default.
    pub stream_window: Option<u32>,
}

impl Target {
    /// Runs a case without measurements on a connection of its own.
    pub(super) async fn case(
        &self,
        body: impl AsyncFnOnce(&Channel) -> Result<(), Failure>,
    ) -> Result<String, Failure> {
        self.session(body).await.map(|()| String::new())
    }

    /// Runs `body` on a connection of its own, and waits for the connection's end: the case is not over before the
    /// last frame was sent.
    pub(crate) async fn session<T>(
        &self,
        body: impl AsyncFnOnce(&Channel) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Connection { channel, driven } = self.connect().await?;
        let result = body(&channel).await;
        drop(channel);
        let ended = self.runtime.within(CLOSE_LIMIT, driven).await;
        let value = result?;
        ended.ok_or(Failure::NotClosed { limit: CLOSE_LIMIT })??;
        Ok(value)
    }

    pub(crate) async fn connect(&self) -> Result<Connection, Failure> {
        let address = format!("{}:{}", self.host, self.port);
        let authority = self.authority.clone().unwrap_or_else(|| address.clone());
        let mut config = Config::client();
        config.authority = authority.into();
        config.codecs = Codecs::builtin();
        config.initial_stream_window = self.stream_window.unwrap_or(config.initial_stream_window);
        if self.tls.is_some() {
            config.scheme = Scheme::Https;
        }
        let connecting = (self.runtime.connect)(self.host.clone(), self.port, config, self.tls.clone());
        match self.runtime.within(DEADLINE, connecting).await {
            Some(Ok(connection)) => Ok(connection),
            Some(Err(error)) => Err(Failure::Connect { address, error }),
            None => {
                let error = io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {DEADLINE:?}"));
                Err(Failure::Connect { address, error })
            }
        }
    }
}
