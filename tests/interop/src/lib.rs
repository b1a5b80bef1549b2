//! What the interop binaries share. The peers they meet are in `tests/interop/peers`.

pub mod messages;
