//! Maps the error code of an RST_STREAM to a gRPC code (gRPC `PROTOCOL-HTTP2.md`, "Errors").

use super::status::Code;

/// Returns the code of a call that the peer ended with an RST_STREAM of error code `error` (RFC 9113 §7).
///
/// Two rules need more than the error code, so the caller applies them: `REFUSED_STREAM` also guarantees that the
/// call was not processed, and `CANCEL` after our own deadline means `DEADLINE_EXCEEDED`
/// ([P-84](crate::manual::rules#p-84)). The document leaves `STREAM_CLOSED` and `HTTP_1_1_REQUIRED` open; they are
/// `INTERNAL` here, as in grpc-go. An unassigned error code is `UNKNOWN`.
#[must_use]
pub fn code_of(error: u32) -> Code {
    match error {
        // NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED and
        // FRAME_SIZE_ERROR; COMPRESSION_ERROR and CONNECT_ERROR; HTTP_1_1_REQUIRED.
        0x0..=0x6 | 0x9 | 0xa | 0xd => Code::Internal,
        // REFUSED_STREAM.
        0x7 => Code::Unavailable,
        // CANCEL.
        0x8 => Code::Cancelled,
        // ENHANCE_YOUR_CALM.
        0xb => Code::ResourceExhausted,
        // INADEQUATE_SECURITY.
        0xc => Code::PermissionDenied,
        _ => Code::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_assigned_error_code() {
        let table = [13, 13, 13, 13, 13, 13, 13, 14, 1, 13, 13, 8, 7, 13, 2];
        for (error, code) in (0u32..).zip(table) {
            assert_eq!(code_of(error).as_u32(), code, "{error:#x}");
        }
        assert_eq!(code_of(u32::MAX), Code::Unknown);
    }
}
