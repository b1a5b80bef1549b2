//! The headers of a request, as a server receives it ([P-1](crate::manual::rules#p-1) to [P-14](crate::manual::rules#p-14)).

use std::time::Duration;

use super::MalformedReason;
use super::gather::{Gather, OwnText, Span, check_te, content_length};
use crate::grpc::encoding::{Encoding, EncodingSet, names};
use crate::grpc::metadata::Metadata;
use crate::grpc::status::Status;
use crate::grpc::timeout::{self, TimeoutError};
use crate::grpc::{content_type, path};

/// Why a request is not accepted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RequestError {
    /// The request is malformed: a stream error of type PROTOCOL_ERROR (RFC 9113 §8.1.1).
    #[error("malformed request: {0} (RFC 9113 §{section})", section = .0.section())]
    Malformed(MalformedReason),
    /// The request is valid HTTP but not an acceptable call. The response is one header block that ends the stream.
    #[error("refused with HTTP status {http_status}: {status}")]
    Refused {
        /// The `:status` of the response.
        http_status: u16,
        /// The `grpc-status` and `grpc-message` of the response.
        status: Status,
        /// The length that the DATA of the request has to add up to even so (RFC 9113 §8.1.1).
        content_length: Option<u64>,
        /// Whether the method is HEAD, whose responses have no content (RFC 9110 §9.3.2).
        is_head: bool,
    },
}

/// Why a request is refused. If several apply, the first one in this order decides.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Refusal {
    Metadata(Status),
    Method,
    ContentType,
    Authority,
    Timeout(TimeoutError),
    TwoTimeouts,
}

impl Refusal {
    #[cold]
    #[inline(never)]
    fn into_error(self, seen: &RequestFieldsSeen) -> RequestError {
        let (http_status, status) = match self {
            // P-45, P-30: the response is Trailers-Only.
            Self::Metadata(status) => (200, status),
            // P-2.
            Self::Method => (405, Status::internal("the method of a call is POST")),
            // P-8: the code is what a client derives from HTTP status 415 (P-29).
            Self::ContentType => (415, Status::unknown("the content-type of a call is application/grpc")),
            // P-5 (gRFC A41).
            Self::Authority => (400, Status::internal("several :authority or host fields")),
            // P-7.
            Self::Timeout(error) => (400, Status::internal(error.to_string())),
            Self::TwoTimeouts => (400, Status::internal("two grpc-timeout fields that differ")),
        };
        let is_head = seen.method == Some(Method::Head);
        RequestError::Refused { http_status, status, content_length: seen.content_length, is_head }
    }
}

/// The method of a request, as far as the rules distinguish it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Method {
    Post,
    Connect,
    Options,
    Head,
    Other,
}

/// The request's own fields that have been seen.
#[derive(Debug, Default)]
struct RequestFieldsSeen {
    method: Option<Method>,
    scheme: Option<Span>,
    path: Option<Span>,
    authority: Option<Span>,
    host: Option<Span>,
    /// Whether `:authority` or `host` occurred twice.
    many_authorities: bool,
    /// Whether a `content-type` of gRPC occurred.
    grpc_type: bool,
    /// Whether another content type occurred, or two of gRPC that differ.
    other_type: bool,
    subtype: Option<Span>,
    encoding: Option<Span>,
    accept_set: EncodingSet,
    timeout: Option<Duration>,
    timeout_error: Option<TimeoutError>,
    /// Whether two different `grpc-timeout` fields occurred.
    two_timeouts: bool,
    content_length: Option<u64>,
    te_trailers: bool,
}

/// Builds a [`RequestHeaders`] from the fields of one block.
///
/// A builder can be reused for further blocks, and keeps its memory. Fields beyond the limit on the block's size are
/// checked but not kept.
///
/// ```
/// use halfclose::internals::RequestHeadersBuilder;
///
/// let mut builder = RequestHeadersBuilder::new(8192);
/// for (name, value) in [
///     (":method", "POST"),
///     (":scheme", "http"),
///     (":path", "/pkg.Greeter/SayHello"),
///     ("content-type", "application/grpc"),
///     ("grpc-timeout", "1S"),
/// ] {
///     builder.field(name.as_bytes(), value.as_bytes());
/// }
/// let headers = builder.finish(false).unwrap();
/// assert_eq!((headers.service(), headers.method()), (Some("pkg.Greeter"), Some("SayHello")));
/// ```
#[derive(Debug)]
pub struct RequestHeadersBuilder {
    gather: Gather,
    seen: RequestFieldsSeen,
    malformed: Option<MalformedReason>,
}

