//! The methods of `grpc.testing.TestService`, and the two that are not implemented.

use halfclose_driver::{Many, Method, Prost};

use crate::messages::{
    Empty, SimpleRequest, SimpleResponse, StreamingInputCallRequest, StreamingInputCallResponse,
    StreamingOutputCallRequest, StreamingOutputCallResponse,
};

/// Nothing in, nothing out.
pub const EMPTY_CALL: Method<Empty, Empty, Prost> = Method::new("/grpc.testing.TestService/EmptyCall");

/// One payload in, one out.
pub const UNARY_CALL: Method<SimpleRequest, SimpleResponse, Prost> =
    Method::new("/grpc.testing.TestService/UnaryCall");

/// As [`UNARY_CALL`], with an answer that a proxy may keep.
pub const CACHEABLE_UNARY_CALL: Method<SimpleRequest, SimpleResponse, Prost> =
    Method::new("/grpc.testing.TestService/CacheableUnaryCall");

/// An upload.
pub const STREAMING_INPUT_CALL: Method<Many<StreamingInputCallRequest>, StreamingInputCallResponse, Prost> =
    Method::new("/grpc.testing.TestService/StreamingInputCall");

/// A download.
pub const STREAMING_OUTPUT_CALL: Method<
    StreamingOutputCallRequest,
    Many<StreamingOutputCallResponse>,
    Prost,
> = Method::new("/grpc.testing.TestService/StreamingOutputCall");

/// Answers each request as it arrives.
pub const FULL_DUPLEX_CALL: Method<
    Many<StreamingOutputCallRequest>,
    Many<StreamingOutputCallResponse>,
    Prost,
> = Method::new("/grpc.testing.TestService/FullDuplexCall");

/// Answers the requests once the client has half-closed.
pub const HALF_DUPLEX_CALL: Method<
    Many<StreamingOutputCallRequest>,
    Many<StreamingOutputCallResponse>,
    Prost,
> = Method::new("/grpc.testing.TestService/HalfDuplexCall");

/// A method that the service has by name only.
pub const UNIMPLEMENTED_CALL: Method<Empty, Empty, Prost> =
    Method::new("/grpc.testing.TestService/UnimplementedCall");

/// A method of a service that does not exist.
pub const UNIMPLEMENTED_SERVICE_CALL: Method<Empty, Empty, Prost> =
    Method::new("/grpc.testing.UnimplementedService/UnimplementedCall");

/// Metadata that the server sends back with its response headers.
pub const ECHO_INITIAL: &str = "x-grpc-test-echo-initial";

/// Metadata that the server sends back with its trailers.
pub const ECHO_TRAILING: &str = "x-grpc-test-echo-trailing-bin";
