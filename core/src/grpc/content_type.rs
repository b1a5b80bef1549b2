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

/// The content subtypes that the messages of a call may have: the part after `application/grpc+`
/// ([P-8](crate::manual::rules#p-8)).
///
/// ```
/// use halfclose::grpc::content_type::ContentSubtypes;
///
/// const FLAT: ContentSubtypes = ContentSubtypes::named(&["flatbuffers"]).unwrap();
/// assert!(FLAT.contains(Some("flatbuffers")) && !FLAT.contains(None));
/// assert!(ContentSubtypes::PROTO.contains(None) && ContentSubtypes::PROTO.contains(Some("proto")));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ContentSubtypes(&'static [&'static str]);

impl ContentSubtypes {
    /// Any subtype, and none; requests are sent with none. For bytes whose meaning only the application knows.
    pub const ANY: Self = Self(&[]);
    /// Protocol buffers: no subtype, which means them, and `proto`. Requests are sent with none, as all
    /// implementations do.
    pub const PROTO: Self = Self(&["", "proto"]);
    /// JSON: `json` alone.
    pub const JSON: Self = Self(&["json"]);

    /// Returns these subtypes; an empty one means plain `application/grpc`. Requests are sent with the first. Returns
    /// `None` if there is no name, or one that is not a token (RFC 9110 §5.6.2).
    #[must_use]
    pub const fn named(names: &'static [&'static str]) -> Option<Self> {
        let mut rest = names;
        while let Some((name, others)) = rest.split_first() {
            let mut bytes = name.as_bytes();
            while let Some((byte, others)) = bytes.split_first() {
                if !is_token(*byte) {
                    return None;
                }
                bytes = others;
            }
            rest = others;
        }
        if names.is_empty() { None } else { Some(Self(names)) }
    }

    /// Returns whether this subtype is one of them. Case does not matter (RFC 9110 §8.3.1).
    #[must_use]
    #[inline]
    pub fn contains(self, subtype: Option<&str>) -> bool {
        let subtype = subtype.unwrap_or_default();
        self.0.is_empty() || self.0.iter().any(|name| name.eq_ignore_ascii_case(subtype))
    }

    /// Returns the subtype that requests are sent with.
    #[must_use]
    pub fn sent(self) -> Option<&'static str> {
        self.0.first().copied().filter(|name| !name.is_empty())
    }

    /// Returns whether both are equal, at once if they are the same constant.
    #[inline]
    pub(crate) fn same(self, other: Self) -> bool {
        std::ptr::eq(self.0, other.0) || self == other
    }
}

/// Returns the part before a `;`, without trailing white space.
fn before_parameters(rest: &[u8]) -> &[u8] {
    let end = rest.iter().position(|&b| b == b';').unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default().trim_ascii_end()
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
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
    fn subtypes_of_a_call() {
        let own = ContentSubtypes::named(&["x", ""]).unwrap();
        // Whether each accepts none, proto, PROTO, json, x; and what it sends.
        for (subtypes, taken, sent) in [
            (ContentSubtypes::ANY, [true; 5], None),
            (ContentSubtypes::PROTO, [true, true, true, false, false], None),
            (ContentSubtypes::JSON, [false, false, false, true, false], Some("json")),
            (own, [true, false, false, false, true], Some("x")),
        ] {
            let met = [None, Some("proto"), Some("PROTO"), Some("json"), Some("x")];
            assert_eq!(met.map(|subtype| subtypes.contains(subtype)), taken, "{subtypes:?}");
            assert_eq!(subtypes.sent(), sent);
        }
        for names in [&[][..], &["a b"], &["ok", "caf\u{e9}"], &["a;b"], &["a/b"], &["\r\n"]] {
            assert_eq!(ContentSubtypes::named(names), None, "{names:?}");
        }
        assert!(ContentSubtypes::named(&["vnd.x-1+!#$%&'*^_`|~"]).is_some());
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
