//! Complete header blocks: `requests` handles those that a server receives, `responses` those that a client receives.

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

    /// Returns the codec of a `grpc-encoding`: `None` for identity, an error if there is no codec for it.
    #[inline]
    pub(super) fn codec_named(&self, name: Option<&[u8]>) -> Result<Option<CodecIndex>, NoCodec> {
        match name {
            None | Some(b"identity") => Ok(None),
            Some(name) => self.config.codecs.index_of(name).map(Some).ok_or(NoCodec),
        }
    }
}

/// The error of an encoding that has no codec.
pub(super) struct NoCodec;
