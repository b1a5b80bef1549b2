//! The headers of a response, as a client receives it ([P-20](crate::manual::rules#p-20) to [P-30](crate::manual::rules#p-30)).

use super::MalformedReason;
use super::gather::{Gather, OwnText, Span, check_te, content_length, excerpt};
use super::trailers::{StatusFields, Trailers};
use crate::grpc::encoding::{Encoding, EncodingSet};
use crate::grpc::metadata::Metadata;
use crate::grpc::status::Status;
use crate::grpc::{content_type, http_status};

/// A header block that a server sends before its messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ResponseBlock {
    /// An interim response (1xx) with its HTTP status, which the client skips ([P-24](crate::manual::rules#p-24)).
    Informational(u16),
    /// Response-Headers: messages and trailers may follow ([P-20](crate::manual::rules#p-20)).
    Headers(ResponseHeaders),
    /// Trailers-Only: the first block ends the stream ([P-22](crate::manual::rules#p-22), [P-23](crate::manual::rules#p-23)).
    TrailersOnly(TrailersOnly),
}

/// The headers of a response (Response-Headers).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResponseHeaders {
    text: OwnText,
    subtype: Option<Span>,
    encoding_name: Option<Span>,
    /// The HTTP status; 200 for a gRPC response.
    pub http_status: u16,
    /// The encodings in `grpc-accept-encoding` that this library knows by name.
    pub accept: EncodingSet,
    /// The value of `content-length`, in bytes: the length that the DATA payloads have to add up to (RFC 9113
    /// §8.1.1).
    pub content_length: Option<u64>,
    /// Whether the HTTP status is 200 and the `content-type` is gRPC's.
    pub is_grpc: bool,
    /// Why the response is not usable: an HTTP status other than 200 ([P-29](crate::manual::rules#p-29)), another
    /// `content-type` ([P-28](crate::manual::rules#p-28)), a malformed `-bin` value
    /// ([P-30](crate::manual::rules#p-30)), metadata over the limit ([P-45](crate::manual::rules#p-45)).
    ///
    /// With an HTTP status other than 200, a `grpc-status` in the trailers still takes precedence
    /// ([P-29](crate::manual::rules#p-29)).
    pub failure: Option<Status>,
    /// Initial metadata.
    pub metadata: Metadata,
}

impl ResponseHeaders {
    /// Returns the codec in the `content-type`, for example `proto`; `None` if it has none.
    #[must_use]
    pub fn content_subtype(&self) -> Option<&str> {
        self.subtype.map(|span| span.of(&self.text))
    }

    /// Returns the value of `grpc-encoding`.
    #[must_use]
    pub fn encoding_name(&self) -> Option<&[u8]> {
        self.encoding_name.map(|span| span.of(&self.text).as_bytes())
    }

    /// Returns the encoding of `grpc-encoding`, if this library knows its name.
    #[must_use]
    pub fn encoding(&self) -> Option<Encoding> {
        self.encoding_name().and_then(Encoding::from_name)
    }
}

/// A complete response in one header block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrailersOnly {
    /// The HTTP status.
    pub http_status: u16,
    /// The encodings in `grpc-accept-encoding` that this library knows by name: those that a server accepts which
    /// refuses one.
    pub accept: EncodingSet,
    /// Status and metadata; the status is always present.
    pub trailers: Trailers,
}

/// The response's own fields that have been seen.
#[derive(Debug, Default)]
struct ResponseFieldsSeen {
    http_status: Option<u16>,
    content_type: ContentType,
    subtype: Option<Span>,
    encoding: Option<Span>,
    accept: EncodingSet,
    content_length: Option<u64>,
}

#[derive(Debug, Default)]
enum ContentType {
    #[default]
    Missing,
    Grpc,
    Other(String),
}

/// Builds a [`ResponseBlock`] from the fields of one block that is not trailers. A builder can be reused for further
/// blocks.
///
/// ```
/// use halfclose::internals::{ResponseBlock, ResponseHeadersBuilder};
///
/// let mut builder = ResponseHeadersBuilder::new(8192);
/// builder.field(b":status", b"200");
/// builder.field(b"content-type", b"application/grpc");
/// assert!(matches!(builder.finish(false), Ok(ResponseBlock::Headers(headers)) if headers.failure.is_none()));
/// ```
#[derive(Debug)]
pub struct ResponseHeadersBuilder {
    gather: Gather,
    seen: ResponseFieldsSeen,
    status: StatusFields,
    malformed: Option<MalformedReason>,
}

impl ResponseHeadersBuilder {
    /// Makes a builder. `metadata_limit` is the size of the largest block that is accepted, in bytes as RFC 9113
    /// §6.5.2 counts them.
    #[must_use]
    pub fn new(metadata_limit: usize) -> Self {
        Self {
            gather: Gather::new(metadata_limit),
            seen: ResponseFieldsSeen::default(),
            status: StatusFields::default(),
            malformed: None,
        }
    }

