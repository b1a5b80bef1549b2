//! The `content-type` of gRPC ([P-8](crate::manual::rules#p-8)): `application/grpc`, then a codec after `+` and
//! parameters after `;`.

/// The content type without a codec.
pub const TYPE: &[u8] = b"application/grpc";

/// The part after `application/grpc`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subtype<'a>(Option<&'a str>);

impl<'a> Subtype<'a> {
    /// Returns the codec, for example `proto` or `json`; `None` for plain `application/grpc`, which means `proto`.
    #[must_use]
    pub fn codec(self) -> Option<&'a str> {
        self.0
    }
}

/// Parses a `content-type`; `None` if it is not gRPC, which a server answers with HTTP 415.
///
/// The type is case-insensitive (RFC 9110 §8.3.1); `application/grpcx` and `application/grpc-web` are other types.
/// Parameters are ignored.
///
/// ```
/// use halfclose::grpc::content_type;
///
/// assert_eq!(content_type::parse(b"application/grpc+json").unwrap().codec(), Some("json"));
/// assert_eq!(content_type::parse(b"application/grpc").unwrap().codec(), None);
/// assert!(content_type::parse(b"application/grpcx").is_none());
/// ```
#[must_use]
pub fn parse(value: &[u8]) -> Option<Subtype<'_>> {
    let (headers, rest) = value.split_at_checked(TYPE.len())?;
    if !headers.eq_ignore_ascii_case(TYPE) {
        return None;
    }
    match rest {
        [b'+', rest @ ..] => {
            let codec = before_parameters(rest);
            let text = str::from_utf8(codec).ok().filter(|_| codec.iter().all(|&b| is_token(b)))?;
            Some(Subtype(Some(text).filter(|codec| !codec.is_empty())))
        }
        _ => before_parameters(rest).is_empty().then_some(Subtype(None)),
    }
}

/// Returns the part before a `;`, without trailing white space.
fn before_parameters(rest: &[u8]) -> &[u8] {
    let end = rest.iter().position(|&b| b == b';').unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default().trim_ascii_end()
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_types() {
        let table: [(&[u8], Option<&str>); 10] = [
            (b"application/grpc", None),
            (b"APPLICATION/gRPC", None),
            (b"application/grpc+proto", Some("proto")),
            (b"application/grpc+JSON", Some("JSON")),
            (b"application/grpc+vnd.x-1", Some("vnd.x-1")),
            (b"application/grpc+", None),
            (b"application/grpc;charset=utf-8", None),
            (b"application/grpc ; charset=utf-8", None),
            (b"application/grpc+proto;x=y", Some("proto")),
            (b"application/grpc+proto ;x=y", Some("proto")),
        ];
        for (value, codec) in table {
            assert_eq!(parse(value), Some(Subtype(codec)), "{value:?}");
        }
    }

    #[test]
    fn other_types() {
        let table: [&[u8]; 9] = [
            b"",
            b"application/grp",
            b"application/grpcx",
            b"application/grpc-web",
            b"application/grpc proto",
            b"application/grpc+a b",
            b"application/grpc+\xff",
            b"application/json",
            b" application/grpc",
        ];
        for value in table {
            assert_eq!(parse(value), None, "{value:?}");
        }
    }
}
