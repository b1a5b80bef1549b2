//! Generated code for the tests of this crate. All of it compiles without a warning, or this crate does not.
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused_qualifications)]
#![deny(clippy::all, clippy::pedantic)]
#![allow(clippy::doc_markdown)]

/// Messages of prost.
pub mod proto {
    halfclose_driver::include_protos!();
}

/// The same services with messages as bytes.
pub mod raw {
    halfclose_driver::include_protos!("raw");
}

/// The oddest files.
pub mod odd {
    halfclose_driver::include_protos!("odd");
}

/// The oddest files with messages as bytes.
pub mod odd_raw {
    halfclose_driver::include_protos!("odd_raw");
}

/// The oddest files, and methods that need not be implemented.
pub mod odd_defaults {
    halfclose_driver::include_protos!("odd_defaults");
}
