//! A client of `grpc.testing.BenchmarkService` on tonic, written by hand as its code generator would write it.

use tokio_stream::Stream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::service::{
    STREAMING_CALL, STREAMING_FROM_CLIENT, STREAMING_FROM_SERVER, SimpleRequest, SimpleResponse, UNARY_CALL,
};

type ClientCodec = ProstCodec<SimpleRequest, SimpleResponse>;

/// The client.
#[derive(Clone, Debug)]
pub struct BenchmarkClient {
    inner: Grpc<Channel>,
}

impl BenchmarkClient {
    /// A client on a channel.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self { inner: Grpc::new(channel) }
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.inner.ready().await.map_err(|error| Status::unavailable(error.to_string()))
    }

    /// UnaryCall.
    ///
    /// # Errors
    ///
    /// The call's status.
    pub async fn unary_call(&mut self, request: SimpleRequest) -> Result<Response<SimpleResponse>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static(UNARY_CALL);
        self.inner.unary(tonic::Request::new(request), path, ClientCodec::default()).await
    }

    /// StreamingFromServer.
    ///
    /// # Errors
    ///
    /// The call's status.
    pub async fn streaming_from_server(
        &mut self,
        request: SimpleRequest,
    ) -> Result<Response<Streaming<SimpleResponse>>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static(STREAMING_FROM_SERVER);
        self.inner.server_streaming(tonic::Request::new(request), path, ClientCodec::default()).await
    }

    /// StreamingFromClient.
    ///
    /// # Errors
    ///
    /// The call's status.
    pub async fn streaming_from_client(
        &mut self,
        requests: impl Stream<Item = SimpleRequest> + Send + 'static,
    ) -> Result<Response<SimpleResponse>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static(STREAMING_FROM_CLIENT);
        self.inner.client_streaming(tonic::Request::new(requests), path, ClientCodec::default()).await
    }

    /// StreamingCall.
    ///
    /// # Errors
    ///
    /// The call's status.
    pub async fn streaming_call(
        &mut self,
        requests: impl Stream<Item = SimpleRequest> + Send + 'static,
    ) -> Result<Response<Streaming<SimpleResponse>>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static(STREAMING_CALL);
        self.inner.streaming(tonic::Request::new(requests), path, ClientCodec::default()).await
    }
}