impl RequestHeadersBuilder {
    /// Makes a builder. `metadata_limit` is the size of the largest block that is accepted, in bytes as RFC 9113
    /// §6.5.2 counts them: name, value and 32 for every field.
    #[must_use]
    pub fn new(metadata_limit: usize) -> Self {
        Self { gather: Gather::new(metadata_limit), seen: RequestFieldsSeen::default(), malformed: None }
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
            return self.pseudo(name, value, keep);
        }
        self.gather.regular();
        self.regular(name, value, keep)
    }

    fn pseudo(&mut self, name: &[u8], value: &[u8], keep: bool) -> Result<(), MalformedReason> {
        let kept = if keep { value } else { &[] };
        match name {
            b":method" => {
                let method = match value {
                    b"POST" => Method::Post,
                    b"CONNECT" => Method::Connect,
                    b"OPTIONS" => Method::Options,
                    b"HEAD" => Method::Head,
                    [] => return Err(MalformedReason::InvalidPseudo(":method")),
                    _ => Method::Other,
                };
                once(":method", self.seen.method.replace(method))
            }
            b":scheme" => {
                check_scheme(value)?;
                once(":scheme", self.seen.scheme.replace(self.gather.keep(kept)))
            }
            b":path" => {
                check_path(value)?;
                once(":path", self.seen.path.replace(self.gather.keep(kept)))
            }
            b":authority" => {
                check_authority(value)?;
                let earlier = self.seen.authority.replace(self.gather.keep(kept));
                self.seen.many_authorities |= earlier.is_some();
                Ok(())
            }
            _ => Err(MalformedReason::UnknownPseudo),
        }
    }

    fn regular(&mut self, name: &[u8], value: &[u8], keep: bool) -> Result<(), MalformedReason> {
        let seen = &mut self.seen;
        match name {
            b"te" => {
                check_te(value)?;
                seen.te_trailers = true;
            }
            b"content-type" => self.content_type(value, keep),
            b"content-length" => seen.content_length = content_length(seen.content_length, value)?,
            b"host" => {
                check_authority(value)?;
                let kept = if keep { value } else { &[] };
                seen.many_authorities |= seen.host.replace(self.gather.keep(kept)).is_some();
            }
            b"grpc-timeout" => match timeout::parse(value) {
                Ok(timeout) => {
                    let earlier = seen.timeout.replace(timeout);
                    seen.two_timeouts |= earlier.is_some_and(|earlier| earlier != timeout);
                }
                Err(error) => seen.timeout_error = Some(error),
            },
            b"grpc-encoding" if keep => {
                seen.encoding = Some(self.gather.keep_once(seen.encoding, value));
            }
            b"grpc-accept-encoding" if keep => {
                seen.accept_set = seen.accept_set.union(EncodingSet::parse(value));
                self.gather.join_list(value);
            }
            // P-9, P-41: these are not for the application.
            b"grpc-encoding"
            | b"grpc-accept-encoding"
            | b"grpc-message-type"
            | b"grpc-status"
            | b"grpc-message" => {}
            _ => return self.gather.custom(name, value, keep),
        }
        Ok(())
    }

    fn content_type(&mut self, value: &[u8], keep: bool) {
        let Some(subtype) = content_type::parse(value) else {
            self.seen.other_type = true;
            return;
        };
        let codec = subtype.codec().filter(|_| keep);
        if self.seen.grpc_type {
            let earlier = self.seen.subtype.map(|span| span.of(self.gather.text()));
            self.seen.other_type |= earlier != codec;
            return;
        }
        self.seen.grpc_type = true;
        self.seen.subtype = codec.map(|codec| self.gather.keep(codec.as_bytes()));
    }

    /// Completes the block. `end_stream` says whether it ends the stream. The builder is ready for the next block.
    ///
    /// # Errors
    /// [`RequestError::Malformed`] if it applies, otherwise [`RequestError::Refused`]. The first of these refusals
    /// decides: metadata over the limit, a malformed `-bin` value, the method, `content-type`, several authorities,
    /// the timeout.
    pub fn finish(&mut self, end_stream: bool) -> Result<RequestHeaders, RequestError> {
        let malformed = self.malformed.take();
        let seen = std::mem::take(&mut self.seen);
        let result = match malformed {
            Some(reason) => Err(RequestError::Malformed(reason)),
            None => self.finish_checked(&seen, end_stream),
        };
        self.gather.reset();
        result
    }

    fn finish_checked(
        &mut self,
        seen: &RequestFieldsSeen,
        end_stream: bool,
    ) -> Result<RequestHeaders, RequestError> {
        check_whole(seen, self.gather.text(), end_stream).map_err(RequestError::Malformed)?;
        if let Some(refusal) = self.refusal(seen) {
            return Err(refusal.into_error(seen));
        }
        let accept_names = self.gather.keep_list();
        let (text, metadata) = self.gather.store();
        Ok(RequestHeaders {
            path: seen.path.unwrap_or_default(),
            scheme: seen.scheme.unwrap_or_default(),
            // P-5: `host` replaces a missing `:authority`, and is ignored otherwise.
            authority: seen.authority.or(seen.host),
            subtype: seen.subtype,
            encoding_name: seen.encoding,
            accept_names,
            accept: seen.accept_set,
            timeout: seen.timeout,
            content_length: seen.content_length,
            te_trailers: seen.te_trailers,
            text,
            metadata,
        })
    }

    fn refusal(&self, seen: &RequestFieldsSeen) -> Option<Refusal> {
        if let Some(status) = self.gather.failure() {
            return Some(Refusal::Metadata(status));
        }
        if seen.method != Some(Method::Post) {
            return Some(Refusal::Method);
        }
        if !seen.grpc_type || seen.other_type {
            return Some(Refusal::ContentType);
        }
        if seen.many_authorities {
            return Some(Refusal::Authority);
        }
        if seen.two_timeouts {
            return Some(Refusal::TwoTimeouts);
        }
        seen.timeout_error.map(Refusal::Timeout)
    }
}

