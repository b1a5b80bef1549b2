//! Where the types of messages come from. The generator of services asks a [`Messages`] what a message is called in Rust,
//! and knows nothing else of it.

mod prost;
#[cfg(feature = "raw")]
mod raw;

use std::collections::BTreeMap;

pub use self::prost::Prost;
#[cfg(feature = "raw")]
pub use self::raw::Raw;
use crate::error::Error;

/// A message library.
pub trait Messages {
    /// Generates the messages of every package. `descriptor_set` is an encoded `google.protobuf.FileDescriptorSet` with
    /// everything that it imports; `codegen` is the path of the module `codegen` of the runtime.
    ///
    /// # Errors
    ///
    /// [`Error`] for what the library cannot do.
    fn generate(&mut self, descriptor_set: &[u8], codegen: &str) -> Result<BTreeMap<String, String>, Error>;

    /// Returns the type of a message, for a method of `package`: `message` is its full name, without a dot in front. Asked
    /// after [`generate`](Self::generate).
    fn rust_type(&self, package: &str, message: &str, codegen: &str) -> Option<RustType>;

    /// Returns the path of the codec of these messages. `codegen` is how the code of a service calls the module.
    fn codec(&self, codegen: &str) -> String;
}

/// How a type is named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RustType {
    /// The same everywhere: a path that begins with `::` or `crate::`, or a primitive type.
    Absolute(String),
    /// As in the module of the package.
    InPackage(String),
}
