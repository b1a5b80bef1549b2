//! Names of message encodings ([P-10](crate::manual::rules#p-10), [P-11](crate::manual::rules#p-11), gRPC `compression.md`).

/// A message encoding: one that this library knows by name, or a custom one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Encoding {
    /// `identity`: not compressed.
    Identity,
    /// `gzip` (RFC 1952); feature `gzip`.
    Gzip,
    /// `deflate`: the zlib format (RFC 1950), as in C-core; feature `deflate`.
    Deflate,
    /// `zstd` (RFC 8878); feature `zstd`.
    Zstd,
    /// The encoding of a codec that was added under this name, by
    /// [`Codecs::with`](crate::grpc::compress::Codecs::with).
    Custom(&'static str),
}

impl Encoding {
    /// All encodings that this library knows by name.
    pub const ALL: [Self; 4] = [Self::Identity, Self::Gzip, Self::Deflate, Self::Zstd];

    /// Returns the name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
            Self::Custom(name) => name,
        }
    }

    /// Returns the encoding with this name, which is case-sensitive; `None` if this library does not know the name.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"identity" => Some(Self::Identity),
            b"gzip" => Some(Self::Gzip),
            b"deflate" => Some(Self::Deflate),
            b"zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Returns whether the codec is compiled in. `identity` needs none; the application adds custom ones.
    #[must_use]
    pub const fn is_compiled(self) -> bool {
        match self {
            Self::Identity => true,
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Deflate => cfg!(feature = "deflate"),
            Self::Zstd => cfg!(feature = "zstd"),
            Self::Custom(_) => false,
        }
    }

    /// Returns the bit of an encoding in an [`EncodingSet`]; a custom one has none.
    const fn bit(self) -> u8 {
        match self {
            Self::Identity => 1,
            Self::Gzip => 2,
            Self::Deflate => 4,
            Self::Zstd => 8,
            Self::Custom(_) => 0,
        }
    }
}

/// A set of encodings that this library knows by name; custom ones are never in it.
///
/// ```
/// use halfclose::grpc::encoding::{Encoding, EncodingSet};
///
/// let set = EncodingSet::parse(b"identity, gzip,x-custom");
/// assert!(set.contains(Encoding::Gzip));
/// assert_eq!(set.to_string(), "identity,gzip");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct EncodingSet(u8);

impl EncodingSet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// Returns `identity` and every encoding that is compiled in.
    #[must_use]
    pub fn compiled() -> Self {
        Encoding::ALL.into_iter().filter(|encoding| encoding.is_compiled()).collect()
    }

    /// Returns whether `encoding` is in the set.
    #[must_use]
    pub const fn contains(self, encoding: Encoding) -> bool {
        self.0 & encoding.bit() != 0
    }

    /// Adds `encoding`, unless it is a custom one.
    pub const fn insert(&mut self, encoding: Encoding) {
        self.0 |= encoding.bit();
    }

    /// Returns the union of both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Parses a `grpc-accept-encoding` value, ignoring unknown names.
    #[must_use]
    pub fn parse(value: &[u8]) -> Self {
        names(value).filter_map(Encoding::from_name).collect()
    }

    /// Returns the encodings in the set.
    pub fn iter(self) -> impl Iterator<Item = Encoding> {
        Encoding::ALL.into_iter().filter(move |&encoding| self.contains(encoding))
    }
}

impl FromIterator<Encoding> for EncodingSet {
    fn from_iter<I: IntoIterator<Item = Encoding>>(encodings: I) -> Self {
        let mut set = Self::EMPTY;
        encodings.into_iter().for_each(|encoding| set.insert(encoding));
        set
    }
}

impl std::fmt::Display for EncodingSet {
    /// Writes a `grpc-accept-encoding` value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, encoding) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            f.write_str(encoding.as_str())?;
        }
        Ok(())
    }
}

/// Returns the names in a comma-separated list, without the optional white space around them (RFC 9110 §5.6.1). Empty
/// list members are skipped.
pub fn names(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_encodings_agree() {
        for encoding in Encoding::ALL {
            assert_eq!(Encoding::from_name(encoding.as_str().as_bytes()), Some(encoding));
        }
        // A custom encoding keeps its name, and no set contains it.
        let custom = Encoding::Custom("gzip");
        let mut set = EncodingSet::EMPTY;
        set.insert(custom);
        assert_eq!((custom.as_str(), set, custom.is_compiled()), ("gzip", EncodingSet::EMPTY, false));
        assert!(!EncodingSet::parse(b"gzip").contains(custom));
        for name in [&b""[..], b"GZIP", b"gzip ", b"br", b"snappy"] {
            assert_eq!(Encoding::from_name(name), None);
        }
    }

    #[test]
    fn lists() {
        let table: [(&[u8], &str); 7] = [
            (b"", ""),
            (b"identity", "identity"),
            (b"identity,deflate,gzip", "identity,gzip,deflate"),
            (b" gzip ,\tzstd", "gzip,zstd"),
            (b",,gzip,", "gzip"),
            (b"br,gzip;q=1,snappy", ""),
            (b"gzip,gzip", "gzip"),
        ];
        for (value, text) in table {
            let set = EncodingSet::parse(value);
            assert_eq!(set.to_string(), text, "{value:?}");
            assert_eq!(EncodingSet::parse(text.as_bytes()), set);
        }
        let (gzip, both) = (EncodingSet::parse(b"gzip"), EncodingSet::parse(b"gzip,zstd"));
        assert_eq!(gzip.union(EncodingSet::parse(b"zstd")), both);
        assert_eq!(gzip.union(both), both);
    }

    #[test]
    fn what_is_compiled_follows_the_features() {
        let set = EncodingSet::compiled();
        assert!(set.contains(Encoding::Identity));
        assert_eq!(set.contains(Encoding::Gzip), cfg!(feature = "gzip"));
        assert_eq!(set.contains(Encoding::Deflate), cfg!(feature = "deflate"));
        assert_eq!(set.contains(Encoding::Zstd), cfg!(feature = "zstd"));
    }
}
