//! Maps the HTTP status of a response without `grpc-status` to a gRPC code (gRPC `http-grpc-status-mapping.md`).

use super::status::Code;

/// Returns the code for an HTTP status, if `grpc-status` is absent ([P-29](crate::manual::rules#p-29)).
///
/// Interim responses (1xx) have no code, because the caller skips them ([P-24](crate::manual::rules#p-24)). 200
/// without a `grpc-status` is `UNKNOWN`, too.
#[must_use]
pub fn code_of(http_status: u16) -> Code {
    match http_status {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_statuses_have_a_meaning() {
        for http in 0..=999 {
            let expected = match http {
                400 => 13,
                401 => 16,
                403 => 7,
                404 => 12,
                429 | 502..=504 => 14,
                _ => 2,
            };
            assert_eq!(code_of(http).as_u32(), expected, "{http}");
        }
    }
}
