//! Message codecs: how a `grpc-encoding` transforms a payload.
//!
//! Every message is compressed on its own ([P-58](crate::manual::rules#p-58)). The features `gzip`, `deflate` and
//! `zstd` enable built-in codecs; an application can add others under names of its own.

#[cfg(any(feature = "gzip", feature = "deflate", feature = "zstd"))]
mod builtin;
#[cfg(test)]
mod tests;
mod work;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::encoding::Encoding;

#[cfg(feature = "deflate")]
pub use builtin::Deflate;
#[cfg(feature = "gzip")]
pub use builtin::Gzip;
#[cfg(feature = "zstd")]
pub use builtin::Zstd;
pub use work::{CompressedPayload, Compression, Decompression, UnpackSteps};

/// Why a payload cannot be decompressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecompressError {
    /// The message exceeds the limit once decompressed ([P-54](crate::manual::rules#p-54): `RESOURCE_EXHAUSTED`).
    #[error("a compressed message holds more than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// It is not of this encoding, is cut short, or is followed by other bytes ([P-53](crate::manual::rules#p-53): `INTERNAL`); or it is
    /// long and brings next to nothing, which no encoder writes.
    #[error("a compressed message is corrupt")]
    Corrupt,
    /// The codec panicked (`INTERNAL`): it concerns this message alone.
    #[error("the codec of a compressed message panicked")]
    Panicked,
}

/// The error of a codec that failed to compress a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a message could not be compressed")]
pub struct CompressError;

/// One message encoding. Implementations keep no state between messages.
pub trait MessageCodec: fmt::Debug + Send + Sync {
    /// Returns the name in `grpc-encoding`: a token without a comma (RFC 9110 §5.6.2).
    fn name(&self) -> &str;

    /// Appends the compressed form of `payload` to `out`.
    ///
    /// # Errors
    /// [`CompressError`] if the codec fails; what it has appended to `out` is then meaningless.
    fn compress(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError>;

    /// Decompresses all of `payload` into at most `max` bytes. An empty payload is an empty message
    /// ([P-61](crate::manual::rules#p-61)). The implementation has to bound its memory while decompressing, whatever
    /// the payload announces.
    /// # Errors
    /// [`DecompressError`].
    fn decompress(&self, payload: &[u8], max: usize) -> Result<Bytes, DecompressError>;

    /// Begins to decompress a payload that is not empty in bounded steps, into at most `max` bytes. `None`, as here, where the codec can
    /// only do it at once by [`decompress`](Self::decompress): then a message is as much work in one piece as its length
    /// and `max` allow.
    fn unpack_steps(&self, max: usize) -> Option<Box<dyn UnpackSteps>> {
        let _ = max;
        None
    }
}

/// The error of a codec whose name is not valid in `grpc-encoding`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is not a name for a message encoding")]
pub struct CodecNameError(String);

/// The position of a codec in [`Codecs`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CodecIndex(u16);

#[cfg(test)]
impl CodecIndex {
    pub(crate) const FIRST: Self = Self(0);
}

/// The codecs of one endpoint. Cheap to clone.
///
/// ```
/// use halfclose::grpc::compress::Codecs;
///
/// assert_eq!(Codecs::none().accept_encoding(), "identity");
/// assert!(Codecs::builtin().get(b"x-unknown").is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Codecs {
    table: Arc<CodecTable>,
}

#[derive(Clone, Debug)]
struct CodecTable {
    codecs: Vec<Arc<dyn MessageCodec>>,
    has_custom: bool,
    accept: String,
}

impl Codecs {
    /// Returns a set without codecs, which supports only `identity`.
    #[must_use]
    pub fn none() -> Self {
        Self::of(Vec::new())
    }

    /// Returns every codec that is compiled in.
    #[must_use]
    pub fn builtin() -> Self {
        Self::of(vec![
            #[cfg(feature = "gzip")]
            Arc::new(Gzip),
            #[cfg(feature = "deflate")]
            Arc::new(Deflate),
            #[cfg(feature = "zstd")]
            Arc::new(Zstd),
        ])
    }

    /// Adds a codec, replacing one of the same name. An [`Encoding`] with its name selects it for the messages of a
    /// call: [`Encoding::Custom`] for a custom name.
    ///
    /// # Errors
    /// [`CodecNameError`] if the name is `identity` or not a token.
    pub fn with(&self, codec: Arc<dyn MessageCodec>) -> Result<Self, CodecNameError> {
        let name = codec.name();
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || name == "identity" || !name.bytes().all(token) {
            return Err(CodecNameError(name.to_owned()));
        }
        let mut codecs = self.table.codecs.clone();
        codecs.retain(|other| other.name() != name);
        codecs.push(codec);
        Ok(Self::of(codecs))
    }

    fn of(codecs: Vec<Arc<dyn MessageCodec>>) -> Self {
        let names = std::iter::once("identity").chain(codecs.iter().map(|codec| codec.name()));
        let accept = names.collect::<Vec<_>>().join(",");
        let has_custom = codecs.iter().any(|codec| Encoding::from_name(codec.name().as_bytes()).is_none());
        Self { table: Arc::new(CodecTable { codecs, has_custom, accept }) }
    }

    /// Returns the codec for a `grpc-encoding` name; `None` for an unknown one, and for `identity`, which needs none.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&Arc<dyn MessageCodec>> {
        self.table.codecs.iter().find(|codec| codec.name().as_bytes() == name)
    }

    /// Returns the position of the codec for a `grpc-encoding` name.
    pub(crate) fn index_of(&self, name: &[u8]) -> Option<CodecIndex> {
        let index = self.table.codecs.iter().position(|codec| codec.name().as_bytes() == name)?;
        u16::try_from(index).ok().map(CodecIndex)
    }

    /// Returns the codec at a position that [`index_of`](Self::index_of) returned.
    pub(crate) fn at(&self, index: CodecIndex) -> Option<&Arc<dyn MessageCodec>> {
        self.table.codecs.get(usize::from(index.0))
    }

    /// Returns whether there are codecs whose names this library does not know.
    pub(crate) fn has_custom(&self) -> bool {
        self.table.has_custom
    }

    /// Returns the value of `grpc-accept-encoding` for these codecs.
    #[must_use]
    pub fn accept_encoding(&self) -> &str {
        &self.table.accept
    }
}

impl Default for Codecs {
    fn default() -> Self {
        Self::builtin()
    }
}
