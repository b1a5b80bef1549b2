//! Typed error details: `google.rpc.Status` and the standard messages that it carries, for `grpc-status-details-bin`
//! ([P-21](halfclose::manual::rules#p-21)).
//!
//! ```
//! use halfclose_driver::details::{Details, ErrorInfo, FieldViolation, RetryInfo};
//! use halfclose_driver::halfclose::{Code, Status};
//! use std::time::Duration;
//!
//! let status = Details::new()
//!     .with(ErrorInfo { reason: "STOCK_OUT".into(), domain: "shop.example".into(), ..Default::default() })
//!     .with(RetryInfo::after(Duration::from_millis(1_500)))
//!     .into_status(Code::Unavailable, "no tea left");
//!
//! // At the client:
//! let details = Details::of(&status).unwrap();
//! assert_eq!(details.get::<ErrorInfo>().unwrap().reason, "STOCK_OUT");
//! assert_eq!(details.get::<RetryInfo>().unwrap().delay(), Some(Duration::from_millis(1_500)));
//! assert!(details.get::<FieldViolation>().is_none());
//! ```

use std::collections::HashMap;
use std::time::Duration;

use halfclose::{Code, Status};
use prost::{Message, Name};

/// The prefix of a type name in an [`Any`].
const TYPE_URL: &str = "type.googleapis.com/";

/// A message of any type, with the name of its type: `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub struct Any {
    /// The name of the type, after a prefix that ends in a slash.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The encoded message.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `google.rpc.Status`, the content of `grpc-status-details-bin`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// A duration: `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Span {
    /// Whole seconds.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Additional nanoseconds, of the same sign.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// Defines messages of the package `google.rpc`.
macro_rules! rpc_messages {
    ($($(#[$doc:meta])* $name:ident = $full:literal { $($(#[$field_doc:meta])* [$($prost:tt)*] $field:ident: $type:ty),* $(,)? })+) => { $(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Message)]
        pub struct $name {
            $($(#[$field_doc])* #[prost($($prost)*)] pub $field: $type,)*
        }

        impl Name for $name {
            const NAME: &'static str = $full;
            const PACKAGE: &'static str = "google.rpc";
        }
    )+ };
}

rpc_messages! {
    /// The reason of a failure, for programs.
    ErrorInfo = "ErrorInfo" {
        /// A constant in upper snake case, unique within the domain.
        [string, tag = "1"] reason: String,
        /// The domain of the reason, for example the name of the service.
        [string, tag = "2"] domain: String,
        /// Further details as names and values.
        [map = "string, string", tag = "3"] metadata: HashMap<String, String>,
    }
    /// When the client may retry.
    RetryInfo = "RetryInfo" {
        /// The shortest time to wait before a retry.
        [message, optional, tag = "1"] retry_delay: Option<Span>,
    }
    /// Information for the developer of the service.
    DebugInfo = "DebugInfo" {
        /// The stack, innermost function first.
        [string, repeated, tag = "1"] stack_entries: Vec<String>,
        /// Further information from the server.
        [string, tag = "2"] detail: String,
    }
    /// The quotas that are exhausted.
    QuotaFailure = "QuotaFailure" {
        /// The exhausted quotas.
        [message, repeated, tag = "1"] violations: Vec<QuotaViolation>,
    }
    /// One exhausted quota.
    QuotaViolation = "QuotaFailure.Violation" {
        /// The subject of the quota.
        [string, tag = "1"] subject: String,
        /// How the quota was exceeded.
        [string, tag = "2"] description: String,
    }
    /// The preconditions that failed.
    PreconditionFailure = "PreconditionFailure" {
        /// The failed preconditions.
        [message, repeated, tag = "1"] violations: Vec<PreconditionViolation>,
    }
    /// One failed precondition.
    PreconditionViolation = "PreconditionFailure.Violation" {
        /// The type of the precondition.
        [string, tag = "1"] r#type: String,
        /// The subject that fails it.
        [string, tag = "2"] subject: String,
        /// How to meet it.
        [string, tag = "3"] description: String,
    }
    /// The invalid fields of the request.
    BadRequest = "BadRequest" {
        /// The invalid fields.
        [message, repeated, tag = "1"] field_violations: Vec<FieldViolation>,
    }
    /// One invalid field.
    FieldViolation = "BadRequest.FieldViolation" {
        /// The path to the field, separated by dots.
        [string, tag = "1"] field: String,
        /// Why its value is invalid.
        [string, tag = "2"] description: String,
    }
    /// Information that identifies the request.
    RequestInfo = "RequestInfo" {
        /// The id of the request in the service's logs.
        [string, tag = "1"] request_id: String,
        /// Data that was used to serve the request.
        [string, tag = "2"] serving_data: String,
    }
    /// The resource that the call accessed.
    ResourceInfo = "ResourceInfo" {
        /// Its type.
        [string, tag = "1"] resource_type: String,
        /// Its name.
        [string, tag = "2"] resource_name: String,
        /// The owner of the resource.
        [string, tag = "3"] owner: String,
        /// What went wrong with the resource.
        [string, tag = "4"] description: String,
    }
    /// Links to further information.
    Help = "Help" {
        /// The links.
        [message, repeated, tag = "1"] links: Vec<Link>,
    }
    /// A link to further information.
    Link = "Help.Link" {
        /// What the link leads to.
        [string, tag = "1"] description: String,
        /// The address of the link.
        [string, tag = "2"] url: String,
    }
    /// The message in the user's language.
    LocalizedMessage = "LocalizedMessage" {
        /// The language, as a BCP-47 tag.
        [string, tag = "1"] locale: String,
        /// The message.
        [string, tag = "2"] message: String,
    }
}

impl RetryInfo {
    /// Creates the message for a delay; a delay too long for the message is shortened.
    #[must_use]
    pub fn after(delay: Duration) -> Self {
        let seconds = i64::try_from(delay.as_secs()).unwrap_or(i64::MAX);
        let nanos = i32::try_from(delay.subsec_nanos()).unwrap_or_default();
        Self { retry_delay: Some(Span { seconds, nanos }) }
    }

    /// Returns the delay; `None` if there is none or it is invalid.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        let span = self.retry_delay?;
        let (seconds, nanos) = (u64::try_from(span.seconds).ok()?, u32::try_from(span.nanos).ok()?);
        (nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos))
    }
}

/// The details of an error: any number of messages, each with its type.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Details {
    messages: Vec<Any>,
}

