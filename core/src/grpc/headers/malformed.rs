//! Why a request or response is malformed (RFC 9113 §8.1.1).

use crate::grpc::field::FieldError;

/// Why a header block is malformed: a stream error of type PROTOCOL_ERROR (RFC 9113 §8.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedReason {
    /// A name or value has a byte that is not allowed.
    #[error("{0}")]
    Field(#[from] FieldError),
    /// A field that is specific to HTTP/1.1 connections, such as `connection` ([P-14](crate::manual::rules#p-14)).
    #[error("a connection-specific field")]
    ConnectionSpecific,
    /// `te` with a value other than `trailers`.
    #[error("a te field with another value than trailers")]
    Te,
    /// A pseudo-header field behind a regular one ([P-1](crate::manual::rules#p-1)).
    #[error("a pseudo-header field behind a regular field")]
    PseudoOrder,
    /// A pseudo-header field that is not defined, or not for this kind of message.
    #[error("an unknown pseudo-header field")]
    UnknownPseudo,
    /// A pseudo-header field that occurs twice.
    #[error("{0} stands twice")]
    DuplicatePseudo(&'static str),
    /// A mandatory pseudo-header field is missing.
    #[error("{0} is missing")]
    MissingPseudo(&'static str),
    /// A pseudo-header field with an invalid value.
    #[error("{0} has an invalid value")]
    InvalidPseudo(&'static str),
    /// A CONNECT request with `:scheme` or `:path`.
    #[error("{0} in a CONNECT request")]
    ConnectPseudo(&'static str),
    /// A pseudo-header field in trailers.
    #[error("a pseudo-header field in trailers")]
    PseudoInTrailers,
    /// `content-length` is not a number, has two different values, or is not 0 on a message without content.
    #[error("content-length is invalid or does not fit")]
    ContentLength,
    /// An interim response (1xx) that ends the stream ([P-24](crate::manual::rules#p-24)).
    #[error("an interim response ends the stream")]
    InterimEnd,
    /// Status 101, which HTTP/2 does not support.
    #[error("status 101 (Switching Protocols)")]
    SwitchingProtocols,
}

impl MalformedReason {
    /// Returns the section of the rule, for example `"RFC 9113 §8.2.1"`.
    #[must_use]
    pub fn section(self) -> &'static str {
        match self {
            Self::Field(_) => "RFC 9113 §8.2.1",
            Self::ConnectionSpecific | Self::Te => "RFC 9113 §8.2.2",
            Self::PseudoOrder | Self::UnknownPseudo | Self::DuplicatePseudo(_) => "RFC 9113 §8.3",
            Self::MissingPseudo(":status") | Self::InvalidPseudo(":status") => "RFC 9113 §8.3.2",
            Self::MissingPseudo(_) | Self::InvalidPseudo(_) => "RFC 9113 §8.3.1",
            Self::ConnectPseudo(_) => "RFC 9113 §8.5",
            Self::PseudoInTrailers | Self::InterimEnd => "RFC 9113 §8.1",
            Self::ContentLength => "RFC 9113 §8.1.1",
            Self::SwitchingProtocols => "RFC 9113 §8.6",
        }
    }
}
