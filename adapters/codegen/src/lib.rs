//! Typed clients and servers of halfclose from `.proto` files. No `protoc` is needed.
//!
//! ```no_run
//! // build.rs
//! fn main() -> Result<(), halfclose_build::Error> {
//!     halfclose_build::compile("proto", ["proto/greeter.proto"])
//! }
//! ```
//!
//! ```ignore
//! // src/main.rs: every package is a module of its name.
//! mod proto {
//!     halfclose_tokio::include_protos!();
//! }
//! use proto::greeter::{Greeter, GreeterClient, GreeterServer};
//! ```
//!
//! The crate that is named by [`Generator::runtime`] (`halfclose_tokio` unless another is named) is all that generated code
//! stands on: prost and its types come with it. The program `halfclose-gen` generates the same for code that is checked in.
//!
//! # What is generated
//!
//! For a service `Greeter`, beside the messages of its package:
//!
//! | item | what it is |
//! |---|---|
//! | `GreeterClient<C>` | the client; `C` is what carries its calls: a channel, a mock, `Arc<dyn Invoke>` |
//! | `Greeter` | a trait of async functions, one for each method, that a server implements |
//! | `GreeterServer<T>` | what `Router::add_service` takes, made of a `T: Greeter` |
//! | `greeter_service::SERVICE_NAME`, `METHODS`, `SAY_HELLO` | the names, call types and idempotency of its methods |
//! | `FILE_DESCRIPTOR_SET` | at the root of the tree: what the files say, for reflection |
//!
//! Names that Rust keeps for itself are spelled as prost spells them (`r#type`, `self_`); a name that is taken gets `_`
//! behind it: a method `New` is called by `new_`, since `new` makes a client. The documentation of an item says what it
//! is called on the wire.
//!
//! # Methods that are not implemented
//!
//! A server must implement every method of its trait, as with tonic: a method that was forgotten or misspelled does not
//! compile. That makes a new method of a service a breaking change for those who implement it, which grpc-go and C++
//! avoid by answering UNIMPLEMENTED. Who implements services whose definitions come from others asks for the same by
//! [`Generator::default_methods`].
//!
//! # Editions, and other compilers
//!
//! The files are compiled by protox, which knows proto2 and proto3. [`Generator::descriptor_set`] takes what `protoc
//! --include_source_info --include_imports --descriptor_set_out` or `buf build` made instead.

mod descriptors;
mod error;
mod generator;
pub mod messages;
mod model;
mod names;
mod read;
mod service;
mod tree;

pub use error::Error;
pub use generator::{Generated, Generator};

use std::path::Path;

/// Generates code for some files, for a build script: what `include_protos!` includes.
///
/// `folder` is where imports are looked for; the files are in it.
///
/// # Errors
///
/// [`Error`] names the file, the line where there is one, and what to do.
pub fn compile<P: AsRef<Path>>(
    folder: impl AsRef<Path>,
    files: impl IntoIterator<Item = P>,
) -> Result<(), Error> {
    Generator::new().compile(folder, files)
}
