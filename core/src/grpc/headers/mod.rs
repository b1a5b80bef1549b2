//! Headers and trailers: parses the fields of header blocks into values, and writes values as fields.
//!
//! This module is independent of HPACK: a builder receives the fields of one block in order, and the writers pass
//! fields to a callback. It distinguishes blocks that RFC 9113 §8 calls malformed, which lead to a stream error, from
//! blocks that are valid HTTP but not an acceptable call, which lead to a response.

mod gather;
mod malformed;
mod request;
mod response;
mod trailers;
mod write;

#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod response_tests;
#[cfg(test)]
mod write_tests;

pub use malformed::MalformedReason;
pub(crate) use request::check_authority;
pub use request::{RequestError, RequestHeaders, RequestHeadersBuilder};
pub use response::{ResponseBlock, ResponseHeaders, ResponseHeadersBuilder, TrailersOnly};
pub use trailers::{Trailers, TrailersBuilder};
pub use write::{
    Hint, RequestFields, ResponseFields, write_metadata, write_request, write_response_headers,
    write_trailers, write_trailers_only,
};