    /// Adds the next field of the block.
    #[inline]
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        if self.malformed.is_none() {
            self.malformed = self.checked_field(name, value).err();
        }
    }

    /// Adds the next field of the block, one that no hop may index (RFC 7541 §7.1.3).
    pub fn sensitive_field(&mut self, name: &[u8], value: &[u8]) {
        self.gather.sensitive = true;
        self.field(name, value);
        self.gather.sensitive = false;
    }

    fn checked_field(&mut self, name: &[u8], value: &[u8]) -> Result<(), MalformedReason> {
        let (value, keep) = self.gather.admit(name, value)?;
        if name.starts_with(b":") {
            self.gather.pseudo()?;
            return self.pseudo(name, value);
        }
        self.gather.regular();
        if self.status.take(name, value, keep) {
            return Ok(());
        }
        let seen = &mut self.seen;
        match name {
            b"te" => check_te(value)?,
            b"content-type" => self.content_type(value, keep),
            b"content-length" => seen.content_length = content_length(seen.content_length, value)?,
            b"grpc-encoding" => {
                if keep {
                    seen.encoding = Some(self.gather.keep_once(seen.encoding, value));
                }
            }
            b"grpc-accept-encoding" => seen.accept = seen.accept.union(EncodingSet::parse(value)),
            _ => self.gather.custom(name, value, keep)?,
        }
        Ok(())
    }

    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), MalformedReason> {
        if name != b":status" {
            return Err(MalformedReason::UnknownPseudo);
        }
        let status = parse_status(value).ok_or(MalformedReason::InvalidPseudo(":status"))?;
        match self.seen.http_status.replace(status) {
            Some(_) => Err(MalformedReason::DuplicatePseudo(":status")),
            None => Ok(()),
        }
    }

    fn content_type(&mut self, value: &[u8], keep: bool) {
        let codec = content_type::parse(value).map(|subtype| subtype.codec().filter(|_| keep));
        let seen = &mut self.seen;
        match (&seen.content_type, codec) {
            (ContentType::Missing, Some(codec)) => {
                seen.subtype = codec.map(|codec| self.gather.keep(codec.as_bytes()));
                seen.content_type = ContentType::Grpc;
            }
            // The same type was repeated.
            (ContentType::Grpc, Some(codec))
                if seen.subtype.map(|span| span.of(self.gather.text())) == codec => {}
            (ContentType::Other(_), _) => {}
            // This is another type, or it contradicts the previous one.
            (ContentType::Missing | ContentType::Grpc, _) => {
                seen.content_type = ContentType::Other(excerpt(value));
            }
        }
    }

    /// Completes the block. `end_stream` says whether it ends the stream. The builder is ready for the next block.
    ///
    /// # Errors
    /// [`MalformedReason`]: a stream error of type PROTOCOL_ERROR.
    pub fn finish(&mut self, end_stream: bool) -> Result<ResponseBlock, MalformedReason> {
        let seen = std::mem::take(&mut self.seen);
        let status = std::mem::take(&mut self.status);
        let result = match self.malformed.take() {
            Some(reason) => Err(reason),
            None => self.finish_checked(seen, status, end_stream),
        };
        self.gather.reset();
        result
    }

    fn finish_checked(
        &self,
        seen: ResponseFieldsSeen,
        status: StatusFields,
        end_stream: bool,
    ) -> Result<ResponseBlock, MalformedReason> {
        let http_status = seen.http_status.ok_or(MalformedReason::MissingPseudo(":status"))?;
        match http_status {
            // RFC 9113 §8.6.
            101 => return Err(MalformedReason::SwitchingProtocols),
            100..=199 if end_stream => return Err(MalformedReason::InterimEnd),
            100..=199 => return Ok(ResponseBlock::Informational(http_status)),
            _ => {}
        }
        if end_stream && matches!(seen.content_length, Some(1..)) {
            return Err(MalformedReason::ContentLength);
        }
        Ok(if end_stream {
            self.trailers_only(&seen, status, http_status)
        } else {
            // P-23: a `grpc-status` in a block that does not end the stream is ignored.
            self.headers(seen, http_status)
        })
    }

    fn headers(&self, seen: ResponseFieldsSeen, http_status: u16) -> ResponseBlock {
        let foreign = not_grpc(http_status, &seen.content_type);
        let is_grpc = foreign.is_none();
        // A response that is not gRPC has a status of its own, whatever its other fields contain.
        let failure = foreign.or_else(|| self.gather.failure());
        let (text, metadata) = self.gather.store();
        ResponseBlock::Headers(ResponseHeaders {
            text,
            subtype: seen.subtype,
            encoding_name: seen.encoding,
            http_status,
            accept: seen.accept,
            content_length: seen.content_length,
            is_grpc,
            failure,
            metadata,
        })
    }

    fn trailers_only(
        &self,
        seen: &ResponseFieldsSeen,
        status: StatusFields,
        http_status: u16,
    ) -> ResponseBlock {
        // P-29: if there is a `grpc-status`, neither the HTTP status nor the content type matters.
        let status = status
            .into_status(&self.gather)
            .or_else(|| not_grpc(http_status, &seen.content_type))
            .unwrap_or_else(|| Status::unknown("the server ended the call without a grpc-status"));
        let trailers = Trailers { status: Some(status), metadata: self.gather.metadata() };
        ResponseBlock::TrailersOnly(TrailersOnly { http_status, accept: seen.accept, trailers })
    }
}

/// Parses an HTTP status of three digits (RFC 9110 §15). Classes above 5 occur in practice and are not a protocol
/// error.
fn parse_status(value: &[u8]) -> Option<u16> {
    match value {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            Some(u16::from(a & 0x0f) * 100 + u16::from(b & 0x0f) * 10 + u16::from(c & 0x0f))
        }
        _ => None,
    }
}

/// Returns the status for a response that is not gRPC.
fn not_grpc(http_status: u16, content_type: &ContentType) -> Option<Status> {
    if http_status != 200 {
        let code = http_status::code_of(http_status);
        return Some(Status::new(code, format!("the server answered with HTTP status {http_status}")));
    }
    match content_type {
        ContentType::Grpc => None,
        ContentType::Missing => {
            Some(Status::unknown("the server answered with HTTP status 200 and no content-type"))
        }
        ContentType::Other(met) => Some(Status::unknown(format!(
            "the server answered with HTTP status 200 and content-type \"{met}\""
        ))),
    }
}
