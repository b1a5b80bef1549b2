//! Whole header blocks, and the role that they go to: `requests` a server's, `responses` a client's.

use super::engine::Engine;
use super::role::RoleKind;
use crate::error::Violation;
use crate::grpc::compress::CodecIndex;

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

    /// Returns the codec of an encoding, where it needs one; an error where there is none for it.
    #[inline]
    pub(super) fn codec_named(&self, name: Option<&[u8]>) -> Result<Option<CodecIndex>, NoCodec> {
        match name {
            None | Some(b"identity") => Ok(None),
            Some(name) => self.config.codecs.index_of(name).map(Some).ok_or(NoCodec),
        }
    }
}

/// There is no codec for the encoding.
pub(super) struct NoCodec;
