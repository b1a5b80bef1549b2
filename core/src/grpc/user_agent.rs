//! The `user-agent` of a client ([P-12](crate::manual::rules#p-12)).

/// The default user agent: `grpc-`, language, variant, `/`, version.
pub const DEFAULT: &str = concat!("grpc-rust-halfclose/", env!("CARGO_PKG_VERSION"));

/// Returns a user agent with the application's own name in front, as gRPC's `PROTOCOL-HTTP2.md` recommends.
///
/// ```
/// use halfclose::grpc::user_agent;
///
/// assert!(user_agent::with_prefix("shop/2.1").starts_with("shop/2.1 grpc-rust-halfclose/"));
/// ```
#[must_use]
pub fn with_prefix(application: &str) -> String {
    format!("{application} {DEFAULT}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_form_of_the_document() {
        let (name, version) = DEFAULT.split_once('/').unwrap();
        assert_eq!(name, "grpc-rust-halfclose");
        assert!(version.split('.').count() >= 3 && version.starts_with(|c: char| c.is_ascii_digit()));
        assert_eq!(with_prefix("shop/2.1"), format!("shop/2.1 {DEFAULT}"));
    }
}
