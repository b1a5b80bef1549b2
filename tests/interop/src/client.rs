//! The interop client: the cases by family, and what they share.

mod cancelling;
mod case;
mod compression;
mod edges;
mod failure;
pub(crate) mod loads;
mod metadata;
mod negative;
pub(crate) mod payloads;
mod soak;
pub(crate) mod streaming;
mod target;
pub(crate) mod unary;

pub use case::Case;
pub use failure::Failure;
pub(crate) use failure::{check, equal, fails_with};
pub use loads::LoadSize;
pub use soak::Soak;
pub use target::Target;
