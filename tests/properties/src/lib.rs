//! Properties of the core, each a function of bytes.
//!
//! The fuzz targets in `fuzz/` are calls of these functions and nothing else; `tests/replay.rs` calls them on the
//! committed corpora with stable Rust, and `tests/random.rs` on random bytes. A property panics where it does not hold.
#![forbid(unsafe_code)]

mod codecs;
mod connection;
mod frame;
mod hpack;
mod message;
mod metadata;
mod pair;
pub mod seeds;

pub use codecs::text_codecs;
pub use connection::{
    chunking, client_connection, client_dialogue, hostile, server_connection, server_dialogue,
};
pub use frame::frame_decode;
pub use hpack::{hpack_decode, hpack_differential, hpack_round_trip};
pub use message::message_decode;
pub use metadata::metadata_and_heads;
pub use pair::client_server;

/// A property and its name, which its fuzz target and its corpus share.
pub type Property = (&'static str, fn(&[u8]));

/// Every property that has a fuzz target.
pub const PROPERTIES: &[Property] = &[
    ("frame_decode", frame_decode),
    ("hpack_decode", hpack_decode),
    ("hpack_round_trip", hpack_round_trip),
    ("hpack_differential", hpack_differential),
    ("message_decode", message_decode),
    ("text_codecs", text_codecs),
    ("metadata_and_heads", metadata_and_heads),
    ("server_connection", server_connection),
    ("client_connection", client_connection),
    ("server_dialogue", server_dialogue),
    ("client_dialogue", client_dialogue),
    ("chunking", chunking),
    ("client_server", client_server),
];
