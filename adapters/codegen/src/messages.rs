//! The source of the types of messages. The generator of services asks a [`Messages`] only for the Rust name of a
//! message.

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
    /// [`Error`] for input that the library does not support.
    fn generate(&mut self, descriptor_set: &[u8], codegen: &str) -> Result<BTreeMap<String, String>, Error>;

    /// Returns the type of a message, for a method of `package`: `message` is its full name, without a leading dot.
    /// It is called after [`generate`](Self::generate).
    fn rust_type(&self, package: &str, message: &str, codegen: &str) -> Option<RustType>;

    /// Returns the path of the codec of these messages. `codegen` is the name of the module in the code of a service.
    fn codec(&self, codegen: &str) -> String;
}

/// How a type is named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RustType {
    /// The same path everywhere: it begins with `::` or `crate::`, or is a primitive type.
    Absolute(String),
    /// A path that is relative to the module of the package.
    InPackage(String),
}
