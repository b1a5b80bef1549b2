//! The manual: the guides and references of the repository's `docs`, beside the items that they speak of.
//!
//! | page | what it is for |
//! |---|---|
//! | [`embedding`] | binds the core to a runtime, step by step; every piece of code is run by the tests |
//! | [`limits`] | every limit, the attack that it stops, the honest load that comes nearest, and the most memory |
//! | [`rules`] | the rules of gRPC over HTTP/2 that the code cites by number, with their sources |
//! | [`machines`] | the state tables, as the code has them |
//! | [`glossary`] | our words beside those of RFC 9113, RFC 7541 and gRPC |

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
