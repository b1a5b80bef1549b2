//! Messages as bytes: for proxies, tools, and programs with a decoder of their own.

use std::collections::BTreeMap;

use super::{Messages, RustType};
use crate::error::Error;

/// Every message is `Bytes`, as it is on the wire.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw;

impl Messages for Raw {
    fn generate(&mut self, _: &[u8], _: &str) -> Result<BTreeMap<String, String>, Error> {
        Ok(BTreeMap::new())
    }

    fn rust_type(&self, _: &str, _: &str, codegen: &str) -> Option<RustType> {
        Some(RustType::Absolute(format!("{codegen}::bytes::Bytes")))
    }

    fn codec(&self, codegen: &str) -> String {
        format!("{codegen}::Raw")
    }
}