impl Details {
    /// Creates empty details.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message: one of this module, or one of your own that implements [`Name`].
    #[must_use]
    pub fn with<T: Message + Name>(mut self, message: T) -> Self {
        let type_url = format!("{TYPE_URL}{}", T::full_name());
        self.messages.push(Any { type_url, value: message.encode_to_vec() });
        self
    }

    /// Creates a status that carries the details to the client.
    #[must_use]
    pub fn into_status(self, code: Code, message: impl Into<String>) -> Status {
        let message = message.into();
        // A code is at most 16.
        let wire = RpcStatus { code: code.as_u32() as i32, message: message.clone(), details: self.messages };
        Status::new(code, message).with_details(wire.encode_to_vec().into())
    }

    /// Returns the details of a status; empty if it has none.
    ///
    /// # Errors
    ///
    /// The decoder's error if the details are not a `google.rpc.Status`.
    pub fn of(status: &Status) -> Result<Self, prost::DecodeError> {
        let wire = RpcStatus::decode(status.details().clone())?;
        Ok(Self { messages: wire.details })
    }

    /// Returns the first message of a type; `None` if there is none that can be decoded.
    #[must_use]
    pub fn get<T: Message + Name + Default>(&self) -> Option<T> {
        let name = T::full_name();
        // The type's name is the part after the last slash, whatever the prefix.
        let named = |any: &&Any| any.type_url.rsplit('/').next() == Some(name.as_str());
        self.messages.iter().filter(named).find_map(|any| T::decode(any.value.as_slice()).ok())
    }

    /// Returns all messages, undecoded.
    #[must_use]
    pub fn messages(&self) -> &[Any] {
        &self.messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_cross_as_the_bytes_that_every_grpc_library_writes() {
        let violation = FieldViolation { field: "a.b".into(), description: "too long".into() };
        let status = Details::new()
            .with(BadRequest { field_violations: vec![violation.clone()] })
            .into_status(Code::InvalidArgument, "bad");
        // The encoding of google.rpc.Status { code: 3, message: "bad", details: [Any { .. }] }, written by hand.
        let inner = b"\x0a\x0f\x0a\x03a.b\x12\x08too long";
        let url = b"type.googleapis.com/google.rpc.BadRequest";
        let mut any = vec![0x0a, url.len() as u8];
        any.extend_from_slice(url);
        any.extend_from_slice(&[0x12, inner.len() as u8]);
        any.extend_from_slice(inner);
        let mut wire = b"\x08\x03\x12\x03bad\x1a".to_vec();
        wire.push(any.len() as u8);
        wire.extend_from_slice(&any);
        assert_eq!(status.details().as_ref(), wire);
        let read = Details::of(&status).unwrap().get::<BadRequest>().unwrap();
        assert_eq!(read.field_violations, [violation]);
    }

    #[test]
    fn what_cannot_be_read_is_an_error_or_not_there() {
        let broken = Status::internal("x").with_details(b"\xff\xff".as_slice().into());
        assert!(Details::of(&broken).is_err());
        assert_eq!(Details::of(&Status::ok()), Ok(Details::new()));
        let any = Any { type_url: "elsewhere/google.rpc.Help".into(), value: vec![0xff] };
        assert!(Details { messages: vec![any] }.get::<Help>().is_none());
        for (seconds, nanos) in [(-1, 0), (0, -1), (0, 1_000_000_000)] {
            assert_eq!(RetryInfo { retry_delay: Some(Span { seconds, nanos }) }.delay(), None);
        }
    }
}
