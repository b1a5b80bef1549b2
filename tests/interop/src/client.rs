//! The interop client: the cases by family, and what they share.

mod cancelling;
mod case;
mod compression;
mod failure;
mod metadata;
mod negative;
mod payloads;
mod soak;
mod streaming;
mod target;
mod unary;

pub use case::Case;
pub use failure::Failure;
pub use soak::Soak;
pub use target::Target;
