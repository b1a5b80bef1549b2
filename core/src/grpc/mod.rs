//! The part of gRPC on top of HTTP/2, as pure values and codecs: no connection, no stream, no state between calls.
//!
//! | module | contents |
//! |---|---|
//! | [`status`], [`http_status`], [`reset`] | the status of a call, and what HTTP statuses and resets map to |
//! | [`timeout`], [`percent`], [`base64`] | the small text formats |
//! | [`field`], [`path`], [`content_type`], [`user_agent`] | the fields of a header section |
//! | [`metadata`] | the ordered multi-map of custom metadata |
//! | [`headers`] | request headers, response headers and trailers, parsed and written |
//! | [`message`], [`arena`] | length-prefixed messages, and the buffer for small ones |
//! | [`encoding`], [`compress`] | names of message encodings, and their codecs |

pub mod arena;
pub mod base64;
pub mod compress;
pub mod content_type;
pub mod encoding;
pub mod field;
pub mod headers;
pub mod http_status;
pub mod message;
pub mod metadata;
pub mod path;
pub mod percent;
pub mod reset;
pub mod status;
mod status_from;
pub mod timeout;
pub mod user_agent;
