//! The cases by name.

use clap::ValueEnum;

use super::failure::Failure;
use super::target::Target;
use super::{cancelling, compression, metadata, negative, soak, streaming, unary};

/// A test case of the gRPC interop descriptions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are those of the descriptions, and so are the cases")]
pub enum Case {
    EmptyUnary,
    LargeUnary,
    ClientCompressedUnary,
    ServerCompressedUnary,
    ClientStreaming,
    ClientCompressedStreaming,
    ServerStreaming,
    ServerCompressedStreaming,
    PingPong,
    EmptyStream,
    CustomMetadata,
    StatusCodeAndMessage,
    SpecialStatusMessage,
    UnimplementedMethod,
    UnimplementedService,
    CancelAfterBegin,
    CancelAfterFirstResponse,
    TimeoutOnSleepingServer,
    ConcurrentLargeUnary,
    RpcSoak,
    ChannelSoak,
    Goaway,
    RstAfterHeader,
    RstDuringData,
    RstAfterData,
    Ping,
    MaxStreams,
    DataFramePadding,
    NoDfPaddingSanityTest,
}

impl Case {
    /// Its name.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Runs it: `Ok` when everything that it describes was checked and held, and the client's last frames are out.
    ///
    /// # Errors
    ///
    /// What did not hold.
    pub async fn run(self, target: &Target) -> Result<(), Failure> {
        match self {
            Self::EmptyUnary => target.session(unary::empty_unary).await,
            Self::LargeUnary => target.session(unary::large_unary).await,
            Self::ClientCompressedUnary => target.session(compression::client_compressed_unary).await,
            Self::ServerCompressedUnary => target.session(compression::server_compressed_unary).await,
            Self::ClientStreaming => target.session(streaming::client_streaming).await,
            Self::ClientCompressedStreaming => target.session(compression::client_compressed_streaming).await,
            Self::ServerStreaming => target.session(streaming::server_streaming).await,
            Self::ServerCompressedStreaming => target.session(compression::server_compressed_streaming).await,
            Self::PingPong => target.session(streaming::ping_pong).await,
            Self::EmptyStream => target.session(streaming::empty_stream).await,
            Self::CustomMetadata => target.session(metadata::custom_metadata).await,
            Self::StatusCodeAndMessage => target.session(metadata::status_code_and_message).await,
            Self::SpecialStatusMessage => target.session(metadata::special_status_message).await,
            Self::UnimplementedMethod => target.session(metadata::unimplemented_method).await,
            Self::UnimplementedService => target.session(metadata::unimplemented_service).await,
            Self::CancelAfterBegin => cancelling::cancel_after_begin(target).await,
            Self::CancelAfterFirstResponse => target.session(cancelling::cancel_after_first_response).await,
            Self::TimeoutOnSleepingServer => target.session(cancelling::timeout_on_sleeping_server).await,
            Self::ConcurrentLargeUnary => target.session(unary::concurrent_large_unary).await,
            Self::RpcSoak => soak::rpc_soak(target).await,
            Self::ChannelSoak => soak::channel_soak(target).await,
            Self::Goaway => negative::goaway(target).await,
            Self::RstAfterHeader | Self::RstDuringData | Self::RstAfterData => {
                target.session(negative::reset).await
            }
            Self::Ping | Self::DataFramePadding | Self::NoDfPaddingSanityTest => {
                target.session(unary::large_unary).await
            }
            Self::MaxStreams => target.session(negative::max_streams).await,
        }
    }
}
