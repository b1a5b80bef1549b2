//! The cases by name.

use clap::ValueEnum;

use super::failure::Failure;
use super::target::Target;
use super::{cancelling, compression, edges, loads, metadata, negative, soak, streaming, unary};

/// A test case of the gRPC interop descriptions, or, after those, one of our own.
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
    SpacesAtTheEnds,
    LongStatusMessage,
    WaitsForHeaders,
    ManyUnary,
    LongBidi,
    EndedEarly,
    DroppedEarly,
    ExpiredDeadlines,
    MixedEnds,
    StalledDownloads,
    StalledUploads,
}

impl Case {
    /// Its name.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Runs the case. It succeeds if everything that it describes was checked, and the client's last frames were
    /// sent. A case under load returns its measurements, any other an empty string.
    ///
    /// # Errors
    ///
    /// The check that failed.
    pub async fn run(self, target: &Target) -> Result<String, Failure> {
        match self {
            Self::EmptyUnary => target.case(unary::empty_unary).await,
            Self::LargeUnary => target.case(unary::large_unary).await,
            Self::ClientCompressedUnary => target.case(compression::client_compressed_unary).await,
            Self::ServerCompressedUnary => target.case(compression::server_compressed_unary).await,
            Self::ClientStreaming => target.case(streaming::client_streaming).await,
            Self::ClientCompressedStreaming => target.case(compression::client_compressed_streaming).await,
            Self::ServerStreaming => target.case(streaming::server_streaming).await,
            Self::ServerCompressedStreaming => target.case(compression::server_compressed_streaming).await,
            Self::PingPong => target.case(streaming::ping_pong).await,
            Self::EmptyStream => target.case(streaming::empty_stream).await,
            Self::CustomMetadata => target.case(metadata::custom_metadata).await,
            Self::StatusCodeAndMessage => target.case(metadata::status_code_and_message).await,
            Self::SpecialStatusMessage => target.case(metadata::special_status_message).await,
            Self::UnimplementedMethod => target.case(metadata::unimplemented_method).await,
            Self::UnimplementedService => target.case(metadata::unimplemented_service).await,
            Self::CancelAfterBegin => cancelling::cancel_after_begin(target).await,
            Self::CancelAfterFirstResponse => target.case(cancelling::cancel_after_first_response).await,
            Self::TimeoutOnSleepingServer => target.case(cancelling::timeout_on_sleeping_server).await,
            Self::ConcurrentLargeUnary => target.case(unary::concurrent_large_unary).await,
            Self::RpcSoak => soak::rpc_soak(target).await,
            Self::ChannelSoak => soak::channel_soak(target).await,
            Self::Goaway => negative::goaway(target).await,
            Self::RstAfterHeader | Self::RstDuringData | Self::RstAfterData => {
                target.case(negative::reset).await
            }
            Self::Ping | Self::DataFramePadding | Self::NoDfPaddingSanityTest => {
                target.case(unary::large_unary).await
            }
            Self::MaxStreams => target.case(negative::max_streams).await,
            Self::SpacesAtTheEnds => target.case(edges::spaces_at_the_ends).await,
            Self::LongStatusMessage => target.case(edges::long_status_message).await,
            Self::WaitsForHeaders => target.case(edges::waits_for_headers).await,
            Self::ManyUnary => loads::many_unary(target).await,
            Self::LongBidi => loads::long_bidi(target).await,
            Self::EndedEarly => loads::ended_early(target).await,
            Self::DroppedEarly => loads::dropped_early(target).await,
            Self::ExpiredDeadlines => loads::expired_deadlines(target).await,
            Self::MixedEnds => loads::mixed_ends(target).await,
            Self::StalledDownloads => loads::stalled_downloads(target).await,
            Self::StalledUploads => loads::stalled_uploads(target).await,
        }
    }
}
