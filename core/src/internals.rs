//! The parts of the core that its own tests, benchmarks and fuzz targets drive alone. Nothing here is covered by semantic
//! versioning, and nothing here is needed to use a connection.

pub use crate::grpc::headers::{
    Hint, RequestError, RequestFields, RequestHeadersBuilder, ResponseBlock, ResponseFields,
    ResponseHeadersBuilder, TrailersBuilder, write_metadata, write_request, write_response_headers,
    write_trailers, write_trailers_only,
};
pub use crate::grpc::message::{Arena, MessageBuffer, MessageError, PREFIX_LEN, Payload, Prefix, RawMessage};