fn once<T>(name: &'static str, earlier: Option<T>) -> Result<(), MalformedReason> {
    if earlier.is_some() { Err(MalformedReason::DuplicatePseudo(name)) } else { Ok(()) }
}

/// Checks the syntax of a scheme (RFC 3986 §3.1).
fn check_scheme(value: &[u8]) -> Result<(), MalformedReason> {
    let rest = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    match value {
        [first, tail @ ..] if first.is_ascii_alphabetic() && tail.iter().all(rest) => Ok(()),
        _ => Err(MalformedReason::InvalidPseudo(":scheme")),
    }
}

/// Checks that a path begins with `/` or is `*` (RFC 9113 §8.3.1), and has visible ASCII only (RFC 3986 §2).
fn check_path(value: &[u8]) -> Result<(), MalformedReason> {
    let visible = value.iter().fold(true, |all, byte| all & byte.is_ascii_graphic());
    if visible && matches!(value, [b'/', ..] | b"*") {
        Ok(())
    } else {
        Err(MalformedReason::InvalidPseudo(":path"))
    }
}

/// Checks that an authority has no user information (RFC 9113 §8.3.1), and no character that begins another part of a
/// URI (RFC 3986 §3.2).
pub(crate) fn check_authority(value: &[u8]) -> Result<(), MalformedReason> {
    let allowed = |&byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'@' | b'/' | b'?' | b'#' | b'\\');
    if value.iter().all(allowed) { Ok(()) } else { Err(MalformedReason::InvalidPseudo(":authority")) }
}

