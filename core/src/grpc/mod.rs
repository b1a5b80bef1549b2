//! The part of gRPC on top of HTTP/2, as pure values and codecs: no connection, no stream, no state between calls.
//!
//! | here | what is in it |
//! |---|---|
//! | [`Status`](crate::Status), [`http_status`], [`reset`] | the outcome of a call, and what becomes one |
//! | [`timeout`], [`percent`], [`base64`] | the small text formats |
//! | [`field`], [`path`], [`content_type`], [`user_agent`] | the vocabulary of headers |
//! | [`Metadata`](crate::Metadata), [`Value`], [`MetadataError`] | the ordered multi-map of custom metadata |
//! | [`RequestHeaders`], [`ResponseHeaders`], [`Trailers`] | whole headers and trailers, as they came |
//! | [`encoding`], [`compress`] | names of message encodings, and the codecs behind them |

pub(crate) mod arena;
pub mod base64;
pub mod compress;
pub mod content_type;
pub mod encoding;
pub mod field;
pub(crate) mod headers;
pub mod http_status;
pub(crate) mod message;
pub(crate) mod metadata;
pub mod path;
pub mod percent;
pub mod reset;
pub(crate) mod status;
mod status_from;
pub mod timeout;
pub mod user_agent;

pub use headers::{MalformedReason, RequestHeaders, ResponseHeaders, Trailers, TrailersOnly};
pub use metadata::{
    FIELD_OVERHEAD, MAX_NAME_LEN, MAX_VALUE_LEN, MetadataError, ReceivedError, Value, is_reserved,
};
