//! `grpc.testing.BenchmarkService` on tonic, written by hand as its code generator would write it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{
    ClientStreamingService, Grpc, NamedService, ServerStreamingService, StreamingService, UnaryService,
};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::service::{
    STREAMING_CALL, STREAMING_FROM_CLIENT, STREAMING_FROM_SERVER, SimpleRequest, SimpleResponse, UNARY_CALL,
    response,
};

type Answer<T> = BoxFuture<Response<T>, Status>;
type Responses = Pin<Box<dyn Stream<Item = Result<SimpleResponse, Status>> + Send>>;
type ServerCodec = ProstCodec<SimpleResponse, SimpleRequest>;

/// The service.
#[derive(Clone, Copy, Debug)]
pub struct Benchmark;

struct Unary;

impl UnaryService<SimpleRequest> for Unary {
    type Response = SimpleResponse;
    type Future = Answer<SimpleResponse>;

    fn call(&mut self, request: Request<SimpleRequest>) -> Self::Future {
        Box::pin(async move { Ok(Response::new(response(request.get_ref()))) })
    }
}

struct FromServer;

impl ServerStreamingService<SimpleRequest> for FromServer {
    type Response = SimpleResponse;
    type ResponseStream = Responses;
    type Future = Answer<Responses>;

    fn call(&mut self, request: Request<SimpleRequest>) -> Self::Future {
        Box::pin(async move {
            let response = response(request.get_ref());
            let responses = tokio_stream::iter(std::iter::repeat(response)).map(Ok);
            Ok(Response::new(Box::pin(responses) as Responses))
        })
    }
}

struct FromClient;

impl ClientStreamingService<SimpleRequest> for FromClient {
    type Response = SimpleResponse;
    type Future = Answer<SimpleResponse>;

    fn call(&mut self, request: Request<Streaming<SimpleRequest>>) -> Self::Future {
        Box::pin(async move {
            let mut requests = request.into_inner();
            let mut last = SimpleRequest::default();
            while let Some(request) = requests.message().await? {
                last = request;
            }
            Ok(Response::new(response(&last)))
        })
    }
}

struct Both;

impl StreamingService<SimpleRequest> for Both {
    type Response = SimpleResponse;
    type ResponseStream = Responses;
    type Future = Answer<Responses>;

    fn call(&mut self, request: Request<Streaming<SimpleRequest>>) -> Self::Future {
        Box::pin(async move {
            let responses = request.into_inner().map(|request| request.map(|request| response(&request)));
            Ok(Response::new(Box::pin(responses) as Responses))
        })
    }
}

impl NamedService for Benchmark {
    const NAME: &'static str = "grpc.testing.BenchmarkService";
}

impl Service<http::Request<Body>> for Benchmark {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(ServerCodec::default());
            Ok(match request.uri().path() {
                UNARY_CALL => grpc.unary(Unary, request).await,
                STREAMING_FROM_SERVER => grpc.server_streaming(FromServer, request).await,
                STREAMING_FROM_CLIENT => grpc.client_streaming(FromClient, request).await,
                STREAMING_CALL => grpc.streaming(Both, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}
