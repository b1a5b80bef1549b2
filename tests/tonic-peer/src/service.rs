//! `grpc.testing.TestService` on tonic: what its code generator would write, by hand, and the methods.

mod flags;
mod methods;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use halfclose_interop::methods::{
    CACHEABLE_UNARY_CALL, ECHO_TRAILING, EMPTY_CALL, FULL_DUPLEX_CALL, HALF_DUPLEX_CALL,
    STREAMING_INPUT_CALL, STREAMING_OUTPUT_CALL, UNARY_CALL,
};
use prost::Message;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

use flags::{Flags, Noting};

/// The responses of a call.
type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TestService;

impl NamedService for TestService {
    const NAME: &'static str = "grpc.testing.TestService";
}

impl Service<http::Request<Body>> for TestService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let flags = Flags::default();
        let (mut head, body) = request.into_parts();
        head.extensions.insert(flags.clone());
        Box::pin(async move { Ok(serve(http::Request::from_parts(head, Noting::new(body, flags))).await) })
    }
}

async fn serve(request: http::Request<Noting>) -> http::Response<Body> {
    let path = request.uri().path();
    if path == EMPTY_CALL.path() {
        grpc().unary(service_fn(methods::empty_call), request).await
    } else if path == UNARY_CALL.path() && request.headers().contains_key(ECHO_TRAILING) {
        // tonic has no trailing metadata for a unary call that succeeds.
        grpc().server_streaming(service_fn(methods::unary_call_with_trailers), request).await
    } else if path == UNARY_CALL.path() {
        let mut grpc = grpc().send_compressed(CompressionEncoding::Gzip);
        grpc.unary(service_fn(methods::unary_call), request).await
    } else if path == CACHEABLE_UNARY_CALL.path() {
        grpc().unary(service_fn(methods::cacheable_unary_call), request).await
    } else if path == STREAMING_INPUT_CALL.path() {
        grpc().client_streaming(service_fn(methods::streaming_input_call), request).await
    } else if path == STREAMING_OUTPUT_CALL.path() {
        grpc().server_streaming(service_fn(methods::streaming_output_call), request).await
    } else if path == FULL_DUPLEX_CALL.path() {
        grpc().streaming(service_fn(methods::full_duplex_call), request).await
    } else if path == HALF_DUPLEX_CALL.path() {
        grpc().streaming(service_fn(methods::half_duplex_call), request).await
    } else {
        Status::unimplemented("no such method").into_http()
    }
}

fn grpc<Res, Req>() -> Grpc<ProstCodec<Res, Req>>
where
    Res: Message + Default + Send + 'static,
    Req: Message + Default + Send + 'static,
{
    Grpc::new(ProstCodec::default()).accept_compressed(CompressionEncoding::Gzip)
}

/// The flags of a request's messages.
fn flags_of<T>(request: &Request<T>) -> Flags {
    request.extensions().get::<Flags>().cloned().unwrap_or_default()
}
