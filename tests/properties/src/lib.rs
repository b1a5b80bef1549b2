//! Properties of the core, each a function of bytes.
#![forbid(unsafe_code)]

/// Frames.
pub fn frame_decode(data: &[u8]) {
    let _ = data;
}
