//! What an HTTP/2 client and server send, written and read byte by byte, without any of the code under test: wrong
//! frames can be written as well as good ones, and an independent reader checks what a connection sends.
//!
//! - [`frame`] and the functions beside it write frames, [`Frame`] and [`frames`] read them.
//! - [`Block`] writes header blocks field by field, [`block`] a list of fields at once; [`Reader`] reads them.
//! - [`Socket`] is a peer on a TCP connection: blocking, on the thread of its test, and with a time limit, so that a
//!   connection which does not answer is a failure and not a hang.
//! - [`corpus`] finds the public corpora, if they are present.
//!
//! The other end of a [`Socket`] is a halfclose server or client on either runtime: `halfclose_e2e` starts both
//! (`Serving` and `Runtime::connect`). This crate knows no runtime, so suites in memory do not build one.
#![forbid(unsafe_code)]

mod block;
mod corpus;
mod fields;
mod frame;
mod socket;

pub use block::{Block, PATH, REQUEST, RESPONSE, TRAILERS, TRAILERS_ONLY, block, literal};
pub use corpus::{bytes_of, corpus, json_files};
pub use fields::{Fields, Reader};
pub use frame::{
    ACK, END_HEADERS, END_STREAM, Frame, PADDED, PREFACE, data, flagged, frame, frames, goaway, headers,
    kind, message, ping, prefixed, reset, settings, settings_ack, take_frame, update,
};
pub use socket::{PATIENCE, Socket};
