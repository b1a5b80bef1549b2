//! Whole header blocks, and the role that they go to: `requests` a server's, `responses` a client's.

use super::engine::Engine;
use super::role::RoleKind;
use crate::error::Violation;
use crate::grpc::encoding::Encoding;

impl Engine {
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

    /// The encoding of that name, if there is a codec for it.
    pub(super) fn known_encoding(&self, name: &[u8]) -> Option<Encoding> {
        self.config.codecs.get(name)?;
        Encoding::from_name(name)
    }
}
