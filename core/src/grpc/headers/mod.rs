//! Heads and trailers: header blocks as (name, value) pairs in, values out, and back.
//!
//! Nothing here knows HPACK: a builder is fed the fields of one block in their order, and the writers hand fields to
//! a callback. A block that RFC 9113 §8 calls malformed is told apart from one that is valid HTTP and not an
//! acceptable call: the first ends in a stream error, the second in an answer.

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
