//! Whole header blocks, and the role that they go to: `requests` a server's, `responses` a client's.

use super::engine::Engine;
use super::role::RoleKind;
use crate::error::Violation;
use crate::grpc::encoding::Encoding;

impl Engine {
    #[inline]
    pub(super) fn on_header_block(
        &mut self,
        id: u32,
        end_stream: bool,
        block: &[u8],
        fault: Option<Violation>,
    ) -> Result<(), Violation> {
        match self.role {
            RoleKind::Server => self.on_request_block(id, end_stream, block, fault),
            RoleKind::Client => self.on_response_block(id, end_stream, block, fault),
        }
    }

    /// The encoding of that name, where it names one; an error where there is no codec for it.
    #[inline]
    pub(super) fn encoding_of(&self, name: Option<&[u8]>) -> Result<Option<Encoding>, NoCodec> {
        match name {
            None | Some(b"identity") => Ok(None),
            Some(name) => self.known_encoding(name).map(Some).ok_or(NoCodec),
        }
    }

    fn known_encoding(&self, name: &[u8]) -> Option<Encoding> {
        self.config.codecs.get(name)?;
        Encoding::from_name(name)
    }
}

/// There is no codec for the encoding.
pub(super) struct NoCodec;
