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
//! The generated code depends only on the crate that [`Generator::runtime`] names (`halfclose_tokio` by default),
//! which re-exports prost and its types. The program `halfclose-gen` generates the same for code that is checked in.
//!
//! # What is generated
//!
//! For a service `Greeter`, beside the messages of its package:
//!
//! | item | description |
//! |---|---|
//! | `GreeterClient<C>` | the client; `C` carries its calls: a channel, a mock, `Arc<dyn Invoke>` |
//! | `Greeter` | a trait of async functions, one for each method, that a server implements |
//! | `GreeterServer<T>` | the argument of `Router::add_service`, made of a `T: Greeter` |
//! | `greeter_service::SERVICE_NAME`, `METHODS`, `SAY_HELLO` | the names, call types and idempotency of its methods |
//! | `FILE_DESCRIPTOR_SET` | at the root of the tree: the descriptors of the files, for reflection |
//!
//! Names that Rust reserves are spelled as prost spells them (`r#type`, `self_`); a name that is in use gets `_`
//! after it: a method `New` is called by `new_`, because `new` creates a client. The documentation of an item gives
//! its name on the wire.
//!
//! # Methods that are not implemented
//!
//! A server must implement every method of its trait, as with tonic, so that a forgotten or misspelled method does
//! not compile. That makes a new method of a service a breaking change for its implementations, which grpc-go and C++
//! avoid by answering UNIMPLEMENTED. [`Generator::default_methods`] does the same, for services whose definitions are
//! maintained elsewhere.
//!
//! # Editions, and other compilers
//!
//! protox compiles the files and supports proto2 and proto3. [`Generator::descriptor_set`] accepts the output of
//! `protoc --include_source_info --include_imports --descriptor_set_out` or of `buf build` instead.

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

/// Generates code for some files in a build script, which `include_protos!` includes.
///
/// The files are in `folder`, which is also searched for imports.
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
