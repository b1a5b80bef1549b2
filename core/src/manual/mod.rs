//! The manual: the guides and references of the repository's `docs`, next to the items that they describe.
//!
//! | page | purpose |
//! |---|---|
//! | [`embedding`] | how to bind the core to a runtime, step by step; the tests compile and run every example |
//! | [`limits`] | every limit with its attack and the honest load that comes closest, and the most memory in use |
//! | [`rules`] | the rules of gRPC over HTTP/2 that the code cites by number, with their sources |
//! | [`machines`] | the state tables, generated from the code |
//! | [`glossary`] | the project's terms beside those of RFC 9113, RFC 7541 and gRPC |

#[doc = include_str!("embedding.md")]
pub mod embedding {}

#[doc = include_str!("limits.md")]
pub mod limits {}

#[doc = include_str!("rules.md")]
pub mod rules {}

#[doc = include_str!("machines.md")]
pub mod machines {}

#[doc = include_str!("glossary.md")]
pub mod glossary {}