/// Checks the rules that need the complete block.
fn check_whole(seen: &RequestFieldsSeen, text: &str, end_stream: bool) -> Result<(), MalformedReason> {
    let method = seen.method.ok_or(MalformedReason::MissingPseudo(":method"))?;
    if method == Method::Connect {
        // RFC 9113 §8.5.
        return match (seen.scheme, seen.path, seen.authority) {
            (Some(_), _, _) => Err(MalformedReason::ConnectPseudo(":scheme")),
            (_, Some(_), _) => Err(MalformedReason::ConnectPseudo(":path")),
            (_, _, None) => Err(MalformedReason::MissingPseudo(":authority")),
            _ => Ok(()),
        };
    }
    if seen.scheme.is_none() {
        return Err(MalformedReason::MissingPseudo(":scheme"));
    }
    let path = seen.path.ok_or(MalformedReason::MissingPseudo(":path"))?;
    if path.of(text) == "*" && method != Method::Options {
        return Err(MalformedReason::InvalidPseudo(":path"));
    }
    // RFC 9113 §8.1.1: content-length has to match the length of the content, and there is none.
    match seen.content_length {
        Some(1..) if end_stream => Err(MalformedReason::ContentLength),
        _ => Ok(()),
    }
}

/// The headers of a call, as a server receives them. Cheap to clone: the text is shared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestHeaders {
    text: OwnText,
    path: Span,
    scheme: Span,
    authority: Option<Span>,
    subtype: Option<Span>,
    encoding_name: Option<Span>,
    accept_names: Option<Span>,
    /// The encodings in `grpc-accept-encoding` that this library knows by name ([P-11](crate::manual::rules#p-11)).
    pub accept: EncodingSet,
    /// How long the client waits ([P-7](crate::manual::rules#p-7)); `None` means for ever.
    pub timeout: Option<Duration>,
    /// The value of `content-length`, in bytes: the length that the DATA payloads have to add up to (RFC 9113
    /// §8.1.1).
    pub content_length: Option<u64>,
    /// Whether the request had `te: trailers`; without it, a proxy that drops trailers may be in between
    /// ([P-6](crate::manual::rules#p-6)).
    pub te_trailers: bool,
    /// All other fields, including `user-agent` ([P-41](crate::manual::rules#p-41)).
    pub metadata: Metadata,
}

impl RequestHeaders {
    /// Returns the `:path`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.of(&self.text)
    }

    /// Returns the service of the path; `None` if the path does not have the form `/service/method`
    /// ([P-4](crate::manual::rules#p-4): `UNIMPLEMENTED`).
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        path::split(self.path()).map(|(service, _)| service)
    }

    /// Returns the method of the path; `None` whenever [`service`](Self::service) is.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        path::split(self.path()).map(|(_, method)| method)
    }

    /// Returns the `:scheme`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.scheme.of(&self.text)
    }

    /// Returns the `:authority`, or otherwise the `host` ([P-5](crate::manual::rules#p-5)).
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.authority.map(|span| span.of(&self.text)).filter(|authority| !authority.is_empty())
    }

    /// Returns the codec in the `content-type`, for example `proto`; `None` if it has none.
    #[must_use]
    pub fn content_subtype(&self) -> Option<&str> {
        self.subtype.map(|span| span.of(&self.text))
    }

    /// Returns the value of `grpc-encoding` ([P-10](crate::manual::rules#p-10)).
    #[must_use]
    pub fn encoding_name(&self) -> Option<&[u8]> {
        self.encoding_name.map(|span| span.of(&self.text).as_bytes())
    }

    /// Returns the encoding of `grpc-encoding`, if this library knows its name.
    #[must_use]
    pub fn encoding(&self) -> Option<Encoding> {
        self.encoding_name().and_then(Encoding::from_name)
    }

    /// Returns whether `grpc-accept-encoding` includes an encoding, custom ones included; identity is always
    /// accepted.
    #[must_use]
    pub fn accepts(&self, encoding: Encoding) -> bool {
        let name = encoding.as_str().as_bytes();
        encoding == Encoding::Identity
            || self.accept.contains(encoding)
            || self.accept_names().is_some_and(|list| names(list).any(|accepted| accepted == name))
    }

    /// Returns the value of `grpc-accept-encoding`, with several fields joined ([P-11](crate::manual::rules#p-11)).
    /// This is for custom encodings.
    #[must_use]
    pub fn accept_names(&self) -> Option<&[u8]> {
        self.accept_names.map(|span| span.of(&self.text).as_bytes())
    }
}
